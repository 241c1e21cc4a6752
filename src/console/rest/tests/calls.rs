//! Calls, their conversations, and what was refused.

use bellhop_connect::session_history_key::SessionHistoryKey;
use bellhop_tenancy::Number;
use bellhop_tenancy::store::{NewRefusal, Refusals};

use super::*;

fn kept(session: &str, tenant: &str, began_unix_ms: i64) -> KeptCall {
    KeptCall {
        session: session.into(),
        call: format!("log-{session}"),
        tenant: tenant.into(),
        caller: "+12065550100".into(),
        began_unix_ms,
        details: "{\"end_reason\":\"caller\"}".into(),
        timeline: "[]".into(),
    }
}

#[actix_web::test]
async fn a_call_is_found_by_our_names_alone_and_by_its_tenant() {
    let house = House::new().await;
    let mut chosen = kept("s1", "acme", 1_000);
    chosen.details = "\"a-call-id-of-theirs\"".into();
    *house.calls.over.lock().expect("no panic") = vec![chosen, kept("s2", "other", 2_000)];
    let shown = house.get("viewer", "/calls/s1").await;
    assert_eq!((shown.status, &shown.body["tenant"], &shown.body["call"]), (200, &json!("acme"), &json!("log-s1")));
    assert_eq!(house.get("viewer", "/calls/log-s1").await.status, 200);
    assert_eq!(house.get("viewer", "/calls/a-call-id-of-theirs").await.status, 404);
    let (theirs, nobodys) = (house.get("viewer", "/calls/s2").await, house.get("viewer", "/calls/s3").await);
    assert_eq!((theirs.status, &theirs.body), (404, &nobodys.body));
    assert_eq!(house.get("operator", "/calls/s2").await.body["details"]["end_reason"], "caller");
}

