//! Where HTTP is heard: pages and REST by TLS of their own or behind a proxy, health and metrics apart.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;
#[path = "support/rest.rs"]
#[allow(dead_code)] // each binary uses its part
mod rest;

use node::{Node, config, folder, stand_in, until, write_certificate};
use rest::Client;

/// A node whose section `[http]` says this.
fn start(http: &str, more: &str) -> Node {
    let (connect, connect_at) = stand_in();
    let folder = folder();
    let path = config(&folder, connect_at, "counting", more);
    let text = std::fs::read_to_string(&path).expect("written");
    std::fs::write(&path, text.replace("[http]\nlisten = \"127.0.0.1:0\"\n", http)).expect("written");
    Node::serve(&path, folder, connect)
}

/// What is answered by somebody with a certificate of this authority: the status, or nothing.
fn curl(authority: &Path, url: &str) -> Option<String> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"]).arg(authority).arg(url);
    let output = curl.output().expect("curl is installed: see README");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn pages_speak_tls_and_their_certificate_is_replaced_while_they_serve() {
    let tls = "[http]\nlisten = \"127.0.0.1:0\"\n[http.tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n";
    let node = start(tls, "");
    let (url, file) =
        (|path: &str| format!("https://localhost:{}{path}", node.http.port()), |name: &str| node.folder.join(name));
    std::fs::copy(file("certificate.pem"), file("first.pem")).expect("copied");
    assert_eq!(curl(&file("first.pem"), &url("/healthz")), Some("200".into()));
    assert_eq!(curl(&file("first.pem"), &url("/api/v1/tenants")), Some("401".into()));
    assert_eq!(curl(&file("first.pem"), &format!("http://localhost:{}/healthz", node.http.port())), None, "TLS alone");
    write_certificate(&node.folder);
    std::fs::copy(file("certificate.pem"), file("second.pem")).expect("copied");
    kill(Pid::from_raw(node.process.id() as i32), Signal::SIGHUP).expect("the process is there");
    until("the new certificate serves", || curl(&file("second.pem"), &url("/healthz")).is_some());
    assert_eq!(curl(&file("first.pem"), &url("/healthz")), None);
    std::fs::write(file("certificate.pem"), "nonsense").expect("written");
    kill(Pid::from_raw(node.process.id() as i32), Signal::SIGHUP).expect("the process is there");
    let log = || std::fs::read_to_string(file("log")).expect("a log");
    until("a bad certificate is told by its key", || log().contains("http.tls.certificate: "));
    assert_eq!(curl(&file("second.pem"), &url("/healthz")), Some("200".into()), "the one before goes on");
}

#[test]
fn metrics_are_where_strangers_do_not_come() {
    let node = start("[http]\nlisten = \"0.0.0.0:0\"\npublic_url = \"https://bellhop.example\"\n", "");
    let log = std::fs::read_to_string(node.folder.join("log")).unwrap_or_default();
    assert!(
        node.get("/healthz").starts_with("HTTP/1.1 200") && node.get("/metrics").starts_with("HTTP/1.1 404"),
        "{log}"
    );
    let mut check = Command::new(env!("CARGO_BIN_EXE_bellhop"));
    let told =
        check.args(["check", "--config"]).arg(node.folder.join("bellhop.toml")).output().expect("the binary runs");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("name a listener for it in operations.listen"), "{told}");
    let public = "[http]\nlisten = \"0.0.0.0:0\"\npublic_url = \"https://bellhop.example\"\n";
    // A tenant whose number is another's is skipped, and named where the metrics are alone.
    let skipped = "[[tenants]]\nname = \"bad\"\nnumbers = [\"+18005550123\"]\n[tenants.assistant]\nkind = \"scripted\"\nscript = \"script.yaml\"\n[tenants.speech_to_text]\nkind = \"counting\"\n[tenants.text_to_speech]\nkind = \"flite\"\n";
    let more = format!("{skipped}[serve]\nskip_bad_tenants = true\n[operations]\nlisten = \"127.0.0.1:0\"\n");
    let node = start(public, &more);
    assert!(node.get("/metrics").starts_with("HTTP/1.1 404"));
    let ready = node.get("/readyz");
    assert!(ready.ends_with("ready\ntenants not served: 1\n") && !ready.contains("bad"), "{ready}");
    let apart = node.metrics.expect("the server says where");
    for path in ["/metrics", "/healthz", "/readyz"] {
        let told = curl(&node.folder.join("certificate.pem"), &format!("http://{apart}{path}"));
        assert_eq!(told, Some("200".into()), "{path}");
    }
    let told = curl(&node.folder.join("certificate.pem"), &format!("http://{apart}/api/v1/tenants"));
    assert_eq!(told, Some("404".into()), "nothing else is there");
}

/// What a proxy says is believed of one that is listed, and of nobody else.
#[test]
fn who_asks_by_a_proxy_is_who_it_says() {
    let sign_in = |node: &Node, headers: &[(&str, &str)]| {
        let body = json!({"login": "nobody", "password": "whatever it may be"});
        Client::new(node.http).ask("POST", "/sign-in", headers, body).status
    };
    let by_tls = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")];
    let in_the_clear = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "http")];
    let node = start("[http]\nlisten = \"127.0.0.1:0\"\nbehind = [\"127.0.0.0/8\"]\n", "");
    assert_eq!((sign_in(&node, &by_tls), sign_in(&node, &in_the_clear)), (401, 403));
    let client = Client::operator_by(&node, &by_tls);
    let noted = || {
        client.get("/audit").body["items"]
            .as_array()
            .is_some_and(|lines| lines.iter().any(|line| line["from"] == "203.0.113.9"))
    };
    assert!(noted(), "{:?}", client.get("/audit").body);
    let bearer = format!("Bearer {}", client.token());
    let shows = |proxy: [(&str, &str); 2]| {
        let headers = [proxy[0], proxy[1], ("Authorization", &bearer)];
        Client::new(node.http).ask("GET", "/tenants", &headers, Value::Null).status
    };
    assert_eq!((shows(by_tls), shows(in_the_clear)), (200, 403), "no token in the clear");
}
