//! The life of one INVITE that we answer: ringing, the 2xx repeated until its ACK, requests inside, the end.
//!
//! ```text
//! Offered -answer-> Answering -ACK-> Confirmed -BYE-> Ended
//!    | CANCEL/reject -> Ended   | 64*T1 without ACK: reported, the call then leaves
//! ```
//! What we ask inside the dialog ourselves is in `requests.rs`, who has offered what before the 2xx in `exchange.rs`.
//! Whatever comes inside the dialog, the way it came by is where we answer to from then on, in the will too. Invariant: [`Uas::will`] always says how to leave from
//! here, so that somebody else can. Driver: `actors/call/sip_dialog.rs`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::exchange::Exchange;
use super::info::{self, Info};
use super::refer::{self, Transfer};
use super::reliable::Unacknowledged;
use super::repeated::Repeated;
use super::requests::Own;
use super::session_timer::{self, Agreement, MIN_SE, SessionTimer};
use super::teardown::Farewell;
use super::ways::Ways;
use super::{Dialog, LocalIdentity};
use bytes::Bytes;

use crate::hop::Hop;
use crate::message::body::SDP;
use crate::message::{CSeq, Method, NotUnderstood, Request, Response, StatusCode};
use crate::transaction::ServerKey;

#[cfg(test)]
mod tests;

/// The methods we serve, for the Allow header.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, NOTIFY";
/// The extensions we support.
pub const SUPPORTED: &str = "timer, 100rel";
/// The bodies we accept: session descriptions, alone or among others (RFC 5621 section 3.1).
pub const ACCEPT: &str = "application/sdp, multipart/mixed, multipart/alternative, multipart/related";

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Send 180.
    Ring {
        /// Our session description: it goes along where the far end wants a reliable 180 and offered nothing itself.
        sdp: String,
    },
    /// Send the 200 with this session description.
    Answer {
        /// The SDP answer, or our offer for an INVITE without one.
        sdp: String,
    },
    /// The INVITE's transaction was cancelled.
    Cancelled,
    /// An ACK for a 2xx of ours.
    Acked {
        /// The ACK: it carries the answer when the offer was ours.
        ack: Request,
        /// Where it came from.
        hop: Hop,
    },
    /// A request inside the dialog.
    Request {
        /// Its transaction.
        key: ServerKey,
        /// The request.
        request: Request,
        /// Where it came from.
        hop: Hop,
    },
    /// Offer this session description: hold, or its end.
    Reoffer {
        /// The offer.
        sdp: String,
    },
    /// Ask the far end to call somebody else.
    Refer(Transfer),
    /// Press a key, by INFO.
    SendKey(char, Duration),
    /// A request of ours was answered.
    Response(Response),
    /// A request of ours was not answered.
    NoResponse {
        /// Its method.
        method: Method,
        /// Its CSeq number.
        number: u32,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Answer a transaction.
    Respond {
        /// Which.
        key: ServerKey,
        /// With what.
        response: Response,
    },
    /// Send a request in a client transaction; its outcome comes back as [`Input::Response`] or [`Input::NoResponse`].
    Send {
        /// The request.
        request: Request,
        /// By which ways.
        ways: Ways,
    },
    /// Send an ACK.
    Acknowledge {
        /// The ACK.
        request: Request,
        /// By which ways.
        ways: Ways,
    },
    /// The way to leave has changed: deposit the new will.
    WillChanged,
    /// A PRACK brought the answer to the offer of our 180.
    AnsweredEarly {
        /// The SDP answer.
        body: bytes::Bytes,
    },
    /// The ACK has come. `body` is the SDP answer if the offer was ours.
    Confirmed {
        /// The ACK's session description, empty without one.
        body: bytes::Bytes,
    },
    /// No ACK within 64·T1, or no PRACK.
    NeverAcked,
    /// The session timer ran out, or the far end does not know the dialog any more.
    SessionExpired,
    /// CANCEL: the INVITE has been answered with 487.
    CallerCancelled,
    /// BYE: it has been answered with 200.
    CallerHungUp {
        /// The Reason header of the BYE (RFC 3326), if any.
        reason: Option<String>,
    },
    /// A re-INVITE, UPDATE or PRACK with an offer, or a re-INVITE that asks for ours; answer it with
    /// [`Uas::answer_reinvite`].
    Reinvited {
        /// Its transaction.
        key: ServerKey,
        /// The request.
        request: Request,
    },
    /// The ACK of a re-INVITE brought the answer to our offer.
    Reanswered {
        /// The SDP answer.
        body: bytes::Bytes,
    },
    /// A refresh of ours, which repeats what was offered, was answered with a description.
    Refreshed {
        /// The SDP answer.
        body: bytes::Bytes,
    },
    /// Our own offer was answered, or was not accepted and nothing has changed.
    Reoffered(Result<bytes::Bytes, StatusCode>),
    /// A key came by INFO.
    Key {
        /// Which.
        digit: char,
        /// How long it was held.
        held: Duration,
    },
    /// The transfer goes on.
    TransferProgressed {
        /// The status the far end reports.
        status: StatusCode,
    },
    /// The transfer has its outcome: a failure is the status of the target, or of the REFER.
    TransferEnded(Result<(), StatusCode>),
}

