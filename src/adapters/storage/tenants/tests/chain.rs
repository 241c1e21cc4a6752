//! The audit.

use super::*;

promises! {
    a_line_that_is_changed_or_missing_is_found
    who_did_what_is_told_without_what_was_set
    lines_that_are_added_at_once_are_one_chain
    failed_sign_ins_fill_no_disk
    lines_are_found_by_what_was_done_and_who_did_it
}

pub(super) async fn lines_are_found_by_what_was_done_and_who_did_it(home: &impl Home) {
    let store = home.store().await;
    let (a, b) = (furnish(&store, "acme", "+18005550101").await, furnish(&store, "globex", "+18005550102").await);
    let found = async |scope: &Scope, action: &str, name: &str, page: Page| {
        let wanted = AuditWanted { action: action.into(), name: name.into() };
        store.audit_of(scope, &wanted, page).await.expect("answers")
    };
    let whole = operator().signed_in.scope();
    let actions = async |scope: &Scope, action: &str, name: &str| {
        let lines = found(scope, action, name, FIRST).await.items;
        lines.into_iter().map(|line| line.action).collect::<Vec<_>>()
    };
    assert_eq!(actions(&a.scope(), "assistant.", "").await, ["assistant.add"]);
    assert_eq!(actions(&whole, "assistant.", "").await.len(), 2, "of both");
    assert_eq!(actions(&whole, "assistant.add", "boss@globex").await.len(), 1);
    assert_eq!(actions(&a.scope(), "", "boss@globex").await, [""; 0], "what is another's is not there");
    assert_eq!(actions(&whole, "%", "").await, [""; 0], "a sign of LIKE is one like any other");
    assert_eq!(actions(&whole, "", "").await.len(), store.audit(&whole, FIRST).await.expect("answers").items.len());
    // A page of them goes on where it ended.
    let first = found(&whole, "assistant.", "", Page { after: None, count: 1 }).await;
    let second = found(&whole, "assistant.", "", Page { after: first.next, count: 1 }).await;
    assert_eq!((first.items[0].tenant, second.items[0].tenant), (Some(b.tenant.id), Some(a.tenant.id)));
    assert_eq!(second.next, None);
}

pub(super) async fn a_line_that_is_changed_or_missing_is_found(home: &impl Home) {
    let store = home.store().await;
    assert_eq!(store.verify().await.expect("answers"), Ok(0));
    furnish(&store, "acme", "+18005550101").await;
    let lines = home.count("SELECT count(*) FROM audit").await;
    assert_eq!(store.verify().await.expect("answers"), Ok(lines.unsigned_abs()));
    home.run("CREATE TABLE former AS SELECT * FROM audit").await;
    for (harm, told) in [
        ("UPDATE audit SET name = 'nobody' WHERE number = 3", ChainBroken::Changed(3)),
        ("UPDATE audit SET tenant = NULL WHERE number = 2", ChainBroken::Changed(2)),
        ("UPDATE audit SET fields = 'none' WHERE number = 4", ChainBroken::Changed(4)),
        ("UPDATE audit SET hash = '00' WHERE number = 5", ChainBroken::Changed(5)),
        ("DELETE FROM audit WHERE number = 3", ChainBroken::Missing(3)),
        ("DELETE FROM audit WHERE number = 1", ChainBroken::Missing(1)),
        (
            "UPDATE audit SET number = 9999 WHERE number = 3; UPDATE audit SET number = 3 WHERE number = 4;
            UPDATE audit SET number = 4 WHERE number = 9999",
            ChainBroken::Changed(3),
        ),
    ] {
        home.run(harm).await;
        assert_eq!(store.verify().await.expect("answers"), Err(told), "{harm}");
        home.run("DELETE FROM audit; INSERT INTO audit SELECT * FROM former").await;
        assert_eq!(store.verify().await.expect("answers"), Ok(lines.unsigned_abs()));
    }
    home.run(&format!("DELETE FROM audit WHERE number = {lines}")).await;
    assert_eq!(store.verify().await.expect("answers"), Err(ChainBroken::Missing(lines)), "the last is missed too");
    home.run("DELETE FROM audit").await;
    assert_eq!(store.verify().await.expect("answers"), Err(ChainBroken::Missing(1)));
}

