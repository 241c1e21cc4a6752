//! UpdateContactAttributes over HTTP: our client, and an independent signer, against the stand-in.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use bellhop_amazon_connect::{Client, Limiters};
use bellhop_connect::Connection;
use bellhop_connect::connection::{AccessKey as Key, Identity};
use bellhop_connect::handoff::WriteOutcome;
use bellhop_connect::ports::{AttributeBlanker, AttributeWriter};
use bellhop_rehearsal::connect::{AccessKey, Misbehaviour, StandIn};

const INSTANCE: &str = "arn:aws:connect:eu-west-2:111122223333:instance/abc";

fn stand_in() -> (StandIn, SocketAddr) {
    let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
    let stand_in = StandIn::new(INSTANCE.parse().expect("an ARN"), key, false);
    stand_in.contact_arrives("contact", "+1", "+2").expect("the sample flow runs");
    let address = stand_in.serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    (stand_in, address)
}

fn client(address: SocketAddr, secret: &str) -> Client {
    let identity = Identity::Key(Key { id: "AKIATEST".into(), secret: secret.into() });
    let (instance, endpoint_url) = (INSTANCE.parse().expect("an ARN"), Some(format!("http://{address}")));
    Client::new(&Connection { instance, identity, endpoint_url, private_networks: true }, &Limiters::default())
}

fn pairs() -> Vec<(String, String)> {
    vec![("topic".into(), "loan".into()), ("SessionHistoryKey".into(), "_abc".into())]
}

#[tokio::test]
async fn every_pair_is_written_in_one_request() {
    let (stand_in, address) = stand_in();
    assert_eq!(client(address, "secret").write("contact".into(), pairs()).await, WriteOutcome::Done);
    assert_eq!(stand_in.written().len(), 1);
    let attributes = stand_in.attributes("contact");
    assert_eq!((attributes["topic"].as_str(), attributes["SessionHistoryKey"].as_str()), ("loan", "_abc"));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_final() {
    for (status, kind, expected, requests) in [
        (429, "TooManyRequestsException", WriteOutcome::Done, 1),
        (503, "ServiceUnavailable", WriteOutcome::Done, 1),
        (500, "InternalServiceException", WriteOutcome::Done, 1),
        (400, "InvalidParameterException", WriteOutcome::Refused, 0),
        (403, "AccessDeniedException", WriteOutcome::Refused, 0),
    ] {
        let (stand_in, address) = stand_in();
        stand_in.misbehave(Misbehaviour::Refuse(status, kind));
        assert_eq!(client(address, "secret").write("contact".into(), pairs()).await, expected, "{status}");
        assert_eq!(stand_in.written().len(), requests, "{status}");
    }
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_contact_are_refused() {
    let (stand_in, address) = stand_in();
    assert_eq!(client(address, "wrong").write("contact".into(), pairs()).await, WriteOutcome::Refused);
    assert_eq!(client(address, "secret").write("nobody".into(), pairs()).await, WriteOutcome::Refused);
    let refused: Vec<u16> = stand_in.refused().iter().map(|(status, _)| *status).collect();
    assert_eq!(refused, [403, 404]);
}

#[tokio::test]
async fn nobody_at_the_endpoint_is_a_refusal_within_the_budget() {
    let free =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let limit = bellhop_amazon_connect::BUDGET + Duration::from_secs(2);
    let outcome = tokio::time::timeout(limit, client(free, "secret").write("contact".into(), pairs())).await;
    assert_eq!(outcome, Ok(WriteOutcome::Refused));
}

#[tokio::test]
async fn a_request_that_nobody_answers_is_uncertain_and_can_be_taken_back() {
    let (stand_in, address) = stand_in();
    for _ in 0..8 {
        stand_in.misbehave(Misbehaviour::CarryOutAndHang);
    }
    let client = client(address, "secret");
    assert_eq!(client.write("contact".into(), pairs()).await, WriteOutcome::Uncertain);
    assert_eq!(stand_in.attributes("contact")["SessionHistoryKey"], "_abc", "it had been carried out");
    // The rest of the misbehaviour is used up by blanking tries.
    for _ in 0..8 {
        let _ = tokio::time::timeout(
            Duration::from_millis(1700),
            client.blank("contact".into(), vec!["topic".into(), "SessionHistoryKey".into()]),
        )
        .await;
        if !stand_in.attributes("contact").contains_key("SessionHistoryKey") {
            assert!(!stand_in.attributes("contact").contains_key("topic"), "custom data is taken back with the key");
            return;
        }
    }
    panic!("the key is still there");
}

/// Signs with curl; `tamper` changes the body after it was signed, by sending it through a file that differs.
fn curl(address: SocketAddr, secret: &str, body: &str) -> String {
    let output = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--aws-sigv4", "aws:amz:eu-west-2:connect"])
        .args(["--user", &format!("AKIATEST:{secret}"), "-H", "Content-Type: application/json", "-d", body])
        .arg(format!("http://{address}/contact/attributes"))
        .output()
        .expect("curl is installed: see README");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const BODY: &str = r#"{"InstanceId":"abc","InitialContactId":"contact","Attributes":{"a":"b"}}"#;

#[test]
fn an_independent_signer_passes_and_what_the_api_refuses_is_refused() {
    let (stand_in, address) = stand_in();
    assert_eq!(curl(address, "secret", BODY), "200");
    assert_eq!(stand_in.attributes("contact")["a"], "b");
    assert_eq!(curl(address, "secreT", BODY), "403");
    for bad in [
        BODY.replace("\"a\"", "\"a b\""),
        BODY.replace("\"Attributes\"", "\"Attribute\""),
        BODY.replace("\"b\"", &format!("\"{}\"", "x".repeat(32_769))),
        BODY.replace("\"abc\"", "7"),
        "{".to_owned(),
    ] {
        assert_eq!(curl(address, "secret", &bad), "400", "{}", &bad[..bad.len().min(80)]);
    }
    assert_eq!(curl(address, "secret", &BODY.replace("\"abc\"", "\"other\"")), "404");
}

/// One flipped byte of a signed request is refused: the request curl signed is recorded and sent again, changed.
#[test]
fn one_flipped_byte_is_refused() {
    use std::io::{Read, Write};
    let (_, address) = stand_in();
    let recorder = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let recorded_at = recorder.local_addr().expect("bound");
    let recording = std::thread::spawn(move || {
        let (mut stream, _) = recorder.accept().expect("curl comes");
        let mut request = vec![];
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&request).ends_with(BODY) {
            let length = stream.read(&mut buffer).expect("a request");
            request.extend_from_slice(&buffer[..length]);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        request
    });
    curl(recorded_at, "secret", BODY);
    let request = String::from_utf8(recording.join().expect("recorded")).expect("text");
    let replay = |request: &str| {
        let mut stream = std::net::TcpStream::connect(address).expect("the stand-in");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = [0; 64];
        let length = stream.read(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer[..length]).split(' ').nth(1).unwrap_or_default().to_owned()
    };
    // The host header names the recorder: it was signed, so the request is good wherever it is sent.
    assert_eq!(replay(&request), "200");
    assert_eq!(replay(&request.replace("{\"a\":\"b\"}", "{\"a\":\"c\"}")), "403");
    assert_eq!(replay(&request.replacen("Signature=", "Signature=0", 1)), "403");
}
