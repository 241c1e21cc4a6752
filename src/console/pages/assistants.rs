//! A tenant's assistants, and a conversation with one in text.
//!
//! Invariant: a conversation to try one out is kept in its page alone.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::{Value, json};

use super::Outcome;
use super::answered::{list_of, status_of, text};
use super::frame::{Frame, shown};
use super::kinds::{ASSISTANTS, Choice};
use super::part::{self, Part, named};
use super::tenant::Tenant;
use super::told::Told;
use super::visit::{Page, Visit, led_on};
use crate::problem::Problem;
use crate::rest::Inquiry;

/// Most turns that the page of a conversation holds.
const TURNS_MAX: usize = 50;

#[derive(Template)]
#[template(path = "assistants.html")]
struct AssistantsPage {
    frame: Frame,
    told: Option<Told>,
    tenant: Tenant,
    may_change: bool,
    assistants: Vec<Listed>,
    choices: Vec<Choice>,
}

struct Listed {
    id: String,
    name: String,
    kind: String,
    tested: String,
}

#[derive(Template)]
#[template(path = "try.html")]
struct TryPage {
    frame: Frame,
    told: Option<Told>,
    tenant: Tenant,
    id: String,
    name: String,
    turns: Vec<Turn>,
    /// All of it, for the next turn.
    kept: String,
    context: String,
}

/// What was said, and what came of it.
struct Turn {
    said: String,
    heard: Vec<String>,
    json: String,
}

pub(super) fn pages() -> Vec<Page> {
    vec![
        Page::new("/tenants/{tenant}/assistants", Role::Viewer, |visit| async move { list(&visit, None).await })
            .sends(add),
        part::page_of(Part::Assistant, "/tenants/{tenant}/assistants/{assistant}"),
        Page::new("/tenants/{tenant}/assistants/{assistant}/try", Role::Admin, |visit| async move {
            conversation(&visit, None, json!([]), Value::Null).await
        })
        .sends(say),
    ]
}

async fn list(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let tenant = Tenant::of(visit).await?;
    let listed = visit.get(format!("/assistants?tenant={}&limit=200", tenant.id)).await?;
    let one = |one: &Value| Listed {
        id: text(one, "id"),
        name: text(one, "name"),
        kind: text(&one["settings"], "kind"),
        tested: text(&one["tested"], "told"),
    };
    let told = visit.told(problem);
    let page = AssistantsPage {
        frame: visit.frame(),
        may_change: visit.may(Role::Admin) && !tenant.from_file,
        assistants: list_of(&listed).iter().map(one).collect(),
        choices: Choice::all(&ASSISTANTS, &visit.form, &told),
        told,
        tenant,
    };
    Ok(shown(status_of(problem), &page))
}

async fn add(visit: Visit) -> Outcome {
    let kind = ASSISTANTS.iter().find(|kind| kind.kind == visit.form.text("make")).ok_or_else(Problem::not_found)?;
    let body = json!({"name": visit.form.line("called"), "settings": kind.settings(&visit.form)});
    let tenant = visit.name("tenant");
    let made = visit.ask(Inquiry::post_json(format!("/assistants?tenant={tenant}"), body)).await;
    let path = made.map(|made| format!("/tenants/{tenant}/assistants/{}", text(&made, "id")));
    led_on(&visit, path, |visit, problem| async move { list(visit, Some(&problem)).await }).await
}

async fn conversation(visit: &Visit, problem: Option<&Problem>, turns: Value, context: Value) -> Outcome {
    let (tenant, assistant, _) = named(visit, Part::Assistant).await?;
    let page = TryPage {
        frame: visit.frame(),
        told: visit.told(problem),
        id: text(&assistant, "id"),
        name: text(&assistant, "name"),
        turns: turns.as_array().into_iter().flatten().map(Turn::of).collect(),
        kept: turns.to_string(),
        context: context.to_string(),
        tenant,
    };
    Ok(shown(status_of(problem), &page))
}

impl Turn {
    fn of(turn: &Value) -> Self {
        let responses = turn["responses"].as_array().map_or(&[][..], Vec::as_slice);
        Self {
            said: text(turn, "said"),
            heard: responses.iter().map(heard).collect(),
            json: serde_json::to_string_pretty(responses).unwrap_or_default(),
        }
    }
}

/// What a caller would hear of a response, or what it does.
fn heard(response: &Value) -> String {
    let kind = text(response, "response_type");
    let first = [&response["text"], &response["values"][0]["text"], &response["agent_available"]["message"]];
    match (first.into_iter().find_map(Value::as_str), kind.as_str()) {
        (Some(words), "text") => words.to_owned(),
        (Some(words), _) => format!("({kind}) {words}"),
        (None, _) => format!("({kind})"),
    }
}

async fn say(visit: Visit) -> Outcome {
    named(&visit, Part::Assistant).await?;
    let form = &visit.form;
    let mut turns: Value = serde_json::from_str(form.text("turns")).unwrap_or_default();
    let context: Value = serde_json::from_str(form.text("context")).unwrap_or_default();
    if form.text("do") == "begin" || !turns.is_array() {
        turns = json!([]);
    }
    let (said, mut body) = match form.text("do") {
        "begin" => ("(the call begins)".to_owned(), json!({})),
        "silence" => ("(silence)".to_owned(), json!({"silence": true})),
        "keys" => (format!("(keys {})", form.line("keys")), json!({"digits": form.line("keys")})),
        "agent" => ("speak to an agent".to_owned(), json!({"text": "speak to an agent"})),
        _ => (form.line("text"), json!({"text": form.line("text")})),
    };
    if context.is_object() && form.text("do") != "begin" {
        body["context"] = context.clone();
    }
    let path = format!("/assistants/{}/try", visit.name("assistant"));
    match visit.ask(Inquiry::post_json(path, body)).await {
        Ok(reply) => {
            let all = turns.as_array_mut().expect("it was made one");
            all.push(json!({"said": said, "responses": reply["responses"]}));
            let more = all.len().saturating_sub(TURNS_MAX);
            all.drain(..more);
            conversation(&visit, None, turns, reply["context"].clone()).await
        }
        Err(problem) if problem.status() == 404 => Err(problem),
        // A service that does not answer is what somebody wants to see here.
        Err(problem) => conversation(&visit, Some(&problem), turns, context).await,
    }
}
