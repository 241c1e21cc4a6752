//! The log of the real binary: JSON lines, and each that belongs to a call has call, tenant and SIP Call-ID beside its own fields.
//!
//! Ports are ephemeral and on loopback; services fail on purpose, for those that work are silent.

use std::time::{Duration, Instant};

use bellhop_rehearsal::caller::Line;
use bellhop_rehearsal::watson_assistant::{API_KEY, Misbehaviour as AssistantMisbehaviour, StandIn as Assistant};
use bellhop_rehearsal::watson_speech::{Misbehaviour, StandIn as Speech};
use bellhop_rehearsal::watson_text_to_speech::StandIn as Voice;
use bellhop_sip::hop::Transport;
use serde_json::{Value, json};

#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;

use node::{Node, speaks};

/// The lines of a call, from the first that names one; there is no other call, and nothing else is logged while it is up.
fn lines_of_the_call(node: &Node, last: &str) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let log = std::fs::read_to_string(node.folder.join("log")).expect("a log");
        if log.lines().any(|line| line.contains(last)) {
            let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no line of JSON: {line}"));
            let lines: Vec<Value> = log.lines().filter(|line| line.starts_with('{')).map(read).collect();
            return lines.into_iter().skip_while(|line| line.get("call").is_none()).collect();
        }
        assert!(Instant::now() < deadline, "`{last}` was never logged: {log}");
        std::thread::yield_now();
    }
}

fn assert_all_of_one_call(lines: &[Value]) {
    let of_call = |line: &Value| ["call", "tenant", "sip_call_id"].map(|name| line[name].as_str().map(str::to_owned));
    let first = of_call(&lines[0]);
    assert!(first.iter().all(|value| value.as_ref().is_some_and(|value| !value.is_empty())), "{}", lines[0]);
    assert_eq!(first[1].as_deref(), Some("acme"));
    for line in lines {
        assert_eq!(of_call(line), first, "{line}");
    }
}

fn assert_told(lines: &[Value], target: &str, message: &str) {
    let told = |line: &&Value| {
        let is = |name: &str| line[name].as_str().unwrap_or_default();
        is("target").starts_with(target) && is("message").contains(message)
    };
    assert!(lines.iter().any(|line| told(&line)), "{target}: `{message}` was not logged: {lines:#?}");
}

#[test]
fn services_that_break_off_are_told_in_the_call_that_they_broke_off_from() {
    let (assistant, speech, voice) = (Assistant::default(), Speech::default(), Voice::default());
    assistant.replies("", json!([{"response_type": "text", "text": "Welcome to Acme."}]));
    assistant.replies("goodbye ", json!([{"response_type": "end_session"}]));
    speech.will_hear("goodbye", 0.93);
    speech.misbehave(Misbehaviour::DropInUtterance);
    speech.misbehave(Misbehaviour::RefuseUpgrade(503)); // when it is connected to again, by its own task
    let (assistant_at, speech_at, voice_at) =
        (assistant.serve().expect("a port"), speech.serve().expect("a port"), voice.serve().expect("a port"));
    let iam = format!("api_key = \"{API_KEY}\"\niam_url = \"http://{assistant_at}/identity/token\"\n");
    // Nobody listens there: another assistant, recognizer and voice take over.
    let nobody = "http://127.0.0.1:9";
    let node = Node::with_services(
        "",
        &format!(
            "[tenants.assistant]\nkind = \"webhook\"\nurl = \"{nobody}\"\nsecret = \"s\"\n[tenants.assistant.fallback]\nkind = \"watson\"\nurl = \"http://{assistant_at}\"\nassistant_id = \"a1\"\nenvironment_id = \"e1\"\n{iam}\
             [tenants.speech_to_text]\nkind = \"watson\"\nurl = \"{nobody}\"\n{iam}[tenants.speech_to_text.fallback]\nkind = \"watson\"\nurl = \"http://{speech_at}\"\n{iam}\
             [tenants.text_to_speech]\nkind = \"watson\"\nurl = \"http://{voice_at}\"\nparameters = {{ voice = \"en-US_MichaelV3Voice\" }}\n{iam}"
        ),
    );
    assistant.misbehave(AssistantMisbehaviour::ForgetSessions);
    node.call(Transport::Udp, "c1", vec![speaks()]);
    let lines = lines_of_the_call(&node, "call audio");
    assert_all_of_one_call(&lines);
    assert_told(&lines, "bellhop::engines", "another service takes over");
    assert_told(&lines, "bellhop_adapters::speech_to_text::session", "the recognizer cannot be connected to");
    let refused = |line: &Value| line["failure"].as_str().is_some_and(|failure| failure.contains("503"));
    assert!(lines.iter().any(refused), "the task of a recognizer's session says whose it is: {lines:#?}");
    assert_told(&lines, "bellhop_actors::call", "call ended");
}

#[test]
fn a_panic_is_told_in_the_call_that_it_ended() {
    let node =
        Node::start("counting", "[fault_injection]\nchild = \"turn_loop\"\nphase = \"talking\"\nfault = \"panic\"\n");
    node.call(Transport::Udp, "c1", vec![Line::AtOnce(Duration::from_secs(5))]);
    let lines = lines_of_the_call(&node, "call ended");
    assert_all_of_one_call(&lines);
    assert_told(&lines, "bellhop::panics", "a panic");
    assert_told(&lines, "bellhop_actors::call", "child down");
}
