//! *Speech to Text* and *Text to Speech*: a service that is there or a new one, tried here, and its model or voice.

use actix_web::http::StatusCode;
use askama::Template;
use serde_json::{Value, json};

use super::super::Outcome;
use super::super::answered::{list_of, status_of, text};
use super::super::frame::{Frame, shown, sound};
use super::super::kinds::{Choice, Port, SPEECH_TO_TEXT, TEXT_TO_SPEECH};
use super::super::told::Told;
use super::super::visit::{Visit, led_on};
use super::custom::{self, Custom};
use super::{Draft, Listed, Step};
use crate::problem::Problem;
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "wizard/speech.html")]
struct SpeechPage {
    frame: Frame,
    told: Option<Told>,
    steps: Vec<Listed>,
    back: String,
    title: &'static str,
    is_last: bool,
    services: Vec<Service>,
    choices: Vec<Choice>,
    offers: Option<Offers>,
    /// A model and grammar of one's own, where the service may have them.
    custom: Option<Custom>,
    /// Which service these offers are of.
    kept: String,
    draft: Draft,
}

struct Service {
    id: String,
    name: String,
    kind: String,
    tested: String,
    is_chosen: bool,
}

/// What the chosen service offers.
struct Offers {
    label: &'static str,
    filter: &'static str,
    is_filtered: bool,
    language: String,
    /// Why there are none.
    why: Option<String>,
    all: Vec<Offer>,
}

struct Offer {
    name: String,
    told: String,
    is_chosen: bool,
}

/// What is set up at a step.
fn port(step: Step) -> &'static Port {
    if step == Step::TextToSpeech { &TEXT_TO_SPEECH } else { &SPEECH_TO_TEXT }
}

pub(super) async fn show(visit: Visit, step: Step) -> Outcome {
    page(&visit, step, None).await
}

async fn page(visit: &Visit, step: Step, problem: Option<&Problem>) -> Outcome {
    let (draft, port) = (Draft::of(visit).await?, port(step));
    let listed = visit.get(format!("/services?tenant={}&limit=200", draft.tenant.id)).await?;
    let chosen = if visit.form.has("service") { visit.form.line("service") } else { draft.first(port.word) };
    let own = list_of(&listed).iter().filter(|one| one["settings"]["port"] == port.word);
    let services: Vec<Service> = own.clone().map(|one| Service::of(one, &chosen)).collect();
    let kept = draft.first(port.word);
    // A service is asked when somebody wants to know, and not with every look: it may be slow, and its secrets are opened for it.
    let offers = match own.clone().find(|one| one["id"] == json!(kept)) {
        Some(service) if !visit.query("offers").is_empty() => Some(Offers::of(visit, &draft, service, port).await?),
        _ => None,
    };
    let chosen_one = own.clone().find(|one| one["id"] == json!(kept)).filter(|_| step == Step::SpeechToText);
    let typed = problem.map(|_| &visit.form).filter(|form| form.has("custom_of"));
    let page = SpeechPage {
        custom: chosen_one.and_then(|service| Custom::of(service, typed)),
        frame: visit.frame(),
        told: visit.told(problem),
        steps: draft.steps(step),
        back: draft.beside(step).0,
        title: step.name(),
        is_last: step == Step::TextToSpeech,
        services,
        choices: Choice::all(port.kinds, &visit.form, &visit.told(problem)),
        offers,
        kept,
        draft,
    };
    Ok(shown(status_of(problem), &page))
}

impl Service {
    fn of(one: &Value, chosen: &str) -> Self {
        let id = text(one, "id");
        let tested = match &one["tested"] {
            Value::Object(test) => test["told"].as_str().unwrap_or_default().to_owned(),
            _ => "not tested as it is".to_owned(),
        };
        Self { is_chosen: id == chosen, name: text(one, "name"), kind: text(&one["settings"], "kind"), tested, id }
    }
}

