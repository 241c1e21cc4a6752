//! Client transactions: INVITE (RFC 3261 figure 5 with the Accepted state of RFC 6026) and the rest (figure 6).
//!
//! ```text
//! INVITE:  Calling -1xx-> Proceeding -2xx-> Accepted -M-> Terminated;  Proceeding -C-> Terminated
//!          Calling|Proceeding -3xx..6xx/ACK-> Completed -D-> Terminated;  Calling -B-> Terminated
//! others:  Trying -1xx-> Proceeding -2xx..6xx-> Completed -K-> Terminated;  Trying|Proceeding -F-> Terminated
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{ClientKey, Output, T1, T2, T4, TIMEOUT, TIMER_C};
use crate::hop::Hop;
use crate::message::{Message, Method, Request, Response};

#[derive(Debug)]
pub(super) struct Client {
    key: ClientKey,
    request: Request,
    bytes: Bytes,
    hop: Hop,
    state: State,
    /// The deadline that a timer runs for.
    pub(super) armed: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Calling { a: Option<Instant>, interval: Duration, b: Instant },
    InviteProceeding { c: Instant },
    InviteCompleted { d: Instant },
    InviteAccepted { m: Instant },
    Trying { e: Option<Instant>, interval: Duration, f: Instant },
    Proceeding { e: Option<Instant>, f: Instant },
    Completed { k: Instant },
    Terminated,
}

impl Client {
    pub(super) fn start(
        now: Instant,
        key: ClientKey,
        request: Request,
        hop: Hop,
        outputs: &mut VecDeque<Output>,
    ) -> Self {
        let first = (!hop.transport.is_reliable()).then_some(now + T1);
        let state = if request.method == Method::Invite {
            State::Calling { a: first, interval: T1, b: now + TIMEOUT }
        } else {
            State::Trying { e: first, interval: T1, f: now + TIMEOUT }
        };
        let (bytes, message) = (request.to_bytes(), Message::Request(request.clone()));
        outputs.push_back(Output::Transmit { hop, message, bytes: bytes.clone() });
        Self { key, request, bytes, hop, state, armed: None }
    }

    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// Whether a response from such a hop is still awaited.
    pub(super) fn awaits(&self, such: impl Fn(Hop) -> bool) -> bool {
        such(self.hop)
            && matches!(
                self.state,
                State::Calling { .. }
                    | State::InviteProceeding { .. }
                    | State::Trying { .. }
                    | State::Proceeding { .. }
            )
    }

    pub(super) fn receive(&mut self, now: Instant, response: Response, outputs: &mut VecDeque<Output>) {
        let status = response.status;
        let linger = |time| if self.hop.transport.is_reliable() { now } else { now + time };
        self.state = match &self.state {
            State::Calling { .. } if status.is_provisional() => State::InviteProceeding { c: now + TIMER_C },
            State::InviteProceeding { c } if status.is_provisional() => State::InviteProceeding { c: *c },
            State::Calling { .. } | State::InviteProceeding { .. } if status.is_success() => {
                State::InviteAccepted { m: now + TIMEOUT }
            }
            State::Calling { .. } | State::InviteProceeding { .. } => {
                self.acknowledge(&response, outputs);
                State::InviteCompleted { d: linger(TIMEOUT) }
            }
            State::InviteCompleted { .. } => {
                if !status.is_provisional() && !status.is_success() {
                    self.acknowledge(&response, outputs);
                }
                return;
            }
            // Repeated 2xx go up: the dialog sends its ACK again.
            State::InviteAccepted { .. } if !status.is_success() => return,
            State::InviteAccepted { m } => State::InviteAccepted { m: *m },
            State::Trying { f, .. } | State::Proceeding { f, .. } if status.is_provisional() => {
                State::Proceeding { e: (!self.hop.transport.is_reliable()).then_some(now + T2), f: *f }
            }
            State::Trying { .. } | State::Proceeding { .. } => State::Completed { k: linger(T4) },
            State::Completed { .. } | State::Terminated => return,
        };
        if self.deadline().is_some_and(|at| at <= now) {
            self.state = State::Terminated;
        }
        outputs.push_back(Output::Response { key: self.key.clone(), response });
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, outputs: &mut VecDeque<Output>) {
        match &mut self.state {
            State::Calling { b: end, .. }
            | State::InviteProceeding { c: end }
            | State::Trying { f: end, .. }
            | State::Proceeding { f: end, .. }
                if *end <= now =>
            {
                self.state = State::Terminated;
                outputs.push_back(Output::NoResponse { key: self.key.clone() });
            }
            State::Calling { a: Some(a), interval, .. } if *a <= now => {
                *interval *= 2;
                *a = now + *interval;
                self.retransmit(outputs);
            }
            State::Trying { e: Some(e), interval, .. } if *e <= now => {
                *interval = (*interval * 2).min(T2);
                *e = now + *interval;
                self.retransmit(outputs);
            }
            State::Proceeding { e: Some(e), .. } if *e <= now => {
                *e = now + T2;
                self.retransmit(outputs);
            }
            State::InviteCompleted { d: at } | State::InviteAccepted { m: at } | State::Completed { k: at }
                if *at <= now =>
            {
                self.state = State::Terminated;
            }
            State::Calling { .. }
            | State::InviteProceeding { .. }
            | State::InviteCompleted { .. }
            | State::InviteAccepted { .. }
            | State::Trying { .. }
            | State::Proceeding { .. }
            | State::Completed { .. }
            | State::Terminated => {}
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Calling { a: again, b: end, .. }
            | State::Trying { e: again, f: end, .. }
            | State::Proceeding { e: again, f: end } => Some(again.map_or(*end, |again| again.min(*end))),
            State::InviteProceeding { c: at }
            | State::InviteCompleted { d: at }
            | State::InviteAccepted { m: at }
            | State::Completed { k: at } => Some(*at),
            State::Terminated => None,
        }
    }

    fn retransmit(&self, outputs: &mut VecDeque<Output>) {
        outputs.push_back(Output::Retransmit { hop: self.hop, status: None, bytes: self.bytes.clone() });
    }

    /// The ACK of a failure response belongs to the transaction (RFC 3261 section 17.1.1.3).
    fn acknowledge(&self, response: &Response, outputs: &mut VecDeque<Output>) {
        let mut ack = Request::new(Method::Ack, self.request.uri.clone());
        if let Some(via) = self.request.headers.get("Via") {
            ack.headers.push("Via", via);
        }
        for name in ["From", "Call-ID", "Max-Forwards", "Route"] {
            for value in self.request.headers.all(name) {
                ack.headers.push(name, value);
            }
        }
        if let Some(to) = response.headers.get("To") {
            ack.headers.push("To", to);
        }
        let number = self.request.headers.get("CSeq").and_then(|cseq| cseq.split_ascii_whitespace().next());
        ack.headers.push("CSeq", &format!("{} ACK", number.unwrap_or("1")));
        let message = Message::Request(ack);
        outputs.push_back(Output::Transmit { hop: self.hop, bytes: message.to_bytes(), message });
    }
}
