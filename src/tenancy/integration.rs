//! An integration: the numbers of a tenant that are served alike, and how their calls shall be treated.

use std::sync::Arc;

use ipnet::IpNet;

use crate::number::Number;
use crate::secret::Secret;
use crate::tenant::Tenant;
use crate::transfer_targets::TransferTargets;

/// All that a call needs to know of whom it is for; the services are wired beside it. A tenant of the configuration's
/// file is one with a single integration of the same name.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Names it on this node: the tenant's name for one of the configuration's file; the tenant's name, a slash and the identifier
    /// for one that a store keeps.
    pub id: String,
    /// Whose it is: who pays for its calls, is told of them and may see them.
    pub tenant: Arc<Tenant>,
    /// Its dialled numbers.
    pub numbers: Vec<OwnNumber>,
    /// Its Amazon Connect instance as `account/region/instance`; none where calls come from elsewhere.
    pub instance: Option<String>,
    /// Its language, a BCP 47 tag.
    pub language: String,
    /// Whether 180 is sent.
    pub ringing: Ringing,
    /// What happens to a call that fails before it was answered.
    pub before_answer: FailureBeforeAnswer,
    /// What happens when a hand-off is known to be impossible, or a transfer fails.
    pub on_transfer_failure: OnTransferFailure,
    /// "Don't place callers on hold while transferring to a live agent".
    pub hold: HoldOnTransfer,
    /// "Transfer failure message": spoken before a call ends for a failed transfer; none for silence.
    pub transfer_failure_message: Option<String>,
    /// What happens to a call that fails, where calls do not come from Amazon Connect.
    pub failover: Option<Failover>,
    /// "Enable SIP authentication": what a caller's side must know; over TLS alone.
    pub login: Option<Login>,
    /// Where calls may come from; empty for anywhere. Who is listed here is believed.
    pub sources: Vec<IpNet>,
    /// Where the assistant may have callers transferred to.
    pub transfer_targets: TransferTargets,
    /// The host name that the caller's side must have asked for in TLS (SNI), as a shared secret.
    pub server_name: Option<String>,
    /// The header that carries the contact id, if the integration has one of its own.
    pub contact_id_header: Option<String>,
    /// Who may show the agent page in a frame: origins of the `frame-ancestors` policy.
    pub frame_ancestors: Vec<String>,
    /// Who may read its conversations on that page.
    pub history_readers: HistoryReaders,
    /// Where its callers and agents are, as the time zone database names it; none for UTC.
    pub time_zone: Option<String>,
}

impl AsRef<Integration> for Integration {
    fn as_ref(&self) -> &Integration {
        self
    }
}

/// A number, and by what right it is an integration's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnNumber {
    /// The number.
    pub number: Number,
    /// Who says so.
    pub right: Right,
}

/// Who says that a number is somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// The file of whoever runs the node: nobody else has the number, whatever instance calls come from.
    Sole,
    /// An operator: calls that do not say which instance they come from are this integration's.
    Confirmed,
    /// The tenant alone: anybody can type a number.
    Claimed,
}

/// Who may read the conversation of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HistoryReaders {
    /// Whoever has it: it is a secret, and the contact flow gives it to agents alone.
    #[default]
    WhoHasTheKey,
    /// Who has it, and is signed in as one of the tenant's people.
    Agents,
}

/// "Disable the ring that callers hear while the assistant is contacted".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ringing {
    /// Send 180.
    #[default]
    On,
    /// Send only 100.
    Off,
}

/// What a Connect tenant wants for a call that fails before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailureBeforeAnswer {
    /// Answer and hang up: the flow takes its Success branch, to an agent.
    #[default]
    AnswerThenBye,
    /// 503: the flow takes its failure branch.
    ServiceUnavailable,
}

/// A user name and password of digest authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The realm of the challenge.
    pub realm: String,
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// Whether the caller hears nothing, or is left as they are, while a transfer is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HoldOnTransfer {
    /// A re-INVITE holds the call before the REFER.
    #[default]
    Hold,
    /// The REFER goes out at once.
    Leave,
}

/// What becomes of a call that fails, where no contact flow takes over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failover {
    /// "Call failure message": spoken first.
    pub message: Option<String>,
    /// "SIP target when a call fails": where the caller is referred to; without one the call ends.
    pub target: Option<String>,
}

/// "Disconnect call on transfer failure".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnTransferFailure {
    /// Hang up; the flow's queue serves the caller.
    #[default]
    Disconnect,
    /// Say so and go on with a turn `vgwCallTransferFailed`.
    Continue,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::settings;

    /// One with these numbers, of a tenant of its own.
    pub(crate) fn integration(name: &str, numbers: &[&str]) -> Integration {
        let document = serde_json::json!({
            "name": name, "numbers": numbers, "max_calls": 1,
            "assistant": {"kind": "scripted", "script": "acme.yaml"},
            "speech_to_text": {"kind": "counting"}, "text_to_speech": {"kind": "flite"},
        });
        let document = settings::json::read(&document.to_string()).expect("JSON");
        let read = settings::Reading::of(&document, &settings::Alone);
        assert_eq!(read.mistakes, []);
        read.settings.integration(Arc::new(read.settings.tenant()))
    }
}
