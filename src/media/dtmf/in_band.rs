//! DTMF heard in the audio itself (ITU-T Q.23, Q.24), for legs without telephone-event.
//!
//! Invariant: a tone pair of 40 ms is one press, whatever its position in the frames; two presses are told apart by a
//! pause of 40 ms; speech is not a press. Looks at blocks of 20 ms every 10 ms. Driver: `media/receiver.rs`.

use std::time::Duration;

use super::Digit;
use super::rfc4733::Press;

const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
/// Samples looked at at once, at 8 kHz: 20 ms.
const BLOCK: usize = 160;
/// Samples between two looks: 10 ms.
const HOP: usize = 80;
/// Looks in a row that make a press: 30 ms of tone.
const LOOKS_MIN: u32 = 2;
/// Looks in a row without the tone that end it.
const MISSES_MAX: u32 = 2;
/// The least mean square of a block that is looked into: about −45 dBov.
const POWER_MIN: f32 = 34_000.0;
/// The share of a block's power that the pair must have; speech spreads over harmonics.
const SHARE_MIN: f32 = 0.82;
/// How much stronger the row may be than the column, and the other way round (Q.24: 4 and 8 dB, and some for filters).
const TWIST_MAX: f32 = 10.0;

/// The detector of one leg.
#[derive(Debug)]
pub struct ToneDetector {
    samples: [i16; BLOCK],
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Quiet,
    Hearing { digit: Digit, looks: u32, misses: u32 },
}

impl Default for ToneDetector {
    fn default() -> Self {
        Self { samples: [0; BLOCK], state: State::Quiet }
    }
}

impl ToneDetector {
    /// Takes a 20 ms frame at 8 kHz; returns the press that ended with it.
    pub fn push(&mut self, frame: &[i16]) -> Option<Press> {
        let mut press = None;
        for half in frame.chunks_exact(HOP) {
            self.samples.copy_within(HOP.., 0);
            self.samples[BLOCK - HOP..].copy_from_slice(half);
            press = self.look().or(press);
        }
        press
    }

    /// Whether a tone sounds now: it must not reach the recognizer.
    pub fn is_held(&self) -> bool {
        matches!(self.state, State::Hearing { looks, .. } if looks >= LOOKS_MIN)
    }

    fn look(&mut self) -> Option<Press> {
        match (self.state, tone(&self.samples)) {
            (State::Quiet, None) => None,
            (State::Quiet, Some(digit)) => {
                self.state = State::Hearing { digit, looks: 1, misses: 0 };
                None
            }
            (State::Hearing { digit, looks, .. }, Some(same)) if same == digit => {
                self.state = State::Hearing { digit, looks: looks + 1, misses: 0 };
                None
            }
            (State::Hearing { digit, looks, .. }, Some(other)) => {
                self.state = State::Hearing { digit: other, looks: 1, misses: 0 };
                press(digit, looks)
            }
            (State::Hearing { digit, looks, misses }, None) if misses + 1 < MISSES_MAX && looks >= LOOKS_MIN => {
                self.state = State::Hearing { digit, looks, misses: misses + 1 };
                None
            }
            (State::Hearing { digit, looks, .. }, None) => {
                self.state = State::Quiet;
                press(digit, looks)
            }
        }
    }
}

fn press(digit: Digit, looks: u32) -> Option<Press> {
    (looks >= LOOKS_MIN).then(|| Press { digit, held: Duration::from_millis(u64::from(looks) * 10 + 10) })
}

fn tone(block: &[i16; BLOCK]) -> Option<Digit> {
    let total: f32 = block.iter().map(|s| f32::from(*s) * f32::from(*s)).sum::<f32>() / BLOCK as f32;
    if total < POWER_MIN {
        return None;
    }
    let rows = ROWS.map(|hz| power(block, hz));
    let columns = COLUMNS.map(|hz| power(block, hz));
    let (row, strong_row) = strongest(&rows);
    let (column, strong_column) = strongest(&columns);
    let pair = strong_row + strong_column;
    let twisted = strong_row > strong_column * TWIST_MAX || strong_column > strong_row * TWIST_MAX;
    if twisted || pair < total * SHARE_MIN {
        return None;
    }
    Digit::from_char(KEYS[row][column])
}

