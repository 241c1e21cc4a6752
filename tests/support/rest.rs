//! REST of a node, asked as a program asks it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::node::{Node, until};

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

/// Somebody who asks.
pub(crate) struct Client {
    at: SocketAddr,
    headers: Vec<(String, String)>,
}

pub(crate) const PASSWORD: &str = "a secret of the operators";

impl Client {
    /// Nobody yet.
    pub(crate) fn new(at: SocketAddr) -> Self {
        Self { at, headers: vec![] }
    }

    /// Whoever opens the link that the start of a node left becomes its operator, and makes a token.
    pub(crate) fn operator(node: &Node) -> Self {
        Self::operator_by(node, &[])
    }

    /// The same by a proxy that says this.
    pub(crate) fn operator_by(node: &Node, proxy: &[(&str, &str)]) -> Self {
        Self::signed_in_by(node, proxy).0
    }

    /// The same, and what its session shows.
    pub(crate) fn operator_and_session(node: &Node) -> (Self, Vec<(String, String)>) {
        Self::signed_in_by(node, &[])
    }

    fn signed_in_by(node: &Node, proxy: &[(&str, &str)]) -> (Self, Vec<(String, String)>) {
        let link = std::fs::read_to_string(node.folder.join("operator-claim")).expect("a link");
        Self::by_link(node, &link, "root", proxy)
    }

    fn by_link(node: &Node, link: &str, login: &str, proxy: &[(&str, &str)]) -> (Self, Vec<(String, String)>) {
        let origin = link.trim().split("/claim#").next().expect("an address").to_owned();
        let secret = link.trim().split_once("/claim#").expect("a link").1.to_owned();
        let mut client = Self::new(node.http);
        client.headers = proxy.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let body = json!({"secret": secret, "login": login, "password": PASSWORD});
        let signed_in = client.ask("POST", "/invitations/accept", &[], body);
        assert_eq!(signed_in.status, 201, "{signed_in:?}");
        let cookie = signed_in.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie");
        let csrf_token = signed_in.body["csrf_token"].as_str().expect("a token");
        let session = [("Cookie", cookie), ("X-CSRF-Token", csrf_token), ("Origin", origin.as_str())];
        let made = client.ask("POST", "/tokens", &session, json!({"name": "test"}));
        assert_eq!(made.status, 201, "{made:?}");
        let token = made.body["token"].as_str().expect("it is shown once");
        client.headers.insert(0, ("Authorization".into(), format!("Bearer {token}")));
        (client, session.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }

    /// Another operator, by a link that `bellhop operator invite` prints.
    pub(crate) fn invited(node: &Node) -> Self {
        let invite = std::process::Command::new(env!("CARGO_BIN_EXE_bellhop"))
            .args(["operator", "invite", "--config"])
            .arg(node.folder.join("bellhop.toml"))
            .output()
            .expect("it runs");
        let link = String::from_utf8(invite.stdout).expect("text");
        Self::by_link(node, &link, "second", &[]).0
    }

    /// The token that it shows.
    pub(crate) fn token(&self) -> &str {
        self.headers[0].1.trim_start_matches("Bearer ")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], Value::Null)
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, &[], body)
    }

    /// Makes something, and says what it is called.
    pub(crate) fn makes(&self, path: &str, body: Value) -> String {
        let made = self.post(path, body);
        assert_eq!(made.status, 201, "{made:?}");
        made.id()
    }

    /// Changes something as it is now.
    pub(crate) fn patches(&self, path: &str, body: Value) -> Answer {
        let seen = self.get(path);
        let etag = seen.header("etag").unwrap_or_else(|| panic!("{seen:?}")).to_owned();
        let json = ("Content-Type", "application/merge-patch+json");
        self.ask("PATCH", path, &[("If-Match", &etag), json], body)
    }

    pub(crate) fn deletes(&self, path: &str) {
        let seen = self.get(path);
        let etag = seen.header("etag").unwrap_or_else(|| panic!("{seen:?}")).to_owned();
        let gone = self.ask("DELETE", path, &[("If-Match", &etag)], Value::Null);
        assert_eq!(gone.status, 204, "{gone:?}");
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.ask_with(method, path, headers, "application/json", &text)
    }

    pub(crate) fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        media_type: &str,
        body: &str,
    ) -> Answer {
        let mut head = format!("{method} /api/v1{path} HTTP/1.1\r\nHost: bellhop\r\nConnection: close\r\n");
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "Content-Type") {
            head += &format!("Content-Type: {media_type}\r\n");
        }
        let mut stream = TcpStream::connect(self.at).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    /// Waits until every node serves an integration as it is kept.
    pub(crate) fn waits_for(&self, integration: &str) {
        until("every node serves it", || {
            let told = self.get(&format!("/integrations/{integration}/applied")).body;
            let (by, of) = (&told["applied"]["by"], &told["applied"]["of"]);
            by == of && *of != json!(0) && told["not_applied"] == json!([])
        });
    }
}
