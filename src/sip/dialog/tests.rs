//! Promises of dialogs, on the INVITE a real Voice Connector sends.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::acceptor::{Acceptor, BeforeAnswer};
use super::requests::OFFER_MAX;
use super::teardown::{Output as Torn, Teardown, Terminating};
use super::ways::Way;
use super::*;
use crate::hop::Transport;
use crate::message::{Message, parse};
use crate::transaction::{Layer, Output as Layered};

pub(super) const INVITE: &str = "INVITE sip:+16185558387@198.51.100.204:5060;transport=UDP SIP/2.0\r\nRecord-Route: <sip:3.80.16.13;lr;ftag=9eXmFya9j7Hpa;did=c71.2ee3;nat=yes>\r\nVia: SIP/2.0/UDP 3.80.16.13:5060;branch=z9hG4bKa\r\nVia: SIP/2.0/UDP 10.0.58.47;received=10.0.58.47;rport=5060;branch=z9hG4bKb\r\nMax-Forwards: 69\r\nFrom: <sip:+18155558245@10.0.58.47:5060>;tag=far\r\nTo: <sip:+16185558387@198.51.100.204:5060>;transport=UDP\r\nCall-ID: 39d6b15a\r\nCSeq: 52215685 INVITE\r\nContact: <sip:10.0.58.47:5060;alias=10.0.58.47~5060~1>\r\nContent-Length: 0\r\n\r\n";

