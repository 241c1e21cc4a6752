//! Services in memory that do as they are told, and fail as they are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellhop_actors::node::call_registry::CallId;
use bellhop_actors::node::refused::RefusedCall;
use bellhop_actors::services::{Observer, RecordKeeper};
use bellhop_call::line_audio::linear;
use bellhop_call::record::{CallRecord, Event, Opening};
use bellhop_connect::handoff::{StoreFailed, WriteOutcome};
use bellhop_connect::ports::{
    self as connect, AttributeBlanker, AttributeWriter, History, HistoryStore, Note, NotedWrite, WriteNotes,
};
use bellhop_connect::session_history_key::{ATTRIBUTE, FiledAs};
use bellhop_dialogue::ports::{
    Assistant, AudioSink, PartSink, Pending, Recognizer, RecognizerConfig, RecognizerEvent, RecognizerSink,
    RecognizerStream, ServiceFailure, SoundLibrary, Speech, SpeechRequest, Synthesizer, TurnInput, TurnReply,
    TurnRequest,
};
use serde_json::{Value, json};

/// How a service behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Good,
    /// It never answers.
    Silent,
    /// It says no.
    Refuses,
    /// It carries the order out and nobody learns of it.
    Uncertain,
    /// Nobody may ask it.
    Panics,
}

/// All services of the stage; clones share their state.
#[derive(Clone, Default)]
pub struct FakeServices(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    assistant: Behaviour,
    recognizer: Behaviour,
    synthesizer: Behaviour,
    overloaded: bool,
    store: Behaviour,
    writer: Behaviour,
    notes: Behaviour,
    striking_out: Behaviour,
    /// What the assistant answers to a text; `""` is the greeting.
    replies: BTreeMap<String, Value>,
    asked: Vec<TurnInput>,
    said: Vec<String>,
    /// Sounds that can be fetched, by their length in samples.
    sounds: BTreeMap<String, usize>,
    fetched: Vec<String>,
    /// How long a voice takes for the rest of a text once its first half is there.
    second_half: Option<Duration>,
    /// How long a good assistant takes, if not as long as the others.
    assistant_takes: Option<Duration>,
    last_request: Option<TurnRequest>,
    /// The context that the assistant returns with every reply.
    returns: Value,
    /// The words that whoever looks on has seen.
    seen_live: Vec<String>,
    /// How recognizers were configured.
    understood: Vec<Value>,
    /// The lines that recognizers were opened for, in samples per second.
    lines: Vec<u32>,
    sinks: Vec<Arc<RecognizerSink>>,
    samples: usize,
    attributes: BTreeMap<String, String>,
    writes: usize,
    blanks: usize,
    stored: Vec<History>,
    voided: usize,
    earned: usize,
    began: Vec<String>,
    refused: Vec<RefusedCall>,
    records: Vec<CallRecord>,
    turn_logs: Vec<Value>,
}

/// How long a good service takes.
const WORK: Duration = Duration::from_millis(50);

impl FakeServices {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the assistant answers when the caller says this; `""` for the greeting.
    pub fn replies(&self, said: &str, generic: Value) {
        self.state().replies.insert(said.to_owned(), generic);
    }

    /// Sets the assistant's behaviour.
    pub fn assistant(&self, behaviour: Behaviour) {
        self.state().assistant = behaviour;
    }

    /// Sets the recognizer's behaviour.
    pub fn recognizer(&self, behaviour: Behaviour) {
        self.state().recognizer = behaviour;
    }

    /// Whether the synthesizer has no place for another text.
    pub fn speech_is_overloaded(&self, overloaded: bool) {
        self.state().overloaded = overloaded;
    }

    /// Sets the synthesizer's behaviour.
    pub fn synthesizer(&self, behaviour: Behaviour) {
        self.state().synthesizer = behaviour;
    }

    /// Sets the history store's behaviour.
    pub fn store(&self, behaviour: Behaviour) {
        self.state().store = behaviour;
    }

    /// Sets the attribute writer's behaviour.
    pub fn writer(&self, behaviour: Behaviour) {
        self.state().writer = behaviour;
    }

    /// Sets how notes of writes are taken, and how they are struck out.
    pub fn notes(&self, noting: Behaviour, striking_out: Behaviour) {
        let mut state = self.state();
        (state.notes, state.striking_out) = (noting, striking_out);
    }

    /// The recognizer hears something.
    pub fn hears(&self, heard: &RecognizerEvent) {
        let sinks = self.state().sinks.clone();
        sinks.iter().for_each(|sink| sink(heard.clone()));
    }

    /// The calls that the keeper of records was told of when they began.
    pub fn began(&self) -> Vec<String> {
        self.state().began.clone()
    }

    /// The calls that never came about, as whoever runs the server is told of them.
    pub fn refused(&self) -> Vec<RefusedCall> {
        self.state().refused.clone()
    }

