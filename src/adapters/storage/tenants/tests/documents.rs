//! Assistants, services and integrations.

use super::*;

promises! {
    a_document_is_kept_without_its_secrets
    a_secret_stays_until_it_is_given_anew_or_named_no_more
    what_is_used_stays
    an_old_revision_of_a_document_changes_nothing
    an_integration_that_moves_takes_its_numbers_along
    a_test_is_of_what_was_tested
    a_draft_becomes_an_integration_with_all_that_it_has
}

pub(super) async fn a_draft_becomes_an_integration_with_all_that_it_has(home: &impl Home) {
    let store = home.store().await;
    let (a, b) = (furnish(&store, "acme", "+18005550101").await, furnish(&store, "globex", "+18005550102").await);
    let json = r#"{"connect": {"secret_access_key": "kept:connect.secret_access_key"}}"#;
    let mut new = document(KeptKind::Draft, "line", json);
    new.secrets = vec![secret("connect.secret_access_key", "s3cret")];
    let draft = store.add_document(&a.admin, a.tenant.id, new).await.expect("kept");
    let everything = store.everything(&SignedIn::on_this_machine("test")).await.expect("answers");
    assert_eq!(everything.integrations.len(), 2, "nobody serves it");
    let whole = || NewDocument { uses: vec![a.assistant.id], ..document(KeptKind::Integration, "line", json) };
    assert!(not_found(store.complete_draft(&b.admin, draft.id, 1, whole()).await), "it is another's");
    assert!(not_found(store.complete_draft(&a.admin, a.integration.id, 1, whole()).await), "it is no draft");
    assert!(matches!(
        store.complete_draft(&a.admin, draft.id, 2, whole()).await,
        Err(StoreError::Changed { newest: 1 })
    ));
    let made = store.complete_draft(&a.admin, draft.id, 1, whole()).await.expect("completed");
    assert_eq!((made.id, made.kind, made.stamp.revision), (draft.id, KeptKind::Integration, 2));
    let opened = store.open_secrets(&a.admin, KeptKind::Integration, made.id).await.expect("opens");
    assert_eq!(opened, [secret("connect.secret_access_key", "s3cret")]);
    assert!(not_found(store.document(&a.scope(), KeptKind::Draft, draft.id).await), "it is a draft no more");
    let everything = store.everything(&SignedIn::on_this_machine("test")).await.expect("answers");
    assert_eq!(everything.integrations.len(), 3);
    let line = &store.audit(&a.scope(), Page { after: None, count: 9 }).await.expect("answers").items;
    assert!(line.iter().any(|line| line.action == "integration.add" && line.on == Some(made.id.to_string())));
}

