//! REST of the real binary: from the link of its first start to a caller who is handed over to an agent.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bellhop_rehearsal::caller::{Ended, Line};
use bellhop_rehearsal::flow::Stop;
use bellhop_sip::hop::Transport;
use serde_json::{Value, json};

#[path = "support/callers.rs"]
#[allow(dead_code)] // each binary uses its part
mod callers;
#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;
#[path = "support/postgres.rs"]
#[allow(dead_code, unreachable_pub)]
mod postgres;
#[path = "support/rest.rs"]
#[allow(dead_code)] // each binary uses its part
mod rest;

use callers::{Callers, plan};
use node::{INSTANCE, Node, SCRIPT, on_database, stand_in, until};
use postgres::Cluster;
use rest::{Client, PASSWORD};

const NUMBER: &str = "+18005550200";
const KEY: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";

fn start() -> (Node, String) {
    Node::changed(|text| text)
}

/// A tenant with an integration and a number, and what they are called.
struct Made {
    tenant: String,
    assistant: String,
    integration: String,
    number: String,
}

fn make(client: &Client, connect: &str, key: &str) -> Made {
    let tenant = client.makes("/tenants", json!({"name": "guest", "plan": "plus"}));
    let of = |path: &str| format!("{path}?tenant={tenant}");
    let script = SCRIPT.replace("topic: loan", "topic: first");
    let settings = json!({"kind": "scripted", "script_text": script});
    let assistant = client.makes(&of("/assistants"), json!({"name": "script", "settings": settings}));
    let service = |name: &str, port: &str, kind: &str| {
        client.makes(&of("/services"), json!({"name": name, "settings": {"port": port, "kind": kind}}))
    };
    let (hears, speaks) = (service("ears", "speech_to_text", "counting"), service("voice", "text_to_speech", "flite"));
    let settings = json!({
        "assistant": [assistant], "speech_to_text": [hears], "text_to_speech": [speaks],
        "connect": {
            "instance_arn": INSTANCE, "endpoint_url": connect, "access_key_id": "AKIATEST", "secret_access_key": key,
        },
    });
    let integration = client.makes(&of("/integrations"), json!({"name": "phone", "settings": settings}));
    let number = client.makes(&of("/numbers"), json!({"number": NUMBER, "integration": integration}));
    client.waits_for(&integration);
    Made { tenant, assistant, integration, number }
}

/// What lands in the contact of a caller who asks for an agent.
fn hand_off(node: &Node, contact: &str) -> std::collections::BTreeMap<String, String> {
    let stop = node.connect.contact_arrives(contact, "+12065550100", NUMBER).expect("the flow runs");
    let Stop::Transferring { user_to_user } = stop else { panic!("{stop:?}") };
    let mut call = plan(node, Transport::Udp, NUMBER, 7);
    call.headers = node.connect.headers(contact, &user_to_user);
    call.lines = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())];
    let ended = Callers::place(std::iter::once(call)).reports().remove(0).ended;
    assert!(matches!(ended, Ended::ByGateway(_)), "{ended:?}");
    node.connect.attributes(contact).into_iter().collect()
}

fn calls(node: &Node) -> Ended {
    let mut call = plan(node, Transport::Udp, NUMBER, 7);
    call.lines = vec![Line::AtOnce(Duration::ZERO), Line::HangUp];
    Callers::place(std::iter::once(call)).reports().remove(0).ended
}

