//! Values that are copied into a console of somebody else.

use serde_json::{Value, json};

use super::answered::text;
use super::visit::Visit;
use crate::problem::Problem;

/// A value to copy; `copied.html` shows it.
pub(super) struct Copied {
    /// Of its field in the page.
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// What REST says of the SIP address; of an integration with a host name of its own that name, which leads to every server.
pub(super) async fn address(visit: &Visit, own: &str) -> Result<Value, Problem> {
    let mut address = visit.get("/sip-address").await?;
    if !own.is_empty() {
        (address["host"], address["nodes"]) = (own.into(), json!([]));
    }
    Ok(address)
}

/// What an inbound route of a Voice Connector, or a trunk, is told, of what REST says of the SIP address.
pub(super) fn route(address: &Value) -> Vec<Copied> {
    vec![
        Copied { id: "host", name: "Host", value: text(address, "host") },
        Copied { id: "port", name: "Port", value: address["port"].to_string() },
        Copied { id: "protocol", name: "Protocol", value: text(address, "protocol") },
        Copied { id: "priority", name: "Priority", value: "1".to_owned() },
        Copied { id: "weight", name: "Weight", value: "5".to_owned() },
    ]
}
