//! Sample rates: ×2 for recognizers that want 16 kHz, and whole clips of any rate down to the line's 8 kHz.
//!
//! Invariant: [`Upsampler`] keeps its history between frames, so that frame edges are not heard.

/// Doubles the rate frame by frame with a half-band filter.
#[derive(Debug, Default)]
pub struct Upsampler {
    history: [f32; TAPS],
    mirror: f32,
}

const TAPS: usize = 16;
const BLOCK: usize = crate::FRAME_SAMPLES;
/// The odd phase of a 31-tap Hamming-windowed half-band filter; the even phase is the input itself.
const ODD: [f32; TAPS] = half_band();

impl Upsampler {
    /// An upsampler that also fills the band above 4 kHz with a mirror image at this gain (0 for none): the recognizer's
    /// model was trained on 16 kHz and expects something there.
    pub fn with_mirror(gain: f32) -> Self {
        Self { mirror: gain, ..Self::default() }
    }

    /// Appends two samples for each one.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        // The history stands before each block in one array, so that the filter slides over memory instead of moving it.
        let mut window = [0.0; TAPS + BLOCK];
        for block in samples.chunks(BLOCK) {
            window[..TAPS].copy_from_slice(&self.history);
            for (place, sample) in window[TAPS..].iter_mut().zip(block) {
                *place = f32::from(*sample);
            }
            // Tap by tap over the whole block, so that the processor's vectors run along it; the filter is symmetric.
            let mut odd = [0.0; BLOCK];
            for (tap, gain) in ODD[..TAPS / 2].iter().enumerate() {
                let (near, far) = (&window[1 + tap..][..BLOCK], &window[TAPS - tap..][..BLOCK]);
                for ((sum, x), y) in odd.iter_mut().zip(near).zip(far) {
                    *sum += (x + y) * gain;
                }
            }
            // The mirror image of a zero-stuffed signal: the same low band, with the sign of odd samples turned.
            let (even_gain, odd_gain) = (1.0 + self.mirror, 1.0 - self.mirror);
            let evens = &window[TAPS / 2..][..block.len()];
            let start = out.len();
            out.resize(start + 2 * block.len(), 0);
            for ((pair, even), odd) in out[start..].chunks_exact_mut(2).zip(evens).zip(&odd) {
                // `as` saturates.
                pair[0] = (even * even_gain) as i16;
                pair[1] = (odd * odd_gain) as i16;
            }
            self.history.copy_from_slice(&window[block.len()..block.len() + TAPS]);
        }
    }
}

const fn half_band() -> [f32; TAPS] {
    let mut taps = [0.0; TAPS];
    let (mut n, mut sum) = (0, 0.0);
    while n < TAPS {
        // sinc at k + 1/2 is (-1)^k / (pi * (k + 1/2)); the window is Hamming's by a short cosine series.
        let x = n as f32 - TAPS as f32 / 2.0 + 0.5;
        let sign = if (n + TAPS / 2).is_multiple_of(2) { 1.0 } else { -1.0 };
        let phase = x / TAPS as f32 * std::f32::consts::PI;
        let square = phase * phase;
        let cosine = 1.0 - square / 2.0 + square * square / 24.0 - square * square * square / 720.0;
        taps[n] = sign / (std::f32::consts::PI * x) * (0.08 + 0.92 * cosine * cosine);
        sum += taps[n];
        n += 1;
    }
    n = 0;
    while n < TAPS {
        taps[n] /= sum;
        n += 1;
    }
    taps
}

/// Most samples on one side of a place that count: enough for 192 kHz.
const REACH_MAX: f64 = 320.0;
/// Places between two samples that are told apart; a ratio that needs more is rounded to these.
const PHASES_MAX: usize = 512;

