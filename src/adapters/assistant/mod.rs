//! Assistants.

pub mod scripted;
