//! `sip-address`: where callers' sides send calls.

use bellhop_tenancy::access::Role;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::given::Given;
use super::route::{Outcome, Route};
use crate::ports::SipAddress;

/// Where callers' sides send calls.
#[derive(Serialize, ToSchema)]
struct Address {
    /// The name or address that they call; null if this server does not know how others call it.
    host: Option<String>,
    #[schema(example = 5061)]
    port: u16,
    /// As a Voice Connector calls it.
    #[schema(example = "TCP")]
    protocol: &'static str,
    /// Whether the connector's encryption may be on: calls come by TLS with SRTP then.
    is_encrypted: bool,
    /// What is to be known of it, in sentences.
    told: Vec<String>,
    /// Where each server is called that shares the store with the one that is asked and takes calls; each address once.
    nodes: Vec<AddressOfNode>,
}

/// Where one server is called.
#[derive(Serialize, ToSchema, PartialEq)]
struct AddressOfNode {
    host: String,
    port: u16,
}

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/sip-address", Role::Viewer, "Tells where callers' sides send calls", show).gives::<Address>()]
}

async fn show(asked: Asked) -> Outcome {
    let SipAddress { host, port, protocol, is_encrypted, told } = asked.ports.reached.sip_address();
    let mut nodes: Vec<AddressOfNode> = vec![];
    for node in asked.ports.store.applied().await?.into_iter().filter(|node| !node.says.is_draining) {
        let Some(host) = node.says.sip_host else { continue };
        let address = AddressOfNode { host, port: node.says.sip_port };
        if !nodes.contains(&address) {
            nodes.push(address);
        }
    }
    Ok(Given::one(&Address { host, port, protocol, is_encrypted, told, nodes }))
}
