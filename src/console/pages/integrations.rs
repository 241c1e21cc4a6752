//! A tenant's integrations: the tile to add one, and each that is there with its state.

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::Value;

use super::Outcome;
use super::answered::{list_of, text};
use super::frame::{Frame, shown};
use super::tenant::Tenant;
use super::told::Told;
use super::visit::{Page, Visit};
use super::wizard::Draft;
use crate::problem::Problem;

#[derive(Template)]
#[template(path = "integrations.html")]
struct IntegrationsPage {
    frame: Frame,
    tenant: Tenant,
    told: Option<Told>,
    /// Why none can be added.
    cannot: Option<String>,
    lines: Vec<Line>,
}

struct Line {
    name: String,
    state: &'static str,
    why: Vec<String>,
    numbers: String,
    /// Where its settings are.
    settings: Option<String>,
    /// Where the other side is set up, if that is Amazon's.
    amazon: Option<String>,
    next: Option<(&'static str, String)>,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new("/tenants/{tenant}/integrations", Role::Viewer, list)]
}

async fn list(visit: Visit) -> Outcome {
    let tenant = Tenant::of(&visit).await?;
    let of = format!("?tenant={}&limit=200", tenant.id);
    let (drafts, all) = (visit.get(format!("/drafts{of}")).await?, visit.get(format!("/integrations{of}")).await?);
    let mut lines = vec![];
    for draft in list_of(&drafts) {
        let next = visit.may(Role::Admin).then(|| ("Go on", Draft::read(tenant.clone(), draft).goes_on_at()));
        lines.push(Line {
            name: text(draft, "name"),
            state: "draft",
            why: vec![],
            numbers: String::new(),
            settings: None,
            amazon: None,
            next,
        });
    }
    for integration in list_of(&all) {
        let of = format!("/numbers?tenant={}&integration={}&limit=200", tenant.id, text(integration, "id"));
        lines.push(Line::of(&visit, &tenant, integration, &visit.get(of).await?).await?);
    }
    let cannot = match (tenant.from_file, visit.may(Role::Admin)) {
        (true, _) => Some("It comes from the configuration's file: add to that.".to_owned()),
        (false, false) => Some("An admin of your tenant can add one.".to_owned()),
        (false, true) => None,
    };
    let page = IntegrationsPage { frame: visit.frame(), tenant, told: None, cannot, lines };
    Ok(shown(StatusCode::OK, &page))
}

impl Line {
    async fn of(visit: &Visit, tenant: &Tenant, integration: &Value, numbers: &Value) -> Result<Self, Problem> {
        let id = text(integration, "id");
        let own = list_of(numbers);
        let serving = visit.get(format!("/integrations/{id}/applied")).await?;
        let not_applied = serving["not_applied"].as_array().map_or(&[][..], Vec::as_slice);
        let why: Vec<String> = not_applied
            .iter()
            .flat_map(|node| node["why"].as_array().into_iter().flatten())
            .filter_map(|why| why.as_str().map(str::to_owned))
            .collect();
        let called = own.iter().any(|number| number["first_call_at"].is_string());
        let (state, next) = match (tenant.from_file, why.is_empty(), own.is_empty(), called) {
            (true, ..) => ("served, from the file", None),
            (_, false, ..) => ("not served as it is kept", None),
            (_, _, true, _) => ("without a number", Some("Give it a number")),
            (_, _, _, false) => ("waiting for the first call", Some("See what it waits for")),
            (_, _, _, true) => ("working", Some("Numbers")),
        };
        let path = format!("/tenants/{}/integrations/{id}/numbers", tenant.id);
        let next = next.map(|told| (told, path));
        let more = if numbers["next"].is_string() { " and more" } else { "" };
        let numbers = format!("{}{more}", own.len());
        let is_connect = integration["settings"]["connect"].is_object();
        let amazon = is_connect.then(|| format!("/tenants/{}/integrations/{id}/amazon", tenant.id));
        let settings = Some(format!("/tenants/{}/integrations/{id}/settings", tenant.id));
        Ok(Self { name: text(integration, "name"), state, why, numbers, settings, amazon, next })
    }
}
