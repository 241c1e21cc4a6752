//! What assistants said before.

use super::*;

promises! {
    each_change_of_an_assistant_leaves_a_version_and_no_secret
    the_oldest_versions_go_and_all_with_their_assistant
    one_from_before_versions_were_kept_is_not_lost
}

async fn changed_to(store: &SqlTenants, by: &Author, of: &Kept, seen: Revision, url: &str) -> Kept {
    let says = format!(r#"{{"kind": "webhook", "url": "{url}", "secret": "kept:secret"}}"#);
    let new = document(KeptKind::Assistant, "helper", &says);
    store.change_document(by, of.id, seen, new, vec![]).await.expect("changed")
}

pub(super) async fn each_change_of_an_assistant_leaves_a_version_and_no_secret(home: &impl Home) {
    let store = home.store().await;
    let (a, b) = (furnish(&store, "acme", "+18005550101").await, furnish(&store, "globex", "+18005550102").await);
    let two = changed_to(&store, &a.admin, &a.assistant, 1, "https://two.example").await;
    let listed = store.versions(&a.scope(), a.assistant.id).await.expect("answers");
    let told = |version: &Version| (version.revision, version.name.clone(), version.by.clone());
    let by = Some("boss@acme".to_owned());
    let helper = || "helper".to_owned();
    assert_eq!(listed.iter().map(told).collect::<Vec<_>>(), [(2, helper(), by.clone()), (1, helper(), by)]);
    assert_eq!(listed[0].changed_unix_ms, two.stamp.changed_unix_ms);
    let first = store.version(&a.scope(), a.assistant.id, 1).await.expect("there");
    assert_eq!(first.document, a.assistant.document);
    assert!(json::write(&first.document).contains("kept:secret"), "where a secret stood, and no secret");
    let secrets = "SELECT count(*) FROM document_versions WHERE body LIKE '%s3cret of%'";
    assert_eq!(home.count(secrets).await, 0);
    // What is another's was never there; what is no assistant has none.
    assert_eq!(store.versions(&b.scope(), a.assistant.id).await.expect("answers"), []);
    assert!(not_found(store.version(&b.scope(), a.assistant.id, 1).await));
    assert!(not_found(store.version(&a.scope(), a.assistant.id, 3).await));
    assert_eq!(store.versions(&a.scope(), a.service.id).await.expect("answers"), []);
    assert_eq!(store.versions(&a.scope(), a.integration.id).await.expect("answers"), []);
}

pub(super) async fn the_oldest_versions_go_and_all_with_their_assistant(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let new = document(KeptKind::Assistant, "alone", r#"{"kind": "scripted", "script_text": "x"}"#);
    let alone = store.add_document(&a.admin, a.tenant.id, new).await.expect("added");
    for revision in 1..=VERSIONS_MAX {
        let new = document(KeptKind::Assistant, "alone", &format!(r#"{{"script_text": "{revision}"}}"#));
        store.change_document(&a.admin, alone.id, revision, new, vec![]).await.expect("changed");
    }
    let listed = store.versions(&a.scope(), alone.id).await.expect("answers");
    let (newest, oldest) = (listed.first().expect("one"), listed.last().expect("one"));
    assert_eq!((listed.len() as i64, newest.revision, oldest.revision), (VERSIONS_MAX, VERSIONS_MAX + 1, 2));
    let of = |table: &str| format!("SELECT count(*) FROM document_versions WHERE document = '{table}'");
    assert_eq!(home.count(&of(&alone.id.to_string())).await, VERSIONS_MAX);
    store.delete_document(&a.admin, KeptKind::Assistant, alone.id, VERSIONS_MAX + 1).await.expect("deleted");
    assert_eq!(home.count(&of(&alone.id.to_string())).await, 0);
    store.delete_tenant(&operator(), a.tenant.id, 1).await.expect("deleted");
    assert_eq!(home.count("SELECT count(*) FROM document_versions").await, 0);
}

pub(super) async fn one_from_before_versions_were_kept_is_not_lost(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    home.run("DELETE FROM document_versions").await;
    changed_to(&store, &a.admin, &a.assistant, 1, "https://two.example").await;
    let listed = store.versions(&a.scope(), a.assistant.id).await.expect("answers");
    let told: Vec<(i64, Option<&str>)> =
        listed.iter().map(|version| (version.revision, version.by.as_deref())).collect();
    assert_eq!(told, [(2, Some("boss@acme")), (1, None)]);
    let first = store.version(&a.scope(), a.assistant.id, 1).await.expect("there");
    assert_eq!(first.document, a.assistant.document);
}
