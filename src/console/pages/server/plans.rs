//! Plans: what tenants may have.

use actix_web::http::StatusCode;
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
#[template(path = "server/plans.html")]
struct PlansPage {
    frame: Frame,
    told: Option<Told>,
    links: Vec<Link>,
    plans: Vec<Plan>,
    /// What is typed of a new one, or of the one that is changed.
    typed: Typed,
}

struct Plan {
    name: String,
    revision: String,
    calls: String,
    per_second: String,
    contact_center: &'static str,
    is_built_in: bool,
}

/// A plan in its form.
#[derive(Default)]
struct Typed {
    /// Whether it is one that is there.
    is_change: bool,
    name: String,
    revision: String,
    calls: String,
    per_second: String,
    has_contact_center: bool,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new("/server/plans", Role::Operator, |visit| async move { page(&visit, None).await }).sends(send)]
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let listed = visit.get("/plans").await?;
    let changed = list_of(&listed).iter().find(|plan| plan["built_in"] != true && text(plan, "name") == named(visit));
    let page = PlansPage {
        frame: visit.frame(),
        told: visit.told(problem),
        links: links(visit),
        plans: list_of(&listed).iter().map(Plan::of).collect(),
        typed: match problem {
            Some(problem) => Typed::sent(visit, problem, changed),
            None => changed.map(Typed::kept).unwrap_or_default(),
        },
    };
    Ok(shown(status_of(problem), &page))
}

/// The plan that is changed; empty if a new one is made.
fn named(visit: &Visit) -> String {
    match visit.form.text("do") {
        "change" => visit.form.line("name"),
        _ => visit.query("change").to_owned(),
    }
}

impl Plan {
    fn of(plan: &Value) -> Self {
        let per_second = &plan["calls_per_second"];
        Self {
            name: text(plan, "name"),
            revision: plan["revision"].to_string(),
            calls: plan["calls"].to_string(),
            per_second: if per_second.is_null() { "any number".to_owned() } else { per_second.to_string() },
            contact_center: if plan["contact_center"] == true { "yes" } else { "no" },
            is_built_in: plan["built_in"] == true,
        }
    }
}

impl Typed {
    fn kept(plan: &Value) -> Self {
        let per_second = &plan["calls_per_second"];
        Self {
            is_change: true,
            name: text(plan, "name"),
            revision: plan["revision"].to_string(),
            calls: plan["calls"].to_string(),
            per_second: if per_second.is_null() { String::new() } else { per_second.to_string() },
            has_contact_center: plan["contact_center"] == true,
        }
    }

    fn sent(visit: &Visit, problem: &Problem, changed: Option<&Value>) -> Self {
        let form = &visit.form;
        let newest = changed.map(|plan| plan["revision"].to_string()).unwrap_or_default();
        // Whoever was second sees what they typed, and sends it over what the first has kept.
        let was_second = problem.status() == StatusCode::PRECONDITION_FAILED;
        Self {
            is_change: changed.is_some(),
            name: form.line("name"),
            revision: if was_second { newest } else { form.line("revision") },
            calls: form.line("calls"),
            per_second: form.line("calls_per_second"),
            has_contact_center: form.has("contact_center"),
        }
    }
}

/// A number as REST takes it; what is none is REST's to refuse.
fn number(typed: &str) -> Value {
    match typed {
        "" => Value::Null,
        typed => typed.parse::<u64>().map_or_else(|_| json!(typed), |number| json!(number)),
    }
}

async fn send(visit: Visit) -> Outcome {
    let form = &visit.form;
    let (name, revision) = (form.line("name"), form.line("revision").parse().unwrap_or_default());
    let path = format!("/plans/{name}");
    let mut body = json!({
        "calls": number(&form.line("calls")), "calls_per_second": number(&form.line("calls_per_second")),
        "contact_center": form.has("contact_center"),
    });
    let sent = match form.text("do") {
        "delete" => visit.ask(Inquiry::delete(path, revision)).await,
        "change" => visit.ask(Inquiry::patch(path, revision, body)).await,
        _ => {
            body["name"] = name.into();
            // What is left empty is not said.
            body.as_object_mut().expect("it was made one").retain(|_, said| !said.is_null());
            visit.ask(Inquiry::post_json("/plans", body)).await
        }
    };
    let sent = sent.map(|_| visit.kept());
    led_on(&visit, sent, |visit, problem| async move { page(visit, Some(&problem)).await }).await
}
