//! The turn loop: listen, think, speak, and when to stop.
//!
//! ```text
//! Idle -Begin-> Thinking -reply-> Speaking -all played-> Listening -speech, keys, silence-> Thinking
//!                  | no reply, twice        | barge-in -> Listening      ^
//!                  v                        | connect_to_agent -> HandingOff -impossible-> Speaking
//!                Failed                     | end_session -> Ended
//! ```
//! Invariant: in every state but the last three something has a deadline, so the loop cannot be stuck; after a cut nothing
//! of the cut reply is spoken; a reply that ends the conversation is spoken to its last sample. Driver:
//! `actors/call/turn_loop.rs`.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::dtmf_collector::{Collected, DtmfCollector};
use crate::ports::{ServiceFailure, TurnInput, TurnReply, TurnRequest};
use crate::response::{ConnectToAgent, DtmfSend, Response, read};
use crate::transcript::{Speaker, Transcript};

/// Tries of one turn.
pub const TRIES: u32 = 2;
/// The longest utterance that is waited for once speech began.
pub const UTTERANCE_MAX: Duration = Duration::from_secs(30);
/// The longest a text may take to be spoken before the loop gives it up.
pub const SPEAKING_MAX: Duration = Duration::from_secs(300);
/// Keys pressed while nobody waited for them, kept for the next collection.
pub const TYPE_AHEAD_MAX: usize = 32;

/// What the agent reads where the caller was not understood.
const NOT_UNDERSTOOD: &str = "The caller said something that was not understood.";

/// Waits of one conversation.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Silence after a reply until the assistant is told (vendor default 7 s).
    pub post_response: Duration,
    /// One try of the assistant (vendor default 5 s).
    pub assistant: Duration,
}

/// Names one text to be spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SayId(pub u64);

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The call exists: ask for the greeting.
    Begin,
    /// The assistant answered try `attempt` of turn `number`.
    Replied {
        /// Which turn.
        number: u32,
        /// Its reply.
        reply: Result<TurnReply, ServiceFailure>,
    },
    /// Speech began.
    SpeechStarted,
    /// An utterance was recognised.
    Heard {
        /// The words.
        text: String,
        /// 0 to 1.
        confidence: f32,
    },
    /// An utterance was not understood.
    NotUnderstood,
    /// A key was pressed.
    Pressed(char),
    /// A text was spoken to its last sample.
    Played(SayId),
    /// The hand-off cannot be and the tenant wants the call to go on.
    HandoffImpossible,
}

/// What to do.
#[derive(Debug)]
pub enum Output {
    /// Ask the assistant.
    Ask(TurnRequest),
    /// Speak; report [`Input::Played`].
    Say {
        /// The text's name.
        id: SayId,
        /// The text.
        text: String,
    },
    /// Silence the caller's ear now and forget what waits.
    Cut,
    /// What the caller may say from here on.
    Expect(Option<Arc<[String]>>),
    /// Hand the caller over; everything before has been heard.
    HandOff(ConnectToAgent),
    /// Press keys after what is being said; report [`Input::Played`].
    SendKeys {
        /// Their name.
        id: SayId,
        /// The keys.
        keys: DtmfSend,
    },
    /// Whether the caller's speech is taken from here on.
    Listening(bool),
    /// Hang up; everything before has been heard.
    EndConversation {
        /// Headers of the BYE.
        headers: Vec<(String, String)>,
    },
    /// A response of a type that is not served was skipped.
    Skipped {
        /// Its type.
        response_type: String,
    },
    /// The assistant is lost.
    Failed(ServiceFailure),
}

/// The machine of one conversation.
#[derive(Debug)]
pub struct TurnLoop {
    timeouts: Timeouts,
    began: Instant,
    state: State,
    turn: u32,
    next_say: u64,
    context: Value,
    barged_in: bool,
    /// Whether keys are ignored until they are asked for again.
    deaf_to_keys: bool,
    type_ahead: VecDeque<char>,
    transcript: Transcript,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Idle,
    Thinking { request: TurnRequest, attempt: u32, until: Instant, meanwhile: Option<TurnInput> },
    Speaking { playing: VecDeque<SayId>, then: VecDeque<Response>, collector: Option<DtmfCollector>, until: Instant },
    Listening { collector: Option<DtmfCollector>, until: Instant, speaking: bool },
    HandingOff { transfer: ConnectToAgent },
    Ended,
    Failed,
}

