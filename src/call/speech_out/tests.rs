//! Every state with every input as a golden table, and what no order of inputs breaks.

mod orders;

use std::collections::BTreeMap;

use bellhop_dialogue::ports::{Speech, SpeechRequest};
use bellhop_dialogue::response::{DigitPress, DtmfSend};
use bellhop_media::codec::Codec;
use bellhop_media::g711::Law;
use bellhop_media::playout::{ClipId, Event, SendFormat, Sound};
use bellhop_media::receiver::EventFormat;
use bellhop_media::rtp::PACKET_BYTES_MAX;

use super::*;
use crate::line_audio::linear;

/// 20 ms on the line.
const FRAME: Duration = Duration::from_millis(20);

/// A machine beside its line, and whoever does its jobs.
struct Stage {
    core: SpeechOut,
    playout: Playout,
    cache: SoundCache,
    now: Instant,
    /// The name of the next utterance.
    next: u64,
    /// What is being done.
    jobs: BTreeMap<Job, Doing>,
}

/// A job, with what it is done for.
enum Doing {
    Split { text: String },
    Synthesize { text: String, rate: u32 },
    Fetch { source: String, codec: Codec },
    Encode { speech: Speech, codec: Codec },
}

fn format(codec: Codec) -> SendFormat {
    let telephone_event = Some(EventFormat { payload_type: 101, clock_rate: 8000 });
    SendFormat { codec, payload_type: 9, ptime_ms: 20, telephone_event, comfort_noise: None }
}

impl Stage {
    fn new() -> Self {
        Self::on(Codec::G722)
    }

    fn on(codec: Codec) -> Self {
        Self {
            core: SpeechOut::default(),
            playout: Playout::new(format(codec), 1, 1, 1),
            cache: SoundCache::default(),
            now: Instant::now(),
            next: 1,
            jobs: BTreeMap::new(),
        }
    }

    fn put(&mut self, input: Input) -> Vec<Output> {
        let mut line = Line { playout: &mut self.playout, cache: &mut self.cache };
        self.core.handle(self.now, &mut line, input);
        self.drained()
    }

    fn expire(&mut self, at: Instant) -> Vec<Output> {
        self.now = at;
        let mut line = Line { playout: &mut self.playout, cache: &mut self.cache };
        self.core.handle_timeout(self.now, &mut line);
        self.drained()
    }

    fn drained(&mut self) -> Vec<Output> {
        let outputs: Vec<Output> = std::iter::from_fn(|| self.core.poll()).collect();
        for output in &outputs {
            let (job, doing) = match output {
                Output::Split { job, text } => (*job, Doing::Split { text: text.clone() }),
                Output::Synthesize { job, request } => {
                    (*job, Doing::Synthesize { text: request.text.clone(), rate: request.line_rate })
                }
                Output::Fetch { job, source, codec } => (*job, Doing::Fetch { source: source.clone(), codec: *codec }),
                Output::Encode { job, speech, codec } => {
                    (*job, Doing::Encode { speech: speech.clone(), codec: *codec })
                }
                Output::Abandon(job) => {
                    assert!(self.jobs.remove(job).is_some(), "what is not done cannot be abandoned");
                    continue;
                }
                _ => continue,
            };
            assert!(self.jobs.insert(job, doing).is_none(), "every job has a name of its own");
        }
        outputs
    }

    fn next_id(&mut self) -> SayId {
        self.next += 1;
        SayId(self.next - 1)
    }

    fn say(&mut self, text: &str) -> Vec<Output> {
        let id = self.next_id();
        self.put(Input::Say { id, speech: SpeechRequest::plain(text, 0) })
    }

    fn play(&mut self, repeats: bool) -> Vec<Output> {
        let id = self.next_id();
        self.put(Input::Play { id, source: format!("https://sounds.example/{}", id.0), repeats })
    }

    fn digits(&mut self, digits: &str) -> Vec<Output> {
        let id = self.next_id();
        let press = |digit| DigitPress { digit, duration_ms: 100, volume: 10 };
        let digits = digits.chars().map(press).collect();
        self.put(Input::SendDigits { id, digits: DtmfSend { digits, interval_ms: 60 } })
    }

    /// The first job of this kind.
    fn job(&self, is_it: impl Fn(&Doing) -> bool) -> Option<Job> {
        self.jobs.iter().find(|(_, doing)| is_it(doing)).map(|(job, _)| *job)
    }

