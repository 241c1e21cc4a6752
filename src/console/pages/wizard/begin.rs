//! What kind of integration, and what it is called; and giving one up.

use actix_web::http::StatusCode;
use askama::Template;
use serde_json::json;

use super::super::Outcome;
use super::super::answered::{list_of, status_of, text};
use super::super::frame::{Frame, shown};
use super::super::tenant::Tenant;
use super::super::told::Told;
use super::super::visit::{Visit, led_on};
use super::{Draft, Step};
use crate::problem::Problem;
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "wizard/begin.html")]
struct BeginPage {
    frame: Frame,
    told: Option<Told>,
    tenant: Tenant,
    name: String,
    is_trunk: bool,
}

#[derive(Template)]
#[template(path = "wizard/delete.html")]
struct DeletePage {
    frame: Frame,
    told: Option<Told>,
    draft: Draft,
    back: String,
}

pub(super) async fn show(visit: Visit) -> Outcome {
    let taken = names(&visit).await?;
    let free = (2..).map(|n| format!("Phone {n}")).find(|name| !taken.contains(name));
    let name = if taken.contains(&"Phone".to_owned()) { free.unwrap_or_default() } else { "Phone".to_owned() };
    page(&visit, None, name, false).await
}

/// What integrations and drafts of the tenant are called.
async fn names(visit: &Visit) -> Result<Vec<String>, Problem> {
    let mut names = vec![];
    for list in ["integrations", "drafts"] {
        let listed = visit.get(format!("/{list}?tenant={}&limit=200", visit.name("tenant"))).await?;
        names.extend(list_of(&listed).iter().map(|one| text(one, "name")));
    }
    Ok(names)
}

async fn page(visit: &Visit, problem: Option<&Problem>, name: String, is_trunk: bool) -> Outcome {
    let tenant = Tenant::of(visit).await?;
    let is_trunk = is_trunk || tenant.no_contact_center.is_some();
    let page = BeginPage { frame: visit.frame(), told: visit.told(problem), tenant, name, is_trunk };
    Ok(shown(status_of(problem), &page))
}

pub(super) async fn send(visit: Visit) -> Outcome {
    let (name, is_trunk) = (visit.form.line("name"), visit.form.text("kind") == "sip_trunk");
    // What a contact center's has is asked for at its step.
    let settings = if is_trunk { json!({}) } else { json!({"connect": {}}) };
    let body = json!({"name": name, "settings": settings});
    let tenant = visit.name("tenant").to_owned();
    let made = match names(&visit).await?.contains(&name) {
        true => Err(Problem::new(
            StatusCode::CONFLICT,
            format!("an integration is called `{name}` already: take another name"),
        )),
        false => visit.ask(Inquiry::post_json(format!("/drafts?tenant={tenant}"), body)).await,
    };
    let first = made.map(|draft| format!("/tenants/{tenant}/drafts/{}/phone", text(&draft, "id")));
    led_on(&visit, first, |visit, problem| async move { page(visit, Some(&problem), name, is_trunk).await }).await
}

pub(super) async fn ask_to_delete(visit: Visit) -> Outcome {
    let draft = Draft::of(&visit).await?;
    let back = draft.path(Step::Phone);
    Ok(shown(status_of(None), &DeletePage { frame: visit.frame(), told: None, draft, back }))
}

pub(super) async fn delete(visit: Visit) -> Outcome {
    let draft = Draft::of(&visit).await?;
    visit.ask(Inquiry::delete(format!("/drafts/{}", draft.id), draft.revision)).await?;
    Ok(visit.see_other(&format!("/tenants/{}/integrations", draft.tenant.id)))
}
