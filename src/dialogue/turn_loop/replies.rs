//! What comes of a turn: parts of its reply, its end, or nothing of use.
//!
//! Invariant: what comes of another turn than the one that is waited for is never spoken; what its assistant keeps in mind
//! still counts.

use std::time::Instant;

use serde_json::Value;

use super::{FIRST_WORDS_MAX, Output, State, TurnLoop};
use crate::policy;
use crate::ports::{ServiceFailure, TurnReply};
use crate::response::{self, Response};

impl TurnLoop {
    /// A part of a reply: it is spoken while the rest is made.
    pub(super) fn part(&mut self, now: Instant, number: u32, item: &Value) {
        let (responses, refused) = response::read(std::slice::from_ref(item));
        match &mut self.state {
            State::Thinking { request, meanwhile: None, attempt: 1.., .. } if request.number == number => {
                self.warn_of(refused);
                self.speak(now, Some(number), responses);
            }
            State::Speaking { streaming: Some(streaming), .. } if *streaming == number => {
                self.warn_of(refused);
                self.continue_with(now, responses);
            }
            // The caller interrupted it, or said something else meanwhile: what is left of it is not spoken.
            _ => {}
        }
    }

    /// The reply is being made, and there is nothing to be heard yet: it is waited for anew.
    pub(super) fn goes_on(&mut self, now: Instant, number: u32) {
        let anew = now + self.policy.assistant;
        match &mut self.state {
            State::Thinking { request, until, attempt: 1.., .. } if request.number == number => {
                *until = anew.min(self.asked_at + FIRST_WORDS_MAX).max(*until);
            }
            State::Speaking { streaming: Some(streaming), until, paused: false }
                if *streaming == number && self.queue.is_empty() =>
            {
                *until = anew;
            }
            _ => {}
        }
    }

    pub(super) fn replied(&mut self, now: Instant, number: u32, reply: Result<TurnReply, ServiceFailure>) {
        match &mut self.state {
            State::Thinking { request, attempt: 1.., .. } if request.number == number => {}
            State::Speaking { streaming, .. } if *streaming == Some(number) => {
                *streaming = None;
                return match reply {
                    Ok(reply) => {
                        let responses = self.take_over(number, reply);
                        self.continue_with(now, responses);
                    }
                    // It cannot be asked again: half of its answer was heard.
                    Err(failure) => self.fail(failure),
                };
            }
            // The answer of a turn that the caller interrupted: what the assistant keeps in mind still counts.
            State::Listening { .. } if number + 1 == self.turn => {
                if let Ok(reply) = reply {
                    self.remember(number, reply.context);
                }
                return;
            }
            State::Thinking { request, .. } if request.number == number + 1 => {
                if let Ok(reply) = reply {
                    self.remember(number, reply.context);
                    self.context_came_late();
                }
                return;
            }
            _ => return,
        }
        let reply = match reply {
            Err(failure) => return self.try_again(now, failure),
            Ok(reply) => reply,
        };
        let State::Thinking { meanwhile, .. } = &mut self.state else { return };
        let meanwhile = meanwhile.take();
        let responses = self.take_over(number, reply);
        match meanwhile {
            // The caller went on speaking: what they said last counts, unless the reply ends the call.
            Some(input) if !responses.iter().any(Response::is_terminal) => {
                self.carry_out_silently(now, responses);
                self.heard.nothing();
                self.ask_meanwhile(now, input);
            }
            _ => self.speak(now, None, responses),
        }
    }

    /// Takes from a reply what is not to be carried out in order.
    fn take_over(&mut self, number: u32, reply: TurnReply) -> Vec<Response> {
        self.remember(number, reply.context);
        let (mut responses, mut refused) = response::read(&reply.generic);
        let (older, refused_of_older) = response::read_legacy(&reply.legacy);
        responses.extend(older);
        let digits = responses.iter().find_map(|response| match response {
            Response::Dtmf(wanted) => wanted.count,
            _ => None,
        });
        self.outputs.push_back(Output::Expect { phrases: reply.phrases, digits });
        refused.extend(refused_of_older);
        self.warn_of(refused);
        responses
    }

    fn remember(&mut self, number: u32, context: Value) {
        let refused = self.policy.update(&context);
        self.warn_of(refused);
        self.heard.context_of(number);
        if !policy::merge_custom_data(&mut self.custom_data, &context, &self.policy.redaction) {
            self.outputs.push_back(Output::Skipped { response_type: "cdr_custom_data beyond 64 KiB".to_owned() });
        }
        self.context = context;
    }
}