/// The machine.
#[derive(Debug)]
pub struct Uas {
    pub(super) dialog: Dialog,
    pub(super) invite: Request,
    pub(super) key: ServerKey,
    pub(super) state: State,
    pub(super) provisional: Option<Unacknowledged>,
    pub(super) exchange: Exchange,
    /// The session description of a 200 that waits for the PRACK of the 180.
    pub(super) answer_waits: Option<String>,
    pub(super) rseq: u32,
    asked_timer: Option<Agreement>,
    pub(super) timer: SessionTimer,
    /// A re-INVITE of the far end whose 2xx awaits its ACK.
    reanswer: Option<Repeated>,
    /// A re-INVITE or UPDATE of the far end that we have not answered yet.
    unanswered: bool,
    pub(super) own: Own,
    /// Our last session description.
    pub(super) sdp: String,
    pub(super) outputs: VecDeque<Output>,
}

#[derive(Debug)]
pub(super) enum State {
    Offered,
    Answering(Repeated),
    Confirmed,
    Ended,
}

impl Uas {
    /// Takes over an INVITE. `local_tag` is random. Errors are the status to refuse it with.
    pub fn new(
        invite: Request,
        key: ServerKey,
        hop: Hop,
        local_tag: &str,
        local: &LocalIdentity,
    ) -> Result<Self, StatusCode> {
        let dialog = Dialog::from_invite(&invite, hop, local_tag, local)?;
        let exchange = Exchange::of_invite(&invite).map_err(|NotUnderstood| StatusCode(415))?;
        let asked_timer = session_timer::asked(&invite).map_err(|_| StatusCode(422))?;
        let own = Own::new(local_tag, &invite);
        // Any number will do to begin with (RFC 3262 section 3); it may not be foreseen by those off the path.
        let rseq = u32::from_str_radix(local_tag.get(..7).unwrap_or("1"), 16).unwrap_or(1).max(1);
        Ok(Self {
            dialog,
            invite,
            key,
            state: State::Offered,
            provisional: None,
            exchange,
            answer_waits: None,
            rseq,
            asked_timer,
            timer: SessionTimer::Off,
            reanswer: None,
            unanswered: false,
            own,
            sdp: String::new(),
            outputs: VecDeque::new(),
        })
    }

    /// The dialog.
    pub fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// The far end is reached by this from here on: a connection of ours in place of one that is gone.
    pub fn goes_by(&mut self, hop: Hop) {
        self.dialog.goes_by(hop);
        self.outputs.push_back(Output::WillChanged);
    }

    /// How to leave from here. `answer_sdp` is the answer to give when the policy is to answer before leaving.
    pub fn will(&self, before_answer: BeforeAnswer<'_>, reason: &str) -> Farewell {
        match &self.state {
            State::Offered => match before_answer {
                BeforeAnswer::Reject(status) => {
                    Farewell::Reject { key: self.key.clone(), response: self.final_response(status) }
                }
                BeforeAnswer::AnswerThenBye { sdp } => Farewell::AnswerThenBye {
                    key: self.key.clone(),
                    answer: self.answer(sdp),
                    dialog: self.dialog.clone(),
                    reason: reason.to_owned(),
                },
            },
            State::Answering(Repeated { answer, until, .. }) => Farewell::ByeOnceAcked {
                key: self.key.clone(),
                answer: answer.clone(),
                dialog: self.dialog.clone(),
                reason: reason.to_owned(),
                until: *until,
            },
            State::Confirmed => {
                Farewell::Bye { dialog: self.dialog.clone(), reason: reason.to_owned(), headers: vec![] }
            }
            State::Ended => Farewell::Nothing,
        }
    }

