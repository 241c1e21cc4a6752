//! Every state of a dialog that we accept with every input, as a golden table.

use std::time::{Duration, Instant};

use super::*;
use crate::dialog::refer::{SendMethod, Transfer};
use crate::dialog::tests::{INVITE, described, hop, inside, some_key, uas_of};
use crate::hop::Transport;
use crate::message::body::SDP;

/// The number of the INVITE; what the far end asks later counts up from there.
const FIRST: u32 = 52_215_685;
/// The number of what is about to get the next one.
const NEXT: u32 = 0;

/// Where the far end says that it is.
const CONTACT: &str = "sip:10.0.58.47:5060;alias=10.0.58.47~5060~1";

/// A call with the time that has passed in it.
struct Tried {
    uas: Acceptor,
    /// The transaction of the INVITE.
    invite: ServerKey,
    began: Instant,
    now: Instant,
    /// The number of the last request of the far end, and of its last re-INVITE.
    number: u32,
    reinvited: u32,
    /// What the far end asked and nobody has answered yet.
    asked: Option<(ServerKey, Request)>,
}

/// Does the input of this name.
type Do = fn(&mut Tried);

/// Every input there is, by a name.
const INPUTS: [(&str, Do); 68] = [
    ("ring", |t| t.put(Input::Ring { sdp: "v=0 ours".into() })),
    ("answer", |t| t.put(Input::Answer { sdp: "v=0 ours".into() })),
    ("CANCEL", |t| t.put(Input::Cancelled)),
    ("ACK", |t| t.ack(FIRST, "")),
    ("ACK that answers", |t| t.ack(FIRST, "v=0 theirs")),
    ("ACK by another way", |t| t.put(Input::Acked { ack: inside("ACK", FIRST), hop: other_hop() })),
    ("ACK of a re-INVITE", |t| t.ack(t.reinvited, "")),
    ("ACK of a re-INVITE that answers", |t| t.ack(t.reinvited, "v=0 theirs")),
    ("BYE", |t| t.ask(inside("BYE", NEXT))),
    ("BYE with a reason", |t| t.ask(with(inside("BYE", NEXT), "Reason", "Q.850;cause=16"))),
    ("BYE of an old number", |t| t.ask(inside("BYE", FIRST))),
    ("OPTIONS", |t| t.ask(inside("OPTIONS", NEXT))),
    ("OPTIONS by another way", |t| t.ask_by(inside("OPTIONS", NEXT), other_hop())),
    ("MESSAGE", |t| t.ask(inside("MESSAGE", NEXT))),
    ("INVITE that offers", |t| t.ask(described(inside("INVITE", NEXT), "v=0 theirs"))),
    ("INVITE without an offer", |t| t.ask(inside("INVITE", NEXT))),
    ("INVITE with a short interval", |t| t.ask(refreshing(inside("INVITE", NEXT), "30"))),
    ("INVITE not understood", |t| t.ask(foreign(inside("INVITE", NEXT)))),
    ("UPDATE", |t| t.ask(inside("UPDATE", NEXT))),
    ("UPDATE that offers", |t| t.ask(described(inside("UPDATE", NEXT), "v=0 theirs"))),
    ("UPDATE with a timer for them", |t| t.ask(refreshing(inside("UPDATE", NEXT), "90;refresher=uac"))),
    ("UPDATE with a timer for us", |t| t.ask(refreshing(inside("UPDATE", NEXT), "120;refresher=uas"))),
    ("UPDATE with a short interval", |t| t.ask(refreshing(inside("UPDATE", NEXT), "30"))),
    ("UPDATE not understood", |t| t.ask(foreign(inside("UPDATE", NEXT)))),
    ("UPDATE with a new Contact", |t| t.ask(with(inside("UPDATE", NEXT), "Contact", "<sip:203.0.113.99>"))),
    ("PRACK", |t| t.ask(prack(NEXT))),
    ("PRACK with a description", |t| t.ask(described(prack(NEXT), "v=0 theirs"))),
    ("PRACK of another 180", |t| t.ask(with(inside("PRACK", NEXT), "RAck", "9 52215685 INVITE"))),
    ("PRACK not understood", |t| t.ask(foreign(prack(NEXT)))),
    ("INFO, a digit", |t| t.ask(info("application/dtmf-relay", "Signal=5\r\nDuration=160"))),
    ("INFO, empty", |t| t.ask(inside("INFO", NEXT))),
    ("INFO, foreign", |t| t.ask(info("application/x-odd", "x"))),
    ("INFO of a package", |t| t.ask(with(inside("INFO", NEXT), "Info-Package", "odd"))),
    ("NOTIFY of a presence", |t| t.ask(with(inside("NOTIFY", NEXT), "Event", "presence"))),
    ("NOTIFY 180", |t| t.ask(notify("active", "SIP/2.0 180 Ringing"))),
    ("NOTIFY 200", |t| t.ask(notify("terminated", "SIP/2.0 200 OK"))),
    ("NOTIFY 486", |t| t.ask(notify("terminated", "SIP/2.0 486 Busy Here"))),
    ("NOTIFY, over without a word", |t| t.ask(notify("terminated", ""))),
    ("offer accepted", |t| t.answer_theirs(Ok("v=0 ours".into()))),
    ("offer refused", |t| t.answer_theirs(Err(StatusCode(488)))),
    ("reoffer", |t| t.put(Input::Reoffer { sdp: "v=0 hold".into() })),
    ("refer", |t| t.put(Input::Refer(transfer("sip:desk@pbx")))),
    ("refer to nobody", |t| t.put(Input::Refer(transfer("")))),
    ("send a digit", |t| t.put(Input::SendDigit('5', Duration::from_millis(200)))),
    ("180 to INVITE", |t| t.respond("INVITE", 180, "")),
    ("200 to INVITE", |t| t.respond("INVITE", 200, "")),
    ("200 to INVITE that answers", |t| t.respond("INVITE", 200, "v=0 theirs")),
    ("481 to INVITE", |t| t.respond("INVITE", 481, "")),
    ("488 to INVITE", |t| t.respond("INVITE", 488, "")),
    ("491 to INVITE", |t| t.respond("INVITE", 491, "")),
    ("nothing to INVITE", |t| t.nothing_to(Method::Invite)),
    ("200 to UPDATE", |t| t.respond("UPDATE", 200, "")),
    ("405 to UPDATE", |t| t.respond("UPDATE", 405, "")),
    ("481 to UPDATE", |t| t.respond("UPDATE", 481, "")),
    ("500 to UPDATE", |t| t.respond("UPDATE", 500, "")),
    ("nothing to UPDATE", |t| t.nothing_to(Method::Update)),
    ("100 to REFER", |t| t.respond("REFER", 100, "")),
    ("202 to REFER", |t| t.respond("REFER", 202, "")),
    ("603 to REFER", |t| t.respond("REFER", 603, "")),
    ("nothing to REFER", |t| t.nothing_to(Method::Refer)),
    ("200 to INFO", |t| t.respond("INFO", 200, "")),
    ("481 to INFO", |t| t.respond("INFO", 481, "")),
    ("nothing to INFO", |t| t.nothing_to(Method::Info)),
    ("a way back by another connection", |t| t.put(Input::WayBack(Some(connection())))),
    ("a way back by datagrams", |t| t.put(Input::WayBack(Some(other_hop())))),
    ("no way back", |t| t.put(Input::WayBack(None))),
    ("time", Tried::pass),
    ("much time", |t| {
        t.now += Duration::from_secs(100);
        t.uas.handle_timeout(t.now);
    }),
];

