//! *Check a contact flow*: everything that is wrong with one that somebody has, block by block, with what to do.
//!
//! Invariant: nothing is kept: a flow is looked at, and goes back to who pasted it.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::Value as Json;

use super::Outcome;
use super::answered::{status_of, text};
use super::frame::{Frame, shown};
use super::tenant::Tenant;
use super::told::Told;
use super::visit::{Page, Visit};
use crate::problem::{Fault, Problem};
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "flow_check.html")]
struct FlowCheckPage {
    frame: Frame,
    told: Option<Told>,
    tenant: Tenant,
    integration: String,
    name: String,
    /// What was pasted.
    flow: String,
    checked: Option<Checked>,
}

/// What came of a check.
struct Checked {
    sentence: String,
    is_good: bool,
    findings: Vec<Found>,
}

struct Found {
    is_problem: bool,
    code: String,
    /// Of what is wrong with the whole flow, that.
    block: String,
    identifier: String,
    field: String,
    told: String,
    remedy: String,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new("/tenants/{tenant}/integrations/{integration}/flow/check", Role::Viewer, show).sends(send)]
}

async fn show(visit: Visit) -> Outcome {
    page(&visit, None, None).await
}

async fn send(visit: Visit) -> Outcome {
    let integration = Tenant::of(&visit).await?.own(&visit, "integration").await?;
    let checked = match pasted(visit.form.text("flow")) {
        Ok(flow) => {
            let path = format!("/integrations/{}/flow/check", text(&integration, "id"));
            visit.ask(Inquiry::post_json(path, flow)).await
        }
        Err(problem) => Err(problem),
    };
    match checked {
        Ok(checked) => page(&visit, None, Some(Checked::of(&checked))).await,
        Err(problem) if problem.status().is_client_error() && problem.status() != 404 => {
            page(&visit, Some(&problem), None).await
        }
        Err(problem) => Err(problem),
    }
}

/// What was pasted, as JSON; what is none is told by its place.
fn pasted(text: &str) -> Result<Json, Problem> {
    let bad = |why: String| Problem::faults(vec![Fault::at("#", why)]);
    if text.trim().is_empty() {
        return Err(bad("Paste a flow, or choose its file".to_owned()));
    }
    serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        bad(format!("The flow is not JSON: see line {line}, column {column}. Paste all of the file, from the first brace to the last"))
    })
}

impl Checked {
    fn of(checked: &Json) -> Self {
        let findings: Vec<Found> = checked["findings"].as_array().into_iter().flatten().map(Found::of).collect();
        let problems = findings.iter().filter(|found| found.is_problem).count();
        let advice = findings.len() - problems;
        let sentence = match (problems, advice) {
            (0, 0) => "Nothing is wrong with this flow.".to_owned(),
            (0, _) => format!("This flow works. It could be better in {advice} ways."),
            (_, 0) => format!("Problems of this flow: {problems}."),
            _ => format!("Problems of this flow: {problems}; it could be better in {advice} ways beside them."),
        };
        Self { sentence, is_good: problems == 0, findings }
    }
}

impl Found {
    fn of(found: &Json) -> Self {
        let block = text(found, "block_name");
        Self {
            is_problem: found["level"] == "problem",
            code: text(found, "code"),
            block: if block.is_empty() { "The whole flow".to_owned() } else { block },
            identifier: text(found, "block"),
            field: text(found, "field"),
            told: text(found, "told"),
            remedy: text(found, "remedy"),
        }
    }
}

async fn page(visit: &Visit, problem: Option<&Problem>, checked: Option<Checked>) -> Outcome {
    let tenant = Tenant::of(visit).await?;
    let integration = tenant.own(visit, "integration").await?;
    if !integration["settings"]["connect"].is_object() {
        return Err(Problem::not_found());
    }
    let page = FlowCheckPage {
        frame: visit.frame(),
        told: problem.map(Told::from),
        integration: text(&integration, "id"),
        name: text(&integration, "name"),
        flow: visit.form.text("flow").to_owned(),
        checked,
        tenant,
    };
    Ok(shown(status_of(problem), &page))
}
