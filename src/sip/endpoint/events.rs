//! What the endpoint is told, what it wants done, and what it must ask the world: one set of words for whoever drives it.
//!
//! `O` is how an owner is known, `C` how a call is named. Machine: `src/sip/endpoint.rs`.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;

use crate::dialog::teardown::Teardown;
use crate::dialog::ways::Ways;
use crate::dialog::{self, DialogId};
use crate::hop::{Hop, Transport};
use crate::message::{Message, Request, Response, StatusCode};
use crate::source_guard::Offence;
use crate::transaction::ServerKey;

/// What happened, or is to be done.
#[derive(Debug, Clone)]
pub enum Input<O, C> {
    /// One message arrived: a datagram, or what was cut from a stream.
    Arrived {
        /// The message as it goes on the wire.
        bytes: Bytes,
        /// From where.
        hop: Hop,
    },
    /// The transport could not deliver to this hop.
    TransportFailed(Hop),
    /// The connection of this number has ended: what was handed to it may never have arrived.
    FlowLost(u64),
    /// Answer a transaction.
    Respond {
        /// The server transaction that the request came in.
        key: ServerKey,
        /// With what.
        response: Response,
    },
    /// A dialog has an owner, who hears of all that belongs to it; at once of a CANCEL that came before.
    Own(Ownership<O>),
    /// An INVITE that nobody will own: what came for it is forgotten.
    ForgetInvite(ServerKey),
    /// A call was taken: its caller hears 100, and its source owes nothing.
    Taken {
        /// The INVITE's transaction.
        key: ServerKey,
        /// The 100.
        trying: Response,
        /// Where the INVITE came from.
        hop: Hop,
    },
    /// A call was not taken: its answer goes out once and leaves no memory (RFC 3261 section 8.2.7). A refusal for what the
    /// INVITE is counts once its source is proven: over a connection at once, by datagrams when its ACK comes.
    Refuse(Refusal),
    /// Send a request inside a dialog in a transaction; its owner is told the outcome.
    Send {
        /// The dialog.
        dialog: DialogId,
        /// The request.
        request: Request,
        /// By which ways.
        ways: Ways,
    },
    /// Send an ACK.
    Acknowledge {
        /// The dialog.
        dialog: DialogId,
        /// The ACK.
        request: Request,
        /// By which ways.
        ways: Ways,
    },
    /// Find out whether the far end of a dialog can be reached, by a connection that is alive or by a new one; its owner is told.
    FindWayBack {
        /// The dialog.
        dialog: DialogId,
        /// The ways that a request of it would take.
        ways: Ways,
    },
    /// What [`Output::Open`] came to: the hop, if there is one.
    Opened {
        /// For which delivery.
        delivery: DeliveryId,
        /// The hop.
        hop: Option<Hop>,
    },
    /// What [`Output::Locate`] found.
    Located {
        /// For which delivery.
        delivery: DeliveryId,
        /// What is spoken there.
        transport: Transport,
        /// The name.
        host: String,
        /// Its addresses, best first; none if it has none.
        addresses: Vec<SocketAddr>,
    },
    /// What [`Output::Probe`] found out: the hop, if its far end is there.
    Probed {
        /// For which delivery.
        delivery: DeliveryId,
        /// The hop.
        alive: Option<Hop>,
    },
    /// Carry out a teardown: the dialog is the endpoint's from here on.
    CarryOut {
        /// Whose.
        call: C,
        /// The dialog.
        dialog: DialogId,
        /// How to leave.
        teardown: Teardown,
        /// A fresh Via branch for its BYE.
        branch: String,
    },
    /// The process ends: teardowns that wait for an ACK wait no longer (RFC 3261 section 15 has nobody left to wait).
    WaitNoLonger,
    /// From here on OPTIONS outside dialogs get 503.
    CloseDoors,
}

/// Names something on its way to the far end of a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub(super) u64);

/// Who owns a dialog from now on.
#[derive(Debug, Clone)]
pub struct Ownership<O> {
    /// The dialog.
    pub dialog: DialogId,
    /// The INVITE's transaction, for CANCEL.
    pub invite: ServerKey,
    /// The owner.
    pub owner: O,
    /// The connection, or the socket, that the dialog came by.
    pub flow: u64,
}

/// An INVITE that is refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The server transaction that the request came in.
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

/// What to do.
#[derive(Debug, Clone)]
pub enum Output<O, C> {
    /// Send these bytes.
    Transmit {
        /// To where.
        hop: Hop,
        /// The message as it is understood.
        message: Message,
        /// The message as it goes on the wire.
        bytes: Bytes,
    },
    /// Send a message once more, as it was sent before.
    Retransmit {
        /// To where.
        hop: Hop,
        /// The status of a response; none of a request.
        status: Option<StatusCode>,
        /// Its bytes.
        bytes: Bytes,
    },
    /// An INVITE for a new call, vetted.
    Offered {
        /// The server transaction that the request came in.
        key: ServerKey,
        /// The INVITE.
        invite: Request,
        /// From where.
        hop: Hop,
    },
    /// Something of a dialog came for its owner.
    Tell {
        /// The owner.
        owner: O,
        /// What came.
        input: dialog::Input,
    },
    /// Open a connection, or find the socket for datagrams: [`Input::Opened`] says what came of it.
    Open {
        /// For which delivery.
        delivery: DeliveryId,
        /// What is spoken there.
        transport: Transport,
        /// The address and port that it goes to.
        remote: SocketAddr,
        /// The name that led there: what a certificate must name.
        host: Option<String>,
    },
    /// Look a name up (RFC 3263): [`Input::Located`] says what was found.
    Locate {
        /// For which delivery.
        delivery: DeliveryId,
        /// What is spoken there.
        transport: Transport,
        /// The name.
        host: String,
        /// Its port; without one NAPTR and SRV records are asked.
        port: Option<u16>,
    },
    /// Find out whether the far end of a hop is there: [`Input::Probed`] says so.
    Probe {
        /// For which delivery.
        delivery: DeliveryId,
        /// The hop.
        hop: Hop,
    },
    /// A teardown has been carried out.
    Left {
        /// Whose.
        call: C,
        /// Its dialog.
        dialog: DialogId,
        /// Nobody answered the BYE, by no way there was.
        bye_unanswered: bool,
    },
    /// A source was refused again and again: its connections are not wanted until then.
    ShutOut {
        /// Where it speaks from.
        hop: Hop,
        /// Until when.
        until: Instant,
    },
    /// A call that came by this hop was taken: neither its source nor its connection is a stranger.
    Welcomed(Hop),
    /// A message was not served: why, in a word for a metric.
    Dropped(&'static str),
}

/// What only the world outside knows.
pub trait World<O> {
    /// Whether the source of this hop is listed: it is listened to whatever it does.
    fn is_trusted(&self, hop: Hop) -> bool;
    /// Whether this owner still lives.
    fn lives(&self, owner: &O) -> bool;
    /// Whether what this hop goes by is open: sockets always are, connections until they end.
    fn is_open(&self, hop: Hop) -> bool;
    /// The sent-by of our Via to this hop: `host:port`.
    fn sent_by(&self, hop: Hop) -> String;
    /// A Via branch that nobody has had before, nor could foresee.
    fn fresh_branch(&self) -> String;
}
