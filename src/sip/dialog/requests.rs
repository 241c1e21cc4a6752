//! What we ask inside a dialog: re-INVITE for hold, refreshes, REFER, keys by INFO.
//!
//! ```text
//! offer:     idle -re-INVITE-> offering -2xx/ACK-> idle     | 491 -a moment later-> offering
//! transfer:  none -REFER-> asked -2xx-> accepted -NOTIFY with the outcome-> ended
//! ```
//! Invariant: one offer of ours is under way at a time, and one transfer; each has an end in time. Part of `acceptor.rs`.

use std::time::{Duration, Instant};

use super::acceptor::{ALLOW, Output, SUPPORTED, Uas};
use super::info::{self, DTMF_RELAY};
use super::refer::{Progress, Transfer};
use super::session_timer::{Agreement, Refresher, SessionTimer, answered};
use crate::message::body::SDP;
use crate::message::{CSeq, Headers, Method, Request, Response, StatusCode};
use crate::transaction::TIMEOUT;

/// The longest a transfer may take to have an outcome; telephones ring for a minute at most.
pub(super) const TRANSFER_MAX: Duration = Duration::from_secs(75);
/// The longest an offer of ours may wait for its final response. A gateway that says 100 and then nothing keeps the session as
/// it was, and may offer something itself again.
pub(super) const OFFER_MAX: Duration = TIMEOUT;
/// Tries of an offer that crosses the far end's own (491).
const OFFER_TRIES: u32 = 4;

/// What is under way.
#[derive(Debug)]
pub(super) struct Own {
    seed: String,
    branches: u32,
    allow: Option<String>,
    offering: Option<Offering>,
    refreshing: Option<u32>,
    transfer: Option<Asked>,
}

#[derive(Debug)]
struct Offering {
    number: u32,
    sdp: String,
    tries: u32,
    /// Whether it is a refresh that changes nothing.
    refresh: bool,
    again: Option<Instant>,
    until: Instant,
}

#[derive(Debug)]
struct Asked {
    number: u32,
    accepted: bool,
    until: Instant,
}

impl Own {
    pub(super) fn new(seed: &str, invite: &Request) -> Self {
        let allow = allowed(&invite.headers);
        Self { seed: seed.to_owned(), branches: 0, allow, offering: None, refreshing: None, transfer: None }
    }

    /// Whether the far end said that it serves a method.
    pub(super) fn allows(&self, method: &str) -> bool {
        self.allow.as_ref().is_some_and(|allow| allow.split(',').any(|allowed| allowed.trim() == method))
    }

    pub(super) fn is_offering(&self) -> bool {
        self.offering.is_some()
    }

    pub(super) fn is_transferring(&self) -> bool {
        self.transfer.is_some()
    }

    pub(super) fn transfer_accepted(&self) -> bool {
        self.transfer.as_ref().is_some_and(|transfer| transfer.accepted)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let offering = self.offering.as_ref().map(|offering| offering.again.unwrap_or(offering.until));
        offering.into_iter().chain(self.transfer.as_ref().map(|transfer| transfer.until)).min()
    }

    fn branch(&mut self) -> String {
        self.branches += 1;
        format!("z9hG4bK{}{:x}", self.seed, self.branches)
    }
}

/// The methods of an Allow header, if there is one.
fn allowed(headers: &Headers) -> Option<String> {
    let allow = headers.list("Allow").join(",");
    (!allow.is_empty()).then(|| allow.to_ascii_uppercase())
}

impl Uas {
    /// Offers a description of ours, unless one is under way: two at once are not allowed (RFC 3261 section 14.1).
    pub(super) fn reoffer(&mut self, now: Instant, sdp: String) {
        if self.own.is_offering() {
            return self.outputs.push_back(Output::Reoffered(Err(StatusCode(491))));
        }
        self.offer(now, sdp, 1, false);
    }

    fn offer(&mut self, now: Instant, sdp: String, tries: u32, refresh: bool) {
        let branch = self.own.branch();
        let (mut request, ways) = self.dialog.request(Method::Invite, &branch);
        request.headers.push("Allow", ALLOW);
        request.headers.push("Supported", SUPPORTED);
        self.timer_headers(&mut request);
        let number = self.dialog.last_number();
        self.own.offering =
            Some(Offering { number, sdp: sdp.clone(), tries, refresh, again: None, until: now + OFFER_MAX });
        self.outputs.push_back(Output::Send { request: request.with_body(SDP, sdp), ways });
        self.outputs.push_back(Output::WillChanged);
    }

