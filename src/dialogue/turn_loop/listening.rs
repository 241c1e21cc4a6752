//! Listening: speech, digits and silence, and the four timers between them.
//!
//! The post-response timer waits for the caller to begin; the final-utterance timer, if set, for them to end; the
//! inter-digit timer takes the place of the first once a collection that has one has begun. Without one, every key starts
//! the post-response timer anew, and that ends the collection.

use std::time::{Duration, Instant};

use super::{NETWORK_EVERY, Output, RESULT_MAX, State, TYPE_AHEAD_MAX, TurnLoop, UTTERANCE_MAX};
use crate::dtmf_collector::{Collected, DtmfCollector};
use crate::ports::TurnInput;
use crate::response::{Choice, DtmfCollect, OptionsConfig};
use crate::transcript::Speaker;

/// What a digit of a long list waits for.
const SECOND_KEY: Duration = Duration::from_secs(2);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The caller's first word or digit.
    Silence,
    /// The next digit.
    NextKey,
    /// The end of what the caller says.
    Utterance,
    /// What the recognizer makes of it.
    Result,
}

/// What the reply asks for.
#[derive(Debug, Default)]
pub(super) struct Expecting {
    /// Digits.
    pub(super) collector: Option<DtmfCollector>,
    /// One of a list.
    choices: Vec<Choice>,
    offered: OptionsConfig,
    /// Whether speech is not taken until the collection is over.
    deaf: bool,
    /// Whether it was asked for by a reply before the last.
    carried_over: bool,
}

impl Expecting {
    /// Another reply comes; what it asks for takes the place of this.
    pub(super) fn carry_over(&mut self) {
        self.carried_over = true;
    }

    /// A reply asks for something: what one before it asked for is over.
    fn begin_anew(&mut self) {
        if self.carried_over {
            *self = Self { deaf: self.deaf, ..Self::default() };
        }
    }

    pub(super) fn collect(&mut self, wanted: DtmfCollect) {
        self.begin_anew();
        self.collector = Some(DtmfCollector::new(wanted));
    }

    pub(super) fn offer(&mut self, choices: Vec<Choice>, offered: OptionsConfig) {
        self.begin_anew();
        if choices.len() > 9 {
            let wanted = DtmfCollect { maximum: Some(2), inter_digit: Some(SECOND_KEY), ..DtmfCollect::default() };
            self.collector = Some(DtmfCollector::new(wanted));
        }
        (self.choices, self.offered) = (choices, offered);
    }

    pub(super) fn chosen_by_words(&self, said: &str) -> Option<TurnInput> {
        let choice = self.offered.named(&self.choices, said)?;
        Some(TurnInput::Choice { input: choice.input.clone(), by_key: false })
    }

    fn chosen_by_keys(&self, digits: &str) -> Option<TurnInput> {
        let position: usize = digits.parse().ok()?;
        let choice = self.choices.get(position.checked_sub(1)?)?;
        Some(TurnInput::Choice { input: choice.input.clone(), by_key: true })
    }
}

impl TurnLoop {
    pub(super) fn listen(&mut self, now: Instant) {
        if matches!(self.state, State::HandingOff { .. } | State::Ended) {
            return; // what was left to do has ended the conversation
        }
        let final_by = self.policy.final_utterance.map(|limit| now + limit);
        self.state = State::Listening { wait: Wait::Silence, until: now + self.policy.post_response, final_by };
        // Digits pressed while the assistant was thinking answer what it asks now.
        while matches!(self.state, State::Listening { .. })
            && let Some(digit) = self.type_ahead.pop_front()
        {
            self.pressed(now, digit);
        }
    }

    pub(super) fn wait_for_speech(&mut self, now: Instant) {
        if let State::Listening { wait, until, .. } = &mut self.state {
            (*wait, *until) = (Wait::Silence, now + self.policy.post_response);
        }
    }

    pub(super) fn utterance_begins(&mut self, now: Instant) {
        self.last_heard = now;
        if let State::Listening { wait, until, .. } = &mut self.state
            && *wait != Wait::NextKey
        {
            (*wait, *until) = (Wait::Utterance, now + UTTERANCE_MAX);
        }
    }

    pub(super) fn utterance_ends(&mut self, now: Instant) {
        match &mut self.state {
            State::Listening { wait, until, .. } if *wait == Wait::Utterance => {
                (*wait, *until) = (Wait::Result, now + RESULT_MAX);
            }
            State::Speaking { paused: true, until, .. } => *until = now + RESULT_MAX,
            _ => {}
        }
    }

