//! The contact flow that hands a caller to us and goes on after our BYE: a graph of actions, without IO.
//!
//! ```text
//! log → clear → transfer → check ─ hangup ───────────────────────────────▶ hangup
//!                  │          └─ else ▶ screen_pop ▶ set_queue ▶ to_queue ▶ hangup
//!                  └ failed, late, error ▶ a sentence ────▶ set_queue          └ full ▶ a sentence ▶ hangup
//! ```
//!
//! Invariant: no failure before the queue loses the caller: it leads to the queue. How it is written: `flow/language.rs`.

pub mod language;

use crate::InstanceArn;

/// A flow: its first action, and all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Where it begins.
    pub start: &'static str,
    /// All actions, in the order in which they are written.
    pub actions: Vec<Action>,
}

/// An action, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Names it in its flow: at most 50 characters.
    pub identifier: &'static str,
    /// What it does.
    pub does: Does,
    /// What comes next when all went well; nothing after a disconnect.
    pub next: Option<&'static str>,
    /// What comes next when something went wrong.
    pub errors: Vec<(ErrorType, &'static str)>,
}

/// What an action does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// *Set logging behavior*.
    Log,
    /// *Set contact attributes* of the current contact.
    SetAttributes(Vec<(&'static str, String)>),
    /// *Transfer to phone number* by a Voice Connector; the flow goes on after the far end's BYE.
    Transfer {
        /// `arn:aws:chime:…:vc/…`
        voice_connector_arn: String,
    },
    /// *Check contact attributes*: where the value contains this text, it goes on there.
    Contains {
        /// A reference like `$.Attributes.Name`.
        value: &'static str,
        /// The text.
        text: &'static str,
        /// Where.
        then: &'static str,
    },
    /// *Set working queue*.
    SetQueue(String),
    /// *Transfer to queue*.
    TransferToQueue,
    /// *Play prompt*: a text that is said.
    Say(&'static str),
    /// *Disconnect*.
    Disconnect,
}

/// What may go wrong with an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorType {
    /// The far end refused, or was not reached.
    CallFailed,
    /// The far end did not answer in time.
    ConnectionTimeLimitExceeded,
    /// No condition is met.
    NoMatchingCondition,
    /// The queue is full.
    QueueAtCapacity,
    /// Anything else.
    NoMatchingError,
}

/// What a flow is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The connector that leads to us.
    pub voice_connector_arn: String,
    /// The queue of the agents.
    pub queue_arn: String,
    /// The agents' page up to `session_history_key`, without `=`.
    pub screen_pop_url: String,
}

/// Seconds that we may take to answer.
pub const ANSWERED_WITHIN_SECONDS: u32 = 60;
/// The attribute that we write, as a flow refers to it.
const KEY: &str = "$.Attributes.SessionHistoryKey";

impl Parts {
    /// Whether the queue is one of an instance.
    pub fn are_of(&self, instance: &InstanceArn) -> bool {
        self.queue_arn.strip_prefix(&instance.to_string()).is_some_and(|rest| rest.starts_with("/queue/"))
    }
}

