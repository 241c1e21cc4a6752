//! How loud speech is, frame by frame of 10 ms, and where in it the last voice is.
//!
//! Invariant: what is found is a place in the samples, or their end.

/// How far below the mean of the voice a frame still belongs to it: 26 dB, as a ratio of powers.
const WITHIN: f64 = 1.0 / 398.1;
/// 18 dB, likewise.
const WITHIN_AT_LEAST: f64 = 1.0 / 63.1;

/// The power of each frame of 10 ms.
fn powers(samples: &[i16], sample_rate: u32) -> Vec<f64> {
    let frame = (sample_rate / 100) as usize;
    samples.chunks(frame).map(mean_square).collect()
}

fn mean_square(samples: &[i16]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

/// The mean power of the frames that are voice: those within 26 dB of the loudest.
fn voice(powers: &[f64]) -> f64 {
    let loudest = powers.iter().copied().fold(0.0, f64::max);
    let voiced: Vec<f64> = powers.iter().copied().filter(|power| *power > loudest * WITHIN).collect();
    voiced.iter().sum::<f64>() / voiced.len().max(1) as f64
}

/// The level of the voice in an utterance: the root of its mean power.
pub(crate) fn voice_level(samples: &[i16], sample_rate: u32) -> f64 {
    voice(&powers(samples, sample_rate)).sqrt()
}

/// The level of sounds that are there all the time.
pub(crate) fn level(samples: &[i16]) -> f64 {
    mean_square(samples).sqrt()
}

/// What is voice: within 26 dB of its mean; in a recording with noise of its own 10 dB above that, but what is within 18 dB
/// of the voice is voice all the same.
fn least(powers: &[f64]) -> f64 {
    let voice = voice(powers);
    let mut sorted = powers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let noise = sorted.get(sorted.len() / 10).copied().unwrap_or(0.0);
    (noise * 10.0).clamp(voice * WITHIN, voice * WITHIN_AT_LEAST)
}

/// Where the last two frames end that are voice: from there on a caller waits. A single one is a click.
pub(crate) fn voiced_until(samples: &[i16], sample_rate: u32) -> usize {
    let powers = powers(samples, sample_rate);
    let least = least(&powers);
    let last = powers.windows(2).rposition(|two| two.iter().all(|power| *power > least)).map_or(0, |frame| frame + 2);
    (last * (sample_rate / 100) as usize).min(samples.len())
}

/// The longest quiet between two words, at least 50 ms, away from both ends: where it begins and ends.
pub(crate) fn gap(samples: &[i16], sample_rate: u32) -> Option<std::ops::Range<usize>> {
    let powers = powers(samples, sample_rate);
    let quiet = least(&powers);
    let (from, until) = (powers.len() / 4, powers.len() * 3 / 4);
    let mut longest = 0..0;
    let mut begins = from;
    for (frame, power) in powers.iter().enumerate().take(until).skip(from) {
        if *power >= quiet {
            begins = frame + 1;
        } else if frame + 1 - begins > longest.len() {
            longest = begins..frame + 1;
        }
    }
    let frame = (sample_rate / 100) as usize;
    (longest.len() >= 5).then(|| longest.start * frame..longest.end * frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(length: usize, amplitude: f32) -> Vec<i16> {
        (0..length).map(|n| (amplitude * (n as f32 * 0.3).sin()) as i16).collect()
    }

    #[test]
    fn the_last_voice_is_found_before_what_is_quiet() {
        let said = [tone(4000, 8000.0), tone(1600, 100.0)].concat();
        assert_eq!(voiced_until(&said, 8000), 4000);
        assert_eq!(voiced_until(&[], 8000), 0);
    }

    #[test]
    fn noise_of_a_recording_and_a_click_are_no_voice() {
        let noisy =
            [tone(1600, 500.0), tone(4000, 8000.0), tone(2400, 500.0), tone(80, 8000.0), tone(800, 500.0)].concat();
        assert_eq!(voiced_until(&noisy, 8000), 5600);
    }

    #[test]
    fn a_gap_between_words_is_found() {
        let said = [tone(4000, 8000.0), vec![0; 800], tone(4000, 8000.0)].concat();
        assert_eq!(gap(&said, 8000), Some(4000..4800));
        assert_eq!(gap(&tone(8000, 8000.0), 8000), None);
    }
}
