//! DTMF heard in the audio itself (ITU-T Q.23, Q.24), for legs without telephone-event.
//!
//! Invariant: a tone pair of 40 ms is one press, whatever its position in the frames; two presses are told apart by a
//! pause of 40 ms; speech is not a press. Looks at blocks of 20 ms every 10 ms, through a window of Hann, so that neither
//! tone leaks into the other: then the two sides of a tone tell how far it is from its nominal frequency, whatever its
//! level. A tone is one of a digit up to 1.5 % + 2 Hz off (Q.24), and none from 3.5 % on; between, the middle decides.
//! Driver: `media/receiver.rs`.

use std::sync::LazyLock;
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

/// How far off a tone may be: the middle between what must be heard (1.5 % + 2 Hz) and what must not (3.5 %).
const OFF_MAX: f32 = 0.026;
/// Frequencies that a block tells apart: one over its length.
const BIN_HZ: f32 = 8000.0 / BLOCK as f32;
/// Where a tone's two sides are looked at: half a bin off.
const SIDE_HZ: f32 = BIN_HZ / 2.0;
/// The least share of a pair's power that shows at the nominal frequencies when both are as far off as they may be.
const SHOWN_MIN: f32 = 0.35;
/// The sum of the squares of the window.
const HANN_POWER: f32 = BLOCK as f32 * 3.0 / 8.0;

static HANN: LazyLock<[f32; BLOCK]> =
    LazyLock::new(|| std::array::from_fn(|n| 0.5 - 0.5 * (std::f32::consts::TAU * n as f32 / BLOCK as f32).cos()));

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
    let loud = block.iter().map(|s| f32::from(*s) * f32::from(*s)).sum::<f32>() / BLOCK as f32;
    if loud < POWER_MIN {
        return None;
    }
    let window = &*HANN;
    let windowed: [f32; BLOCK] = std::array::from_fn(|n| f32::from(block[n]) * window[n]);
    let total = windowed.iter().map(|s| s * s).sum::<f32>() / HANN_POWER;
    let rows = ROWS.map(|hz| power(&windowed, hz));
    let columns = COLUMNS.map(|hz| power(&windowed, hz));
    let (row, near_row) = strongest(&rows);
    let (column, near_column) = strongest(&columns);
    // Before it is known how far off they are: the window shows most of them.
    if near_row + near_column < total * SHARE_MIN * SHOWN_MIN {
        return None;
    }
    let strong_row = measured(&windowed, ROWS[row], near_row)?;
    let strong_column = measured(&windowed, COLUMNS[column], near_column)?;
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

/// The power of a tone near this frequency, wherever it is exactly; `None` if it is too far off. `at_nominal` is what shows
/// at the frequency itself.
fn measured(windowed: &[f32; BLOCK], hz: f32, at_nominal: f32) -> Option<f32> {
    let [below, above] = [-SIDE_HZ, SIDE_HZ].map(|side| power(windowed, hz + side).sqrt());
    let tilt = (above - below) / (above + below).max(f32::MIN_POSITIVE);
    // Half a bin to either side, the window of Hann makes this a straight line.
    let off_hz = 3.0 * SIDE_HZ * tilt;
    (off_hz.abs() <= hz * OFF_MAX).then(|| at_nominal / shown(off_hz).powi(2))
}

/// The share of a tone's amplitude that shows this far from it: the transform of the window of Hann.
fn shown(off_hz: f32) -> f32 {
    let bins = off_hz / BIN_HZ;
    let turned = std::f32::consts::PI * bins;
    if turned.abs() < 0.01 { 1.0 } else { turned.sin() / turned / (1.0 - bins * bins) }
}

/// The mean square of one frequency in the windowed block (Goertzel), that of a tone of this very frequency.
fn power(windowed: &[f32; BLOCK], hz: f32) -> f32 {
    let coefficient = 2.0 * (std::f32::consts::TAU * hz / 8000.0).cos();
    let (mut one, mut two) = (0f32, 0f32);
    for sample in windowed {
        let next = sample + coefficient * one - two;
        (two, one) = (one, next);
    }
    let magnitude = one * one + two * two - coefficient * one * two;
    // The window has a mean of one half.
    2.0 * magnitude / (BLOCK * BLOCK) as f32 * 4.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A digit's tones, each so far off nominal, for a tenth of a second from somewhere in a frame.
    fn heard_off(key: char, off: impl Fn(f32) -> f32, offset: usize) -> String {
        let (row, column) = (0..16).map(|n| (n / 4, n % 4)).find(|(r, c)| KEYS[*r][*c] == key).expect("a digit");
        let mut sound = vec![0i16; 800 + offset];
        sound.extend((0..800).map(|n| {
            let t = n as f32 / 8000.0 * std::f32::consts::TAU;
            ((t * off(ROWS[row])).sin() * 4000.0 + (t * off(COLUMNS[column])).sin() * 5000.0) as i16
        }));
        sound.extend([0; 1600]);
        let mut detector = ToneDetector::default();
        sound.chunks_exact(160).filter_map(|frame| detector.push(frame)).map(|p| p.digit.as_char()).collect()
    }

    #[test]
    fn tones_a_little_off_are_heard_and_others_are_not() {
        for key in "123A456B789C*0#D".chars() {
            for offset in [0, 37, 111] {
                for sign in [-1.0, 1.0] {
                    let little = heard_off(key, |hz| hz + sign * (hz * 0.015 + 2.0), offset);
                    assert_eq!(little, key.to_string(), "{sign} {offset}");
                    assert_eq!(heard_off(key, |hz| hz * (1.0 + sign * 0.035), offset), "", "{key} {sign} {offset}");
                }
            }
        }
    }

    /// Tones at a level, as `(key, ms on, ms off)`, beginning somewhere in a frame.
    fn heard(plan: &[(char, usize, usize)], level: f32, offset: usize, twist: f32) -> String {
        let mut sound = vec![0i16; 800 + offset];
        for (key, on, off) in plan {
            let (row, column) = (0..16).map(|n| (n / 4, n % 4)).find(|(r, c)| KEYS[*r][*c] == *key).expect("a digit");
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