    fn synthesis(&self) -> Option<Job> {
        self.job(|doing| matches!(doing, Doing::Synthesize { .. }))
    }

    fn fetching(&self) -> Option<Job> {
        self.job(|doing| matches!(doing, Doing::Fetch { .. } | Doing::Encode { .. }))
    }

    /// The first part that is being made has become so much audio, or failed.
    fn made(&mut self, result: Result<Duration, ServiceFailure>) -> Vec<Output> {
        let job = self.synthesis().unwrap_or(Job(999));
        self.jobs.remove(&job);
        let result = result.map(|length| Speech::new(vec![1; length.as_millis() as usize * 16], 16_000));
        self.put(Input::Made { job, result })
    }

    /// The first sound that is being fetched is there for this codec, or is not to be had.
    fn fetched(&mut self, codec: Codec, result: Result<Duration, ServiceFailure>) -> Vec<Output> {
        let job = self.fetching().unwrap_or(Job(999));
        self.jobs.remove(&job);
        let result = result.map(|length| {
            let speech = Speech::new(vec![1; length.as_millis() as usize * 16], 16_000);
            let sound = Sound::of(&linear(&speech.samples), codec);
            (speech, sound)
        });
        self.put(Input::Fetched { job, codec, result })
    }

    /// One frame on the line, and what it tells of clips.
    fn frame(&mut self) -> Vec<Event> {
        self.now += FRAME;
        self.playout.tick();
        let mut packet = [0; PACKET_BYTES_MAX];
        while self.playout.packet(&mut packet).is_some() {}
        std::iter::from_fn(|| self.playout.poll_event()).collect()
    }

    /// The line plays until a clip is at its end, and tells of it.
    fn hear(&mut self) -> Vec<Output> {
        for _ in 0..1600 {
            if !self.playout.is_playing() {
                break;
            }
            let events = self.frame();
            if events.iter().any(|event| matches!(event, Event::Finished(_))) {
                return events.into_iter().flat_map(|event| self.put(Input::Clip(event))).collect();
            }
        }
        vec![]
    }
}

fn unavailable() -> ServiceFailure {
    ServiceFailure::Unavailable { why: "test".into() }
}

/// Two parts.
fn long_text() -> String {
    "seven words are in this long sentence. ".repeat(10)
}

type Step = fn(&mut Stage) -> Vec<Output>;

/// Every input there is, by a name; results are those of the first job that asks for such.
const INPUTS: [(&str, Step); 29] = [
    ("say", |stage| stage.say("Hello.")),
    ("say at length", |stage| stage.say(&long_text())),
    ("say a book", |stage| stage.say(&"word ".repeat(1000))),
    ("say a break", |stage| stage.say("<break time=\"1s\"/>")),
    ("say nothing", |stage| stage.say(" ")),
    ("play", |stage| stage.play(false)),
    ("play, repeated", |stage| stage.play(true)),
    ("send digits", |stage| stage.digits("12#")),
    ("announce", |stage| stage.put(Input::Announce { text: "Sorry.".into() })),
    ("stop repeating", |stage| stage.put(Input::StopRepeating)),
    ("pause", |stage| stage.put(Input::Pause)),
    ("resume", |stage| stage.put(Input::Resume)),
    ("cut", |stage| stage.put(Input::Cut)),
    ("split", |stage| {
        let job = stage.job(|doing| matches!(doing, Doing::Split { .. })).unwrap_or(Job(999));
        stage.jobs.remove(&job);
        stage.put(Input::Split { job, parts: vec!["One.".into(), "Two.".into()] })
    }),
    ("split into nothing", |stage| {
        let job = stage.job(|doing| matches!(doing, Doing::Split { .. })).unwrap_or(Job(999));
        stage.jobs.remove(&job);
        stage.put(Input::Split { job, parts: vec![] })
    }),
    ("audio", |stage| {
        let job = stage.synthesis().unwrap_or(Job(999));
        stage.put(Input::Audio { job, samples: vec![1; 3200], sample_rate: 16_000 })
    }),
    ("audio of another rate", |stage| {
        let job = stage.synthesis().unwrap_or(Job(999));
        stage.put(Input::Audio { job, samples: vec![1; 3200], sample_rate: 22_050 })
    }),
    ("made", |stage| stage.made(Ok(Duration::from_secs(1)))),
    ("made, half a minute", |stage| stage.made(Ok(Duration::from_secs(30)))),
    ("overloaded", |stage| stage.made(Err(ServiceFailure::Overloaded))),
    ("too late", |stage| stage.made(Err(ServiceFailure::Overdue))),
    ("unavailable", |stage| stage.made(Err(unavailable()))),
    ("fetched", |stage| stage.fetched(Codec::G722, Ok(Duration::from_secs(1)))),
    ("fetched for another codec", |stage| stage.fetched(Codec::Opus, Ok(Duration::from_secs(1)))),
    ("not fetched", |stage| stage.fetched(Codec::G722, Err(unavailable()))),
    ("a late result", |stage| stage.put(Input::Made { job: Job(0), result: Err(unavailable()) })),
    ("a clip begins", |stage| stage.frame().into_iter().flat_map(|event| stage.put(Input::Clip(event))).collect()),
    ("a clip is heard", Stage::hear),
    ("an unknown clip", |stage| stage.put(Input::Clip(Event::Finished(ClipId(4711))))),
];

