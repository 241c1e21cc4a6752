//! The silence that a synthesizer puts before its first sound.
//!
//! Invariant: nothing is lost and nothing gets longer: what stood before the first sound stands behind the last, so that pauses between
//! pieces that are heard one after the other stay as they are.

use crate::voice_activity::magnitude;

/// So much is left before the first sound, in milliseconds: a beginning that is softer than what counts as sound.
const KEPT_MS: usize = 20;
/// The mean magnitude of 10 ms that sound: voices made of recordings bring their noise along.
const SOUNDING: u32 = 120;

/// Moves the silence before the first sound behind the last, so that who waits for an answer hears it at once.
pub fn moved_behind(mut samples: Vec<i16>, sample_rate: u32) -> Vec<i16> {
    let ten_ms = (sample_rate as usize / 100).max(1);
    let Some(first) = samples.chunks(ten_ms).position(|piece| magnitude(piece) >= SOUNDING) else { return samples };
    let silent = (first * ten_ms).saturating_sub(KEPT_MS * sample_rate as usize / 1000);
    samples.rotate_left(silent);
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_is_heard_at_once_and_as_long_as_it_was() {
        let sound = || [[4000i16, -4000]; 400].concat();
        let speech = [vec![9; 1600], sound(), vec![0; 800]].concat();
        let moved = moved_behind(speech.clone(), 8000);
        assert_eq!(moved.len(), speech.len());
        assert_eq!(moved[..160], [9; 160]);
        assert_eq!(moved[160..960], sound());
        assert_eq!(moved_behind(sound(), 8000), sound(), "there was none");
        assert_eq!(moved_behind(vec![3; 1000], 8000), [3; 1000], "it is all silence");
        assert!(moved_behind(vec![], 8000).is_empty());
    }
}
