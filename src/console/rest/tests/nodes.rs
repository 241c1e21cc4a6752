//! The servers that share a store, numbers that several have, and finding lines of the audit.

use std::sync::atomic::Ordering;

use bellhop_tenancy::store::{AppliedBy, ChangeFeed, NodeSays};

use super::documents::furnish;
use super::*;

fn node(name: &str, change: i64, host: Option<&str>, is_draining: bool) -> AppliedBy {
    let sip_host = host.map(str::to_owned);
    let says = NodeSays { version: "1.2.3".into(), calls: 7, is_draining, sip_host, sip_port: 5061 };
    AppliedBy { node: name.into(), change, not_applied: vec![], says }
}

#[actix_web::test]
async fn an_operator_sees_the_servers_of_a_store_and_drains_the_one_that_is_asked() {
    let house = House::new().await;
    let newest = house.store.newest_change().await.expect("a number");
    for node in [node("this:1", newest, Some("one.example"), false), node("that:2", 0, Some("two.example"), true)] {
        house.store.note_applied(node).await.expect("noted");
    }
    let listed = house.get("operator", "/nodes").await;
    let told = |one: &Value| [one["name"].clone(), one["this"].clone(), one["calls"].clone(), one["current"].clone()];
    let all: Vec<_> = listed.body["items"].as_array().expect("a list").iter().map(told).collect();
    assert_eq!(
        all,
        [
            [json!("that:2"), json!(false), json!(7), json!(false)],
            [json!("this:1"), json!(true), json!(7), json!(true)],
        ]
    );
    let drain = async |who: &str| house.ask(of(who, Method::POST, "/nodes/this/drain")).await.status;
    assert_eq!((house.get("admin", "/nodes").await.status, drain("admin").await), (403, 403));
    assert!(!house.calls.is_drained.load(Ordering::Relaxed));
    assert_eq!(drain("operator").await, 204);
    assert!(house.calls.is_drained.load(Ordering::Relaxed));
    let audit = house.get("operator", "/audit?action=node.").await;
    assert_eq!(audit.body["items"][0]["on"], "this:1", "{audit:?}");
}

#[actix_web::test]
async fn callers_sides_are_told_each_address_once_and_none_that_takes_no_calls() {
    let house = House::new().await;
    for node in [
        node("a:1", 1, Some("sip.example"), false),
        node("b:1", 1, Some("sip.example"), false),
        node("c:1", 1, Some("other.example"), false),
        node("d:1", 1, Some("gone.example"), true),
        node("e:1", 1, None, false),
    ] {
        house.store.note_applied(node).await.expect("noted");
    }
    let address = house.get("viewer", "/sip-address").await;
    let nodes = json!([{"host": "sip.example", "port": 5061}, {"host": "other.example", "port": 5061}]);
    assert_eq!((&address.body["host"], &address.body["nodes"]), (&json!("sip.bellhop.example"), &nodes));
    assert!(!address.text.contains("a:1"), "what servers are called among themselves is an operator's to know");
}

#[actix_web::test]
async fn numbers_that_several_have_are_told_to_operators_alone() {
    let house = House::new().await;
    let own = furnish(&house, "admin", "phone").await.id();
    let theirs = furnish(&house, "stranger", "theirs").await;
    let other = json!({"settings": {"connect": {
        "instance_arn": "arn:aws:connect:eu-west-2:111122223333:instance/other",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s3cret-key",
    }}});
    let moved = house.patch("stranger", &format!("/integrations/{}", theirs.id()), theirs.etag(), other).await;
    assert_eq!(moved.status, 200, "{moved:?}");
    for (who, integration) in [("admin", &own), ("stranger", &theirs.id())] {
        let made = house.post(who, "/numbers", json!({"number": "+18005550123", "integration": integration})).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    house.post("admin", "/numbers", json!({"number": "+18005550124", "integration": own})).await;
    let disputed = house.get("operator", "/numbers/disputed").await;
    let tenants = |one: &Value| (one["number"].clone(), one["tenant"].clone());
    let all: Vec<_> = disputed.body["items"].as_array().expect("a list").iter().map(tenants).collect();
    let number = json!("+18005550123");
    assert_eq!(all, [(number.clone(), json!(house.acme.to_string())), (number, json!(house.other.to_string()))]);
    assert_eq!(house.get("admin", "/numbers/disputed").await.status, 403);
}

#[actix_web::test]
async fn lines_of_the_audit_are_found_by_what_was_done_and_by_whom() {
    let house = House::new().await;
    furnish(&house, "admin", "phone").await;
    furnish(&house, "stranger", "theirs").await;
    let count = async |who: &str, query: &str| {
        let found = house.get(who, &format!("/audit?{query}")).await;
        found.body["items"].as_array().unwrap_or_else(|| panic!("{found:?}")).len()
    };
    assert_eq!(count("operator", "action=assistant.").await, 2);
    assert_eq!(count("operator", "action=assistant.&name=stranger").await, 1);
    assert_eq!(count("admin", "action=assistant.").await, 1, "what is another's is not there");
    assert_eq!(count("operator", "action=nothing").await, 0);
}
