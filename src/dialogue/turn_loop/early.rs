//! Thinking early: the assistant is asked while it is still being decided whether the caller has finished.
//!
//! Invariant: an early question changes nothing here: no turn is counted, nothing is written, said or remembered of it. What it yields
//! counts only if the same question is asked for good afterwards, which whoever carries out [`Output::Ask`] looks at.

use std::time::Instant;

use super::{Output, State, TurnLoop};
use crate::dtmf_collector::DtmfCollector;
use crate::echo::is_echo;
use crate::message::with_integrations;
use crate::ports::{TurnInput, TurnRequest};

impl TurnLoop {
    /// What was said so far may be all.
    pub(super) fn may_be_all(&mut self, now: Instant, text: String, confidence: f32) {
        let collects = self.expecting.collector.as_ref().is_some_and(DtmfCollector::has_begun);
        let plain = self.type_ahead.is_empty() && self.digits_before.is_empty() && !collects && !self.barged_in;
        let echo = self.policy.suppress_echo && now < self.echo_until && is_echo(&text, &self.saying);
        let is_listening = matches!(self.state, State::Listening { .. });
        if !(self.policy.preemptive && is_listening && plain)
            || echo
            || confidence < self.policy.confidence
            || self.heard.interrupted().is_some()
        {
            return;
        }
        let chosen = self.expecting.chosen_by_words(&text);
        let input = chosen.unwrap_or(TurnInput::Speech { text, confidence, result: None });
        let request = TurnRequest {
            patience: self.policy.assistant,
            ..TurnRequest::new(self.turn, input, with_integrations(&self.context, self.facts.integrations()))
        };
        self.asked_early = true;
        self.outputs.push_back(Output::AskEarly(Box::new(request)));
    }

    /// It was not.
    pub(super) fn forget_early(&mut self) {
        if std::mem::take(&mut self.asked_early) {
            self.outputs.push_back(Output::ForgetEarly);
        }
    }
}

/// Whether an early question turns out to be the one that is asked: the same words after the same turns. What a recognizer adds to them
/// when it is certain (its own result, how sure it is) changes no question.
pub fn is_same_question(early: &TurnRequest, request: &TurnRequest) -> bool {
    let same = match (&early.input, &request.input) {
        (TurnInput::Speech { text: early, .. }, TurnInput::Speech { text, .. }) => early.trim() == text.trim(),
        (early, input) => early == input,
    };
    same && early.number == request.number
        && request.attempt == 1
        && early.context == request.context
        && early.barge_in_occurred == request.barge_in_occurred
        && early.interrupted == request.interrupted
        && early.digits_before == request.digits_before
}
