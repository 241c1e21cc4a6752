//! One assistant or speech service on a page of its own: what it says, by the fields of its kind.
//!
//! Invariant: a secret that is kept is never shown, and stays where none is typed; what no field of the page says stays as it is.

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::{Value, json};

use super::Outcome;
use super::answered::{status_of, text};
use super::frame::{Frame, shown};
use super::kinds::{ASSISTANTS, Field, Kind, Port, Sort};
use super::script::{Numbered, numbered};
use super::tenant::Tenant;
use super::told::Told;
use super::visit::{Page, Visit, led_on};
use crate::problem::Problem;
use crate::rest::Inquiry;

/// What a page is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Assistant,
    Service,
}

impl Part {
    /// What a path calls it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Assistant => "assistant",
            Self::Service => "service",
        }
    }

    /// What several of them are called.
    fn plural(self) -> &'static str {
        match self {
            Self::Assistant => "assistants",
            Self::Service => "speech services",
        }
    }

    fn kinds(self, document: &Value) -> &'static [Kind] {
        match self {
            Self::Assistant => &ASSISTANTS,
            Self::Service => Port::of(document).kinds,
        }
    }
}

#[derive(Template)]
#[template(path = "part.html")]
struct PartPage {
    frame: Frame,
    told: Option<Told>,
    tenant: Tenant,
    part: Part,
    may_change: bool,
    id: String,
    name: String,
    revision: String,
    kind: &'static Kind,
    typed: Vec<String>,
    /// Of its script.
    lines: Vec<Numbered>,
    /// What came of its last test, and whether that was good.
    tested: Option<(bool, String)>,
}

/// The page of each.
pub(super) fn page_of(part: Part, pattern: &'static str) -> Page {
    Page::new(pattern, Role::Viewer, move |visit| async move { one(&visit, part, None).await })
        .sends(move |visit| change(visit, part))
}

/// What the path names, with its kind.
pub(super) async fn named(visit: &Visit, part: Part) -> Result<(Tenant, Value, &'static Kind), Problem> {
    let tenant = Tenant::of(visit).await?;
    let document = tenant.own(visit, part.word()).await?;
    let kind = part.kinds(&document).iter().find(|kind| document["settings"]["kind"] == kind.kind);
    Ok((tenant, document, kind.ok_or_else(Problem::not_found)?))
}

async fn one(visit: &Visit, part: Part, problem: Option<&Problem>) -> Outcome {
    let (tenant, document, kind) = named(visit, part).await?;
    let typed = |field: &Field| match (field.sort, problem) {
        (Sort::Secret, _) => String::new(),
        (_, Some(_)) => visit.form.text(field.key).to_owned(),
        (_, None) => text(&document["settings"], field.key),
    };
    let typed: Vec<String> = kind.fields.iter().map(typed).collect();
    let script = kind.fields.iter().position(Field::is_script).map_or("", |at| &typed[at]);
    let (told, tested) = (visit.told(problem), &document["tested"]);
    let page = PartPage {
        frame: visit.frame(),
        lines: numbered(script, &told),
        told,
        part,
        may_change: visit.may(Role::Admin),
        id: text(&document, "id"),
        name: if problem.is_some() { visit.form.line("name") } else { text(&document, "name") },
        // Whoever was second sees what they typed, and sends it over what the first has kept.
        revision: match problem.is_some_and(|problem| problem.status() != StatusCode::PRECONDITION_FAILED) {
            true => visit.form.line("revision"),
            false => document["revision"].to_string(),
        },
        typed,
        kind,
        tenant,
        tested: tested.is_object().then(|| (tested["good"] == true, text(tested, "told"))),
    };
    Ok(shown(status_of(problem), &page))
}

async fn change(visit: Visit, part: Part) -> Outcome {
    let came = changed(&visit, part).await;
    led_on(&visit, came, |visit, problem| async move { one(visit, part, Some(&problem)).await }).await
}

async fn changed(visit: &Visit, part: Part) -> Result<String, Problem> {
    let (tenant, document, kind) = named(visit, part).await?;
    let (path, form) = (format!("/{}s/{}", part.word(), text(&document, "id")), &visit.form);
    let revision = form.line("revision").parse().unwrap_or_default();
    match form.text("do") {
        "delete" => {
            visit.ask(Inquiry::delete(path, revision)).await?;
            return Ok(format!("/tenants/{}/{}s", tenant.id, part.word()));
        }
        "test" => {
            visit.ask(Inquiry::post(format!("{path}/test"))).await?;
            return Ok(visit.path_below_root());
        }
        _ => {}
    }
    let mut settings = kind.settings(form);
    for field in kind.fields {
        // What is emptied is taken away; a secret that is not typed stays.
        if settings[field.key].is_null() && field.sort != Sort::Secret {
            settings[field.key] = Value::Null;
        }
    }
    let patch = json!({"name": form.line("name"), "settings": settings});
    visit.ask(Inquiry::patch(path, revision, patch)).await?;
    Ok(visit.kept())
}