/// Many calls begin in one millisecond, and each is on one page.
#[actix_web::test]
async fn pages_of_calls_have_each_call_once() {
    let house = House::new().await;
    let all: Vec<KeptCall> = (0..40).map(|n| kept(&format!("s{n}"), "acme", 1_000 + n / 7)).collect();
    *house.calls.over.lock().expect("no panic") = all;
    let (mut found, mut after) = (vec![], String::new());
    loop {
        let page = house.get("viewer", &format!("/calls?limit=3{after}")).await.body;
        found.extend(
            page["items"].as_array().expect("items").iter().map(|item| item["id"].as_str().expect("a name").to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let mut each = found.clone();
    each.sort();
    each.dedup();
    assert_eq!((found.len(), each.len()), (40, 40));
    let since = house.get("viewer", "/calls?from=1970-01-01T00:00:01.005Z").await.body;
    assert_eq!(since["items"].as_array().map(Vec::len), Some(5));
    for bad in ["from=yesterday", "after=x", "after=1"] {
        assert_eq!(house.get("viewer", &format!("/calls?{bad}")).await.status, 400, "{bad}");
    }
    assert_eq!(house.get("stranger", "/calls").await.body["items"], json!([]));
}

#[actix_web::test]
async fn a_call_that_is_up_is_listened_to_and_ended_by_its_own() {
    let house = House::new().await;
    let up = |call: &str, tenant: &str| LiveCall { call: call.into(), tenant: tenant.into() };
    *house.calls.up.lock().expect("no panic") = vec![up("c1", "acme"), up("c2", "other")];
    assert_eq!(house.get("viewer", "/calls/live").await.body["items"], json!([{"id": "c1", "tenant": "acme"}]));
    let told = house.get("viewer", "/calls/c1/events").await;
    assert_eq!((told.status, told.headers["content-type"].as_str()), (200, "text/event-stream"));
    assert_eq!(told.text, "data: {\"left\":2}\n\ndata: {\"left\":1}\n\n");
    assert_eq!(house.get("viewer", "/calls/c2/events").await.status, 404);
    let hang_up = |who, call: &str| of(who, Method::POST, &format!("/calls/{call}/hang-up"));
    assert_eq!(house.ask(hang_up("viewer", "c1")).await.status, 403);
    assert_eq!(house.ask(hang_up("admin", "c2")).await.status, 404);
    assert_eq!(house.ask(hang_up("admin", "c1")).await.status, 204);
    assert_eq!(house.ask(hang_up("admin", "c1")).await.status, 404);
    let line = &house.get("admin", "/audit").await.body["items"][0];
    assert_eq!((&line["action"], &line["on"]), (&json!("call.hang_up"), &json!("c1")));
}

#[actix_web::test]
async fn a_conversation_is_its_tenants_agents() {
    let house = House::new().await;
    let key = SessionHistoryKey::from_random([7; 20]);
    let name = key.filed_as().expose().to_owned();
    let history = History { tenant: "acme".into(), json: "{\"turns\":[]}".into() };
    house.calls.conversations.lock().expect("no panic").push((key.filed_as(), history));
    let shown = house.get("agent", &format!("/session-history/{name}")).await;
    assert_eq!((shown.status, &shown.body["conversation"]), (200, &json!({"turns": []})));
    assert_eq!(house.get("stranger", &format!("/session-history/{name}")).await.status, 404);
    assert_eq!(house.get("agent", "/session-history/x").await.status, 404);
}

#[actix_web::test]
async fn each_read_of_a_conversation_is_counted_and_audited_by_its_call_and_never_by_its_key() {
    let house = House::new().await;
    let key = SessionHistoryKey::from_random([7; 20]);
    let name = key.filed_as().expose().to_owned();
    let json =
        "{\"caller\":\"+1\",\"dialled\":\"+2\",\"began_unix_ms\":5,\"transcript\":[],\"call\":\"c-7\"}".to_owned();
    let history = History { tenant: "acme".into(), json };
    house.calls.conversations.lock().expect("no panic").push((key.filed_as(), history));
    let path = format!("/session-history/{name}");
    assert_eq!(house.get("stranger", &path).await.status, 404, "who may not read it uses nothing up");
    for (who, status) in [("agent", 200), ("viewer", 200), ("admin", 404), ("agent", 404)] {
        let answer = house.get(who, &path).await;
        assert_eq!(answer.status, status, "{who}");
        if status == 404 {
            assert_eq!(answer.body, house.get(who, "/session-history/x").await.body, "as if it had never been");
        }
    }
    let audit = house.get("admin", "/audit").await;
    let lines = audit.body["items"].as_array().expect("a list").iter();
    let read: Vec<_> = lines.filter(|line| line["action"] == "session_history.read").map(|line| &line["on"]).collect();
    assert_eq!(read, [&json!("c-7"), &json!("c-7")]);
    assert!(!audit.text.contains(&name), "{}", audit.text);
}

#[actix_web::test]
async fn a_refusal_is_told_to_whose_number_it_was() {
    let house = House::new().await;
    let refusal = |tenants: Vec<TenantId>, reason: &str| NewRefusal {
        tenants,
        at_unix_ms: 1_000,
        number: Number::parse("+18005550123").ok(),
        source: "192.0.2.1".into(),
        transport: "TLS".into(),
        server_name: None,
        status: 403,
        reason: reason.into(),
    };
    let both = refusal(vec![house.acme, house.other], "ambiguous");
    let all = vec![both.clone(), both, refusal(vec![], "nobodys_number")];
    house.store.note_refusals(all).await.expect("noted");
    let told = house.get("viewer", "/refusals").await.body;
    let one = &told["items"][0];
    assert_eq!((told["items"].as_array().map(Vec::len), &one["count"]), (Some(1), &json!(2)), "{told}");
    assert_eq!(one["tenants"], json!([house.acme.to_string()]), "who else has it is not told");
    assert_eq!((&one["why"], &one["what_to_do"]), (&json!("it is ambiguous"), &json!("do nothing")));
    assert_eq!(house.get("operator", "/refusals").await.body["items"].as_array().map(Vec::len), Some(2));
}