    /// The far end's offer, as long as nothing has answered it.
    pub fn unanswered_offer(&self) -> Option<Bytes> {
        let unanswered = matches!(self.state, State::Offered) && self.answer_waits.is_none();
        self.invite.session_description().ok().flatten().filter(|_| unanswered)
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match (&self.state, input) {
            (State::Offered, Input::Ring { sdp }) => self.ring(now, sdp),
            // A far end that insists on acknowledging the 180 has its turn first.
            (State::Offered, Input::Answer { sdp }) if self.provisional.is_some() => self.answer_waits = Some(sdp),
            (State::Offered, Input::Answer { sdp }) => {
                let answer = self.answer(&sdp);
                self.respond(self.key.clone(), answer.clone());
                let number = self.invite.headers.get("CSeq").and_then(CSeq::parse).map_or(0, |cseq| cseq.number);
                self.sdp = sdp;
                self.timer = SessionTimer::restart(now, self.asked_timer);
                self.state = State::Answering(Repeated::new(now, self.key.clone(), number, answer, false));
                self.outputs.push_back(Output::WillChanged);
            }
            (State::Offered, Input::Cancelled) => {
                self.respond(self.key.clone(), self.final_response(StatusCode(487)));
                self.end();
                self.outputs.push_back(Output::CallerCancelled);
            }
            (State::Answering(_), Input::Acked { ack, hop }) => {
                self.dialog.came_by(hop);
                self.state = State::Confirmed;
                self.outputs.push_back(Output::WillChanged);
                self.outputs.push_back(Output::Confirmed { body: described_in(&ack) });
            }
            (State::Confirmed, Input::Acked { ack, hop }) => {
                self.moved_to(hop);
                self.reacked(&ack);
            }
            (_, Input::Request { key, request, hop }) => self.inside(now, key, request, hop),
            (State::Confirmed, Input::Reoffer { sdp }) => self.reoffer(now, sdp),
            (State::Confirmed, Input::Refer(transfer)) => self.refer(now, &transfer),
            (State::Confirmed, Input::SendKey(digit, held)) => self.send_key(digit, held),
            (State::Confirmed, Input::Response(response)) => self.answered(now, &response),
            (State::Confirmed, Input::NoResponse { method, number }) => self.unanswered(now, &method, number),
            // Late or repeated: the state has moved on, nothing is left to do.
            (State::Offered, Input::Acked { .. })
            | (State::Answering(_), Input::Ring { .. } | Input::Answer { .. } | Input::Cancelled)
            | (
                State::Offered | State::Answering(_),
                Input::Reoffer { .. }
                | Input::Refer(_)
                | Input::SendKey(..)
                | Input::Response(_)
                | Input::NoResponse { .. },
            )
            | (State::Confirmed, Input::Ring { .. } | Input::Answer { .. } | Input::Cancelled)
            | (State::Ended, _) => {}
        }
    }

