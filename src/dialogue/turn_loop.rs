//! The turn loop: listen, think, speak, and when to stop.
//!
//! ```text
//! Idle -Begin-> Thinking -reply-> Speaking -all played-> Listening -speech, digits, silence-> Thinking
//!                  | no reply, twice        | barge-in -> Listening      ^
//!                  v                        | connect_to_agent -> HandingOff -impossible-> Thinking
//!                Failed                     | end_session -> Ended
//! ```
//! Invariant: in every state but the last three something has a deadline, so the loop cannot be stuck; after a cut nothing
//! of the cut reply is spoken; a reply that ends the conversation is spoken to its last sample. Responses are carried out
//! strictly in order: what changes how we listen waits in the queue until what was said before it has been heard. Driver:
//! `actors/call/turn_loop.rs`.
//!
//! Nothing in it races: a turn that needs no caller waits until what was said has been heard (what repeats is not waited
//! for), a run of such turns in which nothing is heard has the bound [`Policy::silent_turns`], and of a reply only so much
//! is being made audio as will soon be heard, however much it says.

mod asking;
mod early;
mod exchange;
mod interruption;
mod listening;
mod queue;
mod replies;
mod speaking;
#[cfg(test)]
mod tests;
mod tries;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::call_facts::CallFacts;
use crate::configuration::Configuration;
use crate::echo::is_echo;
pub use crate::policy::{Policy, Silences, Trigger};
use crate::ports::{Part, ServiceFailure, TurnInput, TurnRequest};
use crate::response::{ConnectToAgent, OutOfRange};
use crate::transcript::{Speaker, Transcript};
pub use early::is_same_question;
pub use exchange::{DropReason, Input, Output, SayId};
use interruption::Heard;
use listening::{Expecting, Wait};
use queue::Queued;
use speaking::Offers;
pub use tries::Tries;

/// Tries of one turn.
pub const TRIES: u32 = 2;
/// The longest a caller waits for the first words of a try that goes on all the while.
pub(crate) const FIRST_WORDS_MAX: Duration = Duration::from_secs(60);
/// The longest utterance that is waited for once speech began.
pub const UTTERANCE_MAX: Duration = Duration::from_secs(30);
/// How long a recognizer may take for its result once speech ended; after that it was nothing.
pub(crate) const RESULT_MAX: Duration = Duration::from_secs(4);
/// A turn that needs no caller and comes so soon after a reply was carried out: nothing of it was heard.
pub(crate) const SILENT_MAX: Duration = Duration::from_millis(500);
/// How long a turn waits to be told how much of a cut reply was heard.
pub(crate) const CUT_TOLD_MAX: Duration = Duration::from_millis(100);
/// The longest one clip may take to be heard before the loop gives it up.
pub(crate) const SPEAKING_MAX: Duration = Duration::from_secs(300);
/// Digits pressed while nobody waited for them, kept for the next collection.
pub(crate) const TYPE_AHEAD_MAX: usize = 32;
/// How long after our last word its echo may still be heard.
const ECHO_MAX: Duration = Duration::from_millis(1500);

/// How long after the assistant was told of the network it is told again.
const NETWORK_EVERY: Duration = Duration::from_secs(60);

/// What the agent reads where the caller was not understood.
const NOT_UNDERSTOOD: &str = "The caller said something that was not understood.";

