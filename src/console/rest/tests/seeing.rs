//! Figures, what broke off, and what arrives.

use std::collections::BTreeMap;

use bellhop_call::figures::{Endings, OfTenant, Slot, Waits};
use bellhop_call::record::Opening;
use bellhop_tenancy::Number;
use bellhop_tenancy::store::{NewRefusal, Refusals};

use super::*;

/// Noon of a day in 2026.
const NOON: i64 = 1_795_608_000_000;

fn ended(slot_unix_ms: i64, reason: &str, failure: Option<&str>, calls: u64) -> Endings {
    let (reason, failure) = (reason.to_owned(), failure.map(str::to_owned));
    Endings { slot_unix_ms, reason, failure, calls, milliseconds: calls * 90_000 }
}

#[actix_web::test]
async fn figures_are_added_up_by_slot_and_over_all() {
    let house = House::new().await;
    let mut waits = Waits::default();
    waits.add(500, 9);
    waits.add(4_000, 1);
    *house.calls.figures.lock().expect("no panic") = Figures {
        endings: vec![
            ended(NOON, "assistant_transfer", None, 3),
            ended(NOON + 3_600_000, "failed", Some("turn_loop: the assistant was lost"), 2),
            ended(NOON + 3_600_000, "failed", Some("jitter_buffer: the assistant was lost"), 1),
            ended(NOON + 3_600_000, "failed", Some("of another version"), 1),
        ],
        waits: BTreeMap::from([(NOON, waits)]),
        at_once: Some(BTreeMap::from([(NOON, 2), (NOON + 3_600_000, 4)])),
        up: 1,
        tenants: vec![OfTenant { tenant: "acme".into(), calls: 7, failed: 4, handed_over: 3 }],
    };
    let path = "/dashboard?from=2026-11-25T12:59:59Z&until=2026-11-25T14:00:00Z";
    let told = house.get("viewer", path).await;
    let asked = house.calls.figured.lock().expect("no panic").clone().expect("it was asked");
    assert_eq!((asked.tenant.as_deref(), asked.slot), (Some("acme"), Slot::Hour));
    assert_eq!((asked.from_unix_ms, asked.until_unix_ms), (NOON, NOON + 2 * 3_600_000), "{told:?}");
    let body = &told.body;
    assert_eq!((&body["from"], &body["until"]), (&json!("2026-11-25T12:00:00Z"), &json!("2026-11-25T14:00:00Z")));
    let total = json!({
        "calls": 7, "handed_over": 3, "ended_by_assistant": 0, "caller_hung_up": 0, "failed": 4, "minutes": 10.5,
        "turns": 10, "wait_median_ms": 500, "wait_p95_ms": 4_000, "at_once": 4,
    });
    assert_eq!(body["total"], total);
    assert_eq!(body["slots"].as_array().map(Vec::len), Some(2));
    assert_eq!((&body["slots"][1]["calls"], &body["slots"][1]["wait_median_ms"]), (&json!(4), &Value::Null));
    let lost = json!({"reason": "assistant_lost", "why": "the assistant was lost", "calls": 3});
    assert_eq!(body["failures"], json!([lost, {"reason": null, "why": "of another version", "calls": 1}]));
    assert_eq!((&body["calls_max"], &body["up"], &body["zone"]), (&json!(100), &json!(1), &json!("UTC")));
    let all = house.get("operator", path).await.body;
    assert_eq!((&all["calls_max"], &all["tenants"][0]["tenant"]), (&Value::Null, &json!("acme")));
}

#[actix_web::test]
async fn times_of_a_dashboard_are_bounded_and_a_bad_one_is_told() {
    let house = House::new().await;
    for bad in [
        "per=minute",
        "from=yesterday",
        "from=1960-01-01T00:00:00Z",
        "from=2026-11-25T12:00:00Z&until=2026-11-25T11:00:00Z",
        "from=2026-11-01T00:00:00Z&until=2026-11-08T01:00:00Z",
        "per=day&from=2026-10-01T00:00:00Z&until=2026-11-02T00:00:00Z",
        "until=9999-12-31T23:59:59Z&from=2026-10-01T00:00:00Z",
    ] {
        assert_eq!(house.get("viewer", &format!("/dashboard?{bad}")).await.status, 400, "{bad}");
    }
    for (good, slots) in [
        ("", 24),
        ("per=day", 14),
        ("from=2026-11-01T00:00:00Z&until=2026-11-08T00:00:00Z", 168),
        ("per=day&from=2026-10-01T00:00:00Z&until=2026-11-01T00:00:00Z", 31),
    ] {
        let told = house.get("viewer", &format!("/dashboard?{good}")).await;
        assert_eq!(told.body["slots"].as_array().map(Vec::len), Some(slots), "{good}: {told:?}");
    }
}

