//! How actors end and how that is noticed: exits, obituaries, orders to stop, and faults for fault injection.
//!
//! Invariant: every linked actor's end is reported exactly once, whatever it died of.

pub mod link;
pub mod task;
pub mod watchdog;

use std::time::{Duration, Instant};

use actix::Message;
pub use bellhop_call::failure::{ChildName, Exit, Failure, Fault};

pub use link::{Link, Linked, Prepared, spawn_linked};

/// The obituary of a linked actor: sent exactly once.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ChildDown {
    /// Its name among the actors of a call.
    pub child: ChildName,
    /// Of what.
    pub exit: Exit,
    /// After how long.
    pub(crate) ran_for: Duration,
}

/// The order to stop. An actor that has not stopped at `by` is dropped.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Stop {
    /// The deadline.
    pub by: Instant,
}

/// Die of this: for fault injection and for the failure matrix.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct Strike(pub Fault);
