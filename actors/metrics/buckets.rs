//! Every histogram with the buckets that fit what it measures.
//!
//! Invariant: a family of histograms stands here or nowhere; each exists from the start, empty, for every tenant, so that a
//! query over it never finds nothing.

use super::{
    ASSISTANT, CALL_DURATION, CALL_JITTER, CALL_LOSS, CALL_MOS, CALL_ROUND_TRIP, CALL_SETUP, FIRST_AUDIO,
    HANDOFF_SECONDS, SPEECH, SYNTHESIS,
};

/// A call ends within seconds or lasts up to its limit of four hours.
const DURATIONS: [f64; 14] =
    [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14_400.0];
/// An answer takes from a few milliseconds to the seconds that the services need to connect.
const SETUPS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0];
/// People notice from 300 ms on, and hang up after 3 s.
const WAITS: [f64; 14] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 5.0];
/// What a service takes: from a cache within milliseconds, from a language model within seconds, at most its deadline.
const SERVICES: [f64; 14] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0];
/// Around the 30 ms that are too many for telephony.
const JITTERS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2];
/// Around the 150 ms one way, 300 ms both, of ITU-T G.114.
const ROUND_TRIPS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0];
/// Mean opinion scores: 4.0 and more is good, below 3.5 people complain.
const SCORES: [f64; 8] = [1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.2, 4.5];
/// Shares of packets.
const SHARES: [f64; 8] = [0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5];

/// Every family of histograms, all of them by tenant, with the upper bounds of its buckets.
pub const HISTOGRAMS: [(&str, &[f64]); 11] = [
    (CALL_SETUP, &SETUPS),
    (CALL_DURATION, &DURATIONS),
    (FIRST_AUDIO, &WAITS),
    (ASSISTANT, &SERVICES),
    (SPEECH, &SERVICES),
    (SYNTHESIS, &SERVICES),
    (HANDOFF_SECONDS, &SERVICES),
    (CALL_MOS, &SCORES),
    (CALL_LOSS, &SHARES),
    (CALL_JITTER, &JITTERS),
    (CALL_ROUND_TRIP, &ROUND_TRIPS),
];
