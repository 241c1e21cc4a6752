//! Assistants.

#[cfg(test)]
mod cases;
pub mod chat_completions;
mod event_stream;
pub mod scripted;
mod shape;
mod spoken;
mod streamed;
pub mod watson;
pub mod webhook;

use std::time::Duration;

/// The longest a turn may take in all; the turn loop's own deadline is shorter unless an assistant raises it.
pub const TURN_MAX: Duration = Duration::from_secs(120);
