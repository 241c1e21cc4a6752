//! The caller's SIP: INVITE, ACK, BYE, over one UDP or TCP socket.
//!
//! Invariant: every message that went out or came in is in [`Signalling::take_messages`], in order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::framing::{Framed, Framer};
use bellhop_sip::message::{Message, Method, Request, Response, StatusCode, parse};
use bellhop_sip::sdp::crypto::KeyMaterial;
use bellhop_sip::sdp::{self, Agreed, LocalMedia};
use bellhop_sip::transaction::{ClientKey, Layer, Output, ServerKey};
use bellhop_sip::{Dialog, DialogId};
use bytes::Bytes;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{CallPlan, Ended};

/// What one step of the signalling brought.
pub(super) enum Step {
    Nothing,
    Answered(Agreed),
    Ended(Ended),
}

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

enum Socket {
    Udp(UdpSocket),
    Stream(Box<dyn Stream>, Framer),
}

pub(super) struct Signalling {
    socket: Socket,
    layer: Layer,
    hop: Hop,
    local: LocalIdentity,
    invite: Request,
    key: ClientKey,
    dialog: Option<Dialog>,
    bye: Option<ClientKey>,
    messages: Vec<(bool, String)>,
    media: LocalMedia,
    seen_by_ack: Option<DialogId>,
}

