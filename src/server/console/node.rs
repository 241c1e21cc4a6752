//! This node, as an operator sees and ends it.
//!
//! Invariant: a drain that is asked for here goes the way of a signal (`signals.rs`): there is one way to end.

use bellhop_console::ports::Node;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// This node, by its name in the store.
pub(super) struct ThisNode(pub(super) String);

impl Node for ThisNode {
    fn name(&self) -> &str {
        &self.0
    }

    fn drain(&self) -> Result<(), String> {
        kill(Pid::this(), Signal::SIGTERM).map_err(|error| error.to_string())
    }
}
