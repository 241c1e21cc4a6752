//! *SIP address*: what the other side is told to call.

use actix_web::http::StatusCode;
use askama::Template;

use super::super::Outcome;
use super::super::frame::{Frame, shown};
use super::super::tenants::text;
use super::super::told::Told;
use super::super::visit::Visit;
use super::{Draft, Listed, Step};

#[derive(Template)]
#[template(path = "wizard/sip_address.html")]
struct AddressPage {
    frame: Frame,
    told: Option<Told>,
    steps: Vec<Listed>,
    back: String,
    rows: Vec<Row>,
    says: Vec<String>,
    draft: Draft,
}

/// A value to copy.
struct Row {
    id: &'static str,
    name: &'static str,
    value: String,
}

pub(super) async fn show(visit: Visit) -> Outcome {
    let draft = Draft::of(&visit).await?;
    let address = visit.get("/sip-address").await?;
    let says = address["told"].as_array().into_iter().flatten().filter_map(|told| told.as_str().map(str::to_owned));
    let page = AddressPage {
        frame: visit.frame(),
        told: None,
        steps: draft.steps(Step::SipAddress),
        back: draft.beside(Step::SipAddress).0,
        rows: vec![
            Row { id: "host", name: "Host", value: text(&address, "host") },
            Row { id: "port", name: "Port", value: address["port"].to_string() },
            Row { id: "protocol", name: "Protocol", value: text(&address, "protocol") },
            Row { id: "priority", name: "Priority", value: "1".to_owned() },
            Row { id: "weight", name: "Weight", value: "5".to_owned() },
        ],
        says: says.collect(),
        draft,
    };
    Ok(shown(StatusCode::OK, &page))
}

pub(super) async fn send(visit: Visit) -> Outcome {
    let draft = Draft::of(&visit).await?;
    Ok(visit.see_other(&draft.beside(Step::SipAddress).1.unwrap_or_default()))
}
