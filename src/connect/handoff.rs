//! One hand-off: prepared, then committed, exactly once.
//!
//! ```text
//! Idle -prepare-> Preparing -stored-> Prepared(key) -commit-> Committing -200-> Committed
//!   |                 | not stored -> Idle, refused           | refused -> Refused
//!   |                                                         | unknown -> Uncertain (every name blanked once)
//!   -mark hangup-> Committing
//! ```
//! Invariant: the attribute is written at most once per hand-off, and never after a failure. Driver:
//! `actors/call/connect_handoff.rs`.

use std::collections::VecDeque;

use crate::contact_attributes::ContactAttributes;
use crate::session_history_key::{ATTRIBUTE, FiledAs, HANGUP, SessionHistoryKey};
use serde_json::Value;

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// Store the history and have a key ready.
    Prepare {
        /// A fresh key.
        key: SessionHistoryKey,
        /// `custom_data` of the response.
        custom_data: Option<&'a Value>,
    },
    /// The history is in the store, or is not.
    Stored(Result<(), StoreFailed>),
    /// The other children have stopped: spend the key.
    Commit,
    /// Tell the flow to disconnect: `SessionHistoryKey=hangup`.
    MarkHangup,
    /// How the request ended.
    Written(WriteOutcome),
    /// How blanking an uncertain attribute ended.
    Blanked,
}

/// The store could not take the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreFailed;

/// How a write of contact attributes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// 200.
    Done,
    /// The API said no, or every permitted try failed before a request went out.
    Refused,
    /// A request went out and nobody knows what became of it.
    Uncertain,
}

/// Why a hand-off cannot be, known before anything was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// No header of the INVITE told the contact id.
    #[error("the INVITE carried no contact id")]
    NoContactId,
    /// The history could not be stored.
    #[error("the session history could not be stored")]
    NotStored,
    /// A hand-off is under way or was made already.
    #[error("the contact was handed off already")]
    AlreadyBegun,
}

/// What to do.
#[derive(Debug)]
pub enum Output {
    /// Store the session's history under this name.
    Store(FiledAs),
    /// Ready to commit.
    Prepared {
        /// Every name that the one request will carry.
        names: Vec<String>,
    },
    /// Not possible; nothing was written.
    Impossible(Impossible),
    /// Send this one UpdateContactAttributes.
    Write {
        /// The initial contact id.
        contact_id: String,
        /// Names and values, `SessionHistoryKey` among them.
        attributes: Vec<(String, String)>,
    },
    /// Blank what is uncertain: write every name of the request empty, once.
    Blank {
        /// The initial contact id.
        contact_id: String,
        /// Names, `SessionHistoryKey` among them.
        names: Vec<String>,
    },
    /// The attribute is there.
    Committed,
    /// The attribute is not there.
    Refused,
    /// The attribute may have been there and has been blanked, as far as that worked.
    Uncertain,
}

/// The machine of one call.
#[derive(Debug)]
pub struct Handoff {
    contact_id: Option<String>,
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Idle,
    Preparing { key: SessionHistoryKey, attributes: ContactAttributes },
    Prepared { key: SessionHistoryKey, attributes: ContactAttributes },
    Committing { names: Vec<String> },
    Blanking,
    Ended,
}

impl Handoff {
    /// A hand-off of this contact, if the INVITE named one.
    pub fn new(contact_id: Option<String>) -> Self {
        Self { contact_id, state: State::Idle, outputs: VecDeque::new() }
    }

