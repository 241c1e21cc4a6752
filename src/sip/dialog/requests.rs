//! What we ask inside a dialog: re-INVITE for hold, refreshes, REFER, keys by INFO.
//!
//! ```text
//! offer:     idle -re-INVITE-> offering -2xx/ACK-> idle     | 491 -a moment later-> offering
//!            idle, an exchange of theirs is open -> behind -it is over-> offering
//! transfer:  none -REFER-> asked -2xx-> accepted -NOTIFY with the outcome-> ended
//! ```
//! Invariant: one offer of ours is under way at a time, and one transfer; each has an end in time. What it works on is lent by
//! `session.rs`.

use std::time::{Duration, Instant};

use super::capabilities::{ALLOW, SUPPORTED};
use super::events::Output;
use super::info::{self, DTMF_RELAY};
use super::refer::{Progress, Transfer};
use super::session_timer::{Agreement, Refresher, SessionTimer, answered};
use super::standing::Standing;
use super::ways::Ways;
use crate::message::body::SDP;
use crate::message::{CSeq, Headers, Method, Request, Response, StatusCode};
use crate::transaction::TIMEOUT;

/// The longest a transfer may take to have an outcome; telephones ring for a minute at most.
pub(super) const REFER_MAX: Duration = Duration::from_secs(75);
/// The longest an offer of ours may wait for its final response. A gateway that says 100 and then nothing keeps the session as
/// it was, and may offer something itself again.
pub(super) const OFFER_MAX: Duration = TIMEOUT;
/// Tries of an offer that crosses the far end's own (491).
const OFFER_TRIES: u32 = 4;
/// How long a refresh waits for an offer or a transfer that is under way.
const REFRESHED_AFTER_OTHERS: Duration = Duration::from_secs(2);
/// How long until a refresh that was refused is tried again.
const REFRESHED_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// INVITEs of ours whose 2xx is acknowledged again when it is repeated: more than can follow one another within 64·T1.
const INVITES_KEPT: usize = 8;

/// What is under way.
#[derive(Debug)]
pub(super) struct Requests {
    seed: String,
    branches: u32,
    allow: Option<String>,
    offering: Option<Offering>,
    refreshing: Option<u32>,
    transfer: Option<Asked>,
    /// What may still be answered: method and number. A 2xx to an INVITE may come again (RFC 3261 section 13.2.2.4).
    outstanding: Vec<(Method, u32)>,
}

#[derive(Debug)]
struct Offering {
    offer: Offer,
    stage: Stage,
    /// When it is given up.
    until: Instant,
}

/// An offer of ours.
#[derive(Debug)]
struct Offer {
    sdp: String,
    tries: u32,
    /// Whether it is a refresh that changes nothing.
    refresh: bool,
}

/// How far an offer of ours has come.
#[derive(Debug)]
enum Stage {
    /// It waits for the far end's own, or for the answer to the one in our 2xx: one is open at a time (RFC 3264 section 4).
    Behind,
    /// It crossed the far end's, and is sent again then.
    Again(Instant),
    /// The INVITE of this number is on its way.
    Sent(u32),
}

/// An exchange that the far end began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theirs {
    /// Its offer is not answered yet, or our offer in the 2xx of its re-INVITE.
    Open,
    /// None is open.
    Settled,
}

#[derive(Debug)]
struct Asked {
    number: u32,
    accepted: bool,
    until: Instant,
}

impl Requests {
    /// Of a far end that said these headers. `seed` makes our branches.
    pub(super) fn new(seed: &str, theirs: &Headers) -> Self {
        Self {
            seed: seed.to_owned(),
            branches: 0,
            allow: allowed(theirs),
            offering: None,
            refreshing: None,
            transfer: None,
            outstanding: vec![],
        }
    }

    /// Whether the far end said that it serves a method.
    pub(super) fn allows(&self, method: &str) -> bool {
        self.allow.as_ref().is_some_and(|allow| allow.split(',').any(|allowed| allowed.trim() == method))
    }

    /// Whether an offer of ours is on its way, so that one of theirs crosses it.
    pub(super) fn is_offering(&self) -> bool {
        self.number_offered().is_some()
    }

