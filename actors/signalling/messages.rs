//! What the endpoint is told by transports, calls and Reception, and what it tells them.
//!
//! Invariant: no message names the actor that sends or takes it: owners are recipients.

use std::sync::Arc;

use actix::{Message, Recipient};
use bellhop_sip::DialogId;
use bellhop_sip::dialog::teardown::Teardown;
use bellhop_sip::dialog::{Input, LocalIdentity};
use bellhop_sip::hop::Hop;
use bellhop_sip::message::{Request, Response};
use bellhop_sip::source_guard::Offence;
use bellhop_sip::transaction::ServerKey;
use bytes::Bytes;
use ipnet::IpNet;

use crate::drive::Tell;
use crate::node::call_registry::{CallId, CallRegistry};

/// Who hears of all that belongs to a dialog.
pub type Owner = Recipient<Tell<Input>>;

/// Bytes of one message arrived.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Arrived {
    /// The bytes.
    pub bytes: Bytes,
    /// From where.
    pub hop: Hop,
}

/// A hop could not be reached.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TransportFailed(pub Hop);

/// Answer a transaction.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Respond {
    /// Which.
    pub key: ServerKey,
    /// With what.
    pub response: Response,
}

/// This dialog has an owner from here on, who hears of all that belongs to it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct OwnDialog {
    /// The dialog.
    pub dialog: DialogId,
    /// The INVITE's transaction, for CANCEL.
    pub invite: ServerKey,
    /// The owner.
    pub owner: Owner,
    /// The connection, or the socket, that the dialog came by.
    pub flow: u64,
    /// Whose it is.
    pub call: CallId,
    /// Where its teardown plan lies.
    pub registry: Arc<CallRegistry>,
}

/// Carry out a teardown: the dialog is ours from here on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CarryOut {
    /// Whose it is; [`CallLeft`] names it.
    pub call: CallId,
    /// The dialog.
    pub dialog: DialogId,
    /// How to leave.
    pub teardown: Teardown,
}

/// A teardown has been carried out: nothing of the call is left on the wire.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CallLeft {
    /// Which.
    pub call: CallId,
    /// Nobody answered the BYE, by no way there was.
    pub bye_unanswered: bool,
}

/// A connection has ended: what was handed to it may never have arrived.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FlowLost(pub u64);

/// Whether a dialog came by this connection: it is not closed for being idle then.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct IsFlowUsed(pub u64);

/// An INVITE for a new call, vetted; answer it by [`Respond`] or by taking its dialog.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CallOffered {
    /// Its transaction.
    pub key: ServerKey,
    /// The INVITE.
    pub invite: Request,
    /// From where.
    pub hop: Hop,
    /// How we name ourselves there.
    pub local: LocalIdentity,
    /// A fresh tag of ours.
    pub local_tag: String,
    /// The host name that was asked for in TLS.
    pub server_name: Option<Arc<str>>,
    /// Whether not anybody can send from there: the listener's networks, or a client certificate.
    pub restricted: bool,
}

/// A call was taken: its caller hears 100, and its source owes nothing.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Taken {
    /// The INVITE's transaction.
    pub key: ServerKey,
    /// The 100.
    pub trying: Response,
    /// Where the INVITE came from.
    pub hop: Hop,
}

/// A call was not taken: its answer goes out once and leaves no memory (RFC 3261 section 8.2.7).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Refuse {
    /// The INVITE's transaction.
    pub key: ServerKey,
    /// The INVITE.
    pub invite: Request,
    /// Its answer.
    pub response: Response,
    /// Where the INVITE came from.
    pub hop: Hop,
    /// Whether it was refused for what it is: such refusals shut a source out in the end.
    pub offence: Option<Offence>,
}

/// From here on OPTIONS outside dialogs get 503.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CloseDoors;

/// The process ends: teardowns that wait for an ACK wait no longer (RFC 3261 section 15 has nobody left to wait).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct WaitNoLonger;

/// How much is still going on: transactions and teardowns.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct CountOpen;

/// How many SIP transactions live.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct CountTransactions;

/// Listen to these networks whatever they do, and no longer to those of before.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Trust(pub Vec<IpNet>);
