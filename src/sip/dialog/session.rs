//! What happens inside a dialog once it stands: re-INVITE, UPDATE, INFO, NOTIFY, the session timer, BYE.
//!
//! ```text
//! theirs:  idle -offer-> unanswered -2xx-> repeated until its ACK -> idle
//! ```
//! Who opened the dialog does not matter here; what we ask ourselves is in `requests.rs`. Whatever comes inside the
//! dialog, the way it came by is where we answer to from then on, in the teardown plan too. Invariant: one offer is
//! open at a time, theirs or ours. Part of whoever opened the dialog: `acceptor.rs`.

use std::sync::Arc;
use std::time::Instant;

use super::Dialog;
use super::capabilities::{ALLOW, SUPPORTED, capabilities, not_understood};
use super::events::{Input, Output};
use super::info::{self, Info};
use super::refer;
use super::repeated::Repeated;
use super::requests::{Requests, Theirs};
use super::session_timer::{self, MIN_SE, SessionTimer};
use super::standing::Standing;
use crate::hop::Hop;
use crate::message::body::SDP;
use crate::message::{CSeq, Headers, Method, Request, Response, StatusCode};
use crate::transaction::ServerKey;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) standing: Standing,
    requests: Requests,
    /// A re-INVITE of the far end whose 2xx awaits its ACK.
    reanswer: Option<Repeated>,
    /// A re-INVITE or UPDATE of the far end that we have not answered yet.
    unanswered: bool,
}

/// Whether the session goes on after an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Then {
    GoesOn,
    Over,
}

/// What a re-INVITE or an UPDATE is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// An offer, or that we make one.
    Offer,
    /// A refresh of the session that changes nothing.
    Refresh,
}

/// Reads a re-INVITE or an UPDATE; errors are the refusal of one that cannot be served.
pub(super) fn wish(request: &Request) -> Result<Wish, Response> {
    if session_timer::asked(request).is_err() {
        return Err(request.respond(StatusCode(422), None).with("Min-SE", MIN_SE.to_string()));
    }
    match request.session_description() {
        Err(_) => Err(not_understood(request)),
        Ok(None) if request.method == Method::Update => Ok(Wish::Refresh),
        Ok(_) => Ok(Wish::Offer),
    }
}

/// The refusal of an offer that comes before the last one was answered.
pub(super) fn later(request: &Request) -> Response {
    request.respond(StatusCode(500), None).with("Retry-After", "2")
}

impl Session {
    /// Of a dialog whose far end said these headers. `seed` is random.
    pub(super) fn new(dialog: Dialog, timer: SessionTimer, seed: &str, theirs: &Headers) -> Self {
        Self {
            standing: Standing::new(dialog, timer),
            requests: Requests::new(seed, theirs),
            reanswer: None,
            unanswered: false,
        }
    }

    /// One thing happened in a dialog that stands.
    pub(super) fn handle(&mut self, now: Instant, input: Input) -> Then {
        let theirs = self.theirs();
        let Self { standing, requests, .. } = self;
        match input {
            Input::Request { key, request, hop } => return self.asked(now, key, request, hop),
            Input::Acked { ack, hop } => {
                standing.moved_to(hop);
                self.reacked(now, &ack);
            }
            Input::Reoffer { sdp } => requests.reoffer(standing, now, sdp, theirs),
            Input::Refer(transfer) => requests.refer(standing, now, &transfer),
            Input::SendDigit(digit, held) => requests.send_key(standing, digit, held),
            Input::Response(response) => requests.answered(standing, now, &response),
            Input::NoResponse { method, number } => requests.unanswered(standing, now, &method, number),
            Input::WayBack(found) => standing.way_back(found),
            // The INVITE that opened the dialog is long answered.
            Input::Ring { .. } | Input::Answer { .. } | Input::Cancelled => {}
        }
        Then::GoesOn
    }

