//! One tenant as its operator has it: what it is called, its plan, whether it is served, and its end.
//!
//! Invariant: a tenant is deleted by who types its name, and by nobody who pressed the wrong button.

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::json;

use super::super::Outcome;
use super::super::answered::{list_of, status_of, text};
use super::super::frame::{Frame, shown};
use super::super::told::Told;
use super::super::visit::{Page, Visit, led_on};
use super::{Link, links};
use crate::problem::{Fault, Problem};
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "server/tenant.html")]
struct TenantPage {
    frame: Frame,
    told: Option<Told>,
    links: Vec<Link>,
    id: String,
    name: String,
    from_file: bool,
    revision: String,
    title: String,
    plan: String,
    is_suspended: bool,
    plans: Vec<String>,
}

pub(super) fn pages() -> Vec<Page> {
    let show = |visit: Visit| async move { page(&visit, None).await };
    vec![Page::new("/server/tenants/{tenant}", Role::Operator, show).sends(send)]
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let tenant = visit.get(format!("/tenants/{}", visit.name("tenant"))).await?;
    let plans = visit.get("/plans").await?;
    let typed = |field: &str| match problem {
        Some(_) => visit.form.line(field),
        None => text(&tenant, field),
    };
    let page = TenantPage {
        frame: visit.frame(),
        told: visit.told(problem),
        links: links(visit),
        id: text(&tenant, "id"),
        name: text(&tenant, "name"),
        from_file: tenant["from_file"] == true,
        // Whoever was second sees what they typed, and sends it over what the first has kept.
        revision: match problem.is_some_and(|problem| problem.status() != StatusCode::PRECONDITION_FAILED) {
            true => visit.form.line("revision"),
            false => tenant["revision"].to_string(),
        },
        title: typed("title"),
        plan: typed("plan"),
        is_suspended: typed("state") == "suspended",
        plans: list_of(&plans).iter().map(|plan| text(plan, "name")).collect(),
    };
    Ok(shown(status_of(problem), &page))
}

async fn send(visit: Visit) -> Outcome {
    let came = sent(&visit).await;
    led_on(&visit, came, |visit, problem| async move { page(visit, Some(&problem)).await }).await
}

async fn sent(visit: &Visit) -> Result<String, Problem> {
    let form = &visit.form;
    let tenant = visit.get(format!("/tenants/{}", visit.name("tenant"))).await?;
    let path = format!("/tenants/{}", text(&tenant, "id"));
    let seen: i64 = form.line("revision").parse().unwrap_or_default();
    if form.text("do") != "delete" {
        let patch = json!({"title": form.line("title"), "plan": form.line("plan"), "state": form.text("state")});
        visit.ask(Inquiry::patch(path, seen, patch)).await?;
        return Ok(visit.kept());
    }
    if tenant["name"] != form.line("named") {
        let why = "is not its name: type that, for nothing brings back what is deleted";
        return Err(Problem::faults(vec![Fault::at("#/named", why)]));
    }
    visit.ask(Inquiry::delete(path, seen)).await?;
    Ok("/tenants".to_owned())
}
