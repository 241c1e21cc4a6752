//! Whoever is of one tenant finds nothing of another: by no method, and in no list.

use super::*;

promises! {
    what_is_anothers_is_not_there
    lists_hold_what_the_scope_reaches
    what_is_an_operators_is_nobody_elses
}

/// A tenant's scope on the other's identifiers, by every method that takes one.
pub(super) async fn what_is_anothers_is_not_there(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let b = furnish(&store, "bravo", "+18005550102").await;
    let (by, scope) = (&a.admin, &a.scope());
    let change = |title: &str| TenantChange { title: Some(title.into()), ..TenantChange::default() };
    let token = Standing::OfTenant(b.tenant.id, TenantRole::Agent);
    let new_token = NewToken { name: "x".into(), standing: token, hash: hash("x"), expires_unix_ms: i64::MAX };
    let new_invitation = Invitation { login: "x".into(), standing: token, hash: hash("x"), expires_unix_ms: i64::MAX };
    let new = |kind| document(kind, "mine", "{}");
    let list = NumberList { integration: b.integration.id, numbers: vec![], seen_change: i64::MAX };
    let disable = UserChange { enabled: Some(false), ..UserChange::default() };
    for (what, is_hidden) in [
        ("tenant", not_found(store.tenant(scope, b.tenant.id).await)),
        ("change_tenant", not_found(store.change_tenant(by, b.tenant.id, 1, change("x")).await)),
        ("delete_tenant", not_found(store.delete_tenant(by, b.tenant.id, 1).await)),
        ("document", not_found(store.document(scope, KeptKind::Assistant, b.assistant.id).await)),
        ("add_document", not_found(store.add_document(by, b.tenant.id, new(KeptKind::Service)).await)),
        (
            "change_document",
            not_found(store.change_document(by, b.service.id, 1, new(KeptKind::Service), vec![]).await),
        ),
        ("delete_document", not_found(store.delete_document(by, KeptKind::Service, b.service.id, 1).await)),
        ("open_secrets", not_found(store.open_secrets(by, KeptKind::Assistant, b.assistant.id).await)),
        ("numbers_of", not_found(store.numbers_of(scope, b.integration.id).await)),
        ("number", not_found(store.number(scope, b.number.id).await)),
        ("add_number", not_found(store.add_number(by, b.tenant.id, entry("+18005550103", b.integration.id)).await)),
        (
            "change_number",
            not_found(store.change_number(by, b.number.id, 1, entry("+18005550103", a.integration.id)).await),
        ),
        ("confirm_number", not_found(store.confirm_number(by, b.number.id, 1, true).await)),
        ("delete_number", not_found(store.delete_number(by, b.number.id, 1).await)),
        ("replace_numbers", not_found(store.replace_numbers(by, b.tenant.id, list.clone()).await)),
        ("replace_numbers of another's integration", not_found(store.replace_numbers(by, a.tenant.id, list).await)),
        ("user", not_found(store.user(scope, b.user.id).await)),
        ("change_user", not_found(store.change_user(by, b.user.id, 1, disable).await)),
        ("delete_user", not_found(store.delete_user(by, b.user.id, 1).await)),
        ("invite", not_found(store.invite(by, new_invitation).await)),
        ("revoke_invitation", not_found(store.revoke_invitation(by, b.invitation.id).await)),
        ("add_token", not_found(store.add_token(by, new_token).await)),
        ("revoke of anybody", not_found(store.revoke(by, CredentialKind::Token, Owner::Anybody, b.token.id).await)),
        ("revoke of one's own", not_found(store.revoke(by, CredentialKind::Token, Owner::Own, b.token.id).await)),
    ] {
        assert!(is_hidden, "{what}");
    }
    // What is named inside of a document is as little there.
    let mut uses = document(KeptKind::Integration, "other", "{}");
    uses.uses = vec![b.assistant.id];
    let why = told(store.add_document(by, a.tenant.id, uses).await);
    assert_eq!(why, format!("`{}` is no assistant or service of the tenant", b.assistant.id));
    let why = told(store.add_number(by, a.tenant.id, entry("+18005550103", b.integration.id)).await);
    assert_eq!(why, "`integration` is none of the tenant's integrations");
    // Nothing of the other was touched.
    let after = store.everything(&operator().signed_in).await.expect("answers");
    let of_b = after.integrations.iter().find(|kept| kept.tenant == b.tenant.id).expect("it is there");
    assert_eq!((&of_b.integration, &of_b.numbers), (&b.integration, &vec![b.number.clone()]));
    assert!(of_b.secrets.values().all(Result::is_ok) && of_b.secrets.len() == 2);
    assert_eq!(store.user(&operator().signed_in.scope(), b.user.id).await.expect("there"), b.user);
}