/// Where the settings of a service say which model or voice it uses.
fn place_of(service: &Value) -> (&'static str, Option<&'static str>) {
    match (service["settings"]["port"].as_str(), service["settings"]["kind"].as_str()) {
        (Some("speech_to_text"), _) => ("model", Some("parameters")),
        (_, Some("watson")) => ("voice", Some("parameters")),
        _ => ("voice", None),
    }
}

impl Offers {
    async fn of(visit: &Visit, draft: &Draft, service: &Value, port: &Port) -> Result<Self, Problem> {
        let language = draft.settings["language"].as_str().unwrap_or("en-US").to_owned();
        let (key, section) = place_of(service);
        let settings = &service["settings"];
        let chosen = section.map_or(&settings[key], |section| &settings[section][key]).as_str().unwrap_or_default();
        let is_filtered = visit.query("filter") != "off";
        // Whoever did not answer when it was tried is not waited for with every look at the page.
        let is_bad = service["tested"]["good"] == false;
        let offered = match is_bad {
            true => Err(Problem::new(StatusCode::BAD_GATEWAY, "it failed when it was tested: test it again")),
            false => visit.get(format!("/services/{}/offers", text(service, "id"))).await,
        };
        let (why, all) = match offered {
            Ok(listed) => (None, list_of(&listed).to_vec()),
            Err(problem) if problem.status() == StatusCode::BAD_GATEWAY => (Some(problem.detail().to_owned()), vec![]),
            Err(problem) => return Err(problem),
        };
        let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        let fits = |one: &&Value| !is_filtered || primary(&text(one, "language")) == primary(&language);
        let offer = |one: &Value| {
            let (name, gender) = (text(one, "name"), text(one, "gender"));
            let told = [text(one, "language"), gender].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
            Offer { is_chosen: name == chosen, told: told.join(", "), name }
        };
        let all = all.iter().filter(fits).map(offer).collect();
        Ok(Self { label: port.label, filter: port.filter, is_filtered, language, why, all })
    }
}

pub(super) async fn send(visit: Visit, step: Step) -> Outcome {
    let came = match sent(&visit, step).await {
        // Of two presses of *Save* the second finds no draft, and what the first has made.
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            let made = visit.get(format!("/integrations/{}", visit.name("draft"))).await;
            made.map(|made| after(visit.name("tenant"), &made)).map_err(|_| problem)
        }
        came => came,
    };
    led_on(&visit, came, |visit, problem| async move { page(visit, step, Some(&problem)).await }).await
}

/// A sentence of one's own by the voice that is chosen: sound, which a browser plays.
pub(super) async fn listen(visit: Visit) -> Outcome {
    let draft = Draft::of(&visit).await?;
    let service = draft.first("text_to_speech");
    let body = json!({"text": visit.form.line("sentence")});
    let wav = visit.fetch(Inquiry::post_json(format!("/services/{service}/listen"), body)).await?;
    Ok(sound(wav))
}

/// Whoever comes without a sentence goes back to where one is typed.
pub(super) async fn not_listened(visit: Visit) -> Outcome {
    let draft = Draft::of(&visit).await?;
    Ok(visit.see_other(&draft.path(Step::TextToSpeech)))
}

async fn sent(visit: &Visit, step: Step) -> Result<String, Problem> {
    let (draft, port, form) = (Draft::of(visit).await?, port(step), &visit.form);
    if let Some(kind) = port.kinds.iter().find(|kind| kind.kind == form.text("make")) {
        let mut settings = kind.settings(form);
        settings["port"] = port.word.into();
        let body = json!({"name": form.line("called"), "settings": settings});
        let made = visit.ask(Inquiry::post_json(format!("/services?tenant={}", draft.tenant.id), body)).await?;
        let id = text(&made, "id");
        let tested = visit.ask(Inquiry::post(format!("/services/{id}/test"))).await;
        if tested.as_ref().is_ok_and(|test| test["good"] == true) {
            let draft = draft.says(visit, json!({port.word: [id]})).await?;
            return Ok(with_offers(&draft, step));
        }
        // What does not answer is not left behind under a name that the next try would find taken.
        let revision = made["revision"].as_i64().unwrap_or_default();
        visit.ask(Inquiry::delete(format!("/services/{id}"), revision)).await?;
        let why = tested.map_or_else(|problem| problem.detail().to_owned(), |test| text(&test, "told"));
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("it was tried and is not kept: {why}")));
    }
    let service = form.line("service");
    if service.is_empty() {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "choose a service, or create a new instance"));
    }
    let draft = draft.says(visit, json!({port.word: [service]})).await?;
    match form.text("do") {
        "test" => {
            visit.ask(Inquiry::post(format!("/services/{service}/test"))).await?;
            Ok(with_offers(&draft, step))
        }
        "select" => Ok(with_offers(&draft, step)),
        _ => {
            choose(visit, &service).await?;
            goes_on(visit, draft, step).await
        }
    }
}

