//! RTP media without IO: packets, jitter, concealment, codecs, digits and pacing.
//!
//! Invariant: one leg is [`receiver::Receiver`] in and [`playout::Playout`] out, both called once per 20 ms frame; neither
//! allocates per frame (the G.722 library aside), knows a socket or reads a clock. Driver: `actors/media_shard/`.
#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests bring their own time

pub mod codec;
pub mod comfort_noise;
pub mod concealment;
pub mod dtmf;
pub mod g711;
pub mod jitter_buffer;
pub mod latch;
pub mod lead;
pub mod parts;
pub mod playout;
pub mod quality;
pub mod receiver;
pub mod recording;
pub mod region;
pub mod resample;
pub mod rtcp;
pub mod rtp;
pub mod sound_cache;
pub mod srtp;
pub mod statistics;
pub mod voice_activity;

/// Samples per second of a narrowband line.
pub const SAMPLE_RATE: u32 = 8000;
/// Samples in one 20 ms frame of a narrowband line.
pub const FRAME_SAMPLES: usize = 160;
/// Milliseconds in one frame.
pub const FRAME_MS: u64 = 20;

/// One 20 ms frame of 16-bit linear audio at 8 kHz.
pub type Frame = [i16; FRAME_SAMPLES];
