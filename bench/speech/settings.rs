//! The settings that are measured: who calls, what they say, and how they sound.
//!
//! Invariant: the same setting places the same calls, whatever ran before it.

use std::time::Duration;

use anyhow::Result;
use bellhop_rehearsal::caller::Conditions;
use bellhop_sip::sdp::Codec;

use crate::calls::{Call, Callers, Outcome, Sounding, clean, sounding};
use crate::figures::{self, BY_NOTHING, BY_SENTENCE, CACHED, HUMAN, PAUSED, UNCACHED};
use crate::tenants::{A_CALL, Server};
use crate::utterances::{self, Utterance};
use crate::{level, recordings, sounds};

/// Calls that are to interrupt.
const INTERRUPTIONS: usize = 20;
/// Of the calls that must not: coughs, and as many other noises.
const NOISES: usize = 10;
/// Calls of the other forty: so many back-channels.
const BACK_CHANNELS: usize = 20;
/// Packets of a burst of losses, on average.
const BURST: f32 = 4.0;

/// What is made of a setting's outcomes.
type Judge = fn(&[Outcome]) -> serde_json::Map<String, serde_json::Value>;

/// A setting.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    /// Whether a figure of it is in the table.
    pub(crate) in_table: bool,
    /// Calls at once, where it is not the one asked for.
    pub(crate) at_once: Option<usize>,
    pub(crate) calls: fn(&mut Bench<'_>) -> Result<Vec<Call>>,
    pub(crate) judge: Judge,
}

const fn measured(name: &'static str, calls: fn(&mut Bench<'_>) -> Result<Vec<Call>>) -> Setting {
    Setting { name, in_table: false, at_once: None, calls, judge: figures::judge }
}

/// All of them, but how many calls a core carries.
pub(crate) const SETTINGS: [Setting; 13] = [
    Setting { in_table: true, ..measured(CACHED, |bench| bench.tens(0, bench.sentences)) },
    Setting { in_table: true, ..measured(UNCACHED, |bench| bench.uncached()) },
    Setting { in_table: true, ..measured(HUMAN, |bench| bench.human()) },
    Setting { in_table: true, ..measured(PAUSED, |bench| bench.paused()) },
    Setting { in_table: true, judge: figures::interrupted, ..measured(BY_SENTENCE, |bench| bench.interrupting()) },
    Setting { in_table: true, judge: figures::interrupted, ..measured(BY_NOTHING, |bench| bench.not_interrupting()) },
    measured("bad lines and places", |bench| bench.bad_lines()),
    Setting { at_once: Some(1), ..measured("1 at once", |bench| bench.tens(0, bench.sentences / 5)) },
    Setting { at_once: Some(50), ..measured("50 at once", |bench| bench.spread(50, A_CALL)) },
    measured("narrowband, 100 expected", |bench| bench.same("all", Codec::Pcmu, 8000)),
    measured("broadband, 100 expected", |bench| bench.same("all", Codec::G722, 16_000)),
    // Nothing of what is said is expected: what is understood all the same is a mistake.
    Setting {
        judge: figures::misjudged,
        ..measured("narrowband, 10 others expected", |bench| bench.tens(1, bench.sentences))
    },
    measured("narrowband, anything", |bench| bench.same("open", Codec::Pcmu, 8000)),
];

/// What settings make calls of.
pub(crate) struct Bench<'a> {
    server: &'a Server,
    callers: Callers,
    /// Sentences said in a setting of synthetic voices.
    sentences: usize,
    said: Vec<Utterance>,
    recorded: Vec<Utterance>,
}

impl<'a> Bench<'a> {
    /// Of so many sentences at most.
    pub(crate) fn new(server: &'a Server, sentences: usize) -> Result<Self> {
        let (said, recorded) = (utterances::all(8000)?, recordings::sentences()?);
        let sentences = sentences.clamp(1, said.len());
        Ok(Self { server, callers: Callers::default(), sentences, said, recorded })
    }

    /// Sentences to tenants who expect ten: theirs, or with `shift` those of another.
    fn tens(&mut self, shift: usize, sentences: usize) -> Result<Vec<Call>> {
        let said = &self.said[..sentences.max(1)];
        let call = |(n, ten): (usize, &[Utterance])| {
            let tenant = format!("ten-{}", (n + shift) % 10);
            self.callers.talk(self.server, &tenant, Codec::Pcmu, sounding(n, 8000), ten)
        };
        said.chunks(A_CALL).enumerate().map(call).collect()
    }

    /// So many calls of clean sentences, to all tenants who expect ten in turn.
    pub(crate) fn spread(&mut self, calls: usize, sentences: usize) -> Result<Vec<Call>> {
        let tens: Vec<&[Utterance]> = self.said.chunks(A_CALL).collect();
        let call = |n: usize| {
            let ten = n % tens.len();
            // Not all who say the same begin with the same.
            let mut said = tens[ten].to_vec();
            said.rotate_left(n / tens.len() * 3 % A_CALL);
            said.truncate(sentences);
            self.callers.talk(self.server, &format!("ten-{ten}"), Codec::Pcmu, clean(n), &said)
        };
        (0..calls).map(call).collect()
    }

    fn same(&mut self, tenant: &str, codec: Codec, sample_rate: u32) -> Result<Vec<Call>> {
        let other = if sample_rate == 8000 { vec![] } else { utterances::all(sample_rate)? };
        let said = if sample_rate == 8000 { &self.said } else { &other };
        let call = |(n, ten): (usize, &[Utterance])| {
            self.callers.talk(self.server, tenant, codec, sounding(n, sample_rate), ten)
        };
        said[..self.sentences].chunks(A_CALL).enumerate().map(call).collect()
    }

