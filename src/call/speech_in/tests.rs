//! Every state with every input as a golden table, and what no order of inputs breaks.

use std::sync::LazyLock;

use bellhop_dialogue::ports::Json;

use std::sync::Arc;

use super::*;

/// A batch of the line.
const BATCH: Duration = Duration::from_millis(60);
/// What audio waits in the jitter buffer.
const DELAY: Duration = Duration::from_millis(40);
const LISTENING: Listening = Listening {
    by_words: Some(Silences { complete: Duration::from_millis(250), unfinished: Duration::from_millis(1200) }),
    sustained: Duration::from_millis(600),
};

fn yes() -> Expected {
    Expected { phrases: Some(Arc::from(vec!["yes".to_owned(), "yes please".to_owned()])), digits: None }
}

struct Stage {
    core: SpeechIn,
    now: Instant,
    /// Frames of sound that were given so far.
    given: usize,
    line_rate: u32,
    /// Frames that the recognizer got of the last input.
    heard: Vec<Vec<i16>>,
}

/// A second of something that a voice detector takes for a voice, at 16 kHz: harmonics of 120 Hz under a syllabic envelope.
static VOICE: LazyLock<Vec<i16>> = LazyLock::new(|| {
    let sample = |k: usize| {
        let t = k as f32 / 16_000.0;
        let harmonics: f32 = (1..20).map(|h| (t * 120.0 * h as f32 * std::f32::consts::TAU).sin() / h as f32).sum();
        (harmonics * 6000.0 * (0.6 + 0.4 * (t * 4.0 * std::f32::consts::TAU).sin())) as i16
    };
    (0..16_000).map(sample).collect()
});

/// So many frames of silence, or of a voice that goes on and on.
fn frames(from: usize, count: usize, voiced: bool, rate: u32) -> Vec<i16> {
    let (per_frame, step) = (rate as usize / 50, 16_000 / rate as usize);
    let sample = |k: usize| if voiced { VOICE[k * step % VOICE.len()] } else { 0 };
    (from * per_frame..(from + count) * per_frame).map(sample).collect()
}

impl Stage {
    fn new() -> Self {
        let now = Instant::now();
        let mut this =
            Self { core: SpeechIn::new(now, 8000, LISTENING), now, given: 0, line_rate: 8000, heard: vec![] };
        // So that it is known how quiet it is where the caller is.
        this.put(Input::Audio { samples: vec![0; 25 * FRAME_SAMPLES], frame_samples: FRAME_SAMPLES, delay: DELAY });
        this
    }

    fn put(&mut self, input: Input) -> Vec<Output> {
        self.core.handle(self.now, input);
        self.drained()
    }

    fn expire(&mut self, at: Instant) -> Vec<Output> {
        self.now = at;
        self.core.handle_timeout(at);
        self.drained()
    }

    fn drained(&mut self) -> Vec<Output> {
        self.heard.clear();
        let mut outputs = vec![];
        while let Some(output) = self.core.poll() {
            if let Output::Hear { samples } = output {
                self.heard.push(self.core.frame().to_vec());
                assert_eq!(self.core.frame().len(), samples);
            }
            outputs.push(output);
        }
        outputs
    }

    fn audio(&mut self, count: usize, voiced: bool) -> Vec<Output> {
        let samples = frames(self.given, count, voiced, self.line_rate);
        self.given += count;
        self.now += BATCH;
        self.put(Input::Audio { samples, frame_samples: self.line_rate as usize / 50, delay: DELAY })
    }

    fn change_line(&mut self, line_rate: u32) -> Vec<Output> {
        self.line_rate = line_rate;
        self.put(Input::LineChanged { line_rate })
    }

    fn connected(&mut self, sample_rate: u32) -> Vec<Output> {
        let connection = self.core.connection;
        self.put(Input::Connected { connection, sample_rate })
    }

    fn reported(&mut self, event: RecognizerEvent) -> Vec<Output> {
        let connection = self.core.connection;
        self.put(Input::Reported { connection, event })
    }

    fn of_before(&mut self, event: RecognizerEvent) -> Vec<Output> {
        let connection = Connection(self.core.connection.0 - 1);
        self.put(Input::Reported { connection, event })
    }
}

fn fields(json: &str) -> Fields {
    match serde_json::from_str(json) {
        Ok(Json::Object(fields)) => fields,
        other => panic!("{other:?}"),
    }
}

fn words() -> RecognizerEvent {
    RecognizerEvent::FinalResult { text: "words".into(), confidence: 0.9, result: None }
}

fn interim(text: &str) -> RecognizerEvent {
    RecognizerEvent::InterimResult { text: text.into(), stable: false }
}

fn so_far(text: Option<&str>) -> RecognizerEvent {
    RecognizerEvent::SoFar { words: text.map(|text| (text.to_owned(), 0.9)) }
}

