//! `make speech`: how well callers are understood, how long they wait, and whether they can interrupt.
//!
//! A rehearsal caller speaks a hundred sentences in several voices, at several rates, with noise and packet loss, in whole
//! calls over loopback to the release binary with its embedded recognizer. What was understood comes from the server's
//! own log events; what the caller waited is measured in the caller's audio. The last line is one JSON object.

#![allow(clippy::print_stdout)] // a command-line tool

mod receiver;
mod utterances;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bellhop_bench::{Process, keep};
use bellhop_rehearsal::caller::{self, CallPlan, CallReport, Conditions, Event, Line};
use bellhop_sip::hop::Transport;
use bellhop_sip::sdp::{Codec, Security};
use clap::Parser;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use receiver::Receiver;
use utterances::{Utterance, phrases, word_errors};

/// Speaks to the server and reports what was understood and when it was answered.
#[derive(Parser)]
struct Arguments {
    /// Sentences said in each setting.
    #[arg(long, default_value_t = 100)]
    utterances: usize,
    /// Calls at once.
    #[arg(long, default_value_t = 4)]
    at_once: usize,
    /// Only the settings with this in their name, like `broadband` or `interrupted`.
    #[arg(long, default_value = "")]
    only: String,
}

/// Sentences said in one call.
const A_CALL: usize = 10;
/// Calls that try to interrupt, of each kind.
const INTERRUPTIONS: usize = 20;
/// When the caller hangs up after they began to interrupt.
const AFTER_INTERRUPTION: Duration = Duration::from_secs(8);
/// What a caller hears at first when they are to interrupt: about eight seconds.
const LONG_GREETING: &str = "Welcome to Acme. Our menu has changed, so please listen carefully to all of the following \
    options before you tell us what you would like to do today.";

/// The tenants: which phrases each expects. A tenant's number ends in its position.
fn tenants() -> Vec<(String, Vec<&'static str>)> {
    let all = phrases();
    let tens = all.chunks(A_CALL).enumerate().map(|(n, ten)| (format!("ten-{n}"), ten.to_vec()));
    let mut tenants: Vec<_> = tens.collect();
    tenants.push(("all".to_owned(), all.clone()));
    tenants.push(("open".to_owned(), vec![]));
    tenants.push(("interrupted".to_owned(), all));
    tenants
}

fn number(tenant: usize) -> String {
    format!("+1800555{tenant:04}")
}

/// One setting: a band, and how many sentences the assistant expects.
struct Setting {
    name: &'static str,
    codec: Codec,
    sample_rate: u32,
    /// The tenant of the nth call.
    tenant: fn(usize) -> usize,
}

const SETTINGS: [Setting; 5] = [
    Setting { name: "narrowband, 10 expected", codec: Codec::Pcmu, sample_rate: 8000, tenant: |call| call % 10 },
    Setting { name: "narrowband, 100 expected", codec: Codec::Pcmu, sample_rate: 8000, tenant: |_| 10 },
    Setting { name: "broadband, 100 expected", codec: Codec::G722, sample_rate: 16_000, tenant: |_| 10 },
    Setting { name: STRANGERS, codec: Codec::Pcmu, sample_rate: 8000, tenant: |call| (call + 1) % 10 },
    Setting { name: "narrowband, anything", codec: Codec::Pcmu, sample_rate: 8000, tenant: |_| 11 },
];

/// Nothing of what is said is expected: what is understood all the same is a mistake.
const STRANGERS: &str = "narrowband, 10 others expected";