    /// The call detail records kept, and their timelines.
    pub fn records(&self) -> Vec<(Value, Vec<Event>)> {
        let read = |record: &CallRecord| {
            let events = record.since(0).0.map(|event| Event::clone(event)).collect();
            (serde_json::to_value(record.details()).expect("plain data"), events)
        };
        self.state().records.iter().map(read).collect()
    }

    /// The lines that recognizers were opened for, in samples per second.
    pub fn lines(&self) -> Vec<u32> {
        self.state().lines.clone()
    }

    /// The logs of turns.
    pub fn turn_logs(&self) -> Vec<Value> {
        self.state().turn_logs.clone()
    }

    /// The voice hands over the first half of each text, and takes so long for the rest.
    pub fn speaks_in_halves(&self, rest: Duration) {
        self.state().second_half = Some(rest);
    }

    /// The contact's attributes as the flow would read them now.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        self.state().attributes.clone()
    }

    /// Whether a key that is not empty is there.
    pub fn has_key(&self) -> bool {
        self.state().attributes.get(ATTRIBUTE).is_some_and(|key| !key.is_empty())
    }

    /// How often attributes were written, and how often blanked.
    pub fn writes_and_blanks(&self) -> (usize, usize) {
        let state = self.state();
        (state.writes, state.blanks)
    }

    /// What the assistant was asked.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.iter().map(|input| input.text().to_owned()).collect()
    }

    /// What was spoken.
    pub fn said(&self) -> Vec<String> {
        self.state().said.clone()
    }

    /// The assistant takes its time from now on.
    pub fn assistant_takes(&self, time: Duration) {
        self.state().assistant_takes = Some(time);
    }

    /// The context of the last turn.
    pub fn last_context(&self) -> Value {
        self.last_request().map(|request| Value::clone(&request.context)).unwrap_or_default()
    }

    /// The last turn.
    pub fn last_request(&self) -> Option<TurnRequest> {
        self.state().last_request.clone()
    }

    /// The assistant returns this context with every reply.
    pub fn returns(&self, context: Value) {
        self.state().returns = context;
    }

    /// The words of all calls as whoever looks on has read them.
    pub fn words_seen_live(&self) -> Vec<String> {
        self.state().seen_live.clone()
    }

    /// There is a sound of so many samples.
    pub fn sound(&self, source: &str, samples: usize) {
        self.state().sounds.insert(source.to_owned(), samples);
    }

    /// The sounds that were fetched.
    pub fn fetched(&self) -> Vec<String> {
        self.state().fetched.clone()
    }

    /// How recognizers were configured, first to last.
    pub fn understood(&self) -> Vec<Value> {
        self.state().understood.clone()
    }

    /// The histories that were stored.
    pub fn stored(&self) -> Vec<History> {
        self.state().stored.clone()
    }

    /// How many keys that were given away are void.
    pub fn voided(&self) -> usize {
        self.state().voided
    }

    /// How many keys that were given away are known to have been earned.
    pub fn earned(&self) -> usize {
        self.state().earned
    }

    /// How many samples recognizers heard.
    pub fn samples(&self) -> usize {
        self.state().samples
    }
}

async fn behave<T>(behaviour: Behaviour, good: T, bad: T) -> T {
    match behaviour {
        Behaviour::Good => {
            tokio::time::sleep(WORK).await;
            good
        }
        Behaviour::Refuses | Behaviour::Uncertain => bad,
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Panics => panic!("it was asked"),
    }
}

fn unavailable<T>() -> Result<T, ServiceFailure> {
    Err(ServiceFailure::Unavailable { why: "as told".into() })
}

impl Assistant for FakeServices {
    fn turn(&self, request: TurnRequest, _: PartSink) -> Pending<Result<TurnReply, ServiceFailure>> {
        let mut state = self.state();
        state.asked.push(request.input.clone());
        let generic = state.replies.get(request.input.text()).cloned().unwrap_or(json!([]));
        let (generic, context) = (generic.as_array().cloned().unwrap_or_default(), state.returns.clone());
        let reply = TurnReply { generic, context, ..TurnReply::default() };
        state.last_request = Some(request);
        let (behaviour, takes) = (state.assistant, state.assistant_takes);
        Box::pin(async move {
            if let Some(takes) = takes {
                tokio::time::sleep(takes).await;
            }
            behave(behaviour, Ok(reply), unavailable()).await
        })
    }
}

impl Recognizer for FakeServices {
    fn sample_rate(&self, _: u32) -> u32 {
        8000
    }

    fn open(
        &self,
        config: RecognizerConfig,
        sink: RecognizerSink,
    ) -> Pending<Result<Box<dyn RecognizerStream>, ServiceFailure>> {
        self.state().lines.push(config.line_rate);
        let (this, behaviour) = (self.clone(), self.state().recognizer);
        Box::pin(async move {
            behave(behaviour, Ok(()), unavailable()).await?;
            this.state().sinks.push(Arc::new(sink));
            Ok(Box::new(this) as Box<dyn RecognizerStream>)
        })
    }
}

impl RecognizerStream for FakeServices {
    fn hear(&mut self, samples: &[i16]) {
        self.state().samples += samples.len();
    }

