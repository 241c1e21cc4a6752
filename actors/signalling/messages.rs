//! What the endpoint is told beside the inputs of its core, and what it tells Reception.
//!
//! Invariant: no message names the actor that sends or takes it: owners are recipients.

use std::sync::Arc;

use actix::{Message, Recipient};
use bellhop_sip::DialogId;
use bellhop_sip::dialog::teardown::Teardown;
use bellhop_sip::dialog::{self, LocalIdentity};
use bellhop_sip::endpoint::{self, Ownership};
use bellhop_sip::hop::Hop;
use bellhop_sip::message::Request;
use bellhop_sip::transaction::ServerKey;
use ipnet::IpNet;

use crate::drive::Tell;
use crate::node::call_registry::{CallId, CallRegistry};

/// Who hears of all that belongs to a dialog.
pub type Owner = Recipient<Tell<dialog::Input>>;

/// What the endpoint's core is told; it comes as [`Tell`].
pub type EndpointInput = endpoint::Input<Owner, CallId>;

/// This dialog has an owner from here on, who hears of all that belongs to it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct OwnDialog {
    /// The dialog and its owner.
    pub ownership: Ownership<Owner>,
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
    /// The call.
    pub call: CallId,
    /// Nobody answered the BYE, by no way there was.
    pub bye_unanswered: bool,
}

/// Whether a dialog came by this connection: it is not closed for being idle then.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct IsFlowUsed(pub u64);

/// An INVITE for a new call, vetted; answer it by [`EndpointInput::Refuse`] or by taking its dialog.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CallOffered {
    /// The server transaction that the request came in.
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
