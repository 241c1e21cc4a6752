//! What no order of inputs breaks: seeded orders of everything that can happen, on a line that plays.

use std::collections::{BTreeMap, BTreeSet};

use bellhop_dialogue::ports::Companding;

use super::*;
use crate::line_audio::coded;

/// A generator of Knuth's: enough to try orders of inputs, the same every time.
struct Lot(u64);

impl Lot {
    fn draw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// The line: each of its code words comes out as it went in.
const MU: Codec = Codec::G711(Law::Mu);

/// A stage that knows what should be heard. The code words of an utterance are its number, so that they can be told apart.
struct Watched {
    stage: Stage,
    lot: Lot,
    /// Clips that the line has told of and the machine has not heard of yet.
    told: VecDeque<Event>,
    /// What was ordered, and how many samples it has as far as they are made.
    ordered: BTreeMap<u64, usize>,
    repeated: BTreeSet<u64>,
    /// Samples of each that were heard.
    heard: BTreeMap<u64, usize>,
    last_heard: u64,
    /// What may be heard: what was ordered since the last cut.
    since_cut: u64,
    played: BTreeSet<u64>,
    cut: BTreeSet<u64>,
    lost: bool,
}

impl Watched {
    fn new(seed: u64) -> Self {
        let mut stage = Stage::on(MU);
        stage.playout.monitor();
        Self {
            stage,
            lot: Lot(seed),
            told: VecDeque::new(),
            ordered: BTreeMap::new(),
            repeated: BTreeSet::new(),
            heard: BTreeMap::new(),
            last_heard: 0,
            since_cut: 0,
            played: BTreeSet::new(),
            cut: BTreeSet::new(),
            lost: false,
        }
    }

    fn look(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            assert!(!self.lost, "{} after the end", brief(&output));
            match output {
                Output::Played(SayId(id)) => {
                    assert!(self.played.insert(id), "{id} was played twice");
                    let (heard, all) = (self.heard.get(&id).copied().unwrap_or(0), self.ordered[&id]);
                    assert!(heard == all || self.repeated.contains(&id), "{id}: {heard} of {all} samples were heard");
                }
                Output::WasCut { id: SayId(id), share } => {
                    assert!((0.0..=1.0).contains(&share), "{share}");
                    assert!(!self.played.contains(&id) || self.repeated.contains(&id), "{id} was played and cut");
                    assert!(self.cut.insert(id), "{id} was cut twice");
                }
                Output::Failed(_) => self.lost = true,
                _ => {}
            }
        }
        let making = self.stage.jobs.values().filter(|doing| matches!(doing, Doing::Synthesize { .. })).count();
        assert!(making <= AT_ONCE, "{making} at once");
        let waited_for = !self.stage.jobs.is_empty() && !self.lost;
        assert!(!waited_for || self.stage.core.deadline().is_some(), "a job without a deadline");
    }

    fn put(&mut self, input: Input) {
        let outputs = self.stage.put(input);
        self.look(outputs);
    }

    fn order(&mut self, all: usize, input: impl FnOnce(SayId) -> Input) -> u64 {
        let id = self.stage.next_id();
        self.ordered.insert(id.0, all);
        self.put(input(id));
        id.0
    }

    fn say(&mut self) {
        let words = [0, 1, 5, 150, 1200][self.lot.draw(5)];
        self.order(0, |id| {
            let text = format!("w{} ", id.0).repeat(words);
            let text = if words % 5 == 0 { format!("<break time=\"100ms\"/>{text}") } else { text };
            Input::Say { id, speech: SpeechRequest::plain(text, 0) }
        });
    }

    fn sound(&mut self) {
        let repeats = self.lot.draw(4) == 0;
        let next = self.stage.next;
        if repeats {
            self.repeated.insert(next);
        }
        self.order(0, |id| Input::Play { id, source: id.0.to_string(), repeats });
    }

