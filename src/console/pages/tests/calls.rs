//! The list of calls, and one call as it happens and afterwards.

use bellhop_call::ports::KeptCall;
use bellhop_call::record::{Event, Speaker, What};
use bellhop_tenancy::store::NewTenant;
use bellhop_tenancy::store::Tenants;
use serde_json::json;

use super::*;
use crate::ports::{LiveCall, LiveFacts};

pub(super) const OVER: &str = "0b9f3c8f-8f2a-4cc1-b3a1-0c1d2e3f4a5b";
const UP: &str = "1c9f3c8f-8f2a-4cc1-b3a1-0c1d2e3f4a5b";
const THEIRS: &str = "2d9f3c8f-8f2a-4cc1-b3a1-0c1d2e3f4a5b";
/// What a caller's side may write wherever it may write something.
const EVIL: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";

fn happens(at_ms: u64, what: What) -> Event {
    Event { at_ms, what }
}

/// Each text that comes from outside is as bad as it can be.
fn timeline() -> Vec<Event> {
    let evil = || EVIL.to_owned();
    vec![
        happens(0, What::SipReceived { message: format!("INVITE {EVIL}") }),
        happens(5, What::SipSent { message: "200 INVITE".into() }),
        happens(9, What::MediaAgreed { codec: evil(), encrypted: true }),
        happens(1000, What::SpeechBegan {}),
        happens(2000, What::SpeechEnded { level_dbfs: -21, ended_by: "silence".into(), silence_ms: 700 }),
        happens(2100, What::Said { speaker: Speaker::Caller, text: format!("hello {EVIL}") }),
        happens(2200, What::Asked { turn: 1, request: "speech_to_text".into(), again: false }),
        happens(2300, What::AssistantFailed { turn: 1, after_ms: 100, why: evil() }),
        happens(2400, What::Warned { id: EVIL.into(), message: evil() }),
    ]
}

pub(super) fn over(session: &str, tenant: &str) -> KeptCall {
    let details = json!({
        "primary_phone_number": format!("+1800{EVIL}"),
        "call": {"end_reason": "failed", "ending": "failed_media_timeout", "milliseconds_elapsed": 65_000},
        "failure_details": EVIL,
        "session_initiation_protocol": {"headers": {"call_id": EVIL, "from_uri": EVIL, "to_uri": EVIL}},
        "warnings_and_errors": [{"id": EVIL, "message": EVIL}],
        "injected_custom_data": {EVIL: EVIL, "nested": {"a": [EVIL]}},
        "realtime_transport_network_summary": {
            "inbound_stream": {"packets_transmitted": 3000, "packets_lost": 7, "average_jitter": 3, "maximum_jitter": 9,
                "mean_opinion_score": 4.3, "canonical_name": EVIL},
            "outbound_stream": {"packets_transmitted": 2999},
        },
    });
    KeptCall {
        session: session.into(),
        call: "00000000000000aa".into(),
        tenant: tenant.into(),
        caller: format!("+1206{EVIL}"),
        began_unix_ms: 1_764_158_400_123,
        details: details.to_string(),
        timeline: serde_json::to_string(&timeline()).expect("plain data"),
    }
}

fn up(session: &str, tenant: &str) -> LiveCall {
    let (caller, dialled) = (format!("+1207{EVIL}"), format!("+1801{EVIL}"));
    let facts = LiveFacts { session: session.into(), caller, dialled, began_unix_ms: 1_764_158_400_123 };
    LiveCall { call: format!("log-{session}"), tenant: tenant.into(), facts: Some(facts) }
}

/// A tenant with a call that is up and one that is over, as people of some roles see it, and somebody else's.
async fn with_calls() -> (House, TenantId) {
    let house = House::new().await;
    let by = Author { signed_in: SignedIn::on_this_machine("test"), from: "here".into() };
    let mut made = vec![];
    for name in ["acme", "other"] {
        let new = NewTenant { name: name.into(), title: EVIL.into(), plan: "plus".into() };
        made.push(house.store.add_tenant(&by, new).await.expect("added").id);
    }
    *house.calls.over.lock().expect("no panic") = vec![over(OVER, "acme"), over(THEIRS, "other")];
    *house.calls.up.lock().expect("no panic") = vec![up(UP, "acme"), up(THEIRS, "other")];
    *house.calls.happened.lock().expect("no panic") = timeline();
    (house, made[0])
}

