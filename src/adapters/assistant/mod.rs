//! Assistants.

pub mod chat_completions;
pub mod scripted;
mod streamed;
pub mod watson;
pub mod webhook;
