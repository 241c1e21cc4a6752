//! The Amazon side, step by step: what is entered in which console, with every value to copy.
//!
//! Invariant: nothing here is kept; what an integration has (its instance, its address) is filled in, and what it has not is said to be looked up.

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::json;

use super::Outcome;
use super::frame::{Frame, shown};
use super::integrations::Tenant;
use super::tenants::text;
use super::visit::{Page, Visit};
use crate::problem::Problem;

#[derive(Template)]
#[template(path = "amazon_side.html")]
struct AmazonSidePage {
    frame: Frame,
    tenant: Tenant,
    integration: String,
    name: String,
    route: Vec<Value>,
    blocks: Vec<Block>,
}

/// A value to copy.
struct Value {
    id: String,
    name: &'static str,
    value: String,
}

/// A block of the contact flow.
struct Block {
    name: &'static str,
    does: &'static str,
    /// What is chosen in it, in words.
    says: Vec<&'static str>,
    values: Vec<Value>,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new("/tenants/{tenant}/integrations/{integration}/amazon", Role::Viewer, show)]
}

async fn show(visit: Visit) -> Outcome {
    let tenant = Tenant::of(&visit).await?;
    let integration = visit.get(format!("/integrations/{}", visit.name("integration"))).await?;
    let is_connect = integration["settings"]["connect"].is_object();
    if integration["tenant"] != json!(tenant.id) || !is_connect {
        return Err(Problem::not_found());
    }
    let address = visit.get("/sip-address").await?;
    let value = |id: &str, name, value: String| Value { id: id.to_owned(), name, value };
    let route = vec![
        value("host", "Host", text(&address, "host")),
        value("port", "Port", address["port"].to_string()),
        value("protocol", "Protocol", text(&address, "protocol")),
        value("priority", "Priority", "1".to_owned()),
        value("weight", "Weight", "5".to_owned()),
    ];
    let page = AmazonSidePage {
        frame: visit.frame(),
        integration: text(&integration, "id"),
        name: text(&integration, "name"),
        route,
        blocks: blocks(&format!("{}/loadAgentAppFrame.html?session_history_key", visit.public_url())),
        tenant,
    };
    Ok(shown(StatusCode::OK, &page))
}

/// The blocks of a flow in their order; where agents see the conversation is an address without its last `=`.
fn blocks(screen_pop_url: &str) -> Vec<Block> {
    let value = |id: &str, name, value: &str| Value { id: id.to_owned(), name, value: value.to_owned() };
    let key = "$.Attributes.SessionHistoryKey";
    vec![
        Block {
            name: "Transfer to phone number",
            does: "connects the caller to the assistant",
            says: vec![
                "Transfer via: Voice Connector; Voice Connector ARN: Set manually, the ARN that the Chime console shows of yours",
                "To User: Use attribute, Type System, Attribute Dialed Number",
                "From User: Use attribute, Type System, Attribute Customer Number",
                "User to User Information (UUI): Use attribute, Type System, Attribute Instance ARN",
                "Set timeout: 60 seconds; Resume flow after disconnect: Yes",
            ],
            values: vec![],
        },
        Block {
            name: "Check contact attributes",
            does: "tells whether the caller wants an agent",
            says: vec!["Attribute to check: Type User Defined; Condition: Contains"],
            values: vec![value("check", "Attribute", key), value("contains", "Contains", "hangup")],
        },
        Block {
            name: "Disconnect",
            does: "ends the contact, where the condition is met",
            says: vec![],
            values: vec![],
        },
        Block {
            name: "Set contact attributes",
            does: "has the agent's screen open the conversation, where it is not met",
            says: vec![
                "Two attributes of the type User Defined: the first by Use text, the second by Use attribute, User Defined",
            ],
            values: vec![
                value("pop", "screenPopURL", screen_pop_url),
                value("session-history-key", "sessionHistoryKey", key),
            ],
        },
        Block {
            name: "Set working queue, then Transfer to queue",
            does: "carry the caller to an agent; every failure of the blocks above leads here too, so that nobody is lost",
            says: vec!["Choose the queue that your agents work on"],
            values: vec![],
        },
    ]
}