/// What the far end says of itself in the INVITE, by a name.
const CALLERS: [(&str, &str, &str); 6] = [
    ("offers", "", "v=0 theirs"),
    ("offers nothing", "", ""),
    ("wants a PRACK", "Require: 100rel\r\n", "v=0 theirs"),
    ("wants a PRACK, offers nothing", "Require: 100rel\r\n", ""),
    ("refreshes itself", "Supported: timer\r\nSession-Expires: 90\r\n", "v=0 theirs"),
    (
        "wants to be refreshed by UPDATE",
        "Supported: timer\r\nSession-Expires: 120;refresher=uas\r\nAllow: INVITE, UPDATE\r\n",
        "v=0 theirs",
    ),
];

/// The states by name: from which other, or of which caller, and what happens on the way.
const STATES: [(&str, &str, &[&str]); 34] = [
    ("offered", "offers", &[]),
    ("offered, ours to offer", "offers nothing", &[]),
    ("offered, a timer wanted", "refreshes itself", &[]),
    ("ringing", "offered", &["ring"]),
    ("ringing until a PRACK", "wants a PRACK", &["ring"]),
    ("ringing until a PRACK, the answer waits", "ringing until a PRACK", &["answer"]),
    ("ringing with our offer", "wants a PRACK, offers nothing", &["ring"]),
    ("ringing with our offer, the answer waits", "ringing with our offer", &["answer"]),
    ("agreed before the answer", "ringing with our offer", &["PRACK with a description"]),
    ("their PRACK offers, the answer waits", "ringing until a PRACK, the answer waits", &["PRACK with a description"]),
    ("answering", "offered", &["answer"]),
    ("answering what was agreed before", "agreed before the answer", &["answer"]),
    ("answering, an offer is open", "answering what was agreed before", &["UPDATE that offers"]),
    ("never acknowledged", "answering", &["much time"]),
    ("confirmed", "answering", &["ACK"]),
    ("confirmed, they refresh", "refreshes itself", &["answer", "ACK"]),
    ("confirmed, we refresh", "wants to be refreshed by UPDATE", &["answer", "ACK"]),
    ("refreshing by UPDATE", "confirmed, we refresh", &["time"]),
    ("refreshing by INVITE", "refreshing by UPDATE", &["405 to UPDATE", "time"]),
    ("telling a digit by INFO", "confirmed", &["send a digit"]),
    ("their offer is open", "confirmed", &["INVITE that offers"]),
    ("their offer is answered", "their offer is open", &["offer accepted"]),
    ("our offer is in the 200 of theirs", "confirmed", &["INVITE without an offer", "offer accepted"]),
    ("offering behind theirs", "their offer is open", &["reoffer"]),
    ("offering behind ours in the 200 of theirs", "our offer is in the 200 of theirs", &["reoffer"]),
    ("their UPDATE is open", "confirmed", &["UPDATE that offers"]),
    ("offering", "confirmed", &["reoffer"]),
    ("offering again in a moment", "offering", &["491 to INVITE"]),
    (
        "offering for the fourth time",
        "offering again in a moment",
        &["time", "491 to INVITE", "time", "491 to INVITE", "time"],
    ),
    ("referring", "confirmed", &["refer"]),
    ("referred", "referring", &["202 to REFER"]),
    ("offering while referred", "referred", &["reoffer"]),
    ("cancelled", "offered", &["CANCEL"]),
    ("ended", "confirmed", &["BYE"]),
];

