//! *Test connection* against the stand-ins of Amazon Connect and STS, by the adapter that serves it: every cause is told
//! apart, and nothing is ever written.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use bellhop_amazon_connect::{Client, Limiters, TEST_MAX, Tester};
use bellhop_connect::Connection;
use bellhop_connect::connection::{AccessKey, AssumedRole, Identity, session_name};
use bellhop_connect::connection_test::{Cause, ConnectionReport, InstanceSeen, Outcome};
use bellhop_connect::handoff::WriteOutcome;
use bellhop_connect::ports::{AttributeWriter, ConnectionTester};
use bellhop_rehearsal::connect::{ACTIONS, AccessKey as Key, Misbehaviour, Role, StandIn};

const INSTANCE: &str = "arn:aws:connect:eu-west-2:111122223333:instance/abc";
const ROLE: &str = "arn:aws:iam::111122223333:role/bellhop";
const EXTERNAL_ID: &str = "bellhop-7f3a/1";
const UPDATE: &str = "connect:UpdateContactAttributes";

/// The key of the tenant's account.
fn tenants_key() -> Key {
    Key { id: "AKIATEST".into(), secret: "secret".into() }
}

/// Our own key, that assumes roles.
fn our_key() -> Key {
    Key { id: "AKIAOURS".into(), secret: "our-secret".into() }
}

/// A stand-in with a key that may do everything, and a role that trusts ours.
fn stand_in() -> (StandIn, SocketAddr) {
    let stand_in = StandIn::new(INSTANCE.parse().expect("an ARN"), tenants_key(), false);
    stand_in.allow(our_key(), &["sts:AssumeRole"]);
    stand_in.add_role(role(vec![UPDATE], Duration::from_secs(3600)));
    let address = stand_in.serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    (stand_in, address)
}

fn role(allows: Vec<&'static str>, lives: Duration) -> Role {
    let (external_id, trusts) = (EXTERNAL_ID.to_owned(), our_key().id);
    Role { arn: ROLE.to_owned(), external_id, trusts, allows, lives }
}

fn by_key(endpoint_url: String, id: &str, secret: &str) -> Connection {
    let key = AccessKey { id: id.to_owned(), secret: secret.to_owned() };
    let instance = INSTANCE.parse().expect("an ARN");
    Connection { instance, identity: Identity::Key(key), endpoint_url: Some(endpoint_url), private_networks: true }
}

fn good(address: SocketAddr) -> Connection {
    by_key(format!("http://{address}"), "AKIATEST", "secret")
}

fn by_role(address: SocketAddr, change: impl FnOnce(&mut AssumedRole)) -> Connection {
    let Key { id, secret } = our_key();
    let mut role = AssumedRole {
        arn: ROLE.parse().expect("an ARN"),
        external_id: EXTERNAL_ID.to_owned(),
        session_name: session_name("acme"),
        caller: AccessKey { id, secret },
        sts_region: None,
        sts_endpoint_url: Some(format!("http://{address}")),
    };
    change(&mut role);
    Connection { identity: Identity::Role(role), ..good(address) }
}

async fn test(connection: Connection) -> ConnectionReport {
    Tester::new(&Limiters::default()).test(connection).await
}

fn cause(report: &ConnectionReport) -> &Cause {
    match &report.outcome {
        Outcome::Invalid { cause, .. } => cause,
        valid => panic!("{valid}"),
    }
}

fn seen(report: &ConnectionReport) -> &InstanceSeen {
    match &report.outcome {
        Outcome::Valid { instance } => instance,
        invalid => panic!("{invalid}"),
    }
}

fn asked(report: &ConnectionReport) -> Vec<String> {
    report.requests.iter().map(|request| format!("{}: {}", request.action, request.answered)).collect()
}

