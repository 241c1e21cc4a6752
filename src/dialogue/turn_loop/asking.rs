//! Asking: a turn is put to the assistant, and put again if nothing comes of it.
//!
//! Invariant: a turn says what of the reply before was heard, so that one after a cut waits until that is known or
//! [`CUT_TOLD_MAX`] has passed; turns that need no caller do not follow each other in silence without end.

use std::time::Instant;

use super::listening::Expecting;
use super::{CUT_TOLD_MAX, Output, SILENT_MAX, SayId, State, TRIES, TurnLoop};
use crate::message::with_integrations;
use crate::ports::{ServiceFailure, TurnInput, TurnRequest};

impl TurnLoop {
    pub(super) fn ask(&mut self, now: Instant, input: TurnInput) {
        self.queue.clear();
        self.ask_meanwhile(now, input);
    }

    /// Asks while what is in the queue is still to be heard.
    pub(super) fn ask_meanwhile(&mut self, now: Instant, input: TurnInput) {
        self.at_once = None;
        if input.needs_no_caller() {
            if self.policy.inactivity.is_some_and(|limit| self.last_heard + limit <= now) {
                return self.let_go();
            }
            let silent = now.saturating_duration_since(self.replied_at) < SILENT_MAX;
            self.silent_turns = if silent { self.silent_turns + 1 } else { 0 };
            if self.silent_turns > self.policy.silent_turns {
                let why = format!("it went on by itself {} times in a row and said nothing", self.policy.silent_turns);
                return self.fail(ServiceFailure::Unavailable { why });
            }
        } else if !matches!(input, TurnInput::NotUnderstood) {
            self.silent_turns = 0;
        }
        self.take_speech_again();
        let ends_a_collection = match &input {
            TurnInput::Speech { .. } | TurnInput::NotUnderstood | TurnInput::FinalUtteranceTimeout => true,
            TurnInput::Choice { by_key, .. } => !by_key,
            _ => false,
        };
        if ends_a_collection {
            self.gather_keys_left(now);
        }
        // What only informs the assistant takes nothing back of what the caller was asked for.
        if matches!(input, TurnInput::SmsFailed | TurnInput::NetworkWarning | TurnInput::NoInput) {
            self.expecting.carry_over();
        } else {
            self.expecting = Expecting::default();
        }
        let request = TurnRequest {
            patience: self.policy.assistant,
            barge_in_occurred: std::mem::take(&mut self.barged_in),
            interrupted: self.heard.interrupted(),
            digits_before: std::mem::take(&mut self.digits_before),
            ..TurnRequest::new(self.turn, input, with_integrations(&self.context, self.facts.integrations()))
        };
        self.heard.turn_asked(self.turn, &request.input);
        self.turn += 1;
        let told = !self.heard.awaits_cut();
        let request = Box::new(request);
        self.state = State::Thinking { request, attempt: 0, until: now + CUT_TOLD_MAX, meanwhile: None };
        if told {
            self.send(now);
        }
    }

    /// Hands a turn to the assistant for the first time.
    pub(super) fn send(&mut self, now: Instant) {
        let heard = self.heard.settle();
        let State::Thinking { request, attempt, until, .. } = &mut self.state else { return };
        if let (Some(interrupted), Some(heard)) = (&mut request.interrupted, heard) {
            interrupted.heard = heard;
        }
        (*attempt, *until) = (1, now + self.policy.assistant);
        let request = request.clone();
        self.asked_at = now;
        self.asked_early = false;
        self.outputs.push_back(Output::Ask(request));
        self.voice.turn_sent();
        if self.recognition.turn_sent() {
            self.outputs.push_back(Output::ConfigureRecognizer(self.recognition.current().clone()));
        }
    }

    /// So much of a clip that was cut was heard.
    pub(super) fn was_cut(&mut self, now: Instant, id: SayId, share: f32) {
        self.transcript.heard(id.0, share);
        self.heard.was_cut(id, share);
        if matches!(self.state, State::Thinking { attempt: 0, .. }) {
            self.send(now);
        }
    }

    /// The caller is not there any more.
    pub(super) fn let_go(&mut self) {
        self.state = State::Ended;
        self.outputs.push_back(Output::EndConversation { headers: vec![] });
    }

    pub(super) fn try_again(&mut self, now: Instant, failure: ServiceFailure) {
        let State::Thinking { request, attempt, until, .. } = &mut self.state else { return };
        if *attempt >= TRIES {
            return self.fail(failure);
        }
        debug_assert!(*attempt > 0, "what was not asked cannot be asked again");
        *attempt += 1;
        request.attempt = *attempt;
        self.asked_at = now;
        *until = now + self.policy.assistant;
        let request = request.clone();
        self.outputs.push_back(Output::Ask(request));
    }

    /// The context of the turn before came after the next was asked: a second try of that one has it.
    pub(super) fn context_came_late(&mut self) {
        let context = with_integrations(&self.context, self.facts.integrations());
        let State::Thinking { request, .. } = &mut self.state else { return };
        request.context = context.into();
        if let Some(interrupted) = &mut request.interrupted {
            interrupted.unknown_turn = None;
        }
    }
}