fn other_hop() -> Hop {
    Hop { transport: Transport::Udp, remote: ([3, 80, 16, 14], 5060).into(), flow: 7 }
}

fn connection() -> Hop {
    Hop { transport: Transport::Tcp, remote: ([3, 80, 16, 13], 5060).into(), flow: 70_000 }
}

fn with(mut request: Request, name: &str, value: &str) -> Request {
    request.headers.set(name, value);
    request
}

fn refreshing(request: Request, expires: &str) -> Request {
    with(with(request, "Supported", "timer"), "Session-Expires", expires)
}

fn foreign(request: Request) -> Request {
    request.with_body("application/x-odd", "x")
}

fn prack(number: u32) -> Request {
    with(inside("PRACK", number), "RAck", "2 52215685 INVITE")
}

fn info(content_type: &str, body: &'static str) -> Request {
    inside("INFO", NEXT).with_body(content_type, body)
}

fn notify(state: &str, fragment: &'static str) -> Request {
    let notify = with(with(inside("NOTIFY", NEXT), "Event", "refer"), "Subscription-State", state);
    notify.with_body("message/sipfrag", fragment)
}

fn transfer(target: &str) -> Transfer {
    Transfer { target: target.into(), headers: vec![], send_method: SendMethod::Custom }
}

impl Tried {
    /// A call that has just come in from the caller of this name.
    fn of_caller(name: &str) -> Self {
        let (_, headers, sdp) = CALLERS.iter().find(|(known, ..)| *known == name).expect("a caller of this name");
        let length = format!("{headers}Content-Type: application/sdp\r\nContent-Length: {}", sdp.len());
        let invite = INVITE.replace("Content-Length: 0", &length) + sdp;
        let now = Instant::now();
        let (uas, reinvited) = (uas_of(now, &invite), FIRST + 100);
        let State::Offered(offered) = &uas.state else { panic!("a new call") };
        let invite = offered.key.clone();
        Self { uas, invite, began: now, now, number: FIRST, reinvited, asked: None }
    }

