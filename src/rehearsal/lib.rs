//! Stand-ins that behave like the real ones: a caller that speaks, an Amazon Connect that runs a flow, Watson services.
//!
//! Used by `bellhop demo`, by tests and by bench. Invariant: never linked into a serving path.

pub mod caller;
pub mod connect;
pub mod flow;
pub mod watson_assistant;
