//! What stands between us and the far end: what requests of either side read and change.
//!
//! Invariant: there is one of it in a call, and `session.rs` owns it; `requests.rs` is lent it.

use std::collections::VecDeque;

use super::Dialog;
use super::events::Output;
use super::session_timer::SessionTimer;
use crate::hop::Hop;
use crate::message::Response;
use crate::transaction::ServerKey;

#[derive(Debug)]
pub(super) struct Standing {
    pub(super) dialog: Dialog,
    pub(super) timer: SessionTimer,
    /// Our last session description.
    pub(super) sdp: String,
    pub(super) outputs: VecDeque<Output>,
}

impl Standing {
    pub(super) fn new(dialog: Dialog, timer: SessionTimer) -> Self {
        Self { dialog, timer, sdp: String::new(), outputs: VecDeque::new() }
    }

    pub(super) fn say(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// The next of what is said; what is drained holds no room, for a call says little and lasts long.
    pub(super) fn poll(&mut self) -> Option<Output> {
        let next = self.outputs.pop_front();
        if next.is_none() {
            self.outputs = VecDeque::new();
        }
        next
    }

    pub(super) fn respond(&mut self, key: ServerKey, response: Response) {
        self.say(Output::Respond { key, response });
    }

    /// A request came over this hop: if it is another one, the BYE of the plan goes by it too.
    pub(super) fn moved_to(&mut self, hop: Hop) {
        if self.dialog.came_by(hop) {
            self.say(Output::TeardownChanged);
        }
    }

    /// Whether the far end can be reached, and by what. A datagram proves nothing: where it spoke from stays a way.
    pub(super) fn way_back(&mut self, found: Option<Hop>) {
        let is_new = |hop: &Hop| hop.transport.is_reliable() && *hop != self.dialog.hop();
        if let Some(hop) = found.filter(is_new) {
            self.dialog.goes_by(hop);
            self.say(Output::TeardownChanged);
            self.say(Output::Rerouted(hop));
        }
        self.say(Output::WayBack { known: found.is_some() });
    }
}
