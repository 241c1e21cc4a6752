//! *SIP address*: what the other side is told to call.

use actix_web::http::StatusCode;
use askama::Template;
use serde_json::Value;

use super::super::Outcome;
use super::super::answered::text;
use super::super::copied::{Copied, address, route};
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
    /// Where each server is called, if that is more than one place.
    nodes: Vec<Node>,
    says: Vec<String>,
    draft: Draft,
}

/// Where one server is called.
struct Node {
    /// Of its field in the page.
    id: String,
    host: String,
    port: String,
}

/// The servers of an address, if calls may go to more than one place.
fn nodes(address: &Value) -> Vec<Node> {
    let all = address["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    if all.len() < 2 {
        return vec![];
    }
    let node = |(at, node): (usize, &Value)| Node {
        id: format!("host-{}", at + 1),
        host: text(node, "host"),
        port: node["port"].to_string(),
    };
    all.iter().enumerate().map(node).collect()
}

pub(super) async fn show(visit: Visit) -> Outcome {
    let draft = Draft::of(&visit).await?;
    let address = address(&visit, &draft.text("sip", "server_name")).await?;
    let says = address["told"].as_array().into_iter().flatten().filter_map(|told| told.as_str().map(str::to_owned));
    let page = AddressPage {
        frame: visit.frame(),
        told: None,
        steps: draft.steps(Step::SipAddress),
        back: draft.beside(Step::SipAddress).0,
        route: route(&address),
        nodes: nodes(&address),
        says: says.collect(),
        draft,
    };
    Ok(shown(StatusCode::OK, &page))
}

pub(super) async fn send(visit: Visit) -> Outcome {
    let draft = Draft::of(&visit).await?;
    Ok(visit.see_other(&draft.beside(Step::SipAddress).1.unwrap_or_default()))
}
