//! Every situation of one call at the endpoint with every message and order, as a golden table.

use std::time::{Duration, Instant};

use super::*;
use crate::dialog::teardown::Teardown;
use crate::dialog::{Dialog, LocalIdentity};
use crate::message::parse;

/// Does the input of this name.
type Do = fn(&mut Tried);

/// Every input there is, by a name.
const INPUTS: [(&str, Do); 39] = [
    ("INVITE", |t| t.udp(invite("c", "a"))),
    ("INVITE by another branch", |t| t.udp(invite("c", "b"))),
    ("INVITE of another call", |t| t.udp(invite("d", "d"))),
    ("INVITE of another call by a connection", |t| t.tcp(invite("d", "d"))),
    ("INVITE of another call, listed", |t| {
        t.world.listed = true;
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
    ("doors close", |t| t.put(Input::CloseDoors)),
    ("100", |t| t.respond(100)),
    ("180", |t| t.respond(180)),
    ("200", |t| t.respond(200)),
    ("487", |t| t.respond(487)),
    ("taken", |t| {
        let (key, invite) = t.invite();
        t.put(Input::Taken { key, trying: invite.trying(), hop: by_udp() });
    }),
    ("owned", |t| {
        let (invite, _) = t.invite();
        t.put(Input::Own(Ownership { dialog: dialog().id, invite, owner: "owner", flow: 1 }));
    }),
    ("forgotten", |t| {
        let (invite, _) = t.invite();
        t.put(Input::ForgetInvite(invite));
    }),
    ("the owner dies", |t| t.world.dead = true),
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
            let first = refusals.iter().find_map(|output| match output {
                Output::Transmit { message: Message::Response(response), .. } => Some(response.headers.get("To")),
                Output::Retransmit { .. } => Some(None),
                _ => None,
            });
            let Some(tag) = first.flatten().and_then(|to| to.split(";tag=").nth(1)) else { return };
            t.udp(request("ACK", "c", "z", &format!(";tag={tag}")));
        }
    }),
    ("leave by BYE", |t| t.leave(Teardown::Bye { dialog: dialog(), reason: String::new(), headers: vec![] })),
    ("leave by an answer and BYE", |t| {
        let (key, invite) = t.invite();
        let answer = invite.respond(StatusCode(200), Some("ours"));
        t.leave(Teardown::AnswerThenBye { key, answer: answer.into(), dialog: dialog(), reason: String::new() });
    }),
    ("INFO of ours", |t| {
        let (request, ways) = dialog().request(Method::Info, "z9hG4bKours");
        t.put(Input::Send { dialog: dialog().id, request, ways });
    }),
    ("a way back is wanted", |t| t.put(Input::FindWayBack { dialog: dialog().id, ways: dialog().ways() })),
    ("200 to ours", |t| t.answered(200)),
    ("503 to ours", |t| t.answered(503)),
    ("nobody answers", Tried::pass),
    ("nonsense", |t| t.put(Input::Arrived { bytes: Bytes::from_static(b"nonsense"), hop: by_udp() })),
    ("INVITE without From", |t| {
        let text = invite("d", "d").to_bytes();
        let text = String::from_utf8_lossy(&text).replace("From:", "X-From:");
        t.put(Input::Arrived { bytes: Bytes::from(text), hop: by_udp() });
    }),
];

/// The situations by name: from which other, and what happens on the way.
const STATES: [(&str, &str, &[&str]); 14] = [
    ("nobody's", "", &[]),
    ("offered", "nobody's", &["INVITE"]),
    ("cancelled before it is owned", "offered", &["CANCEL"]),
    ("taken", "offered", &["taken"]),
    ("owned", "taken", &["owned"]),
    ("answered", "owned", &["200"]),
    ("confirmed", "answered", &["ACK"]),
    ("asking", "confirmed", &["INFO of ours"]),
    ("its owner is dead", "confirmed", &["the owner dies"]),
    ("left by an answer", "owned", &["leave by an answer and BYE"]),
    ("left by BYE", "confirmed", &["leave by BYE"]),
    ("over", "left by BYE", &["200 to ours"]),
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

/// What the endpoint asks of the world.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outside {
    pub(super) listed: bool,
    pub(super) dead: bool,
    /// The connection that has ended.
    pub(super) closed: Option<u64>,
}

impl World<&'static str> for Outside {
    fn is_trusted(&self, _: Hop) -> bool {
        self.listed
    }

    fn lives(&self, _: &&'static str) -> bool {
        !self.dead
    }

    fn is_open(&self, hop: Hop) -> bool {
        self.closed != Some(hop.flow)
    }

    fn sent_by(&self, hop: Hop) -> String {
        format!("flow{}.example:5060", hop.flow)
    }

    fn fresh_branch(&self) -> String {
        "z9hG4bKfresh".to_owned()
    }
}

/// An endpoint with the time that has passed at it.
struct Tried {
    endpoint: Endpoint<&'static str, u32>,
    now: Instant,
    /// The INVITE of the call.
    key: Option<ServerKey>,
    /// The last request of ours that was sent.
    ours: Option<Request>,
    world: Outside,
    outputs: Vec<Output<&'static str, u32>>,
}