#[test]
fn from_the_link_of_the_first_start_a_tenant_is_set_up_called_changed_and_deleted() {
    let (node, connect) = start();
    assert_eq!(Client::new(node.http).get("/tenants").status, 401);
    let client = Client::operator(&node);
    let made = make(&client, &connect, "secret");
    let attributes = hand_off(&node, "c1");
    assert_eq!(attributes["topic"], "first");
    let conversation = client.get(&format!("/session-history/{}", attributes["SessionHistoryKey"]));
    assert_eq!((conversation.status, &conversation.body["tenant"]), (200, &json!("guest")), "{conversation:?}");
    let list = || client.get(&format!("/calls?tenant={}", made.tenant)).body["items"].clone();
    until("the call is listed", || list().as_array().is_some_and(|items| items.len() == 1));
    let call = list()[0]["id"].as_str().expect("a name").to_owned();
    let record = client.get(&format!("/calls/{call}"));
    assert_eq!(record.body["details"]["call"]["end_reason"], "assistant_transfer", "{record:?}");

    let script = SCRIPT.replace("topic: loan", "topic: second");
    let path = format!("/assistants/{}", made.assistant);
    assert_eq!(client.patches(&path, json!({"settings": {"script_text": script}})).status, 200);
    client.waits_for(&made.integration);
    assert_eq!(hand_off(&node, "c2")["topic"], "second");
    let number = format!("/numbers/{}", made.number);
    until("its first call is noted", || client.get(&number).body["first_call_at"].is_string());
    let bad = client.patches(&path, json!({"settings": {"script_text": "start: nowhere"}}));
    assert_eq!((bad.status, &bad.body["errors"][0]["pointer"]), (422, &json!("#/settings/script_text")), "{bad:?}");

    let tenant = format!("/tenants/{}", made.tenant);
    assert_eq!(client.patches(&tenant, json!({"state": "suspended"})).status, 200);
    until("it is suspended", || calls(&node) == Ended::Refused(403));
    assert_eq!(client.patches(&tenant, json!({"state": "active"})).status, 200);
    client.waits_for(&made.integration);
    assert_eq!(calls(&node), Ended::ByCaller);
    refused_calls_are_told(&node, &client, &made);
    client.deletes(&tenant);
    until("it is gone", || calls(&node) == Ended::Refused(403));
    for path in [tenant, path, format!("/numbers/{}", made.number)] {
        assert_eq!(client.get(&path).status, 404, "{path}");
    }
    let audit = client.get("/audit").body;
    let actions: Vec<&str> =
        audit["items"].as_array().expect("lines").iter().filter_map(|line| line["action"].as_str()).collect();
    assert!(actions.starts_with(&["tenant.delete"]) && actions.contains(&"token.add"), "{actions:?}");
}

/// A call to a number of nobody's is the operator's to see, one that its tenant's settings refuse the tenant's too.
fn refused_calls_are_told(node: &Node, client: &Client, made: &Made) {
    let mut stranger = plan(node, Transport::Udp, "+18005559999", 7);
    stranger.lines = vec![Line::AtOnce(Duration::ZERO), Line::HangUp];
    for _ in 0..3 {
        Callers::place(std::iter::once(stranger.clone())).reports();
    }
    let elsewhere = json!({"settings": {"sip": {"sources": ["192.0.2.0/24"]}}});
    assert_eq!(client.patches(&format!("/integrations/{}", made.integration), elsewhere).status, 200);
    client.waits_for(&made.integration);
    assert_eq!(calls(node), Ended::Refused(403));
    let told = |query: &str| client.get(&format!("/refusals{query}")).body["items"].clone();
    let has = |items: &Value, reason: &str, count: u64| {
        items.as_array().is_some_and(|items| items.iter().any(|one| one["reason"] == reason && one["count"] == count))
    };
    until("three that are alike are one line", || has(&told(""), "nobodys_number", 3));
    let of_tenant = format!("?tenant={}", made.tenant);
    until("the tenant is told", || has(&told(&of_tenant), "not_from_there", 1));
    let items = told(&of_tenant);
    assert_eq!(items.as_array().map(Vec::len), Some(1), "a number of nobody's is nobody's: {items}");
    assert!(items[0]["what_to_do"].as_str().is_some_and(|told| told.contains("sip.sources")), "{items}");
}

#[test]
fn what_is_set_up_is_tried_out_before_anybody_calls() {
    let (node, connect) = start();
    let client = Client::operator(&node);
    let made = make(&client, &connect, "secret");
    let tested = client.post(&format!("/integrations/{}/test-connection", made.integration), Value::Null);
    assert_eq!(
        (tested.status, &tested.body["valid"], &tested.body["remedy"]),
        (200, &json!(true), &Value::Null),
        "{tested:?}"
    );
    let wrong = json!({"settings": {"connect": {"secret_access_key": "wrong"}}});
    let path = format!("/integrations/{}", made.integration);
    assert_eq!(client.patches(&path, wrong).status, 200);
    let again = client.post(&format!("{path}/test-connection"), Value::Null).body;
    assert!(
        again["valid"] == false && again["remedy"].is_string() && again["revision"] != tested.body["revision"],
        "{again}"
    );
    let replied = client.post(&format!("/assistants/{}/try", made.assistant), json!({})).body;
    assert_eq!(replied["responses"][0]["text"], "Hello.", "{replied}");
    let services = client.get(&format!("/services?tenant={}", made.tenant)).body;
    for service in services["items"].as_array().expect("items") {
        let tried = client.post(&format!("/services/{}/test", service["id"].as_str().expect("an id")), Value::Null);
        assert_eq!((tried.status, &tried.body["good"]), (200, &json!(true)), "{tried:?}");
    }
}

