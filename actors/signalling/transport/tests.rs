//! Connections of our own, on real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, Context};
use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::framing::{Framed, Framer};
use bellhop_sip::networks::Source;
use bytes::Bytes;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::inbox::{self, Inbox};
use super::writing::{WRITE_QUEUE, WRITTEN_WITHIN, WriteQueue, write_out};
use super::{Bound, DATAGRAMS_PER_TURN, Listen, Protocol, STRANGER_DATAGRAMS_MAX, SocketWire};
use crate::signalling::endpoint::SipEndpoint;
use crate::signalling::messages::EndpointInput;
use crate::signalling::tls::{IdentityPem, TlsIdentity};
use crate::signalling::wire::Wire;

fn pem(names: &[&str]) -> IdentityPem {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let (certificate, key) = (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes());
    IdentityPem { certificate, key, client_authorities: None }
}

fn trusting(pem: &IdentityPem) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem.certificate).map(|c| c.expect("good")));
    roots
}

/// The kernel refuses a broadcast, as it does what it has no route to: no hand-off counts on such a way.
#[test]
fn where_the_kernel_sends_no_datagrams_there_is_no_way() {
    actix_rt::System::new().block_on(async {
        let address = "127.0.0.1:0".parse().expect("an address");
        let listen = Listen { protocol: Protocol::Udp, address, sources: vec![] };
        let (mut wire, _serving) = Bound::bind(&[listen], None, None).await.expect("bound").split();
        for (remote, leads_there) in [("127.0.0.1:9", true), ("255.255.255.255:9", false)] {
            let remote = remote.parse().expect("an address");
            assert_eq!(wire.open(Transport::Udp, remote, None).await.is_some(), leads_there, "{remote}");
            let hop = Hop { transport: Transport::Udp, remote, flow: 0 };
            assert_eq!(wire.is_alive(hop).await, leads_there, "{remote}");
        }
    });
}

/// A listener that speaks TLS, and a wire that trusts only these authorities; must be called on an actix system.
async fn far_end_and_wire(far: &IdentityPem, authorities: RootCertStore) -> (SocketAddr, SocketWire) {
    let identity = TlsIdentity::new(far, RootCertStore::empty()).expect("good");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    actix_rt::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = identity.acceptor().accept(stream).await {
                actix_rt::spawn(async move { _ = stream.read(&mut [0; 64]).await });
            }
        }
    });
    let own = Arc::new(TlsIdentity::new(&pem(&["sip.example.com"]), authorities).expect("good"));
    let listen =
        Listen { protocol: Protocol::Either, address: "127.0.0.1:0".parse().expect("an address"), sources: vec![] };
    let bound = Bound::bind(&[listen], None, Some(own)).await.expect("bound");
    let (wire, serving) = bound.split();
    let nobody = Nobody.start();
    let endpoint = SipEndpoint::new(Box::new(wire.clone()), nobody.clone().recipient(), nobody.recipient()).start();
    serving.start(&endpoint);
    (at, wire)
}

struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl actix::Handler<super::super::messages::CallOffered> for Nobody {
    type Result = ();

    fn handle(&mut self, _: super::super::messages::CallOffered, _: &mut Self::Context) {}
}

impl actix::Handler<super::super::messages::CallLeft> for Nobody {
    type Result = ();

    fn handle(&mut self, _: super::super::messages::CallLeft, _: &mut Self::Context) {}
}

/// RFC 3261 section 26.2.1 and RFC 5922: who is connected to has to be believed.
#[test]
fn a_lost_tls_connection_is_opened_again_to_whom_the_authorities_know() {
    actix_rt::System::new().block_on(async {
        let far = pem(&["edge.example.com"]);
        let (at, mut wire) = far_end_and_wire(&far, trusting(&far)).await;
        let named = |name: &str| Some(name.to_owned());
        let hop = wire.open(Transport::Tls, at, named("edge.example.com")).await.expect("its name fits");
        assert!(wire.is_open(hop) && wire.is_alive(hop).await);
        let LocalIdentity { contact, .. } = wire.identity(hop);
        assert!(
            contact.contains("transport=tls") && !contact.contains(":0;"),
            "we are called back where we listen: {contact}"
        );
        assert!(wire.open(Transport::Tls, at, None).await.is_some(), "an address has no name to fit");
        assert_eq!(wire.open(Transport::Tls, at, named("other.example.com")).await, None);
        let (at, mut wire) = far_end_and_wire(&far, trusting(&pem(&["edge.example.com"]))).await;
        assert_eq!(wire.open(Transport::Tls, at, named("edge.example.com")).await, None, "another authority");
        assert_eq!(wire.open(Transport::Tls, at, None).await, None, "another authority");
    });
}

