//! Tenants and plans.

use bellhop_tenancy::access::ShownBy;

use super::*;

promises! {
    a_change_of_an_old_revision_changes_nothing
    a_name_is_never_given_twice
    of_two_who_add_at_once_one_has_added
    nothing_is_left_of_a_tenant_that_is_deleted
    plans_that_are_brought_or_used_stay
    what_cannot_be_kept_is_a_mistake
    lists_are_in_the_order_of_making_and_go_on
}

pub(super) async fn a_change_of_an_old_revision_changes_nothing(home: &impl Home) {
    let (store, by) = (home.store().await, operator());
    let a = tenant(&store, "acme").await;
    let title = |text: &str| TenantChange { title: Some(text.into()), ..TenantChange::default() };
    let second = store.change_tenant(&by, a.id, 1, title("Two")).await.expect("changed");
    assert_eq!((second.stamp.revision, &*second.title), (2, "Two"));
    assert!(second.stamp.change > a.stamp.change);
    assert_eq!(changed(store.change_tenant(&by, a.id, 1, title("Three")).await), Some(2));
    assert_eq!(changed(store.delete_tenant(&by, a.id, 1).await), Some(2));
    let same = store.change_tenant(&by, a.id, 2, title("Two")).await.expect("nothing to do");
    assert_eq!(same, second, "what changes nothing is no change");
    assert_eq!(store.tenant(&by.signed_in.scope(), a.id).await.expect("there"), second);
    assert_eq!(store.newest_change().await.expect("answers"), second.stamp.change);
}

pub(super) async fn a_name_is_never_given_twice(home: &impl Home) {
    let (store, by) = (home.store().await, operator());
    let a = tenant(&store, "acme").await;
    let again = |name: &str| NewTenant { name: name.into(), title: "Acme".into(), plan: "plus".into() };
    assert_eq!(told(store.add_tenant(&by, again("acme")).await), "there is a tenant `acme` already");
    assert_eq!(told(store.add_tenant(&by, again("ACME")).await), "there is a tenant `ACME` already");
    store.delete_tenant(&by, a.id, 1).await.expect("deleted");
    let why = told(store.add_tenant(&by, again("acme")).await);
    assert_eq!(why, "there was a tenant `acme`, and no name is given twice");
    assert!(not_found(store.delete_tenant(&by, a.id, 2).await), "it is gone");
}

pub(super) async fn of_two_who_add_at_once_one_has_added(home: &impl Home) {
    let (one, two, by) = (home.store().await, home.store().await, operator());
    for round in 0..10 {
        let name = format!("acme-{round}");
        let new = || NewTenant { name: name.clone(), title: "Acme".into(), plan: "plus".into() };
        let (a, b) = tokio::join!(one.add_tenant(&by, new()), two.add_tenant(&by, new()));
        let why = match (a, b) {
            (Ok(_), Err(why)) | (Err(why), Ok(_)) => why,
            both => panic!("{both:?}"),
        };
        assert!(matches!(why, StoreError::Taken(_)), "{why}");
    }
}

