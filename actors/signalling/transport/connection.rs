//! One connection, from its handshake on: read, cut into messages, handed over one by one, until it ends.
//!
//! Invariant: nothing of a stream is dropped: a connection has one message with the endpoint at a time, and its reader waits for
//! that.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::Addr;
use bellhop_sip::hop::Hop;
use bellhop_sip::message::framing::{Framed, Framer, FramingError};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::inbox::Inbox;
use super::writing::{WriteQueue, write_out};
use super::{Shared, lock};
use crate::drive::Tell;
use crate::metrics;
use crate::signalling::doors::{Patience, Visit};
use crate::signalling::endpoint::SipEndpoint;
use crate::signalling::liveness;
use crate::signalling::messages::{CountOpen, EndpointInput, IsFlowUsed};

/// How long what is queued for a connection that has ended may take to be written.
const FLUSHED_WITHIN: Duration = Duration::from_secs(5);

/// A connection without a byte for this long is closed, unless a call came by it.
pub const IDLE_MAX: Duration = Duration::from_secs(3600);
/// How long the answers to what came before a message without an end may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(super) struct Connection {
    pub(super) queue: WriteQueue,
    /// The socket, for questions to the kernel.
    pub(super) socket: Arc<OwnedFd>,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) standing: Standing,
    /// A call was taken that came by it: it is not closed for what others of its source do.
    pub(super) welcome: Arc<AtomicBool>,
    pub(super) close: Arc<Notify>,
    pub(super) since: Instant,
}

impl Connection {
    /// Whether it is not closed for what strangers do.
    pub(super) fn is_known(&self) -> bool {
        self.standing.listed || self.standing.certified || self.welcome.load(Ordering::Relaxed)
    }
}

/// What is known of who opened a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// The host name that the far end asked for (SNI).
    pub(super) server_name: Option<Arc<str>>,
    /// Whether it stands on the listener's list.
    pub(super) listed: bool,
    /// Whether it has shown a client certificate.
    pub(super) certified: bool,
}

/// What is known of a connection besides its bytes.
pub(super) struct Connected {
    pub(super) local: SocketAddr,
    pub(super) socket: Arc<OwnedFd>,
    pub(super) standing: Standing,
    /// Its place, if somebody else opened it.
    pub(super) visit: Option<Visit>,
}

/// Makes a new connection ready: small messages go out at once, and a far end that is gone is noticed.
pub(super) fn prepared(stream: &TcpStream) -> io::Result<(SocketAddr, Arc<OwnedFd>)> {
    stream.set_nodelay(true)?;
    liveness::keep_alive(stream);
    Ok((stream.local_addr()?, Arc::new(stream.as_fd().try_clone_to_owned()?)))
}

/// Serves one connection, reading and writing, until it ends.
pub(super) fn serve<S>(stream: S, connected: Connected, hop: Hop, shared: Arc<Shared>, endpoint: Addr<SipEndpoint>)
where
    S: AsyncRead + AsyncWrite + 'static,
{
    let Connected { local, socket, standing, visit } = connected;
    let (queue, messages) = WriteQueue::new();
    let close = Arc::new(Notify::new());
    let patience = Patience::new(crate::now(), standing.listed || standing.certified || visit.is_none());
    let connection = Connection {
        queue: queue.clone(),
        socket,
        local,
        remote: hop.remote,
        standing,
        // Our own is for a call.
        welcome: Arc::new(AtomicBool::new(visit.is_none())),
        close: Arc::clone(&close),
        since: crate::now(),
    };
    lock(&shared.connections).insert(hop.flow, connection);
    let (reader, writer) = tokio::io::split(stream);
    let broken = Arc::new(Notify::new());
    let (breaks, waiting) = (Arc::clone(&broken), Arc::clone(&queue.waiting));
    let mut writing = actix_rt::spawn(async move {
        if !write_out(writer, messages, waiting).await {
            breaks.notify_one();
        }
    });
    actix_rt::spawn(async move {
        let mut reading = Reading { hop, endpoint, queue, patience, framer: Framer::default(), broken, close };
        reading.until_its_end(reader).await;
        lock(&shared.connections).remove(&hop.flow);
        // Whoever waits for an answer on it waits for nothing (RFC 3261 section 18.4).
        reading.endpoint.do_send(Tell(EndpointInput::FlowLost(hop.flow)));
        drop(reading);
        // What is queued has some time to go out; then the writer ends, and with it what the place at the door was for.
        if tokio::time::timeout(FLUSHED_WITHIN, &mut writing).await.is_err() {
            writing.abort();
        }
        drop(visit);
    });
}

/// The reading side of a connection.
struct Reading {
    hop: Hop,
    endpoint: Addr<SipEndpoint>,
    /// For what is answered here.
    queue: WriteQueue,
    patience: Patience,
    framer: Framer,
    /// The far end takes nothing of what it is sent.
    broken: Arc<Notify>,
    /// It is not wanted any more.
    close: Arc<Notify>,
}

impl Reading {
    async fn until_its_end(&mut self, mut reader: impl AsyncRead + Unpin) {
        let mut inbox = Inbox::default();
        loop {
            let limit = self.patience.limit(crate::now());
            let reading = inbox.read(&mut reader, &mut self.framer);
            let read = tokio::select! {
                read = tokio::time::timeout(limit.unwrap_or(IDLE_MAX), reading) => read,
                () = self.broken.notified() => return,
                () = self.close.notified() => return,
            };
            match read {
                Ok(Ok(length)) if length > 0 => {}
                Ok(_) => return,
                // Keep-alive says that the far end is there: a connection of a call is not closed for its silence.
                Err(_) if limit.is_none() && self.endpoint.send(IsFlowUsed(self.hop.flow)).await.unwrap_or(false) => {
                    continue;
                }
                Err(_) => return,
            }
            let Ok(messages) = self.hand_over().await else { return };
            self.patience.heard(crate::now(), messages, self.framer.has_begun());
        }
    }

    /// Hands over what is whole, and tells how many messages that was; the stream ends with what cannot be cut.
    async fn hand_over(&mut self) -> Result<usize, FramingError> {
        let mut messages = 0;
        loop {
            match self.framer.take() {
                Ok(None) => return Ok(messages),
                Ok(Some(Framed::Ping)) => {
                    let _ = self.queue.push(Bytes::from_static(b"\r\n"));
                }
                Ok(Some(Framed::Message(bytes))) => {
                    messages += 1;
                    // While datagrams keep the endpoint busy, the reader waits. A dead endpoint reads nothing, and the last
                    // resort still sends its BYE by this connection.
                    let arrived = EndpointInput::Arrived { bytes, hop: self.hop };
                    let _ = self.endpoint.send(Tell(arrived)).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "a SIP connection is closed");
                    metrics::sip_dropped("malformed");
                    // What stood before is answered first: it waits in the endpoint's mailbox. Then what ended it.
                    let _ = tokio::time::timeout(ANSWERED_WITHIN, self.endpoint.send(CountOpen)).await;
                    if let Some(bytes) = self.framer.refusal(error, self.hop) {
                        let _ = self.queue.push(bytes);
                    }
                    return Err(error);
                }
            }
        }
    }
}
