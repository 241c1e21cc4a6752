//! What is seen of calls: figures, what was refused and broke off, and a call that arrives.

use std::collections::BTreeMap;

use bellhop_call::figures::{Endings, Figures, HOUR_MS, Slot, Waits};
use bellhop_call::ports::{KeptCall, UnderWay};
use bellhop_call::record::Opening;
use bellhop_tenancy::Number;
use bellhop_tenancy::store::{NewRefusal, Refusals};
use serde_json::json;

use super::setting_up::admin_of;
use super::*;

fn now_ms() -> i64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_millis() as i64
}

fn tenant_of(path: &str) -> TenantId {
    path.split('/').nth(2).expect("a tenant").parse().expect("an id")
}

fn refusal(tenants: &[TenantId], number: &str, reason: &str) -> NewRefusal {
    NewRefusal {
        tenants: tenants.to_vec(),
        at_unix_ms: now_ms(),
        number: Number::parse(number).ok(),
        source: "192.0.2.1".into(),
        transport: "TLS".into(),
        server_name: Some("<img src=x onerror=alert(1)>".into()),
        status: 403,
        reason: reason.into(),
    }
}

/// A call of a stranger who calls himself what would be a script.
fn broken(session: &str, tenant: &str, why: &str) -> KeptCall {
    let details = json!({
        "primary_phone_number": "+18005550123\"><script>alert(3)</script>", "failure_details": why,
        "call": {"milliseconds_elapsed": 12_345, "end_reason": "failed"},
    });
    KeptCall {
        session: session.into(),
        call: format!("c-{session}"),
        tenant: tenant.into(),
        caller: "<script>alert(2)</script>".into(),
        began_unix_ms: now_ms(),
        details: details.to_string(),
        timeline: "[]".into(),
    }
}

/// Nothing that a stranger sent is more than text.
fn is_text(browser: &Browser, strange: &[&str]) {
    for strange in strange {
        assert!(!browser.text.contains(strange), "{} has {strange}", browser.path);
        let shown = strange.replace('<', "&#60;").replace('>', "&#62;").replace('"', "&#34;");
        assert!(browser.text.contains(&shown), "{} shows no {shown}: {}", browser.path, browser.text);
    }
}

#[actix_web::test]
async fn what_was_refused_and_what_broke_off_say_why_and_lead_to_where_it_is_mended() {
    let house = House::new().await;
    let (mut browser, integrations) = admin_of(&house, "plus").await;
    let tenant = tenant_of(&integrations);
    let refusals = format!("/tenants/{tenant}/refusals");
    browser.opens(&house, &refusals).await;
    assert!(browser.text.contains("No call was refused") && browser.text.contains("No call broke off"));
    let strange = refusal(&[tenant], "+18005550123", "<b>of another version</b>");
    let full = refusal(&[tenant], "+18005550123", "tenant_full");
    house.store.note_refusals(vec![strange, full.clone(), full]).await.expect("noted");
    let calls = vec![
        broken("s1", "acme", "turn_loop: the assistant was lost"),
        broken("s2", "acme", "<i>of another version</i>"),
        broken("s3", "other", "turn_loop: the assistant was lost"),
    ];
    *house.calls.over.lock().expect("no panic") = calls;
    browser.opens(&house, &refusals).await;
    is_text(&browser, &["<img src=x onerror=alert(1)>", "<b>of another version</b>", "<i>of another version</i>"]);
    is_text(&browser, &["<script>alert(2)</script>", "+18005550123\"><script>alert(3)</script>"]);
    assert!(browser.text.contains("2 times since") && browser.text.contains("it is tenant_full"), "{}", browser.text);
    let links = browser.links();
    for path in [
        "/docs/errors#refused-tenant_full".to_owned(),
        "/docs/errors#ended-assistant_lost".to_owned(),
        format!("/tenants/{tenant}"),
        format!("/tenants/{tenant}/assistants"),
        format!("/tenants/{tenant}/calls/s1"),
    ] {
        assert!(links.contains(&path), "{path} is not among {links:?}");
    }
    assert!(!links.iter().any(|link| link.contains("/calls/s3")), "another's call is not there");
    browser.opens(&house, &format!("/tenants/{}/refusals", TenantId::of_file("other"))).await;
    assert_eq!(browser.status, 404);
    browser.opens(&house, "/refusals").await;
    assert_eq!(browser.status, 403, "what is nobody's is for operators");
}

