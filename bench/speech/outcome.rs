//! What became of each sentence of a call: what was heard of it, whether it was cut off, and what its caller waited.
//!
//! All times are milliseconds since the call was begun. Invariant: a sentence has one outcome, whatever came of it.

use std::ops::Range;
use std::time::UNIX_EPOCH;

use serde_json::Value;

use crate::calls::Outcome;
use crate::level;
use crate::utterances::Utterance;

/// A wait that takes longer is of another turn: nothing was heard of this sentence.
const WAIT_MAX: u64 = 6000;
/// The mean magnitude of a frame that is more than silence.
const SOUND: u64 = 150;
/// The longest that the greeting is silent between two of its sentences, in milliseconds.
const PAUSE_MAX: u64 = 600;
/// What the clocks of caller and server may differ by: a frame, and rounding.
const CLOCKS: u64 = 40;

/// What became of a sentence.
pub(crate) struct Sentence<'a> {
    pub(crate) said: &'a Utterance,
    pub(crate) condition: &'static str,
    /// The words of the turns that it made.
    pub(crate) heard: String,
    /// Whether the server took a part of it for all.
    pub(crate) cut_off: bool,
    /// From the last voiced sample to the first sound of the answer; none if it was cut off, or never answered.
    pub(crate) wait: Option<u64>,
}

/// A turn that the caller's speech made.
struct Turn {
    /// When the server noticed the speech, and when it asked.
    began: u64,
    asked: u64,
    words: String,
}

/// When a sentence is said.
struct Said {
    /// From its first sample until the next sentence.
    window: Range<u64>,
    /// Where its last voiced sample is.
    voiced_until: u64,
    pause_at: Option<u64>,
}