pub(super) async fn who_did_what_is_told_without_what_was_set(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let mut anew = document(KeptKind::Assistant, "helper", r#"{"secret": "kept:secret"}"#);
    anew.secrets = vec![secret("secret", "another s3cret")];
    store.change_document(&a.admin, a.assistant.id, 1, anew, vec!["secret".into()]).await.expect("changed");
    let noted = NewAuditLine {
        action: "call.hang_up".into(),
        tenant: None,
        on: Some("c-1".into()),
        outcome: AuditOutcome::Refused,
    };
    Audit::note(&store, &a.admin, noted).await.expect("noted");
    let lines = store.audit(&a.scope(), FIRST).await.expect("answers").items;
    assert_eq!((&*lines[0].action, lines[0].outcome), ("call.hang_up", AuditOutcome::Refused));
    assert_eq!(lines[0].tenant, Some(a.tenant.id), "whoever is of a tenant notes what is of that tenant");
    let line = &lines[1];
    assert_eq!(
        (&*line.action, line.user, &*line.name, &*line.from),
        ("assistant.change", Some(a.user.id), "boss@acme", FROM)
    );
    assert_eq!((&line.on, &line.fields[..]), (&Some(a.assistant.id.to_string()), &["secret".to_owned()][..]));
    let shown = format!("{lines:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("AKIA") && !shown.contains("argon2"), "{shown}");
    let actions: Vec<_> = lines.iter().rev().map(|line| &*line.action).collect();
    let all = [
        "tenant.add",
        "invitation.add",
        "invitation.accept",
        "assistant.add",
        "service.add",
        "integration.add",
        "number.add",
        "invitation.add",
        "token.add",
    ];
    assert_eq!(actions[..9], all);
}

pub(super) async fn lines_that_are_added_at_once_are_one_chain(home: &impl Home) {
    let (one, two) = (home.store().await, home.store().await);
    let line = |n: u32| NewAuditLine {
        action: format!("call.hang_up {n}"),
        tenant: None,
        on: None,
        outcome: AuditOutcome::Done,
    };
    let by = operator();
    for n in 0..25 {
        let (a, b) = tokio::join!(Audit::note(&one, &by, line(n)), Audit::note(&two, &by, line(n)));
        a.and(b).expect("noted");
    }
    assert_eq!(one.verify().await.expect("answers"), Ok(50));
    assert_eq!(one.newest_change().await.expect("answers"), 1, "no node has to read it");
}

pub(super) async fn failed_sign_ins_fill_no_disk(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    store.note_sign_in("boss@ACME", FROM, false).await.expect("noted");
    store.note_sign_in("hunter2", FROM, false).await.expect("noted");
    store.note_sign_in("boss@acme", FROM, true).await.expect("noted");
    let lines = store.audit(&operator().signed_in.scope(), FIRST).await.expect("answers").items;
    let signed: Vec<_> = lines[..3].iter().map(|line| (&*line.name, line.user, line.outcome)).collect();
    let user = Some(a.user.id);
    let all = [
        ("boss@acme", user, AuditOutcome::Done),
        ("somebody", None, AuditOutcome::Refused),
        ("boss@acme", user, AuditOutcome::Refused),
    ];
    assert_eq!(signed, all, "what may be a password in the wrong field is not kept");
    for _ in 0..200 {
        store.note_sign_in("hunter2", FROM, false).await.expect("noted, or not");
    }
    let refused = home.count("SELECT count(*) FROM audit WHERE action = 'sign_in' AND outcome = 'refused'").await;
    assert!((50..=130).contains(&refused), "of two minutes at most: {refused}");
    store.note_sign_in("boss@acme", FROM, true).await.expect("noted");
    let good = home.count("SELECT count(*) FROM audit WHERE action = 'sign_in' AND outcome = 'done'").await;
    assert_eq!(good, 2, "those who get in are always noted");
}