#[test]
fn the_link_is_good_once_and_a_second_start_prints_none() {
    let (mut node, _) = start();
    let link = std::fs::read_to_string(node.folder.join("operator-claim")).expect("a link");
    let client = Client::operator(&node);
    let secret = link.trim().split_once('#').expect("a link").1;
    let body = json!({"secret": secret, "login": "mallory", "password": PASSWORD});
    assert_eq!(Client::new(node.http).post("/invitations/accept", body).status, 404);
    let sign_in =
        |password: &str| Client::new(node.http).post("/sign-in", json!({"login": "root", "password": password}));
    assert_eq!((sign_in(PASSWORD).status, sign_in("something else entirely").status), (200, 401));
    std::fs::remove_file(node.folder.join("operator-claim")).expect("it was there");
    node.process.kill().expect("SIGKILL");
    node.process.wait().expect("dead");
    let (connect, _) = stand_in();
    let (path, folder) = (node.folder.join("bellhop.toml"), node.folder.clone());
    let again = Node::serve(&path, folder, connect);
    assert!(!again.folder.join("operator-claim").exists(), "there is an operator");
    let known = client.token().to_owned();
    let shown =
        Client::new(again.http).ask("GET", "/tenants", &[("Authorization", &format!("Bearer {known}"))], Value::Null);
    assert_eq!(shown.status, 200, "a token outlives a restart");
}

/// What a node says of itself is what it is, and an operator ends it as a signal does.
#[test]
fn an_operator_drains_a_server_and_it_ends() {
    let (mut node, _) = Node::changed(|text| text.replacen("[sip]", "[sip]\npublic_name = \"sip.bellhop.example\"", 1));
    let (client, session) = Client::operator_and_session(&node);
    let session: Vec<(&str, &str)> = session.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let nodes = || client.get("/nodes").body["items"].clone();
    until("it tells of itself", || nodes()[0]["this"] == true);
    let this = nodes()[0].clone();
    assert_eq!((&this["calls"], &this["draining"], &this["current"]), (&json!(0), &json!(false), &json!(true)));
    assert!(this["version"].as_str().is_some_and(|version| !version.is_empty()), "{this}");
    let address = client.get("/sip-address").body;
    let same = json!([{"host": "sip.bellhop.example", "port": address["port"]}]);
    assert_eq!((&address["host"], &address["nodes"]), (&json!("sip.bellhop.example"), &same), "{address}");
    let drain = |client: &Client, headers: &[(&str, &str)]| {
        client.ask("POST", "/nodes/this/drain", headers, Value::Null).status
    };
    assert_eq!(drain(&client, &[]), 403, "no token ends a server");
    assert_eq!(drain(&Client::new(node.http), &session), 204);
    until("it ends", || node.process.try_wait().expect("ours").is_some());
    assert!(node.process.wait().expect("over").success(), "as after a signal");
}

/// Whatever a test sets as a secret is in no file of the server, in no log, in no list of processes and in no answer.
#[test]
fn no_secret_is_found_again() {
    let (node, connect) = start();
    let client = Client::operator(&node);
    let made = make(&client, &connect, KEY);
    let link = std::fs::read_to_string(node.folder.join("operator-claim")).expect("a link");
    let secret = link.trim().split_once('#').expect("a link").1.to_owned();
    std::fs::remove_file(node.folder.join("operator-claim")).expect("it was there");
    let mut found = vec![client.get(&format!("/integrations/{}", made.integration)).body.to_string()];
    found.push(client.get("/audit").body.to_string());
    found.push(client.get("/tokens").body.to_string());
    let pid = node.process.id();
    for of_process in ["cmdline", "environ"] {
        found.push(
            String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/{of_process}")).expect("ours")).into_owned(),
        );
    }
    for file in std::fs::read_dir(&node.folder).expect("a folder") {
        let path = file.expect("a file").path();
        if path.is_file() {
            found.push(String::from_utf8_lossy(&std::fs::read(&path).expect("readable")).into_owned());
        }
    }
    assert!(found.len() > 8 && found.iter().any(|text| text.contains("guest")), "the database is among them");
    for (what, secret) in [("key", KEY), ("password", PASSWORD), ("token", client.token()), ("link", secret.as_str())] {
        assert!(!found.iter().any(|text| text.contains(secret)), "the {what} is there");
    }
}