pub(super) async fn nothing_is_left_of_a_tenant_that_is_deleted(home: &impl Home) {
    let (store, by) = (home.store().await, operator());
    let a = furnish(&store, "acme", "+18005550101").await;
    let b = furnish(&store, "bravo", "+18005550102").await;
    let refused = |tenants: Vec<TenantId>, source: &str| NewRefusal {
        tenants,
        at_unix_ms: unix_now_ms(),
        number: None,
        source: source.into(),
        transport: "TLS".into(),
        server_name: None,
        status: 403,
        reason: "wrong_network".into(),
    };
    let both = vec![refused(vec![a.tenant.id, b.tenant.id], "192.0.2.1"), refused(vec![a.tenant.id], "192.0.2.2")];
    store.note_refusals(both).await.expect("noted");
    let session = NewSession {
        user: a.user.id,
        hash: hash("session"),
        name: "x".into(),
        from: FROM.into(),
        expires_unix_ms: i64::MAX,
    };
    store.add_session(session).await.expect("signed in");
    let whole = by.signed_in.scope();
    store.delete_tenant(&by, a.tenant.id, a.tenant.stamp.revision).await.expect("deleted");
    assert!(not_found(store.tenant(&whole, a.tenant.id).await));
    assert!(not_found(store.document(&whole, KeptKind::Assistant, a.assistant.id).await));
    assert!(not_found(store.number(&whole, a.number.id).await));
    assert!(not_found(store.user(&whole, a.user.id).await));
    assert_eq!(store.password("boss@acme").await.expect("answers").map(|row| row.user), None);
    let now = unix_now_ms();
    for (kind, secret) in [(CredentialKind::Session, "session"), (CredentialKind::Token, "token acme")] {
        assert!(
            store.credential(kind, &hash(secret), now, ShownBy::Somebody).await.expect("answers").is_none(),
            "{secret}"
        );
    }
    assert!(store.invitation(&hash("new acme"), now).await.expect("answers").is_none());
    let refusals = store.refusals(&whole, FIRST).await.expect("answers").items;
    assert_eq!(refusals.iter().map(|kept| &kept.refusal.tenants).collect::<Vec<_>>(), [&[b.tenant.id]]);
    // No table but those of names and of the audit knows it.
    let id = a.tenant.id.to_string();
    for table in ["documents", "secrets", "numbers", "users", "invitations", "credentials", "refusal_tenants"] {
        let left = home.count(&format!("SELECT count(*) FROM {table} WHERE tenant = '{id}'")).await;
        assert_eq!(left, 0, "{table}");
    }
    let keyless = format!("SELECT count(*) FROM tenants WHERE id = '{id}' AND data_key IS NULL AND title = ''");
    assert_eq!(home.count(&keyless).await, 1, "what backups have of its secrets stays closed");
    let again = store.add_number(&b.admin, b.tenant.id, entry("+18005550101", b.integration.id)).await;
    again.expect("its number is free");
    let everything = store.everything(&by.signed_in).await.expect("answers");
    assert_eq!(everything.tenants.iter().map(|kept| &*kept.name).collect::<Vec<_>>(), ["bravo"]);
    assert_eq!(everything.integrations.len(), 1);
    let audit = store.audit(&whole, FIRST).await.expect("answers").items;
    assert_eq!((&*audit[1].action, audit[1].tenant), ("tenant.delete", Some(a.tenant.id)));
}

pub(super) async fn plans_that_are_brought_or_used_stay(home: &impl Home) {
    let (store, by) = (home.store().await, operator());
    let plans = store.plans().await.expect("answers");
    let brought: Vec<_> = plans.iter().map(|plan| (&*plan.name, plan.calls, plan.contact_center)).collect();
    assert_eq!(brought, [("enterprise", 1_000, true), ("plus", 100, true), ("trial", 5, false)]);
    let gold = KeptPlan {
        name: "gold".into(),
        calls: 7,
        calls_per_second: Some(2),
        contact_center: true,
        built_in: true,
        stamp: plans[0].stamp,
    };
    let added = store.put_plan(&by, gold.clone(), None).await.expect("added");
    assert!(!added.built_in, "whatever is said of it");
    assert_eq!(told(store.put_plan(&by, gold.clone(), None).await), "there is a plan `gold` already");
    let more = KeptPlan { calls: 9, calls_per_second: None, ..gold.clone() };
    let changed_plan = store.put_plan(&by, more.clone(), Some(1)).await.expect("changed");
    assert_eq!((changed_plan.calls, changed_plan.calls_per_second, changed_plan.stamp.revision), (9, None, 2));
    assert_eq!(changed(store.put_plan(&by, gold, Some(1)).await), Some(2));
    let none = KeptPlan { calls: 0, ..more.clone() };
    assert_eq!(told(store.put_plan(&by, none, Some(2)).await), "`calls` 0 is not between 1 and 100000");
    let spaced = KeptPlan { name: "a b".into(), ..more.clone() };
    assert!(told(store.put_plan(&by, spaced, None).await).starts_with("`name` `a b` must be"));
    let plus = KeptPlan { name: "plus".into(), ..more };
    assert_eq!(
        told(store.put_plan(&by, plus, Some(1)).await),
        "`name` is a plan that Bellhop brings: make one of your own"
    );
    let a = tenant(&store, "acme").await;
    let onto = TenantChange { plan: Some("gold".into()), ..TenantChange::default() };
    store.change_tenant(&by, a.id, 1, onto).await.expect("changed");
    let why = told(store.delete_plan(&by, "gold", 2).await);
    assert_eq!(why, "tenants have this plan: `acme`: put them on another first");
    let nowhere = TenantChange { plan: Some("silver".into()), ..TenantChange::default() };
    assert_eq!(told(store.change_tenant(&by, a.id, 2, nowhere).await), "`plan` names no plan that there is");
    store.delete_tenant(&by, a.id, 2).await.expect("deleted");
    let before = store.newest_change().await.expect("answers");
    store.delete_plan(&by, "gold", 2).await.expect("nobody has it");
    assert_eq!(store.newest_change().await.expect("answers"), before + 1, "nodes are told");
    assert!(not_found(store.delete_plan(&by, "go\0ld", 2).await));
}

