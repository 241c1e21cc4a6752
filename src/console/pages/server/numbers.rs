//! Numbers that several integrations have: whose calls are that name no Amazon Connect instance.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::{Value, json};

use super::super::Outcome;
use super::super::answered::{list_of, status_of, text};
use super::super::frame::{Frame, shown};
use super::super::told::Told;
use super::super::visit::{Page, Visit, led_on};
use super::{Link, links};
use crate::problem::Problem;
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "server/numbers.html")]
struct NumbersPage {
    frame: Frame,
    told: Option<Told>,
    links: Vec<Link>,
    entries: Vec<Entry>,
    next: Option<String>,
}

struct Entry {
    id: String,
    revision: String,
    number: String,
    description: String,
    tenant: String,
    integration: String,
    first_call: String,
    is_confirmed: bool,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new("/server/numbers", Role::Operator, |visit| async move { page(&visit, None).await }).sends(send)]
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let after = match visit.query("after") {
        "" => String::new(),
        after => format!("&after={after}"),
    };
    let listed = visit.get(format!("/numbers/disputed?limit=100{after}")).await?;
    let mut entries: Vec<Entry> = list_of(&listed).iter().map(Entry::of).collect();
    // Those of one number stand together.
    entries.sort_by(|one, other| one.number.cmp(&other.number));
    let page = NumbersPage {
        frame: visit.frame(),
        told: visit.told(problem),
        links: links(visit),
        entries,
        next: listed["next"].as_str().map(str::to_owned),
    };
    Ok(shown(status_of(problem), &page))
}

impl Entry {
    fn of(number: &Value) -> Self {
        let first_call = text(number, "first_call_at");
        Self {
            id: text(number, "id"),
            revision: number["revision"].to_string(),
            number: text(number, "number"),
            description: text(number, "description"),
            tenant: text(number, "tenant"),
            integration: text(number, "integration"),
            first_call: if first_call.is_empty() { "none yet".to_owned() } else { first_call },
            is_confirmed: number["confirmed"] == true,
        }
    }
}

async fn send(visit: Visit) -> Outcome {
    let form = &visit.form;
    let path = format!("/numbers/{}/confirm", form.line("id"));
    let body = json!({"confirmed": form.text("do") == "confirm"});
    let revision = form.line("revision").parse().unwrap_or_default();
    let sent = visit.ask(Inquiry::post_json(path, body).of_revision(revision)).await;
    let sent = sent.map(|_| visit.kept());
    led_on(&visit, sent, |visit, problem| async move { page(visit, Some(&problem)).await }).await
}