/// The step, with what its service offers.
fn with_offers(draft: &Draft, step: Step) -> String {
    format!("{}?offers=1", draft.path(step))
}

/// The model or voice that was chosen becomes the service's, and so do a model and grammar of one's own.
async fn choose(visit: &Visit, id: &str) -> Result<(), Problem> {
    let form = &visit.form;
    // What was shown may be of another service.
    let (is_offered, is_custom) = (form.text("offered_by") == id, form.text("custom_of") == id);
    if !is_offered && !is_custom {
        return Ok(());
    }
    let service = visit.get(format!("/services/{id}")).await?;
    let mut settings = if is_custom { custom::said(&service, form)? } else { None }.unwrap_or(json!({}));
    let chosen = form.line("offer");
    let (key, section) = place_of(&service);
    let kept = section.map_or(&service["settings"][key], |section| &service["settings"][section][key]);
    if is_offered && !chosen.is_empty() && kept.as_str() != Some(&chosen) {
        match section {
            Some(section) => settings[section][key] = chosen.into(),
            None => settings[key] = chosen.into(),
        }
    }
    if settings.as_object().is_some_and(|all| all.is_empty()) {
        return Ok(());
    }
    must_be_used_by_nobody_else(visit, id).await?;
    let revision = service["revision"].as_i64().unwrap_or_default();
    visit.ask(Inquiry::patch(format!("/services/{id}"), revision, json!({"settings": settings}))).await.map(drop)
}

/// Whoever sets one integration up changes no other.
async fn must_be_used_by_nobody_else(visit: &Visit, id: &str) -> Result<(), Problem> {
    let others = visit.get(format!("/integrations?tenant={}&limit=200", visit.name("tenant"))).await?;
    let lists = ["speech_to_text", "text_to_speech"];
    let uses = |one: &&Value| {
        lists.iter().any(|list| one["settings"][list].as_array().is_some_and(|all| all.contains(&json!(id))))
    };
    match list_of(&others).iter().find(uses) {
        None => Ok(()),
        Some(other) => {
            let why = format!(
                "the integration `{}` uses this service too, and its callers would hear the change: create a new instance",
                text(other, "name")
            );
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why))
        }
    }
}

/// Where an integration goes on: a contact center has a side of its own to be set up, a trunk has its number.
fn after(tenant: &str, integration: &Value) -> String {
    let next = if integration["settings"]["connect"].is_object() { "amazon" } else { "numbers" };
    format!("/tenants/{tenant}/integrations/{}/{next}", text(integration, "id"))
}

/// To the next step; after the last one the integration is made.
async fn goes_on(visit: &Visit, draft: Draft, step: Step) -> Result<String, Problem> {
    if let Some(next) = draft.beside(step).1 {
        return Ok(next);
    }
    if draft.has_contact_center() && !draft.is_valid() {
        let why = "the connection to Amazon Connect is not tested and valid as it is: go back to that step";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why));
    }
    let complete = Inquiry::post(format!("/drafts/{}/complete", draft.id)).of_revision(draft.revision);
    let made = visit.ask(complete).await?;
    Ok(after(&draft.tenant.id, &made))
}
