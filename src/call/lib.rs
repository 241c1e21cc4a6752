//! What a call is, without IO: its states, its endings, its failures and its record.
//!
//! It knows the conversation, the hand-off, the tenant and the words of SIP and media; none of these knows it. Invariant: nothing here waits, sends or
//! looks at a clock. Driver: `actors/call/`.
#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests bring their own time

pub mod end_of_turn;
pub mod ending;
pub mod failure;
pub mod fault_injection;
pub mod figures;
pub mod lifecycle;
pub mod line_audio;
pub mod phase;
pub mod ports;
pub mod record;
pub mod speech_in;
pub mod speech_out;
pub mod why;