    fn timer_headers(&self, request: &mut Request) {
        if let Some(agreement) = self.timer.agreement() {
            agreement.in_request(request);
        }
    }

    /// Our refresh is due (RFC 4028 section 10): UPDATE where the far end knows it, else a re-INVITE that changes nothing.
    pub(super) fn refresh(&mut self, now: Instant) {
        if self.own.is_offering() || self.own.is_transferring() {
            return self.timer.again_at(now + Duration::from_secs(2));
        }
        if !self.own.allows("UPDATE") {
            let sdp = self.sdp.clone();
            return self.offer(now, sdp, 1, true);
        }
        let branch = self.own.branch();
        let (mut request, ways) = self.dialog.request(Method::Update, &branch);
        request.headers.push("Supported", SUPPORTED);
        self.timer_headers(&mut request);
        self.own.refreshing = Some(self.dialog.last_number());
        self.outputs.push_back(Output::Send { request, ways });
        self.outputs.push_back(Output::WillChanged);
    }

    pub(super) fn refer(&mut self, now: Instant, transfer: &Transfer) {
        if transfer.check().is_err() || self.own.is_transferring() {
            return self.outputs.push_back(Output::TransferEnded(Err(StatusCode(400))));
        }
        let branch = self.own.branch();
        let (mut request, ways) = self.dialog.request(Method::Refer, &branch);
        let contact = self.dialog.contact().to_owned();
        transfer.write(&self.dialog.own_address(), &contact, &mut request);
        let number = self.dialog.last_number();
        self.own.transfer = Some(Asked { number, accepted: false, until: now + TRANSFER_MAX });
        self.outputs.push_back(Output::Send { request, ways });
        self.outputs.push_back(Output::WillChanged);
    }

    pub(super) fn send_key(&mut self, digit: char, held: Duration) {
        let branch = self.own.branch();
        let (request, ways) = self.dialog.request(Method::Info, &branch);
        self.outputs.push_back(Output::Send { request: request.with_body(DTMF_RELAY, info::body(digit, held)), ways });
        self.outputs.push_back(Output::WillChanged);
    }

    /// A response to one of our requests.
    pub(super) fn answered(&mut self, now: Instant, response: &Response) {
        let Some(cseq) = response.headers.get("CSeq").and_then(CSeq::parse) else { return };
        if let Some(allow) = allowed(&response.headers) {
            self.own.allow = Some(allow);
        }
        match cseq.method {
            Method::Invite => self.offer_answered(now, cseq.number, response),
            Method::Update if self.own.refreshing == Some(cseq.number) && !response.status.is_provisional() => {
                self.own.refreshing = None;
                self.refresh_answered(now, response);
            }
            Method::Refer => self.refer_answered(cseq.number, response.status),
            _ => {
                if response.status.0 == 481 {
                    self.outputs.push_back(Output::SessionExpired);
                }
            }
        }
    }

    /// A request of ours has no answer.
    pub(super) fn unanswered(&mut self, now: Instant, method: &Method, number: u32) {
        match method {
            Method::Invite if self.own.offering.as_ref().is_some_and(|offering| offering.number == number) => {
                self.offering_failed(now, StatusCode(408));
            }
            Method::Update if self.own.refreshing == Some(number) => self.outputs.push_back(Output::SessionExpired),
            Method::Refer => self.refer_answered(number, StatusCode(408)),
            _ => {}
        }
    }

    pub(super) fn own_timeout(&mut self, now: Instant) {
        if let Some(offering) = self.own.offering.take_if(|offering| offering.again.is_some_and(|at| at <= now)) {
            self.offer(now, offering.sdp, offering.tries + 1, offering.refresh);
        }
        let overdue = |offering: &mut Offering| offering.again.is_none() && offering.until <= now;
        // A refresh that came to nothing is told by the session timer.
        if self.own.offering.take_if(overdue).is_some_and(|offering| !offering.refresh) {
            self.outputs.push_back(Output::Reoffered(Err(StatusCode(408))));
        }
        if self.own.transfer.as_ref().is_some_and(|transfer| transfer.until <= now) {
            self.transfer_ended(Err(StatusCode(408)));
        }
    }

