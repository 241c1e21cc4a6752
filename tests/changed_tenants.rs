//! Tenants change while calls run: a call keeps what it began with, each new one gets the newest.

use std::sync::Arc;

use bellhop_actors::services::Services;
use bellhop_sip::message::Method;
use bellhop_tenancy::Tenant;
use bellhop_tests::services::FakeServices;
use bellhop_tests::stage::{Choices, INVITE, Stage, play};
use serde_json::json;

/// The nth call: another dialog, another transaction.
fn call(n: usize) -> String {
    INVITE
        .replace("z9hG4bKinvite", &format!("z9hG4bKcall{n}"))
        .replace("call-1", &format!("call-{n}"))
        .replace("contact-1", &format!("contact-{n}"))
}

/// A limit for the calls that there are already.
fn with_limit(stage: &Stage, limit: usize) -> Services {
    stage.acme_after(&format!("max_calls = {limit}\non_setup_failure = \"service_unavailable\""))
}

#[test]
fn a_call_keeps_what_it_began_with_and_the_next_gets_the_newest() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        let newest = FakeServices::default();
        newest.replies("", json!([{"response_type": "text", "text": "you have reached the newest"}]));
        newest.replies("goodbye", json!([{"response_type": "end_session"}]));
        let shared = Arc::new(newest.clone());
        stage.serves([Services { assistant: shared.clone(), synthesizer: shared, ..stage.acme.clone() }]).await;
        stage.carrier.sends(&call(2));
        stage.pass(3000).await;
        assert_eq!(newest.said(), ["you have reached the newest"]);
        stage.serves([]).await;
        stage.caller_says("goodbye").await;
        stage.pass(3000).await;
        assert!(stage.services.said().contains(&"bye".to_owned()), "by the assistant it began with");
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 2, "both hear the recognizer they share");
        stage.carrier.forget();
        stage.carrier.sends(&call(3));
        stage.pass(500).await;
        assert_eq!(stage.carrier.statuses(), [403], "nobody's number now");
        stage.settle().await;
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

#[test]
fn a_newer_limit_counts_the_calls_that_there_are() {
    play(Choices::tenant("max_calls = 2"), |stage| async move {
        stage.call_answered().await;
        let first = stage.carrier.to_tag();
        stage.carrier.sends(&call(2));
        stage.pass(1000).await;
        let asks = async |n: usize| {
            stage.carrier.forget();
            stage.carrier.sends(&call(n));
            stage.pass(1000).await;
            stage.carrier.statuses().into_iter().any(|status| status == 503)
        };
        stage.serves([with_limit(&stage, 1)]).await;
        assert!(asks(3).await, "two calls are more than one");
        stage.serves([with_limit(&stage, 3)]).await;
        assert!(!asks(4).await, "the third of three");
        assert!(asks(5).await, "and no more: none was forgotten");
        assert_eq!(stage.acme.integration.tenant.calls.taken(), 3);
        stage.serves([]).await;
        stage.serves([with_limit(&stage, 3)]).await;
        assert!(asks(6).await, "who comes back has the calls he had");
        stage.carrier.sends(&format!("BYE sip:203.0.113.7:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKbye\nFrom: <sip:+12065550100@10.0.58.47:5060>;tag=far\nTo: <sip:+18005550123@203.0.113.7:5060>;tag={first}\nCall-ID: call-1\nCSeq: 9 BYE\nContent-Length: 0\n\n"));
        stage.pass(2000).await;
        assert_eq!(
            stage.acme.integration.tenant.calls.taken(),
            2,
            "a place comes back once, to the one count there is"
        );
    });
}

/// Two integrations of one tenant, each with a number: the tenant has its places once.
#[test]
fn integrations_of_one_tenant_share_its_places() {
    play(Choices::tenant("max_calls = 1\non_setup_failure = \"service_unavailable\""), |stage| async move {
        let mut other = stage.acme_after("name = \"other\"\nnumbers = [\"+18005550300\"]");
        assert_eq!(other.integration.tenant.name, "acme");
        let statuses = async |number: &str, n: usize| {
            stage.carrier.forget();
            stage.carrier.sends(&call(n).replace("+18005550123", number));
            stage.pass(1000).await;
            stage.carrier.statuses()
        };
        stage.serves([stage.acme.clone(), other.clone()]).await;
        assert!(statuses("+18005550300", 1).await.contains(&200));
        assert!(statuses("+18005550123", 2).await.contains(&503), "the one place is taken by the other number");
        let mut own = (*other.integration).clone();
        own.tenant = Arc::new(Tenant::new("other", other.integration.tenant.limits()));
        other.integration = Arc::new(own);
        stage.serves([stage.acme.clone(), other]).await;
        assert!(statuses("+18005550300", 3).await.contains(&200), "another tenant has places of its own");
    });
}