#[tokio::test]
async fn what_the_documentation_allows_is_valid_and_nothing_is_written() {
    let (stand_in, address) = stand_in();
    let report = test(good(address)).await;
    assert_eq!(seen(&report), &InstanceSeen::Active);
    let id = &good(address).instance.instance_id;
    assert_eq!(report.access_url, Some(format!("https://{id}.my.connect.aws")));
    assert_eq!(
        asked(&report),
        ["UpdateContactAttributes: 404 ResourceNotFoundException".to_owned(), "DescribeInstance: 200".to_owned()]
    );
    // The least that a tenant has to allow.
    stand_in.allow(tenants_key(), &[UPDATE]);
    let report = test(good(address)).await;
    assert_eq!((seen(&report), &report.access_url), (&InstanceSeen::NotAllowed, &None));
    assert!(report.outcome.to_string().contains("whether it is there cannot be known"), "{}", report.outcome);
    assert_eq!(stand_in.written(), []);
}

#[tokio::test]
async fn every_cause_of_a_refusal_is_told_apart() {
    let (stand_in, address) = stand_in();
    let url = format!("http://{address}");
    let report = test(by_key(url.clone(), "AKIANOBODY", "secret")).await;
    assert_eq!(cause(&report), &Cause::KeyUnknown);
    assert_eq!(cause(&test(by_key(url.clone(), "AKIATEST", "secreT")).await), &Cause::SecretWrong);
    stand_in.allow(tenants_key(), &["connect:DescribeInstance"]);
    let report = test(good(address)).await;
    let resource = format!("{INSTANCE}/contact/*");
    assert!(matches!(cause(&report), Cause::Denied { resource: denied, .. } if *denied == resource), "{report:?}");
    assert!(report.outcome.remedy().is_some_and(|remedy| remedy.contains(&resource) && remedy.contains(UPDATE)));
    stand_in.allow(tenants_key(), &ACTIONS);
    for (status, code, label) in [
        (400, "InvalidActiveRegionException", "not_in_this_region"),
        (429, "TooManyRequestsException", "throttled"),
        (400, "RequestExpired", "clock_off"),
        (500, "InternalServiceException", "unexpected"),
    ] {
        stand_in.misbehave(Misbehaviour::Refuse(status, code));
        let report = test(good(address)).await;
        assert_eq!((cause(&report).label(), report.requests.len()), (label, 1), "each is tried once");
    }
    stand_in.instance_is(Some("CREATION_IN_PROGRESS"));
    assert_eq!(cause(&test(good(address)).await).label(), "instance_not_active");
    stand_in.instance_is(None);
    let report = test(good(address)).await;
    assert_eq!(cause(&report).label(), "instance_unknown");
    assert_eq!(report.requests.len(), 2, "the first answer is the same for an unknown contact");
    assert_eq!(stand_in.written(), []);
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_by_how_much_and_which_way() {
    let (stand_in, address) = stand_in();
    for (theirs_ahead, told) in [(1000, "behind"), (-1000, "ahead of")] {
        stand_in.clock_is_ahead(theirs_ahead);
        for connection in [good(address), by_role(address, |_| ())] {
            let report = test(connection).await;
            let Cause::ClockOff { ahead_s: Some(ahead) } = cause(&report) else { panic!("{report:?}") };
            assert!((-1005..=-995).contains(&(ahead * theirs_ahead.signum())), "{ahead}");
            assert!(report.outcome.to_string().contains(told), "{}", report.outcome);
        }
    }
    stand_in.clock_is_ahead(200);
    assert!(test(good(address)).await.is_valid(), "Amazon takes five minutes");
}

#[tokio::test]
async fn whoever_is_not_reached_is_told_how() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    assert_eq!(cause(&test(good(free)).await).label(), "connection_refused");
    // A label of more than 63 characters is nobody's name, and no server is asked for it.
    let nowhere = by_key(format!("http://{}.invalid", "x".repeat(64)), "AKIATEST", "secret");
    assert_eq!(cause(&test(nowhere).await).label(), "name_not_resolved");
    // Somebody speaks TLS there, with a certificate that nobody has heard of.
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let tls = speaks_tls(&made);
    let report = test(by_key(format!("https://localhost:{}", tls.port()), "AKIATEST", "secret")).await;
    assert_eq!(cause(&report).label(), "tls_failed", "{report:?}");
    let (stand_in, address) = stand_in();
    stand_in.misbehave(Misbehaviour::CarryOutAndHang);
    let report = tokio::time::timeout(TEST_MAX, test(good(address))).await.expect("within its limit");
    assert_eq!(cause(&report).label(), "no_answer");
    assert!(report.outcome.to_string().contains(&address.to_string()), "{}", report.outcome);
}