impl TurnLoop {
    /// A loop that has not begun.
    pub fn new(now: Instant, timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            began: now,
            state: State::Idle,
            turn: 0,
            next_say: 0,
            context: Value::Null,
            barged_in: false,
            deaf_to_keys: false,
            type_ahead: VecDeque::new(),
            transcript: Transcript::default(),
            outputs: VecDeque::new(),
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Begin => {
                if matches!(self.state, State::Idle) {
                    self.ask(now, TurnInput::Start);
                }
            }
            Input::Replied { number, reply } => self.replied(now, number, reply),
            Input::SpeechStarted => self.speech_started(now),
            Input::Heard { text, confidence } => {
                self.transcript.push(now - self.began, Speaker::Caller, text.trim());
                self.caller_said(now, TurnInput::Speech { text, confidence });
            }
            Input::NotUnderstood => {
                if matches!(self.state, State::Listening { .. }) {
                    self.transcript.push(now - self.began, Speaker::Note, NOT_UNDERSTOOD);
                }
                self.caller_said(now, TurnInput::NotUnderstood);
            }
            Input::Pressed(digit) => self.pressed(now, digit),
            Input::Played(id) => self.played(now, id),
            Input::HandoffImpossible => self.handoff_impossible(now),
        }
    }

    /// The deadline passed; early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Thinking { until, .. } if *until <= now => self.try_again(now, ServiceFailure::Overdue),
            State::Speaking { playing, until, .. } if *until <= now => {
                playing.clear();
                self.outputs.push_back(Output::Cut);
                self.advance(now);
            }
            State::Listening { collector, until, .. } if *until <= now => {
                let collected = collector.as_mut().and_then(DtmfCollector::time_out);
                match collected {
                    Some(collected) => self.collected(now, collected),
                    None => self.ask(now, TurnInput::PostResponseTimeout),
                }
            }
            State::Thinking { .. }
            | State::Speaking { .. }
            | State::Listening { .. }
            | State::Idle
            | State::HandingOff { .. }
            | State::Ended
            | State::Failed => {}
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to wake.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Thinking { until, .. } | State::Speaking { until, .. } | State::Listening { until, .. } => {
                Some(*until)
            }
            State::Idle | State::HandingOff { .. } | State::Ended | State::Failed => None,
        }
    }

    /// What was said so far.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    fn ask(&mut self, now: Instant, input: TurnInput) {
        let request = TurnRequest {
            number: self.turn,
            input,
            barge_in_occurred: std::mem::take(&mut self.barged_in),
            context: std::mem::take(&mut self.context),
        };
        self.turn += 1;
        self.outputs.push_back(Output::Ask(request.clone()));
        self.state = State::Thinking { request, attempt: 1, until: now + self.timeouts.assistant, meanwhile: None };
    }

    fn replied(&mut self, now: Instant, number: u32, reply: Result<TurnReply, ServiceFailure>) {
        let State::Thinking { request, meanwhile, .. } = &mut self.state else { return };
        if request.number != number {
            return; // the answer of a turn that is over
        }
        let meanwhile = meanwhile.take();
        match reply {
            Err(failure) => self.try_again(now, failure),
            Ok(reply) => {
                self.context = reply.context;
                let responses: VecDeque<Response> = read(&reply.generic).into();
                let ends = responses.iter().any(Response::is_terminal);
                self.outputs.push_back(Output::Expect(reply.phrases));
                match meanwhile {
                    // The caller went on speaking: what they said last counts, unless the reply ends the call.
                    Some(input) if !ends => self.ask(now, input),
                    _ => self.speak(now, responses),
                }
            }
        }
    }

    fn try_again(&mut self, now: Instant, failure: ServiceFailure) {
        let State::Thinking { request, attempt, until, .. } = &mut self.state else { return };
        if *attempt >= TRIES {
            self.state = State::Failed;
            self.outputs.push_back(Output::Failed(failure));
            return;
        }
        *attempt += 1;
        *until = now + self.timeouts.assistant;
        let request = request.clone();
        self.outputs.push_back(Output::Ask(request));
    }

    fn speak(&mut self, now: Instant, responses: VecDeque<Response>) {
        self.state =
            State::Speaking { playing: VecDeque::new(), then: responses, collector: None, until: now + SPEAKING_MAX };
        self.advance(now);
    }

    /// Carries out responses strictly in order, as far as they go without waiting.
    fn advance(&mut self, now: Instant) {
        loop {
            let State::Speaking { playing, then, collector, .. } = &mut self.state else { return };
            match then.front() {
                Some(Response::Text { text }) => {
                    let text = text.clone();
                    then.pop_front();
                    self.say(now, text);
                }
                Some(Response::Start(activities) | Response::Stop(activities)) => {
                    let (activities, start) = (*activities, matches!(then.front(), Some(Response::Start(_))));
                    then.pop_front();
                    if activities.keys {
                        self.deaf_to_keys = !start;
                    }
                    if activities.speech {
                        self.outputs.push_back(Output::Listening(start));
                    }
                }
                Some(Response::SendKeys(keys)) => {
                    let (keys, id) = (keys.clone(), SayId(self.next_say));
                    then.pop_front();
                    playing.push_back(id);
                    self.next_say += 1;
                    self.outputs.push_back(Output::SendKeys { id, keys });
                }
                Some(Response::Dtmf(wanted)) => {
                    *collector = Some(DtmfCollector::new(wanted.clone()));
                    then.pop_front();
                }
                Some(Response::Unsupported { response_type }) => {
                    self.outputs.push_back(Output::Skipped { response_type: response_type.clone() });
                    then.pop_front();
                }
                Some(Response::ConnectToAgent(_) | Response::EndSession { .. }) | None if !playing.is_empty() => return,
                Some(Response::ConnectToAgent(transfer)) => {
                    let mut transfer = transfer.clone();
                    if let Some(message) = transfer.agent_available.take() {
                        // Said once, then the same response again without it.
                        then[0] = Response::ConnectToAgent(transfer);
                        self.say(now, message);
                        continue;
                    }
                    if let Some(note) = &transfer.message_to_human_agent {
                        self.transcript.push(now - self.began, Speaker::Note, note.clone());
                    }
                    self.outputs.push_back(Output::HandOff(transfer.clone()));
                    self.state = State::HandingOff { transfer };
                    return;
                }
                Some(Response::EndSession { headers }) => {
                    let headers = headers.clone();
                    self.state = State::Ended;
                    self.outputs.push_back(Output::EndConversation { headers });
                    return;
                }
                None => {
                    let collector = collector.take();
                    return self.listen(now, collector);
                }
            }
        }
    }

    fn say(&mut self, now: Instant, text: String) {
        if text.is_empty() {
            return;
        }
        let id = SayId(self.next_say);
        self.next_say += 1;
        self.transcript.push(now - self.began, Speaker::Assistant, text.clone());
        // What is said while the assistant thinks is waited for by nobody.
        if let State::Speaking { playing, until, .. } = &mut self.state {
            playing.push_back(id);
            *until = now + SPEAKING_MAX;
        }
        self.outputs.push_back(Output::Say { id, text });
    }

    fn played(&mut self, now: Instant, id: SayId) {
        if let State::Speaking { playing, .. } = &mut self.state {
            playing.retain(|playing| *playing != id);
            if playing.is_empty() {
                self.advance(now);
            }
        }
    }

    fn listen(&mut self, now: Instant, collector: Option<DtmfCollector>) {
        let until = now + self.timeouts.post_response;
        self.state = State::Listening { collector, until, speaking: false };
        // Keys pressed while the assistant was thinking answer what it asks now.
        while matches!(self.state, State::Listening { .. })
            && let Some(digit) = self.type_ahead.pop_front()
        {
            self.pressed(now, digit);
        }
    }

    /// Whether what is being said may be cut: a reply that ends the conversation may not.
    fn may_barge_in(then: &VecDeque<Response>) -> bool {
        !then.iter().any(Response::is_terminal)
    }

    /// Cuts the reply. What it still had to do in silence is done, what it had to say is not.
    fn barge_in(&mut self, now: Instant) {
        let State::Speaking { then, collector, .. } = &mut self.state else { return };
        let collector = then
            .iter()
            .rev()
            .find_map(|response| match response {
                Response::Dtmf(wanted) => Some(DtmfCollector::new(wanted.clone())),
                _ => None,
            })
            .or_else(|| collector.take());
        self.barged_in = true;
        self.transcript.interrupt();
        self.outputs.push_back(Output::Cut);
        self.type_ahead.clear();
        self.listen(now, collector);
    }

    fn speech_started(&mut self, now: Instant) {
        if let State::Speaking { then, .. } = &self.state
            && Self::may_barge_in(then)
        {
            self.barge_in(now);
        }
        if let State::Listening { until, speaking, .. } = &mut self.state {
            *speaking = true;
            *until = now + UTTERANCE_MAX;
        }
    }

    fn caller_said(&mut self, now: Instant, said: TurnInput) {
        match &mut self.state {
            State::Listening { .. } => self.ask(now, said),
            State::Speaking { then, .. } if Self::may_barge_in(then) => {
                self.barge_in(now);
                self.ask(now, said);
            }
            // Noise while thinking is not worth a turn of its own; words are.
            State::Thinking { meanwhile, .. } if said != TurnInput::NotUnderstood => *meanwhile = Some(said),
            State::Thinking { .. }
            | State::Speaking { .. }
            | State::Idle
            | State::HandingOff { .. }
            | State::Ended
            | State::Failed => {}
        }
    }

    fn pressed(&mut self, now: Instant, digit: char) {
        if self.deaf_to_keys {
            return;
        }
        if let State::Speaking { then, .. } = &self.state {
            if !Self::may_barge_in(then) {
                return;
            }
            self.barge_in(now);
        }
        match &mut self.state {
            State::Listening { collector: Some(collector), until, .. } => {
                *until = now + self.timeouts.post_response;
                if let Some(collected) = collector.push(digit) {
                    self.collected(now, collected);
                }
            }
            State::Listening { collector: None, .. } => {
                self.collected(now, Collected { digits: digit.to_string(), succeeded: true });
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

    fn collected(&mut self, now: Instant, collected: Collected) {
        let Collected { digits, succeeded } = collected;
        self.transcript.push(now - self.began, Speaker::CallerKeys, digits.clone());
        self.ask(now, TurnInput::Digits { digits, succeeded });
    }

    /// The tenant wants the call to go on: say so, then tell the assistant.
    fn handoff_impossible(&mut self, now: Instant) {
        let State::HandingOff { transfer } = &self.state else { return };
        let message = transfer.agent_unavailable.clone().unwrap_or_default();
        self.ask(now, TurnInput::CallTransferFailed);
        self.say(now, message);
    }
}