fn unavailable() -> ServiceFailure {
    ServiceFailure::Unavailable { why: "test".into() }
}

type Step = fn(&mut Stage) -> Vec<Output>;

/// Every input there is, by a name.
const INPUTS: [(&str, Step); 29] = [
    ("silence", |stage| stage.audio(3, false)),
    ("half a second of voice", |stage| stage.audio(25, true)),
    ("a second of voice", |stage| stage.audio(50, true)),
    ("a fifth of a second of silence", |stage| stage.audio(10, false)),
    ("a second of silence", |stage| stage.audio(50, false)),
    ("line of 16 kHz", |stage| stage.change_line(16_000)),
    ("expect", |stage| stage.put(Input::Expect { expected: yes() })),
    ("configure", |stage| {
        stage.put(Input::ConfigureRecognizer { fields: fields(r#"{"narrowband_recognize": {"x": 1}}"#) })
    }),
    ("configure another silence", |stage| {
        let silence = r#"{"narrowband_recognize": {"end_of_phrase_silence_time": 0.3}}"#;
        stage.put(Input::ConfigureRecognizer { fields: fields(silence) })
    }),
    ("do not listen", |stage| stage.put(Input::Listening(false))),
    ("listen", |stage| stage.put(Input::Listening(true))),
    ("connected", |stage| stage.connected(8000)),
    ("connected at 16 kHz", |stage| stage.connected(16_000)),
    ("refused", |stage| {
        let connection = stage.core.connection;
        stage.put(Input::Refused { connection, failure: unavailable() })
    }),
    ("connected before", |stage| {
        let connection = Connection(stage.core.connection.0 - 1);
        stage.put(Input::Connected { connection, sample_rate: 8000 })
    }),
    ("refused before", |stage| {
        let connection = Connection(stage.core.connection.0 - 1);
        stage.put(Input::Refused { connection, failure: unavailable() })
    }),
    ("interim result", |stage| stage.reported(RecognizerEvent::InterimResult { text: "wor".into(), stable: false })),
    ("interim result that is expected", |stage| stage.reported(interim("Yes please."))),
    ("so far what is expected", |stage| stage.reported(so_far(Some("yes please")))),
    ("so far what goes on", |stage| stage.reported(so_far(Some("yes and")))),
    ("so far nothing", |stage| stage.reported(so_far(None))),
    ("final result", |stage| stage.reported(words())),
    ("not understood", |stage| stage.reported(RecognizerEvent::NotUnderstood)),
    ("served by another", |stage| stage.reported(RecognizerEvent::ServedBy { service: "watson", stands_in: true })),
    ("reconnecting", |stage| stage.reported(RecognizerEvent::Reconnecting { why: unavailable() })),
    ("lost", |stage| stage.reported(RecognizerEvent::Lost(unavailable()))),
    ("final result before", |stage| stage.of_before(words())),
    ("lost before", |stage| stage.of_before(RecognizerEvent::Lost(unavailable()))),
    ("(time)", |stage| match stage.core.deadline() {
        Some(due) => stage.expire(due),
        None => vec![],
    }),
];

/// The states by name: from which other, and what happens on the way.
const STATES: [(&str, &str, &str); 16] = [
    ("connecting", "", ""),
    ("connecting, the caller speaks", "connecting", "half a second of voice"),
    ("connecting, nobody listens", "connecting", "do not listen"),
    ("connecting anew", "connected", "line of 16 kHz"),
    ("connected", "connecting", "connected"),
    ("connected at 16 kHz", "connecting", "connected at 16 kHz"),
    ("connected on a line of 16 kHz", "connecting anew", "connected at 16 kHz"),
    ("the caller speaks", "connected", "half a second of voice"),
    ("the caller makes a pause", "the caller speaks", "a fifth of a second of silence"),
    (
        "a pause after what is expected",
        "the caller speaks",
        "expect; a fifth of a second of silence; so far what is expected",
    ),
    ("a pause after what goes on", "the caller speaks", "expect; a fifth of a second of silence; so far what goes on"),
    ("the caller speaks, as an interim result says", "the caller speaks", "expect; interim result that is expected"),
    ("taken, and its result is awaited", "the caller speaks, as an interim result says", "a second of silence"),
    ("a result is awaited", "the caller speaks", "a second of silence"),
    ("nobody listens", "connected", "do not listen"),
    ("lost", "connected", "lost"),
];

fn step(name: &str) -> Step {
    INPUTS.iter().find(|(known, _)| *known == name).map(|(_, step)| *step).expect("an input of this name")
}

/// A machine in the state of this name.
fn in_state(name: &str) -> Stage {
    let Some((_, from, more)) = STATES.iter().find(|(state, ..)| *state == name) else { return Stage::new() };
    let mut stage = in_state(from);
    more.split("; ").filter(|name| !name.is_empty()).for_each(|name| _ = step(name)(&mut stage));
    stage
}

/// An output as a word or two.
fn brief(output: &Output) -> String {
    match output {
        Output::Connect { connection, config } => format!("Connect {} for {config:?}", connection.0),
        Output::RecognizerReady => "RecognizerReady".into(),
        Output::ExpectPhrases(phrases) => format!("ExpectPhrases {:?}", phrases.as_ref().map(|phrases| phrases.len())),
        Output::ConfigureRecognizer(config) => format!("ConfigureRecognizer {config:?}"),
        Output::Taken { samples } => format!("Taken {samples}"),
        Output::Hear { samples } => format!("Hear {samples}"),
        Output::SpeechStarted => "SpeechStarted".into(),
        Output::Paused => "Paused".into(),
        Output::Resumed => "Resumed".into(),
        Output::MayBeAll { .. } => "MayBeAll".into(),
        Output::SpeechSustained => "SpeechSustained".into(),
        Output::SpeechEnded { silence, by, .. } => format!("SpeechEnded by {} after {silence:?}", by.label()),
        Output::Recognised { .. } => "Recognised".into(),
        Output::InterimResult => "InterimResult".into(),
        Output::FinalResult { .. } => "FinalResult".into(),
        Output::NotUnderstood => "NotUnderstood".into(),
        Output::ServedBy { service, .. } => format!("ServedBy {service}"),
        Output::Reconnecting { .. } => "Reconnecting".into(),
        Output::Failed(failure) => format!("Failed: {failure}"),
    }
}

/// Outputs in order, what is the same in a row as one.
fn told(outputs: &[Output]) -> String {
    let mut told: Vec<(String, usize)> = vec![];
    for brief in outputs.iter().map(brief) {
        match told.last_mut() {
            Some((last, times)) if *last == brief => *times += 1,
            _ => told.push((brief, 1)),
        }
    }
    let told = told.into_iter().map(|(brief, times)| if times > 1 { format!("{times} x {brief}") } else { brief });
    told.collect::<Vec<_>>().join("; ")
}

/// What a machine keeps beside what it tells.
fn kept(core: &SpeechIn) -> String {
    let state = match &core.state {
        State::Connecting { by } => format!("{by:?}"),
        State::Connected { ended, .. } => format!("{ended:?}"),
        State::Lost => String::new(),
    };
    let ears = matches!(core.ears, Ears::Open(_));
    let Settings { line_rate, fields, expected, .. } = &core.settings;
    let taken = matches!(&core.state, State::Connected { taken, .. } if !taken.is_empty());
    let utterance = match &core.ears {
        Ears::Open(Some(utterance)) => format!("{utterance:?}"),
        _ => String::new(),
    };
    format!("{state} {ears} {line_rate} {fields:?} {expected:?} {taken} {utterance}")
}

#[test]
fn every_state_meets_every_input_as_written() {
    let mut table = String::new();
    for (name, ..) in STATES {
        table += &format!("# {name}\n");
        let mut without = vec![];
        for (given, step) in INPUTS {
            let mut stage = in_state(name);
            let before = kept(&stage.core);
            let outputs = step(&mut stage);
            match (outputs.is_empty(), kept(&stage.core) == before) {
                (true, true) => without.push(given),
                (true, false) => table += &format!("{given:<26} (remembered)\n"),
                (false, _) => table += &format!("{given:<26} {}\n", told(&outputs)),
            }
        }
        table += &format!("nothing comes of: {}\n\n", without.join(", "));
    }
    let golden = include_str!("../../../tests/golden/speech_in_transitions.txt");
    // A change of what is heard when is a change of that file: `WRITE_GOLDEN=path` writes it, and its diff is what is reviewed.
    if let Ok(path) = std::env::var("WRITE_GOLDEN") {
        std::fs::write(path, &table).expect("written");
    }
    let other = table.lines().zip(golden.lines()).find(|(is, was)| is != was);
    assert!(table == golden, "tests/golden/speech_in_transitions.txt says otherwise: {other:?}");
}

#[test]
fn a_line_of_one_band_is_heard_at_the_rate_of_the_recognizer() {
    for (line_rate, wanted, frame) in
        [(8000, 8000, 160), (8000, 16_000, 320), (16_000, 8000, 160), (16_000, 16_000, 320)]
    {
        let mut stage = Stage::new();
        stage.change_line(line_rate);
        stage.connected(wanted);
        stage.audio(3, true);
        let lengths: Vec<usize> = stage.heard.iter().map(Vec::len).collect();
        assert_eq!(lengths, [frame; 3], "{line_rate} {wanted}");
        if line_rate == wanted {
            assert_eq!(stage.heard.concat(), frames(0, 3, true, line_rate), "sample by sample");
        }
    }
}

#[test]
fn an_utterance_begins_before_its_audio_and_ends_behind_it() {
    let mut stage = in_state("connected");
    let mut outputs = stage.audio(25, true);
    outputs.extend(stage.audio(50, false));
    let marks: Vec<&Output> = outputs
        .iter()
        .filter(|output| matches!(output, Output::Hear { .. } | Output::SpeechStarted | Output::SpeechEnded { .. }))
        .collect();
    let at = |is_it: fn(&Output) -> bool| marks.iter().position(|mark| is_it(mark)).expect("it is told");
    let (began, ended) =
        (at(|mark| matches!(mark, Output::SpeechStarted)), at(|mark| matches!(mark, Output::SpeechEnded { .. })));
    assert!((3..10).contains(&began), "{began}");
    let heard = marks[began..ended].iter().filter(|mark| matches!(mark, Output::Hear { .. })).count();
    assert!((25 - 10 + 35..=25 + 45).contains(&heard), "{heard} frames between the beginning and the end");
    assert!(matches!(marks[ended - 1], Output::Hear { .. }));
}

/// What comes late is of the utterance that waits for its result, and not of the one after it.
#[test]
fn a_late_interim_result_ends_no_other_utterance() {
    for (late_ms, by) in [(200, EndedBy::Silence), (1200, EndedBy::ExpectedPhrase)] {
        let mut stage = in_state("a result is awaited");
        stage.put(Input::Expect { expected: yes() });
        stage.audio(25, true);
        stage.now += Duration::from_millis(late_ms);
        stage.reported(interim("yes please"));
        let outputs = stage.audio(50, false);
        let ended = outputs.iter().find_map(|output| match output {
            Output::SpeechEnded { by, .. } => Some(*by),
            _ => None,
        });
        assert_eq!(ended, Some(by), "{late_ms}");
    }
}

/// A generator of Knuth's: enough to try orders of inputs, the same every time.
struct Lot(u64);

impl Lot {
    fn draw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// What was seen of one machine.
#[derive(Default)]
struct Seen {
    connected: bool,
    speaking: bool,
    lost: bool,
    utterances: usize,
}

impl Seen {
    fn look(&mut self, stage: &Stage, outputs: &[Output]) {
        let mut heard = 0;
        for output in outputs {
            assert!(!self.lost, "{} after the end", brief(output));
            match output {
                Output::Connect { .. } => self.connected = false,
                Output::RecognizerReady => self.connected = true,
                Output::Hear { .. } => {
                    assert!(self.connected, "nobody hears it");
                    heard += 1;
                }
                Output::SpeechStarted => {
                    assert!(!std::mem::replace(&mut self.speaking, true), "it began twice");
                }
                Output::SpeechEnded { .. } => {
                    assert!(std::mem::take(&mut self.speaking), "it ended before it began");
                    self.utterances += 1;
                }
                Output::Failed(_) => self.lost = true,
                _ => {}
            }
        }
        if let Some(Output::Taken { samples }) = outputs.first()
            && self.connected
        {
            assert_eq!(heard, *samples / (stage.line_rate as usize / 50), "what was taken is heard");
        }
        assert!(self.connected || self.lost || stage.core.deadline().is_some(), "connecting without a deadline");
    }
}

/// The recognizer gets all there is while it is connected, utterances begin and end in turn, what came of an earlier connection
/// is ignored, and nothing follows the loss.
#[test]
fn no_order_of_inputs_breaks_the_law() {
    let (mut utterances, mut lost) = (0, 0);
    for seed in 0..300 {
        let (mut lot, mut stage, mut seen) = (Lot(seed), Stage::new(), Seen::default());
        for _ in 0..60 {
            let mut at = lot.draw(INPUTS.len() * 2);
            // Speech and silence are most of what happens, and what ends everything is rare.
            let ends = |at: usize| ["refused", "lost", "(time)"].contains(&INPUTS[at].0);
            if at < INPUTS.len() && ends(at) && lot.draw(10) > 0 {
                at = INPUTS.len();
            }
            let common = ["half a second of voice", "a second of silence"][at % 2];
            let (given, step) = INPUTS.get(at).copied().unwrap_or((common, step(common)));
            let outputs = step(&mut stage);
            seen.look(&stage, &outputs);
            let stale = given.ends_with(" before");
            assert!(!stale || outputs.is_empty(), "{given}: {}", told(&outputs));
            // Of what was being said no end is told.
            seen.speaking &= given != "do not listen";
        }
        utterances += seen.utterances;
        lost += usize::from(seen.lost);
    }
    assert!(utterances > 500 && lost > 50, "{utterances} utterances, {lost} lost: hardly tried");
}