pub(super) async fn what_cannot_be_kept_is_a_mistake(home: &impl Home) {
    let (store, by) = (home.store().await, operator());
    let a = furnish(&store, "acme", "+18005550101").await;
    let new =
        |name: &str, title: &str, plan: &str| NewTenant { name: name.into(), title: title.into(), plan: plan.into() };
    let nul = "a\0b";
    let long = "x".repeat(300 << 10);
    let mut described = entry("+18005550102", a.integration.id);
    described.description = nul.into();
    let mut named = document(KeptKind::Integration, "named", "{}");
    named.instance = Some(nul.into());
    let mut hidden = document(KeptKind::Service, "hidden", r#"{"token": "kept:token"}"#);
    hidden.secrets = vec![secret("token", &long)];
    let token = NewToken { name: nul.into(), standing: a.token.standing, hash: hash("x"), expires_unix_ms: i64::MAX };
    let invited =
        Invitation { login: nul.into(), standing: a.token.standing, hash: hash("x"), expires_unix_ms: i64::MAX };
    let results = [
        told(store.add_tenant(&by, new(nul, "t", "plus")).await),
        told(store.add_tenant(&by, new("t", nul, "plus")).await),
        told(store.add_tenant(&by, new("t", "t", nul)).await),
        told(store.add_tenant(&by, new("none", "t", "plus")).await),
        told(store.add_document(&by, a.tenant.id, document(KeptKind::Service, nul, "{}")).await),
        told(
            store
                .add_document(&by, a.tenant.id, document(KeptKind::Service, "x", &format!("{{\"a\": \"{long}\"}}")))
                .await,
        ),
        told(store.add_document(&by, a.tenant.id, named).await),
        told(store.add_document(&by, a.tenant.id, hidden).await),
        told(store.add_number(&by, a.tenant.id, described).await),
        told(store.add_token(&a.admin, token).await),
        told(store.invite(&by, invited).await),
    ];
    for why in results {
        assert!(why.starts_with('`'), "{why}");
    }
    // What JSON can say is kept, whatever a text of the database may be.
    let odd = document(KeptKind::Service, "odd", r#"{"a": "x\u0000y"}"#);
    let kept = store.add_document(&by, a.tenant.id, odd).await.expect("kept");
    let found = store.document(&a.scope(), KeptKind::Service, kept.id).await.expect("there");
    assert_eq!(found.document, table(r#"{"a": "x\u0000y"}"#));
    // Who looks for what cannot be finds nothing.
    assert!(store.password(nul).await.expect("answers").is_none());
    assert!(store.open_id_user(nul, "x").await.expect("answers").is_none());
}

pub(super) async fn lists_are_in_the_order_of_making_and_go_on(home: &impl Home) {
    let (store, by) = (home.store().await, operator());
    let mut made = vec![];
    for n in 0..7 {
        made.push(tenant(&store, &format!("t{n}")).await.id.0);
    }
    made.sort();
    let (mut seen, mut after) = (vec![], None);
    loop {
        let page = Page { after, count: 3 };
        let listed = store.tenants(&by.signed_in.scope(), page).await.expect("answers");
        assert!(listed.items.len() <= 3);
        seen.extend(listed.items.iter().map(|tenant| tenant.id.0));
        after = listed.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
}