fn over(session: &str, tenant: &str, began_unix_ms: i64, reason: &str, why: Option<&str>) -> KeptCall {
    let details = json!({
        "primary_phone_number": "+18005550123", "failure_details": why,
        "call": {"milliseconds_elapsed": 1_500, "end_reason": reason},
    });
    let (session, call, tenant) = (session.to_owned(), format!("c-{session}"), tenant.to_owned());
    let (details, timeline) = (details.to_string(), "[]".to_owned());
    KeptCall { session, call, tenant, caller: "+12065550100".into(), began_unix_ms, details, timeline }
}

#[actix_web::test]
async fn calls_that_broke_off_say_why_and_what_to_do() {
    let house = House::new().await;
    *house.calls.over.lock().expect("no panic") = vec![
        over("a", "acme", NOON, "failed", Some("connect_handoff: the hand-off was refused")),
        over("b", "acme", NOON + 1, "caller_hangup", None),
        over("c", "other", NOON + 2, "failed", Some("drained")),
        KeptCall { details: "{\"call\":{\"end_reason\":\"failed\"}".into(), ..over("d", "acme", 1, "failed", None) },
    ];
    let items = house.get("viewer", "/calls?reason=failed").await.body["items"].clone();
    let ids: Vec<&str> = items.as_array().into_iter().flatten().filter_map(|item| item["id"].as_str()).collect();
    assert_eq!(ids, ["a", "d"], "a record that is damaged is told all the same");
    let told = (&items[0]["cause"], &items[0]["why"], &items[0]["milliseconds"], &items[0]["dialled"]);
    assert_eq!(
        told,
        (&json!("handoff_refused"), &json!("the hand-off was refused"), &json!(1_500), &json!("+18005550123"))
    );
    assert!(items[0]["what_to_do"].as_str().is_some_and(|told| told.contains("Test connection")), "{items}");
    assert_eq!(house.get("operator", "/calls?reason=failed").await.body["items"].as_array().map(Vec::len), Some(3));
}

#[actix_web::test]
async fn what_came_since_a_moment_is_told_of_ones_own_tenant_alone() {
    let house = House::new().await;
    let up = |session: &str, tenant: &str, began_unix_ms| {
        let opening = Opening { tenant: tenant.into(), began_unix_ms, ..Opening::default() };
        UnderWay { session: session.into(), call: format!("c-{session}"), opening }
    };
    *house.calls.under_way.lock().expect("no panic") =
        vec![up("u1", "acme", NOON + 3), up("u2", "other", NOON + 3), up("u0", "acme", NOON - 1)];
    *house.calls.over.lock().expect("no panic") = vec![
        over("o1", "acme", NOON + 1, "caller_hangup", None),
        over("o0", "acme", NOON - 1, "caller_hangup", None),
        over("o2", "other", NOON + 1, "caller_hangup", None),
    ];
    let refused = |tenant, at_unix_ms, reason: &str| NewRefusal {
        tenants: vec![tenant],
        at_unix_ms,
        number: Number::parse("+18005550123").ok(),
        source: "192.0.2.1".into(),
        transport: "TCP".into(),
        server_name: None,
        status: 403,
        reason: reason.into(),
    };
    let all = vec![
        refused(house.acme, NOON + 2, "tenant_full"),
        refused(house.acme, NOON - 2, "not_from_there"),
        refused(house.other, NOON + 2, "tenant_full"),
    ];
    house.store.note_refusals(all).await.expect("noted");
    let since = format!("since={}", super::super::shown::time(NOON));
    let came = house.get("viewer", &format!("/arrivals?{since}")).await.body;
    let told: Vec<_> = came["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| (item["state"].clone(), item["call"].clone(), item["reason"].clone()))
        .collect();
    let expected = [
        (json!("up"), json!("u1"), Value::Null),
        (json!("refused"), Value::Null, json!("tenant_full")),
        (json!("over"), json!("o1"), json!("caller_hung_up")),
    ];
    assert_eq!(told, expected, "{came}");
    assert_eq!(came["items"][1]["what_to_do"], "do nothing");
    let of_acme = house.get("operator", &format!("/arrivals?{since}&tenant={}", house.acme)).await.body;
    assert_eq!(of_acme, came);
    assert_eq!(house.get("operator", &format!("/arrivals?{since}")).await.status, 400, "an operator says whose");
    assert_eq!(house.get("viewer", "/arrivals").await.status, 200, "of the last minutes");
    assert_eq!(house.get("viewer", "/arrivals?since=yesterday").await.status, 400);
    assert_eq!(house.get("viewer", &format!("/arrivals?{since}&tenant={}", house.other)).await.status, 404);
    let nobody = NewRefusal { tenants: vec![], ..refused(house.acme, NOON, "nobodys_number") };
    house.store.note_refusals(vec![nobody]).await.expect("noted");
    let of_nobody = house.get("operator", "/refusals?nobody=true").await.body;
    assert_eq!(
        (of_nobody["items"].as_array().map(Vec::len), &of_nobody["items"][0]["reason"]),
        (Some(1), &json!("nobodys_number"))
    );
    assert_eq!(house.get("viewer", "/refusals?nobody=true").await.status, 400);
    assert_eq!(house.get("operator", "/refusals").await.body["items"].as_array().map(Vec::len), Some(4));
}
