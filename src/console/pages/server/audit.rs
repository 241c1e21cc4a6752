//! Who did what, the newest first.

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::Value;

use super::super::Outcome;
use super::super::answered::{list_of, text};
use super::super::frame::{Frame, shown};
use super::super::visit::{Page, Visit};
use super::{Link, links};

#[derive(Template)]
#[template(path = "server/audit.html")]
struct AuditPage {
    frame: Frame,
    links: Vec<Link>,
    lines: Vec<Line>,
    /// The query of the next page.
    next: Option<String>,
    action: String,
    name: String,
    tenant: String,
    tenants: Vec<(String, String)>,
}

struct Line {
    number: String,
    at: String,
    name: String,
    from: String,
    action: String,
    on: String,
    fields: String,
    outcome: String,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new("/server/audit", Role::Operator, page)]
}

async fn page(visit: Visit) -> Outcome {
    let filter = |name: &'static str| (name, visit.query(name).trim().to_owned());
    let (action, name, tenant) = (filter("action"), filter("name"), filter("tenant"));
    let query = |more: &[(&str, String)]| {
        let all = [&action, &name, &tenant].into_iter().chain(more).filter(|(_, text)| !text.is_empty());
        form_urlencoded::Serializer::new(String::new()).extend_pairs(all.map(|(name, text)| (*name, text))).finish()
    };
    let asked = query(&[("limit", "100".to_owned()), filter("after")]);
    let listed = visit.get(format!("/audit?{asked}")).await?;
    let tenants = visit.get("/tenants?limit=200").await?;
    let page = AuditPage {
        frame: visit.frame(),
        links: links(&visit),
        lines: list_of(&listed).iter().map(Line::of).collect(),
        next: listed["next"].as_str().map(|next| query(&[("after", next.to_owned())])),
        tenants: list_of(&tenants).iter().map(|one| (text(one, "id"), text(one, "name"))).collect(),
        action: action.1.clone(),
        name: name.1.clone(),
        tenant: tenant.1.clone(),
    };
    Ok(shown(StatusCode::OK, &page))
}

impl Line {
    fn of(line: &Value) -> Self {
        let fields = line["fields"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Self {
            number: line["number"].to_string(),
            at: text(line, "at"),
            name: text(line, "name"),
            from: text(line, "from"),
            action: text(line, "action"),
            on: text(line, "on"),
            fields: fields.collect::<Vec<_>>().join(", "),
            outcome: text(line, "outcome"),
        }
    }
}