    /// The deadline passed: repeat what awaits an ACK or PRACK, refresh the session, or report that it is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Offered => self.repeat_provisional(now),
            State::Answering(repeated) => {
                if !repeated.repeat(now, &mut self.outputs) {
                    self.outputs.push_back(Output::NeverAcked);
                }
            }
            State::Confirmed => {
                if let Some(repeated) = &mut self.reanswer
                    && !repeated.repeat(now, &mut self.outputs)
                {
                    self.reanswer = None;
                    self.outputs.push_back(Output::NeverAcked);
                }
                match self.timer.due(now) {
                    Some(session_timer::Due::Refresh) => self.refresh(now),
                    Some(session_timer::Due::Expired) => {
                        self.timer = SessionTimer::Off;
                        self.outputs.push_back(Output::SessionExpired);
                    }
                    None => {}
                }
                self.own_timeout(now);
            }
            State::Ended => {}
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to wake.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Offered => self.provisional.as_ref().map(Unacknowledged::deadline),
            State::Answering(repeated) => Some(repeated.deadline()),
            State::Confirmed => {
                let repeated = self.reanswer.as_ref().map(Repeated::deadline);
                [repeated, self.timer.deadline(), self.own.deadline()].into_iter().flatten().min()
            }
            State::Ended => None,
        }
    }

    /// Answers what was reported as [`Output::Reinvited`]: with a session description, or with a refusal that leaves the
    /// session as it was.
    pub fn answer_reinvite(
        &mut self,
        now: Instant,
        key: ServerKey,
        request: &Request,
        outcome: Result<String, Response>,
    ) {
        self.unanswered = false;
        match outcome {
            Ok(sdp) => {
                let response = match request.method {
                    // A PRACK refreshes neither target nor session.
                    Method::Prack => request.respond(StatusCode(200), None),
                    _ => self.accept(now, request),
                };
                let response = response.with_body(SDP, sdp.clone());
                if request.method == Method::Invite {
                    let number = request.headers.get("CSeq").and_then(CSeq::parse).map_or(0, |cseq| cseq.number);
                    let offered = described_in(request).is_empty();
                    self.reanswer = Some(Repeated::new(now, key.clone(), number, response.clone(), offered));
                }
                if let Some(waits) = &mut self.answer_waits {
                    waits.clone_from(&sdp);
                }
                self.sdp = sdp;
                self.respond(key, response);
            }
            Err(refusal) => self.respond(key, refusal),
        }
        self.answer_what_waits(now);
    }

    fn reacked(&mut self, ack: &Request) {
        let number = ack.headers.get("CSeq").and_then(CSeq::parse).map(|cseq| cseq.number);
        if let Some(repeated) = self.reanswer.take_if(|repeated| Some(repeated.number) == number)
            && repeated.offered
        {
            self.outputs.push_back(Output::Reanswered { body: described_in(ack) });
        }
    }

    fn inside(&mut self, now: Instant, key: ServerKey, request: Request, hop: Hop) {
        if matches!(self.state, State::Ended) {
            return self.respond(key, request.respond(StatusCode(481), None));
        }
        if let Err(status) = self.dialog.admit(&request) {
            return self.respond(key, request.respond(status, None));
        }
        self.moved_to(hop);
        match request.method {
            Method::Bye => self.bye(key, &request),
            Method::Options => self.respond(key, capabilities(request.respond(StatusCode(200), None))),
            Method::Invite | Method::Update => self.offered_anew(now, key, request),
            Method::Prack => self.prack(now, key, &request),
            Method::Info => self.info(key, &request),
            Method::Notify => self.notified(key, &request),
            _ => self.respond(key, request.respond(StatusCode(405), None).with("Allow", ALLOW)),
        }
    }

    /// A request came over this hop: if it is another one, the will leaves by it too.
    fn moved_to(&mut self, hop: Hop) {
        if self.dialog.came_by(hop) {
            self.outputs.push_back(Output::WillChanged);
        }
    }

    fn bye(&mut self, key: ServerKey, request: &Request) {
        self.respond(key, request.respond(StatusCode(200), None));
        if matches!(self.state, State::Offered) {
            // BYE inside an early dialog ends the INVITE too (RFC 3261 section 15.1.2).
            self.respond(self.key.clone(), self.final_response(StatusCode(487)));
        }
        self.end();
        // One who accepted the REFER and hangs up has gone where it was sent.
        if self.own.transfer_accepted() {
            self.outputs.push_back(Output::TransferEnded(Ok(())));
        }
        let reason = request.headers.get("Reason").map(str::to_owned);
        self.outputs.push_back(Output::CallerHungUp { reason });
    }

    /// A re-INVITE or an UPDATE: an offer, or a refresh of the session.
    fn offered_anew(&mut self, now: Instant, key: ServerKey, request: Request) {
        let refuse = |status| request.respond(StatusCode(status), None);
        if session_timer::asked(&request).is_err() {
            return self.respond(key, refuse(422).with("Min-SE", MIN_SE.to_string()));
        }
        let Ok(offer) = request.session_description() else { return self.respond(key, not_understood(&request)) };
        if offer.is_none() && request.method == Method::Update {
            let response = if matches!(self.state, State::Ended) { refuse(481) } else { self.accept(now, &request) };
            return self.respond(key, response);
        }
        let later = refuse(500).with("Retry-After", "2");
        let response = match self.state {
            // Ours crossed theirs (RFC 3261 section 14.1, RFC 3311 section 5.2), or waits for the answer in an ACK.
            State::Confirmed if self.own.is_offering() || self.offer_waits_for_ack() => refuse(491),
            // One of theirs has no final response yet. Once it has one, the next is served, whether the ACK came first or
            // not (RFC 3261 section 14.2).
            State::Confirmed if self.unanswered => later,
            State::Confirmed => return self.reinvited(key, request),
            // What was offered before the 2xx is answered: an UPDATE may offer anew (RFC 3311 section 5.1).
            State::Offered | State::Answering(_) if request.method == Method::Update && self.exchange.is_settled() => {
                return self.reinvited(key, request);
            }
            State::Offered if self.exchange.is_ours() => refuse(491),
            // The first INVITE has no final response yet.
            State::Offered => later,
            // It has, and only its ACK is missing.
            State::Answering(_) => refuse(491),
            State::Ended => refuse(481),
        };
        self.respond(key, response);
    }

    pub(super) fn reinvited(&mut self, key: ServerKey, request: Request) {
        self.unanswered = true;
        self.outputs.push_back(Output::Reinvited { key, request });
    }

    /// Whether the 200 of a re-INVITE without an offer carried ours, and its ACK has not brought the answer yet.
    fn offer_waits_for_ack(&self) -> bool {
        self.reanswer.as_ref().is_some_and(|repeated| repeated.offered)
    }

    /// The 200 to a re-INVITE or UPDATE, without a body yet; the session timer runs anew.
    fn accept(&mut self, now: Instant, request: &Request) -> Response {
        self.dialog.refresh_target(&request.headers);
        self.outputs.push_back(Output::WillChanged);
        let response = request.respond(StatusCode(200), None).with("Contact", self.dialog.contact());
        let response = response.with("Allow", ALLOW).with("Supported", SUPPORTED);
        let asked = session_timer::asked(request).ok().flatten();
        if let State::Confirmed | State::Answering(_) = self.state {
            self.timer = SessionTimer::restart(now, asked);
        } else if asked.is_some() {
            self.asked_timer = asked;
        }
        match asked {
            Some(agreed) => agreed.in_answer(response),
            None => response,
        }
    }

    fn info(&mut self, key: ServerKey, request: &Request) {
        let response = |status| request.respond(StatusCode(status), None);
        match info::read(request) {
            Info::Keys(digits, held) => {
                self.respond(key, response(200));
                self.outputs.extend(digits.chars().map(|digit| Output::Key { digit, held }));
            }
            Info::Empty => self.respond(key, response(200)),
            Info::Foreign => self.respond(key, response(415).with("Accept", info::ACCEPTED)),
            Info::Package => self.respond(key, response(469).with("Recv-Info", "")),
        }
    }

    fn notified(&mut self, key: ServerKey, request: &Request) {
        let progress = refer::progress(request).filter(|_| self.own.is_transferring());
        let status = if progress.is_some() { 200 } else { 481 };
        self.respond(key, request.respond(StatusCode(status), None));
        if let Some(progress) = progress {
            self.transfer_progressed(progress);
        }
    }

    fn answer(&self, sdp: &str) -> Response {
        let response = self.invite.respond(StatusCode(200), Some(&self.dialog.id.local_tag));
        let response = capabilities(response.with("Contact", self.dialog.contact()));
        let response = match &self.asked_timer {
            Some(agreed) => agreed.in_answer(response),
            None => response,
        };
        // What was agreed on by 180 and PRACK is not offered again (RFC 3261 section 13.2.1).
        if self.exchange.is_settled() { response } else { response.with_body(SDP, sdp.to_owned()) }
    }

    pub(super) fn final_response(&self, status: StatusCode) -> Response {
        let response = self.invite.respond(status, Some(&self.dialog.id.local_tag));
        if status.0 == 503 { response.with("Retry-After", "5") } else { response }
    }

    pub(super) fn respond(&mut self, key: ServerKey, response: Response) {
        self.outputs.push_back(Output::Respond { key, response });
    }

    pub(super) fn end(&mut self) {
        self.state = State::Ended;
        self.outputs.push_back(Output::WillChanged);
    }
}

/// The session description in a request that nobody can refuse any more; empty without one.
fn described_in(request: &Request) -> bytes::Bytes {
    request.session_description().ok().flatten().unwrap_or_default()
}

/// The answer to a body that has to be understood and is not.
pub(super) fn not_understood(request: &Request) -> Response {
    request.respond(StatusCode(415), None).with("Accept", ACCEPT).with("Accept-Encoding", "identity")
}

/// What the policy is for a call that fails before it was answered.
#[derive(Debug, Clone, Copy)]
pub enum BeforeAnswer<'a> {
    /// Refuse with this status.
    Reject(StatusCode),
    /// Answer with this session description and hang up at once: the contact flow then takes its Success branch.
    AnswerThenBye {
        /// The SDP answer.
        sdp: &'a str,
    },
}

/// Adds Allow, Supported and Accept (RFC 3261 section 11.2).
pub fn capabilities(response: Response) -> Response {
    response.with("Allow", ALLOW).with("Supported", SUPPORTED).with("Accept", ACCEPT)
}