/// How the nth call sounds: most are clean, some are noisy, some lose packets.
fn conditions(call: usize, sample_rate: u32) -> (&'static str, Conditions) {
    let clean = Conditions { sample_rate, seed: call as u64 + 1, ..Conditions::default() };
    match call % 10 {
        3 | 8 => ("noise", Conditions { noise: 300, ..clean }),
        5 => ("loss 1 %", Conditions { loss: 0.01, ..clean }),
        7 => ("loss 3 %", Conditions { loss: 0.03, ..clean }),
        _ => ("clean", clean),
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let report = run(&arguments, folder.path())?;
    keep("speech", &report)?;
    println!("{report}");
    Ok(())
}

fn run(arguments: &Arguments, folder: &Path) -> Result<Value> {
    let (receiver, at) = Receiver::open()?;
    let mut server = serve(folder, at)?;
    let (sip, _) = server.addresses()?;
    let mut callers = 0;
    let mut report = serde_json::Map::new();
    for setting in SETTINGS.iter().filter(|setting| setting.name.contains(&arguments.only)) {
        let said = utterances::all(setting.sample_rate)?;
        let said = &said[..arguments.utterances.min(said.len())];
        let calls: Vec<Call> = said
            .chunks(A_CALL)
            .enumerate()
            .map(|(n, lines)| {
                callers += 1;
                Call::talking(sip, setting, n, callers, lines)
            })
            .collect();
        let outcomes = place_all(calls, arguments.at_once, &receiver)?;
        let figures = if setting.name == STRANGERS { misjudged(&outcomes) } else { judge(&outcomes) };
        println!("{:<26} {}", setting.name, figures);
        report.insert(setting.name.to_owned(), figures);
    }
    let said = utterances::all(8000)?;
    let interruptions = [("interrupted by a sentence", Kind::Sentence), ("interrupted by a cough", Kind::Cough)];
    for (name, kind) in interruptions.into_iter().filter(|(name, _)| name.contains(&arguments.only)) {
        let calls: Vec<Call> = (0..INTERRUPTIONS)
            .map(|n| {
                callers += 1;
                Call::interrupting(sip, n, callers, kind, &said[(n * 5) % said.len()])
            })
            .collect();
        let outcomes = place_all(calls, arguments.at_once, &receiver)?;
        let cut = outcomes.iter().filter(|outcome| outcome.was_interrupted()).count();
        println!("{name:<26} {cut} of {} replies were cut", outcomes.len());
        report.insert(name.to_owned(), json!({"calls": outcomes.len(), "cut": cut}));
    }
    Ok(Value::Object(report))
}

/// How a caller interrupts.
#[derive(Clone, Copy)]
enum Kind {
    Sentence,
    Cough,
}

struct Call {
    plan: CallPlan,
    condition: &'static str,
    said: Vec<Utterance>,
}

impl Call {
    fn talking(sip: SocketAddr, setting: &Setting, n: usize, caller: usize, lines: &[Utterance]) -> Self {
        let (condition, conditions) = conditions(n, setting.sample_rate);
        let mut said: Vec<Line> = lines.iter().map(say).collect();
        said.push(Line::HangUp);
        let plan = plan(sip, setting.codec, &number((setting.tenant)(n)), caller, conditions, said);
        Self { plan, condition, said: lines.to_vec() }
    }

    fn interrupting(sip: SocketAddr, n: usize, caller: usize, kind: Kind, sentence: &Utterance) -> Self {
        let (condition, conditions) = conditions(n, 8000);
        let line = match kind {
            Kind::Sentence => say(sentence),
            Kind::Cough => Line::Say { words: "a cough".to_owned(), samples: cough(n as u64) },
        };
        let wait = Duration::from_millis(2000 + 100 * n as u64);
        // Long enough for the reply to go on, or for another.
        let lines = vec![Line::AtOnce(wait), line, Line::AtOnce(wait + AFTER_INTERRUPTION), Line::HangUp];
        let plan = plan(sip, Codec::Pcmu, &number(12), caller, conditions, lines);
        Self { plan, condition, said: vec![] }
    }
}

fn say(utterance: &Utterance) -> Line {
    Line::Say { words: utterance.words.clone(), samples: utterance.samples.clone() }
}

/// A burst of noise that dies away within a quarter of a second, and a second one.
fn cough(seed: u64) -> Vec<i16> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut burst = |length: usize| -> Vec<i16> {
        let decay = |n: usize| 9000.0 * (1.0 - n as f32 / length as f32).powi(2);
        (0..length).map(|n| (decay(n) * chance.random_range(-1.0..1.0)) as i16).collect()
    };
    [burst(2000), vec![0; 800], burst(1400)].concat()
}

