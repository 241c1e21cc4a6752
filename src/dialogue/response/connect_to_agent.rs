//! `connect_to_agent`: hand the caller over to a person.

use serde_json::Value;

use super::Response;
use super::fields::text;
use super::sip_target::{self, SipTarget};
use crate::plain_text;

/// A transfer as the assistant asks for it.
#[derive(Clone, PartialEq, Default)]
pub struct ConnectToAgent {
    /// Spoken before the transfer.
    pub agent_available: Option<String>,
    /// Spoken when no transfer is possible and the call goes on.
    pub agent_unavailable: Option<String>,
    /// A note for the agent's page.
    pub message_to_human_agent: Option<String>,
    /// `transfer_info.target.amazon_connect.custom_data`.
    pub custom_data: Option<Value>,
    /// `transfer_info.target.service_desk.sip`, for tenants without Amazon Connect.
    pub sip: Option<SipTarget>,
}

impl std::fmt::Debug for ConnectToAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnectToAgent")
    }
}

pub(super) fn read(item: &Value) -> Response {
    let text = |path: &str| text(item.pointer(path));
    let said = |path: &str| text(path).map(|text| plain_text::of_markdown(&text));
    Response::ConnectToAgent(ConnectToAgent {
        agent_available: said("/agent_available/message"),
        agent_unavailable: said("/agent_unavailable/message"),
        message_to_human_agent: text("/message_to_human_agent"),
        custom_data: item.pointer("/transfer_info/target/amazon_connect/custom_data").cloned(),
        sip: sip_target::read(item),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_published_example_is_read() {
        let item = json!({
            "response_type": "connect_to_agent",
            "transfer_info": {"target": {"amazon_connect": {"custom_data": {"contact_attribute1": "test"}}}},
            "agent_available": {"message": "Ok, I'm transferring you to an agent."},
            "agent_unavailable": {"message": "Agent is unavailable."}
        });
        let Response::ConnectToAgent(read) = read(&item) else { panic!("a transfer") };
        assert_eq!(read.agent_available.as_deref(), Some("Ok, I'm transferring you to an agent."));
        assert_eq!(read.agent_unavailable.as_deref(), Some("Agent is unavailable."));
        assert_eq!(read.custom_data, Some(json!({"contact_attribute1": "test"})));
    }
}