    /// A call in the state of this name.
    fn in_state(name: &str) -> Self {
        let Some((_, from, way)) = STATES.iter().find(|(state, ..)| *state == name) else {
            return Self::of_caller(name);
        };
        let mut tried = Self::in_state(from);
        for step in *way {
            tried.step(step);
            tried.drain();
        }
        tried
    }

    fn step(&mut self, name: &str) {
        let (_, step) = INPUTS.iter().find(|(known, _)| *known == name).expect("an input of this name");
        step(self);
    }

    fn put(&mut self, input: Input) {
        self.uas.handle(self.now, input);
    }

    fn ack(&mut self, number: u32, sdp: &str) {
        let ack = inside("ACK", number);
        let ack = if sdp.is_empty() { ack } else { described(ack, sdp) };
        self.put(Input::Acked { ack, hop: hop() });
    }

    fn ask(&mut self, request: Request) {
        self.ask_by(request, hop());
    }

    fn ask_by(&mut self, mut request: Request, hop: Hop) {
        if request.headers.get("CSeq").is_some_and(|cseq| cseq.starts_with("0 ")) {
            self.number += 1;
            request = with(request.clone(), "CSeq", &format!("{} {}", self.number, request.method));
        }
        if request.method == Method::Invite {
            self.reinvited = self.number;
        }
        let via = format!("SIP/2.0/UDP 3.80.16.13:5060;branch=z9hG4bK{}", self.number);
        let request = with(request, "Via", &via);
        self.put(Input::Request { key: some_key(self.now, &request), request, hop });
    }

    fn answer_theirs(&mut self, outcome: Result<String, StatusCode>) {
        let (key, request) = self.asked.take().unwrap_or_else(|| {
            let late = with(inside("INVITE", FIRST + 1), "Via", "SIP/2.0/UDP 3.80.16.13;branch=z9hG4bKlate");
            (some_key(self.now, &late), late)
        });
        let outcome = outcome.map_err(|status| request.respond(status, None));
        self.uas.answer_reinvite(self.now, key, &request, outcome);
    }

    /// A response to our last request.
    fn respond(&mut self, method: &str, status: u16, sdp: &str) {
        let request = inside(method, self.uas.dialog().last_number());
        let response = request.respond(StatusCode(status), None);
        self.put(Input::Response(if sdp.is_empty() { response } else { response.with_body(SDP, sdp.to_owned()) }));
    }

    fn nothing_to(&mut self, method: Method) {
        let number = self.uas.dialog().last_number();
        self.put(Input::NoResponse { method, number });
    }

    /// The deadline comes, or a second passes where there is none.
    fn pass(&mut self) {
        self.now = self.uas.deadline().unwrap_or(self.now + Duration::from_secs(1));
        self.uas.handle_timeout(self.now);
    }

    fn drain(&mut self) -> Vec<String> {
        let outputs: Vec<Output> = std::iter::from_fn(|| self.uas.poll()).collect();
        assert_eq!(self.uas.session.standing.outputs.capacity(), 0, "what is drained holds no room");
        if let Some((key, request)) = outputs.iter().find_map(|output| match output {
            Output::Reinvited { key, request } => Some((key.clone(), request.clone())),
            _ => None,
        }) {
            self.asked = Some((key, request));
        }
        outputs.iter().map(|output| brief(&self.invite, output)).collect()
    }

