//! Calls, their conversations, and what was refused.

use bellhop_connect::session_history_key::SessionHistoryKey;
use bellhop_tenancy::Number;
use bellhop_tenancy::store::{NewRefusal, Refusals};

use super::*;
use crate::ports::LiveFacts;

pub(super) fn kept(session: &str, tenant: &str, began_unix_ms: i64) -> KeptCall {
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

fn up(call: &str, tenant: &str) -> LiveCall {
    let (session, caller, dialled) = (format!("s-{call}"), "+1 206 555 0100".to_owned(), "+18005550123".to_owned());
    let facts = LiveFacts { session, caller, dialled, began_unix_ms: 1_000 };
    LiveCall { call: call.into(), tenant: tenant.into(), facts: Some(facts) }
}

/// What is looked for is asked of the store in its own terms, and bad filters are told.
#[actix_web::test]
async fn a_list_is_narrowed_by_what_people_know_of_a_call() {
    let house = House::new().await;
    let of = "number=%2B1+800+555+0123&longer_than=90&reason=failed&words=no+audio&from=1970-01-01T00:00:02Z";
    let mut lost = kept("s1", "acme", 5_000);
    let call = json!({"end_reason": "failed", "ending": "failed_media_timeout", "milliseconds_elapsed": 61_500});
    lost.details =
        json!({"primary_phone_number": "+18005550123", "call": call, "failure_details": "x: no audio"}).to_string();
    *house.calls.over.lock().expect("no panic") = vec![lost];
    let listed = house.get("viewer", &format!("/calls?{of}")).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let one = &listed.body["items"][0];
    assert_eq!((&one["dialled"], &one["milliseconds"]), (&json!("+18005550123"), &json!(61_500)));
    assert_eq!((&one["reason"], &one["ending"]), (&json!("failed"), &json!("failed_media_timeout")));
    assert_eq!(one["why"], "no audio from the far end");
    assert!(one["what_to_do"].as_str().is_some_and(|remedy| remedy.contains("media.ports")), "{one}");
    let asked = house.calls.wanted.lock().expect("no panic").clone().expect("it was asked");
    assert_eq!((asked.tenant.as_deref(), asked.number.as_deref()), (Some("acme"), Some("+1 800 555 0123")));
    assert_eq!((asked.longer_than, asked.from_unix_ms), (Some(std::time::Duration::from_secs(90)), Some(2_000)));
    let words = asked.words.expect("words");
    assert_eq!(words.text, "no audio");
    assert!(words.endings.contains(&"failed_media_timeout"), "{words:?}");
    for bad in ["longer_than=x", "longer_than=-1", "until=x", "of=x"] {
        assert_eq!(house.get("viewer", &format!("/calls?{bad}")).await.status, 400, "{bad}");
    }
    *house.calls.up.lock().expect("no panic") = vec![up("c1", "acme")];
    for (filter, count) in [
        ("", 1),
        ("?number=12065550100", 1),
        ("?number=%2B18005550123", 1),
        ("?number=555", 0),
        ("?from=1970-01-01T00:00:01Z&until=1970-01-01T00:00:02Z", 1),
        ("?until=1970-01-01T00:00:01Z", 0),
        ("?longer_than=3600", 1),
    ] {
        let found = house.get("viewer", &format!("/calls/live{filter}")).await;
        assert_eq!(found.body["items"].as_array().map(Vec::len), Some(count), "{filter}: {found:?}");
    }
}

#[actix_web::test]
async fn a_call_that_is_up_is_shown_listened_to_and_ended_by_its_own() {
    let house = House::new().await;
    *house.calls.up.lock().expect("no panic") = vec![up("c1", "acme"), up("c2", "other")];
    let happened = bellhop_call::record::What::Answered {};
    house.calls.happened.lock().expect("no panic").push(Event { at_ms: 7, what: happened });
    let listed = house.get("viewer", "/calls/live").await.body;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["session"]), (&json!("c1"), &json!("s-c1")));
    let shown = house.get("viewer", "/calls/s-c1").await;
    assert_eq!((shown.status, &shown.body["state"], &shown.body["last_event"]), (200, &json!("up"), &json!(1)));
    assert_eq!(shown.body["timeline"], json!([{"at_ms": 7, "event": "answered"}]));
    assert_eq!((&shown.body["details"], &shown.body["ended"]), (&Value::Null, &Value::Null));
    assert_eq!(house.get("viewer", "/calls/s-c2").await.status, 404);
    assert_eq!(house.get("viewer", "/calls/c2/events").await.status, 404);
    let hang_up = |who, call: &str| of(who, Method::POST, &format!("/calls/{call}/hang-up"));
    assert_eq!(house.ask(hang_up("viewer", "c1")).await.status, 403);
    assert_eq!(house.ask(hang_up("admin", "c2")).await.status, 404);
    assert_eq!(house.ask(hang_up("admin", "c1")).await.status, 204);
    assert_eq!(house.ask(hang_up("admin", "c1")).await.status, 404);
    let line = &house.get("admin", "/audit").await.body["items"][0];
    assert_eq!((&line["action"], &line["on"]), (&json!("call.hang_up"), &json!("c1")));
}

