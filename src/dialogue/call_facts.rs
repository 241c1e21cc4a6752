//! What is known of a call, as the assistant is told with every turn.
//!
//! Invariant: it prints itself redacted: numbers and URIs are the caller's own business.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The facts of one call. An empty text stands for what is not known.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallFacts {
    /// The caller's number or user name.
    pub caller: String,
    /// The number that was dialled.
    pub dialled: String,
    /// `Call-ID` of the INVITE.
    pub sip_call_id: String,
    /// The Request-URI of the INVITE, as it came.
    pub sip_request_uri: String,
    /// The URI in `From`.
    pub sip_from_uri: String,
    /// The URI in `To`.
    pub sip_to_uri: String,
    /// The headers that the tenant wants to see, in the author's spelling.
    pub invite_headers: Vec<(String, String)>,
}

impl CallFacts {
    /// `context.integrations` of the vendor's message API.
    pub fn integrations(&self) -> Map<String, Value> {
        let mut telephony = json!({
            "private": {
                "user_phone_number": self.caller,
                "sip_request_uri": self.sip_request_uri,
                "sip_from_uri": self.sip_from_uri,
                "sip_to_uri": self.sip_to_uri,
            },
            "sip_call_id": self.sip_call_id,
            "assistant_phone_number": self.dialled,
        });
        if !self.invite_headers.is_empty() {
            let headers = self.invite_headers.iter().map(|(name, value)| (name.clone(), json!(value)));
            telephony["sip_custom_invite_headers"] = Value::Object(headers.collect());
        }
        let user = json!({"user": {"id": self.caller, "phone_number": self.caller}});
        Map::from_iter([
            ("channel".to_owned(), json!({"name": "Phone", "private": user})),
            ("voice_telephony".to_owned(), telephony),
        ])
    }
}

impl fmt::Debug for CallFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallFacts({} headers)", self.invite_headers.len())
    }
}
