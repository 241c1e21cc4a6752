//! Who may call, in virtual time: logins, networks, and what a scanner sees.

use bellhop_sip::message::{Message, Method};
use bellhop_tests::services::Behaviour;
use bellhop_tests::stage::{Choices, INVITE, play};
use sha2::{Digest, Sha256};

/// A tenant whose callers have to log in.
fn login() -> Choices {
    Choices::tenant("[sip]\nrealm = \"acme\"\nuser = \"trunk\"\npassword = \"secret\"")
}

/// A tenant with a login is called over TLS alone: over UDP it does not exist, like a number of nobody's, and nobody is
/// asked for a password that anybody could read.
#[test]
fn over_a_plain_line_a_login_is_never_asked_for_the_tenant() {
    for number in ["+18005550123", "+18005550777"] {
        play(login(), move |stage| async move {
            stage.carrier.sends(&INVITE.replace("+18005550123", number));
            stage.pass(1000).await;
            let with = INVITE
                .replace("+18005550123", number)
                .replace("CSeq: 1", "Authorization: Digest username=\"trunk\", realm=\"acme\"\nCSeq: 2")
                .replace("z9hG4bKinvite", "z9hG4bKsecond");
            stage.carrier.sends(&with);
            stage.pass(1000).await;
            assert_eq!(stage.carrier.statuses(), [403, 403], "{number}: both look the same");
        });
    }
}

/// Whether a call is taken is decided by what the node has in memory: a database that is asked then would make callers wait for it.
#[test]
fn no_store_is_asked_whether_a_call_is_taken() {
    let (known, unknown) = (INVITE.to_owned(), INVITE.replace("+18005550123", "+18005550777"));
    for (invite, status) in [(known, 200), (unknown, 403)] {
        play(Choices::default(), move |stage| async move {
            stage.services.store(Behaviour::Panics);
            stage.services.notes(Behaviour::Panics, Behaviour::Panics);
            stage.carrier.sends(&invite);
            stage.pass(2000).await;
            assert_eq!(stage.carrier.statuses().last(), Some(&status));
            assert!(stage.carrier.requests(&Method::Bye).is_empty(), "it is up");
            stage.services.store(Behaviour::Good);
            stage.services.notes(Behaviour::Good, Behaviour::Good);
        });
    }
}

/// Over TLS a number of nobody's looks like one with a login, whatever is asked with whatever answer.
#[test]
fn over_tls_numbers_cannot_be_told_apart_by_who_has_no_password() {
    let seen = |number: &'static str| {
        let answers = std::rc::Rc::new(std::cell::RefCell::new(vec![]));
        let kept = std::rc::Rc::clone(&answers);
        play(login(), move |stage| async move {
            stage.carrier.speaks_tls("sip.example.com");
            let nonce_of = |challenge: &str| authorization(challenge, "guess");
            let mut given = String::new();
            for n in 0..4 {
                let invite = INVITE
                    .replace("+18005550123", number)
                    .replace("CSeq: 1", &format!("{given}CSeq: {}", n + 1))
                    .replace("z9hG4bKinvite", &format!("z9hG4bK{n}"));
                stage.carrier.forget();
                stage.carrier.sends(&invite);
                stage.pass(100).await;
                let Some(Message::Response(last)) = stage.carrier.seen().pop() else { panic!("an answer") };
                let challenge = last.headers.get("WWW-Authenticate").map(str::to_owned);
                let realm = challenge.as_deref().and_then(|text| text.split('"').nth(1)).map(str::to_owned);
                kept.borrow_mut().push((last.status.0, realm));
                given = match (n, challenge) {
                    (0, Some(challenge)) => format!("Authorization: {}\n", nonce_of(&challenge)),
                    (1, _) => "Authorization: Digest username=\"x\", realm=\"another\"\n".to_owned(),
                    _ => "Authorization: Digest username=\"\", realm=\"acme\"\n".to_owned(),
                };
            }
        });
        answers.take()
    };
    let known = seen("+18005550123");
    assert_eq!(known.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [401, 403, 401, 403]);
    assert_eq!(known, seen("+18005550777"));
    assert_eq!(known, seen("anonymous"));
}

/// With several realms the realm would tell whose a number is: not if two are tried in one INVITE, and not by how it is
/// written.
#[test]
fn over_tls_the_realm_tells_nothing_of_the_number() {
    let choices = || Choices { neighbours: &["b", "c", "d", "e", "f", "g"], ..login() };
    let realm = |uri: &'static str, to: &'static str| {
        let kept = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
        let seen = std::rc::Rc::clone(&kept);
        play(choices(), move |stage| async move {
            stage.carrier.speaks_tls("sip.example.com");
            let to_header = format!("To: <sip:{to}@");
            stage.carrier.sends(&INVITE.replace("To: <sip:+18005550123@", &to_header).replacen("+18005550123", uri, 1));
            stage.pass(100).await;
            let Some(Message::Response(last)) = stage.carrier.seen().pop() else { panic!("an answer") };
            let realm = last.headers.get("WWW-Authenticate").and_then(|text| text.split('"').nth(1));
            seen.replace(realm.expect("a challenge").to_owned());
        });
        kept.take()
    };
    let (somebodys, nobodys) = ("+18005550123", "+18005550777");
    for uri in [nobodys, "+18005550778", "+18005550779"] {
        let alone = realm(uri, uri);
        for to in [somebodys, "+18005550200", "+18005550780", "anonymous"] {
            assert_eq!(realm(uri, to), alone, "{uri} with To {to}");
        }
        assert_eq!(realm("trunk", uri), alone, "To counts where the URI names no number");
        assert_eq!(realm(uri.trim_start_matches('+'), uri), alone, "written otherwise");
    }
    assert_eq!(realm(somebodys, nobodys), "acme");
    assert_eq!(realm("trunk", somebodys), "acme");
}