/// Nothing that came from outside is markup.
fn is_harmless(browser: &Browser) {
    assert_eq!(browser.status, 200, "{}", browser.text);
    assert!(!browser.text.contains("<script>") && !browser.text.contains("<img"), "{}", browser.text);
    let title = browser.text.split("<title>").nth(1).and_then(|rest| rest.split('<').next()).expect("a title");
    assert!(!title.contains('1'), "a title names nobody: {title}");
}

#[actix_web::test]
async fn calls_that_are_up_and_over_are_one_list_that_keeps_its_filter() {
    let (house, tenant) = with_calls().await;
    let mut browser = house.browser_of("viewer", of(tenant, TenantRole::Viewer)).await;
    let calls = format!("/tenants/{tenant}/calls");
    browser.opens(&house, "/").await;
    assert!(browser.links().contains(&calls), "a tab leads there: {:?}", browser.links());
    browser.opens(&house, &calls).await;
    is_harmless(&browser);
    for (session, there) in [(UP, true), (OVER, true), (THEIRS, false)] {
        assert_eq!(browser.links().contains(&format!("{calls}/{session}")), there, "{session}");
    }
    assert!(browser.text.contains("is up") && browser.text.contains("1 min 5 s"), "{}", browser.text);
    assert!(browser.text.contains("no audio from the far end"), "{}", browser.text);
    assert!(browser.text.contains("those of the server that showed this page"), "{}", browser.text);
    let filter = "number=%2B1+206&reason=failed&from=2025-11-26T12%3A00&longer_than=60&words=no+audio";
    browser.opens(&house, &format!("{calls}?{filter}")).await;
    is_harmless(&browser);
    let wanted = house.calls.wanted.lock().expect("no panic").clone().expect("REST was asked");
    assert_eq!((wanted.number.as_deref(), wanted.reason.as_deref()), (Some("+1 206"), Some("failed")));
    assert_eq!(wanted.from_unix_ms, Some(1_764_158_400_000), "a time is in UTC");
    assert_eq!(wanted.longer_than, Some(std::time::Duration::from_secs(60)));
    for kept in ["value=\"+1 206\"", "value=\"failed\" selected", "value=\"2025-11-26T12:00\"", "value=\"no audio\""] {
        assert!(browser.text.contains(kept), "{kept}: {}", browser.text);
    }
    assert!(!browser.text.contains("is up</strong>"), "how a call ends that is up is not known");
    browser.opens(&house, &format!("{calls}?longer_than=x")).await;
    assert!(browser.status == 400 && browser.text.contains("value=\"x\""), "{}", browser.text);
}

#[actix_web::test]
async fn a_page_of_older_calls_has_the_filter_of_the_first() {
    let (house, tenant) = with_calls().await;
    let sessions = |n: u32| format!("{n:08x}-8f2a-4cc1-b3a1-0c1d2e3f4a5b");
    *house.calls.over.lock().expect("no panic") = (0..60).map(|n| over(&sessions(n), "acme")).collect();
    let mut browser = house.browser_of("viewer", of(tenant, TenantRole::Viewer)).await;
    browser.opens(&house, &format!("/tenants/{tenant}/calls?reason=failed")).await;
    let older = browser.links().into_iter().find(|link| link.contains("after=")).expect("older calls");
    assert!(older.contains("reason=failed"), "{older}");
    browser.opens(&house, &older).await;
    let seen = browser.links().iter().filter(|link| link.contains("-8f2a-")).count();
    assert_eq!((browser.status, seen), (200, 10), "{}", browser.text);
    assert!(!browser.text.contains("every 5s"), "what is old does not change");
    assert!(!browser.links().iter().any(|link| link.contains("after=")));
}