impl Signalling {
    pub(super) async fn invite(plan: &CallPlan, audio: SocketAddr) -> io::Result<Self> {
        let (socket, here) = match plan.transport {
            Transport::Udp => {
                let socket = UdpSocket::bind((plan.server.ip(), 0)).await?;
                let here = socket.local_addr()?;
                (Socket::Udp(socket), here)
            }
            Transport::Tcp => {
                let stream = TcpStream::connect(plan.server).await?;
                let here = stream.local_addr()?;
                (Socket::Stream(Box::new(stream), Framer::default()), here)
            }
            Transport::Tls => {
                let stream = TcpStream::connect(plan.server).await?;
                let here = stream.local_addr()?;
                (Socket::Stream(Box::new(shake_hands(stream, plan).await?), Framer::default()), here)
            }
        };
        let parameter = match plan.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
        };
        let local = LocalIdentity {
            contact: format!("<sip:{}@{here}{parameter}>", plan.caller),
            via_sent_by: here.to_string(),
            ..LocalIdentity::default()
        };
        let hop = Hop { transport: plan.transport, remote: plan.server, flow: 0 };
        let mut keys = [0; 92];
        rand::fill(&mut keys[..]);
        let media = LocalMedia {
            codecs: plan.codecs.as_slice().into(),
            security: plan.security,
            ..LocalMedia::new(audio, 1, KeyMaterial(keys))
        };
        let invite = invite(plan, &media, &local);
        let mut layer = Layer::default();
        let key = layer.request(Instant::now(), invite.clone(), hop);
        let mut this = Self {
            socket,
            layer,
            hop,
            local,
            invite,
            key,
            dialog: None,
            bye: None,
            messages: vec![],
            media,
            seen_by_ack: None,
        };
        this.flush().await?;
        Ok(this)
    }

    pub(super) fn take_messages(&mut self) -> Vec<(bool, String)> {
        std::mem::take(&mut self.messages)
    }

    /// Waits for a message or a timer.
    pub(super) async fn step(&mut self) -> io::Result<Step> {
        let deadline = self.layer.deadline().unwrap_or_else(|| Instant::now() + Duration::from_secs(1));
        let received = tokio::time::timeout_at(deadline.into(), receive(&mut self.socket)).await;
        match received {
            Err(_) => self.layer.handle_timeout(Instant::now()),
            Ok(bytes) => {
                if let Ok(message) = parse::message(&bytes?) {
                    self.messages.push((false, message.start_line()));
                    self.layer.receive(Instant::now(), message, self.hop);
                }
            }
        }
        self.flush().await
    }

    pub(super) async fn hang_up(&mut self) -> io::Result<()> {
        match &mut self.dialog {
            Some(dialog) if self.bye.is_none() => {
                let (request, _) = dialog.request(Method::Bye, &branch());
                self.bye = Some(self.layer.request(Instant::now(), request, self.hop));
            }
            Some(_) => {}
            None => {
                let mut cancel = Request::new(Method::Cancel, self.invite.uri.clone());
                for name in ["Via", "From", "To", "Call-ID", "Max-Forwards"] {
                    cancel.headers.push(name, self.invite.headers.get(name).unwrap_or_default());
                }
                cancel.headers.push("CSeq", "1 CANCEL");
                self.layer.request(Instant::now(), cancel, self.hop);
            }
        }
        self.flush().await.map(|_| ())
    }

    /// Lets the last answers go out.
    pub(super) async fn settle(&mut self) -> io::Result<()> {
        let until = Instant::now() + Duration::from_millis(200);
        while let Ok(step) = tokio::time::timeout_at(until.into(), self.step()).await {
            if step.is_err() {
                return Ok(()); // the far end closed the connection: all is said
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<Step> {
        let mut step = Step::Nothing;
        while let Some(output) = self.layer.poll() {
            match output {
                Output::Transmit { message, bytes, .. } => {
                    self.messages.push((true, message.start_line()));
                    self.send(&bytes).await?;
                }
                Output::Retransmit { bytes, .. } => {
                    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
                    self.messages.push((true, String::from_utf8_lossy(line).into_owned()));
                    self.send(&bytes).await?;
                }
                Output::Response { key, response } if key == self.key => {
                    if let Some(next) = self.answered(response) {
                        step = next;
                    }
                }
                Output::Response { key, response } => {
                    if Some(&key) == self.bye.as_ref() && !response.status.is_provisional() {
                        step = Step::Ended(Ended::ByCaller);
                    }
                }
                Output::NoResponse { .. } | Output::Unsendable { .. } => step = Step::Ended(Ended::TimedOut),
                Output::Request { key, request, .. } => {
                    if let Some(next) = self.asked(&key, &request) {
                        step = next;
                    }
                }
                Output::Ack { .. } | Output::Cancelled { .. } | Output::NoAck { .. } => {}
            }
        }
        Ok(step)
    }

    fn answered(&mut self, response: Response) -> Option<Step> {
        if response.status.is_provisional() {
            return None;
        }
        if !response.status.is_success() {
            return Some(Step::Ended(Ended::Refused(response.status.0)));
        }
        let mut dialog = Dialog::from_answer(&self.invite, &response, self.hop, &self.local)?;
        let (ack, _) = dialog.request(Method::Ack, &branch());
        self.layer.transmit(Message::Request(ack), self.hop);
        if self.seen_by_ack.replace(dialog.id.clone()).is_some() {
            return None; // a repeated 200
        }
        self.dialog = Some(dialog);
        sdp::read_answer(&response.body, &self.media).ok().map(Step::Answered)
    }

    fn asked(&mut self, key: &ServerKey, request: &Request) -> Option<Step> {
        let status = match request.method {
            Method::Bye | Method::Options => 200,
            // The transfer is taken, and nothing is told of what came of it.
            Method::Refer => 202,
            _ => 501,
        };
        self.layer.respond(Instant::now(), key, request.respond(StatusCode(status), None));
        let reason = request.headers.get("Reason").unwrap_or_default().to_owned();
        (request.method == Method::Bye).then_some(Step::Ended(Ended::ByGateway(reason)))
    }

    async fn send(&mut self, bytes: &Bytes) -> io::Result<()> {
        match &mut self.socket {
            Socket::Udp(socket) => socket.send_to(bytes, self.hop.remote).await.map(|_| ()),
            Socket::Stream(stream, _) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}

async fn receive(socket: &mut Socket) -> io::Result<Bytes> {
    match socket {
        Socket::Udp(socket) => {
            let mut buffer = vec![0; 65_535];
            let (length, _) = socket.recv_from(&mut buffer).await?;
            buffer.truncate(length);
            Ok(buffer.into())
        }
        Socket::Stream(stream, framer) => loop {
            match framer.take() {
                Ok(Some(Framed::Message(bytes))) => return Ok(bytes),
                Ok(Some(Framed::Ping)) => {}
                Ok(None) => {
                    let mut buffer = [0; 8192];
                    let length = stream.read(&mut buffer).await?;
                    if length == 0 {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                    framer.push(&buffer[..length]);
                }
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
        },
    }
}

/// TLS with a server whose certificate is the one given, and none other.
async fn shake_hands(stream: TcpStream, plan: &CallPlan) -> io::Result<TlsStream<TcpStream>> {
    let bad = |error: rustls::Error| io::Error::other(error.to_string());
    let mut roots = rustls::RootCertStore::empty();
    let pem = plan.certificate.as_deref().unwrap_or_default();
    let known = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    roots.add_parsable_certificates(known);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(bad)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(plan.server_name.clone()).map_err(|_| io::Error::other("no host name"))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn invite(plan: &CallPlan, media: &LocalMedia, local: &LocalIdentity) -> Request {
    let mut invite = Request::new(Method::Invite, format!("sip:{}@{}", plan.dialled, plan.server));
    let transport = plan.transport.token();
    for (name, value) in [
        ("Via", format!("SIP/2.0/{transport} {};rport;branch={}", local.via_sent_by, branch())),
        ("Max-Forwards", "70".into()),
        ("From", format!("<sip:{}@{}>;tag={:016x}", plan.caller, local.via_sent_by, rand::random::<u64>())),
        ("To", format!("<sip:{}@{}>", plan.dialled, plan.server)),
        ("Call-ID", format!("{:032x}", rand::random::<u128>())),
        ("CSeq", "1 INVITE".into()),
        ("Contact", local.contact.clone()),
        ("User-Agent", "bellhop rehearsal".into()),
    ] {
        invite.headers.push(name, &value);
    }
    for (name, value) in &plan.headers {
        invite.headers.push(name, value);
    }
    invite.with_body("application/sdp", sdp::offer(media))
}

fn branch() -> String {
    format!("z9hG4bK{:016x}", rand::random::<u64>())
}
