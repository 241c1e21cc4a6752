//! What an integration is called, and its end.
//!
//! Invariant: one is deleted by whoever has typed what it is called.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::json;

use super::super::Outcome;
use super::super::answered::{status_of, text};
use super::super::frame::{Frame, shown};
use super::super::told::Told;
use super::super::visit::{Page, Visit, led_on};
use super::{Of, of_database};
use crate::problem::{Fault, Problem};
use crate::rest::Inquiry;

pub(super) const NAME: &str = "Name";
pub(super) const PATH: &str = "/tenants/{tenant}/integrations/{integration}/settings/name";

#[derive(Template)]
#[template(path = "settings_name.html")]
struct NamePage {
    frame: Frame,
    told: Option<Told>,
    of: Of,
    title: &'static str,
    help: &'static str,
    name: String,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new(PATH, Role::Viewer, |visit| async move { page(&visit, None).await }).sends(send)]
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let integration = of_database(visit).await?;
    let page = NamePage {
        frame: visit.frame(),
        told: visit.told(problem),
        of: Of::read(visit, &integration).again(visit, problem),
        title: NAME,
        help: "What people call it.",
        name: match visit.form.has("name") {
            true => visit.form.line("name"),
            false => text(&integration, "name"),
        },
    };
    Ok(shown(status_of(problem), &page))
}

async fn send(visit: Visit) -> Outcome {
    let came = sent(&visit).await;
    led_on(&visit, came, |visit, problem| async move { page(visit, Some(&problem)).await }).await
}

async fn sent(visit: &Visit) -> Result<String, Problem> {
    let (integration, form) = (of_database(visit).await?, &visit.form);
    let (path, name) = (format!("/integrations/{}", text(&integration, "id")), text(&integration, "name"));
    let revision = form.line("revision").parse().unwrap_or_default();
    if form.text("do") != "delete" {
        visit.ask(Inquiry::patch(path, revision, json!({"name": form.line("name")}))).await?;
        return Ok(visit.kept());
    }
    if form.line("sure") != name {
        let why = format!("is not what it is called, which is `{name}`: nothing was deleted");
        return Err(Problem::faults(vec![Fault::at("#/sure", why)]));
    }
    visit.ask(Inquiry::delete(path, revision)).await?;
    Ok(format!("/tenants/{}/integrations", text(&integration, "tenant")))
}
