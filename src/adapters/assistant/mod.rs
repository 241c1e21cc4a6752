//! Assistants.

pub mod scripted;
mod streamed;
pub mod watson;
pub mod webhook;