    fn offer_answered(&mut self, now: Instant, number: u32, response: &Response) {
        if response.status.is_provisional() {
            return;
        }
        if response.status.is_success() {
            // Also a repeated one: our ACK was lost.
            let branch = self.own.branch();
            let (request, ways) = self.dialog.acknowledge(number, &branch);
            self.outputs.push_back(Output::Acknowledge { request, ways });
        }
        let Some(offering) = self.own.offering.take_if(|offering| offering.number == number) else { return };
        if !response.status.is_success() {
            self.own.offering = Some(offering);
            return self.offering_failed(now, response.status);
        }
        self.dialog.refresh_target(&response.headers);
        self.outputs.push_back(Output::WillChanged);
        if self.timer.agreement().is_some() {
            self.timer = SessionTimer::restart(now, self.renewed(response));
        }
        // Every answer counts, one to a refresh too: the far end may have moved its audio.
        let body = response.session_description().unwrap_or_default();
        if !offering.refresh {
            self.sdp = offering.sdp;
            self.outputs.push_back(Output::Reoffered(Ok(body)));
        } else if !body.is_empty() {
            self.outputs.push_back(Output::Refreshed { body });
        }
    }

    fn offering_failed(&mut self, now: Instant, status: StatusCode) {
        let Some(offering) = &mut self.own.offering else { return };
        if status.0 == 491 && offering.tries < OFFER_TRIES {
            // We do not own the Call-ID: 0 to 2 s in units of 10 ms (RFC 3261 section 14.1), spread by the number.
            let wait = Duration::from_millis(u64::from(offering.number.wrapping_mul(2_654_435_761) % 200) * 10);
            offering.again = Some(now + wait);
            return;
        }
        let refresh = self.own.offering.take().is_some_and(|offering| offering.refresh);
        match status.0 {
            // RFC 3261 section 12.2.1.2: the far end does not know the dialog, or is gone.
            408 | 481 => self.outputs.push_back(Output::SessionExpired),
            _ if refresh => self.timer.again_at(now + Duration::from_secs(10)),
            _ => self.outputs.push_back(Output::Reoffered(Err(status))),
        }
    }

    fn refresh_answered(&mut self, now: Instant, response: &Response) {
        match response.status.0 {
            200..=299 => {
                self.dialog.refresh_target(&response.headers);
                self.timer = SessionTimer::restart(now, self.renewed(response));
                self.outputs.push_back(Output::WillChanged);
            }
            408 | 481 => self.outputs.push_back(Output::SessionExpired),
            // It does not serve UPDATE after all.
            405 | 501 => {
                self.own.allow = None;
                self.timer.again_at(now);
            }
            _ => self.timer.again_at(now + Duration::from_secs(10)),
        }
    }

    /// What a 2xx to our refresh agrees on; silence about it leaves the refreshing to us (RFC 4028 section 7.2).
    fn renewed(&self, response: &Response) -> Option<Agreement> {
        let before = self.timer.agreement().map(|agreement| Agreement { refresher: Refresher::Us, ..agreement });
        answered(response).or(before)
    }

    fn refer_answered(&mut self, number: u32, status: StatusCode) {
        let Some(transfer) = self.own.transfer.as_mut().filter(|transfer| transfer.number == number) else { return };
        if status.is_success() {
            transfer.accepted = true;
            self.outputs.push_back(Output::TransferProgressed { status });
        } else if !status.is_provisional() {
            self.transfer_ended(Err(status));
        }
    }

    pub(super) fn transfer_progressed(&mut self, progress: Progress) {
        let status = StatusCode(progress.status);
        if let Some(transfer) = &mut self.own.transfer {
            transfer.accepted = true; // a NOTIFY may overtake the 202
        }
        if status.is_success() {
            self.transfer_ended(Ok(()));
        } else if !status.is_provisional() || progress.terminated {
            self.transfer_ended(Err(if status.is_provisional() { StatusCode(500) } else { status }));
        } else {
            self.outputs.push_back(Output::TransferProgressed { status });
        }
    }

    fn transfer_ended(&mut self, outcome: Result<(), StatusCode>) {
        self.own.transfer = None;
        self.outputs.push_back(Output::TransferEnded(outcome));
    }
}