/// The machine of one conversation.
pub struct TurnLoop {
    policy: Policy,
    facts: Arc<CallFacts>,
    began: Instant,
    state: State,
    turn: u32,
    next_say: u64,
    context: Value,
    custom_data: Map<String, Value>,
    barged_in: bool,
    recognition: Configuration,
    voice: Configuration,
    speech_interrupts: bool,
    digits_interrupt: bool,
    /// Whether digits are ignored until they are asked for again.
    deaf_to_keys: bool,
    /// Whether speech is, by `stop_activities`: what a collection keeps out is not taken again before.
    deaf_to_speech: bool,
    expecting: Expecting,
    offers: Offers,
    /// What is to be heard and done: of the reply while speaking, of the one before while thinking, else nothing.
    queue: VecDeque<Queued>,
    /// Responses of the reply that is being carried out so far.
    responses: usize,
    /// Bytes of what it says.
    says_bytes: usize,
    /// The turn that the reply wants as soon as all of it is there.
    at_once: Option<TurnInput>,
    /// What is repeated until the next reply.
    repeating: bool,
    type_ahead: VecDeque<char>,
    /// Whether the assistant was asked while the caller may not have finished.
    asked_early: bool,
    /// Digits that go along with the next turn.
    digits_before: String,
    last_heard: Instant,
    /// When the assistant was asked last.
    asked_at: Instant,
    /// Until when the assistant is told nothing more of the network.
    network_told_until: Instant,
    /// What this reply says, and until when its echo may be heard once it has been said.
    saying: String,
    echo_until: Instant,
    /// When the last reply was carried out, and how many turns since the caller did something were asked without anything
    /// being heard before.
    replied_at: Instant,
    silent_turns: u32,
    /// What has been heard of the reply.
    heard: Heard,
    transcript: Transcript,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Idle,
    Thinking {
        request: Box<TurnRequest>,
        /// Tries that were made; none while it is not known yet how much of the reply before was heard.
        attempt: u32,
        until: Instant,
        meanwhile: Option<TurnInput>,
    },
    Speaking {
        /// The turn whose reply is still being made.
        streaming: Option<u32>,
        until: Instant,
        /// Since the caller began to speak, the reply waits for what it will be.
        paused: bool,
    },
    Listening {
        wait: Wait,
        until: Instant,
        /// When the utterance has to be at its end.
        final_by: Option<Instant>,
    },
    HandingOff {
        transfer: Box<ConnectToAgent>,
    },
    Ended,
    Failed,
}

/// Where it stands, and nothing that was said.
impl fmt::Debug for TurnLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnLoop(turn {}, {:?})", self.turn, self.state)
    }
}

impl TurnLoop {
    /// A loop that has not begun.
    pub fn new(now: Instant, policy: Policy, facts: Arc<CallFacts>) -> Self {
        Self {
            policy,
            facts,
            began: now,
            state: State::Idle,
            turn: 0,
            next_say: 0,
            context: Value::Null,
            custom_data: Map::new(),
            barged_in: false,
            recognition: Configuration::default(),
            voice: Configuration::default(),
            speech_interrupts: true,
            digits_interrupt: true,
            deaf_to_keys: false,
            deaf_to_speech: false,
            expecting: Expecting::default(),
            offers: Offers::default(),
            queue: VecDeque::new(),
            responses: 0,
            says_bytes: 0,
            at_once: None,
            repeating: false,
            type_ahead: VecDeque::new(),
            asked_early: false,
            digits_before: String::new(),
            last_heard: now,
            asked_at: now,
            network_told_until: now,
            saying: String::new(),
            echo_until: now,
            replied_at: now,
            silent_turns: 0,
            heard: Heard::default(),
            transcript: Transcript::default(),
            outputs: VecDeque::new(),
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Begin => {
                if matches!(self.state, State::Idle) {
                    self.last_heard = now;
                    self.ask(now, TurnInput::Start);
                }
            }
            Input::ReplyPart { number, part: Part::Item(item) } => self.part(now, number, &item),
            Input::ReplyPart { number, part: Part::Progress } => self.goes_on(now, number),
            Input::Replied { number, reply } => self.replied(now, number, reply),
            Input::SpeechStarted => {
                if self.policy.barge_in == Trigger::Speech {
                    self.pause(now);
                }
                self.utterance_begins(now);
            }
            Input::InterimResult => {
                self.pause(now);
                self.utterance_begins(now);
            }
            Input::SpeechSustained => self.sustained(now),
            Input::MayBeAll { text, confidence } => self.may_be_all(now, text, confidence),
            Input::SpeechResumed => {
                self.forget_early();
                // A reply may have begun in the pause.
                if self.policy.barge_in == Trigger::Speech {
                    self.pause(now);
                }
            }
            Input::SpeechEnded => self.utterance_ends(now),
            Input::FinalResult { text, confidence, result } => self.heard(now, text, confidence, result),
            Input::NotUnderstood => {
                if matches!(self.state, State::Listening { .. }) {
                    self.transcript.push(now - self.began, Speaker::Note, NOT_UNDERSTOOD);
                }
                self.filtered(now);
            }
            Input::NetworkWarning => self.network_warning(now),
            Input::Pressed(digit) => self.pressed(now, digit),
            Input::Played(id) => self.played(now, id),
            Input::WasCut { id, share } => self.was_cut(now, id, share),
            Input::HandoffImpossible => self.handoff_impossible(now),
        }
    }