pub(super) async fn lists_hold_what_the_scope_reaches(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let b = furnish(&store, "bravo", "+18005550102").await;
    let refused = |tenants: &[&Furnished], source: &str| NewRefusal {
        tenants: tenants.iter().map(|of| of.tenant.id).collect(),
        at_unix_ms: unix_now_ms(),
        number: Some(number("+18005550101")),
        source: source.into(),
        transport: "TCP".into(),
        server_name: None,
        status: 403,
        reason: "wrong_network".into(),
    };
    let refusals = vec![refused(&[&a, &b], "192.0.2.1"), refused(&[&b], "192.0.2.2"), refused(&[], "192.0.2.3")];
    store.note_refusals(refusals).await.expect("noted");
    let (own, all) = (&a.scope(), &operator().signed_in.scope());
    async fn counts(store: &SqlTenants, scope: &Scope, by: &Author) -> [usize; 10] {
        let kinds = [KeptKind::Assistant, KeptKind::Service, KeptKind::Integration];
        let mut documents = [0; 3];
        for (count, kind) in documents.iter_mut().zip(kinds) {
            *count = store.documents(scope, kind, FIRST).await.expect("answers").items.len();
        }
        [
            store.tenants(scope, FIRST).await.expect("answers").items.len(),
            documents[0],
            documents[1],
            documents[2],
            store.numbers(scope, FIRST).await.expect("answers").items.len(),
            store.users(scope, FIRST).await.expect("answers").items.len(),
            store.invitations(scope, FIRST).await.expect("answers").items.len(),
            store.credentials(by, CredentialKind::Token, Owner::Anybody, FIRST).await.expect("answers").items.len(),
            store.refusals(scope, FIRST).await.expect("answers").items.len(),
            store.audit(scope, FIRST).await.expect("answers").items.len(),
        ]
    }
    let (of_one, of_all) = (counts(&store, own, &a.admin).await, counts(&store, all, &operator()).await);
    assert_eq!(of_one[..9], [1, 1, 1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(of_all[..9], [2, 2, 2, 2, 2, 2, 2, 2, 3]);
    assert_eq!(of_one[9] * 2, of_all[9], "each line of the audit is of one of them");
    let audit = store.audit(own, FIRST).await.expect("answers").items;
    assert!(audit.iter().all(|line| line.tenant == Some(a.tenant.id)));
    let shown = store.refusals(own, FIRST).await.expect("answers").items;
    assert_eq!(shown[0].refusal.tenants, [a.tenant.id], "whose else the number is, is nobody's to know");
    let of_nobody = store.refusals_of_nobody(all, FIRST).await.expect("answers").items;
    assert_eq!(of_nobody.iter().map(|kept| &*kept.refusal.source).collect::<Vec<_>>(), ["192.0.2.3"]);
    assert!(store.refusals_of_nobody(own, FIRST).await.expect("answers").items.is_empty(), "nobody's are no tenant's");
    // An operator who narrows sees what the tenant sees; a cursor of another's is none.
    let narrowed = all.narrowed(a.tenant.id).expect("reaches");
    assert_eq!(counts(&store, &narrowed, &a.admin).await, of_one);
    let of_b = store.audit(&b.scope(), FIRST).await.expect("answers").items[0].id;
    assert!(not_found(store.audit(own, Page { after: Some(of_b), count: 9 }).await));
}

pub(super) async fn what_is_an_operators_is_nobody_elses(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let by = &a.admin;
    let plan = KeptPlan { name: "own".into(), built_in: false, ..store.plans().await.expect("answers").remove(0) };
    let new = NewTenant { name: "more".into(), title: "More".into(), plan: "plus".into() };
    assert!(not_found(store.add_tenant(by, new).await));
    assert!(not_found(store.delete_tenant(by, a.tenant.id, 1).await));
    assert!(not_found(store.put_plan(by, plan, None).await));
    assert!(not_found(store.delete_plan(by, "plus", 1).await));
    assert!(not_found(store.confirm_number(by, a.number.id, 1, true).await), "it would take another's calls");
    assert!(not_found(store.everything(&by.signed_in).await));
    assert!(not_found(store.check_secrets(by).await) && not_found(store.rotate(by).await));
    for (field, change) in [
        ("plan", TenantChange { plan: Some("enterprise".into()), ..TenantChange::default() }),
        ("state", TenantChange { state: Some(TenantState::Suspended), ..TenantChange::default() }),
    ] {
        let why = told(store.change_tenant(by, a.tenant.id, 1, change).await);
        assert_eq!(why, format!("`{field}` is an operator's to change"));
    }
    let more =
        Invitation { login: "x".into(), standing: Standing::Operator, hash: hash("x"), expires_unix_ms: i64::MAX };
    assert!(not_found(store.invite(by, more).await), "operators belong to no tenant");
    let up = UserChange { role: Some(Role::Operator), ..UserChange::default() };
    assert_eq!(
        told(store.change_user(by, a.user.id, 1, up).await),
        "`role` cannot be `operator`: this user belongs to a tenant"
    );
    // A viewer makes nobody an admin, and no token that is one.
    let viewer = Standing::OfTenant(a.tenant.id, TenantRole::Viewer);
    let viewer = author(a.user.id, "viewer", viewer, CredentialKind::Session);
    let standing = Standing::OfTenant(a.tenant.id, TenantRole::Admin);
    let token = NewToken { name: "x".into(), standing, hash: hash("x"), expires_unix_ms: i64::MAX };
    assert_eq!(told(store.add_token(&viewer, token).await), "`role` is more than you may do yourself: you are viewer");
    let title = TenantChange { title: Some("Ours".into()), ..TenantChange::default() };
    assert_eq!(store.change_tenant(by, a.tenant.id, 1, title).await.expect("its own").title, "Ours");
}