    fn number_offered(&self) -> Option<u32> {
        match self.offering.as_ref()?.stage {
            Stage::Sent(number) => Some(number),
            Stage::Behind | Stage::Again(_) => None,
        }
    }

    pub(super) fn is_transferring(&self) -> bool {
        self.transfer.is_some()
    }

    pub(super) fn transfer_accepted(&self) -> bool {
        self.transfer.as_ref().is_some_and(|transfer| transfer.accepted)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let offering = self.offering.as_ref().map(|offering| match offering.stage {
            Stage::Again(at) => at,
            Stage::Behind | Stage::Sent(_) => offering.until,
        });
        offering.into_iter().chain(self.transfer.as_ref().map(|transfer| transfer.until)).min()
    }

    /// A request of ours, its ways and its number; from here on it may be answered.
    fn begin(&mut self, standing: &mut Standing, method: Method) -> (Request, Ways, u32) {
        let is_invite = |(method, _): &(Method, u32)| *method == Method::Invite;
        if method == Method::Invite && self.outstanding.iter().filter(|sent| is_invite(sent)).count() == INVITES_KEPT {
            let oldest = self.outstanding.iter().position(is_invite).expect("there are some");
            self.outstanding.remove(oldest);
        }
        let branch = self.branch();
        let (request, ways) = standing.dialog.request(method.clone(), &branch);
        let number = standing.dialog.last_number();
        self.outstanding.push((method, number));
        (request, ways, number)
    }

