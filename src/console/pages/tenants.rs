//! The first page, and an operator's list of tenants.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::{Value, json};

use super::Outcome;
use super::answered::{list_of, status_of, text};
use super::frame::{Frame, shown};
use super::told::Told;
use super::visit::{Page, Visit, led_on};
use crate::problem::Problem;
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "tenants.html")]
struct TenantsPage {
    frame: Frame,
    told: Option<Told>,
    tenants: Vec<Tenant>,
    next: Option<String>,
    plans: Vec<Plan>,
    new: New,
}

struct Tenant {
    id: String,
    name: String,
    title: String,
    plan: String,
    state: String,
    applied: String,
}

struct Plan {
    name: String,
    told: String,
}

/// What was typed of a tenant.
#[derive(Default)]
struct New {
    name: String,
    title: String,
    plan: String,
    takes_over_calls: bool,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new("/", Role::Agent, first), Page::new("/tenants", Role::Operator, list).sends(add)]
}

/// Everybody begins where they have something to do.
async fn first(visit: Visit) -> Outcome {
    match visit.by.signed_in.scope().tenant() {
        None => Ok(visit.see_other("/tenants")),
        Some(own) if visit.may(Role::Viewer) => Ok(visit.see_other(&format!("/tenants/{own}"))),
        Some(_) => Err(Problem::forbidden(
            "an agent's page is opened by the contact flow: there is nothing to set up for your role",
        )),
    }
}

async fn list(visit: Visit) -> Outcome {
    made(&visit, None, New { plan: "plus".to_owned(), ..New::default() }).await
}

async fn add(visit: Visit) -> Outcome {
    let [name, title, plan] = ["name", "title", "plan"].map(|field| visit.form.line(field));
    let new =
        New { name, title, plan, takes_over_calls: visit.form.all("takes_over_calls").contains(&"on".to_owned()) };
    let body =
        json!({"name": new.name, "title": new.title, "plan": new.plan, "takes_over_calls": new.takes_over_calls});
    let sent = visit.ask(Inquiry::post_json("/tenants", body)).await;
    let path = sent.map(|made| format!("/tenants/{}/integrations", text(&made, "id")));
    led_on(&visit, path, |visit, problem| async move { made(visit, Some(&problem), new).await }).await
}

async fn made(visit: &Visit, problem: Option<&Problem>, new: New) -> Outcome {
    let after = visit.query("after");
    let after = if after.is_empty() { String::new() } else { format!("&after={after}") };
    let listed = visit.get(format!("/tenants?limit=100{after}")).await?;
    let plans = visit.get("/plans").await?;
    let tenants = list_of(&listed).iter().map(|tenant| Tenant {
        id: text(tenant, "id"),
        name: text(tenant, "name"),
        title: text(tenant, "title"),
        plan: if tenant["from_file"] == true { "from the file".to_owned() } else { text(tenant, "plan") },
        state: text(tenant, "state"),
        applied: text(&tenant["applied"], "told"),
    });
    let plan = |plan: &Value| {
        let center = if plan["contact_center"] == true { "with" } else { "without" };
        let told = format!("{} calls at once, {center} a contact center", plan["calls"]);
        Plan { name: text(plan, "name"), told }
    };
    let shows = TenantsPage {
        frame: visit.frame(),
        told: visit.told(problem),
        tenants: tenants.collect(),
        next: listed["next"].as_str().map(str::to_owned),
        plans: list_of(&plans).iter().map(plan).collect(),
        new,
    };
    Ok(shown(status_of(problem), &shows))
}
