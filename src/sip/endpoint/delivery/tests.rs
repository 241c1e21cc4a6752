//! Which way a request takes, and who hears of its end.

use std::net::SocketAddr;

use bytes::Bytes;

use super::*;
use crate::dialog::teardown::Teardown;
use crate::dialog::{Dialog, LocalIdentity};
use crate::endpoint::tests::Outside;
use crate::endpoint::{Input, Ownership};
use crate::hop::Transport;
use crate::message::{StatusCode, parse};
use crate::transaction::server_key;

/// The connection that the call came by.
const FLOW: u64 = 2;

type Told = Output<&'static str, u32>;

/// An endpoint with one call, which came by TCP.
struct OneCall {
    endpoint: Endpoint<&'static str, u32>,
    dialog: Dialog,
    now: Instant,
    world: Outside,
}

impl OneCall {
    /// Of a caller that names this Contact.
    fn from(contact: &str) -> Self {
        let text = format!(
            "INVITE sip:+1800@h SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:f@h>;tag=f\r\nTo: <sip:+1800@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContact: <{contact}>\r\nContent-Length: 0\r\n\r\n"
        );
        let Ok(Message::Request(invite)) = parse::message(&Bytes::from(text)) else { panic!("a good INVITE") };
        let local =
            LocalIdentity { contact: "<sip:h>".into(), via_sent_by: "h:5060".into(), ..LocalIdentity::default() };
        let dialog = Dialog::from_invite(&invite, by(FLOW), "ours", &local).expect("a good INVITE");
        let (now, world) = (Instant::now(), Outside::default());
        let mut this = Self { endpoint: Endpoint::new([7; 32]), dialog, now, world };
        let ownership =
            Ownership { dialog: this.dialog.id.clone(), invite: server_key(&invite), owner: "owner", flow: FLOW };
        this.put(Input::Own(ownership));
        this
    }

    fn put(&mut self, input: Input<&'static str, u32>) -> Vec<Told> {
        self.endpoint.handle(self.now, input);
        self.poll()
    }

    fn poll(&mut self) -> Vec<Told> {
        std::iter::from_fn(|| self.endpoint.poll(self.now, &self.world)).collect()
    }

    fn asks(&mut self) -> Vec<Told> {
        let (request, ways) = self.dialog.request(Method::Info, "z9hG4bKours");
        self.put(Input::Send { dialog: self.dialog.id.clone(), request, ways })
    }

    fn says_bye(&mut self) -> Vec<Told> {
        let teardown = Teardown::Bye { dialog: self.dialog.clone(), reason: String::new(), headers: vec![] };
        let (dialog, branch) = (self.dialog.id.clone(), "z9hG4bKbye".to_owned());
        self.put(Input::CarryOut { call: 1, dialog, teardown, branch })
    }

    fn answers(&mut self, request: &Request, status: u16) -> Vec<Told> {
        let bytes = request.respond(StatusCode(status), None).to_bytes();
        self.put(Input::Arrived { bytes, hop: by(FLOW) })
    }

    fn waits(&mut self, how_long: Duration) -> Vec<Told> {
        self.now += how_long;
        self.endpoint.handle_timeout(self.now);
        self.poll()
    }
}

fn by(flow: u64) -> Hop {
    Hop { transport: Transport::Tcp, remote: ([192, 0, 2, 1], 40_000).into(), flow }
}

/// The one request that was sent, and by which connection.
fn sent(told: &[Told]) -> (Request, u64) {
    match told {
        [Output::Transmit { hop, message: Message::Request(request), .. }] => (request.clone(), hop.flow),
        other => panic!("not one request: {other:?}"),
    }
}

/// The one connection that is wanted.
fn opened(told: &[Told]) -> (DeliveryId, SocketAddr) {
    match told {
        [.., Output::Open { delivery, remote, .. }] => (*delivery, *remote),
        other => panic!("no connection is wanted: {other:?}"),
    }
}

fn via(request: &Request) -> &str {
    request.headers.get("Via").expect("every request has one")
}

const PORT: &str = "sip:f@192.0.2.1:5070;transport=tcp";

#[test]
fn an_open_connection_is_used_again_and_one_that_ended_gives_way_to_a_new_one() {
    let mut call = OneCall::from(PORT);
    let told = call.asks();
    let (request, flow) = sent(&told);
    assert_eq!((via(&request), flow), ("SIP/2.0/TCP h:5060;rport;branch=z9hG4bKours", FLOW));
    // It ends before the answer: the next way, in a transaction of its own (RFC 3261 sections 8.1.1.7 and 18.4).
    let (delivery, remote) = opened(&call.put(Input::FlowLost(FLOW)));
    assert_eq!(remote, "192.0.2.1:5070".parse().expect("an address"));
    let (again, flow) = sent(&call.put(Input::Opened { delivery, hop: Some(by(9)) }));
    assert_eq!((via(&again), flow), ("SIP/2.0/TCP flow9.example:5060;rport;branch=z9hG4bKfresh", 9));
    let told = call.answers(&again, 200);
    assert!(matches!(&told[..], [Output::Tell { input: dialog::Input::Response(_), .. }]), "{told:?}");

    let mut ended = OneCall::from(PORT);
    ended.world.closed = Some(FLOW);
    let (delivery, _) = opened(&ended.asks());
    let told = ended.put(Input::Opened { delivery, hop: None });
    let expected =
        |told: &Told| matches!(told, Output::Tell { owner: "owner", input: dialog::Input::NoResponse { .. } });
    assert!(matches!(&told[..], [one] if expected(one)), "no way is left: {told:?}");
}