fn parsed(text: &str) -> Request {
    match parse::message(&Bytes::copy_from_slice(text.as_bytes())) {
        Ok(Message::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

pub(super) fn hop() -> Hop {
    Hop { transport: Transport::Udp, remote: "3.80.16.13:5060".parse().expect("address"), flow: 0 }
}

fn uas(now: Instant) -> Acceptor {
    uas_of(now, INVITE)
}

pub(super) fn uas_of(now: Instant, invite: &str) -> Acceptor {
    let hop = hop();
    let local = LocalIdentity {
        contact: "<sip:203.0.113.7:5060>".into(),
        via_sent_by: "203.0.113.7:5060".into(),
        ..LocalIdentity::default()
    };
    let mut layer = Layer::default();
    layer.receive(now, Message::Request(parsed(invite)), hop);
    let request = std::iter::from_fn(|| layer.poll()).find_map(|output| match output {
        Layered::Request { key, request, .. } => Some((key, request)),
        _ => None,
    });
    let (key, request) = request.expect("the INVITE goes up");
    Acceptor::new(request, key, hop, "ours", &local).expect("a good INVITE")
}

fn drain(uas: &mut Acceptor) -> Vec<String> {
    std::iter::from_fn(|| uas.poll())
        .filter_map(|output| match output {
            Output::Respond { response, .. } => Some(response.status.0.to_string()),
            Output::Send { request, .. } => Some(request.method.to_string()),
            Output::Acknowledge { .. } => Some("ACK".to_owned()),
            Output::TeardownChanged => None,
            other => Some(format!("{other:?}").split([' ', '{']).next().unwrap_or_default().to_owned()),
        })
        .collect()
}

pub(super) fn inside(method: &str, number: u32) -> Request {
    let text = INVITE
        .replace("52215685 INVITE", &format!("{number} {method}"))
        .replace("INVITE sip", &format!("{method} sip"))
        .replace(";transport=UDP\r\nCall", ";transport=UDP;tag=ours\r\nCall");
    parsed(&text)
}

pub(super) fn some_key(now: Instant, request: &Request) -> crate::transaction::ServerKey {
    let hop = Hop { transport: Transport::Udp, remote: "3.80.16.13:5060".parse().expect("address"), flow: 0 };
    let mut layer = Layer::default();
    layer.receive(now, Message::Request(request.clone()), hop);
    std::iter::from_fn(|| layer.poll())
        .find_map(|o| if let Layered::Request { key, .. } = o { Some(key) } else { None })
        .expect("a request")
}

#[test]
fn a_bye_goes_by_the_record_route_and_names_the_private_contact() {
    let now = Instant::now();
    let mut uas = uas(now);
    uas.handle(now, Input::Answer { sdp: "v=0".into() });
    uas.handle(now, Input::Acked { ack: inside("ACK", 52215685), hop: hop() });
    let teardown = uas.teardown(BeforeAnswer::Reject(StatusCode(503)), "SIP;cause=200;text=\"done\"");
    let mut terminating = Terminating::begin(now, teardown, "z9hG4bKbye".into());
    let Some(Torn::Request { request, ways }) = terminating.poll() else { panic!("a BYE") };
    assert_eq!(request.uri, "sip:10.0.58.47:5060;alias=10.0.58.47~5060~1");
    assert_eq!(request.headers.get("Route"), Some("<sip:3.80.16.13;lr;ftag=9eXmFya9j7Hpa;did=c71.2ee3;nat=yes>"));
    let Some(Way::Flow(hop)) = ways.first() else { panic!("our own socket") };
    assert_eq!(hop.remote, "3.80.16.13:5060".parse().expect("address"));
    assert_eq!(request.headers.get("To"), Some("<sip:+18155558245@10.0.58.47:5060>;tag=far"));
    assert_eq!(request.headers.get("From"), Some("<sip:+16185558387@198.51.100.204:5060>;transport=UDP;tag=ours"));
    assert_eq!(request.headers.get("Reason"), Some("SIP;cause=200;text=\"done\""));
}

#[test]
fn the_answer_is_repeated_until_its_ack() {
    let now = Instant::now();
    let mut uas = uas(now);
    uas.handle(now, Input::Ring { sdp: "v=0".into() });
    uas.handle(now, Input::Answer { sdp: "v=0".into() });
    assert_eq!(drain(&mut uas), ["180", "200"]);
    let mut at = vec![];
    while let Some(deadline) = uas.deadline().filter(|d| *d < now + Duration::from_secs(33)) {
        uas.handle_timeout(deadline);
        at.push(((deadline - now).as_millis(), drain(&mut uas).join(",")));
    }
    let times: Vec<u128> = at.iter().map(|(ms, _)| *ms).collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500, 32000]);
    assert_eq!(at.last().expect("ends").1, "NeverAcked");
}

#[test]
fn requests_inside_are_answered_in_every_state() {
    let now = Instant::now();
    for (prepare, method, number, expected) in [
        ("offered", "BYE", 52215686, vec!["200", "487", "CallerHungUp"]),
        ("confirmed", "BYE", 52215686, vec!["200", "CallerHungUp"]),
        ("confirmed", "BYE", 52215685, vec!["500"]),
        ("confirmed", "OPTIONS", 52215687, vec!["200"]),
        ("confirmed", "INVITE", 52215687, vec!["Reinvited"]),
        ("answering", "INVITE", 52215687, vec!["491"]),
        ("offered", "INVITE", 52215687, vec!["500"]),
        ("confirmed", "REFER", 52215687, vec!["405"]),
        ("confirmed", "UPDATE", 52215687, vec!["200"]),
        ("offered", "UPDATE", 52215687, vec!["200"]),
        ("confirmed", "INFO", 52215687, vec!["200"]),
        ("confirmed", "NOTIFY", 52215687, vec!["481"]),
        ("offered", "PRACK", 52215687, vec!["481"]),
        ("ended", "OPTIONS", 52215699, vec!["481"]),
    ] {
        let mut uas = uas(now);
        if prepare != "offered" {
            uas.handle(now, Input::Answer { sdp: "v=0".into() });
        }
        if prepare == "confirmed" || prepare == "ended" {
            uas.handle(now, Input::Acked { ack: inside("ACK", 52215685), hop: hop() });
        }
        if prepare == "ended" {
            let bye = inside("BYE", 52215686);
            uas.handle(now, Input::Request { key: some_key(now, &bye), request: bye, hop: hop() });
        }
        drain(&mut uas);
        let request = inside(method, number);
        uas.handle(now, Input::Request { key: some_key(now, &request), request, hop: hop() });
        assert_eq!(drain(&mut uas), expected, "{prepare} {method}");
    }
}

#[test]
fn cancel_ends_an_offered_call_and_nothing_else() {
    let now = Instant::now();
    let mut offered = uas(now);
    offered.handle(now, Input::Cancelled);
    assert_eq!(drain(&mut offered), ["487", "CallerCancelled"]);
    assert_eq!(offered.teardown(BeforeAnswer::Reject(StatusCode(503)), ""), Teardown::Nothing);
    let mut answering = uas(now);
    answering.handle(now, Input::Answer { sdp: "v=0".into() });
    answering.handle(now, Input::Cancelled);
    assert_eq!(drain(&mut answering), ["200"]);
}

#[test]
fn no_bye_before_the_ack_or_64_t1() {
    let now = Instant::now();
    for acked_after in [Some(3), None] {
        let uas = uas(now);
        let torn = uas.teardown(BeforeAnswer::AnswerThenBye { sdp: "v=0" }, "r");
        let mut terminating = Terminating::begin(now, torn, "z9hG4bKx".into());
        let mut seen = vec![];
        let mut clock = now;
        for _ in 0..40 {
            while let Some(output) = terminating.poll() {
                let what = match output {
                    Torn::Respond { response, .. } => response.status.0.to_string(),
                    Torn::Request { request, .. } => request.method.to_string(),
                };
                seen.push(((clock - now).as_secs(), what));
            }
            clock += Duration::from_secs(1);
            if acked_after == Some((clock - now).as_secs()) {
                terminating.acked(clock, &inside("ACK", 7));
                assert!(terminating.poll().is_none(), "the ACK of another INVITE");
                terminating.acked(clock, &inside("ACK", 52215685));
            }
            terminating.handle_timeout(clock);
        }
        let bye_at = seen.iter().find(|(_, what)| what == "BYE").expect("a BYE").0;
        assert_eq!(bye_at, acked_after.unwrap_or(32));
        assert_eq!(seen.iter().filter(|(_, what)| what == "BYE").count(), 1);
        assert!(seen.iter().filter(|(_, what)| what == "200").count() > 1, "the 200 is repeated: {seen:?}");
    }
}

#[test]
fn strict_routes_take_the_request_uri() {
    let text = INVITE.replace(";lr;ftag", ";ftag");
    let hop = Hop { transport: Transport::Udp, remote: "3.80.16.13:5060".parse().expect("address"), flow: 0 };
    let local = LocalIdentity { contact: "<sip:h>".into(), via_sent_by: "h:5060".into(), ..LocalIdentity::default() };
    let invite = parsed(&text);
    let mut dialog = Dialog::from_invite(&invite, hop, "ours", &local).expect("good");
    let (request, _) = dialog.request(Method::Bye, "z9hG4bKx");
    assert_eq!(request.uri, "sip:3.80.16.13;ftag=9eXmFya9j7Hpa;did=c71.2ee3;nat=yes");
    assert_eq!(request.headers.get("Route"), Some("<sip:10.0.58.47:5060;alias=10.0.58.47~5060~1>"));
}

fn confirmed(now: Instant, invite: &str) -> Acceptor {
    let mut uas = uas_of(now, invite);
    uas.handle(now, Input::Answer { sdp: "v=0".into() });
    uas.handle(now, Input::Acked { ack: inside("ACK", 52215685), hop: hop() });
    drain(&mut uas);
    uas
}

fn sent(uas: &mut Acceptor) -> Request {
    std::iter::from_fn(|| uas.poll())
        .find_map(|output| if let Output::Send { request, .. } = output { Some(request) } else { None })
        .expect("a request")
}

fn asks(now: Instant, uas: &mut Acceptor, request: Request) -> Vec<String> {
    uas.handle(now, Input::Request { key: some_key(now, &request), request, hop: hop() });
    drain(uas)
}

#[test]
fn a_required_180_is_repeated_until_its_prack() {
    let now = Instant::now();
    let reliable = INVITE.replace("Content-Length", "Require: 100rel\r\nContent-Length");
    let mut uas = uas_of(now, &reliable);
    uas.handle(now, Input::Ring { sdp: "v=0".into() });
    let Some(Output::Respond { response, .. }) = uas.poll() else { panic!("a 180") };
    let rseq = response.headers.get("RSeq").expect("numbered").to_owned();
    assert_eq!(response.headers.get("Require"), Some("100rel"));
    uas.handle_timeout(now + Duration::from_millis(500));
    uas.handle(now, Input::Answer { sdp: "v=0".into() });
    assert_eq!(drain(&mut uas), ["180"], "the 200 waits");
    let mut prack = inside("PRACK", 52215686);
    prack.headers.set("RAck", &format!("{rseq} 52215685 INVITE"));
    assert_eq!(asks(now, &mut uas, prack), ["200", "200"], "the offer stands: it is repeated in the 200");
    assert_eq!(uas.deadline(), Some(now + T1_), "the 180 is repeated no more, the 200 is");
    let mut forgotten = uas_of(now, &reliable);
    forgotten.handle(now, Input::Ring { sdp: "v=0".into() });
    forgotten.handle_timeout(now + Duration::from_secs(32));
    assert_eq!(drain(&mut forgotten), ["180", "504", "NeverAcked"]);
}

#[test]
fn the_200_of_a_reinvite_is_repeated_until_its_own_ack() {
    let now = Instant::now();
    let mut uas = confirmed(now, INVITE);
    let reinvite = inside("INVITE", 52215690);
    let key = some_key(now, &reinvite);
    assert_eq!(asks(now, &mut uas, reinvite.clone()), ["Reinvited"]);
    assert_eq!(asks(now, &mut uas, inside("INVITE", 52215691)), ["500"], "one at a time");
    uas.answer_reinvite(now, key, &reinvite, Ok("v=1".into()));
    uas.handle_timeout(now + T1_);
    assert_eq!(drain(&mut uas), ["200", "200"]);
    uas.handle(now, Input::Acked { ack: inside("ACK", 52215685), hop: hop() });
    assert!(uas.deadline().is_some(), "an old ACK is not the one");
    uas.handle(now, Input::Acked { ack: inside("ACK", 52215690), hop: hop() });
    assert_eq!((drain(&mut uas), uas.deadline()), (vec!["Reanswered".to_owned()], None));
}

const T1_: Duration = crate::transaction::T1;

#[test]
fn offers_that_cross_are_refused_and_tried_again() {
    let now = Instant::now();
    let mut uas = confirmed(now, INVITE);
    uas.handle(now, Input::Reoffer { sdp: "v=2".into() });
    let ours = sent(&mut uas);
    assert_eq!((ours.method.token(), &ours.body[..]), ("INVITE", &b"v=2"[..]));
    assert_eq!(asks(now, &mut uas, inside("INVITE", 52215690)), ["491"]);
    uas.handle(now, Input::Response(ours.respond(StatusCode(491), None)));
    assert_eq!(drain(&mut uas), Vec::<String>::new());
    let again = uas.deadline().expect("tried again");
    assert!(again <= now + Duration::from_secs(2));
    uas.handle_timeout(again);
    let second = sent(&mut uas);
    uas.handle(now, Input::Response(second.respond(StatusCode(200), None)));
    assert_eq!(drain(&mut uas), ["ACK", "Reoffered(Ok(b\"\"))"]);
    uas.handle(now, Input::Response(second.respond(StatusCode(200), None)));
    assert_eq!(drain(&mut uas), ["ACK"], "a repeated 200 is acknowledged again");
}

/// A gateway that answers a re-INVITE by 100 and then by nothing.
#[test]
fn an_offer_that_gets_no_final_response_is_given_up() {
    let now = Instant::now();
    let mut uas = confirmed(now, INVITE);
    uas.handle(now, Input::Reoffer { sdp: "v=2".into() });
    let ours = sent(&mut uas);
    uas.handle(now, Input::Response(ours.respond(StatusCode(100), None)));
    assert_eq!(drain(&mut uas), Vec::<String>::new());
    let given_up = uas.deadline().expect("an end in time");
    assert_eq!(given_up, now + OFFER_MAX);
    uas.handle_timeout(given_up);
    assert_eq!(drain(&mut uas), ["Reoffered(Err(StatusCode(408)))"], "the call goes on as it was");
    assert_eq!(uas.deadline(), None);
    // The far end may offer again, and a late 200 of its own is acknowledged.
    assert_eq!(asks(given_up, &mut uas, described(inside("INVITE", 52215690), "v=0")), ["Reinvited"]);
    uas.handle(given_up, Input::Response(ours.respond(StatusCode(200), None)));
    assert_eq!(drain(&mut uas), ["ACK"]);
}

#[test]
fn an_ack_of_ours_has_the_number_of_its_invite() {
    let now = Instant::now();
    let mut uas = confirmed(now, INVITE);
    uas.handle(now, Input::Reoffer { sdp: "v=2".into() });
    let ours = sent(&mut uas);
    uas.handle(now, Input::SendDigit('5', Duration::from_millis(200)));
    assert_eq!(sent(&mut uas).method, Method::Info);
    uas.handle(now, Input::Response(ours.respond(StatusCode(200), None)));
    let ack = std::iter::from_fn(|| uas.poll())
        .find_map(|o| if let Output::Acknowledge { request, .. } = o { Some(request) } else { None });
    assert_eq!(ack.expect("an ACK").headers.get("CSeq"), Some("1 ACK"));
}

#[test]
fn the_session_is_refreshed_by_whoever_agreed_to() {
    let now = Instant::now();
    let at = |s| now + Duration::from_secs(s);
    let timer = |more: &str| INVITE.replace("Content-Length", &format!("Supported: timer\r\n{more}Content-Length"));
    // They refresh: the call is over when they do not.
    let mut watched = confirmed(now, &timer("Session-Expires: 90\r\n"));
    watched.handle_timeout(at(59));
    assert_eq!(drain(&mut watched), Vec::<String>::new());
    let mut refresh = inside("UPDATE", 52215690);
    refresh.headers.set("Supported", "timer");
    refresh.headers.set("Session-Expires", "90;refresher=uac");
    assert_eq!(asks(at(50), &mut watched, refresh), ["200"]);
    watched.handle_timeout(at(109));
    assert_eq!(drain(&mut watched), Vec::<String>::new());
    watched.handle_timeout(at(110));
    assert_eq!(drain(&mut watched), ["SessionExpired"]);
    // We refresh: by UPDATE where allowed, else by a re-INVITE with the same description.
    for (allow, method) in [("Allow: INVITE, UPDATE\r\n", "UPDATE"), ("Allow: INVITE\r\n", "INVITE"), ("", "INVITE")] {
        let mut ours = confirmed(now, &timer(&format!("Session-Expires: 1800;refresher=uas\r\n{allow}")));
        ours.handle_timeout(at(900));
        let request = sent(&mut ours);
        assert_eq!(request.method.token(), method);
        assert_eq!(request.headers.get("Session-Expires"), Some("1800;refresher=uac"));
        assert_eq!(request.body.is_empty(), method == "UPDATE");
        ours.handle(at(901), Input::Response(request.respond(StatusCode(200), None)));
        assert_eq!(ours.deadline(), Some(at(1801)), "{method}");
        ours.handle_timeout(at(1801));
        let second = sent(&mut ours);
        ours.handle(at(1802), Input::Response(second.respond(StatusCode(481), None)));
        assert_eq!(drain(&mut ours), ["SessionExpired"]);
    }
}

#[test]
fn a_transfer_is_what_its_notify_says() {
    let now = Instant::now();
    let transfer =
        refer::Transfer { target: "sip:+1800@pbx".into(), headers: vec![], send_method: refer::SendMethod::Custom };
    for (status, fragment, state, expected) in [
        (202, "SIP/2.0 200 OK", "terminated", vec!["TransferProgressed", "200", "TransferEnded(Ok(()))"]),
        (202, "SIP/2.0 180 Ringing", "active", vec!["TransferProgressed", "200", "TransferProgressed"]),
        (
            202,
            "SIP/2.0 486 Busy Here",
            "terminated",
            vec!["TransferProgressed", "200", "TransferEnded(Err(StatusCode(486)))"],
        ),
        (603, "SIP/2.0 200 OK", "terminated", vec!["TransferEnded(Err(StatusCode(603)))", "481"]),
    ] {
        let mut uas = confirmed(now, INVITE);
        uas.handle(now, Input::Refer(transfer.clone()));
        let refer = sent(&mut uas);
        assert_eq!(refer.headers.get("Refer-To"), Some("<sip:+1800@pbx>"));
        assert_eq!(refer.headers.get("Referred-By"), Some("<sip:+16185558387@198.51.100.204:5060>"));
        uas.handle(now, Input::Response(refer.respond(StatusCode(status), None)));
        let mut seen = drain(&mut uas);
        let mut notify = inside("NOTIFY", 52215690);
        notify.headers.push("Event", "refer");
        notify.headers.push("Subscription-State", state);
        notify.body = Bytes::copy_from_slice(fragment.as_bytes());
        seen.extend(asks(now, &mut uas, notify));
        assert_eq!(seen, expected, "{status} {fragment}");
    }
    // Nobody reports: not for ever.
    let mut silent = confirmed(now, INVITE);
    silent.handle(now, Input::Refer(transfer.clone()));
    let refer = sent(&mut silent);
    silent.handle(now, Input::Response(refer.respond(StatusCode(202), None)));
    silent.handle_timeout(now + super::requests::REFER_MAX);
    assert_eq!(drain(&mut silent), ["TransferProgressed", "TransferEnded(Err(StatusCode(408)))"]);
    // One who accepted and hangs up has gone where it was sent.
    let mut gone = confirmed(now, INVITE);
    gone.handle(now, Input::Refer(transfer));
    let refer = sent(&mut gone);
    gone.handle(now, Input::Response(refer.respond(StatusCode(202), None)));
    assert_eq!(
        asks(now, &mut gone, inside("BYE", 52215690)),
        ["TransferProgressed", "200", "TransferEnded(Ok(()))", "CallerHungUp"]
    );
}

#[test]
fn a_new_contact_is_where_requests_go() {
    let now = Instant::now();
    let mut uas = confirmed(now, INVITE);
    let mut update = inside("UPDATE", 52215690);
    update.headers.set("Contact", "<sip:203.0.113.99:5070>");
    assert_eq!(asks(now, &mut uas, update), ["200"]);
    uas.handle(now, Input::SendDigit('1', Duration::from_millis(100)));
    assert_eq!(sent(&mut uas).uri, "sip:203.0.113.99:5070");
}

/// Where the BYE goes of a call from `source` with this Contact, and this Record-Route if any.
fn bye_of(source: &str, route: Option<&str>, contact: &str, networks: &[&str]) -> String {
    let kept = if route.is_some() { "Record-Route" } else { "X-None" };
    let mut invite = parsed(&INVITE.replace("Record-Route", kept));
    invite.headers.set("Contact", &format!("<sip:{contact}>"));
    if let Some(route) = route {
        invite.headers.set("Record-Route", &format!("<sip:{route};lr>"));
    }
    let hop = Hop { transport: Transport::Udp, remote: source.parse().expect("an address"), flow: 0 };
    let networks = networks.iter().map(|net| net.parse().expect("a network")).collect();
    let local = LocalIdentity { contact: "<sip:h>".into(), via_sent_by: "h".into(), networks };
    let mut dialog = Dialog::from_invite(&invite, hop, "ours", &local).expect("good");
    match dialog.request(Method::Bye, "z9hG4bKx").1.first() {
        Some(Way::Flow(hop)) => hop.remote.to_string(),
        way => format!("{way:?}"),
    }
}

/// The case "a private Contact from a private source, without Record-Route" of `tests/cases/signalling.yaml`: the BYE goes to
/// the Contact; the source stands in only where it is public and the Contact is not.
#[test]
fn a_private_contact_from_a_private_source_without_record_route() {
    for (source, contact, to) in [
        ("10.0.0.5:5060", "10.0.0.9:5070", "10.0.0.9:5070"),
        ("10.0.0.5:5060", "192.168.7.9", "192.168.7.9:5060"),
        ("127.0.0.1:5060", "10.0.0.9", "10.0.0.9:5060"),
        ("3.80.16.13:5060", "10.0.0.9", "3.80.16.13:5060"),
        ("3.80.16.13:5060", "8.8.8.8:5080", "8.8.8.8:5080"),
        ("3.80.16.13:5060", "127.0.0.1:8080", "3.80.16.13:5060"),
        ("10.0.0.5:5060", "127.0.0.1:8080", "10.0.0.5:5060"),
        ("10.0.0.5:5060", "169.254.169.254:80", "10.0.0.5:5060"),
        ("[2606:4700::1]:5060", "[fd00::1]", "[2606:4700::1]:5060"),
        ("[fd00::2]:5060", "[fd00::1]", "[fd00::1]:5060"),
    ] {
        assert_eq!(bye_of(source, None, contact, &[]), to, "{contact} from {source}");
    }
}

#[test]
fn a_route_leads_into_our_own_networks_only_for_who_is_listed_there() {
    for (source, route, networks, to) in [
        ("3.80.16.13:5060", "3.80.16.13", &[][..], "3.80.16.13:5060"),
        ("3.80.16.13:5060", "8.8.8.8:5062", &[], "8.8.8.8:5062"),
        ("3.80.16.13:5060", "10.0.0.9:22", &[], "3.80.16.13:5060"),
        ("3.80.16.13:5060", "[::1]:8080", &[], "3.80.16.13:5060"),
        ("3.80.16.13:5060", "[64:ff9b::10.0.0.9]", &[], "3.80.16.13:5060"),
        ("3.80.16.13:5060", "169.254.169.254:80", &[], "3.80.16.13:5060"),
        ("3.80.16.13:5060", "255.255.255.255", &[], "3.80.16.13:5060"),
        ("10.0.0.5:5060", "10.0.0.9:5062", &[], "10.0.0.9:5062"),
        // The Contact is the next way, and one that a neighbour may name.
        ("10.0.0.5:5060", "127.0.0.1:5062", &[], "10.0.58.47:5060"),
        ("100.64.0.5:5060", "100.64.0.9", &["100.64.0.0/24"], "100.64.0.9:5060"),
        ("3.80.16.13:5060", "10.0.0.9", &["3.80.16.0/23", "10.0.0.0/24"], "10.0.0.9:5060"),
    ] {
        assert_eq!(bye_of(source, Some(route), "10.0.58.47", networks), to, "{route} from {source}");
    }
}

/// Puts a session description into a message.
pub(super) fn described(mut request: Request, sdp: &str) -> Request {
    request = request.with_body("application/sdp", sdp.to_owned());
    request
}

fn responses(uas: &mut Acceptor) -> Vec<(u16, String)> {
    std::iter::from_fn(|| uas.poll())
        .filter_map(|output| match output {
            Output::Respond { response, .. } => {
                Some((response.status.0, String::from_utf8_lossy(&response.body).into_owned()))
            }
            _ => None,
        })
        .collect()
}

fn prack_of(ringing: &Response, number: u32) -> Request {
    let mut prack = inside("PRACK", number);
    let rseq = ringing.headers.get("RSeq").expect("numbered");
    prack.headers.set("RAck", &format!("{rseq} 52215685 INVITE"));
    prack
}

const RELIABLE: &str = "Require: 100rel\r\nContent-Length";

/// RFC 3262 section 5: the first reliable response carries our offer, the PRACK the answer, and the 2xx nothing more.
#[test]
fn a_reliable_180_carries_the_offer_and_its_prack_the_answer() {
    let now = Instant::now();
    let mut uas = uas_of(now, &INVITE.replace("Content-Length", RELIABLE));
    uas.handle(now, Input::Ring { sdp: "v=0 ours".into() });
    let Some(Output::Respond { response: ringing, .. }) = uas.poll() else { panic!("a 180") };
    assert_eq!((&ringing.body[..], ringing.headers.get("Content-Type")), (&b"v=0 ours"[..], Some("application/sdp")));
    assert_eq!(asks(now, &mut uas, described(inside("UPDATE", 52215686), "v=0")), ["491"], "ours is not answered yet");
    uas.handle(now, Input::Answer { sdp: "v=0 ours".into() });
    let prack = described(prack_of(&ringing, 52215687), "v=0 theirs");
    uas.handle(now, Input::Request { key: some_key(now, &prack), request: prack, hop: hop() });
    let outputs: Vec<Output> = std::iter::from_fn(|| uas.poll()).collect();
    assert!(outputs.contains(&Output::AnsweredEarly { body: Bytes::from_static(b"v=0 theirs") }), "{outputs:?}");
    let last = outputs.iter().rev().find_map(|output| match output {
        Output::Respond { response, .. } => Some((response.status.0, response.body.len())),
        _ => None,
    });
    assert_eq!(last, Some((200, 0)), "the 2xx offers nothing again");
    let update = described(inside("UPDATE", 52215688), "v=0");
    assert_eq!(asks(now, &mut uas, update), ["Reinvited"], "what is settled may be changed before the ACK");
}

/// A PRACK that carries an offer of its own gets the answer in its 200, and the 2xx of the INVITE goes behind it.
#[test]
fn a_prack_that_offers_is_answered() {
    let now = Instant::now();
    let offering = described(parsed(&INVITE.replace("Content-Length", RELIABLE)), "v=0 first");
    let text = String::from_utf8_lossy(&offering.to_bytes()).into_owned();
    let mut uas = uas_of(now, &text);
    uas.handle(now, Input::Ring { sdp: "v=0 ours".into() });
    let Some(Output::Respond { response: ringing, .. }) = uas.poll() else { panic!("a 180") };
    assert!(ringing.body.is_empty(), "their offer is answered in the 2xx");
    uas.handle(now, Input::Answer { sdp: "v=0 ours".into() });
    let prack = described(prack_of(&ringing, 52215686), "v=0 second");
    let key = some_key(now, &prack);
    assert_eq!(asks(now, &mut uas, prack.clone()), ["Reinvited"]);
    uas.answer_reinvite(now, key, &prack, Ok("v=0 answer".into()));
    assert_eq!(responses(&mut uas), [(200, "v=0 answer".to_owned()), (200, "v=0 answer".to_owned())]);
}

#[test]
fn the_session_description_is_found_among_other_parts_inside_a_dialog_too() {
    let now = Instant::now();
    let parts = |handling: &str| {
        format!(
            "--b\r\nContent-Type: application/isup\r\nContent-Disposition: signal;handling={handling}\r\n\r\nx\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0 theirs\r\n--b--\r\n"
        )
    };
    let mixed = |request: Request, handling| request.with_body("multipart/mixed;boundary=b", parts(handling));
    for method in ["INVITE", "UPDATE"] {
        let mut uas = confirmed(now, INVITE);
        assert_eq!(asks(now, &mut uas, mixed(inside(method, 52215690), "required")), ["415"], "{method}");
        assert_eq!(asks(now, &mut uas, mixed(inside(method, 52215691), "optional")), ["Reinvited"], "{method}");
    }
    // The answer in an ACK, and in a 200 to an offer of ours.
    let mut uas = uas(now);
    uas.handle(now, Input::Answer { sdp: "v=0".into() });
    uas.handle(now, Input::Acked { ack: mixed(inside("ACK", 52215685), "optional"), hop: hop() });
    assert!(std::iter::from_fn(|| uas.poll()).any(|o| o == Output::Confirmed { body: "v=0 theirs".into() }));
    uas.handle(now, Input::Reoffer { sdp: "v=2".into() });
    let ours = sent(&mut uas);
    let ok = ours.respond(StatusCode(200), None).with_body("multipart/mixed;boundary=b", parts("optional"));
    uas.handle(now, Input::Response(ok));
    assert!(std::iter::from_fn(|| uas.poll()).any(|o| o == Output::Reoffered(Ok("v=0 theirs".into()))));
}

/// RFC 3261 section 14.2: 500 is for a re-INVITE that comes before the final response to the one before it.
#[test]
fn a_quick_second_reinvite_is_answered_before_the_ack_of_the_first() {
    let now = Instant::now();
    let mut uas = confirmed(now, INVITE);
    for number in [52215690, 52215691] {
        let hold = described(inside("INVITE", number), "v=0");
        let key = some_key(now, &hold);
        assert_eq!(asks(now, &mut uas, hold.clone()), ["Reinvited"], "{number}");
        uas.answer_reinvite(now, key, &hold, Ok("v=1".into()));
        assert_eq!(drain(&mut uas), ["200"]);
    }
    uas.handle(now, Input::Acked { ack: inside("ACK", 52215690), hop: hop() });
    assert!(uas.deadline().is_some(), "the second still waits for its own");
    uas.handle(now, Input::Acked { ack: inside("ACK", 52215691), hop: hop() });
    assert_eq!(uas.deadline(), None);
    // Where the answer to an offer of ours is still to come, another offer crosses it.
    let asks_for_ours = inside("INVITE", 52215692);
    let key = some_key(now, &asks_for_ours);
    assert_eq!(asks(now, &mut uas, asks_for_ours.clone()), ["Reinvited"]);
    uas.answer_reinvite(now, key, &asks_for_ours, Ok("v=1".into()));
    drain(&mut uas);
    assert_eq!(asks(now, &mut uas, described(inside("INVITE", 52215693), "v=0")), ["491"]);
}

/// Whatever comes inside the dialog by a new connection moves the way out, in the teardown plan too.
#[test]
fn the_bye_leaves_by_the_connection_that_the_far_end_spoke_by_last() {
    let now = Instant::now();
    let tcp = |flow| Hop { transport: Transport::Tcp, remote: ([3, 80, 16, 13], 33_000 + flow as u16).into(), flow };
    for method in ["OPTIONS", "INFO", "NOTIFY", "PRACK", "UPDATE", "INVITE", "MESSAGE", "ACK"] {
        let local = LocalIdentity {
            contact: "<sip:h;transport=tcp>".into(),
            via_sent_by: "h:5061".into(),
            ..LocalIdentity::default()
        };
        let invite = parsed(INVITE);
        let key = some_key(now, &invite);
        let mut uas = Acceptor::new(invite, key, tcp(1), "ours", &local).expect("a good INVITE");
        uas.handle(now, Input::Answer { sdp: "v=0".into() });
        uas.handle(now, Input::Acked { ack: inside("ACK", 52215685), hop: tcp(1) });
        while uas.poll().is_some() {}
        let request = inside(method, 52215690);
        match method {
            "ACK" => uas.handle(now, Input::Acked { ack: request, hop: tcp(2) }),
            _ => uas.handle(now, Input::Request { key: some_key(now, &request), request, hop: tcp(2) }),
        }
        assert!(std::iter::from_fn(|| uas.poll()).any(|output| output == Output::TeardownChanged), "{method}");
        let Teardown::Bye { mut dialog, .. } = uas.teardown(BeforeAnswer::Reject(StatusCode(503)), "") else {
            panic!("a BYE")
        };
        let (bye, _) = dialog.request(Method::Bye, "z9hG4bKx");
        assert_eq!(bye.method, Method::Bye);
        assert_eq!(dialog.hop, tcp(2), "{method}");
    }
}

#[test]
fn every_answer_counts_one_to_a_refresh_too() {
    let now = Instant::now();
    let timer =
        INVITE.replace("Content-Length", "Supported: timer\r\nSession-Expires: 90 ; Refresher = UAS\r\nContent-Length");
    let mut uas = confirmed(now, &timer);
    let due = now + Duration::from_secs(45);
    uas.handle_timeout(due);
    let refresh = sent(&mut uas);
    assert_eq!(refresh.method, Method::Invite);
    let moved = refresh.respond(StatusCode(200), None).with_body("application/sdp", "v=0 moved");
    uas.handle(due, Input::Response(moved));
    assert!(std::iter::from_fn(|| uas.poll()).any(|o| o == Output::Refreshed { body: "v=0 moved".into() }));
}

/// RFC 3261 section 12.1.1: the scheme of Request-URI, top Record-Route or Contact is that of our Contact.
#[test]
fn a_sips_call_gets_a_sips_contact() {
    let hop = Hop { transport: Transport::Tls, remote: "3.80.16.13:33333".parse().expect("address"), flow: 70_000 };
    let local = LocalIdentity {
        contact: "<sip:203.0.113.7:5061;transport=tls>".into(),
        via_sent_by: "203.0.113.7:5061".into(),
        ..LocalIdentity::default()
    };
    let unrouted = INVITE.replace("Record-Route", "X-Nothing");
    for (invite, expected) in [
        (INVITE.to_owned(), "<sip:203.0.113.7:5061;transport=tls>"),
        (INVITE.replace("INVITE sip:", "INVITE sips:"), "<sips:203.0.113.7:5061>"),
        (INVITE.replace("Record-Route: <sip:", "Record-Route: <SIPS:"), "<sips:203.0.113.7:5061>"),
        (INVITE.replace("Contact: <sip:", "Contact: <sips:"), "<sip:203.0.113.7:5061;transport=tls>"),
        (unrouted.replace("Contact: <sip:", "Contact: <sips:"), "<sips:203.0.113.7:5061>"),
    ] {
        let dialog = Dialog::from_invite(&parsed(&invite), hop, "ours", &local).expect("good");
        assert_eq!(dialog.contact(), expected, "{invite}");
    }
}

#[test]
fn empty_tags_and_odd_contacts_make_a_dialog_all_the_same() {
    let local = LocalIdentity { contact: "<sip:h>".into(), via_sent_by: "h:5060".into(), ..LocalIdentity::default() };
    let invite = INVITE
        .replace(";tag=far", ";tag=")
        .replace(";transport=UDP\r\nCall", ";tag=\r\nCall")
        .replace("Contact: <", "Contact: Bell, Alexander; Graham <");
    let mut dialog = Dialog::from_invite(&parsed(&invite), hop(), "ours", &local).expect("good");
    let (bye, _) = dialog.request(Method::Bye, "z9hG4bKx");
    assert_eq!(bye.headers.get("From"), Some("<sip:+16185558387@198.51.100.204:5060>;tag=ours"));
    assert_eq!((dialog.id.remote_tag.as_str(), bye.uri.as_str()), ("", "sip:10.0.58.47:5060;alias=10.0.58.47~5060~1"));
}

/// RFC 3261 section 13.2.2.4: the ACK of a 2xx has the number of its INVITE.
#[test]
fn an_ack_of_another_number_confirms_nothing() {
    let now = Instant::now();
    let mut uas = uas(now);
    uas.handle(now, Input::Answer { sdp: "v=0".into() });
    drain(&mut uas);
    for number in [52_215_684, 52_215_686, 1] {
        uas.handle(now, Input::Acked { ack: inside("ACK", number), hop: hop() });
        assert_eq!((drain(&mut uas), uas.deadline()), (vec![], Some(now + T1_)), "{number}: the 200 is repeated");
    }
    uas.handle(now, Input::Acked { ack: inside("ACK", 52_215_685), hop: hop() });
    assert_eq!((drain(&mut uas), uas.deadline()), (vec!["Confirmed".to_owned()], None));
}

/// A response belongs to a request of ours that may still be answered, or to nothing.
#[test]
fn stray_responses_mean_nothing() {
    let now = Instant::now();
    for (method, status) in [("INVITE", 200), ("INFO", 481), ("UPDATE", 481), ("OPTIONS", 481), ("INFO", 408)] {
        for number in [0, 1, 2, 99] {
            let mut uas = confirmed(now, INVITE);
            uas.handle(now, Input::Response(inside(method, number).respond(StatusCode(status), None)));
            assert_eq!(drain(&mut uas), Vec::<String>::new(), "{status} to {method} {number}");
        }
    }
    let mut uas = confirmed(now, INVITE);
    uas.handle(now, Input::SendDigit('5', Duration::from_millis(200)));
    let info = sent(&mut uas);
    uas.handle(now, Input::Response(inside("INFO", 7).respond(StatusCode(481), None)));
    assert_eq!(drain(&mut uas), Vec::<String>::new(), "of another number");
    uas.handle(now, Input::Response(info.respond(StatusCode(481), None)));
    assert_eq!(drain(&mut uas), ["SessionExpired"], "the far end does not know the dialog (RFC 3261 section 12.2.1.2)");
}

/// A 2xx whose ACK was lost comes again, of an older offer too; what is remembered for that is bounded.
#[test]
fn a_repeated_200_is_acknowledged_again_for_the_latest_offers() {
    let now = Instant::now();
    let mut uas = confirmed(now, INVITE);
    let mut offers = vec![];
    for _ in 0..10 {
        uas.handle(now, Input::Reoffer { sdp: "v=2".into() });
        let ours = sent(&mut uas);
        uas.handle(now, Input::Response(ours.respond(StatusCode(200), None)));
        assert_eq!(drain(&mut uas), ["ACK", "Reoffered(Ok(b\"\"))"]);
        offers.push(ours);
    }
    let repeated = offers.iter().filter(|ours| {
        uas.handle(now, Input::Response(ours.respond(StatusCode(200), None)));
        drain(&mut uas) == ["ACK"]
    });
    assert_eq!(repeated.count(), 8);
}

/// RFC 3311 section 5.2: an UPDATE with an offer that comes before the last one was answered is told to come again.
#[test]
fn a_second_offer_before_the_ack_waits_for_the_answer_to_the_first() {
    let now = Instant::now();
    let mut uas = uas_of(now, &INVITE.replace("Content-Length", RELIABLE));
    uas.handle(now, Input::Ring { sdp: "v=0 ours".into() });
    let Some(Output::Respond { response: ringing, .. }) = uas.poll() else { panic!("a 180") };
    asks(now, &mut uas, described(prack_of(&ringing, 52215686), "v=0 theirs"));
    uas.handle(now, Input::Answer { sdp: "v=0 ours".into() });
    drain(&mut uas);
    let first = described(inside("UPDATE", 52215687), "v=0");
    let key = some_key(now, &first);
    assert_eq!(asks(now, &mut uas, first.clone()), ["Reinvited"]);
    let second = described(inside("UPDATE", 52215688), "v=0");
    uas.handle(now, Input::Request { key: some_key(now, &second), request: second, hop: hop() });
    let Some(Output::Respond { response, .. }) = uas.poll() else { panic!("an answer") };
    assert_eq!((response.status.0, response.headers.get("Retry-After")), (500, Some("2")));
    uas.answer_reinvite(now, key, &first, Ok("v=1".into()));
    assert_eq!(drain(&mut uas), ["200"]);
    assert_eq!(asks(now, &mut uas, described(inside("UPDATE", 52215689), "v=0")), ["Reinvited"]);
}

/// RFC 3264 section 4, RFC 6337: one offer is open at a time, whoever's.
#[test]
fn an_offer_of_ours_waits_for_the_end_of_theirs() {
    let now = Instant::now();
    // Theirs is not answered yet.
    let mut uas = confirmed(now, INVITE);
    let theirs = described(inside("INVITE", 52215690), "v=0");
    let key = some_key(now, &theirs);
    assert_eq!(asks(now, &mut uas, theirs.clone()), ["Reinvited"]);
    uas.handle(now, Input::Reoffer { sdp: "v=2".into() });
    assert_eq!(drain(&mut uas), Vec::<String>::new());
    uas.answer_reinvite(now, key, &theirs, Ok("v=1".into()));
    assert_eq!(drain(&mut uas), ["200", "INVITE"]);

    // Ours is in the 200 to theirs, and its ACK brings the answer.
    let mut uas = confirmed(now, INVITE);
    let theirs = inside("INVITE", 52215690);
    let key = some_key(now, &theirs);
    assert_eq!(asks(now, &mut uas, theirs.clone()), ["Reinvited"]);
    uas.answer_reinvite(now, key, &theirs, Ok("v=1".into()));
    uas.handle(now, Input::Reoffer { sdp: "v=2".into() });
    assert_eq!(drain(&mut uas), ["200"]);
    uas.handle(now, Input::Acked { ack: inside("ACK", 52215690), hop: hop() });
    assert_eq!(drain(&mut uas), ["Reanswered", "INVITE"]);

    // Ours crossed theirs: while it waits, theirs is served, and has its turn first.
    let mut uas = confirmed(now, INVITE);
    uas.handle(now, Input::Reoffer { sdp: "v=2".into() });
    let ours = sent(&mut uas);
    uas.handle(now, Input::Response(ours.respond(StatusCode(491), None)));
    let theirs = described(inside("INVITE", 52215690), "v=0");
    let key = some_key(now, &theirs);
    assert_eq!(asks(now, &mut uas, theirs.clone()), ["Reinvited"]);
    uas.handle_timeout(now + Duration::from_secs(2));
    assert_eq!(drain(&mut uas), Vec::<String>::new(), "theirs is open");
    uas.answer_reinvite(now, key, &theirs, Ok("v=1".into()));
    assert_eq!(drain(&mut uas), ["200", "INVITE"]);
}
