//! One number, several who say that it is theirs: a call is its owner's, or nobody's, whatever the others say of themselves.

use std::sync::Arc;

use bellhop_actors::node::refused::{RefusedCall, Why};
use bellhop_actors::services::Services;
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::Message;
use bellhop_tenancy::integration::{Login, OwnNumber, Right};
use bellhop_tenancy::tenant::Limits;
use bellhop_tenancy::{Integration, Number, Secret, Tenant};
use bellhop_tests::Stage;
use bellhop_tests::stage::{Choices, INVITE, play};

const NUMBER: &str = "+18005550123";
/// The instance that [`INVITE`] names.
const VICTIMS: &str = "arn:aws:connect:eu-west-2:111122223333:instance/abc";
const ATTACKERS: &str = "arn:aws:connect:eu-west-2:999988887777:instance/evil";
/// The header of [`INVITE`] that names it.
const NAMES_IT: &str = "X-Amzn-SourceArn: arn:aws:connect:eu-west-2:111122223333:instance/abc\n";

/// A tenant of his own who says that [`NUMBER`] is his.
fn owner(
    stage: &Stage,
    name: &str,
    arn: Option<&str>,
    right: Right,
    change: impl FnOnce(&mut Integration),
) -> Services {
    let instance = arn.map(|arn| arn.parse::<bellhop_connect::InstanceArn>().expect("an ARN"));
    let mut integration = (*stage.acme.integration).clone();
    integration.id = name.to_owned();
    integration.tenant = Arc::new(Tenant::new(name, Limits { calls: 10, calls_per_second: None }));
    integration.numbers = vec![OwnNumber { number: Number::parse(NUMBER).expect("a number"), right }];
    integration.instance = instance.as_ref().map(|arn| arn.key());
    change(&mut integration);
    Services { integration: Arc::new(integration), instance, ..stage.acme.clone() }
}

/// He whose number it is: calls come from where he says, and from his instance.
fn victim(stage: &Stage, right: Right) -> Services {
    owner(stage, "victim", Some(VICTIMS), right, |_| {})
}

/// Whoever wants his calls; anybody may call him from anywhere, unless `change` says otherwise.
fn attacker(stage: &Stage, arn: Option<&str>, change: impl FnOnce(&mut Integration)) -> Services {
    owner(stage, "attacker", arn, Right::Claimed, |integration| {
        integration.sources = vec![];
        change(integration);
    })
}

/// Another dialog, without the header that names the instance where it is not wanted.
fn call(n: usize, names_instance: bool) -> String {
    let text = INVITE.replace("z9hG4bKinvite", &format!("z9hG4bKcall{n}")).replace("call-1", &format!("call-{n}"));
    let text = text.replace("contact-1", &format!("contact-{n}"));
    if names_instance { text } else { text.replace(NAMES_IT, "") }
}

fn elsewhere() -> Hop {
    Hop { transport: Transport::Udp, remote: "198.51.100.66:5060".parse().expect("an address"), flow: 0 }
}

/// Who is served, and who of the two has a call after this one.
async fn who_has(stage: &Stage, all: &[&Services], hop: Hop, text: &str) -> &'static str {
    stage.serves(all.iter().map(|one| (*one).clone())).await;
    stage.carrier.forget();
    let before: Vec<usize> = all.iter().map(|one| one.integration.tenant.calls.taken()).collect();
    stage.carrier.sends_from(hop, text);
    stage.pass(1000).await;
    let gained = all.iter().zip(before).filter(|(one, before)| one.integration.tenant.calls.taken() > *before);
    let names: Vec<&str> = gained.map(|(one, _)| one.integration.tenant.name.as_str()).collect();
    match names[..] {
        ["victim"] => "victim",
        ["attacker"] => "attacker",
        [] => {
            assert!(stage.carrier.statuses().contains(&403), "{:?}", stage.carrier.statuses());
            "nobody"
        }
        _ => panic!("{names:?}"),
    }
}

fn last_refusal(stage: &Stage) -> RefusedCall {
    stage.services.refused().pop().expect("somebody was refused")
}