/// The states by name: from which other, and what happens on the way.
const STATES: [(&str, &str, &str); 20] = [
    ("idle", "", ""),
    ("splitting a book", "idle", "say a book"),
    ("making a text", "idle", "say"),
    ("making a text, some of it there", "making a text", "audio"),
    ("making a text, some of it heard", "making a text, some of it there", "a clip is heard"),
    ("making a long text", "idle", "say at length"),
    ("making a long text, its first part there", "making a long text", "made"),
    ("making two texts", "making a text", "say"),
    ("waiting for a synthesizer", "making a text", "overloaded"),
    ("speaking", "making a text", "made"),
    ("speaking, paused", "speaking", "pause"),
    ("speaking, another waits for a synthesizer", "speaking", "say; overloaded"),
    ("speaking far ahead, another waits", "making a text", "made, half a minute; say"),
    ("fetching", "idle", "play"),
    ("fetching, coded anew", "fetching", "fetched for another codec"),
    ("playing, repeated", "idle", "play, repeated; fetched"),
    ("sending digits", "idle", "send digits"),
    ("making a text, digits wait", "making a text", "send digits"),
    ("announcing", "speaking", "announce; made"),
    ("lost", "making a text", "unavailable"),
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
        Output::Split { job, .. } => format!("Split {}", job.0),
        Output::Synthesize { job, request } => {
            format!("Synthesize {} ({} characters)", job.0, request.text.chars().count())
        }
        Output::Fetch { job, .. } => format!("Fetch {}", job.0),
        Output::Encode { job, .. } => format!("Encode {}", job.0),
        Output::Abandon(job) => format!("Abandon {}", job.0),
        Output::PlaybackReady => "PlaybackReady".into(),
        Output::AudioReady(id) => format!("AudioReady {}", named(*id)),
        Output::MadeBy { id, .. } => format!("MadeBy {}", named(*id)),
        Output::Synthesized { .. } => "Synthesized".into(),
        Output::Underflow => "Underflow".into(),
        Output::SoundMissing(_) => "SoundMissing".into(),
        Output::AudioBegan(id) => format!("AudioBegan {}", named(*id)),
        Output::AudioEnded(id) => format!("AudioEnded {}", named(*id)),
        Output::Played(id) => format!("Played {}", named(*id)),
        Output::AnnouncementPlayed => "AnnouncementPlayed".into(),
        Output::WasCut { id, share } => format!("WasCut {} ({share:.2})", named(*id)),
        Output::Failed(failure) => format!("Failed: {failure}"),
    }
}

fn named(id: SayId) -> String {
    if id == ANNOUNCEMENT { "announcement".into() } else { id.0.to_string() }
}

/// What a machine keeps beside what it tells, and whether the line is paused.
fn kept(stage: &Stage) -> String {
    let paused = format!("{:?}", stage.playout).contains("paused: true");
    format!("{:?} {paused} {}", stage.core.state, line(stage))
}

/// What is on the line.
fn line(stage: &Stage) -> String {
    format!("{} ms", stage.playout.ahead().as_millis())
}