    /// Whether a response is one to a request of ours that may still be answered: strays mean nothing. A final one is the last,
    /// but a 2xx to an INVITE.
    fn is_answer(&mut self, cseq: &CSeq, status: StatusCode) -> bool {
        let sent = |(method, number): &(Method, u32)| *method == cseq.method && *number == cseq.number;
        let Some(at) = self.outstanding.iter().position(sent) else { return false };
        let may_come_again = status.is_provisional() || (cseq.method == Method::Invite && status.is_success());
        if !may_come_again {
            self.outstanding.remove(at);
        }
        true
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

impl Requests {
    /// Offers a description of ours, unless one is under way: two at once are not allowed (RFC 3261 section 14.1). An exchange
    /// of theirs is waited for.
    pub(super) fn reoffer(&mut self, standing: &mut Standing, now: Instant, sdp: String, theirs: Theirs) {
        if self.offering.is_some() {
            return standing.say(Output::Reoffered(Err(StatusCode(491))));
        }
        let offer = Offer { sdp, tries: 0, refresh: false };
        match theirs {
            Theirs::Settled => self.offer(standing, now, offer),
            Theirs::Open => self.offering = Some(Offering { offer, stage: Stage::Behind, until: now + OFFER_MAX }),
        }
    }

    /// An exchange of theirs is over: what waited for it is offered.
    pub(super) fn their_exchange_over(&mut self, standing: &mut Standing, now: Instant) {
        if let Some(Offering { offer, .. }) = self.offering.take_if(|offering| matches!(offering.stage, Stage::Behind))
        {
            self.offer(standing, now, offer);
        }
    }

    fn offer(&mut self, standing: &mut Standing, now: Instant, mut offer: Offer) {
        offer.tries += 1;
        let sdp = offer.sdp.clone();
        let (mut request, ways, number) = self.begin(standing, Method::Invite);
        request.headers.push("Allow", ALLOW);
        request.headers.push("Supported", SUPPORTED);
        timer_headers(standing, &mut request);
        self.offering = Some(Offering { offer, stage: Stage::Sent(number), until: now + OFFER_MAX });
        standing.say(Output::Send { request: request.with_body(SDP, sdp), ways });
        standing.say(Output::TeardownChanged);
    }

    /// Our refresh is due (RFC 4028 section 10): UPDATE where the far end knows it, else a re-INVITE that changes nothing.
    pub(super) fn refresh(&mut self, standing: &mut Standing, now: Instant, theirs: Theirs) {
        let by_update = self.allows("UPDATE");
        if self.offering.is_some() || self.is_transferring() || (!by_update && theirs == Theirs::Open) {
            return standing.timer.again_at(now + REFRESHED_AFTER_OTHERS);
        }
        if !by_update {
            let sdp = standing.sdp.clone();
            return self.offer(standing, now, Offer { sdp, tries: 0, refresh: true });
        }
        let (mut request, ways, number) = self.begin(standing, Method::Update);
        request.headers.push("Supported", SUPPORTED);
        timer_headers(standing, &mut request);
        self.refreshing = Some(number);
        standing.say(Output::Send { request, ways });
        standing.say(Output::TeardownChanged);
    }

    pub(super) fn refer(&mut self, standing: &mut Standing, now: Instant, transfer: &Transfer) {
        if transfer.check().is_err() || self.is_transferring() {
            return standing.say(Output::TransferEnded(Err(StatusCode(400))));
        }
        let (mut request, ways, number) = self.begin(standing, Method::Refer);
        let contact = standing.dialog.contact().to_owned();
        transfer.write(&standing.dialog.own_address(), &contact, &mut request);
        self.transfer = Some(Asked { number, accepted: false, until: now + REFER_MAX });
        standing.say(Output::Send { request, ways });
        standing.say(Output::TeardownChanged);
    }

    pub(super) fn send_key(&mut self, standing: &mut Standing, digit: char, held: Duration) {
        let (request, ways, _) = self.begin(standing, Method::Info);
        standing.say(Output::Send { request: request.with_body(DTMF_RELAY, info::body(digit, held)), ways });
        standing.say(Output::TeardownChanged);
    }

    /// A response to one of our requests.
    pub(super) fn answered(&mut self, standing: &mut Standing, now: Instant, response: &Response) {
        let Some(cseq) = CSeq::of(&response.headers) else { return };
        if !self.is_answer(&cseq, response.status) {
            return;
        }
        if let Some(allow) = allowed(&response.headers) {
            self.allow = Some(allow);
        }
        match cseq.method {
            Method::Invite => self.offer_answered(standing, now, cseq.number, response),
            Method::Update if self.refreshing == Some(cseq.number) && !response.status.is_provisional() => {
                self.refreshing = None;
                self.refresh_answered(standing, now, response);
            }
            Method::Refer => self.refer_answered(standing, cseq.number, response.status),
            _ => {
                if response.status.0 == 481 {
                    standing.say(Output::SessionExpired);
                }
            }
        }
    }

    /// A request of ours has no answer.
    pub(super) fn unanswered(&mut self, standing: &mut Standing, now: Instant, method: &Method, number: u32) {
        self.outstanding.retain(|(sent, its)| sent != method || *its != number);
        match method {
            Method::Invite if self.number_offered() == Some(number) => {
                self.offering_failed(standing, now, StatusCode(408));
            }
            Method::Update if self.refreshing == Some(number) => standing.say(Output::SessionExpired),
            Method::Refer => self.refer_answered(standing, number, StatusCode(408)),
            _ => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, standing: &mut Standing, now: Instant, theirs: Theirs) {
        let crossed = |offering: &mut Offering| matches!(offering.stage, Stage::Again(at) if at <= now);
        if let Some(Offering { offer, until, .. }) = self.offering.take_if(crossed) {
            match theirs {
                Theirs::Settled => self.offer(standing, now, offer),
                Theirs::Open => self.offering = Some(Offering { offer, stage: Stage::Behind, until }),
            }
        }
        let overdue = |offering: &mut Offering| !matches!(offering.stage, Stage::Again(_)) && offering.until <= now;
        // A refresh that came to nothing is told by the session timer.
        if self.offering.take_if(overdue).is_some_and(|offering| !offering.offer.refresh) {
            standing.say(Output::Reoffered(Err(StatusCode(408))));
        }
        if self.transfer.as_ref().is_some_and(|transfer| transfer.until <= now) {
            self.transfer_ended(standing, Err(StatusCode(408)));
        }
    }

    fn offer_answered(&mut self, standing: &mut Standing, now: Instant, number: u32, response: &Response) {
        if response.status.is_provisional() {
            return;
        }
        if response.status.is_success() {
            // Also a repeated one: our ACK was lost.
            let branch = self.branch();
            let (request, ways) = standing.dialog.acknowledge(number, &branch);
            standing.say(Output::Acknowledge { request, ways });
        }
        if self.number_offered() != Some(number) {
            return;
        }
        if !response.status.is_success() {
            return self.offering_failed(standing, now, response.status);
        }
        let Some(Offering { offer, .. }) = self.offering.take() else { return };
        standing.dialog.refresh_target(&response.headers);
        standing.say(Output::TeardownChanged);
        if standing.timer.agreement().is_some() {
            standing.timer = SessionTimer::restart(now, renewed(standing, response));
        }
        // Every answer counts, one to a refresh too: the far end may have moved its audio.
        let body = response.session_description().unwrap_or_default();
        if !offer.refresh {
            standing.sdp = offer.sdp;
            standing.say(Output::Reoffered(Ok(body)));
        } else if !body.is_empty() {
            standing.say(Output::Refreshed { body });
        }
    }

    fn offering_failed(&mut self, standing: &mut Standing, now: Instant, status: StatusCode) {
        let Some(offering) = &mut self.offering else { return };
        if let (491, Stage::Sent(number)) = (status.0, &offering.stage)
            && offering.offer.tries < OFFER_TRIES
        {
            // We do not own the Call-ID: 0 to 2 s in units of 10 ms (RFC 3261 section 14.1), spread by the number.
            let wait = Duration::from_millis(u64::from(number.wrapping_mul(2_654_435_761) % 200) * 10);
            offering.stage = Stage::Again(now + wait);
            return;
        }
        let refresh = self.offering.take().is_some_and(|offering| offering.offer.refresh);
        match status.0 {
            // RFC 3261 section 12.2.1.2: the far end does not know the dialog, or is gone.
            408 | 481 => standing.say(Output::SessionExpired),
            _ if refresh => standing.timer.again_at(now + REFRESHED_AGAIN_AFTER),
            _ => standing.say(Output::Reoffered(Err(status))),
        }
    }

    fn refresh_answered(&mut self, standing: &mut Standing, now: Instant, response: &Response) {
        match response.status.0 {
            200..=299 => {
                standing.dialog.refresh_target(&response.headers);
                standing.timer = SessionTimer::restart(now, renewed(standing, response));
                standing.say(Output::TeardownChanged);
            }
            408 | 481 => standing.say(Output::SessionExpired),
            // It does not serve UPDATE after all.
            405 | 501 => {
                self.allow = None;
                standing.timer.again_at(now);
            }
            _ => standing.timer.again_at(now + REFRESHED_AGAIN_AFTER),
        }
    }

    fn refer_answered(&mut self, standing: &mut Standing, number: u32, status: StatusCode) {
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.number == number) else { return };
        if status.is_success() {
            transfer.accepted = true;
            standing.say(Output::TransferProgressed { status });
        } else if !status.is_provisional() {
            self.transfer_ended(standing, Err(status));
        }
    }

    pub(super) fn transfer_progressed(&mut self, standing: &mut Standing, progress: Progress) {
        let status = StatusCode(progress.status);
        if let Some(transfer) = &mut self.transfer {
            transfer.accepted = true; // a NOTIFY may overtake the 202
        }
        if status.is_success() {
            self.transfer_ended(standing, Ok(()));
        } else if !status.is_provisional() || progress.terminated {
            self.transfer_ended(standing, Err(if status.is_provisional() { StatusCode(500) } else { status }));
        } else {
            standing.say(Output::TransferProgressed { status });
        }
    }

    fn transfer_ended(&mut self, standing: &mut Standing, outcome: Result<(), StatusCode>) {
        self.transfer = None;
        standing.say(Output::TransferEnded(outcome));
    }
}

fn timer_headers(standing: &Standing, request: &mut Request) {
    if let Some(agreement) = standing.timer.agreement() {
        agreement.in_request(request);
    }
}

/// What a 2xx to our refresh agrees on; silence about it leaves the refreshing to us (RFC 4028 section 7.2).
fn renewed(standing: &Standing, response: &Response) -> Option<Agreement> {
    let before = standing.timer.agreement().map(|agreement| Agreement { refresher: Refresher::Us, ..agreement });
    answered(response).or(before)
}