#[test]
fn where_nobody_listens_there_is_no_connection() {
    actix_rt::System::new().block_on(async {
        let far = pem(&["edge.example.com"]);
        let (_, mut wire) = far_end_and_wire(&far, trusting(&far)).await;
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        assert_eq!(wire.open(Transport::Tcp, nobody, None).await, None);
        let gone = Hop { transport: Transport::Tcp, remote: nobody, flow: 99 };
        assert!(!wire.is_open(gone) && !wire.is_alive(gone).await);
    });
}

/// A stranger who asks and does not read has us hold the answers.
#[test]
fn who_does_not_read_has_little_held_for_him_and_not_for_long() {
    actix_rt::System::new().block_on(async {
        tokio::time::pause();
        let (queue, messages) = WriteQueue::new();
        let (ours, theirs) = tokio::io::duplex(1024);
        let writing = actix_rt::spawn(write_out(ours, messages, Arc::clone(&queue.waiting)));
        let taken = (0..WRITE_QUEUE).filter(|_| queue.push(Bytes::from(vec![0; 16 * 1024]))).count();
        assert_eq!(taken, 8, "not 64 times 16 KiB");
        let began = tokio::time::Instant::now();
        assert!(!writing.await.expect("no panic"), "it is given up");
        assert!(began.elapsed() <= WRITTEN_WITHIN + Duration::from_secs(1), "of virtual time");
        drop(theirs);
    });
}

#[test]
fn who_reads_has_room_again() {
    actix_rt::System::new().block_on(async {
        let (queue, messages) = WriteQueue::new();
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let waiting = Arc::clone(&queue.waiting);
        let writing = actix_rt::spawn(write_out(ours, messages, waiting));
        let mut buffer = vec![0; 64 * 1024];
        for _ in 0..20 {
            assert!(queue.push(Bytes::from(vec![7; 64 * 1024])));
            theirs.read_exact(&mut buffer).await.expect("read");
            tokio::task::yield_now().await;
        }
        drop(queue.messages);
        assert!(writing.await.expect("no panic"));
        assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
    });
}

/// A thousand trunks that keep their connections open and say nothing.
#[test]
fn an_idle_connection_holds_little_and_a_busy_one_reads_much_at_once() {
    actix_rt::System::new().block_on(async {
        tokio::time::pause();
        let (mut inbox, mut framer) = (Inbox::default(), Framer::default());
        let (mut theirs, mut ours) = tokio::io::duplex(256 * 1024);
        assert!(inbox.held() <= 2048, "before the first byte");
        let message = format!("BYE sip:a SIP/2.0\r\nl: 40000\r\n\r\n{}", "x".repeat(40_000));
        theirs.write_all(message.as_bytes()).await.expect("room");
        let (mut reads, mut messages) = (0, 0);
        while messages == 0 {
            inbox.read(&mut ours, &mut framer).await.expect("there");
            reads += 1;
            messages += usize::from(framer.take().expect("well-formed").is_some());
        }
        assert!(reads <= 4, "{reads} reads of 40 kB");
        // Message after message goes into the same memory.
        let held = inbox.held();
        for _ in 0..10 {
            theirs.write_all(b"\r\n\r\n").await.expect("room");
            assert_eq!(inbox.read(&mut ours, &mut framer).await.expect("there"), 4);
            assert!(framer.take().expect("a ping").is_some() && inbox.held() == held);
        }
        let waited = tokio::time::timeout(inbox::QUIET * 2, inbox.read(&mut ours, &mut framer)).await;
        assert!(waited.is_err(), "nothing came, in virtual time");
        assert!(inbox.held() + framer.held() <= 2048, "{} and {} held", inbox.held(), framer.held());
        // What has begun is not lost for that, nor what is given up.
        theirs.write_all(b"BYE sip:a SIP/2.0\r\nl: 1\r\n").await.expect("room");
        inbox.read(&mut ours, &mut framer).await.expect("there");
        assert!(tokio::time::timeout(inbox::QUIET * 2, inbox.read(&mut ours, &mut framer)).await.is_err());
        theirs.write_all(b"\r\ny").await.expect("room");
        inbox.read(&mut ours, &mut framer).await.expect("there");
        assert!(matches!(framer.take(), Ok(Some(Framed::Message(bytes))) if bytes.ends_with(b"y")));
    });
}

