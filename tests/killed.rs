//! What `kill -9` leaves of the real binary, and what the next start makes of it; and the one order that a command may give.
//!
//! The case of `tests/cases/signalling.yaml` that belongs here is named below.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bellhop_rehearsal::caller::Line;
use bellhop_rehearsal::connect::Misbehaviour;

#[path = "support/node.rs"]
#[allow(dead_code)] // each binary uses its part
mod node;

use node::{Node, folder, until};

const CASES: &str = include_str!("cases/signalling.yaml");

fn calls(node: &Node, command: &str, rest: &[&str]) -> Output {
    let mut bellhop = Command::new(env!("CARGO_BIN_EXE_bellhop"));
    bellhop.args(["calls", command, "--config"]).arg(node.folder.join("bellhop.toml")).args(rest);
    bellhop.output().expect("the binary runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn kill(node: &mut Node) {
    node.process.kill().expect("SIGKILL");
    node.process.wait().expect("dead");
}

#[test]
fn calls_that_were_up_when_the_process_was_killed() {
    assert!(CASES.contains("calls that were up when the process was killed"), "the case is carried over");
    let recording = "[tenants.recording]\nfolder = \"recordings\"\n";
    let mut node = Node::start("counting", recording);
    node.begin_call("c1", vec![]);
    let under_way = |node: &Node| {
        let database = node.folder.join("bellhop.db-wal");
        std::fs::read(database).is_ok_and(|bytes| bytes.windows(12).any(|text| text == b"+12065550100"))
    };
    until("the call is written down while it is up", || under_way(&node));
    let part = |node: &Node| {
        let files = std::fs::read_dir(node.folder.join("recordings")).into_iter().flatten().flatten();
        files.filter(|file| file.path().extension().is_some_and(|extension| extension == "part")).count()
    };
    until("it is recorded", || part(&node) == 1);
    assert!(said(&calls(&node, "list", &["--json"])).is_empty(), "it is not over");
    kill(&mut node);
    let again = Node::serve(&node.folder.join("bellhop.toml"), folder(), node.connect.clone());
    let listed = || said(&calls(&node, "list", &["--json", "--ended", "failed", "--from", "+1 206-555-0100"]));
    until("the next start lists it", || !listed().is_empty());
    let line: serde_json::Value = serde_json::from_str(&listed()).expect("one line of JSON");
    assert_eq!((&line["tenant"], &line["to"]), (&"acme".into(), &"+18005550123".into()));
    let story = said(&calls(&node, "show", &[line["call"].as_str().expect("a name")]));
    assert!(story.contains("lost: the server ended while the call was up"), "{story}");
    // Its recording was never finished, and its record may be gone by then: it is found all the same.
    let gone = said(&calls(&node, "forget", &["+12065550100"]));
    assert!(gone.starts_with("deleted: 1 call records, 0 conversations, 1 recordings"), "{gone}");
    assert_eq!(part(&node), 0);
    drop(again);
}

#[test]
fn a_key_that_was_in_flight_when_the_process_was_killed_is_taken_back_with_its_custom_data() {
    let mut node = Node::start("counting", "");
    node.connect.misbehave(Misbehaviour::CarryOutAndHang);
    node.begin_call("c1", vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())]);
    let written = || node.connect.attributes("c1").get("topic").is_some_and(|topic| topic == "loan");
    until("the attributes are there", written);
    kill(&mut node);
    assert_eq!(node.connect.attributes("c1")["topic"], "loan", "and nobody lives who knows");
    let _again = Node::serve(&node.folder.join("bellhop.toml"), folder(), node.connect.clone());
    until("the next start takes them back", || {
        let attributes = node.connect.attributes("c1");
        ["SessionHistoryKey", "topic"].iter().all(|name| attributes.get(*name).is_none_or(String::is_empty))
    });
}

/// How many conversations can be read.
fn histories(node: &Node) -> String {
    let script = "import sqlite3, sys\nprint(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM session_histories').fetchone()[0])";
    let output = Command::new("python3").args(["-c", script]).arg(node.folder.join("bellhop.db")).output();
    String::from_utf8_lossy(&output.expect("python3 is installed: see README").stdout).trim().to_owned()
}

/// A tenant without Amazon Connect: the key goes out with a REFER, before anybody knows what comes of it.
#[test]
fn a_key_that_went_along_with_a_transfer_is_void_when_the_process_was_killed_meanwhile() {
    let (connect, at) = node::stand_in();
    let folder = folder();
    let path = node::config(&folder, at, "counting", "");
    let text = std::fs::read_to_string(&path).expect("written");
    let (head, rest) = text.split_once("[tenants.connect]").expect("a section");
    let (_, rest) = rest.split_once("[tenants.assistant]").expect("the next section");
    std::fs::write(&path, format!("{head}[tenants.assistant]{rest}")).expect("written");
    let desk = "service_desk: {sip: {uri: 'sip:desk@127.0.0.1'}}";
    let script = node::SCRIPT.replace("amazon_connect: {custom_data: {topic: loan}}", desk);
    std::fs::write(folder.join("script.yaml"), script).expect("written");
    let mut node = Node::serve(&path, folder, connect);
    node.begin_call("c1", vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())]);
    until("the conversation is stored", || histories(&node) == "1");
    kill(&mut node);
    assert_eq!(histories(&node), "1", "and nobody lives who knows");
    let _again = Node::serve(&path, node::folder(), node.connect.clone());
    until("the next start makes the key void", || histories(&node) == "0");
}

#[test]
fn a_call_is_hung_up_by_a_command_that_needs_no_secret() {
    let node = Node::start("counting", "");
    let path = node.folder.join("bellhop.toml");
    let text = std::fs::read_to_string(&path).expect("written");
    std::fs::write(&path, text.replace("secret_access_key = \"secret\"", "secret_access_key = \"file:/nowhere\""))
        .expect("written");
    let mut tail = Command::new(env!("CARGO_BIN_EXE_bellhop"))
        .args(["calls", "tail", "--config"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    node.begin_call("c1", vec![]);
    let mut first = String::new();
    BufReader::new(tail.stdout.take().expect("piped")).read_line(&mut first).expect("it is followed");
    let name = first.split_whitespace().next().expect("the call's name");
    let refused = calls(&node, "hang-up", &["0123"]);
    assert!(!refused.status.success() && said(&refused).contains("no call is up under `0123`"), "{}", said(&refused));
    let done = calls(&node, "hang-up", &[name]);
    assert!(done.status.success(), "{}", said(&done));
    drop(tail.kill());
    drop(tail.wait());
    node.wait_until_idle();
    assert_eq!(node.metric("bellhop_calls_ended_total{tenant=\"acme\",reason=\"operator_hung_up\"}"), 1.0);
    assert!(said(&calls(&node, "list", &[])).starts_with("began "), "a header comes first");
}
