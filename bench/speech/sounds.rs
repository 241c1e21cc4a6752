//! What is around callers, and noises that are no speech; all made here, each from a seed.
//!
//! Invariant: the same seed makes the same sound.

use std::f32::consts::TAU;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::level;
use crate::utterances::Utterance;

/// How long a background is before it begins anew.
const BACKGROUND_SECONDS: usize = 20;
const RATE: usize = 8000;

/// Samples with this level, so far below the level of a voice.
fn below(samples: Vec<f32>, voice: f64, decibels: f64) -> Arc<[i16]> {
    let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64;
    let gain = (voice * 10_f64.powf(-decibels / 20.0) / power.sqrt().max(1e-9)) as f32;
    samples.into_iter().map(|sample| (sample * gain) as i16).collect()
}

/// Twelve of these voices at once, 15 dB below the caller's.
pub(crate) fn cafe(voices: &[Utterance], voice: f64, seed: u64) -> Arc<[i16]> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut mixed = vec![0.0; BACKGROUND_SECONDS * RATE];
    for _ in 0..12 {
        let mut at = 0;
        while at < mixed.len() {
            let said = &voices[chance.random_range(0..voices.len())].samples;
            let gain = chance.random_range(0.4..1.0) / level::level(said).max(1.0) as f32;
            for (place, sample) in mixed[at..].iter_mut().zip(said) {
                *place += f32::from(*sample) * gain;
            }
            at += said.len() + chance.random_range(0..RATE);
        }
    }
    below(mixed, voice, 15.0)
}

/// Low noise of tyres and wind, and an engine whose speed changes slowly; 10 dB below the caller's voice.
pub(crate) fn car(voice: f64, seed: u64) -> Arc<[i16]> {
    let mut chance = StdRng::seed_from_u64(seed);
    let (mut low, mut lower, mut turned) = (0.0_f32, 0.0_f32, 0.0_f32);
    let samples = (0..BACKGROUND_SECONDS * RATE)
        .map(|n| {
            // Two poles at about 150 Hz.
            low += 0.11 * (chance.random_range(-1.0..1.0_f32) - low);
            lower += 0.11 * (low - lower);
            let speed = 55.0 + 8.0 * (TAU * n as f32 / (7 * RATE) as f32).sin();
            turned = (turned + speed / RATE as f32).fract();
            let engine: f32 = (1..=4).map(|k| (TAU * turned * k as f32).sin() / k as f32).sum();
            lower + 0.04 * engine
        })
        .collect();
    below(samples, voice, 10.0)
}

/// 50 Hz and harmonics of a bad line, 20 dB below the caller's voice.
pub(crate) fn hum(voice: f64) -> Arc<[i16]> {
    let harmonics = [(50.0, 1.0), (100.0, 0.6), (150.0, 0.5), (250.0, 0.3), (350.0, 0.2)];
    let at = |n: usize| harmonics.iter().map(|(hertz, gain)| gain * (TAU * hertz * n as f32 / RATE as f32).sin()).sum();
    // All of these have whole periods in a second.
    below((0..RATE).map(at).collect(), voice, 20.0)
}

/// A burst of noise that dies away.
fn burst(chance: &mut StdRng, length: usize, amplitude: f32) -> Vec<i16> {
    let decay = |n: usize| amplitude * (1.0 - n as f32 / length as f32).powi(2);
    (0..length).map(|n| (decay(n) * chance.random_range(-1.0..1.0)) as i16).collect()
}

/// A burst that dies away within a quarter of a second, and a second one.
pub(crate) fn cough(seed: u64) -> Vec<i16> {
    let mut chance = StdRng::seed_from_u64(seed);
    [burst(&mut chance, 2000, 9000.0), vec![0; 800], burst(&mut chance, 1400, 9000.0)].concat()
}

/// A blow, and a low room that rings after it.
pub(crate) fn door(seed: u64) -> Vec<i16> {
    let mut chance = StdRng::seed_from_u64(seed);
    let (first, second) = (chance.random_range(70.0..110.0_f32), chance.random_range(140.0..220.0_f32));
    let blow = burst(&mut chance, 240, 14_000.0);
    let ring = |n: usize| {
        let seconds = n as f32 / RATE as f32;
        let rings = (TAU * first * seconds).sin() + 0.6 * (TAU * second * seconds).sin();
        (9000.0 * (-9.0 * seconds).exp() * rings) as i16
    };
    (0..3200).map(|n| ring(n).saturating_add(blow.get(n).copied().unwrap_or(0))).collect()
}

/// A dozen keys of a keyboard.
pub(crate) fn keyboard(seed: u64) -> Vec<i16> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut typed = vec![];
    for _ in 0..12 {
        let loud = chance.random_range(3000.0..8000.0);
        typed.extend(burst(&mut chance, 64, loud));
        typed.extend(vec![0; chance.random_range(500..1400)]);
    }
    typed
}

/// Two rough sounds of a throat: noise through its resonance, torn forty times a second.
pub(crate) fn throat(seed: u64) -> Vec<i16> {
    let mut chance = StdRng::seed_from_u64(seed);
    let rough = chance.random_range(32.0..48.0_f32);
    let mut cleared = vec![];
    for length in [2400_usize, 3600] {
        let (mut here, mut before) = (0.0_f32, 0.0_f32);
        cleared.extend((0..length).map(|n| {
            // A resonance at about 600 Hz.
            let next = 1.72 * here - 0.94 * before + chance.random_range(-1.0..1.0_f32);
            (before, here) = (here, next);
            let torn = (TAU * rough * n as f32 / RATE as f32).sin().max(0.1);
            let swells = (std::f32::consts::PI * n as f32 / length as f32).sin();
            (1500.0 * torn * swells * here).clamp(-20_000.0, 20_000.0) as i16
        }));
        cleared.extend([0; 1200]);
    }
    cleared
}
