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