    /// The deadline passed: repeat what awaits an ACK, refresh the session, or report that it is over.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let theirs = self.theirs();
        let Self { standing, requests, .. } = self;
        if let Some(repeated) = &mut self.reanswer
            && !repeated.repeat(now, &mut standing.outputs)
        {
            self.reanswer = None;
            standing.say(Output::NeverAcked);
        }
        match standing.timer.due(now) {
            Some(session_timer::Due::Refresh) => requests.refresh(standing, now, theirs),
            Some(session_timer::Due::Expired) => {
                standing.timer = SessionTimer::Off;
                standing.say(Output::SessionExpired);
            }
            None => {}
        }
        requests.handle_timeout(standing, now, theirs);
    }

    /// When to wake, in a dialog that stands.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let repeated = self.reanswer.as_ref().map(Repeated::deadline);
        [repeated, self.standing.timer.deadline(), self.requests.deadline()].into_iter().flatten().min()
    }

    fn asked(&mut self, now: Instant, key: ServerKey, request: Request, hop: Hop) -> Then {
        if !self.admits(&key, &request, hop) {
            return Then::GoesOn;
        }
        match request.method {
            Method::Bye => {
                self.standing.respond(key, request.respond(StatusCode(200), None));
                self.standing.say(Output::TeardownChanged);
                self.hung_up(&request);
                return Then::Over;
            }
            Method::Invite | Method::Update => self.offered_anew(now, key, request),
            _ => self.serve(key, &request),
        }
        Then::GoesOn
    }

    /// Whether a request of the far end is one to be served; it is refused else.
    pub(super) fn admits(&mut self, key: &ServerKey, request: &Request, hop: Hop) -> bool {
        if let Err(status) = self.standing.dialog.admit(request) {
            self.standing.respond(key.clone(), request.respond(status, None));
            return false;
        }
        self.standing.moved_to(hop);
        true
    }

    /// A request that neither offers nor ends anything; an early dialog serves it too.
    pub(super) fn serve(&mut self, key: ServerKey, request: &Request) {
        let response = |status| request.respond(StatusCode(status), None);
        match request.method {
            Method::Options => self.standing.respond(key, capabilities(response(200))),
            Method::Info => self.info(key, request),
            Method::Notify => self.notified(key, request),
            Method::Prack if request.session_description().is_err() => {
                self.standing.respond(key, not_understood(request));
            }
            Method::Prack => self.standing.respond(key, response(481)),
            _ => self.standing.respond(key, response(405).with("Allow", ALLOW)),
        }
    }

    /// The far end sent a BYE, and was answered.
    pub(super) fn hung_up(&mut self, bye: &Request) {
        // One who accepted the REFER and hangs up has gone where it was sent.
        if self.requests.transfer_accepted() {
            self.standing.say(Output::TransferEnded(Ok(())));
        }
        let reason = bye.headers.get("Reason").map(str::to_owned);
        self.standing.say(Output::CallerHungUp { reason });
    }

    /// A re-INVITE or an UPDATE: an offer, or a refresh of the session.
    fn offered_anew(&mut self, now: Instant, key: ServerKey, request: Request) {
        match wish(&request) {
            Err(refusal) => self.standing.respond(key, refusal),
            Ok(Wish::Refresh) => self.refreshed(now, key, &request),
            // Ours crossed theirs (RFC 3261 section 14.1, RFC 3311 section 5.2), or waits for the answer in an ACK.
            Ok(Wish::Offer) if self.requests.is_offering() || self.offer_waits_for_ack() => {
                self.standing.respond(key, request.respond(StatusCode(491), None));
            }
            Ok(Wish::Offer) => self.offered(key, request),
        }
    }

    /// An offer where none of ours is open. As long as one of theirs has no final response yet, it comes too early (RFC 3311
    /// section 5.2). Once it has one, the next is served, whether the ACK came first or not (RFC 3261 section 14.2).
    pub(super) fn offered(&mut self, key: ServerKey, request: Request) {
        if self.unanswered {
            self.standing.respond(key, later(&request));
        } else {
            self.reinvited(key, request);
        }
    }

    /// The far end offers: whoever drives the machine answers.
    pub(super) fn reinvited(&mut self, key: ServerKey, request: Request) {
        self.unanswered = true;
        self.standing.say(Output::Reinvited { key, request });
    }

    /// An UPDATE without an offer.
    pub(super) fn refreshed(&mut self, now: Instant, key: ServerKey, request: &Request) {
        let response = self.accept(now, request);
        self.standing.respond(key, response);
    }

    /// Answers what was reported as [`Output::Reinvited`].
    pub(super) fn answer_reinvite(
        &mut self,
        now: Instant,
        key: ServerKey,
        request: &Request,
        outcome: Result<String, Response>,
    ) {
        self.unanswered = false;
        let sdp = match outcome {
            Ok(sdp) => sdp,
            Err(refusal) => {
                self.standing.respond(key, refusal);
                return self.their_exchange_goes_on(now);
            }
        };
        let response = match request.method {
            // A PRACK refreshes neither target nor session.
            Method::Prack => request.respond(StatusCode(200), None),
            _ => self.accept(now, request),
        };
        let response = response.with_body(SDP, sdp.clone());
        if request.method == Method::Invite {
            let number = CSeq::of(&request.headers).map_or(0, |cseq| cseq.number);
            let offered = described_in(request).is_empty();
            self.reanswer = Some(Repeated::new(now, key.clone(), number, Arc::new(response.clone()), offered));
        }
        self.standing.sdp = sdp;
        self.standing.respond(key, response);
        self.their_exchange_goes_on(now);
    }

    /// Whether an exchange that the far end began is open.
    fn theirs(&self) -> Theirs {
        if self.unanswered || self.offer_waits_for_ack() { Theirs::Open } else { Theirs::Settled }
    }

    /// Something of an exchange of theirs was answered: if that was the end of it, what waits for it has its turn.
    fn their_exchange_goes_on(&mut self, now: Instant) {
        if self.theirs() == Theirs::Settled {
            self.requests.their_exchange_over(&mut self.standing, now);
        }
    }

    /// Whether the 200 of a re-INVITE without an offer carried ours, and its ACK has not brought the answer yet.
    fn offer_waits_for_ack(&self) -> bool {
        self.reanswer.as_ref().is_some_and(|repeated| repeated.offered)
    }

    fn reacked(&mut self, now: Instant, ack: &Request) {
        if let Some(repeated) = self.reanswer.take_if(|repeated| repeated.is_acknowledged_by(ack))
            && repeated.offered
        {
            self.standing.say(Output::Reanswered { body: described_in(ack) });
        }
        self.their_exchange_goes_on(now);
    }

    /// The 200 to a re-INVITE or UPDATE, without a body yet; the session timer runs anew.
    fn accept(&mut self, now: Instant, request: &Request) -> Response {
        let standing = &mut self.standing;
        standing.dialog.refresh_target(&request.headers);
        standing.say(Output::TeardownChanged);
        let response = request.respond(StatusCode(200), None).with("Contact", standing.dialog.contact());
        let response = response.with("Allow", ALLOW).with("Supported", SUPPORTED);
        let asked = session_timer::asked(request).ok().flatten();
        standing.timer.renewed(now, asked);
        match asked {
            Some(agreed) => agreed.in_answer(response),
            None => response,
        }
    }

    fn info(&mut self, key: ServerKey, request: &Request) {
        let response = |status| request.respond(StatusCode(status), None);
        match info::read(request) {
            Info::Keys(digits, held) => {
                self.standing.respond(key, response(200));
                self.standing.outputs.extend(digits.chars().map(|digit| Output::Digit { digit, held }));
            }
            Info::Empty => self.standing.respond(key, response(200)),
            Info::Foreign => self.standing.respond(key, response(415).with("Accept", info::ACCEPTED)),
            Info::Package => self.standing.respond(key, response(469).with("Recv-Info", "")),
        }
    }

    fn notified(&mut self, key: ServerKey, request: &Request) {
        let progress = refer::progress(request).filter(|_| self.requests.is_transferring());
        let status = if progress.is_some() { 200 } else { 481 };
        self.standing.respond(key, request.respond(StatusCode(status), None));
        if let Some(progress) = progress {
            self.requests.transfer_progressed(&mut self.standing, progress);
        }
    }
}

/// The session description in a request that nobody can refuse any more; empty without one.
pub(super) fn described_in(request: &Request) -> bytes::Bytes {
    request.session_description().ok().flatten().unwrap_or_default()
}