    /// A job goes on or ends, well or not.
    fn work(&mut self, well: bool) {
        let jobs: Vec<Job> = self.stage.jobs.keys().copied().collect();
        if jobs.is_empty() {
            return;
        }
        let job = jobs[self.lot.draw(jobs.len())];
        let draw = if well { 0 } else { self.lot.draw(12) };
        match &self.stage.jobs[&job] {
            Doing::Split { text } => {
                let parts = speakable(text);
                self.stage.jobs.remove(&job);
                self.put(Input::Split { job, parts });
            }
            Doing::Synthesize { text, rate } => {
                let (id, rate) = (number(text), *rate);
                let all = samples(id, text.len() * 8);
                match draw {
                    1..5 => {
                        // The beginning of it is handed over; then comes all of it, or there is no time for the rest.
                        let some = self.lot.draw(all.len());
                        self.put(Input::Audio { job, samples: all[..some].to_vec(), sample_rate: rate });
                        let result = if draw < 4 { Ok(all) } else { Err(ServiceFailure::Overloaded) };
                        self.finish(job, result, rate);
                    }
                    5 => self.finish(job, Err(ServiceFailure::Overloaded), rate),
                    6 if self.lot.draw(2) == 0 => self.finish(job, Err(unavailable()), rate),
                    _ => self.finish(job, Ok(all), rate),
                }
            }
            Doing::Fetch { source, codec } => {
                let (id, codec) = (source.parse::<u64>().expect("a number"), *codec);
                self.stage.jobs.remove(&job);
                let samples = samples(id, 800 * (1 + self.lot.draw(20)));
                // The line had another codec when some of them were asked for.
                let codec = if draw == 2 { Codec::G711(Law::A) } else { codec };
                let result = if draw == 1 {
                    Err(unavailable())
                } else {
                    self.ordered.insert(id, samples.len());
                    let speech = Speech::new(samples, 8000);
                    let sound = Sound::of(&linear(&speech.samples), codec);
                    Ok((speech, sound))
                };
                self.put(Input::Fetched { job, codec, result });
            }
            Doing::Encode { speech, codec } => {
                let (speech, codec) = (speech.clone(), *codec);
                self.stage.jobs.remove(&job);
                let sound = Sound::of(&linear(&speech.samples), codec);
                self.put(Input::Fetched { job, codec, result: Ok((speech, sound)) });
            }
        }
    }

    fn finish(&mut self, job: Job, result: Result<Vec<i16>, ServiceFailure>, rate: u32) {
        if self.stage.jobs.remove(&job).is_none() {
            return;
        }
        if let Ok(samples) = &result
            && let Some(sample) = samples.first()
        {
            *self.ordered.entry(number_of(*sample)).or_default() += samples.len();
        }
        // Speech that is kept for lines of G.711 comes as its code words, those of a line that had another rate too.
        let is_coded = rate == 8000 && self.lot.draw(2) == 0;
        let result = result.map(|samples| match is_coded {
            true => Speech { samples: coded(&samples, Companding::MuLaw), ..Speech::new(vec![], rate) },
            false => Speech::new(samples, rate),
        });
        self.put(Input::Made { job, result });
    }

    /// Some frames on the line; what they tell of clips comes a little later.
    fn frames(&mut self, frames: usize) {
        for _ in 0..frames {
            let events = self.stage.frame();
            self.told.extend(events);
            let (heard, last, since_cut) = (&mut self.heard, &mut self.last_heard, self.since_cut);
            self.stage.playout.monitored(|samples| {
                for id in samples.iter().filter(|sample| **sample != 0).map(|sample| number_of(*sample)) {
                    assert!(id >= since_cut, "{id} is heard after it was cut");
                    assert!(id >= *last, "{id} is heard after {last}");
                    *last = id;
                    *heard.entry(id).or_default() += 1;
                }
            });
        }
    }

    fn hear_of_clips(&mut self, all: bool) {
        while let Some(event) = self.told.pop_front() {
            self.put(Input::Clip(event));
            if !all && self.lot.draw(3) == 0 {
                return;
            }
        }
    }