/// No login that anybody could say is right for a number of nobody's: a second try of it would be *stale*, and told it.
#[test]
fn over_tls_a_replay_does_not_tell_a_number_of_nobodys() {
    let seen = |number: &'static str| {
        let answers = std::rc::Rc::new(std::cell::RefCell::new(vec![]));
        let kept = std::rc::Rc::clone(&answers);
        play(login(), move |stage| async move {
            stage.carrier.speaks_tls("sip.example.com");
            let mut given = String::new();
            for n in 0..4 {
                let invite = INVITE
                    .replace("+18005550123", number)
                    .replace("CSeq: 1", &format!("{given}CSeq: {}", n + 1))
                    .replace("z9hG4bKinvite", &format!("z9hG4bK{n}"));
                stage.carrier.forget();
                stage.carrier.sends(&invite);
                stage.pass(100).await;
                let Some(Message::Response(last)) = stage.carrier.seen().pop() else { panic!("an answer") };
                kept.borrow_mut().push(last.status.0);
                if let Some(challenge) = last.headers.get("WWW-Authenticate") {
                    let uri = ASKED.replace("+18005550123", number);
                    given = format!("Authorization: {}\n", authorization_of(challenge, ("", ""), &uri));
                }
            }
        });
        answers.take()
    };
    assert_eq!(seen("+18005550123"), [401, 403, 403, 403]);
    assert_eq!(seen("+18005550777"), [401, 403, 403, 403]);
}

/// The resource of [`INVITE`].
const ASKED: &str = "sip:+18005550123@203.0.113.7:5060";

/// The answer of an honest client to the SHA-256 challenge of a 401 (RFC 7616 section 3.4.1).
fn authorization(challenge: &str, password: &str) -> String {
    authorization_of(challenge, ("trunk", password), ASKED)
}

fn authorization_of(challenge: &str, (user, password): (&str, &str), uri: &str) -> String {
    let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce");
    let hash = |text: String| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (who, what) = (hash(format!("{user}:acme:{password}")), hash(format!("INVITE:{uri}")));
    let response = hash(format!("{who}:{nonce}:00000001:c:auth:{what}"));
    format!(
        "Digest username=\"{user}\", realm=\"acme\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\", response=\"{response}\""
    )
}

#[test]
fn over_tls_the_holder_of_the_password_is_answered_and_nobody_else() {
    for (password, expected) in [("secret", 200), ("guess", 403)] {
        play(login(), move |stage| async move {
            stage.carrier.speaks_tls("sip.example.com");
            stage.carrier.sends(INVITE);
            stage.pass(100).await;
            let challenge = stage.carrier.seen().into_iter().find_map(|message| match message {
                Message::Response(response) if response.status.0 == 401 => {
                    response.headers.get("WWW-Authenticate").map(str::to_owned)
                }
                _ => None,
            });
            let answer = authorization(&challenge.expect("a challenge"), password);
            let again = INVITE
                .replace("CSeq: 1", &format!("Authorization: {answer}\nCSeq: 2"))
                .replace("z9hG4bKinvite", "z9hG4bKsecond");
            stage.carrier.sends(&again);
            stage.pass(1500).await;
            assert_eq!(stage.carrier.statuses().last(), Some(&expected), "{password}");
            assert!(challenge_is_sha(&stage), "the stronger one is offered first");
        });
    }
}

fn challenge_is_sha(stage: &bellhop_tests::Stage) -> bool {
    stage.carrier.seen().iter().any(|message| {
        message.headers().get("WWW-Authenticate").is_some_and(|value| value.contains("algorithm=SHA-256"))
    })
}

#[test]
fn a_tenants_host_name_is_a_secret_of_its_own() {
    for (asked, expected) in [("acme-7f3a.example.com", 200), ("sip.example.com", 403)] {
        let choices = Choices::tenant("sip.server_name = \"ACME-7f3a.example.com\"");
        play(choices, move |stage| async move {
            stage.carrier.speaks_tls(asked);
            stage.carrier.sends(INVITE);
            stage.pass(1500).await;
            assert_eq!(stage.carrier.statuses().last(), Some(&expected), "{asked}");
        });
    }
}

#[test]
fn calls_come_from_the_tenants_networks_alone() {
    for (network, expected) in [("192.0.2.0/24", 200), ("198.51.100.0/24", 403)] {
        play(Choices::tenant(format!("sip.sources = [\"{network}\"]")), move |stage| async move {
            stage.carrier.sends(INVITE);
            stage.pass(1500).await;
            assert_eq!(stage.carrier.statuses().last(), Some(&expected), "{network}");
        });
    }
}

#[test]
fn without_a_free_port_the_caller_is_sent_elsewhere() {
    let trunk = "max_calls = 200\n[sip]\nfailure_message = \"\"\nfailure_target = \"sip:desk@pbx.example.com\"";
    play(Choices { node_max_calls: 200, ..Choices::trunk(trunk) }, |stage| async move {
        for n in 0..51 {
            let call = INVITE.replace("z9hG4bKinvite", &format!("z9hG4bK{n}")).replace("call-1", &format!("call-{n}"));
            stage.carrier.sends(&call);
            stage.pass(5).await;
        }
        stage.pass(100).await;
        let moved = stage.carrier.seen().into_iter().find_map(|message| match message {
            Message::Response(response) if response.status.0 == 302 => Some(response),
            _ => None,
        });
        assert_eq!(moved.expect("a 302").headers.get("Contact"), Some("<sip:desk@pbx.example.com>"));
        assert!(stage.carrier.requests(&Method::Bye).is_empty());
    });
}
