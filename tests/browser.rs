//! A tenant sets a line up in a real browser, by the keyboard alone, and a real call turns the page.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bellhop_rehearsal::caller::{Ended, Line};
use bellhop_rehearsal::connect::{AccessKey, Role};
use bellhop_sip::hop::Transport;
use serde_json::{Value, json};

#[path = "support/callers.rs"]
#[allow(dead_code)] // each binary uses its part
mod callers;
#[path = "support/histories.rs"]
#[allow(dead_code)] // each binary uses its part
mod histories;
#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;
#[path = "support/rest.rs"]
#[allow(dead_code)] // each binary uses its part
mod rest;

use callers::{Callers, plan};
use histories::{put, record};
use node::{INSTANCE, Node};
use rest::{Client, PASSWORD};

/// A browser and who drives it; both end with this.
struct Browser {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// Where cargo builds.
fn target() -> PathBuf {
    let built = std::env::current_exe().expect("a test has a file");
    built.ancestors().nth(3).expect("the folder that cargo builds into").to_owned()
}

impl Browser {
    /// A script of `tests/browser/`, and what it is told.
    fn start(script: &str, told: &str) -> Self {
        let packages = target().join("browser");
        assert!(packages.join("node_modules").exists(), "{} is not there: `make test` installs it", packages.display());
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser").join(script);
        let mut process = Command::new("node")
            .arg(script)
            .arg(&packages)
            .arg(told)
            .arg(packages.join("pictures"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { process, lines }
    }

    /// What it asks for, or that it is done.
    fn asks(&mut self) -> (String, Value) {
        let line = self.lines.next().expect("it goes on").expect("text");
        let (word, about) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        (word.to_owned(), serde_json::from_str(about).unwrap_or_else(|error| panic!("{line}: {error}")))
    }

    fn answers(&mut self, answer: &Value) {
        let stdin = self.process.stdin.as_mut().expect("piped");
        writeln!(stdin, "{answer}").expect("it reads");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port of the system, given back at once: nobody else asks for one by this number.
fn free_port() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

/// The key by which the node assumes roles.
fn own_key() -> AccessKey {
    AccessKey { id: "AKIAOURS".into(), secret: "our-secret".into() }
}

/// A node whose pages are opened by the address that they know themselves by, and which may assume roles.
fn start() -> (Node, String) {
    let port = free_port();
    Node::changed(|text| {
        let sts = text.split("endpoint_url = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("one");
        let AccessKey { id, secret } = own_key();
        let aws = format!(
            "[aws]\naccess_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\nsts_endpoint_url = \"{sts}\"\n[storage]\n"
        );
        let text = text.replacen("[storage]\n", &aws, 1);
        let text = text.replace("[http]\nlisten = \"127.0.0.1:0\"", &format!("[http]\nlisten = \"{port}\""));
        text.replacen("[sip]\n", "[sip]\npublic_name = \"sip.bellhop.example\"\n", 1)
    })
}

#[test]
fn a_line_is_set_up_in_a_browser_by_the_keyboard_alone() {
    let (node, connect) = start();
    let claim = std::fs::read_to_string(node.folder.join("operator-claim")).expect("a link").trim().to_owned();
    let mut browser = Browser::start("wizard.mjs", &claim);
    let (wrong, pages) = loop {
        let (word, about) = browser.asks();
        let answer = match word.as_str() {
            // The account of the test is not Amazon's.
            "key" => json!({"arn": INSTANCE, "id": "AKIATEST", "secret": "secret", "endpoint": connect}),
            "role" => {
                let external_id = about["external_id"].as_str().expect("one").to_owned();
                let (arn, trusts) = ("arn:aws:iam::111122223333:role/bellhop".to_owned(), own_key().id);
                let allows = vec!["connect:UpdateContactAttributes"];
                let lives = Duration::from_secs(3600);
                node.connect.allow(own_key(), &["sts:AssumeRole"]);
                node.connect.add_role(Role { arn: arn.clone(), external_id, trusts, allows, lives });
                json!({"role": arn})
            }
            "call" => {
                let mut call = plan(&node, Transport::Udp, about["number"].as_str().expect("a number"), 7);
                call.lines = vec![Line::AtOnce(Duration::ZERO), Line::HangUp];
                let ended = Callers::place(std::iter::once(call)).reports().remove(0).ended;
                assert_eq!(ended, Ended::ByCaller);
                json!({})
            }
            _ => break (about["wrong"].clone(), about["pages"].clone()),
        };
        browser.answers(&answer);
    };
    assert_eq!(wrong, json!([]), "{pages}");
    let pages: Vec<&str> = pages.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let guide = include_str!("../docs/setup-amazon-connect.md");
    let shown = guide.split("(pictures/").skip(1).filter_map(|rest| rest.split(".png)").next());
    for picture in shown {
        assert!(pages.contains(&picture), "the guide shows {picture}, which is none of {pages:?}");
    }
}

#[test]
fn an_agent_reads_a_conversation_in_a_browser_and_in_the_frame_of_another_site() {
    let (port, embedder) = (free_port(), free_port());
    let (node, _) = Node::changed(|text| {
        let (here, there) = (format!("http://localhost:{}", port.port()), format!("http://{embedder}"));
        let http = format!("[http]\nlisten = \"{port}\"\npublic_url = \"{here}\"");
        let text = text.replace("[http]\nlisten = \"127.0.0.1:0\"", &http);
        let framed = format!("name = \"acme\"\ntime_zone = \"Europe/London\"\nframe_ancestors = [\"{there}\"]\n");
        text.replacen("name = \"acme\"\n", &framed, 1)
    });
    let lines = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())];
    node.call(Transport::Udp, "c-1", lines);
    let key = node.connect.attributes("c-1")["sessionHistoryKey"].clone();
    Client::operator(&node);
    let mut for_agents = record(Some("acme"));
    for_agents["readers"] = json!("agents");
    let agents = "a".repeat(40);
    put(&node, &agents, "acme", &for_agents, None);
    let told = json!({
        "root": format!("http://localhost:{}", port.port()), "embedder": embedder.port(), "key": key, "agents": agents,
        "login": "root", "password": PASSWORD,
    });
    let mut browser = Browser::start("agent.mjs", &told.to_string());
    let (wrong, pages) = loop {
        match browser.asks() {
            (word, about) if word == "put" => {
                put(&node, about["key"].as_str().expect("a key"), "acme", &record(Some("acme")), None);
                browser.answers(&json!({}));
            }
            (_, about) => break (about["wrong"].clone(), about["pages"].clone()),
        }
    };
    assert_eq!(wrong, json!([]), "{pages}");
    assert_eq!(pages, json!(["agent", "agent_searched", "agent_none", "agent_sign_in", "agent_sign_in_wrong"]));
}

#[test]
fn calls_are_watched_in_a_browser_and_ended_there() {
    let port = free_port();
    let (node, _) = Node::changed(|text| {
        let text = text.replace("[http]\nlisten = \"127.0.0.1:0\"", &format!("[http]\nlisten = \"{port}\""));
        // The assistant speaks again soon where the caller is silent.
        let often = "[tenants.conversation]\npost_response_timeout_ms = 1000\n";
        format!("{text}{often}[tenants.recording]\nfolder = \"recordings\"\n")
    });
    Client::operator(&node);
    let told = json!({"root": format!("http://{port}"), "login": "root", "password": PASSWORD});
    let mut browser = Browser::start("calls.mjs", &told.to_string());
    let mut caller = None;
    let (wrong, pages) = loop {
        let (word, about) = browser.asks();
        match word.as_str() {
            "call" => {
                let mut call = plan(&node, Transport::Udp, "+18005550123", 7);
                call.lines = vec![Line::Press("5".into())];
                let number = call.caller.clone();
                caller = Some(Callers::place(std::iter::once(call)));
                browser.answers(&json!({"caller": number}));
            }
            "ended" => {
                let ended = caller.take().expect("it called").reports().remove(0).ended;
                assert!(matches!(ended, Ended::ByGateway(_)), "{ended:?}");
                browser.answers(&json!({}));
            }
            _ => break (about["wrong"].clone(), about["pages"].clone()),
        }
    };
    assert_eq!(wrong, json!([]), "{pages}");
    assert_eq!(pages, json!(["calls_none", "calls_up", "call_up", "call_over", "calls_found"]));
}