#[actix_web::test]
async fn a_call_that_is_over_tells_why_and_what_to_do_and_runs_no_script_of_a_caller() {
    let (house, tenant) = with_calls().await;
    let mut browser = house.browser_of("viewer", of(tenant, TenantRole::Viewer)).await;
    let call = format!("/tenants/{tenant}/calls/{OVER}");
    browser.opens(&house, &call).await;
    is_harmless(&browser);
    for told in ["no audio from the far end", "media.ports", "4.3", "-21 dBFS", "ITU-T G.107", "answers"] {
        assert!(browser.text.contains(told), "{told}: {}", browser.text);
    }
    assert_eq!(browser.text.matches("<svg").count(), 2);
    for (title, desc) in [("ladder-title", "ladder-desc"), ("axis-title", "axis-desc")] {
        assert!(browser.text.contains(&format!("aria-labelledby=\"{title} {desc}\"")));
        assert!(browser.text.contains(&format!("<title id=\"{title}\">")));
        assert!(browser.text.contains(&format!("<desc id=\"{desc}\">")));
    }
    assert!(!browser.text.contains("data-events") && !browser.text.contains("Hang up"), "{}", browser.text);
    browser.opens(&house, &format!("{call}/record")).await;
    assert_eq!(browser.headers["content-disposition"], "attachment; filename=\"call.json\"");
    let record: serde_json::Value = serde_json::from_str(&browser.text).expect("JSON");
    assert_eq!((&record["id"], &record["state"]), (&json!(OVER), &json!("over")));
    for theirs in [THEIRS, "3e9f3c8f-8f2a-4cc1-b3a1-0c1d2e3f4a5b"] {
        for page in ["", "/record"] {
            browser.opens(&house, &format!("/tenants/{tenant}/calls/{theirs}{page}")).await;
            assert_eq!(browser.status, 404);
        }
    }
    *house.calls.up.lock().expect("no panic") = vec![];
    let mut root = house.browser_of("root", Standing::Operator).await;
    root.opens(&house, &format!("/tenants/{tenant}/calls/{THEIRS}")).await;
    assert_eq!(root.status, 404, "a path does not mix tenants");
}

#[actix_web::test]
async fn a_call_that_is_up_is_watched_and_ended_by_who_may_without_a_script_too() {
    let (house, tenant) = with_calls().await;
    let call = format!("/tenants/{tenant}/calls/{UP}");
    let mut viewer = house.browser_of("viewer", of(tenant, TenantRole::Viewer)).await;
    viewer.opens(&house, &call).await;
    is_harmless(&viewer);
    let stream = format!("data-events=\"/api/v1/calls/{UP}/events?tenant={tenant}&#38;after=9\"");
    assert!(viewer.text.contains(&stream), "{}", viewer.text);
    assert!(viewer.text.contains("It is up") && !viewer.text.contains("Hang up now"), "{}", viewer.text);
    viewer.sends(&house, &call, &[("do", "hang-up")]).await;
    assert_eq!(viewer.status, 403);
    let mut admin = house.browser_of("admin", of(tenant, TenantRole::Admin)).await;
    admin.opens(&house, &call).await;
    assert!(admin.text.contains("Hang up now"), "{}", admin.text);
    // By its session it is not found in the stand-in, whose calls end by their names in the log.
    house.calls.up.lock().expect("no panic")[0].call = UP.to_owned();
    house.calls.over.lock().expect("no panic").push(over(UP, "acme"));
    admin.sends(&house, &call, &[("do", "hang-up")]).await;
    assert!(admin.status == 200 && admin.text.contains("Ended:"), "{}", admin.text);
    let token = [("do", "hang-up")];
    admin.sends(&house, &call, &token).await;
    assert!(admin.status == 200 && admin.text.contains("Ended:"), "it is over already: {}", admin.text);
}

#[actix_web::test]
async fn a_call_that_failed_leads_to_its_entry_of_what_can_go_wrong() {
    let (house, tenant) = with_calls().await;
    let mut browser = house.browser_of("viewer", of(tenant, TenantRole::Viewer)).await;
    let (call, entry) = (format!("/tenants/{tenant}/calls/{OVER}"), "/docs/errors#ended-assistant_lost".to_owned());
    browser.opens(&house, &call).await;
    assert!(browser.links().contains(&"/docs/errors#ended-media_timeout".to_owned()), "its label leaves no choice");
    let mut details: serde_json::Value = serde_json::from_str(&over(OVER, "acme").details).expect("JSON");
    details["failure_details"] = json!("turn_loop: the assistant was lost");
    house.calls.over.lock().expect("no panic")[0].details = details.to_string();
    browser.opens(&house, &call).await;
    assert!(browser.links().contains(&entry), "{:?}", browser.links());
}
