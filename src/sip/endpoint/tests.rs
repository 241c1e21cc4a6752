//! Every situation of one call at the endpoint with every message and order, as a golden table.

use std::time::{Duration, Instant};

use super::*;
use crate::dialog::teardown::Teardown;
use crate::dialog::{Dialog, LocalIdentity};
use crate::message::parse;

/// Does the input of this name.
type Do = fn(&mut Tried);

/// Every input there is, by a name.
const INPUTS: [(&str, Do); 34] = [
    ("INVITE", |t| t.udp(invite("c", "a"))),
    ("INVITE by another branch", |t| t.udp(invite("c", "b"))),
    ("INVITE of another call", |t| t.udp(invite("d", "d"))),
    ("INVITE of another call by a connection", |t| t.tcp(invite("d", "d"))),
    ("INVITE of another call, listed", |t| {
        t.listed = true;
        t.udp(invite("d", "d"));
    }),
    ("CANCEL", |t| t.udp(request("CANCEL", "c", "a", ""))),
    ("CANCEL of nothing", |t| t.udp(request("CANCEL", "c", "x", ""))),
    ("ACK", |t| t.udp(request("ACK", "c", "k", ";tag=ours"))),
    ("ACK of a stranger's", |t| t.udp(request("ACK", "e", "k", ";tag=ours"))),
    ("BYE", |t| t.udp(request("BYE", "c", "l", ";tag=ours"))),
    ("BYE of a stranger's", |t| t.udp(request("BYE", "e", "l", ";tag=ours"))),
    ("BYE without a tag", |t| t.udp(request("BYE", "c", "l", ""))),
    ("INFO", |t| t.udp(request("INFO", "c", "m", ";tag=ours"))),
    ("re-INVITE", |t| t.udp(request("INVITE", "c", "n", ";tag=ours"))),
    ("101 INFO at once", |t| {
        for n in 0..101 {
            t.drain();
            t.udp(request("INFO", "c", &format!("m{n}"), ";tag=ours"));
        }
    }),
    ("101 BYE at once", |t| {
        for n in 0..101 {
            t.drain();
            t.udp(request("BYE", "c", &format!("l{n}"), ";tag=ours"));
        }
    }),
    ("OPTIONS", |t| t.udp(request("OPTIONS", "e", "o", ""))),
    ("REGISTER", |t| t.udp(request("REGISTER", "e", "p", ""))),
    ("doors close", |t| t.endpoint.close_doors()),
    ("100", |t| t.respond(100)),
    ("180", |t| t.respond(180)),
    ("200", |t| t.respond(200)),
    ("487", |t| t.respond(487)),
    ("taken", |t| {
        let (key, invite) = t.invite();
        t.endpoint.taken(t.now, &key, invite.trying(), by_udp());
    }),
    ("owned", |t| {
        let (invite, _) = t.invite();
        t.endpoint.own(t.now, Ownership { dialog: dialog().id, invite, owner: "owner", flow: 1 });
    }),
    ("forgotten", |t| {
        let (invite, _) = t.invite();
        t.endpoint.forget_invite(&invite);
    }),
    ("the owner dies", |t| t.dead = true),
    ("refused", |t| t.refuse(by_udp(), Some(Offence::Refused))),
    ("refused 20 times by a connection", |t| {
        for _ in 0..20 {
            t.outputs.clear();
            t.refuse(by_tcp(), Some(Offence::Refused));
        }
    }),
    ("refused 20 times, acknowledged", |t| {
        for _ in 0..20 {
            t.refuse(by_udp(), Some(Offence::Refused));
            let refusals = t.outputs.split_off(0);
            let tag = refusals.iter().find_map(|output| match output {
                Output::Transmit { message: Message::Response(response), .. } => response.headers.get("To"),
                _ => None,
            });
            let Some(tag) = tag.and_then(|to| to.split(";tag=").nth(1)) else { return };
            t.udp(request("ACK", "c", "z", &format!(";tag={tag}")));
        }
    }),
    ("leave by BYE", |t| t.leave(Teardown::Bye { dialog: dialog(), reason: String::new(), headers: vec![] })),
    ("leave by an answer and BYE", |t| {
        let (key, invite) = t.invite();
        let answer = invite.respond(StatusCode(200), Some("ours"));
        t.leave(Teardown::AnswerThenBye { key, answer, dialog: dialog(), reason: String::new() });
    }),
    ("the BYE is answered", |t| t.bye_ended(true)),
    ("nobody answers the BYE", |t| t.bye_ended(false)),
];