#[test]
fn every_state_meets_every_input_as_written() {
    let mut table = String::new();
    for (name, ..) in STATES {
        table += &format!("# {name}\n");
        let mut without = vec![];
        for given in INPUTS.map(|(name, _)| name).into_iter().chain(["(time)"]) {
            let mut stage = in_state(name);
            let (before, on_line) = (kept(&stage), line(&stage));
            let outputs = match (given, stage.core.deadline()) {
                ("(time)", Some(due)) => stage.expire(due),
                ("(time)", None) => vec![],
                (given, _) => step(given)(&mut stage),
            };
            let told: Vec<String> = outputs.iter().map(brief).collect();
            let on_line = (line(&stage) != on_line).then(|| format!(" | line {on_line} -> {}", line(&stage)));
            match (told.is_empty(), kept(&stage) == before) {
                (true, true) => without.push(given),
                (true, false) => table += &format!("{given:<26} (remembered){}\n", on_line.unwrap_or_default()),
                (false, _) => table += &format!("{given:<26} {}{}\n", told.join("; "), on_line.unwrap_or_default()),
            }
        }
        table += &format!("nothing comes of: {}\n\n", without.join(", "));
    }
    let golden = include_str!("../../../tests/golden/speech_out_transitions.txt");
    // A change of what is spoken when is a change of that file: `WRITE_GOLDEN=path` writes it, and its diff is what is reviewed.
    if let Ok(path) = std::env::var("WRITE_GOLDEN") {
        std::fs::write(path, &table).expect("written");
    }
    let other = table.lines().zip(golden.lines()).find(|(is, was)| is != was);
    assert!(table == golden, "tests/golden/speech_out_transitions.txt says otherwise: {other:?}");
}

#[test]
fn whatever_is_waited_for_has_a_deadline() {
    for (name, ..) in STATES {
        let stage = in_state(name);
        assert!(stage.jobs.is_empty() || stage.core.deadline().is_some() || name == "lost", "{name}");
    }
}

/// A clip ends, and before its end is told the caller interrupts: it was heard.
#[test]
fn what_has_ended_before_a_cut_is_played_and_not_cut() {
    let mut stage = in_state("speaking");
    let mut told = vec![];
    while stage.playout.is_playing() {
        told.extend(stage.frame());
    }
    assert!(stage.put(Input::Cut).is_empty(), "nothing was there to be cut");
    let outputs: Vec<String> =
        told.into_iter().flat_map(|event| stage.put(Input::Clip(event))).map(|output| brief(&output)).collect();
    assert_eq!(outputs, ["AudioBegan 1", "AudioEnded 1", "Played 1"]);
}

/// What is there of a text that is still being made is a part of it.
#[test]
fn a_cut_tells_how_much_of_a_text_was_heard() {
    let mut stage = in_state("making a long text, its first part there");
    (0..25).for_each(|_| _ = stage.frame());
    let outputs = stage.put(Input::Cut);
    let Some(Output::WasCut { id: SayId(1), share }) = outputs.first() else { panic!("it was cut") };
    // Half a second of one second, which is all that was asked for of a text whose second part is being made.
    assert!((0.4..0.6).contains(share), "{share}");
    assert!(matches!(outputs[1], Output::Abandon(_)), "nothing is made for it");
}

#[test]
fn a_row_of_digits_that_is_cut_is_told_by_its_name() {
    let mut stage = in_state("sending digits");
    stage.frame();
    assert_eq!(brief(&stage.put(Input::Cut)[0]), "WasCut 1 (0.00)");
}

/// Clips that were coded for a line of another codec are coded anew when their turn comes.
#[test]
fn a_sound_that_waits_while_the_codec_changes_is_heard_as_it_is() {
    let mut stage = in_state("making a text");
    stage.play(false);
    stage.fetched(Codec::G722, Ok(Duration::from_secs(1)));
    stage.playout.reformat(format(Codec::G711(Law::Mu)));
    stage.made(Ok(Duration::from_millis(20)));
    assert_eq!(stage.playout.ahead(), Duration::from_millis(1020));
}

#[test]
fn a_synthesizer_without_time_is_lost_once_the_first_words_have_waited_long_enough() {
    let mut stage = in_state("making a text");
    let began = stage.now;
    let lost = loop {
        let outputs = stage.made(Err(ServiceFailure::Overloaded));
        if let Some(Output::Failed(failure)) = outputs.last() {
            break failure.clone();
        }
        let due = stage.core.deadline().expect("it is asked again");
        stage.expire(due);
    };
    assert_eq!((lost, stage.now - began), (ServiceFailure::Overloaded, OVERLOADED_MAX));
}