impl Tried {
    fn in_state(name: &str) -> Self {
        let Some((_, from, way)) = STATES.iter().find(|(state, ..)| *state == name) else {
            let (endpoint, now) = (Endpoint::new([7; 32]), Instant::now());
            return Self { endpoint, now, key: None, ours: None, world: Outside::default(), outputs: vec![] };
        };
        let mut tried = Self::in_state(from);
        for step in *way {
            let (_, step) = INPUTS.iter().find(|(known, _)| known == step).expect("an input of this name");
            step(&mut tried);
            tried.drain();
        }
        tried
    }

    fn put(&mut self, input: Input<&'static str, u32>) {
        self.endpoint.handle(self.now, input);
        self.pump();
    }

    fn receive(&mut self, request: &Request, hop: Hop) {
        self.put(Input::Arrived { bytes: request.to_bytes(), hop });
    }

    fn udp(&mut self, request: Request) {
        self.receive(&request, by_udp());
    }

    fn tcp(&mut self, request: Request) {
        self.receive(&request, by_tcp());
    }

    /// The INVITE of the call, or one that is long forgotten.
    fn invite(&self) -> (ServerKey, Request) {
        let invite = invite("c", "a");
        (self.key.clone().unwrap_or_else(|| transaction::server_key(&invite)), invite)
    }

    fn respond(&mut self, status: u16) {
        let (key, invite) = self.invite();
        self.put(Input::Respond { key, response: invite.respond(StatusCode(status), Some("ours")) });
    }

    fn refuse(&mut self, hop: Hop, offence: Option<Offence>) {
        let (key, invite) = self.invite();
        let response = invite.respond(StatusCode(403), Some("ours"));
        self.receive(&invite, hop);
        self.put(Input::Refuse(Refusal { key, invite, response, hop, offence }));
    }

    fn leave(&mut self, teardown: Teardown) {
        let branch = "z9hG4bKbye".to_owned();
        self.put(Input::CarryOut { call: 1, dialog: dialog().id, teardown, branch });
    }

    /// The last request of ours is answered.
    fn answered(&mut self, status: u16) {
        if let Some(ours) = &self.ours {
            let bytes = ours.respond(StatusCode(status), None).to_bytes();
            self.put(Input::Arrived { bytes, hop: by_udp() });
        }
    }

    /// As much time passes as the endpoint wants to wait.
    fn pass(&mut self) {
        while let Some(at) = self.endpoint.deadline() {
            self.now = at;
            self.endpoint.handle_timeout(at);
            self.pump();
        }
    }

    fn pump(&mut self) {
        while let Some(output) = self.endpoint.poll(self.now, &self.world) {
            match &output {
                Output::Offered { key, .. } => _ = self.key.get_or_insert_with(|| key.clone()),
                Output::Transmit { message: Message::Request(request), .. } => self.ours = Some(request.clone()),
                _ => {}
            }
            self.outputs.push(output);
        }
    }

    fn drain(&mut self) -> Vec<String> {
        let mut told: Vec<(String, u32)> = vec![];
        for output in std::mem::take(&mut self.outputs) {
            let word = brief(&output, self.now);
            match told.last_mut().filter(|(last, _)| *last == word) {
                Some((_, times)) => *times += 1,
                None => told.push((word, 1)),
            }
        }
        told.into_iter().map(|(word, times)| if times == 1 { word } else { format!("{times} × {word}") }).collect()
    }
}

/// An output as a word or two.
fn brief(output: &Output<&'static str, u32>, now: Instant) -> String {
    match output {
        Output::Transmit { message: Message::Response(response), .. } => response.summary(),
        Output::Transmit { message: Message::Request(request), .. } => request.method.to_string(),
        Output::Retransmit { status, bytes, .. } => match parse::message(bytes) {
            Ok(Message::Response(response)) if *status == Some(response.status) => response.summary(),
            Ok(Message::Request(request)) if status.is_none() => request.method.to_string(),
            other => panic!("{other:?} is no {status:?}"),
        },
        Output::Offered { .. } => "Offered".to_owned(),
        Output::Tell { owner, input } => match input {
            dialog::Input::Request { request, .. } => format!("{owner} <- {}", request.method),
            dialog::Input::Acked { .. } => format!("{owner} <- Acked"),
            dialog::Input::Response(response) => format!("{owner} <- {}", response.summary()),
            other => format!("{owner} <- {other:?}"),
        },
        Output::ShutOut { until, .. } => format!("ShutOut for {} s", until.saturating_duration_since(now).as_secs()),
        Output::Welcomed(_) => "Welcomed".to_owned(),
        Output::Left { bye_unanswered, .. } => {
            format!("Left{}", if *bye_unanswered { ", the BYE unanswered" } else { "" })
        }
        Output::Dropped(why) => format!("Dropped: {why}"),
        Output::Open { transport, remote, .. } => format!("Open {transport} {remote}"),
        Output::Locate { host, .. } => format!("Locate {host}"),
        Output::Probe { hop, .. } => format!("Probe {}", hop.remote),
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
    let bye = |output: &String| output == "BYE";
    let mut in_time = Tried::in_state("left by an answer");
    let began = in_time.now;
    while let Some(at) = in_time.endpoint.deadline().filter(|_| !in_time.drain().iter().any(bye)) {
        in_time.now = at;
        in_time.endpoint.handle_timeout(at);
        in_time.pump();
    }
    assert_eq!(in_time.now - began, Duration::from_secs(32));
    let mut at_once = Tried::in_state("left by an answer");
    at_once.put(Input::WaitNoLonger);
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
        over.pump();
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