/// The situations by name: from which other, and what happens on the way.
const STATES: [(&str, &str, &[&str]); 13] = [
    ("nobody's", "", &[]),
    ("offered", "nobody's", &["INVITE"]),
    ("cancelled before it is owned", "offered", &["CANCEL"]),
    ("taken", "offered", &["taken"]),
    ("owned", "taken", &["owned"]),
    ("answered", "owned", &["200"]),
    ("confirmed", "answered", &["ACK"]),
    ("its owner is dead", "confirmed", &["the owner dies"]),
    ("left by an answer", "owned", &["leave by an answer and BYE"]),
    ("left by BYE", "confirmed", &["leave by BYE"]),
    ("over", "left by BYE", &["the BYE is answered"]),
    ("refused", "offered", &["refused"]),
    ("shut out", "offered", &["refused 20 times by a connection"]),
];

fn by_udp() -> Hop {
    Hop { transport: Transport::Udp, remote: ([192, 0, 2, 1], 5060).into(), flow: 1 }
}

fn by_tcp() -> Hop {
    Hop { transport: Transport::Tcp, remote: ([192, 0, 2, 1], 40_000).into(), flow: 2 }
}

fn request(method: &str, call: &str, branch: &str, to_tag: &str) -> Request {
    let text = format!(
        "{method} sip:+1800@h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}\r\nFrom: <sip:f@h>;tag=f\r\nTo: <sip:+1800@h>{to_tag}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\nContact: <sip:f@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
    );
    match parse::message(&Bytes::from(text)) {
        Ok(Message::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

fn invite(call: &str, branch: &str) -> Request {
    request("INVITE", call, branch, "")
}

fn dialog() -> Dialog {
    let local = LocalIdentity { contact: "<sip:h>".into(), via_sent_by: "h:5060".into(), ..LocalIdentity::default() };
    Dialog::from_invite(&invite("c", "a"), by_udp(), "ours", &local).expect("a good INVITE")
}

/// An endpoint with the time that has passed at it.
struct Tried {
    endpoint: Endpoint<&'static str, u32>,
    now: Instant,
    /// The INVITE of the call.
    key: Option<ServerKey>,
    listed: bool,
    dead: bool,
    outputs: Vec<Output<&'static str, u32>>,
}

impl World<&'static str> for (bool, bool) {
    fn is_trusted(&self, _: Hop) -> bool {
        self.0
    }

    fn lives(&self, _: &&'static str) -> bool {
        !self.1
    }
}

impl Tried {
    fn in_state(name: &str) -> Self {
        let Some((_, from, way)) = STATES.iter().find(|(state, ..)| *state == name) else {
            let (endpoint, now) = (Endpoint::new([7; 32]), Instant::now());
            return Self { endpoint, now, key: None, listed: false, dead: false, outputs: vec![] };
        };
        let mut tried = Self::in_state(from);
        for step in *way {
            let (_, step) = INPUTS.iter().find(|(known, _)| known == step).expect("an input of this name");
            step(&mut tried);
            tried.drain();
        }
        tried
    }

    fn receive(&mut self, request: Request, hop: Hop) {
        self.endpoint.receive(self.now, Message::Request(request), hop);
        self.pump();
    }

    fn udp(&mut self, request: Request) {
        self.receive(request, by_udp());
    }

    fn tcp(&mut self, request: Request) {
        self.receive(request, by_tcp());
    }

    /// The INVITE of the call, or one that is long forgotten.
    fn invite(&self) -> (ServerKey, Request) {
        let invite = invite("c", "a");
        (self.key.clone().unwrap_or_else(|| transaction::server_key(&invite)), invite)
    }

    fn respond(&mut self, status: u16) {
        let (key, invite) = self.invite();
        self.endpoint.respond(self.now, &key, invite.respond(StatusCode(status), Some("ours")));
    }

    fn refuse(&mut self, hop: Hop, offence: Option<Offence>) {
        let (key, invite) = self.invite();
        let response = invite.respond(StatusCode(403), Some("ours"));
        self.receive(invite.clone(), hop);
        let world = (self.listed, self.dead);
        self.endpoint.refuse(self.now, Refusal { key, invite, response, hop, offence }, &world);
        self.pump();
    }

    fn leave(&mut self, teardown: Teardown) {
        self.endpoint.carry_out(self.now, 1, &dialog().id, teardown, "z9hG4bKbye".into());
    }

    fn bye_ended(&mut self, answered: bool) {
        if self.endpoint.bye_ended(self.now, &dialog().id, answered) {
            self.outputs.push(Output::Dropped("left in silence"));
        }
    }

    fn pump(&mut self) {
        let world = (self.listed, self.dead);
        while let Some(output) = self.endpoint.poll(self.now, &world) {
            if let Output::Offered { key, .. } = &output {
                self.key.get_or_insert_with(|| key.clone());
            }
            self.outputs.push(output);
        }
    }

    fn drain(&mut self) -> Vec<String> {
        self.pump();
        self.outputs.drain(..).map(|output| brief(&output, self.now)).collect()
    }
}

/// An output as a word or two.
fn brief(output: &Output<&'static str, u32>, now: Instant) -> String {
    match output {
        Output::Transmit { message: Message::Response(response), .. } => response.summary(),
        Output::Transmit { message: Message::Request(request), .. } => request.method.to_string(),
        Output::Offered { .. } => "Offered".to_owned(),
        Output::Tell { owner, input } => match input {
            Input::Request { request, .. } => format!("{owner} <- {}", request.method),
            Input::Acked { .. } => format!("{owner} <- Acked"),
            other => format!("{owner} <- {other:?}"),
        },
        Output::Deliver { request, .. } => format!("Deliver {}", request.method),
        Output::ShutOut { until, .. } => format!("ShutOut for {} s", until.duration_since(now).as_secs()),
        Output::Left { bye_unanswered, .. } => {
            format!("Left{}", if *bye_unanswered { ", the BYE unanswered" } else { "" })
        }
        Output::Dropped(why) => format!("Dropped: {why}"),
        Output::Response { .. } | Output::NoResponse { .. } => format!("{output:?}"),
    }
}

#[test]
fn every_situation_meets_every_message_as_written() {
    let mut table = String::new();
    for (state, ..) in STATES {
        table += &format!("# {state}\n");
        let mut rows: Vec<(String, Vec<&str>)> = vec![];
        for (given, step) in INPUTS {
            let mut tried = Tried::in_state(state);
            step(&mut tried);
            let row = tried.drain().join("; ");
            let row = if row.is_empty() { "nothing".to_owned() } else { row };
            match rows.iter_mut().find(|(known, _)| *known == row) {
                Some((_, given_too)) => given_too.push(given),
                None => rows.push((row, vec![given])),
            }
        }
        rows.sort_by_key(|(row, _)| row == "nothing");
        rows.iter().for_each(|(row, given)| table += &format!("{} => {row}\n", given.join(" | ")));
        table.push('\n');
    }
    let golden = include_str!("../../../tests/golden/endpoint_transitions.txt");
    // `WRITE_GOLDEN=path` writes that file, and its diff is what is reviewed.
    if let Ok(path) = std::env::var("WRITE_GOLDEN") {
        std::fs::write(path, &table).expect("written");
    }
    let other = table.lines().zip(golden.lines()).find(|(is, was)| is != was);
    assert!(table == golden, "tests/golden/endpoint_transitions.txt says otherwise: {other:?}");
}

/// A teardown that waits for an ACK has an end in time, or at once where nobody is left to wait.
#[test]
fn a_teardown_sends_its_bye_at_the_ack_in_time_or_at_once() {
    let bye = |output: &String| output == "Deliver BYE";
    let mut in_time = Tried::in_state("left by an answer");
    let began = in_time.now;
    while let Some(at) = in_time.endpoint.deadline().filter(|_| !in_time.drain().iter().any(bye)) {
        in_time.now = at;
        in_time.endpoint.handle_timeout(at);
    }
    assert_eq!(in_time.now - began, Duration::from_secs(32));
    let mut at_once = Tried::in_state("left by an answer");
    at_once.endpoint.wait_no_longer(at_once.now);
    assert!(at_once.drain().iter().any(bye));
    let mut acknowledged = Tried::in_state("left by an answer");
    acknowledged.udp(request("ACK", "c", "k", ";tag=ours"));
    assert!(acknowledged.drain().iter().any(bye));
}

#[test]
fn nothing_is_left_of_a_call_that_is_over() {
    let mut over = Tried::in_state("over");
    assert_eq!((over.endpoint.dialogs(), over.endpoint.is_flow_used(1)), (0, false));
    let mut last = over.now;
    while let Some(at) = over.endpoint.deadline() {
        last = at;
        over.now = at;
        over.endpoint.handle_timeout(at);
        over.drain();
    }
    assert_eq!((over.endpoint.transactions(), over.endpoint.deadline()), (0, None), "{last:?}");
    assert!(over.endpoint.early_cancels.is_empty() && over.endpoint.invites.is_empty());
}

#[test]
fn a_connection_is_used_by_the_dialog_that_spoke_by_it_last() {
    let mut owned = Tried::in_state("confirmed");
    assert_eq!((owned.endpoint.is_flow_used(1), owned.endpoint.is_flow_used(2)), (true, false));
    owned.tcp(request("INFO", "c", "m", ";tag=ours"));
    assert_eq!((owned.endpoint.is_flow_used(1), owned.endpoint.is_flow_used(2)), (false, true));
}