/// What a command says beside a server that may be serving, and whether it is content.
fn bellhop(configuration: &Path, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
    let output = command.args(words).arg("--config").arg(configuration).output().expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

const ALL_OPEN: &str = "secrets that open: 2, that do not: 0\n";

/// A server beside which the command line works on a database.
struct Beside {
    node: Node,
    connect: String,
    /// Where its master key was made.
    key: PathBuf,
    /// Does what no program of ours would.
    change: Box<dyn Fn(&str)>,
}

fn on_sqlite() -> Beside {
    let (node, connect) = start();
    let database = node.folder.join("bellhop.db");
    let change = move |sql: &str| {
        let program = "import sqlite3,sys; c = sqlite3.connect(sys.argv[1], 20); c.execute(sys.argv[2]); c.commit()";
        let mut python = Command::new("python3");
        python.args(["-c", program]).arg(&database).arg(sql);
        assert!(python.status().expect("python3 runs").success(), "{sql}");
    };
    Beside { key: node.folder.join("bellhop.db.key"), change: Box::new(change), node, connect }
}

fn on_postgres() -> Beside {
    let cluster = Cluster::shared();
    let url = cluster.database("console");
    let (node, connect) = Node::changed(|text| on_database(&text, &url));
    let name = url.rsplit('/').next().expect("a name").to_owned();
    let change = move |sql: &str| drop(cluster.psql(&name, sql));
    Beside { key: node.folder.join("bellhop.key"), change: Box::new(change), node, connect }
}

#[test]
fn the_master_key_is_replaced_while_a_server_serves() {
    for Beside { mut node, connect, key, .. } in [on_sqlite(), on_postgres()] {
        make(&Client::operator(&node), &connect, "secret");
        let configuration = node.folder.join("bellhop.toml");
        assert_eq!(bellhop(&configuration, &["secrets", "check"]), (true, ALL_OPEN.into()));
        node.process.kill().expect("SIGKILL");
        node.process.wait().expect("dead");
        std::fs::rename(key, node.folder.join("old.key")).expect("renamed");
        std::fs::write(node.folder.join("new.key"), "7a".repeat(32)).expect("written");
        let text = std::fs::read_to_string(&configuration).expect("written");
        let says = |keys: &str| {
            std::fs::write(&configuration, text.replace("[storage]", &format!("[storage]\n{keys}"))).expect("written");
        };
        says("master_key = \"file:new.key\"\nprevious_master_key = \"file:old.key\"");
        let again = Node::serve(&configuration, node.folder.clone(), stand_in().0);
        assert_eq!(calls(&again), Ended::ByCaller, "it serves under both");
        let (good, told) = bellhop(&configuration, &["secrets", "rotate"]);
        assert!(good && told.contains("wrapped anew: 1, left as they were: 0"), "{told}");
        says("master_key = \"file:new.key\"");
        assert_eq!(bellhop(&configuration, &["secrets", "check"]), (true, ALL_OPEN.into()), "without the old one");
        says("master_key = \"file:old.key\"");
        let (good, told) = bellhop(&configuration, &["secrets", "check"]);
        assert!(!good && told.contains("is not the one that the secrets in the database were sealed under"), "{told}");
    }
}

#[test]
fn what_was_changed_in_the_database_is_named_and_an_operator_is_invited_from_the_machine() {
    for Beside { node, connect, change, .. } in [on_sqlite(), on_postgres()] {
        make(&Client::operator(&node), &connect, "secret");
        let configuration = node.folder.join("bellhop.toml");
        let (good, link) = bellhop(&configuration, &["operator", "invite", "--login", "second"]);
        let secret = link.trim().split_once("/claim#").expect("a link").1;
        let body = json!({"secret": secret, "password": PASSWORD});
        assert_eq!((good, Client::new(node.http).post("/invitations/accept", body).status), (true, 201));
        change(
            "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE path = 'connect.access_key_id')
            WHERE path = 'connect.secret_access_key'",
        );
        let (good, told) = bellhop(&configuration, &["secrets", "check"]);
        assert!(!good && told.contains("guest: connect.secret_access_key of "), "{told}");
        assert!(told.contains("secrets that open: 1, that do not: 1"), "{told}");
        let (good, told) = bellhop(&configuration, &["audit", "verify"]);
        assert!(good && told.starts_with("lines that are as they were written: "), "{told}");
        change("UPDATE audit SET name = 'somebody else' WHERE number = 3");
        let (good, told) = bellhop(&configuration, &["audit", "verify"]);
        assert!(!good && told.contains("line 3 of the audit was changed"), "{told}");
    }
}