/// One source sends as much as it can before anybody reads; another asks once, behind all of that.
#[test]
fn a_flood_of_datagrams_is_dropped_before_it_is_parsed() {
    actix_rt::System::new().block_on(async {
        let address = "127.0.0.1:0".parse().expect("an address");
        let listen = Listen { protocol: Protocol::Udp, address, sources: vec![] };
        let bound = Bound::bind(&[listen], None, None).await.expect("bound");
        let at = bound.addresses()[0].address;
        let (wire, serving) = bound.split();
        let from = |ip: &str| std::net::UdpSocket::bind((ip, 0)).expect("an address of loopback");
        let (flood, other) = (from("127.0.0.2"), from("127.0.0.3"));
        let options = |call: usize| {
            format!(
                "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;rport;branch=z9hG4bK{call}\r\nFrom: <sip:f@h>;tag=f\r\nTo: <sip:a>\r\nCall-ID: {call}\r\nCSeq: 1 OPTIONS\r\n\r\n"
            )
        };
        for call in 0..DATAGRAMS_PER_TURN {
            flood.send_to(options(call).as_bytes(), at).expect("sent");
        }
        other.send_to(options(DATAGRAMS_PER_TURN).as_bytes(), at).expect("sent");
        let nobody = Nobody.start();
        let endpoint = SipEndpoint::new(Box::new(wire), nobody.clone().recipient(), nobody.recipient()).start();
        serving.start(&endpoint);
        other.set_nonblocking(true).expect("a socket");
        let other = tokio::net::UdpSocket::from_std(other).expect("a socket");
        other.recv(&mut [0; 1500]).await.expect("who asks once is answered");
        flood.set_nonblocking(true).expect("a socket");
        let answers = std::iter::from_fn(|| flood.recv(&mut [0; 1500]).ok()).count();
        assert_eq!(answers, STRANGER_DATAGRAMS_MAX, "answers to {DATAGRAMS_PER_TURN} requests");
    });
}

/// Takes every call.
struct Taking(std::rc::Rc<std::cell::RefCell<Option<actix::Addr<SipEndpoint>>>>);

impl Actor for Taking {
    type Context = Context<Self>;
}

impl actix::Handler<super::super::messages::CallOffered> for Taking {
    type Result = ();

    fn handle(&mut self, offered: super::super::messages::CallOffered, _: &mut Self::Context) {
        let (key, trying, hop) = (offered.key, offered.invite.trying(), offered.hop);
        let endpoint = self.0.borrow().clone().expect("there before a call is");
        endpoint.do_send(crate::drive::Tell(EndpointInput::Taken { key, trying, hop }));
    }
}

fn request(method: &str, call: &str, transport: &str) -> String {
    format!(
        "{method} sip:a SIP/2.0\r\nVia: SIP/2.0/{transport} h;rport;branch=z9hG4bK{call}\r\nFrom: <sip:f@h>;tag=f\r\nTo: <sip:a>\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\nContact: <sip:f@h>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A server of this protocol on a port of loopback whose calls are all taken.
async fn taking(protocol: Protocol) -> (SocketAddr, SocketWire) {
    let address = "127.0.0.1:0".parse().expect("an address");
    let bound = Bound::bind(&[Listen { protocol, address, sources: vec![] }], None, None).await.expect("bound");
    let at = bound.addresses()[0].address;
    let (wire, serving) = bound.split();
    let slot = std::rc::Rc::default();
    let calls = Taking(std::rc::Rc::clone(&slot)).start();
    let endpoint = SipEndpoint::new(Box::new(wire.clone()), calls.recipient(), Nobody.start().recipient()).start();
    *slot.borrow_mut() = Some(endpoint.clone());
    serving.start(&endpoint);
    (at, wire)
}

#[test]
fn who_had_a_call_taken_has_every_datagram_heard() {
    actix_rt::System::new().block_on(async {
        let (at, _wire) = taking(Protocol::Udp).await;
        let trunk = tokio::net::UdpSocket::bind("127.0.0.2:0").await.expect("an address of loopback");
        trunk.connect(at).await.expect("loopback");
        trunk.send(request("INVITE", "call", "UDP").as_bytes()).await.expect("sent");
        trunk.recv(&mut [0; 1500]).await.expect("a 100");
        let burst = STRANGER_DATAGRAMS_MAX * 3;
        for call in 0..burst {
            trunk.send(request("OPTIONS", &call.to_string(), "UDP").as_bytes()).await.expect("sent");
        }
        for _ in 0..burst {
            trunk.recv(&mut [0; 1500]).await.expect("each is answered");
        }
    });
}

#[test]
fn a_connection_that_a_call_came_by_stays_when_its_source_is_turned_away() {
    actix_rt::System::new().block_on(async {
        let (at, mut wire) = taking(Protocol::Tcp).await;
        let mut call = tokio::net::TcpStream::connect(at).await.expect("loopback");
        call.write_all(request("INVITE", "call", "TCP").as_bytes()).await.expect("sent");
        let mut buffer = [0; 1500];
        assert!(call.read(&mut buffer).await.expect("a 100") > 0);
        let mut idle = tokio::net::TcpStream::connect(at).await.expect("loopback");
        idle.write_all(request("OPTIONS", "idle", "TCP").as_bytes()).await.expect("sent");
        assert!(idle.read(&mut buffer).await.expect("an answer") > 0);
        wire.turn_away(Source::of(std::net::IpAddr::from([127, 0, 0, 1])), crate::now() + Duration::from_secs(60));
        assert_eq!(idle.read(&mut buffer).await.unwrap_or_default(), 0, "no call came by this one");
        call.write_all(request("OPTIONS", "again", "TCP").as_bytes()).await.expect("it is open");
        assert!(call.read(&mut buffer).await.expect("it is open") > 0, "the connection of a call is heard");
    });
}