    /// The deadline passed; early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Thinking { until, attempt: 0, .. } if *until <= now => self.send(now),
            State::Thinking { until, .. } if *until <= now => self.try_again(now, ServiceFailure::Overdue),
            State::Speaking { until, paused, .. } if *until <= now && *paused => self.resume(now),
            State::Speaking { streaming, until, .. } if *until <= now => {
                if self.queue.is_empty() && streaming.is_some() {
                    return self.fail(ServiceFailure::Overdue);
                }
                self.queue.retain(|queued| matches!(queued, Queued::Do(_)));
                self.outputs.push_back(Output::Cut);
                self.advance(now);
            }
            State::Listening { .. } => self.listening_timed_out(now),
            State::Thinking { .. }
            | State::Speaking { .. }
            | State::Idle
            | State::HandingOff { .. }
            | State::Ended
            | State::Failed => {}
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        crate::outputs::next(&mut self.outputs)
    }

    /// When to wake.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Thinking { until, .. } | State::Speaking { until, .. } => Some(*until),
            State::Listening { until, final_by, .. } => {
                let gone = self.policy.inactivity.map(|limit| self.last_heard + limit);
                [Some(*until), *final_by, gone].into_iter().flatten().min()
            }
            State::Idle | State::HandingOff { .. } | State::Ended | State::Failed => None,
        }
    }

    /// What was said so far.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// `cdr_custom_data` as merged so far.
    pub fn custom_data(&self) -> &Map<String, Value> {
        &self.custom_data
    }

    /// What the assistant returned last.
    pub fn context(&self) -> &Value {
        &self.context
    }

    /// The record is told of parameters that are as if they were not there.
    fn warn_of(&mut self, refused: Vec<OutOfRange>) {
        self.outputs.extend(refused.into_iter().map(Output::OutOfRange));
    }

    fn fail(&mut self, failure: ServiceFailure) {
        self.state = State::Failed;
        self.outputs.push_back(Output::Failed(failure));
    }

    fn heard(&mut self, now: Instant, text: String, confidence: f32, result: Option<Value>) {
        self.last_heard = now;
        let speaking = matches!(self.state, State::Speaking { .. });
        if self.policy.suppress_echo && (speaking || now < self.echo_until) && is_echo(&text, &self.saying) {
            self.outputs.push_back(Output::Dropped(DropReason::Echo));
            return self.nothing_said(now);
        }
        if confidence < self.policy.confidence {
            self.outputs.push_back(Output::Dropped(DropReason::Confidence));
            return self.filtered(now);
        }
        if speaking && !self.may_interrupt(self.speech_interrupts) {
            self.outputs.push_back(Output::Dropped(DropReason::NoBargeIn));
            return self.nothing_said(now);
        }
        // Digits pressed before go along with what is said.
        match &self.state {
            State::Thinking { request, .. } if request.input == TurnInput::NoInput => {}
            State::Listening { .. } | State::Speaking { .. } | State::Thinking { .. } => self.gather_keys_left(now),
            State::Idle | State::HandingOff { .. } | State::Ended | State::Failed => {}
        }
        self.transcript.caller(now - self.began, Speaker::Caller, text.trim(), &self.policy.redaction);
        let chosen = self.expecting.chosen_by_words(&text);
        let said = chosen.unwrap_or(TurnInput::Speech { text, confidence, result });
        match &mut self.state {
            State::Listening { .. } => self.ask(now, said),
            State::Speaking { .. } => {
                self.barge_in(now);
                self.ask(now, said);
            }
            State::Thinking { request, meanwhile, .. } if request.input != TurnInput::NoInput => {
                *meanwhile = Some(said)
            }
            State::Thinking { .. } | State::Idle | State::HandingOff { .. } | State::Ended | State::Failed => {}
        }
    }

    /// An utterance was not understood, or not well enough.
    fn filtered(&mut self, now: Instant) {
        if self.policy.notify_filtered && matches!(self.state, State::Listening { .. }) {
            return self.ask(now, TurnInput::NotUnderstood);
        }
        self.nothing_said(now);
    }

    /// What seemed to be speech was none: things go on as they were.
    fn nothing_said(&mut self, now: Instant) {
        self.forget_early();
        match &self.state {
            State::Speaking { paused: true, .. } => self.resume(now),
            State::Listening { wait: Wait::Utterance | Wait::Result, .. } => self.wait_for_speech(now),
            _ => {}
        }
    }

    /// The tenant wants the call to go on: say so, then tell the assistant.
    fn handoff_impossible(&mut self, now: Instant) {
        let State::HandingOff { transfer } = &mut self.state else { return };
        let message = transfer.agent_unavailable.take();
        self.ask(now, TurnInput::CallTransferFailed);
        if let (Some(message), State::Thinking { .. }) = (message, &self.state) {
            self.say(&message, true);
            self.order_ahead();
            self.begin_front(now);
        }
    }
}
