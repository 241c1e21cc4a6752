//! Amazon Connect without IO: ARNs, connections and what a test of one means, contacts, attributes, session history keys and hand-offs.
//!
//! Invariant: whether a hand-off can succeed is known here before anything is sent, and nothing here can write. Driver:
//! `actors/call/connect_handoff.rs`.
#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests bring their own time

pub mod arn;
pub mod connection;
pub mod connection_test;
pub mod contact;
pub mod contact_attributes;
pub mod deployment;
pub mod flow;
pub mod handoff;
pub mod ports;
pub mod rate_limiter;
pub mod session_history_key;

pub use arn::{InstanceArn, RoleArn};
pub use connection::Connection;
pub use contact::{ContactReference, FlowReference, UnknownContact};
pub use contact_attributes::ContactAttributes;
pub use session_history_key::SessionHistoryKey;
