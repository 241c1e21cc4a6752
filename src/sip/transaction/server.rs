//! Server transactions: INVITE (RFC 3261 figure 7 with the Accepted state of RFC 6026) and the rest (figure 8).
//!
//! ```text
//! INVITE:  Proceeding -2xx-> Accepted -L-> Terminated
//!          Proceeding -3xx..6xx-> Completed -ACK-> Confirmed -I-> Terminated;  Completed -H-> Terminated
//! others:  Trying -1xx-> Proceeding -2xx..6xx-> Completed -J-> Terminated
//! ```

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Output, ServerKey, T1, T2, T4, TIMEOUT};
use crate::hop::Hop;
use crate::message::{Message, Method, Request, Response, StatusCode};

#[derive(Debug)]
pub(super) struct Server {
    hop: Hop,
    state: State,
    to_tag: Option<String>,
    /// The deadline that a timer runs for.
    pub(super) armed: Option<Instant>,
}

/// A response as it went out: what it says was told then, and is not kept beside its bytes for 32 seconds.
#[derive(Debug, Clone)]
struct Sent {
    status: StatusCode,
    bytes: Bytes,
}

#[derive(Debug)]
enum State {
    InviteProceeding { last: Option<Sent> },
    InviteCompleted { last: Sent, g: Option<Instant>, interval: Duration, h: Instant },
    InviteConfirmed { i: Instant },
    InviteAccepted { l: Instant },
    Trying,
    Proceeding { last: Sent },
    Completed { last: Sent, j: Instant },
    Terminated,
}

impl Server {
    pub(super) fn start(request: &Request, hop: Hop) -> Self {
        let state =
            if request.method == Method::Invite { State::InviteProceeding { last: None } } else { State::Trying };
        Self { hop, state, to_tag: None, armed: None }
    }

    pub(super) fn hop(&self) -> Hop {
        self.hop
    }

    pub(super) fn is_proceeding(&self) -> bool {
        matches!(self.state, State::InviteProceeding { .. })
    }

    pub(super) fn is_accepted(&self) -> bool {
        matches!(self.state, State::InviteAccepted { .. })
    }

    pub(super) fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    pub(super) fn to_tag(&self) -> Option<String> {
        self.to_tag.clone()
    }

    /// A request that matches: a retransmission, or the ACK of a failure response.
    pub(super) fn receive(&mut self, now: Instant, request: &Request, outputs: &mut VecDeque<Output>) {
        let is_ack = request.method == Method::Ack;
        match &self.state {
            State::InviteProceeding { last: Some(last) } if !is_ack => outputs.push_back(last.again(self.hop)),
            State::InviteProceeding { .. } => {}
            State::InviteCompleted { .. } if is_ack => {
                let i = if self.hop.transport.is_reliable() { now } else { now + T4 };
                self.state = if i == now { State::Terminated } else { State::InviteConfirmed { i } };
            }
            State::InviteCompleted { last, .. } => outputs.push_back(last.again(self.hop)),
            // The 2xx is the dialog's to repeat; a retransmitted INVITE is absorbed (RFC 6026 section 7.1).
            State::InviteConfirmed { .. } | State::InviteAccepted { .. } => {}
            State::Trying => {}
            State::Proceeding { last } | State::Completed { last, .. } => outputs.push_back(last.again(self.hop)),
            State::Terminated => {}
        }
    }

    pub(super) fn respond(&mut self, now: Instant, response: Response, outputs: &mut VecDeque<Output>) {
        let status = response.status;
        if self.to_tag.is_none() {
            self.to_tag = response.headers.tag("To").map(Cow::into_owned);
        }
        let message = Message::Response(response);
        let sent = Sent { status, bytes: message.to_bytes() };
        let bytes = sent.bytes.clone();
        let reliable = self.hop.transport.is_reliable();
        self.state = match &self.state {
            State::InviteProceeding { .. } if status.is_provisional() => State::InviteProceeding { last: Some(sent) },
            State::InviteProceeding { .. } if status.is_success() => State::InviteAccepted { l: now + TIMEOUT },
            State::InviteProceeding { .. } => State::InviteCompleted {
                last: sent,
                g: (!reliable).then_some(now + T1),
                interval: T1,
                h: now + TIMEOUT,
            },
            // The dialog repeats its 2xx through here until the ACK.
            State::InviteAccepted { l } if status.is_success() => State::InviteAccepted { l: *l },
            State::Trying | State::Proceeding { .. } if status.is_provisional() => State::Proceeding { last: sent },
            State::Trying | State::Proceeding { .. } if reliable => State::Terminated,
            State::Trying | State::Proceeding { .. } => State::Completed { last: sent, j: now + TIMEOUT },
            State::InviteAccepted { .. }
            | State::InviteCompleted { .. }
            | State::InviteConfirmed { .. }
            | State::Completed { .. }
            | State::Terminated => return,
        };
        outputs.push_back(Output::Transmit { hop: self.hop, message, bytes });
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, key: &ServerKey, outputs: &mut VecDeque<Output>) {
        match &mut self.state {
            State::InviteCompleted { h, .. } if *h <= now => {
                self.state = State::Terminated;
                outputs.push_back(Output::NoAck { key: key.clone() });
            }
            State::InviteCompleted { last, g: Some(g), interval, .. } if *g <= now => {
                *interval = (*interval * 2).min(T2);
                *g = now + *interval;
                outputs.push_back(last.again(self.hop));
            }
            State::InviteConfirmed { i: at } | State::InviteAccepted { l: at } | State::Completed { j: at, .. }
                if *at <= now =>
            {
                self.state = State::Terminated;
            }
            State::InviteCompleted { .. }
            | State::InviteConfirmed { .. }
            | State::InviteAccepted { .. }
            | State::Completed { .. }
            | State::InviteProceeding { .. }
            | State::Trying
            | State::Proceeding { .. }
            | State::Terminated => {}
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::InviteCompleted { g, h, .. } => Some(g.map_or(*h, |g| g.min(*h))),
            State::InviteConfirmed { i: at } | State::InviteAccepted { l: at } | State::Completed { j: at, .. } => {
                Some(*at)
            }
            State::InviteProceeding { .. } | State::Trying | State::Proceeding { .. } | State::Terminated => None,
        }
    }
}

impl Sent {
    fn again(&self, hop: Hop) -> Output {
        Output::Retransmit { hop, status: Some(self.status), bytes: self.bytes.clone() }
    }
}
