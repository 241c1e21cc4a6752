//! Who lives, waits and dies: the only crate that knows actix.
//!
//! ```text
//! Reception            owns what must outlive a call: registry of teardown plans, quotas, ports
//! ├── SipEndpoint      sockets and transactions; carries out every teardown
//! ├── Watchdog         a thread of its own: hears a beat per call
//! └── Call (per INVITE)  any unasked exit of a child ends the call
//!     ├── SipDialog
//!     ├── JitterBuffer  SttStream  TtsPlayback
//!     ├── TurnLoop
//!     └── ConnectHandoff   the only holder of the port that writes contact attributes
//! ```
//! Invariant: an actor has no logic of its own; it drives a pure core and carries out what the core says.
#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests bring their own time

pub mod call;
pub mod drive;
pub mod media_shard;
pub mod metrics;
pub mod node;
pub mod reception;
pub mod services;
pub mod signalling;
pub mod supervision;

use std::time::Instant;

/// The time, as actors tell it to cores; virtual in tests.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