const BEGINS: &str = "retry: 2000\n\n";
const OVER: &str = "event: end\ndata: {\"why\":\"over\"}\n\n";

/// Whoever comes again says which event was the last.
#[actix_web::test]
async fn events_are_told_from_where_a_reader_was() {
    let house = House::new().await;
    *house.calls.up.lock().expect("no panic") = vec![up("c1", "acme")];
    let told = house.get("viewer", "/calls/c1/events").await;
    assert_eq!((told.status, told.headers["content-type"].as_str()), (200, "text/event-stream"));
    let missed = "id: 1\nevent: missed\ndata: {\"missed\":1}\n\n";
    let (second, third) = ("id: 2\ndata: {\"left\":1}\n\n", "id: 3\ndata: {\"left\":0}\n\n");
    assert_eq!(told.text, format!("{BEGINS}{missed}{second}{third}{OVER}"));
    let told = house.get("viewer", "/calls/c1/events?after=1").await;
    assert_eq!(told.text, format!("{BEGINS}{second}{third}{OVER}"));
    let again = |last: &'static str| {
        of("viewer", Method::GET, "/calls/c1/events?after=1").insert_header(("Last-Event-ID", last))
    };
    assert_eq!(house.ask(again("2")).await.text, format!("{BEGINS}{third}{OVER}"));
    assert_eq!(house.ask(again("x")).await.status, 400);
    assert_eq!(house.get("viewer", "/calls/c1/events?after=x").await.status, 400);
}

/// What a reader is told, in whatever time it takes.
async fn read_on(house: &House, path: &str) -> String {
    let rest = house.rest.clone();
    let app = test::init_service(App::new().configure(|config| rest.configure(config))).await;
    let response = test::call_service(&app, of("viewer", Method::GET, path).to_request()).await;
    assert_eq!(
        (response.status().as_u16(), response.headers().get("x-accel-buffering").expect("a header").as_bytes()),
        (200, &b"no"[..])
    );
    tokio::time::pause();
    let read = to_bytes(response.into_body()).await.expect("lines");
    tokio::time::resume();
    String::from_utf8(read.to_vec()).expect("text")
}

/// Nothing happens in the call, and whoever reads is not forgotten.
#[actix_web::test]
async fn a_reader_is_sent_away_when_the_server_drains_or_they_are_signed_out() {
    let house = House::new().await;
    *house.calls.up.lock().expect("no panic") = vec![up("c1", "acme")];
    let silent = "/calls/c1/events?after=9";
    let told = read_on(&house, silent).await;
    assert!(told.matches(": still there\n\n").count() >= 30, "{told}");
    assert!(!told.contains("end"), "they come again by themselves");
    house.calls.all_signed_out.store(true, Ordering::Relaxed);
    let told = read_on(&house, silent).await;
    assert_eq!(told, format!("{BEGINS}event: end\ndata: {{\"why\":\"signed_out\"}}\n\n"));
    house.calls.drains.store(true, Ordering::Relaxed);
    let told = read_on(&house, silent).await;
    assert_eq!(told, format!("{BEGINS}event: end\ndata: {{\"why\":\"draining\"}}\n\n"));
}

/// A player asks for parts, and who seeks is one who listens.
#[actix_web::test]
async fn a_recording_is_heard_in_parts_and_each_listening_is_audited_once() {
    let house = House::new().await;
    *house.calls.over.lock().expect("no panic") = vec![kept("s1", "acme", 1_000), kept("s2", "other", 1_000)];
    assert_eq!(house.get("viewer", "/calls/s1/recording").await.status, 404, "none was made");
    *house.calls.recorded.lock().expect("no panic") = Some(b"0123456789".to_vec());
    let part = |range: &'static str| of("viewer", Method::GET, "/calls/s1/recording").insert_header(("Range", range));
    let all = house.get("viewer", "/calls/s1/recording").await;
    assert_eq!((all.status, all.text.as_str(), all.headers["accept-ranges"].as_str()), (200, "0123456789", "bytes"));
    let some = house.ask(part("bytes=2-5")).await;
    assert_eq!((some.status, some.text.as_str()), (206, "2345"));
    assert_eq!((&*some.headers["content-range"], &*some.headers["content-type"]), ("bytes 2-5/10", "audio/wav"));
    let beyond = house.ask(part("bytes=10-")).await;
    assert_eq!((beyond.status, beyond.headers["content-range"].as_str()), (416, "bytes */10"));
    assert_eq!(house.get("viewer", "/calls/s2/recording").await.status, 404);
    assert_eq!(house.get("agent", "/calls/s1/recording").await.status, 403);
    assert_eq!(house.get("admin", "/calls/log-s1/recording").await.status, 200);
    let audit = house.get("admin", "/audit").await.body;
    let listened = |line: &&Value| line["action"] == "call.listen";
    let lines: Vec<&Value> = audit["items"].as_array().expect("lines").iter().filter(listened).collect();
    assert_eq!(
        lines.iter().map(|line| (&line["name"], &line["on"])).collect::<Vec<_>>(),
        [(&json!("viewer"), &json!("s1"))]
    );
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