/// Resamples a whole clip with a windowed sinc; off the audio path, so it may take its time: about 50 ns a sample.
pub fn clip(samples: &[i16], from_hz: u32, to_hz: u32) -> Vec<i16> {
    if from_hz == to_hz || samples.is_empty() || from_hz == 0 {
        return samples.to_vec();
    }
    const HALF_WIDTH: f64 = 12.0;
    let step = f64::from(from_hz) / f64::from(to_hz);
    let cutoff = (1.0 / step).min(1.0) * 0.95;
    let reach = (HALF_WIDTH / cutoff).min(REACH_MAX);
    // The centers of all samples lie at so many places between two of those that come in.
    let phases = (to_hz / gcd(from_hz, to_hz)) as usize;
    let phases = phases.min(PHASES_MAX);
    let taps: Vec<Taps> = (0..phases).map(|phase| Taps::at(phase as f64 / phases as f64, cutoff, reach)).collect();
    let length = (samples.len() as f64 / step).floor() as usize;
    (0..length)
        .map(|n| {
            let place = (n as f64 * step * phases as f64).round() as usize;
            taps[place % phases].mean(samples, place / phases)
        })
        .collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The weights of the samples around one place between two.
struct Taps {
    /// How many of them lie before the place.
    before: usize,
    weights: Vec<f32>,
    sum: f32,
}

impl Taps {
    fn at(place: f64, cutoff: f64, reach: f64) -> Self {
        let before = (reach - place).floor().max(0.0) as usize;
        let after = (place + reach).floor() as usize;
        let weight = |n: usize| {
            let x = n as f64 - before as f64 - place;
            let phase = std::f64::consts::PI * x * cutoff;
            let sinc = if phase == 0.0 { 1.0 } else { phase.sin() / phase };
            let window = 0.5 + 0.5 * (std::f64::consts::PI * x / reach).cos();
            (sinc * window) as f32
        };
        let weights: Vec<f32> = (0..=before + after).map(weight).collect();
        Self { before, sum: weights.iter().sum(), weights }
    }

    /// The weighted mean of the samples around this one; beyond the ends of a clip there are none.
    fn mean(&self, samples: &[i16], at: usize) -> i16 {
        let skipped = self.before.saturating_sub(at);
        let first = at.saturating_sub(self.before).min(samples.len());
        let last = (first + self.weights.len() - skipped).min(samples.len());
        let weights = &self.weights[skipped..skipped + (last - first)];
        let sum: f32 = samples[first..last].iter().zip(weights).map(|(s, weight)| f32::from(*s) * weight).sum();
        let of = if weights.len() == self.weights.len() { self.sum } else { weights.iter().sum() };
        (sum / of).clamp(-32768.0, 32767.0) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, rate: f32, length: usize) -> Vec<i16> {
        (0..length).map(|n| ((n as f32 / rate * hz * std::f32::consts::TAU).sin() * 10000.0) as i16).collect()
    }

    fn level(samples: &[i16], hz: f32, rate: f32) -> f32 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let phase = n as f32 / rate * hz * std::f32::consts::TAU;
            re += f32::from(*sample) * phase.cos();
            im += f32::from(*sample) * phase.sin();
        }
        (re * re + im * im).sqrt() / samples.len() as f32
    }

    #[test]
    fn doubling_keeps_the_tone_and_makes_no_image() {
        for hz in [300.0, 1000.0, 3000.0] {
            let mut out = vec![];
            let mut up = Upsampler::default();
            tone(hz, 8000.0, 1600).chunks(160).for_each(|frame| up.push(frame, &mut out));
            let (kept, image) = (level(&out, hz, 16000.0), level(&out, 8000.0 - hz, 16000.0));
            assert!((4000.0..5400.0).contains(&kept), "{hz}: {kept}");
            assert!(image < kept / 15.0, "{hz}: image {image} of {kept}");
        }
    }

    #[test]
    fn the_mirror_band_is_filled_on_request() {
        let mut out = vec![];
        Upsampler::with_mirror(0.2).push(&tone(1000.0, 8000.0, 1600), &mut out);
        let ratio = level(&out, 7000.0, 16000.0) / level(&out, 1000.0, 16000.0);
        assert!((0.15..0.25).contains(&ratio), "{ratio}");
    }

    #[test]
    fn clips_come_down_to_the_line_without_aliases() {
        for from in [16000, 22050] {
            let kept = clip(&tone(1000.0, from as f32, from), from as u32, 8000);
            assert_eq!(kept.len(), 8000);
            assert!((4500.0..5200.0).contains(&level(&kept, 1000.0, 8000.0)));
            let alias = clip(&tone(5000.0, from as f32, from), from as u32, 8000);
            assert!(level(&alias, 3000.0, 8000.0) < 100.0);
        }
    }

    #[test]
    fn any_rate_gives_a_clip_of_the_same_length_in_time() {
        for from in [4000, 7999, 11_025, 22_050, 44_101, 48_000, 192_000, u32::MAX] {
            for to in [8000, 16_000] {
                let length = from.min(200_000) as usize / 2;
                let there = clip(&vec![1000; length], from, to);
                let expected = length as f64 * f64::from(to) / f64::from(from);
                assert!((there.len() as f64 - expected).abs() <= 1.0, "{from} to {to}: {}", there.len());
                assert!(there.iter().all(|sample| (990..=1010).contains(sample)), "{from} to {to}");
            }
        }
        assert_eq!(clip(&[1, 2], 0, 8000), [1, 2]);
    }
}