/// Whatever the attacker says of himself: open to everybody, the victim's own networks, the whole internet, no instance.
#[test]
fn a_call_that_names_its_instance_goes_to_whose_it_is() {
    play(Choices::default(), |stage| async move {
        let victim = victim(&stage, Right::Claimed);
        let theirs = victim.integration.sources.clone();
        let attackers = [
            attacker(&stage, Some(ATTACKERS), |_| {}),
            attacker(&stage, None, |_| {}),
            attacker(&stage, None, |one| one.sources = theirs),
            attacker(&stage, Some(ATTACKERS), |one| one.sources = vec!["0.0.0.0/0".parse().expect("a network")]),
        ];
        for (n, attacker) in attackers.iter().enumerate() {
            let calls = bellhop_tests::carrier::hop();
            assert_eq!(who_has(&stage, &[attacker, &victim], calls, &call(2 * n, true)).await, "victim", "{n}");
            assert_eq!(who_has(&stage, &[&victim, attacker], calls, &call(2 * n + 1, true)).await, "victim", "{n}");
        }
    });
}

#[test]
fn a_call_that_names_none_is_nobodys_and_both_are_told() {
    play(Choices::default(), |stage| async move {
        let (victim, attacker) = (victim(&stage, Right::Claimed), attacker(&stage, None, |_| {}));
        let all = [&victim, &attacker];
        assert_eq!(who_has(&stage, &all, bellhop_tests::carrier::hop(), &call(1, false)).await, "nobody");
        let refusal = last_refusal(&stage);
        assert_eq!((refusal.why, refusal.status), (Why::SeveralOwners, 403));
        assert_eq!(refusal.tenants, ["attacker", "victim"]);
        assert_eq!(refusal.number, Number::parse(NUMBER).ok());
        assert_eq!(refusal.dialled, "••••••••0123");
        // What it names counts only where it is believed.
        assert_eq!(who_has(&stage, &all, elsewhere(), &call(2, true)).await, "nobody");
        assert_eq!(last_refusal(&stage).why, Why::SeveralOwners);
    });
}

/// One of them has the number twice, by two instances, and the other stands between.
#[test]
fn whoever_has_a_number_twice_is_told_once() {
    play(Choices::default(), |stage| async move {
        let (victim, first) = (victim(&stage, Right::Claimed), attacker(&stage, Some(ATTACKERS), |_| {}));
        let tenant = Arc::clone(&first.integration.tenant);
        let second = attacker(&stage, None, |one| {
            one.id = "second".to_owned();
            one.tenant = tenant;
        });
        let all = [&first, &victim, &second];
        assert_eq!(who_has(&stage, &all, bellhop_tests::carrier::hop(), &call(1, false)).await, "nobody");
        assert_eq!(last_refusal(&stage).tenants, ["attacker", "victim"]);
    });
}

/// An operator has confirmed whose it is: what the victim turns away is not the attacker's.
#[test]
fn what_the_confirmed_owner_turns_away_is_nobody_elses() {
    play(Choices::default(), |stage| async move {
        let victim = victim(&stage, Right::Confirmed);
        let attacker = attacker(&stage, None, |_| {});
        let all = [&attacker, &victim];
        assert_eq!(who_has(&stage, &all, bellhop_tests::carrier::hop(), &call(1, false)).await, "victim");
        for (n, names) in [(2, false), (3, true)] {
            assert_eq!(who_has(&stage, &all, elsewhere(), &call(n, names)).await, "nobody");
            let refusal = last_refusal(&stage);
            assert_eq!((refusal.why, refusal.tenants), (Why::NotFromThere, vec!["victim".to_owned()]));
        }
    });
}

/// The victim is not there yet, or not for the moment.
#[test]
fn who_typed_the_number_first_gets_no_call_of_another_instance() {
    play(Choices::default(), |stage| async move {
        for (n, arn) in [(1, None), (2, Some(ATTACKERS))] {
            let attacker = attacker(&stage, arn, |_| {});
            assert_eq!(who_has(&stage, &[&attacker], bellhop_tests::carrier::hop(), &call(n, true)).await, "nobody");
            let refusal = last_refusal(&stage);
            assert_eq!((refusal.why, refusal.tenants), (Why::OtherInstance, vec!["attacker".to_owned()]));
        }
        let honest = attacker(&stage, None, |_| {});
        assert_eq!(
            who_has(&stage, &[&honest], bellhop_tests::carrier::hop(), &call(3, false)).await,
            "attacker",
            "the only one"
        );
    });
}

#[test]
fn another_account_is_refused_where_the_instance_is_not_named() {
    play(Choices::default(), |stage| async move {
        let victim = victim(&stage, Right::Claimed);
        let of = |n, account: &str| call(n, true).replace(NAMES_IT, &format!("X-Amzn-SourceAccount: {account}\n"));
        let hop = bellhop_tests::carrier::hop();
        assert_eq!(who_has(&stage, &[&victim], hop, &of(1, "999988887777")).await, "nobody");
        assert_eq!(last_refusal(&stage).why, Why::OtherInstance);
        assert_eq!(who_has(&stage, &[&victim], hop, &of(2, "111122223333")).await, "victim");
    });
}

