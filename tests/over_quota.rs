//! Calls over the quota: answered, so that the contact flow goes on to an agent, and ended; like any call they have a
//! teardown plan, are waited for in a drain, and are few at once.

use std::time::Duration;

use bellhop_actors::reception::{Drain, TURNED_AWAY_PER_SOURCE_MAX};
use bellhop_sip::message::Method;
use bellhop_tests::carrier::Habits;
use bellhop_tests::stage::{Choices, INVITE, play};

/// The nth call: another dialog, another transaction.
fn call(n: usize) -> String {
    INVITE
        .replace("z9hG4bKinvite", &format!("z9hG4bKcall{n}"))
        .replace("call-1", &format!("call-{n}"))
        .replace("contact-1", &format!("contact-{n}"))
}

fn full() -> Choices {
    Choices::tenant("max_calls = 1")
}

#[test]
fn a_call_over_the_quota_is_waited_for_in_a_drain() {
    play(full(), |stage| async move {
        stage.call_answered().await;
        let first = format!(
            "BYE sip:203.0.113.7:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKbye\nFrom: <sip:+12065550100@10.0.58.47:5060>;tag=far\nTo: <sip:+18005550123@203.0.113.7:5060>;tag={}\nCall-ID: call-1\nCSeq: 9 BYE\nContent-Length: 0\n\n",
            stage.carrier.to_tag()
        );
        stage.carrier.habits(Habits { acks: false, answers_bye: true });
        stage.carrier.sends(&call(2));
        stage.pass(500).await;
        stage.carrier.sends(&first);
        stage.pass(2000).await;
        let (done, mut told) = tokio::sync::mpsc::unbounded_channel();
        stage.reception.do_send(Drain { by: bellhop_actors::now() + Duration::from_secs(60), done });
        stage.pass(5000).await;
        assert!(told.try_recv().is_err(), "its answer is not acknowledged yet, and it was sent no BYE");
        stage.pass(30_000).await;
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "64*T1 after its answer");
        assert!(told.try_recv().is_ok(), "then all have left");
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

/// Nobody beats for it: whoever acknowledges nothing would else make the whole node unready.
#[test]
fn a_call_over_the_quota_that_nobody_acknowledges_is_not_hung() {
    play(full(), |stage| async move {
        stage.call_answered().await;
        stage.carrier.habits(Habits { acks: false, answers_bye: false });
        stage.carrier.sends(&call(2));
        for _ in 0..20 {
            stage.pass(1000).await;
            assert!(!stage.has_hung());
        }
    });
}

#[test]
fn four_thousand_calls_over_the_quota_cost_a_handful_of_answers() {
    play(full(), |stage| async move {
        stage.call_answered().await;
        stage.carrier.habits(Habits { acks: false, answers_bye: false });
        stage.carrier.forget();
        for n in 2..4002 {
            stage.carrier.sends(&call(n));
            if n % 100 == 0 {
                stage.pass(10).await;
            }
        }
        stage.pass(1000).await;
        let answered: std::collections::BTreeSet<String> = stage
            .carrier
            .seen()
            .into_iter()
            .filter_map(|message| match message {
                bellhop_sip::message::Message::Response(response) if response.status.0 == 200 => {
                    response.headers.get("Call-ID").map(str::to_owned)
                }
                _ => None,
            })
            .collect();
        assert_eq!(answered.len(), TURNED_AWAY_PER_SOURCE_MAX);
        stage.pass(200_000).await;
        // A refusal each, and the few answers with their repetitions and BYEs.
        let seen = stage.carrier.seen().len();
        assert!(seen < 4000 * 2 + 8 * 40, "{seen} datagrams to a source that may be forged");
    });
}

/// A second's worth is one call here: the next of that second is as one over the quota, and costs nothing.
#[test]
fn a_call_too_many_in_a_second_goes_on_to_an_agent_and_the_next_second_has_its_own() {
    play(Choices::tenant("max_calls_per_second = 1"), |stage| async move {
        stage.carrier.sends(INVITE);
        stage.pass(600).await;
        for n in 2..5 {
            stage.carrier.sends(&call(n));
        }
        stage.pass(300).await;
        assert_eq!(stage.acme.integration.tenant.calls.taken(), 1, "three were turned away");
        stage.pass(200).await;
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 3, "each was answered and ended");
        let told = stage.services.refused();
        assert_eq!(told.len(), 3, "and each is told with what to do");
        assert!(told.iter().all(|call| (call.status, call.why.word()) == (200, "tenant_too_fast")), "{told:?}");
        stage.carrier.sends(&call(5));
        stage.pass(1000).await;
        assert_eq!(stage.acme.integration.tenant.calls.taken(), 2, "what was turned away took nothing from it");
    });
}

#[test]
fn a_call_too_many_in_a_second_is_503_where_that_is_wanted() {
    let document = "max_calls_per_second = 1\non_setup_failure = \"service_unavailable\"";
    play(Choices::tenant(document), |stage| async move {
        stage.carrier.sends(INVITE);
        stage.carrier.sends(&call(2));
        stage.pass(500).await;
        let refused = stage.carrier.seen().into_iter().find_map(|message| match message {
            bellhop_sip::message::Message::Response(response) if response.status.0 == 503 => Some(response),
            _ => None,
        });
        assert_eq!(refused.expect("it is refused").headers.get("Retry-After"), Some("5"));
    });
}
