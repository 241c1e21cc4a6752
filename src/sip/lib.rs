//! SIP and SDP without IO: messages, transactions, dialogs and offer/answer.
//!
//! Invariant: nothing here knows the time, a socket or a runtime. `now`, randomness and bytes are arguments; what to do
//! comes back as values. The driver is `actors/signalling/endpoint.rs` (`endpoint.rs`) and `actors/call/sip_dialog.rs`.
#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests bring their own time

pub mod dialog;
pub mod digest;
pub mod endpoint;
pub mod hop;
pub mod locate;
pub mod message;
pub mod networks;
pub mod sdp;
pub mod source_guard;
pub mod transaction;

pub use dialog::{Dialog, DialogId};
pub use hop::{Hop, Transport};
pub use message::{Headers, Message, Method, Request, Response, StatusCode, Uri};