fn strongest(powers: &[f32; 4]) -> (usize, f32) {
    let at = (0..4).max_by(|a, b| powers[*a].total_cmp(&powers[*b])).unwrap_or(0);
    (at, powers[at])
}

/// The mean square of one frequency in the block (Goertzel).
fn power(block: &[i16; BLOCK], hz: f32) -> f32 {
    let coefficient = 2.0 * (std::f32::consts::TAU * hz / 8000.0).cos();
    let (mut one, mut two) = (0f32, 0f32);
    for sample in block {
        let next = f32::from(*sample) + coefficient * one - two;
        (two, one) = (one, next);
    }
    let magnitude = one * one + two * two - coefficient * one * two;
    2.0 * magnitude / (BLOCK * BLOCK) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tones at a level, as `(key, ms on, ms off)`, beginning somewhere in a frame.
    fn heard(plan: &[(char, usize, usize)], level: f32, offset: usize, twist: f32) -> String {
        let mut sound = vec![0i16; 800 + offset];
        for (key, on, off) in plan {
            let (row, column) = (0..16).map(|n| (n / 4, n % 4)).find(|(r, c)| KEYS[*r][*c] == *key).expect("a key");
            sound.extend((0..on * 8).map(|n| {
                let t = n as f32 / 8000.0 * std::f32::consts::TAU;
                ((t * ROWS[row]).sin() * level * twist + (t * COLUMNS[column]).sin() * level) as i16
            }));
            sound.extend(std::iter::repeat_n(0, off * 8));
        }
        sound.extend([0; 1600]);
        let mut detector = ToneDetector::default();
        sound.chunks_exact(160).filter_map(|frame| detector.push(frame)).map(|p| p.digit.as_char()).collect()
    }

    #[test]
    fn every_key_is_heard_at_any_position_and_level() {
        let all: Vec<(char, usize, usize)> = "123A456B789C*0#D".chars().map(|key| (key, 40, 40)).collect();
        for offset in (0..160).step_by(20) {
            for level in [500.0, 4000.0, 14_000.0] {
                for twist in [0.5, 1.0, 2.0] {
                    assert_eq!(heard(&all, level, offset, twist), "123A456B789C*0#D", "{offset} {level} {twist}");
                }
            }
        }
    }

    #[test]
    fn the_same_key_twice_is_two_and_a_long_one_is_one() {
        assert_eq!(heard(&[('5', 100, 50), ('5', 100, 50)], 4000.0, 3, 1.0), "55");
        assert_eq!(heard(&[('5', 3000, 0)], 4000.0, 3, 1.0), "5");
    }

    #[test]
    fn too_short_too_quiet_and_single_tones_are_nothing() {
        assert_eq!(heard(&[('5', 15, 50)], 4000.0, 3, 1.0), "");
        assert_eq!(heard(&[('5', 100, 50)], 60.0, 3, 1.0), "");
        assert_eq!(heard(&[('5', 100, 50)], 4000.0, 3, 0.01), "");
    }

    #[test]
    fn a_voice_is_no_key() {
        // A pulse train with formants: harmonics of a gliding pitch, as strong speech has.
        let mut detector = ToneDetector::default();
        let (mut phase, mut presses) = (0f32, 0);
        for frame in 0..3000u32 {
            let samples: Vec<i16> = (0..160u32)
                .map(|n| {
                    let t = (frame * 160 + n) as f32 / 8000.0;
                    phase += (140.0 + 60.0 * (t * 2.1).sin()) / 8000.0;
                    let harmonics: f32 =
                        (1..20).map(|h| (phase * h as f32 * std::f32::consts::TAU).sin() / h as f32).sum();
                    (harmonics * 5000.0) as i16
                })
                .collect();
            presses += usize::from(detector.push(&samples).is_some());
        }
        assert_eq!(presses, 0);
    }
}
