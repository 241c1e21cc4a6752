//! The real binary on PostgreSQL: what it keeps, what `bellhop calls` shows of it and orders, what goes on while it is
//! away, and what a dead server leaves to another that shares the database.

use std::process::{Command, Output};
use std::time::Duration;

use bellhop_rehearsal::caller::Line;
use bellhop_sip::hop::Transport;

#[path = "support/node.rs"]
#[allow(dead_code)] // each binary uses its part
mod node;
#[path = "support/postgres.rs"]
#[allow(dead_code, unreachable_pub)]
mod postgres;

use node::{Node, config, folder, stand_in, until};
use postgres::Cluster;

const PASSWORD: &str = "hush-7f3a";

/// A node whose calls are kept in a database that asks for a password.
fn start(url: &str) -> Node {
    let (connect, connect_at) = stand_in();
    let folder = folder();
    let path = config(&folder, connect_at, "counting", "");
    let text = std::fs::read_to_string(&path).expect("written");
    let storage = format!(
        "[storage]\nurl = \"{url}\"\npassword = \"file:password\"\nmaster_key = \"file:master\"\n[operations]\nsocket = \"b.sock\"\n"
    );
    let sqlite = text.lines().find(|line| line.starts_with("url = ")).expect("a database");
    std::fs::write(&path, text.replace(&format!("[storage]\n{sqlite}\n"), &storage)).expect("written");
    std::fs::write(folder.join("password"), PASSWORD).expect("written");
    // All servers of a database have one key.
    std::fs::write(folder.join("master"), "5e".repeat(32)).expect("written");
    Node::serve(&path, folder, connect)
}

fn calls(node: &Node, command: &str, rest: &[&str]) -> String {
    let mut bellhop = Command::new(env!("CARGO_BIN_EXE_bellhop"));
    bellhop.args(["calls", command, "--config"]).arg(node.folder.join("bellhop.toml")).args(rest);
    let Output { stdout, stderr, .. } = bellhop.output().expect("the binary runs");
    String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr)
}

/// A call that asks for an agent; the key that the agent gets.
fn hand_off(node: &Node, contact: &str) -> Option<String> {
    let lines = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())];
    node.call(Transport::Udp, contact, lines);
    node.connect.attributes(contact).get("SessionHistoryKey").filter(|key| !key.is_empty()).cloned()
}

fn shows(node: &Node, key: &str) -> bool {
    let page = node.get(&format!("/loadAgentAppFrame.html?session_history_key={key}"));
    page.starts_with("HTTP/1.1 200") && page.contains("Wait.")
}

#[test]
fn calls_go_on_while_the_database_is_away_and_all_of_them_are_listed_afterwards() {
    let cluster = Cluster::own("node");
    let url = cluster.database("calls");
    cluster.demand_password(PASSWORD);
    let node = start(&url);
    let before = hand_off(&node, "before").expect("an agent");
    assert!(shows(&node, &before));
    assert!(node.get("/readyz").starts_with("HTTP/1.1 200"));
    cluster.stop();
    let away = hand_off(&node, "away").expect("an agent, with a key");
    assert!(shows(&node, &away), "what only the spool has is shown");
    let ready = node.get("/readyz");
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("degraded: the database is away"), "{ready}");
    assert_eq!(node.metric("bellhop_database_away"), 1.0);
    let again = hand_off(&node, "away-again").expect("an agent, with a key");
    assert!(shows(&node, &before), "what this server stored a moment ago is shown");
    cluster.start();
    until("it is tried again", || !node.get("/readyz").contains("degraded"));
    assert_eq!((node.metric("bellhop_database_away"), node.metric("bellhop_spool_entries")), (0.0, 0.0));
    let after = hand_off(&node, "after").expect("an agent");
    for key in [&before, &away, &again, &after] {
        assert!(shows(&node, key));
    }
    until("every call is listed", || calls(&node, "list", &["--json"]).lines().count() == 4);
    let database = url.rsplit('/').next().expect("a name");
    for (table, rows) in [("session_histories", "4"), ("calls_under_way", "0"), ("writes_in_flight", "0")] {
        assert_eq!(cluster.psql(database, &format!("SELECT count(*) FROM {table}")), rows, "{table}");
    }
    let listed = calls(&node, "list", &["--json", "--ended", "assistant_transfer", "--from", "+1 206 555 0100"]);
    assert_eq!(listed.lines().count(), 4, "{listed}");
    let latest: serde_json::Value = serde_json::from_str(listed.lines().next().expect("a line")).expect("JSON");
    let story = calls(&node, "show", &[latest["call"].as_str().expect("a name")]);
    assert!(story.contains("Wait."), "{story}");
    assert_eq!(calls(&node, "refused", &[]), "no call was refused since the server started\n");
    assert!(calls(&node, "hang-up", &["0123"]).contains("no call is up under `0123`"));
    let gone = calls(&node, "forget", &["+12065550100"]);
    assert!(gone.starts_with("deleted: 4 call records, 4 conversations"), "{gone}");
    assert!(!shows(&node, &after));
    let log = std::fs::read_to_string(node.folder.join("log")).expect("a log");
    assert!(log.contains("the database is away") && !log.contains(PASSWORD), "{log}");
}