fn plan(
    sip: SocketAddr,
    codec: Codec,
    dialled: &str,
    caller: usize,
    conditions: Conditions,
    lines: Vec<Line>,
) -> CallPlan {
    CallPlan {
        server: sip,
        transport: Transport::Udp,
        dialled: dialled.to_owned(),
        caller: format!("+1206555{caller:04}"),
        headers: vec![],
        lines,
        certificate: None,
        server_name: "localhost".to_owned(),
        codecs: vec![codec],
        security: Security::Off,
        conditions,
        limit: Duration::from_secs(240),
    }
}

/// What became of a call.
struct Outcome {
    condition: &'static str,
    said: Vec<Utterance>,
    sample_rate: u32,
    report: CallReport,
    turns: Vec<Value>,
}

/// Places calls, some at once.
fn place_all(calls: Vec<Call>, at_once: usize, receiver: &Receiver) -> Result<Vec<Outcome>> {
    let (waiting, done) = (Arc::new(Mutex::new(calls)), Arc::new(Mutex::new(vec![])));
    let work = || -> Result<()> {
        loop {
            let Some(call) = waiting.lock().ok().and_then(|mut calls| calls.pop()) else { return Ok(()) };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let report = runtime.block_on(caller::place(call.plan.clone(), |_, _| {}))?;
            ensure!(report.answered_after.is_some(), "a call was not answered: {:?}", report.ended);
            let turns = receiver.call_of(&call.plan.caller)?.turns;
            let sample_rate = call.plan.conditions.sample_rate;
            let outcome = Outcome { condition: call.condition, said: call.said, sample_rate, report, turns };
            done.lock().map_err(|_| anyhow::anyhow!("a caller panicked"))?.push(outcome);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a caller panicked"))))
    })?;
    let mut done = done.lock().map_err(|_| anyhow::anyhow!("a caller panicked"))?;
    Ok(std::mem::take(&mut *done))
}

impl Outcome {
    /// When each sentence was begun, in samples of the caller's audio.
    fn beginnings(&self) -> Vec<usize> {
        let answered = self.report.answered_after.unwrap_or_default();
        let begun = self.report.events.iter().filter(|(_, event)| matches!(event, Event::Says(_)));
        begun.map(|(at, _)| at.saturating_sub(answered).as_millis() as usize * 8).collect()
    }

    /// What was heard of each sentence: the words of the turns that came before the next sentence.
    fn heard(&self) -> Vec<String> {
        // The nth turn after the greeting answers the nth sentence, unless a sentence was heard in two pieces or not at
        // all: the times tell.
        let stamp = |turn: &Value| turn["request_timestamp"].as_str().map(str::to_owned).unwrap_or_default();
        let ms = |stamp: &str| {
            let field = |range: std::ops::Range<usize>| stamp.get(range).and_then(|text| text.parse::<u64>().ok());
            let (hours, minutes, seconds) = (field(11..13)?, field(14..16)?, field(17..19)?);
            Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + field(20..23)?)
        };
        let Some(zero) = self.turns.first().and_then(|turn| ms(&stamp(turn))) else { return vec![] };
        let said_at: Vec<u64> = self
            .report
            .events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Says(_)))
            .map(|(at, _)| at.as_millis() as u64)
            .collect();
        let window = |n: usize| said_at[n]..said_at.get(n + 1).copied().unwrap_or(u64::MAX);
        (0..said_at.len())
            .map(|n| {
                let theirs = self.turns.iter().skip(1).filter(|turn| {
                    let spoken = turn["request"]["type"] == "speech_to_text";
                    // Past midnight the clock begins anew.
                    let at = ms(&stamp(turn)).map(|at| (at + 86_400_000 - zero) % 86_400_000);
                    spoken && at.is_some_and(|at| window(n).contains(&at))
                });
                let words: Vec<&str> = theirs.filter_map(|turn| turn["request"]["input"]["text"].as_str()).collect();
                words.join(" ")
            })
            .collect()
    }

    /// What the caller waited after each sentence, from its last sample to the first sound.
    fn waits(&self) -> Vec<u64> {
        let frame_sounds = |frame: &[i16]| frame.iter().map(|s| u64::from(s.unsigned_abs())).sum::<u64>() > 150 * 160;
        self.beginnings()
            .iter()
            .zip(&self.said)
            .filter_map(|(begun, said)| {
                let end = begun + said.samples.len() * 8000 / self.sample_rate as usize;
                let after = self.report.heard.get(end..)?;
                let sound = after.chunks_exact(160).position(frame_sounds)?;
                Some(sound as u64 * 20)
            })
            .filter(|wait| *wait < 6000) // later it is another turn: nothing was heard of this one
            .collect()
    }

    fn was_interrupted(&self) -> bool {
        let greeting = self.turns.first().map(|turn| turn["statistics"]["response"].clone()).unwrap_or_default();
        greeting.as_array().into_iter().flatten().any(|response| response["barge_in_occurred"] == true)
    }
}