    /// How the call would leave, and when it wakes.
    fn standing(&self) -> (&'static str, String) {
        let torn = self.uas.teardown(BeforeAnswer::Reject(StatusCode(503)), "").name();
        let wakes = self.uas.deadline().map_or_else(
            || "never".to_owned(),
            |at| format!("{:.2} s", at.saturating_duration_since(self.began).as_secs_f64()),
        );
        (torn, wakes)
    }
}

/// An output as a word or two.
fn brief(invite: &ServerKey, output: &Output) -> String {
    match output {
        Output::Respond { key, response } => {
            let whose = if key == invite { "the INVITE" } else { "it" };
            format!("{} to {whose}{}", response.status.0, told(&response.headers, &response.body))
        }
        Output::Send { request, .. } | Output::Acknowledge { request, .. } => {
            let number = request.headers.get("CSeq").unwrap_or_default();
            let to = if request.uri == CONTACT { String::new() } else { format!(" -> {}", request.uri) };
            format!("{number}{to}{}", told(&request.headers, &request.body))
        }
        Output::Reinvited { request, .. } => format!("Reinvited by {}", request.method),
        Output::CallerHungUp { reason } => format!("CallerHungUp {}", reason.as_deref().unwrap_or_default()),
        Output::Rerouted(hop) => format!("Rerouted by {}", hop.transport),
        Output::TeardownChanged => "TeardownChanged".to_owned(),
        other => format!("{other:?}"),
    }
    .trim_end()
    .to_owned()
}

/// What a message says beside what each does.
fn told(headers: &crate::message::Headers, body: &[u8]) -> String {
    let named =
        ["Allow", "Accept", "Supported", "Contact", "Recv-Info"].into_iter().filter(|name| headers.get(name).is_some());
    let quoted = ["Session-Expires", "Min-SE", "Require", "RSeq", "Retry-After", "Refer-To"];
    let quoted = quoted.into_iter().filter_map(|name| headers.get(name).map(|value| format!("{name}: {value}")));
    let body = (!body.is_empty()).then(|| format!("“{}”", String::from_utf8_lossy(body).trim().replace("\r\n", " / ")));
    let all: Vec<String> = named.map(str::to_owned).chain(quoted).chain(body).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

#[test]
fn every_state_meets_every_input_as_written() {
    let mut table = String::new();
    for (state, ..) in STATES {
        let (torn, wakes) = Tried::in_state(state).standing();
        table += &format!("# {state} (teardown: {torn}, wakes: {wakes})\n");
        let mut rows: Vec<(String, Vec<&str>)> = vec![];
        for (given, step) in INPUTS {
            let mut tried = Tried::in_state(state);
            let before = tried.standing();
            step(&mut tried);
            let mut row = tried.drain();
            let after = tried.standing();
            row.extend((after.0 != before.0).then(|| format!("[teardown: {}]", after.0)));
            row.extend((after.1 != before.1).then(|| format!("[wakes: {}]", after.1)));
            let row = if row.is_empty() { "nothing".to_owned() } else { row.join("; ") };
            match rows.iter_mut().find(|(known, _)| *known == row) {
                Some((_, given_too)) => given_too.push(given),
                None => rows.push((row, vec![given])),
            }
        }
        rows.sort_by_key(|(row, _)| row == "nothing");
        rows.iter().for_each(|(row, given)| table += &format!("{} => {row}\n", given.join(" | ")));
        table.push('\n');
    }
    let golden = include_str!("../../../../tests/golden/dialog_transitions.txt");
    // A change of the protocol is a change of that file: `WRITE_GOLDEN=path` writes it, and its diff is what is reviewed.
    if let Ok(path) = std::env::var("WRITE_GOLDEN") {
        std::fs::write(path, &table).expect("written");
    }
    let other = table.lines().zip(golden.lines()).find(|(is, was)| is != was);
    assert!(table == golden, "tests/golden/dialog_transitions.txt says otherwise: {other:?}");
}
