//! *SIP address*: what the other side is told to call.

use actix_web::http::StatusCode;
use askama::Template;

use super::super::Outcome;
use super::super::copied::{Copied, route};
use super::super::frame::{Frame, shown};
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
    route: Vec<Copied>,
    says: Vec<String>,
    draft: Draft,
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
        route: route(&address),
        says: says.collect(),
        draft,
    };
    Ok(shown(StatusCode::OK, &page))
}

pub(super) async fn send(visit: Visit) -> Outcome {
    let draft = Draft::of(&visit).await?;
    Ok(visit.see_other(&draft.beside(Step::SipAddress).1.unwrap_or_default()))
}