    fn utterance_began(&mut self) {}

    fn utterance_ended(&mut self) {}

    fn expect_phrases(&mut self, _: Option<Arc<[String]>>) {}

    fn configure(&mut self, config: RecognizerConfig) {
        self.state().understood.push(Value::Object(config.parameters));
    }
}

impl Synthesizer for FakeServices {
    fn synthesize(&self, SpeechRequest { text, .. }: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
        // Ten milliseconds a letter, loud enough to be told from silence.
        let samples = vec![8000; text.len() * 80];
        let mut state = self.state();
        if state.overloaded {
            return Box::pin(std::future::ready(Err(ServiceFailure::Overloaded)));
        }
        state.said.push(text);
        let behaviour = state.synthesizer;
        Box::pin(behave(behaviour, Ok(Speech::new(samples, 8000)), unavailable()))
    }

    fn stream(&self, request: SpeechRequest, audio: AudioSink) -> Pending<Result<Speech, ServiceFailure>> {
        let rest = self.state().second_half;
        let whole = self.synthesize(request);
        let Some(rest) = rest else { return whole };
        Box::pin(async move {
            let speech = whole.await?;
            audio(&linear(&speech.samples)[..speech.samples.len() / 2], speech.sample_rate);
            tokio::time::sleep(rest).await;
            Ok(speech)
        })
    }
}

impl SoundLibrary for FakeServices {
    fn fetch(&self, source: String) -> Pending<Result<Speech, ServiceFailure>> {
        let mut state = self.state();
        let known = state.sounds.get(&source).copied();
        state.fetched.push(source);
        Box::pin(async move {
            match known {
                Some(samples) => Ok(Speech::new(vec![4000; samples], 8000)),
                None => unavailable(),
            }
        })
    }
}

impl RecordKeeper for FakeServices {
    fn began(&self, opening: &Opening) {
        self.state().began.push(opening.call.clone());
    }

    fn wants_turns(&self) -> bool {
        true
    }

    fn turn(&self, _: &CallRecord, log: Value) {
        self.state().turn_logs.push(log);
    }

    fn keep(&self, record: CallRecord) {
        self.state().records.push(record);
    }
}

impl Observer for FakeServices {
    fn saw(&self, _: CallId, event: &Arc<Event>) {
        if event.what.subject() == "words" {
            self.state().seen_live.push(event.what.told());
        }
    }

    fn refused(&self, call: &RefusedCall) {
        self.state().refused.push(call.clone());
    }
}

impl HistoryStore for FakeServices {
    fn store(&self, _: FiledAs, history: History) -> connect::Pending<Result<(), StoreFailed>> {
        let mut state = self.state();
        state.stored.push(history);
        let behaviour = state.store;
        Box::pin(behave(behaviour, Ok(()), Err(StoreFailed)))
    }

    fn lend(&self, name: FiledAs, history: History) -> connect::Pending<Result<(), StoreFailed>> {
        HistoryStore::store(self, name, history)
    }

    fn earned(&self, _: FiledAs) -> connect::Pending<Result<(), StoreFailed>> {
        self.state().earned += 1;
        Box::pin(std::future::ready(Ok(())))
    }

    fn void(&self, _: FiledAs) -> connect::Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(100)).await; // a disk takes its time
            this.state().voided += 1;
            Ok(())
        })
    }
}

impl AttributeWriter for FakeServices {
    fn write(&self, _: String, attributes: Vec<(String, String)>) -> connect::Pending<WriteOutcome> {
        let this = self.clone();
        Box::pin(async move {
            let behaviour = {
                let mut state = this.state();
                state.writes += 1;
                // The worst case: what was sent lands before anybody hears of it.
                if state.writer != Behaviour::Refuses {
                    state.attributes.extend(attributes);
                }
                state.writer
            };
            let bad = if behaviour == Behaviour::Refuses { WriteOutcome::Refused } else { WriteOutcome::Uncertain };
            behave(behaviour, WriteOutcome::Done, bad).await
        })
    }
}

impl WriteNotes for FakeServices {
    fn note(&self, _: NotedWrite) -> connect::Pending<Result<Note, StoreFailed>> {
        Box::pin(behave(self.state().notes, Ok(Note(1)), Err(StoreFailed)))
    }

    fn nothing_written(&self, _: Note) -> connect::Pending<Result<(), StoreFailed>> {
        Box::pin(behave(self.state().striking_out, Ok(()), Err(StoreFailed)))
    }

    fn settled(&self, _: String) -> connect::Pending<Result<(), StoreFailed>> {
        Box::pin(behave(self.state().striking_out, Ok(()), Err(StoreFailed)))
    }
}

impl AttributeBlanker for FakeServices {
    fn blank(&self, _: String, names: Vec<String>) -> connect::Pending<WriteOutcome> {
        let this = self.clone();
        Box::pin(async move {
            let mut state = this.state();
            state.blanks += 1;
            state.attributes.extend(names.into_iter().map(|name| (name, String::new())));
            WriteOutcome::Done
        })
    }
}
