//! Adapters to the world: speech engines, assistants and storage behind the ports of the pure crates.
//!
//! Invariant: an adapter never blocks the thread that asks it; what takes time runs on a bounded pool or as a future with
//! a deadline.
#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests spawn stand-ins, which belong to no call

pub mod assistant;
pub mod dns;
mod fair_lanes;
pub mod fallback;
mod http;
pub use http::{IDLE_CONNECTIONS_MAX, authorities};
pub mod iam;
pub mod log_webhook;
pub mod noted_writes;
pub mod openid_connect;
pub mod reach;
pub mod recording;
pub mod secrets;
pub mod sounds;
pub mod speech_to_text;
pub mod storage;
pub mod task;
#[cfg(test)]
mod testing;
pub mod text_to_speech;
pub mod turns;
mod websocket;
mod worker_pool;