#[actix_web::test]
async fn an_operator_sees_what_was_refused_for_numbers_of_nobody() {
    let house = House::new().await;
    let (_, integrations) = admin_of(&house, "plus").await;
    let tenant = tenant_of(&integrations);
    let all = vec![refusal(&[tenant], "+18005550123", "tenant_full"), refusal(&[], "+18005550199", "nobodys_number")];
    house.store.note_refusals(all).await.expect("noted");
    let mut root = house.browser_of("op", Standing::Operator).await;
    root.opens(&house, "/refusals").await;
    assert!(root.text.contains("+18005550123") && root.text.contains("+18005550199"), "{}", root.text);
    assert!(root.links().contains(&format!("/tenants/{tenant}/refusals")));
    root.opens(&house, "/refusals?of=nobody").await;
    assert!(!root.text.contains("+18005550123") && root.text.contains("+18005550199"), "{}", root.text);
    assert!(root.links().contains(&"/docs/errors#refused-nobodys_number".to_owned()));
}

#[actix_web::test]
async fn a_call_is_watched_until_it_came_and_what_became_of_it_is_told() {
    let house = House::new().await;
    let (mut browser, integrations) = admin_of(&house, "plus").await;
    let tenant = tenant_of(&integrations);
    let page = format!("/tenants/{tenant}/refusals/call-me");
    browser.opens(&house, &page).await;
    assert!(browser.text.contains("There is no number yet") && !browser.text.contains("hx-get"), "{}", browser.text);
    furnish(&house, &mut browser, tenant).await;
    browser.opens(&house, &page).await;
    assert!(browser.text.contains("+18005550123") && browser.links().contains(&format!("{page}?dial=now")));
    browser.opens(&house, &format!("{page}?dial=now")).await;
    let watched =
        browser.text.split("hx-get=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("it asks again");
    let watched = plain(watched);
    assert!(watched.starts_with(&format!("{page}?since=")) && browser.text.contains("Dial now."), "{watched}");

    let mut opening = Opening { tenant: "acme".into(), began_unix_ms: now_ms() + 1, ..Opening::default() };
    let facts = std::sync::Arc::make_mut(&mut opening.facts);
    (facts.caller, facts.dialled) = ("<u>Eve</u>".into(), "+18005550123".into());
    let up = UnderWay { session: "s9".into(), call: "c9".into(), opening };
    house.calls.under_way.lock().expect("no panic").push(up);
    browser.opens(&house, &watched).await;
    is_text(&browser, &["<u>Eve</u>"]);
    assert!(browser.text.contains("is up.") && browser.text.contains("hx-get"), "it goes on: {}", browser.text);
    assert!(browser.links().contains(&format!("/tenants/{tenant}/calls/s9")));
    house.calls.under_way.lock().expect("no panic").clear();

    let late = NewRefusal { at_unix_ms: now_ms() + 2, ..refusal(&[tenant], "+18005550123", "several_owners") };
    house.store.note_refusals(vec![late]).await.expect("noted");
    browser.opens(&house, &watched).await;
    assert!(browser.text.contains("was refused") && browser.text.contains("it is several_owners"), "{}", browser.text);
    assert!(!browser.text.contains("hx-get"), "what came to an end is not asked for again");
    let links = browser.links();
    assert!(links.contains(&"/docs/errors#refused-several_owners".to_owned()), "{links:?}");
    assert!(links.iter().any(|link| link.ends_with("/numbers")), "to the number: {links:?}");

    let since = now_ms() - 400_000;
    browser.opens(&house, &format!("{page}?since={since}")).await;
    let is_told = browser.text.contains("was refused") && !browser.text.contains("hx-get");
    assert!(is_told, "after some minutes it does not ask again: {}", browser.text);
    for none in ["0", "x", "99999999999999999999", "-1", "9223372036854775807"] {
        browser.opens(&house, &format!("{page}?since={none}")).await;
        assert!(browser.status == 200 && browser.text.contains("I dial now"), "{none}: {}", browser.text);
    }
}

/// An integration with a number.
async fn furnish(house: &House, browser: &mut Browser, tenant: TenantId) {
    use bellhop_tenancy::settings::json;
    use bellhop_tenancy::store::{Documents, KeptKind, NewDocument, NumberEntry, Numbers};
    let by = Author { signed_in: SignedIn::on_this_machine("test"), from: "here".into() };
    let document = json::read("{}").expect("JSON");
    let new = NewDocument {
        kind: KeptKind::Integration,
        name: "Main".into(),
        document,
        secrets: vec![],
        uses: vec![],
        instance: None,
    };
    let made = house.store.add_document(&by, tenant, new).await.expect("added");
    let number = Number::parse("+18005550123").expect("a number");
    let entry = NumberEntry { number, description: "Main line".into(), integration: made.id };
    house.store.add_number(&by, tenant, entry).await.expect("added");
    browser.opens(house, &format!("/tenants/{tenant}/integrations")).await;
}

fn figures() -> Figures {
    let slot = Slot::Hour.begin_of(now_ms());
    let ended = |reason: &str, failure: Option<&str>, calls, minutes: u64| Endings {
        slot_unix_ms: slot,
        reason: reason.into(),
        failure: failure.map(str::to_owned),
        calls,
        milliseconds: minutes * 60_000,
    };
    let mut waits = Waits::default();
    waits.add(800, 95);
    waits.add(2_500, 5);
    Figures {
        endings: vec![
            ended("assistant_transfer", None, 30, 90),
            ended("caller_hangup", None, 8, 8),
            ended("failed", Some("turn_loop: the assistant was lost"), 2, 1),
        ],
        waits: BTreeMap::from([(slot, waits)]),
        at_once: Some(BTreeMap::from([(slot, 7), (slot - HOUR_MS, 1)])),
        up: 3,
        tenants: vec![],
    }
}

#[actix_web::test]
async fn figures_are_drawn_and_stand_in_a_table_and_nothing_says_what_to_do_next() {
    let house = House::new().await;
    let (mut browser, integrations) = admin_of(&house, "plus").await;
    let tenant = tenant_of(&integrations);
    let page = format!("/tenants/{tenant}");
    browser.opens(&house, &page).await;
    assert!(browser.text.contains("There is no phone integration yet") && !browser.text.contains("<svg"));
    furnish(&house, &mut browser, tenant).await;
    browser.opens(&house, &page).await;
    assert!(browser.links().contains(&format!("{page}/refusals/call-me")), "{}", browser.text);

    *house.calls.figures.lock().expect("no panic") = figures();
    browser.opens(&house, &page).await;
    for told in
        ["30 (75 %)", "2 (5 %)", "0.80 s in the middle", "3 now, 7 at most, of 100 that the plan allows", "in UTC"]
    {
        assert!(browser.text.contains(told), "no {told}: {}", browser.text);
    }
    assert!(
        browser.text.contains("<td>40</td><td>30</td><td>0</td><td>8</td><td>2</td><td>99.0</td>"),
        "{}",
        browser.text
    );
    assert!(browser.links().contains(&"/docs/errors#ended-assistant_lost".to_owned()));
    let pictures = browser.text.matches("<svg class=\"chart\"").count();
    assert_eq!((pictures, browser.text.matches("<desc id=").count()), (3, 3));
    for time in ["7d", "14d", "31d", "nonsense"] {
        browser.opens(&house, &format!("{page}?time={time}")).await;
        assert_eq!(browser.status, 200, "{time}: {}", browser.text);
    }
    browser.opens(&house, "/dashboard").await;
    assert_eq!(browser.status, 403, "that of all is for operators");
    let mut root = house.browser_of("op", Standing::Operator).await;
    root.opens(&house, "/dashboard").await;
    assert!(root.text.contains("Calls of all tenants") && root.text.contains("30 (75 %)"), "{}", root.text);
}

#[actix_web::test]
async fn every_entry_of_what_can_go_wrong_is_on_its_page() {
    let house = House::new().await;
    let mut browser = house.browser_of("root", Standing::Operator).await;
    browser.opens(&house, "/docs/errors").await;
    for kind in crate::errors::ALL {
        for entry in kind.entries {
            let anchor = format!("id=\"{}\"", kind.anchor(entry.word));
            assert_eq!(browser.text.matches(&anchor).count(), 1, "{anchor}");
        }
    }
    assert!(browser.text.contains("<code>sip.sources</code>,") && browser.text.contains("<em>To User</em>"));
}