    fn cut(&mut self) {
        self.put(Input::Cut);
        assert!(self.stage.jobs.is_empty(), "nothing is made for what was cut");
        assert!(!self.stage.playout.is_playing(), "nothing is heard of what was cut");
        self.since_cut = self.stage.next;
        // What a job would have told is on its way.
        let late = Input::Audio { job: Job(1 + self.lot.draw(30) as u64), samples: vec![1; 1600], sample_rate: 8000 };
        self.put(late);
        assert!(!self.stage.playout.is_playing(), "a late result is heard");
    }

    fn expire(&mut self) {
        while let Some(due) = self.stage.core.deadline().filter(|due| *due <= self.stage.now) {
            let outputs = self.stage.expire(due.max(self.stage.now));
            self.look(outputs);
        }
    }

    fn step(&mut self) {
        match self.lot.draw(20) {
            0 | 1 => self.say(),
            2 => self.sound(),
            3 => {
                _ = self.order(0, |id| {
                    let digits = vec![DigitPress { digit: '5', duration_ms: 40, volume: 63 }; 3];
                    Input::SendDigits { id, digits: DtmfSend { digits, interval_ms: 20 } }
                })
            }
            4 => self.cut(),
            5 => self.put(Input::StopRepeating),
            6 => self.put(Input::Pause),
            7 => self.put(Input::Resume),
            8..13 => self.work(false),
            13..17 => {
                let frames = self.lot.draw(60);
                self.frames(frames);
            }
            _ => self.hear_of_clips(false),
        }
        self.expire();
    }

    /// Nothing is left of what was played or dropped.
    fn look_at_rest(&self) {
        if let State::Serving(queue) = &self.stage.core.state {
            assert!(queue.is_empty(), "{:?}", self.stage.core.state);
        }
    }

    /// Nothing more is ordered, and everybody does their work.
    fn settle(&mut self) {
        self.put(Input::Resume);
        if !self.repeated.is_empty() {
            self.put(Input::StopRepeating);
        }
        for _ in 0..20_000 {
            if self.lost || self.stage.jobs.is_empty() && !self.stage.playout.is_playing() && self.told.is_empty() {
                let Some(due) = self.stage.core.deadline() else { return self.look_at_rest() };
                self.stage.now = due;
            }
            self.work(true);
            self.frames(5);
            self.hear_of_clips(true);
            self.expire();
        }
        panic!("stuck: {:?}", self.stage.core.state);
    }
}

fn samples(id: u64, count: usize) -> Vec<i16> {
    vec![Law::Mu.decode(id as u8); count]
}

fn number_of(sample: i16) -> u64 {
    Law::Mu.encode(sample).into()
}

fn speakable(text: &str) -> Vec<String> {
    bellhop_dialogue::speakable::cut(text)
}

/// The number of the utterance that a part belongs to.
fn number(text: &str) -> u64 {
    let digits = text.split('w').nth(1).unwrap_or_default();
    digits.split(' ').next().and_then(|digits| digits.parse().ok()).expect("a number")
}

/// Each utterance is played once and whole, or it is dropped; what was cut is heard no more; nothing gets stuck.
#[test]
fn no_order_of_inputs_breaks_the_law() {
    let (mut played, mut cut, mut lost) = (0, 0, 0);
    for seed in 0..200 {
        let mut watched = Watched::new(seed);
        for _ in 0..60 {
            if watched.lost {
                break;
            }
            watched.step();
        }
        if !watched.lost {
            watched.settle();
        }
        if watched.lost {
            lost += 1;
            assert_eq!(watched.stage.core.deadline(), None, "seed {seed}");
            watched.put(Input::Cut);
        } else {
            let dropped = |id: &u64| *id < watched.since_cut || watched.repeated.contains(id);
            let forgotten: Vec<&u64> =
                watched.ordered.keys().filter(|id| !dropped(id) && !watched.played.contains(id)).collect();
            assert!(forgotten.is_empty(), "seed {seed}: {forgotten:?} were neither played nor dropped");
        }
        played += watched.played.len();
        cut += watched.cut.len();
    }
    assert!(played > 500 && cut > 250 && lost > 10, "{played} played, {cut} cut, {lost} lost: hardly tried");
}
