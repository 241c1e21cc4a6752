//! The conversation without IO: turn loop, response types, digits, transcript and the ports it speaks through.
//!
//! Invariant: one [`turn_loop::TurnLoop`] decides everything the caller hears; ports only carry out. Driver:
//! `actors/call/turn_loop.rs`.
#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests bring their own time

pub mod call_facts;
pub mod configuration;
pub mod dtmf_collector;
mod echo;
pub mod json;
pub mod markup;
pub mod message;
pub mod outputs;
pub mod plain_text;
pub mod policy;
pub mod ports;
pub mod readable;
pub mod redaction;
pub mod response;
pub mod sentences;
pub mod session_record;
pub mod speakable;
pub mod ssml;
pub mod transcript;
pub mod turn_loop;
pub mod words;

pub use ports::{Fields, Json};
pub use response::Response;
pub use turn_loop::TurnLoop;