#[test]
fn a_name_is_looked_up_and_its_addresses_are_the_next_ways() {
    let mut call = OneCall::from("sip:f@edge.example");
    call.world.closed = Some(FLOW);
    let told = call.asks();
    let [Output::Locate { delivery, transport: Transport::Tcp, host, port: None }] = &told[..] else {
        panic!("a name: {told:?}")
    };
    let addresses = vec!["192.0.2.7:5060".parse().expect("an address"), "127.0.0.1:5060".parse().expect("an address")];
    let (delivery, host) = (*delivery, host.clone());
    let told = call.put(Input::Located { delivery, transport: Transport::Tcp, host, addresses });
    assert_eq!(opened(&told).1, "192.0.2.7:5060".parse().expect("an address"));
    // What leads into our own network is no way, and the name has no other: by datagrams, then.
    let told = call.put(Input::Opened { delivery, hop: None });
    let [Output::Locate { delivery, transport: Transport::Udp, host, .. }] = &told[..] else {
        panic!("another name: {told:?}")
    };
    let (delivery, host) = (*delivery, host.clone());
    let told = call.put(Input::Located { delivery, transport: Transport::Udp, host, addresses: vec![] });
    assert!(matches!(&told[..], [Output::Tell { input: dialog::Input::NoResponse { .. }, .. }]), "{told:?}");
}

#[test]
fn a_bye_takes_the_next_way_beside_the_first_and_ends_with_the_first_answer() {
    let mut call = OneCall::from(PORT);
    let (first, _) = sent(&call.says_bye());
    assert_eq!(call.endpoint.deadline().expect("it is repeated, or goes another way"), call.now + BYE_PATIENCE);
    let (delivery, _) = opened(&call.waits(BYE_PATIENCE));
    let (second, flow) = sent(&call.put(Input::Opened { delivery, hop: Some(by(9)) }));
    assert_eq!((flow, call.endpoint.transactions()), (9, 2));
    assert_ne!(via(&first), via(&second));
    let told = call.answers(&first, 200);
    assert!(matches!(&told[..], [Output::Left { call: 1, bye_unanswered: false, .. }]), "{told:?}");
    let told = call.answers(&second, 200);
    assert!(told.is_empty(), "a call leaves once: {told:?}");
}

#[test]
fn a_bye_that_somebody_could_not_pass_on_goes_another_way_and_is_told_if_nobody_answers() {
    for status in [408, 503] {
        let mut call = OneCall::from(PORT);
        let (bye, _) = sent(&call.says_bye());
        let (delivery, _) = opened(&call.answers(&bye, status));
        let told = call.put(Input::Opened { delivery, hop: None });
        assert!(matches!(&told[..], [Output::Left { bye_unanswered: true, .. }]), "{status}: {told:?}");
        assert_eq!(call.endpoint.dialogs(), 0);
    }
}

#[test]
fn a_way_back_is_a_connection_that_is_alive_or_a_new_one() {
    for (alive, opens, expected) in [(true, false, Some(FLOW)), (false, true, Some(9)), (false, false, None)] {
        let mut call = OneCall::from(PORT);
        let told = call.put(Input::FindWayBack { dialog: call.dialog.id.clone(), ways: call.dialog.ways() });
        let [Output::Probe { delivery, hop }] = told[..] else { panic!("nobody is asked: {told:?}") };
        let mut told = call.put(Input::Probed { delivery, alive: alive.then_some(hop) });
        if !alive {
            let (delivery, _) = opened(&told);
            told = call.put(Input::Opened { delivery, hop: opens.then(|| by(9)) });
        }
        let [Output::Tell { owner: "owner", input: dialog::Input::WayBack(found) }] = &told[..] else {
            panic!("the owner is not told: {told:?}")
        };
        assert_eq!(found.map(|hop| hop.flow), expected);
        assert_eq!(call.endpoint.transactions(), 0, "nothing is sent");
    }
}

#[test]
fn what_a_call_asked_interests_nobody_from_its_teardown_on() {
    let mut call = OneCall::from(PORT);
    let (info, _) = sent(&call.asks());
    sent(&call.says_bye());
    assert!(call.answers(&info, 200).is_empty());
    assert!(call.asks().is_empty(), "nobody owns the dialog any more");
}

/// The connection of a call dies while another is being opened for its BYE.
#[test]
fn a_bye_waits_for_the_way_that_is_being_opened() {
    let mut call = OneCall::from(PORT);
    sent(&call.says_bye());
    let (delivery, _) = opened(&call.waits(BYE_PATIENCE));
    let told = call.put(Input::FlowLost(FLOW));
    assert!(told.is_empty(), "its end is told while a way is being opened: {told:?}");
    let told = call.put(Input::Opened { delivery, hop: Some(by(7)) });
    let (bye, flow) = sent(&told);
    assert_eq!((bye.method, flow), (Method::Bye, 7));
}
