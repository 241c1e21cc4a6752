//! Which assistant answers, and which services hear and speak for it: each with those that take over from it.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::{Map, Value, json};

use super::super::Outcome;
use super::super::answered::{list_of, status_of, text};
use super::super::frame::{Frame, shown};
use super::super::told::Told;
use super::super::visit::{Page, Visit, led_on};
use super::{Of, of_database};
use crate::problem::Problem;
use crate::rest::Inquiry;

pub(super) const NAME: &str = "Assistant and speech";
pub(super) const PATH: &str = "/tenants/{tenant}/integrations/{integration}/settings/services";

/// Most that one list names.
const RANKED_MAX: usize = 8;

/// The lists, with what each is called.
const LISTS: [(&str, &str); 3] =
    [("assistant", "Assistant"), ("speech_to_text", "Speech to Text"), ("text_to_speech", "Text to Speech")];

#[derive(Template)]
#[template(path = "settings_services.html")]
struct ServicesPage {
    frame: Frame,
    told: Option<Told>,
    of: Of,
    title: &'static str,
    help: &'static str,
    lists: Vec<List>,
}

/// One of the lists.
struct List {
    path: &'static str,
    name: &'static str,
    choices: Vec<Choice>,
}

/// One place of a list.
struct Choice {
    told: String,
    offers: Vec<Offer>,
}

struct Offer {
    id: String,
    name: String,
    is_chosen: bool,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new(PATH, Role::Viewer, |visit| async move { page(&visit, None).await }).sends(send)]
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let integration = of_database(visit).await?;
    let of = format!("?tenant={}&limit=200", text(&integration, "tenant"));
    let assistants = visit.get(format!("/assistants{of}")).await?;
    let services = visit.get(format!("/services{of}")).await?;
    let list = |(path, name): (&'static str, &'static str)| {
        let all: Vec<&Value> = match path {
            "assistant" => list_of(&assistants).iter().collect(),
            port => list_of(&services).iter().filter(|one| one["settings"]["port"] == port).collect(),
        };
        let kept = integration["settings"][path].as_array().into_iter().flatten().filter_map(Value::as_str);
        let chosen: Vec<String> = match problem {
            Some(_) => visit.form.all(path).into_iter().filter(|id| !id.is_empty()).collect(),
            None => kept.map(str::to_owned).collect(),
        };
        List { path, name, choices: choices(&all, &chosen) }
    };
    let page = ServicesPage {
        frame: visit.frame(),
        told: visit.told(problem),
        of: Of::read(visit, &integration).again(visit, problem),
        title: NAME,
        help: "Who answers, and who hears and speaks for it. Where one fails, the next takes over.",
        lists: LISTS.into_iter().map(list).collect(),
    };
    Ok(shown(status_of(problem), &page))
}

/// A place for each that is chosen, and one more.
fn choices(all: &[&Value], chosen: &[String]) -> Vec<Choice> {
    let places = (chosen.len() + 1).min(RANKED_MAX);
    let choice = |at: usize| {
        let offer = |one: &&Value| {
            let id = text(one, "id");
            let name = format!("{} ({})", text(one, "name"), text(&one["settings"], "kind"));
            Offer { name, is_chosen: chosen.get(at) == Some(&id), id }
        };
        let told = if at == 0 { "The preferred one".to_owned() } else { format!("If that fails: number {}", at + 1) };
        Choice { told, offers: all.iter().map(offer).collect() }
    };
    (0..places).map(choice).collect()
}

async fn send(visit: Visit) -> Outcome {
    let came = sent(&visit).await;
    led_on(&visit, came, |visit, problem| async move { page(visit, Some(&problem)).await }).await
}

async fn sent(visit: &Visit) -> Result<String, Problem> {
    let integration = of_database(visit).await?;
    let chosen = |(path, _): (&str, &str)| {
        let all = visit.form.all(path).into_iter().filter(|id| !id.is_empty());
        (path.to_owned(), all.collect::<Value>())
    };
    let settings: Map<String, Value> = LISTS.into_iter().map(chosen).collect();
    let revision = visit.form.line("revision").parse().unwrap_or_default();
    let path = format!("/integrations/{}", text(&integration, "id"));
    visit.ask(Inquiry::patch(path, revision, json!({"settings": settings}))).await?;
    Ok(visit.kept())
}
