//! What a dialog is told, and what it wants done: one set of words for whoever opened it.
//!
//! Invariant: who routes messages to a dialog knows these words alone, not which machine takes them. Machine: `acceptor.rs`.

use std::time::Duration;

use super::refer::Transfer;
use super::ways::Ways;
use crate::hop::Hop;
use crate::message::{Method, Request, Response, StatusCode};
use crate::transaction::ServerKey;

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
        /// The server transaction that the request came in.
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
    /// Press a digit, by INFO.
    SendDigit(char, Duration),
    /// A request of ours was answered.
    Response(Response),
    /// A request of ours was not answered.
    NoResponse {
        /// Its method.
        method: Method,
        /// Its CSeq number.
        number: u32,
    },
    /// The hop by which the far end of the dialog can be reached, if there is one: a connection that is alive, or a new one.
    WayBack(Option<Hop>),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Answer a transaction.
    Respond {
        /// The server transaction that the request came in.
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
    /// The way to leave has changed: deposit the new teardown plan.
    TeardownChanged,
    /// The far end is reached by this from here on: a connection of ours in place of one that is gone.
    Rerouted(Hop),
    /// Whether there is a way to the far end.
    WayBack {
        /// There is one.
        known: bool,
    },
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
    /// A re-INVITE, UPDATE or PRACK with an offer, or a re-INVITE that asks for ours; it wants an answer by
    /// `answer_reinvite`.
    Reinvited {
        /// The server transaction that the request came in.
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
    /// A digit came by INFO.
    Digit {
        /// 0 to 9, *, # or A to D.
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