/// How many sentences were taken for one that was expected.
fn misjudged(outcomes: &[Outcome]) -> Value {
    let heard: Vec<String> = outcomes.iter().flat_map(Outcome::heard).collect();
    json!({"sentences": heard.len(), "taken_for_another": heard.iter().filter(|words| !words.is_empty()).count()})
}

/// Word error rates, and what callers waited.
fn judge(outcomes: &[Outcome]) -> Value {
    let mut by: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let (mut errors, mut words, mut whole, mut sentences) = (0, 0, 0, 0);
    let mut waits = vec![];
    for outcome in outcomes {
        for (said, heard) in outcome.said.iter().zip(outcome.heard()) {
            let (wrong, all) = word_errors(&said.words, &heard);
            (errors, words) = (errors + wrong, words + all);
            (whole, sentences) = (whole + usize::from(wrong == 0), sentences + 1);
            for of in [outcome.condition.to_owned(), format!("{} voices", said.engine)] {
                let counts = by.entry(of).or_default();
                *counts = (counts.0 + wrong, counts.1 + all);
            }
        }
        waits.extend(outcome.waits());
    }
    waits.sort_unstable();
    let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).copied();
    let percent = |(wrong, all): (usize, usize)| (wrong as f64 / all.max(1) as f64 * 1000.0).round() / 10.0;
    json!({
        "sentences": sentences,
        "understood_whole": whole,
        "word_error_percent": percent((errors, words)),
        "word_error_percent_of": by.into_iter().map(|(name, counts)| (name, json!(percent(counts)))).collect::<serde_json::Map<_, _>>(),
        "answered": waits.len(),
        "wait_p50_ms": at(0.5),
        "wait_p95_ms": at(0.95),
    })
}

/// The server with a tenant for every vocabulary.
fn serve(folder: &Path, receiver: SocketAddr) -> Result<Process> {
    let mut config = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[media]\nports = \"42000-42999\"\nbind = \"127.0.0.1\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[storage]\nurl = \"sqlite://{}\"\n",
        folder.join("speech.db").display()
    );
    for (n, (name, expected)) in tenants().into_iter().enumerate() {
        let greeting = if name == "interrupted" { LONG_GREETING } else { "How can I help?" };
        let expect = if expected.is_empty() {
            String::new()
        } else {
            format!("    expect: [{{say: {}, go: listening}}]\n", serde_json::to_string(&expected)?)
        };
        let script = format!(
            "start: greeting\nsteps:\n  greeting:\n    respond: [{{response_type: text, text: \"{greeting}\"}}]\n{expect}    otherwise: listening\n  \
             listening:\n    respond: [{{response_type: text, text: Okay.}}]\n{expect}    otherwise: listening\n"
        );
        std::fs::write(folder.join(format!("{name}.yaml")), script)?;
        write!(
            config,
            "[[tenants]]\nname = \"{name}\"\nnumbers = [\"{}\"]\n[tenants.conversation]\npost_response_timeout_ms = 60000\n\
             [tenants.assistant]\nkind = \"scripted\"\nscript = \"{name}.yaml\"\n[tenants.speech_to_text]\nkind = \"pocketsphinx\"\n\
             [tenants.text_to_speech]\nkind = \"flite\"\n[tenants.records.webhook]\nurl = \"http://{receiver}/\"\nsecret = \"bench\"\n\
             events = [\"cdr_logged\", \"message_logged\"]\n",
            number(n)
        )?;
    }
    let path = folder.join("speech.toml");
    std::fs::write(&path, config)?;
    Process::serve(&path, None).context("build it: make speech")
}