    /// The assistant is told, if it wants to be and nobody is in the middle of something.
    pub(super) fn network_warning(&mut self, now: Instant) {
        let quiet = matches!(self.state, State::Listening { wait: Wait::Silence, .. });
        let collecting = self.expecting.collector.as_ref().is_some_and(DtmfCollector::has_begun);
        if self.policy.notify_network && quiet && !collecting && now >= self.network_told_until {
            self.network_told_until = now + NETWORK_EVERY;
            self.ask(now, TurnInput::NetworkWarning);
        }
    }

    pub(super) fn listening_timed_out(&mut self, now: Instant) {
        let State::Listening { wait, until, final_by } = &mut self.state else { return };
        if self.policy.inactivity.is_some_and(|limit| self.last_heard + limit <= now) {
            return self.let_go();
        }
        if final_by.is_some_and(|at| at <= now) {
            return self.ask(now, TurnInput::FinalUtteranceTimeout);
        }
        if *until > now {
            return;
        }
        match wait {
            Wait::Silence | Wait::NextKey => {
                match self.expecting.collector.as_mut().and_then(DtmfCollector::time_out) {
                    Some(collected) => self.collected(now, collected),
                    None => self.ask(now, TurnInput::PostResponseTimeout),
                }
            }
            // Speech was heard and nothing came of it.
            Wait::Utterance | Wait::Result => self.wait_for_speech(now),
        }
    }

    pub(super) fn pressed(&mut self, now: Instant, digit: char) {
        if self.deaf_to_keys {
            return;
        }
        self.last_heard = now;
        if matches!(self.state, State::Speaking { .. }) {
            if !self.may_interrupt(self.digits_interrupt) {
                return;
            }
            self.barge_in(now);
        }
        match &mut self.state {
            State::Listening { wait, until, .. } => {
                if self.repeating {
                    self.repeating = false;
                    self.outputs.push_back(Output::Cut);
                }
                let Some(collector) = &mut self.expecting.collector else {
                    return self.collected(now, Collected { digits: digit.to_string(), succeeded: true });
                };
                let first = !collector.has_begun();
                let wanted = collector.wanted();
                (*wait, *until) = match wanted.inter_digit {
                    Some(limit) => (Wait::NextKey, now + limit),
                    None => (Wait::Silence, now + self.policy.post_response),
                };
                if first && wanted.ignores_speech {
                    self.expecting.deaf = true;
                    self.outputs.push_back(Output::Listening(false));
                }
                if let Some(collected) = collector.push(digit) {
                    self.collected(now, collected);
                }
            }
            State::Thinking { .. } if self.type_ahead.len() < TYPE_AHEAD_MAX => self.type_ahead.push_back(digit),
            State::Thinking { .. }
            | State::Speaking { .. }
            | State::Idle
            | State::HandingOff { .. }
            | State::Ended
            | State::Failed => {}
        }
    }

    /// Speech that a collection kept out is taken again.
    pub(super) fn take_speech_again(&mut self) {
        if std::mem::take(&mut self.expecting.deaf) && !self.deaf_to_speech {
            self.outputs.push_back(Output::Listening(true));
        }
    }

    /// Digits that would be lost with this turn: a collection has begun and is not complete, or nobody has asked for them
    /// yet. They go along with it.
    pub(super) fn gather_keys_left(&mut self, now: Instant) {
        let masked = self.expecting.collector.as_ref().is_some_and(|collector| collector.wanted().masked);
        let collected = self.expecting.collector.as_mut().and_then(DtmfCollector::time_out);
        let mut digits = collected.map(|collected| collected.digits).unwrap_or_default();
        digits.extend(self.type_ahead.drain(..));
        if !digits.is_empty() {
            self.show_digits(now, &digits, masked);
            self.digits_before.push_str(&digits);
        }
    }

    fn show_digits(&mut self, now: Instant, digits: &str, masked: bool) {
        let at = now - self.began;
        if masked {
            self.transcript.push(at, Speaker::CallerDigits, "•".repeat(digits.len()));
        } else {
            self.transcript.caller(at, Speaker::CallerDigits, digits, &self.policy.redaction);
        }
    }

    fn collected(&mut self, now: Instant, collected: Collected) {
        let Collected { digits, succeeded } = collected;
        let wanted = self.expecting.collector.as_ref().map(DtmfCollector::wanted);
        let masked = wanted.is_some_and(|wanted| wanted.masked);
        self.deaf_to_keys |= wanted.is_some_and(|wanted| wanted.stops_after);
        self.show_digits(now, &digits, masked);
        let chosen = self.expecting.chosen_by_keys(&digits);
        self.ask(now, chosen.unwrap_or(TurnInput::Digits { digits, succeeded }));
    }
}