/// Over TLS, with a tenant who has a login: the answers to one number are the same whether nobody has it, or two, or one who
/// only typed it.
#[test]
fn a_stranger_learns_nothing_of_who_has_a_number() {
    let kept = Arc::new(std::sync::Mutex::new(vec![]));
    for case in 0..4 {
        let answers = Arc::clone(&kept);
        play(Choices::default(), move |stage| async move {
            stage.carrier.speaks_tls("sip.example.com");
            let mut with_login = owner(&stage, "other", None, Right::Claimed, |one| {
                one.numbers[0].number = Number::parse("+18005550777").expect("a number");
                let password = Secret::new("secret".to_owned());
                one.login = Some(Login { realm: "other".into(), user: "trunk".into(), password });
            });
            with_login.instance = None;
            let open = |arn| attacker(&stage, arn, |_| {});
            let mut second = open(None);
            let mut integration = (*second.integration).clone();
            integration.id = "second".to_owned();
            second.integration = Arc::new(integration);
            let all = match case {
                0 => vec![with_login],
                1 => vec![with_login, open(Some(ATTACKERS))],
                2 => vec![with_login, open(Some(ATTACKERS)), second],
                _ => vec![with_login, victim(&stage, Right::Confirmed), open(None)],
            };
            stage.serves(all).await;
            let hop =
                Hop { remote: "198.51.100.66:5061".parse().expect("an address"), ..bellhop_tests::carrier::hop() };
            let hop = Hop { transport: Transport::Tls, ..hop };
            stage.carrier.sends_from(hop, &call(1, true));
            stage.pass(500).await;
            let Some(Message::Response(answer)) = stage.carrier.seen().pop() else { panic!("an answer") };
            let realm =
                answer.headers.get("WWW-Authenticate").and_then(|text| text.split('"').nth(1).map(str::to_owned));
            answers.lock().expect("alone").push((answer.status.0, realm));
            assert_eq!(last_refusal(&stage).status, 401, "whoever runs the server is told at once");
        });
    }
    let answers = kept.lock().expect("alone").clone();
    assert_eq!(answers.len(), 4);
    assert!(answers.iter().all(|answer| *answer == (401, Some("other".to_owned()))), "{answers:?}");
}

/// A host name is a secret of whose `sip.server_name` it is: no other tenant reads it among his refusals.
#[test]
fn the_secret_host_name_of_one_is_not_told_to_another() {
    for (asked, shown) in [("secret.sip.example", None), ("sip.example", Some("sip.example"))] {
        play(Choices::default(), move |stage| async move {
            stage.carrier.speaks_tls(asked);
            let mut victim = victim(&stage, Right::Claimed);
            let mut integration = (*victim.integration).clone();
            integration.server_name = Some("Secret.sip.example".to_owned());
            victim.integration = Arc::new(integration);
            stage.serves([victim, attacker(&stage, None, |_| {})]).await;
            stage.carrier.sends(&call(1, false));
            stage.pass(500).await;
            let refusal = last_refusal(&stage);
            assert_eq!((refusal.why, refusal.server_name.as_deref()), (Why::SeveralOwners, shown));
        });
    }
}

/// `User-to-User` set by hand in the flow: the path itself arrives, plainly or in hex.
#[test]
fn a_reference_that_was_sent_as_text_is_told_with_the_call_and_with_the_refusal() {
    for text in ["$.InstanceARN", "242e496e7374616e636541524e;encoding=hex"] {
        play(Choices::default(), move |stage| async move {
            let sends = |n| call(n, true).replace(NAMES_IT, &format!("User-to-User: {text}\n"));
            let told = "the flow sent `$.InstanceARN` as text";
            let (victim, attacker) = (victim(&stage, Right::Claimed), attacker(&stage, None, |_| {}));
            let hop = bellhop_tests::carrier::hop();
            assert_eq!(who_has(&stage, &[&victim, &attacker], hop, &sends(1)).await, "nobody");
            let reference = last_refusal(&stage).sent_as_text.expect("it is told");
            assert!(reference.to_string().starts_with(told), "{reference}");
            assert_eq!(who_has(&stage, &[&victim], hop, &sends(2)).await, "victim");
            stage.carrier.hangs_up();
            stage.settle().await;
            let records = stage.services.records();
            let warnings = records.last().expect("a record").0["warnings_and_errors"].to_string();
            assert!(warnings.contains(told) && warnings.contains("choose it as a system attribute"), "{warnings}");
        });
    }
}
