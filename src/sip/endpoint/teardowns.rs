//! The dialogs that are being left: their calls are gone, their teardowns are carried out here. Part of `endpoint.rs`.
//!
//! Invariant: a teardown ends once, and whoever asked for it is told; from then on its dialog is nobody's.

use std::time::Instant;

use super::delivery::{Answered, Delivery};
use super::{Endpoint, Output};
use crate::dialog::DialogId;
use crate::dialog::teardown::{self, Teardown, Terminating};
use crate::message::{Method, Request, StatusCode};
use crate::transaction::ServerKey;

/// A teardown that is being carried out.
#[derive(Debug)]
pub(super) struct Leave<C> {
    call: C,
    pub(super) machine: Terminating,
    unanswered: bool,
}

impl<O: Clone, C: Copy> Endpoint<O, C> {
    pub(super) fn carry_out(&mut self, now: Instant, call: C, dialog: &DialogId, teardown: Teardown, branch: String) {
        self.deliveries.forget(dialog);
        self.disown(dialog);
        self.vetting.call_over(dialog);
        let machine = Terminating::begin(now, teardown, branch);
        self.terminating.insert(dialog.clone(), Leave { call, machine, unanswered: false });
        self.settle(now, dialog);
    }

    /// The BYE of a teardown was answered, or no way is left to try. Where the far end's own BYE came meanwhile, all is over.
    pub(super) fn bye_ended(&mut self, now: Instant, dialog: &DialogId, answered: Answered) {
        let Some(leave) = self.terminating.get_mut(dialog) else { return };
        leave.unanswered = answered == Answered::ByNobody;
        leave.machine.bye_ended();
        self.settle(now, dialog);
    }

    pub(super) fn wait_no_longer(&mut self, now: Instant) {
        self.terminating.values_mut().for_each(|leave| leave.machine.wait_no_longer(now));
        let dialogs: Vec<DialogId> = self.terminating.keys().cloned().collect();
        dialogs.iter().for_each(|dialog| self.settle(now, dialog));
    }

    pub(super) fn terminating_timeout(&mut self, now: Instant) {
        let due = |leave: &Leave<C>| leave.machine.deadline().is_some_and(|at| at <= now);
        let due: Vec<DialogId> =
            self.terminating.iter().filter(|(_, leave)| due(leave)).map(|(dialog, _)| dialog.clone()).collect();
        for dialog in due {
            if let Some(leave) = self.terminating.get_mut(&dialog) {
                leave.machine.handle_timeout(now);
                // Only a BYE that nobody answered ends by a timer.
                leave.unanswered |= leave.machine.is_done();
            }
            self.settle(now, &dialog);
        }
    }

    /// A request inside a dialog whose teardown is being carried out.
    pub(super) fn inside_terminating(
        &mut self,
        now: Instant,
        dialog: &DialogId,
        key: Option<ServerKey>,
        request: &Request,
    ) {
        let Some(Leave { machine, .. }) = self.terminating.get_mut(dialog) else { return };
        match (&request.method, key) {
            (Method::Ack, _) => machine.acked(now, request),
            (Method::Bye, Some(key)) => {
                machine.caller_hung_up();
                self.layer.respond(now, &key, request.respond(StatusCode(200), None));
            }
            (_, Some(key)) => self.layer.respond_statelessly(&key, request.respond(StatusCode(481), None)),
            (_, None) => {}
        }
        self.settle(now, dialog);
    }

    /// Carries out what a teardown wants next, and forgets the dialog when all is said.
    fn settle(&mut self, now: Instant, dialog: &DialogId) {
        while let Some(Leave { machine, .. }) = self.terminating.get_mut(dialog) {
            match machine.poll() {
                Some(teardown::Output::Respond { key, response }) => {
                    self.early_cancels.remove(&key);
                    self.layer.respond(now, &key, response);
                }
                Some(teardown::Output::Request { request, ways }) => {
                    self.deliver(Delivery::bye(dialog.clone(), request, ways));
                }
                None if machine.is_done() => {
                    if let Some(Leave { call, unanswered, .. }) = self.terminating.remove(dialog) {
                        let dialog = dialog.clone();
                        self.outputs.push_back(Output::Left { call, dialog, bye_unanswered: unanswered });
                    }
                    return;
                }
                None => return,
            }
        }
    }
}
