//! A tenant: whose calls these are and how they shall be treated.

use std::time::Duration;

use crate::number::Number;
use crate::quota::Quota;

/// What the engine needs to know of a tenant; its services are wired beside it.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its name: letters, digits, `-` and `_`; the label of its metrics.
    pub name: String,
    /// Its dialled numbers.
    pub numbers: Vec<Number>,
    /// Its language, a BCP 47 tag.
    pub language: String,
    /// Its limit on simultaneous calls.
    pub calls: Quota,
    /// Whether 180 is sent.
    pub ringing: Ringing,
    /// What happens to a call that fails before it was answered.
    pub before_answer: FailureBeforeAnswer,
    /// What happens when a hand-off is known to be impossible.
    pub on_transfer_failure: OnTransferFailure,
    /// The header that carries the contact id, if the tenant has one of its own.
    pub contact_id_header: Option<String>,
    /// Who may show the agent page in a frame: origins of the `frame-ancestors` policy.
    pub frame_ancestors: Vec<String>,
    /// How long a caller may be silent after a reply.
    pub post_response_timeout: Duration,
    /// How long the assistant may take for one try.
    pub assistant_timeout: Duration,
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

    pub(crate) fn tenant(name: &str, numbers: &[&str]) -> Tenant {
        Tenant {
            name: name.into(),
            numbers: numbers.iter().map(|n| Number::parse(n).expect("good")).collect(),
            language: "en-US".into(),
            calls: Quota::new(1),
            ringing: Ringing::On,
            before_answer: FailureBeforeAnswer::default(),
            on_transfer_failure: OnTransferFailure::default(),
            contact_id_header: None,
            frame_ancestors: vec![],
            post_response_timeout: Duration::from_secs(7),
            assistant_timeout: Duration::from_secs(5),
        }
    }
}
