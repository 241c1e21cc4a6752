//! *Set up a phone connection*: who is at the other side, and which assistant answers.

use askama::Template;
use serde_json::{Value, json};

use super::super::Outcome;
use super::super::answered::{list_of, status_of, text};
use super::super::frame::{Frame, shown};
use super::super::kinds::{ASSISTANTS, Choice};
use super::super::told::Told;
use super::super::visit::{Visit, led_on};
use super::{Draft, Listed, Step};
use crate::problem::Problem;
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "wizard/phone.html")]
struct PhonePage {
    frame: Frame,
    told: Option<Told>,
    steps: Vec<Listed>,
    back: String,
    draft: Draft,
    language: String,
    assistants: Vec<Assistant>,
    choices: Vec<Choice>,
}

struct Assistant {
    id: String,
    name: String,
    kind: String,
    is_chosen: bool,
}

pub(super) async fn show(visit: Visit) -> Outcome {
    page(&visit, None).await
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let draft = Draft::of(visit).await?;
    let listed = visit.get(format!("/assistants?tenant={}&limit=200", draft.tenant.id)).await?;
    let chosen = if visit.form.has("assistant") { visit.form.line("assistant") } else { draft.first("assistant") };
    let assistant = |one: &Value| {
        let id = text(one, "id");
        let is_chosen = id == chosen;
        Assistant { is_chosen, name: text(one, "name"), kind: text(&one["settings"], "kind"), id }
    };
    let language = match (visit.form.has("language"), draft.settings["language"].as_str()) {
        (true, _) => visit.form.line("language"),
        (false, Some(language)) => language.to_owned(),
        (false, None) => "en-US".to_owned(),
    };
    let page = PhonePage {
        frame: visit.frame(),
        told: visit.told(problem),
        steps: draft.steps(Step::Phone),
        back: draft.beside(Step::Phone).0,
        assistants: list_of(&listed).iter().map(assistant).collect(),
        choices: Choice::all(&ASSISTANTS, &visit.form, &visit.told(problem)),
        language,
        draft,
    };
    Ok(shown(status_of(problem), &page))
}

pub(super) async fn send(visit: Visit) -> Outcome {
    let came = sent(&visit).await;
    led_on(&visit, came, |visit, problem| async move { page(visit, Some(&problem)).await }).await
}

/// Where it goes on.
async fn sent(visit: &Visit) -> Result<String, Problem> {
    let draft = Draft::of(visit).await?;
    if let Some(kind) = ASSISTANTS.iter().find(|kind| kind.kind == visit.form.text("make")) {
        let body = json!({"name": visit.form.line("called"), "settings": kind.settings(&visit.form)});
        let made = visit.ask(Inquiry::post_json(format!("/assistants?tenant={}", draft.tenant.id), body)).await?;
        let draft = draft.says(visit, json!({"assistant": [made["id"]]})).await?;
        return Ok(draft.path(Step::Phone));
    }
    let (assistant, language) = (visit.form.line("assistant"), visit.form.line("language"));
    if assistant.is_empty() {
        return Err(Problem::new(
            actix_web::http::StatusCode::UNPROCESSABLE_ENTITY,
            "choose an assistant, or create one",
        ));
    }
    let draft = draft.says(visit, json!({"assistant": [assistant], "language": language})).await?;
    Ok(draft.beside(Step::Phone).1.unwrap_or_default())
}
