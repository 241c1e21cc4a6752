//! Connections that a call came by, on the real binary: they are closed, and the BYE finds another way, or no key is written.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;

use node::{INSTANCE, Node};

/// A caller who speaks SIP over TCP by hand.
struct Caller {
    stream: BufReader<TcpStream>,
    contact: SocketAddr,
    call_id: String,
    to: String,
    cseq: u32,
}

impl Caller {
    /// Calls, and says that it is reached at `contact`.
    fn call(node: &Node, contact: SocketAddr, contact_id: &str) -> Self {
        let stream = TcpStream::connect(node.tcp).expect("SIP is served");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
        let to = "<sip:+18005550123@127.0.0.1>".to_owned();
        let call_id = format!("flow-{}-{contact_id}", contact.port());
        let mut this = Self { stream: BufReader::new(stream), contact, call_id, to, cseq: 1 };
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
        let headers = format!(
            "X-Amzn-ConnectInitialContactId: {contact_id}\r\nX-Amzn-SourceArn: {INSTANCE}\r\nContent-Type: application/sdp\r\n"
        );
        this.send("INVITE", &headers, sdp);
        let answer = loop {
            let response = this.read();
            assert!(!response.starts_with("SIP/2.0 4") && !response.starts_with("SIP/2.0 5"), "{response}");
            if response.starts_with("SIP/2.0 200") {
                break response;
            }
        };
        this.to = answer.lines().find_map(|line| line.strip_prefix("To: ")).expect("a To").to_owned();
        this.send("ACK", "", "");
        this.cseq += 1;
        this
    }

    fn send(&mut self, method: &str, headers: &str, body: &str) {
        let Self { contact, call_id, to, cseq, .. } = self;
        let text = format!(
            "{method} sip:+18005550123@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP {contact};branch=z9hG4bK{cseq}{method}\r\nMax-Forwards: 70\r\nFrom: <sip:+12065550100@127.0.0.1>;tag=far\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:caller@{contact};transport=tcp>\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(text.as_bytes()).expect("sent");
    }

    fn read(&mut self) -> String {
        read(&mut self.stream)
    }

    /// Presses the key that asks for an agent, and closes the connection once that is acknowledged.
    fn asks_for_an_agent_and_closes(mut self) {
        self.send("INFO", "Content-Type: application/dtmf-relay\r\n", "Signal=0\r\nDuration=160\r\n");
        while !self.read().starts_with("SIP/2.0 200") {}
    }
}

/// Reads one message.
fn read(stream: &mut BufReader<TcpStream>) -> String {
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).expect("a message") > 0, "the connection ended");
        if let Some(value) = line.strip_prefix("Content-Length:") {
            length = value.trim().parse().expect("a length");
        }
        text.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    text + &String::from_utf8_lossy(&body)
}

/// The value of `SessionHistoryKey`, once no call is left.
fn key_of(node: &Node, contact_id: &str) -> Option<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while node.metric("bellhop_calls_active{") != 0.0 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    node.connect.attributes(contact_id).get("SessionHistoryKey").filter(|key| !key.is_empty()).cloned()
}

#[test]
fn the_flow_was_closed_before_the_hand_off_and_the_bye_comes_to_the_contact() {
    let node = Node::start("counting", "");
    node.connect.contact_arrives("c1", "+12065550100", "+18005550123").expect("the flow runs");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let caller = Caller::call(&node, listener.local_addr().expect("an address"), "c1");
    caller.asks_for_an_agent_and_closes();
    let (stream, _) = listener.accept().expect("a connection of the server's own");
    let mut stream = BufReader::new(stream);
    let bye = read(&mut stream);
    assert!(bye.starts_with("BYE sip:caller@127.0.0.1"), "{bye}");
    assert!(bye.contains("text=\"handed off to agent\""), "{bye}");
    let field = |name: &str| bye.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    let answer: Vec<String> = ["Via", "From", "To", "Call-ID", "CSeq"].iter().map(|name| field(name)).collect();
    let answer = format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", answer.join("\r\n"));
    stream.get_mut().write_all(answer.as_bytes()).expect("answered");
    assert!(key_of(&node, "c1").is_some());
    assert_eq!(node.metric("bellhop_sip_byes_unanswered_total"), 0.0);
}

/// The case "the flow was closed before the hand-off".
#[test]
fn the_flow_was_closed_before_the_hand_off_and_nobody_listens() {
    let node = Node::start("counting", "");
    node.connect.contact_arrives("c1", "+12065550100", "+18005550123").expect("the flow runs");
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    Caller::call(&node, nobody, "c1").asks_for_an_agent_and_closes();
    assert_eq!(key_of(&node, "c1"), None);
    node.wait_for("bellhop_sip_byes_unanswered_total", 1.0);
}