impl Outcome {
    /// What became of each sentence.
    pub(crate) fn sentences(&self) -> Vec<Sentence<'_>> {
        let turns = self.turns_of_speech();
        (0..self.report.said_from.len().min(self.said.len()))
            .map(|n| {
                let when = self.when(n);
                let theirs: Vec<&Turn> = turns.iter().filter(|turn| when.window.contains(&turn.asked)).collect();
                let cut_off = self.is_cut_off(&when, &theirs);
                let words: Vec<&str> = theirs.iter().map(|turn| turn.words.as_str()).collect();
                Sentence {
                    said: &self.said[n],
                    condition: self.condition,
                    heard: words.join(" "),
                    cut_off,
                    wait: self.wait(n).filter(|_| !cut_off),
                }
            })
            .collect()
    }

    /// The time of a sample of the caller's audio, which is kept at 8 kHz.
    fn time(&self, sample: usize) -> u64 {
        self.report.answered_after.unwrap_or_default().as_millis() as u64 + sample as u64 / 8
    }

    /// The sample of the caller's audio after the last voiced one of the nth sentence.
    fn voiced_until(&self, n: usize) -> usize {
        let until = level::voiced_until(&self.said[n].samples, self.sample_rate);
        self.report.said_from[n] + until * 8000 / self.sample_rate as usize
    }

    fn when(&self, n: usize) -> Said {
        let from = &self.report.said_from;
        let until = from.get(n + 1).map_or(u64::MAX, |next| self.time(*next));
        let pause = self.said[n].pause.as_ref().map(|pause| self.time(from[n] + pause.at));
        Said { window: self.time(from[n])..until, voiced_until: self.time(self.voiced_until(n)), pause_at: pause }
    }

    /// The turns that the caller's speech made.
    fn turns_of_speech(&self) -> Vec<Turn> {
        let zero = self.report.began_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let at = |stamp: &Value| stamp.as_str().and_then(milliseconds_of_day).map(|at| since(zero % DAY, at));
        let turn = |turn: &Value| {
            let request = &turn["statistics"]["request"];
            let asked = at(&turn["request_timestamp"])?;
            let began = at(&request["streaming_statistics"]["start_timestamp"]).unwrap_or(asked);
            let words = turn["request"]["input"]["text"].as_str().unwrap_or_default().to_owned();
            (turn["request"]["type"] == "speech_to_text").then_some(Turn { began, asked, words })
        };
        self.turns.iter().filter_map(turn).collect()
    }

    /// Whether the server took a part of a sentence for all of it: it asked, or gave up, before the caller's last voice; it
    /// made two utterances of one; or what it asked began only after the pause.
    fn is_cut_off(&self, when: &Said, turns: &[&Turn]) -> bool {
        let gave_up: Vec<u64> = self
            .story
            .iter()
            .filter(|noted| noted.what == "understood nothing" && when.window.contains(&noted.at))
            .map(|noted| noted.at)
            .collect();
        let before_the_last_voice = |at: u64| at + CLOCKS < when.voiced_until;
        let after_the_pause = |turn: &&Turn| when.pause_at.is_some_and(|pause| turn.began > pause + CLOCKS);
        // Noise around a sentence may make another utterance: of those that came to nothing only a pause tells.
        let in_two = turns.len() + if when.pause_at.is_some() { gave_up.len() } else { 0 } > 1;
        in_two
            || turns.iter().any(|turn| before_the_last_voice(turn.asked))
            || turns.iter().any(after_the_pause)
            || gave_up.into_iter().any(before_the_last_voice)
    }

    /// What the caller waited after the nth sentence, from its last voiced sample to the first sound.
    fn wait(&self, n: usize) -> Option<u64> {
        let until = self.report.said_from.get(n + 1).copied().unwrap_or(self.report.heard.len());
        let after = self.report.heard.get(self.voiced_until(n)..until)?;
        let wait = after.chunks_exact(80).position(is_sound)? as u64 * 10;
        (wait < WAIT_MAX).then_some(wait)
    }

    /// Whether the greeting was cut.
    pub(crate) fn was_interrupted(&self) -> bool {
        let greeting = self.turns.first().map(|turn| turn["statistics"]["response"].clone()).unwrap_or_default();
        greeting.as_array().into_iter().flatten().any(|response| response["barge_in_occurred"] == true)
    }

    /// Whether the greeting was held back, if only for a while, as the caller heard it after they had made a sound.
    pub(crate) fn fell_silent(&self) -> bool {
        let from = self.report.said_from.first().copied().unwrap_or_default();
        let heard = self.report.heard.get(from..).unwrap_or_default();
        let sounds: Vec<usize> =
            heard.chunks_exact(80).enumerate().filter(|(_, frame)| is_sound(frame)).map(|(n, _)| n).collect();
        let longest = sounds.windows(2).map(|two| two[1] - two[0]).max().unwrap_or(0) as u64 * 10;
        self.was_interrupted() || longest > PAUSE_MAX
    }

    /// How many sentences the caller did not come to before the call's time was over.
    pub(crate) fn never_said(&self) -> usize {
        self.said.len().saturating_sub(self.report.said_from.len())
    }

    /// How long the caller spoke, in seconds.
    pub(crate) fn seconds_of_speech(&self) -> f64 {
        let samples: usize = self.said.iter().take(self.report.said_from.len()).map(|said| said.samples.len()).sum();
        samples as f64 / f64::from(self.sample_rate)
    }
}

/// Whether 10 ms are more than silence.
fn is_sound(frame: &[i16]) -> bool {
    frame.iter().map(|sample| u64::from(sample.unsigned_abs())).sum::<u64>() > SOUND * 80
}

const DAY: u64 = 86_400_000;

/// From one time of day to another; past midnight the clock begins anew.
fn since(zero: u64, at: u64) -> u64 {
    let passed = (at + DAY - zero) % DAY;
    // A clock that is some milliseconds behind is not a day ahead.
    if passed > DAY / 2 { 0 } else { passed }
}

/// The time of day of `yyyy-MM-ddTHH:mm:ss.SSSZ`.
fn milliseconds_of_day(stamp: &str) -> Option<u64> {
    let field = |range: Range<usize>| stamp.get(range).and_then(|text| text.parse::<u64>().ok());
    let (hours, minutes, seconds) = (field(11..13)?, field(14..16)?, field(17..19)?);
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + field(20..23)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_pass_midnight() {
        assert_eq!(milliseconds_of_day("2026-11-23T23:59:59.900Z"), Some(DAY - 100));
        assert_eq!(since(DAY - 100, 50), 150);
        assert_eq!(since(50, 40), 0);
    }
}