    fn uncached(&mut self) -> Result<Vec<Call>> {
        let call = |(n, ten): (usize, &[Utterance])| {
            self.callers.talk(self.server, &format!("uncached-{n}"), Codec::Pcmu, sounding(n, 8000), ten)
        };
        self.said[..self.sentences].chunks(A_CALL).enumerate().map(call).collect()
    }

    fn human(&mut self) -> Result<Vec<Call>> {
        let call = |(n, ten): (usize, &[Utterance])| {
            self.callers.talk(self.server, &format!("human-{n}"), Codec::Pcmu, clean(n), ten)
        };
        self.recorded.chunks(A_CALL).enumerate().map(call).collect()
    }

    /// Sentences with a pause of 200, 400 or 600 ms: sixty synthetic ones, and forty recordings.
    fn paused(&mut self) -> Result<Vec<Call>> {
        let synthetic = utterances::paused(60.min(self.sentences))?;
        let mut calls = vec![];
        for (n, ten) in synthetic.chunks(A_CALL).enumerate() {
            calls.push(self.callers.talk(self.server, &format!("ten-{n}"), Codec::Pcmu, clean(n), ten)?);
        }
        for (n, ten) in self.recorded.chunks(A_CALL).enumerate().take(4) {
            let pause = |(n, said): (usize, &Utterance)| said.paused(utterances::PAUSES[n % utterances::PAUSES.len()]);
            let said: Vec<Utterance> = ten.iter().enumerate().filter_map(pause).collect();
            calls.push(self.callers.talk(self.server, &format!("human-{n}"), Codec::Pcmu, clean(n), &said)?);
        }
        Ok(calls)
    }

    /// Places and lines that callers call from: twenty synthetic sentences and ten recordings in each.
    fn bad_lines(&mut self) -> Result<Vec<Call>> {
        let mut calls = vec![];
        for (n, place) in self.places().into_iter().enumerate() {
            for m in 0..3 {
                let conditions = Conditions { seed: (n * 3 + m + 1) as u64, ..place.conditions.clone() };
                let sounding = Sounding { conditions, ..place };
                let (kind, said) = if m < 2 { ("ten", &self.said) } else { ("human", &self.recorded) };
                // Each place hears other sentences, so that no one ten decides.
                let tens: Vec<&[Utterance]> = said.chunks(A_CALL).collect();
                let ten = (n + m * 5) % tens.len();
                let tenant = format!("{kind}-{ten}");
                calls.push(self.callers.talk(self.server, &tenant, Codec::Pcmu, sounding, tens[ten])?);
            }
        }
        Ok(calls)
    }

    fn places(&self) -> Vec<Sounding> {
        let levels: Vec<f64> = self.said.iter().map(|said| level::voice_level(&said.samples, 8000)).collect();
        let voice = levels.iter().sum::<f64>() / levels.len().max(1) as f64;
        let around = |background| Conditions { background, ..Conditions::default() };
        let late = |ms| Conditions { jitter: Duration::from_millis(ms), ..Conditions::default() };
        let losing = |loss| Conditions { loss, burst: BURST, ..Conditions::default() };
        let place = |name, conditions| Sounding { name, conditions };
        vec![
            place("cafe", around(sounds::cafe(&self.said, voice, 1))),
            place("car", around(sounds::car(voice, 2))),
            place("hum", around(sounds::hum(voice))),
            place("jitter 40 ms", late(40)),
            place("jitter 80 ms", late(80)),
            place("bursts of loss 1 %", losing(0.01)),
            place("bursts of loss 3 %", losing(0.03)),
            place("bursts of loss 5 %", losing(0.05)),
        ]
    }

    fn interrupting(&mut self) -> Result<Vec<Call>> {
        let call = |n: usize| self.callers.interrupt(self.server, n, "sentence", &self.said[(n * 5) % self.said.len()]);
        (0..INTERRUPTIONS).map(call).collect()
    }

    /// Coughs, other noises, and what people say to show that they listen.
    fn not_interrupting(&mut self) -> Result<Vec<Call>> {
        let human = recordings::back_channels()?;
        let synthetic = utterances::back_channels()?.into_iter().take(BACK_CHANNELS - 2 * human.len());
        let mut heard: Vec<(&'static str, Utterance)> = vec![];
        for n in 0..NOISES {
            heard.push(("cough", noise("a cough", sounds::cough(n as u64))));
            let (name, made) = match n % 3 {
                0 => ("door", sounds::door(n as u64)),
                1 => ("keyboard", sounds::keyboard(n as u64)),
                _ => ("throat", sounds::throat(n as u64)),
            };
            heard.push((name, noise(name, made)));
        }
        heard.extend(synthetic.map(|said| ("back-channel", said)));
        heard.extend(human.iter().chain(&human).map(|said| ("human back-channel", said.clone())));
        let call = |(n, (kind, heard)): (usize, &(&'static str, Utterance))| {
            self.callers.interrupt(self.server, n, kind, heard)
        };
        heard.iter().enumerate().map(call).collect()
    }
}

fn noise(what: &str, samples: Vec<i16>) -> Utterance {
    Utterance { words: what.to_owned(), engine: "noise", speaker: "", samples, pause: None }
}
