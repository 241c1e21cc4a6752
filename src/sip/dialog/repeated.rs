//! A 2xx to an INVITE or re-INVITE on its way: repeated at growing intervals until its ACK.
//!
//! Invariant: it is given up after 64·T1, once. Drivers: `acceptor.rs` and `session.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::events::Output;
use crate::message::{CSeq, Request, Response};
use crate::transaction::{ServerKey, T1, T2, TIMEOUT};

/// A 2xx to an INVITE, repeated until its ACK (RFC 3261 section 13.3.1.4).
#[derive(Debug, Clone)]
pub(super) struct Repeated {
    pub(super) key: ServerKey,
    number: u32,
    pub(super) answer: Arc<Response>,
    again: Instant,
    interval: Duration,
    pub(super) until: Instant,
    /// Whether it carries an offer of ours, whose answer the ACK brings.
    pub(super) offered: bool,
}

impl Repeated {
    pub(super) fn new(now: Instant, key: ServerKey, number: u32, answer: Arc<Response>, offered: bool) -> Self {
        Self { key, number, answer, again: now + T1, interval: T1, until: now + TIMEOUT, offered }
    }

    /// Whether this ACK is that of the INVITE which was answered: it repeats its number (RFC 3261 section 13.2.2.4).
    pub(super) fn is_acknowledged_by(&self, ack: &Request) -> bool {
        CSeq::of(&ack.headers).is_some_and(|cseq| cseq.number == self.number)
    }

    pub(super) fn deadline(&self) -> Instant {
        self.again.min(self.until)
    }

    /// `false` when no ACK came in time.
    pub(super) fn repeat(&mut self, now: Instant, outputs: &mut VecDeque<Output>) -> bool {
        if self.until <= now {
            // Tell it once: the call is torn down now, by a plan whose own `until` is this instant.
            self.until = now + TIMEOUT;
            self.again = now + TIMEOUT;
            return false;
        }
        if self.again <= now {
            self.interval = (self.interval * 2).min(T2);
            self.again = now + self.interval;
            outputs.push_back(Output::Respond { key: self.key.clone(), response: Response::clone(&self.answer) });
        }
        true
    }
}