pub(super) async fn a_test_is_of_what_was_tested(home: &impl Home) {
    let store = home.store().await;
    let (a, b) = (furnish(&store, "acme", "+18005550101").await, furnish(&store, "globex", "+18005550102").await);
    let test = |of: &Kept, good: bool| LastTest {
        fingerprint: of.fingerprint(),
        at_unix_ms: 7,
        good,
        told: "it answers".into(),
        cause: (!good).then(|| "unavailable".to_owned()),
        remedy: None,
    };
    let keep = async |by: &Author, of: &Kept| store.keep_test(by, of.kind, of.id, test(of, true)).await;
    let seen = async |of: &Kept| store.document(&a.scope(), of.kind, of.id).await.expect("there");
    keep(&a.admin, &a.assistant).await.expect("kept");
    keep(&a.admin, &a.integration).await.expect("kept");
    assert!(not_found(keep(&b.admin, &a.assistant).await), "it is another's");
    let found = seen(&a.assistant).await;
    assert_eq!(
        (found.tested(), found.stamp),
        (Some(&test(&found, true)), a.assistant.stamp),
        "no revision is made of it"
    );
    let listed = store.documents(&a.scope(), KeptKind::Assistant, FIRST).await.expect("answers").items.remove(0);
    assert_eq!(listed.last_test, found.last_test);
    for (late, what) in [
        (LastTest { at_unix_ms: 6, ..test(&found, false) }, "one that began before and took longer"),
        (LastTest { fingerprint: "0".repeat(64), at_unix_ms: 8, ..test(&found, false) }, "one of what it said before"),
    ] {
        store.keep_test(&a.admin, found.kind, found.id, late).await.expect("answers");
        assert_eq!(seen(&a.assistant).await.last_test, found.last_test, "{what}");
    }
    // Of an integration its connection was tested.
    let other = |json: &str| NewDocument {
        uses: vec![a.assistant.id, a.service.id],
        ..document(KeptKind::Integration, "other", json)
    };
    let connect = r#"{"connect": {"access_key_id": "kept:connect.access_key_id"}, "language": "de"}"#;
    let changed = store.change_document(&a.admin, a.integration.id, 1, other(connect), vec![]).await.expect("changed");
    assert!(changed.tested().is_some() && seen(&changed).await.tested().is_some());
    let mut anew = other(connect);
    anew.secrets = vec![secret("connect.access_key_id", "AKIAANOTHER")];
    let changed = store.change_document(&a.admin, a.integration.id, 2, anew, vec![]).await.expect("changed");
    assert!(changed.tested().is_none() && seen(&changed).await.tested().is_none(), "a key is another one");
    // Of an assistant all was.
    let url = document(KeptKind::Assistant, "helper", r#"{"kind": "webhook", "url": "y", "secret": "kept:secret"}"#);
    let changed = store.change_document(&a.admin, a.assistant.id, 1, url, vec![]).await.expect("changed");
    assert!(changed.tested().is_none());
}

pub(super) async fn a_document_is_kept_without_its_secrets(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let found = store.document(&a.scope(), KeptKind::Assistant, a.assistant.id).await.expect("there");
    assert_eq!(found, a.assistant);
    assert!(!json::write(&found.document).contains("s3cret"));
    let [hint] = &found.secrets[..] else { panic!("{found:?}") };
    assert_eq!((&*hint.path, hint.last_four.as_deref()), ("secret", None), "of a secret proper nothing is shown");
    let integration = store.documents(&a.scope(), KeptKind::Integration, FIRST).await.expect("answers").items.remove(0);
    assert_eq!(integration.secrets[0].last_four.as_deref(), Some("acme"), "of an identifier its end");
    assert!(not_found(store.document(&a.scope(), KeptKind::Service, a.assistant.id).await), "it is of another kind");
    let opened = store.open_secrets(&a.admin, KeptKind::Assistant, a.assistant.id).await.expect("opens");
    assert_eq!(opened, [secret("secret", "s3cret of acme")]);
    let line = store.audit(&a.scope(), FIRST).await.expect("answers").items.remove(0);
    assert_eq!((&*line.action, line.on), ("assistant.open_secrets", Some(a.assistant.id.to_string())));
}

pub(super) async fn a_secret_stays_until_it_is_given_anew_or_named_no_more(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let (by, id) = (&a.admin, a.assistant.id);
    let opened = async || store.open_secrets(by, KeptKind::Assistant, id).await.expect("opens");
    let same = document(KeptKind::Assistant, "helper", r#"{"kind": "webhook", "url": "x", "secret": "kept:secret"}"#);
    store.change_document(by, id, 1, same, vec!["url".into()]).await.expect("changed");
    assert_eq!(opened().await, [secret("secret", "s3cret of acme")]);
    let json = r#"{"secret": "kept:secret", "list": [{"token": "kept:list[0].token"}]}"#;
    let mut anew = document(KeptKind::Assistant, "helper", json);
    anew.secrets = vec![secret("secret", "new"), secret("list[0].token", "second")];
    store.change_document(by, id, 2, anew, vec!["secret".into()]).await.expect("changed");
    assert_eq!(opened().await, [secret("list[0].token", "second"), secret("secret", "new")]);
    let without = document(KeptKind::Assistant, "helper", r#"{"secret": "kept:secret"}"#);
    let kept = store.change_document(by, id, 3, without, vec![]).await.expect("changed");
    assert_eq!((kept.secrets.len(), opened().await), (1, vec![secret("secret", "new")]));
    let missing = document(KeptKind::Assistant, "helper", r#"{"secret": "kept:other"}"#);
    let why = told(store.change_document(by, id, 4, missing, vec![]).await);
    assert_eq!(why, "`other` is said to be kept, and is not: set it");
    let mut stray = document(KeptKind::Assistant, "helper", "{}");
    stray.secrets = vec![secret("secret", "s3cret")];
    let why = told(store.change_document(by, id, 4, stray, vec![]).await);
    assert_eq!(why, "`secret` is given as a secret, and the document has none there");
    assert_eq!(opened().await, [secret("secret", "new")], "who was refused changed nothing");
}

pub(super) async fn what_is_used_stays(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let by = &a.admin;
    let delete = async |kind, id, seen| told(store.delete_document(by, kind, id, seen).await);
    assert_eq!(delete(KeptKind::Assistant, a.assistant.id, 1).await, "the integration `main` names it");
    assert_eq!(delete(KeptKind::Integration, a.integration.id, 1).await, "a number leads to it");
    store.delete_number(by, a.number.id, 1).await.expect("deleted");
    assert_eq!(delete(KeptKind::Integration, a.integration.id, 1).await, "done");
    assert_eq!(delete(KeptKind::Assistant, a.assistant.id, 1).await, "done");
    assert_eq!(home.count("SELECT count(*) FROM secrets").await, 0);
    assert_eq!(home.count("SELECT count(*) FROM document_uses").await, 0);
    let again = document(KeptKind::Service, "voice", "{}");
    assert_eq!(told(store.add_document(by, a.tenant.id, again).await), "there is a service `voice` already");
    let other = document(KeptKind::Assistant, "voice", "{}");
    store.add_document(by, a.tenant.id, other).await.expect("it is of another kind");
}

pub(super) async fn an_old_revision_of_a_document_changes_nothing(home: &impl Home) {
    let (one, two) = (home.store().await, home.store().await);
    let a = furnish(&one, "acme", "+18005550101").await;
    let say = |text: &str| document(KeptKind::Service, "voice", &format!(r#"{{"voice": "{text}"}}"#));
    let (by, id) = (&a.admin, a.service.id);
    let (first, second) = tokio::join!(
        one.change_document(by, id, 1, say("slt"), vec![]),
        two.change_document(by, id, 1, say("kal"), vec![])
    );
    let good = match (first, second) {
        (Ok(good), Err(StoreError::Changed { newest: 2 })) | (Err(StoreError::Changed { newest: 2 }), Ok(good)) => good,
        both => panic!("{both:?}"),
    };
    assert_eq!(one.document(&a.scope(), KeptKind::Service, id).await.expect("there"), good);
    assert_eq!(changed(one.delete_document(by, KeptKind::Service, id, 1).await), Some(2));
}

pub(super) async fn an_integration_that_moves_takes_its_numbers_along(home: &impl Home) {
    let (store, by) = (home.store().await, operator());
    let a = furnish(&store, "acme", "+18005550101").await;
    let b = furnish(&store, "bravo", "+18005550102").await;
    let at = |instance: &str| {
        let mut document = document(KeptKind::Integration, "main", "{}");
        document.instance = Some(instance.into());
        document
    };
    let (instance, other) = ("1/eu-west-2/x", "1/eu-west-2/y");
    store.change_document(&by, a.integration.id, 1, at(instance), vec![]).await.expect("moved");
    store.change_document(&by, b.integration.id, 1, at(other), vec![]).await.expect("moved");
    let same = store.add_number(&by, b.tenant.id, entry("+18005550101", b.integration.id)).await;
    same.expect("each has an instance of its own");
    let why = told(store.change_document(&by, b.integration.id, 2, at(instance), vec![]).await);
    assert_eq!(why, "the number +18005550101 is taken already in that Amazon Connect instance");
    store.delete_number(&by, a.number.id, 2).await.expect("deleted");
    store.change_document(&by, b.integration.id, 2, at(instance), vec![]).await.expect("it is free");
    let why = told(store.add_number(&by, a.tenant.id, entry("+18005550101", a.integration.id)).await);
    assert_eq!(why, "the number +18005550101 is another tenant's");
}
