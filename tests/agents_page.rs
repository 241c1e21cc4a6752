//! The page of a conversation, asked as strangers, agents and programs ask it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bellhop_rehearsal::caller::Line;
use bellhop_rehearsal::flow::Stop;
use bellhop_sip::hop::Transport;
use serde_json::{Value, json};

#[path = "support/histories.rs"]
mod histories;
#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;
#[path = "support/rest.rs"]
#[allow(dead_code)] // each binary uses its part
mod rest;

use histories::{change, put, record};
use node::Node;
use rest::{Client, PASSWORD};

const PAGE: &str = "/loadAgentAppFrame.html?session_history_key=";

/// A node that believes a proxy on this machine in who asks.
fn behind_a_proxy(records: &str) -> Node {
    let with = |text: String| text.replace("[http]\n", "[http]\nbehind = [\"127.0.0.0/8\"]\n") + records;
    Node::changed(with).0
}

fn key(digit: char) -> String {
    digit.to_string().repeat(40)
}

/// Head and body of an answer.
fn asks(node: &Node, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(node.http).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: bellhop\r\nConnection: close\r\n{headers}");
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

fn from(node: &Node, address: &str, key: &str) -> (String, String) {
    asks(node, "GET", &format!("{PAGE}{key}"), &[("X-Forwarded-For", address)], "")
}

/// An answer without what differs by chance: what a nonce is, and when it was.
fn without_chance(head: &str, body: &str, key: &str) -> (Vec<String>, String) {
    let nonce = head.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce").to_owned();
    let plain = |text: &str| text.replace(&nonce, "NONCE").replace(key, "KEY");
    let mut lines: Vec<String> =
        head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:")).map(plain).collect();
    lines.sort();
    (lines, plain(body))
}

#[test]
fn what_cannot_be_read_is_one_page_whatever_the_reason() {
    let node = behind_a_proxy("");
    let (expired, used_up, mangled, late) = (key('a'), key('b'), key('c'), key('d'));
    for key in [&expired, &used_up, &mangled] {
        put(&node, key, "acme", &record(Some("acme")), Some(3));
    }
    change(&node, "expires_unix = unixepoch() - 1", &expired);
    change(&node, "reads_left = 0", &used_up);
    change(&node, "json = '{'", &mangled);
    let malformed = "g".repeat(40);
    for method in ["GET", "HEAD"] {
        for asked in ["", "&asked=3", "&asked=5", "&asked=99"] {
            let answers = [&expired, &used_up, &mangled, &malformed, &late, &key('e')].map(|key| {
                let (head, body) = asks(&node, method, &format!("{PAGE}{key}{asked}"), &[], "");
                assert!(head.starts_with("HTTP/1.1 404"), "{head}");
                without_chance(&head, &body, key)
            });
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
            let is_over = ["&asked=5", "&asked=99"].contains(&asked);
            assert!(method == "HEAD" || answers[0].1.contains("http-equiv=\"refresh\"") != is_over, "{answers:#?}");
        }
    }
    put(&node, &late, "acme", &record(Some("acme")), None);
    let (head, body) = from(&node, "192.0.2.1", &late);
    assert!(head.starts_with("HTTP/1.1 200") && body.contains("I want a loan"), "now it is here: {head}");
}

#[test]
fn reads_are_counted_and_audited_and_no_key_is_told_to_anybody() {
    let node = behind_a_proxy("[tenants.records]\nhistory_reads = 2\n");
    let lines = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())];
    let (_, stop) = node.call(Transport::Udp, "c-1", lines);
    assert!(matches!(stop, Stop::Queued { .. }), "{stop:?}");
    let key = node.connect.attributes("c-1")["sessionHistoryKey"].trim_start_matches('_').to_owned();
    let status = |address: &str| from(&node, address, &key).0.split(' ').nth(1).map(str::to_owned).expect("a status");
    assert_eq!(["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"].map(status), ["200"; 4], "a reload is no read");
    assert_eq!(["192.0.2.3", "192.0.2.1"].map(status), ["404"; 2], "it was read twice");
    let operator = Client::operator_by(&node, &[("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "https")]);
    assert_eq!(operator.get(&format!("/session-history/{key}")).status, 404, "over REST too");
    let audit = operator.get("/audit").body;
    let read: Vec<&Value> = audit["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|line| line["action"] == "session_history.read")
        .collect();
    let of = |line: &Value| (line["from"].clone(), line["name"].clone(), line["on"].is_string());
    let by = |from: &str| (json!(from), json!("the agent's page"), true);
    assert_eq!(read.iter().map(|line| of(line)).collect::<Vec<_>>(), [by("192.0.2.2"), by("192.0.2.1")], "{audit}");
    assert!(!audit.to_string().contains(&key), "{audit}");
    for file in ["log", "log-of-start"] {
        let log = std::fs::read_to_string(node.folder.join(file)).expect("a log");
        assert!(!log.contains(&key), "{log}");
    }
    let viewed = |log: String| log.matches("a conversation was viewed").count() == 2;
    node::until("the log says that it was viewed", || {
        std::fs::read_to_string(node.folder.join("log")).is_ok_and(viewed)
    });
}

#[test]
fn a_program_is_told_the_same_facts() {
    let node = Node::start("counting", "");
    put(&node, &key('a'), "acme", &record(Some("acme")), Some(1));
    let operator = Client::operator(&node);
    let shown = operator.get(&format!("/session-history/_{}", key('a'))).body;
    let conversation = &shown["conversation"];
    for field in ["caller", "dialled", "reason", "custom_data", "language", "time_zone", "transcript"] {
        assert_eq!(conversation[field], record(None)[field], "{field}");
    }
    assert!(from(&node, "192.0.2.1", &key('a')).0.starts_with("HTTP/1.1 404"), "it was read by REST");
}

/// Somebody of a tenant, who is invited and takes a password.
fn person(node: &Node, session: &[(&str, &str)], tenant: &str, login: &str) {
    let nobody = Client::new(node.http);
    let asked = json!({"login": login, "role": "agent", "tenant": tenant});
    let invited = nobody.ask("POST", "/invitations", session, asked);
    let link = invited.body["link"].as_str().unwrap_or_else(|| panic!("{invited:?}")).to_owned();
    let secret = link.split_once('#').expect("a secret").1.to_owned();
    let accepted = nobody.post("/invitations/accept", json!({"secret": secret, "login": login, "password": PASSWORD}));
    assert_eq!(accepted.status, 201, "{accepted:?}");
}

/// A conversation of a tenant whose agents sign in, and one of these; another tenant has one too.
struct Desk {
    node: Node,
    operator: Client,
    origin: String,
}

impl Desk {
    fn new() -> Self {
        let node = Node::start("counting", "");
        let (operator, session) = Client::operator_and_session(&node);
        let session: Vec<(&str, &str)> = session.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let origin = session.iter().find(|(name, _)| *name == "Origin").expect("an origin").1.to_owned();
        for (tenant, login) in [("guest", "ann"), ("other", "eve")] {
            let made = operator.makes("/tenants", json!({"name": tenant, "title": tenant, "plan": "plus"}));
            person(&node, &session, &made, login);
        }
        let mut of_guest = record(None);
        of_guest["readers"] = json!("agents");
        put(&node, &key('a'), "guest", &of_guest, None);
        Self { node, operator, origin }
    }

    /// The page, with a cookie.
    fn page(&self, cookie: &str) -> (String, String) {
        asks(&self.node, "GET", &format!("{PAGE}{}", key('a')), &[("Cookie", cookie)], "")
    }

    /// The head of what is answered to a form of ours, or of another site.
    fn sends(&self, path: &str, fields: &str, cookie: &str, (origin, site): (&str, &str)) -> String {
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        let headers = [kind, ("Origin", origin), ("Sec-Fetch-Site", site), ("Cookie", cookie)];
        asks(&self.node, "POST", path, &headers, &format!("session_history_key={}&{fields}", key('a'))).0
    }

    fn signs_in(&self, login: &str, password: &str) -> String {
        let fields = format!("login={login}&password={}", password.replace(' ', "+"));
        self.sends("/loadAgentAppSignIn", &fields, "", (&self.origin, "same-origin"))
    }

    fn cookie(&self, login: &str) -> String {
        let answer = self.signs_in(login, PASSWORD);
        assert!(answer.contains("SameSite=None; Secure; Partitioned"), "{answer}");
        let line = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:")).expect("a cookie");
        line.split([' ', ';']).nth(1).expect("a pair").to_owned()
    }
}

#[test]
fn where_a_tenant_wants_it_its_agents_sign_in_and_nobody_elses() {
    let desk = Desk::new();
    let (head, body) = desk.page("");
    assert!(head.starts_with("HTTP/1.1 200") && body.contains("type=\"password\""), "{head}");
    assert!(!body.contains("loan") && !body.contains("+12065550100"), "{body}");
    let wrong = desk.signs_in("ann", "not this");
    assert!(
        wrong.starts_with("HTTP/1.1 303") && wrong.contains("&wrong=1") && !wrong.contains("set-cookie"),
        "{wrong}"
    );
    let (ann, eve) = (desk.cookie("ann"), desk.cookie("eve"));
    // Who is served knows of new tenants within seconds.
    node::until("the node knows the tenant", || desk.page(&ann).0.starts_with("HTTP/1.1 200"));
    let (head, body) = desk.page(&ann);
    assert!(body.contains("I want a loan") && head.contains("form-action 'self'"), "{head}");
    let (head, body) = desk.page(&eve);
    let none = asks(&desk.node, "GET", &format!("{PAGE}{}", key('b')), &[("Cookie", &eve)], "");
    let none = without_chance(&none.0, &none.1, &key('b'));
    assert_eq!(without_chance(&head, &body, &key('a')), none, "another tenant's is told what everybody is");
    let rest = Client::new(desk.node.http).ask("GET", "/tokens", &[("Cookie", &ann)], Value::Null);
    assert_eq!(rest.status, 401, "the cookie is of this page alone");
    let audit = desk.operator.get("/audit").body.to_string();
    assert!(audit.contains("\"name\":\"ann\"") && audit.contains("session_history.read"), "{audit}");
}

#[test]
fn nobody_signs_in_or_out_at_the_page_but_by_its_own_forms() {
    let desk = Desk::new();
    let (ours, theirs) = ((desk.origin.as_str(), "same-origin"), ("https://evil.example", "cross-site"));
    let fields = format!("login=ann&password={}", PASSWORD.replace(' ', "+"));
    let refused = desk.sends("/loadAgentAppSignIn", &fields, "", theirs);
    assert!(refused.starts_with("HTTP/1.1 403") && !refused.contains("set-cookie"), "{refused}");
    let ann = desk.cookie("ann");
    node::until("the node knows the tenant", || desk.page(&ann).1.contains("I want a loan"));
    let token = desk.page(&ann).1.split("name=\"csrf_token\" value=\"").nth(1).expect("a token").to_owned();
    let right = format!("csrf_token={}", token.split('"').next().expect("its end"));
    for (fields, from) in [("csrf_token=AAAA", ours), ("", ours), (right.as_str(), theirs)] {
        assert!(desk.sends("/loadAgentAppSignOut", fields, &ann, from).starts_with("HTTP/1.1 403"), "{fields}");
    }
    assert!(desk.page(&ann).1.contains("I want a loan"));
    assert!(desk.sends("/loadAgentAppSignOut", &right, &ann, ours).starts_with("HTTP/1.1 303"));
    assert!(desk.page(&ann).1.contains("type=\"password\""));
}