/// A server that does the handshakes of TLS and nothing else.
fn speaks_tls(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> SocketAddr {
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
        .expect("good");
    let config = std::sync::Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut connection = rustls::ServerConnection::new(config.clone()).expect("good");
            let Ok(mut stream) = stream else { continue };
            while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
        }
    });
    address
}

#[tokio::test]
async fn a_role_is_assumed_and_what_keeps_it_from_that_is_told() {
    let (stand_in, address) = stand_in();
    let report = test(by_role(address, |_| ())).await;
    assert_eq!(seen(&report), &InstanceSeen::NotAllowed);
    assert_eq!((asked(&report)[0].as_str(), stand_in.sessions()), ("AssumeRole: 200", vec!["bellhop-acme".to_owned()]));
    let other: fn(&mut AssumedRole) = |role| role.arn = "arn:aws:iam::111122223333:role/other".parse().expect("an ARN");
    type Spoil = fn(&mut AssumedRole);
    let changes: [(Spoil, &str); 4] = [
        (other, "role_refused"),
        (|role| role.external_id.push('2'), "role_refused"),
        (|role| role.caller.id.push('2'), "key_unknown"),
        (|role| role.caller.secret.push('2'), "secret_wrong"),
    ];
    for (change, label) in changes {
        let report = test(by_role(address, change)).await;
        assert_eq!((cause(&report).label(), report.requests.len()), (label, 1), "{}", report.outcome);
    }
    let report = test(by_role(address, |role| role.external_id.push('2'))).await;
    let remedy = report.outcome.remedy().expect("something to do");
    assert!(remedy.contains("\"sts:ExternalId\": \"bellhop-7f3a/12\""), "{remedy}");
    assert!(remedy.contains("arn:aws:iam::111122223333:root"), "whose key asked was told: {remedy}");
    // The role is there, and may not do what hand-offs do.
    stand_in.add_role(role(vec!["connect:DescribeInstance"], Duration::from_secs(3600)));
    let report = test(by_role(address, |_| ())).await;
    assert_eq!((cause(&report).label(), report.requests.len()), ("denied", 2));
}

#[tokio::test]
async fn tests_leave_turns_to_hand_offs() {
    let (_, address) = stand_in();
    let limiters = Limiters::default();
    let tests = (0..40).map(|_| {
        let tester = Tester::new(&limiters);
        tokio::spawn(async move { tester.test(good(address)).await })
    });
    let mut left_out = 0;
    for test in tests.collect::<Vec<_>>() {
        let report = test.await.expect("nobody panics");
        match &report.outcome {
            Outcome::Valid { .. } => {}
            Outcome::Invalid { cause, .. } => {
                assert_eq!(cause, &Cause::HandoffsFirst);
                left_out += 1;
            }
        }
    }
    assert!(left_out > 0, "forty tests at once want more than there is to spare");
}

#[tokio::test]
async fn a_session_that_is_over_is_replaced_within_the_hand_off() {
    let (stand_in, address) = stand_in();
    stand_in.contact_arrives("contact", "+1", "+2").expect("the sample flow runs");
    let client = Client::new(&by_role(address, |_| ()), &Limiters::default());
    let pairs = || vec![("SessionHistoryKey".to_owned(), "_abc".to_owned())];
    assert_eq!(client.write("contact".into(), pairs()).await, WriteOutcome::Done);
    stand_in.end_sessions();
    assert_eq!(client.write("contact".into(), pairs()).await, WriteOutcome::Done);
    assert_eq!(stand_in.sessions().len(), 2);
    assert_eq!(stand_in.refused(), [(403, "ExpiredTokenException".to_owned())]);
}

#[tokio::test]
async fn without_its_role_a_hand_off_is_refused() {
    let (stand_in, address) = stand_in();
    stand_in.contact_arrives("contact", "+1", "+2").expect("the sample flow runs");
    let client = Client::new(&by_role(address, |role| role.external_id.push('2')), &Limiters::default());
    let pairs = vec![("SessionHistoryKey".to_owned(), "_abc".to_owned())];
    assert_eq!(client.write("contact".into(), pairs).await, WriteOutcome::Refused);
    assert_eq!(stand_in.written(), []);
}