#[test]
fn what_was_told_as_stored_while_the_database_was_away_outlives_a_kill() {
    let cluster = Cluster::own("killed");
    let url = cluster.database("calls");
    cluster.demand_password(PASSWORD);
    let mut node = start(&url);
    cluster.stop();
    let key = hand_off(&node, "away").expect("an agent, with a key");
    // The call's beginning and end, its history, and the note of the write that was struck out.
    until("all of it is on the disk", || node.metric("bellhop_spool_entries") >= 5.0);
    node.process.kill().expect("SIGKILL");
    node.process.wait().expect("dead");
    cluster.start();
    let (connect, _) = stand_in();
    let again = Node::serve(&node.folder.join("bellhop.toml"), node.folder.clone(), connect);
    assert!(shows(&again, &key));
    until("it is replayed", || !again.get("/readyz").contains("degraded"));
    assert!(shows(&again, &key));
    let database = url.rsplit('/').next().expect("a name");
    let tables =
        [("session_histories", "1"), ("call_records", "1"), ("calls_under_way", "0"), ("writes_in_flight", "0")];
    for (table, rows) in tables {
        assert_eq!(cluster.psql(database, &format!("SELECT count(*) FROM {table}")), rows, "{table}");
    }
    let listed = calls(&again, "list", &["--json", "--ended", "assistant_transfer"]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
}

#[test]
fn a_call_of_a_server_that_was_killed_is_listed_by_another_that_shares_the_database() {
    let cluster = Cluster::own("two-nodes");
    let url = cluster.database("calls");
    cluster.demand_password(PASSWORD);
    let (mut one, other) = (start(&url), start(&url));
    let database = url.rsplit('/').next().expect("a name");
    one.begin_call("c1", vec![]);
    let under_way = || cluster.psql(database, "SELECT count(*) FROM calls_under_way") == "1";
    until("the call is written down while it is up", under_way);
    one.process.kill().expect("SIGKILL");
    one.process.wait().expect("dead");
    // A lease passes in which the one is silent and the other is not.
    let later = "UPDATE servers SET steady_unix = 0; UPDATE servers SET seen_unix = 0
        WHERE name IN (SELECT server FROM calls_under_way)";
    cluster.psql(database, later);
    let lost = || calls(&other, "list", &["--json", "--ended", "failed"]);
    until("the other one lists it", || lost().contains("+18005550123"));
    let line: serde_json::Value = serde_json::from_str(&lost()).expect("one line of JSON");
    let story = calls(&other, "show", &[line["call"].as_str().expect("a name")]);
    assert!(story.contains("lost: the server ended while the call was up"), "{story}");
    assert_eq!(cluster.psql(database, "SELECT count(*) FROM calls_under_way"), "0");
}