impl Flow {
    /// The flow that hands callers over to us, and from us to agents.
    pub fn handing_over(parts: &Parts) -> Self {
        use ErrorType::{
            CallFailed, ConnectionTimeLimitExceeded, NoMatchingCondition, NoMatchingError, QueueAtCapacity,
        };
        let action = |identifier, does, next, errors: &[(ErrorType, &'static str)]| Action {
            identifier,
            does,
            next: Some(next),
            errors: errors.to_vec(),
        };
        let key = |text: &str| vec![("SessionHistoryKey", text.to_owned())];
        let pop = vec![("screenPopURL", parts.screen_pop_url.clone()), ("sessionHistoryKey", KEY.to_owned())];
        let transfer = Does::Transfer { voice_connector_arn: parts.voice_connector_arn.clone() };
        let check = Does::Contains { value: KEY, text: "hangup", then: "hangup" };
        let say =
            |identifier, words| action(identifier, Does::Say(words), "set_queue", &[(NoMatchingError, "set_queue")]);
        let full = "All agents are busy. Please call again later.";
        let actions = vec![
            action("log", Does::Log, "clear", &[]),
            // Of an earlier transfer of the same contact there may be one.
            action("clear", Does::SetAttributes(key("")), "transfer", &[(NoMatchingError, "transfer")]),
            action(
                "transfer",
                transfer,
                "check",
                &[
                    (CallFailed, "say_failed"),
                    (ConnectionTimeLimitExceeded, "say_late"),
                    (NoMatchingError, "say_error"),
                ],
            ),
            action("check", check, "screen_pop", &[(NoMatchingCondition, "screen_pop")]),
            action("screen_pop", Does::SetAttributes(pop), "set_queue", &[(NoMatchingError, "set_queue")]),
            action("set_queue", Does::SetQueue(parts.queue_arn.clone()), "to_queue", &[(NoMatchingError, "to_queue")]),
            action(
                "to_queue",
                Does::TransferToQueue,
                "hangup",
                &[(QueueAtCapacity, "say_full"), (NoMatchingError, "say_full")],
            ),
            say("say_failed", "We could not reach the assistant. I connect you to an agent."),
            say("say_late", "The assistant did not answer. I connect you to an agent."),
            say("say_error", "Something went wrong. I connect you to an agent."),
            action("say_full", Does::Say(full), "hangup", &[(NoMatchingError, "hangup")]),
            Action { identifier: "hangup", does: Does::Disconnect, next: None, errors: vec![] },
        ];
        Self { start: "log", actions }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    pub(crate) fn parts() -> Parts {
        Parts {
            voice_connector_arn: "arn:aws:chime:us-east-1:111122223333:vc/EXAMPLE".into(),
            queue_arn: "arn:aws:connect:us-east-1:111122223333:instance/INSTANCE/queue/QUEUE".into(),
            screen_pop_url: "https://bellhop.example/loadAgentAppFrame.html?session_history_key".into(),
        }
    }

    fn leads_to(action: &Action) -> Vec<&'static str> {
        let condition = match action.does {
            Does::Contains { then, .. } => Some(then),
            _ => None,
        };
        action.next.into_iter().chain(condition).chain(action.errors.iter().map(|(_, next)| *next)).collect()
    }

    #[test]
    fn every_way_through_the_flow_leads_somewhere_and_none_is_dead() {
        let flow = Flow::handing_over(&parts());
        let named: BTreeSet<&str> = flow.actions.iter().map(|action| action.identifier).collect();
        assert_eq!(named.len(), flow.actions.len(), "each has a name of its own");
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![flow.start]);
        while let Some(next) = waiting.pop() {
            let action = flow.actions.iter().find(|action| action.identifier == next).expect(next);
            if seen.insert(next) {
                waiting.extend(leads_to(action));
            }
        }
        assert_eq!(seen, named);
    }

    /// Whatever goes wrong before the queue, an agent is asked for.
    #[test]
    fn no_failure_before_the_queue_loses_the_caller() {
        let flow = Flow::handing_over(&parts());
        let find = |name: &str| flow.actions.iter().find(|action| action.identifier == name).expect("it is there");
        for action in
            flow.actions.iter().filter(|action| !["to_queue", "say_full", "hangup"].contains(&action.identifier))
        {
            for (error, mut at) in action.errors.iter().copied() {
                for _ in 0..9 {
                    if at == "to_queue" {
                        break;
                    }
                    at = find(at).next.unwrap_or_else(|| panic!("{} loses the caller by {error:?}", action.identifier));
                }
                assert_eq!(at, "to_queue", "{} {error:?}", action.identifier);
            }
        }
        assert!(matches!(find("say_full").does, Does::Say(_)), "something is said when the queue is full");
    }

    #[test]
    fn a_queue_is_of_its_instance() {
        let of = |instance: &str| parts().are_of(&instance.parse().expect("an ARN"));
        assert!(of("arn:aws:connect:us-east-1:111122223333:instance/INSTANCE"));
        assert!(!of("arn:aws:connect:us-east-1:111122223333:instance/INSTANC"));
    }
}
