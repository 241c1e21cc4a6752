//! What an assistant said before, what was other then, and going back.
//!
//! Invariant: going back is asked of REST like any change: it makes a version of its own, and nothing is lost by it.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::Value;

use super::Outcome;
use super::answered::{list_of, status_of, text};
use super::difference::{Line, between};
use super::frame::{Frame, shown};
use super::tenant::Tenant;
use super::told::Told;
use super::visit::{Page, Visit, led_on};
use crate::problem::Problem;
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "versions.html")]
struct VersionsPage {
    frame: Frame,
    told: Option<Told>,
    tenant: String,
    assistant: String,
    name: String,
    may_change: bool,
    /// The revision that it is now.
    revision: String,
    versions: Vec<Version>,
    /// The one that is looked at.
    looked_at: Option<LookedAt>,
}

struct Version {
    number: String,
    name: String,
    at: String,
    by: String,
    is_current: bool,
}

/// A version with what is other now.
struct LookedAt {
    number: String,
    is_current: bool,
    lines: Vec<Line>,
}

pub(super) fn pages() -> Vec<Page> {
    let path = "/tenants/{tenant}/assistants/{assistant}/versions";
    vec![Page::new(path, Role::Viewer, |visit| async move { page(&visit, None).await }).sends(send)]
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let assistant = Tenant::of(visit).await?.own(visit, "assistant").await?;
    let path = format!("/assistants/{}/versions", text(&assistant, "id"));
    let listed = visit.get(path.clone()).await?;
    // What is no number leads to nothing that there is.
    let number: Option<i64> = visit.query("version").parse().ok();
    let looked_at = match number {
        Some(number) => {
            let version = visit.get(format!("{path}/{number}")).await?;
            let lines = between(&written(&version["settings"]), &written(&assistant["settings"]));
            Some(LookedAt { number: number.to_string(), is_current: version["current"] == true, lines })
        }
        None => None,
    };
    let version = |one: &Value| Version {
        number: one["revision"].to_string(),
        name: text(one, "name"),
        at: text(one, "changed_at"),
        by: one["changed_by"].as_str().unwrap_or("not known").to_owned(),
        is_current: one["current"] == true,
    };
    let page = VersionsPage {
        frame: visit.frame(),
        told: visit.told(problem),
        tenant: text(&assistant, "tenant"),
        assistant: text(&assistant, "id"),
        name: text(&assistant, "name"),
        may_change: visit.may(Role::Admin),
        revision: assistant["revision"].to_string(),
        versions: list_of(&listed).iter().map(version).collect(),
        looked_at,
    };
    Ok(shown(status_of(problem), &page))
}

/// Settings as lines: each key, and a text of several lines as it was typed.
fn written(settings: &Value) -> String {
    let all = settings.as_object().into_iter().flatten();
    let line = |(key, value): (&String, &Value)| match value {
        Value::String(text) if text.contains('\n') => format!("{key}:\n{text}"),
        Value::String(text) => format!("{key}: {text}"),
        other => format!("{key}: {other}"),
    };
    all.map(line).collect::<Vec<_>>().join("\n")
}

async fn send(visit: Visit) -> Outcome {
    let came = went_back(&visit).await;
    led_on(&visit, came, |visit, problem| async move { page(visit, Some(&problem)).await }).await
}

async fn went_back(visit: &Visit) -> Result<String, Problem> {
    let assistant = Tenant::of(visit).await?.own(visit, "assistant").await?;
    let version: i64 = visit.form.line("version").parse().map_err(|_| Problem::not_found())?;
    let seen = visit.form.line("revision").parse().unwrap_or_default();
    let path = format!("/assistants/{}/versions/{version}/restore", text(&assistant, "id"));
    visit.ask(Inquiry::post(path).of_revision(seen)).await?;
    Ok(visit.kept())
}
