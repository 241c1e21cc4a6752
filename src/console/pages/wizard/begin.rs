//! What kind of integration, and what it is called; and giving one up.

use askama::Template;
use serde_json::json;

use super::super::Outcome;
use super::super::frame::{Frame, shown};
use super::super::integrations::Tenant;
use super::super::tenants::{status_of, text};
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
    page(&visit, None, "Phone".to_owned(), false).await
}

async fn page(visit: &Visit, problem: Option<&Problem>, name: String, is_trunk: bool) -> Outcome {
    let tenant = Tenant::of(visit).await?;
    let is_trunk = is_trunk || tenant.no_contact_center.is_some();
    let page = BeginPage { frame: visit.frame(), told: problem.map(Told::from), tenant, name, is_trunk };
    Ok(shown(status_of(problem), &page))
}

pub(super) async fn send(visit: Visit) -> Outcome {
    let (name, is_trunk) = (visit.form.line("name"), visit.form.text("kind") == "sip_trunk");
    // What a contact center's has is asked for at its step.
    let settings = if is_trunk { json!({}) } else { json!({"connect": {}}) };
    let body = json!({"name": name, "settings": settings});
    let tenant = visit.name("tenant").to_owned();
    let made = visit.ask(Inquiry::post_json(format!("/drafts?tenant={tenant}"), body)).await;
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