    /// One thing happened.
    pub fn handle(&mut self, input: Input<'_>) {
        let (state, output) = match (std::mem::replace(&mut self.state, State::Ended), input) {
            (State::Idle, Input::Prepare { key, custom_data }) => match self.check(custom_data) {
                Ok(attributes) => {
                    let filed = key.filed_as();
                    (State::Preparing { key, attributes }, Some(Output::Store(filed)))
                }
                Err(why) => (State::Idle, Some(Output::Impossible(why))),
            },
            (State::Preparing { key, attributes }, Input::Stored(Ok(()))) => {
                let names = attributes.iter().map(|(name, _)| name.to_owned()).chain([ATTRIBUTE.to_owned()]).collect();
                (State::Prepared { key, attributes }, Some(Output::Prepared { names }))
            }
            (State::Preparing { .. }, Input::Stored(Err(StoreFailed))) => {
                (State::Idle, Some(Output::Impossible(Impossible::NotStored)))
            }
            (State::Prepared { key, attributes }, Input::Commit) => {
                let mut pairs: Vec<(String, String)> =
                    attributes.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                pairs.push((ATTRIBUTE.to_owned(), key.into_attribute_value()));
                self.write(pairs)
            }
            (State::Idle, Input::MarkHangup) => match self.contact_id {
                Some(_) => self.write(vec![(ATTRIBUTE.to_owned(), HANGUP.to_owned())]),
                None => (State::Ended, Some(Output::Impossible(Impossible::NoContactId))),
            },
            (State::Committing { .. }, Input::Written(WriteOutcome::Done)) => (State::Ended, Some(Output::Committed)),
            (State::Committing { .. }, Input::Written(WriteOutcome::Refused)) => (State::Ended, Some(Output::Refused)),
            (State::Committing { names }, Input::Written(WriteOutcome::Uncertain)) => {
                let contact_id = self.contact_id.clone().unwrap_or_default();
                (State::Blanking, Some(Output::Blank { contact_id, names }))
            }
            (State::Blanking, Input::Blanked) => (State::Ended, Some(Output::Uncertain)),
            (state, Input::Prepare { .. } | Input::MarkHangup) => {
                (state, Some(Output::Impossible(Impossible::AlreadyBegun)))
            }
            // Late answers change nothing.
            (state, Input::Stored(_) | Input::Commit | Input::Written(_) | Input::Blanked) => (state, None),
        };
        self.state = state;
        self.outputs.extend(output);
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn check(&self, custom_data: Option<&Value>) -> Result<ContactAttributes, Impossible> {
        if self.contact_id.is_none() {
            return Err(Impossible::NoContactId);
        }
        Ok(ContactAttributes::from_custom_data(custom_data).0)
    }

    fn write(&self, attributes: Vec<(String, String)>) -> (State, Option<Output>) {
        let Some(contact_id) = self.contact_id.clone() else { return (State::Ended, Some(Output::Refused)) };
        let names = attributes.iter().map(|(name, _)| name.clone()).collect();
        (State::Committing { names }, Some(Output::Write { contact_id, attributes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outputs(handoff: &mut Handoff) -> Vec<String> {
        std::iter::from_fn(|| handoff.poll())
            .map(|output| match output {
                Output::Write { attributes, .. } => {
                    let names: Vec<_> = attributes.iter().map(|(name, _)| name.as_str()).collect();
                    format!("Write {}", names.join(","))
                }
                Output::Blank { names, .. } => format!("Blank {}", names.join(",")),
                Output::Impossible(why) => why.to_string(),
                other => format!("{other:?}").split(['(', ' ']).next().unwrap_or_default().to_owned(),
            })
            .collect()
    }

    fn prepare(handoff: &mut Handoff, data: &Value) {
        let key = SessionHistoryKey::from_random([1; 20]);
        handoff.handle(Input::Prepare { key, custom_data: Some(data) });
    }

    #[test]
    fn one_request_carries_every_pair_and_the_key_last() {
        let mut handoff = Handoff::new(Some("c".into()));
        prepare(&mut handoff, &json!({"b": 1, "a": "x"}));
        handoff.handle(Input::Stored(Ok(())));
        handoff.handle(Input::Commit);
        handoff.handle(Input::Commit);
        handoff.handle(Input::Written(WriteOutcome::Done));
        assert_eq!(outputs(&mut handoff), ["Store", "Prepared", "Write a,b,SessionHistoryKey", "Committed"]);
    }

    #[test]
    fn nothing_is_committed_that_was_not_stored() {
        let mut handoff = Handoff::new(Some("c".into()));
        prepare(&mut handoff, &json!({}));
        handoff.handle(Input::Commit);
        handoff.handle(Input::Stored(Err(StoreFailed)));
        handoff.handle(Input::Commit);
        assert_eq!(outputs(&mut handoff), ["Store", "the session history could not be stored"]);
    }

    #[test]
    fn a_hand_off_known_to_be_impossible_can_be_tried_again() {
        let mut handoff = Handoff::new(None);
        prepare(&mut handoff, &json!({}));
        handoff.handle(Input::MarkHangup);
        assert_eq!(outputs(&mut handoff), ["the INVITE carried no contact id"; 2]);
        let mut handoff = Handoff::new(Some("c".into()));
        prepare(&mut handoff, &json!({}));
        handoff.handle(Input::Stored(Err(StoreFailed)));
        prepare(&mut handoff, &json!({"a": 1}));
        assert_eq!(outputs(&mut handoff)[2], "Store");
    }

    #[test]
    fn no_custom_data_cost_the_hand_off() {
        for data in [json!({"a b": 1, "SessionHistoryKey": "hangup"}), json!([1]), json!({"a": "x".repeat(99_999)})] {
            let mut handoff = Handoff::new(Some("c".into()));
            prepare(&mut handoff, &data);
            assert_eq!(outputs(&mut handoff), ["Store"]);
        }
    }

    #[test]
    fn every_name_of_an_uncertain_write_is_blanked() {
        let mut handoff = Handoff::new(Some("c".into()));
        prepare(&mut handoff, &json!({"topic": "loan", "name": "Ann"}));
        handoff.handle(Input::Stored(Ok(())));
        handoff.handle(Input::Commit);
        handoff.handle(Input::Written(WriteOutcome::Uncertain));
        assert_eq!(outputs(&mut handoff).last().map(String::as_str), Some("Blank name,topic,SessionHistoryKey"));
    }

    #[test]
    fn an_uncertain_write_is_blanked_once() {
        let mut handoff = Handoff::new(Some("c".into()));
        handoff.handle(Input::MarkHangup);
        handoff.handle(Input::Written(WriteOutcome::Uncertain));
        handoff.handle(Input::Written(WriteOutcome::Uncertain));
        handoff.handle(Input::Blanked);
        assert_eq!(outputs(&mut handoff), ["Write SessionHistoryKey", "Blank SessionHistoryKey", "Uncertain"]);
    }
}
