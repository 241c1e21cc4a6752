//! What strangers cause: refusals and requests that come again and again.

use super::*;

promises! {
    what_is_alike_is_one_line_with_a_count
    refusals_have_bounds_of_their_own
    of_requests_under_one_name_one_is_the_first
}

fn refused(tenants: &[TenantId], of: &str, source: &str, at_unix_ms: i64) -> NewRefusal {
    NewRefusal {
        tenants: tenants.to_vec(),
        at_unix_ms,
        number: Some(number(of)),
        source: source.into(),
        transport: "UDP".into(),
        server_name: Some("sip.example\n".into()),
        status: 403,
        reason: "wrong_network".into(),
    }
}

pub(super) async fn what_is_alike_is_one_line_with_a_count(home: &impl Home) {
    let store = home.store().await;
    let a = tenant(&store, "acme").await;
    let whole = operator().signed_in.scope();
    let at = 1_700_000_000_000;
    let flood = (0..400).map(|n| refused(&[a.id], "+18005550101", "192.0.2.1", at + n)).collect();
    store.note_refusals(flood).await.expect("noted");
    let more = vec![
        refused(&[a.id], "+18005550101", "192.0.2.1", at + 9 * 60_000),
        refused(&[a.id], "+18005550101", "192.0.2.2", at),
        refused(&[], "+18005550101", "192.0.2.1", at),
    ];
    store.note_refusals(more).await.expect("noted");
    store.note_refusals(vec![refused(&[a.id], "+18005550101", "192.0.2.1", at + 11 * 60_000)]).await.expect("noted");
    let kept = store.refusals(&whole, FIRST).await.expect("answers").items;
    let mut counts: Vec<_> =
        kept.iter().map(|kept| (kept.count, kept.first_unix_ms - at, kept.refusal.at_unix_ms - at)).collect();
    counts.sort();
    let minute = 60_000;
    assert_eq!(counts, [(1, 0, 0), (1, 0, 0), (1, 11 * minute, 11 * minute), (401, 0, 9 * minute)]);
    assert_eq!(kept[0].first_unix_ms, at + 11 * minute, "the newest first");
    assert_eq!(kept[0].refusal.server_name.as_deref(), Some("sip.example"));
    store.note_refusals(vec![]).await.expect("nothing");
    let gone = vec![refused(&[TenantId(new_id())], "+18005550199", "192.0.2.9", at)];
    store.note_refusals(gone).await.expect("a tenant that was just deleted is nobody");
}

pub(super) async fn refusals_have_bounds_of_their_own(home: &impl Home) {
    let store = home.store().await;
    let (a, b) = (tenant(&store, "acme").await, tenant(&store, "bravo").await);
    let at = 1_700_000_000_000;
    store.note_refusals(vec![refused(&[b.id], "+18005550102", "192.0.2.1", at)]).await.expect("noted");
    for batch in 0..6_i64 {
        let many =
            (0..400).map(|n| refused(&[a.id], "+18005550101", &format!("192.0.2.1-{batch}-{n}"), at + batch * 400 + n));
        store.note_refusals(many.collect()).await.expect("noted");
    }
    let of = |tenant: TenantId| format!("SELECT count(*) FROM refusal_tenants WHERE tenant = '{tenant}'");
    assert_eq!((home.count(&of(a.id)).await, home.count(&of(b.id)).await), (1_000, 1));
    assert_eq!(home.count("SELECT count(*) FROM refusals").await, 1_001, "what nobody sees is not kept");
    let whole = operator().signed_in.scope();
    let newest = store.refusals(&whole, FIRST).await.expect("answers").items.remove(0);
    assert_eq!(newest.refusal.source, "192.0.2.1-5-399", "the oldest made room");
}

pub(super) async fn of_requests_under_one_name_one_is_the_first(home: &impl Home) {
    let (one, two) = (home.store().await, home.store().await);
    let a = furnish(&one, "acme", "+18005550101").await;
    let by = &a.admin;
    let now = unix_now_ms();
    let request = |name: &str, fingerprint: &str, at_unix_ms: i64| KeyedRequest {
        name: name.into(),
        fingerprint: fingerprint.into(),
        at_unix_ms,
    };
    for n in 0..10 {
        let both = request(&format!("n{n}"), "f", now);
        let (x, y) = tokio::join!(Idempotency::begin(&one, by, &both), Idempotency::begin(&two, by, &both));
        let mut both = [x.expect("answers"), y.expect("answers")];
        both.sort_by_key(|begun| *begun != Begun::First);
        assert_eq!(both, [Begun::First, Begun::InFlight]);
    }
    let begin = async |request: KeyedRequest| Idempotency::begin(&one, by, &request).await.expect("answers");
    let kept =
        KeptAnswer { status: 201, location: Some("/x".into()), etag: Some("\"1\"".into()), body: Some("{}".into()) };
    two.settle("n0", Some(kept.clone())).await.expect("settled");
    assert_eq!(begin(request("n0", "f", now)).await, Begun::Answered(kept));
    assert_eq!(begin(request("n0", "other", now)).await, Begun::Another);
    assert_eq!(Idempotency::begin(&one, &operator(), &request("n0", "f", now)).await.expect("answers"), Begun::Another);
    one.settle("n1", None).await.expect("settled");
    assert_eq!(begin(request("n1", "f", now)).await, Begun::First, "nothing was done");
    assert_eq!(begin(request("n0", "f", now + DAY_MS)).await, Begun::First, "it is forgotten after a day");
    for n in 0..KEYS_OF_A_USER_MAX + 10 {
        begin(request(&format!("m{n}"), "f", now + DAY_MS + n as i64)).await;
    }
    assert_eq!(home.count("SELECT count(*) FROM answered_requests").await, KEYS_OF_A_USER_MAX as i64);
    assert_eq!(begin(request("m9", "f", now + DAY_MS + 5_000)).await, Begun::First, "the oldest made room");
}
