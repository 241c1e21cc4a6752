//! What does not open: a bit that is another, rows that changed places, keys that changed places, another master key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::*;
use crate::storage::tenants::Unopened;

promises! {
    what_was_changed_or_moved_is_refused_by_name_and_others_open
    a_wrong_master_key_is_told_before_anything_is_sealed
    a_key_that_is_lost_is_not_made_anew
    data_keys_are_wrapped_anew_while_others_serve
}

/// What serves of a tenant's secrets: how many open, and what is told of the others.
async fn served(store: &SqlTenants, of: &Furnished) -> (usize, Vec<String>) {
    let everything = store.everything(&operator().signed_in).await.expect("answers");
    let own = everything.integrations.into_iter().find(|kept| kept.tenant == of.tenant.id).expect("there");
    let (good, bad): (Vec<_>, Vec<_>) = own.secrets.into_values().partition(Result::is_ok);
    (good.len(), bad.into_iter().filter_map(Result::err).collect())
}

async fn opens(store: &SqlTenants, of: &Furnished) -> Result<Vec<(String, Secret)>, StoreError> {
    store.open_secrets(&of.admin, KeptKind::Assistant, of.assistant.id).await
}

pub(super) async fn what_was_changed_or_moved_is_refused_by_name_and_others_open(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let b = furnish(&store, "bravo", "+18005550102").await;
    let (of_a, of_b) = (a.assistant.id, b.assistant.id);
    home.run("CREATE TABLE former AS SELECT owner, path, sealed FROM secrets").await;
    home.run("CREATE TABLE former_keys AS SELECT id, data_key FROM tenants").await;
    let back = "UPDATE secrets SET sealed = (SELECT f.sealed FROM former f WHERE f.owner = secrets.owner AND f.path = secrets.path);
        UPDATE tenants SET data_key = (SELECT f.data_key FROM former_keys f WHERE f.id = tenants.id)";
    let from = |other: Id| {
        format!(
            "UPDATE secrets SET sealed = (SELECT sealed FROM former WHERE owner = '{other}') WHERE owner = '{of_a}'"
        )
    };
    let own_other = a.integration.id;
    for (harm, bad) in [
        // One bit of the text: base64 of another letter.
        (
            format!(
                "UPDATE secrets SET sealed = substr(sealed, 1, 30) ||
                CASE substr(sealed, 31, 1) WHEN 'A' THEN 'B' ELSE 'A' END || substr(sealed, 32) WHERE owner = '{of_a}'"
            ),
            1,
        ),
        (format!("UPDATE secrets SET sealed = 'no sealed text' WHERE owner = '{of_a}'"), 1),
        // The row of another tenant, and that of another document of one's own.
        (from(of_b), 1),
        (from(own_other), 1),
        // The data keys of both.
        (
            format!(
                "UPDATE tenants SET data_key = (SELECT data_key FROM former_keys WHERE id = '{}') WHERE id = '{}'",
                b.tenant.id, a.tenant.id
            ),
            2,
        ),
    ] {
        home.run(&harm).await;
        let store = home.store().await;
        let why = opens(&store, &a).await.expect_err(&harm);
        let StoreError::Sealed { owner, field, .. } = &why else { panic!("{why}: {harm}") };
        assert_eq!((*owner, field.as_str()), (of_a, "secret"), "{harm}");
        assert!(why.to_string().starts_with(&format!("the secret at `secret` of {of_a} does not open: ")), "{why}");
        let (good, told) = served(&store, &a).await;
        assert_eq!((good, told.len()), (2 - bad, bad), "{told:?} {harm}");
        assert_eq!(served(&store, &b).await, (2, vec![]), "others open: {harm}");
        assert_eq!(opens(&store, &b).await.expect("opens"), [secret("secret", "s3cret of bravo")]);
        let (opened, unopened) = store.check_secrets(&operator()).await.expect("answers");
        assert_eq!((opened as usize, unopened.len()), (4 - bad, bad), "{harm}");
        assert!(unopened.iter().all(|one| one.tenant == "acme"), "{unopened:?}");
        let named: Vec<_> = unopened.iter().map(|Unopened { owner, path, .. }| (*owner, path.as_str())).collect();
        assert!(named.contains(&(of_a, "secret")), "{named:?}");
        home.run(back).await;
        assert_eq!(opens(&store, &a).await.expect("as it was"), [secret("secret", "s3cret of acme")]);
    }
}

fn key_file(home: &impl Home, name: &str, byte: u8) -> MasterKeySource {
    let path = home.keys().file(name);
    std::fs::write(&path, BASE64.encode([byte; 32])).expect("written");
    MasterKeySource::File(path)
}

async fn with(
    home: &impl Home,
    current: &MasterKeySource,
    previous: Option<&MasterKeySource>,
) -> Result<SqlTenants, String> {
    let keys = MasterKeys { current: current.clone(), previous: previous.cloned() };
    SqlTenants::open(home.database().await, &keys, None).await.map_err(|why| why.to_string())
}

pub(super) async fn a_wrong_master_key_is_told_before_anything_is_sealed(home: &impl Home) {
    let (right, wrong) = (key_file(home, ".a", 1), key_file(home, ".b", 2));
    let (one, two) = tokio::join!(with(home, &right, None), with(home, &right, None));
    let (one, two) = (one.expect("opens"), two.expect("opens, at the same time"));
    let a = furnish(&one, "acme", "+18005550101").await;
    assert_eq!(opens(&two, &a).await.expect("opens").len(), 1);
    let why = with(home, &wrong, None).await.expect_err("another key");
    let begin = format!("the store of tenants cannot be opened: the master key {wrong} is not the one that");
    assert!(why.starts_with(&begin) && why.contains("storage.previous_master_key"), "{why}");
    assert!(with(home, &wrong, Some(&wrong)).await.is_err());
    assert_eq!(home.count("SELECT count(*) FROM master_keys").await, 1);
    let empty = MasterKeySource::File(home.keys().file(".none"));
    assert!(with(home, &empty, None).await.expect_err("no file").contains("cannot be read"));
}

pub(super) async fn a_key_that_is_lost_is_not_made_anew(home: &impl Home) {
    let MasterKeySource::Beside(path) = home.master_keys().current else { panic!("a file beside the database") };
    let a = furnish(&home.store().await, "acme", "+18005550101").await;
    let key = std::fs::read(&path).expect("it was made");
    std::fs::remove_file(&path).expect("lost");
    let why = with(home, &MasterKeySource::Beside(path.clone()), None).await.expect_err("lost");
    assert!(why.contains("restore it from where it was kept apart from the database"), "{why}");
    assert!(!path.exists(), "another would open nothing");
    std::fs::write(&path, key).expect("found again");
    assert_eq!(opens(&home.store().await, &a).await.expect("opens").len(), 1);
}

pub(super) async fn data_keys_are_wrapped_anew_while_others_serve(home: &impl Home) {
    let (old, new) = (key_file(home, ".a", 1), key_file(home, ".b", 2));
    let by = operator();
    let former = with(home, &old, None).await.expect("opens");
    let a = furnish(&former, "acme", "+18005550101").await;
    let b = furnish(&former, "bravo", "+18005550102").await;
    // A server that knows both serves while the keys are wrapped anew, and seals what is new under the new one.
    let server = with(home, &new, Some(&old)).await.expect("opens");
    let c = furnish(&server, "charlie", "+18005550103").await;
    let sealed =
        "SELECT count(*) FROM secrets s JOIN kept k ON k.owner = s.owner AND k.path = s.path AND k.sealed = s.sealed";
    home.run("CREATE TABLE kept AS SELECT owner, path, sealed FROM secrets").await;
    // One that does not open is told, and stops nobody.
    home.run(&format!("UPDATE tenants SET data_key = '1:AAAA' WHERE id = '{}'", b.tenant.id)).await;
    let clerk = with(home, &new, Some(&old)).await.expect("opens");
    let (rotated, left) = clerk.rotate(&by).await.expect("answers");
    assert_eq!((rotated, left.len(), &*left[0].tenant), (1, 1, "bravo"));
    for of in [&a, &c] {
        assert_eq!(served(&server, of).await, (2, vec![]), "it serves either");
    }
    let why = with(home, &old, None).await.expect("what is left is wrapped by it").check_secrets(&by).await;
    assert_eq!(why.expect("answers").1.len(), 6, "but opens nothing that was wrapped anew");
    // It goes on where it was left.
    assert_eq!(clerk.rotate(&by).await.expect("answers").0, 0);
    // What cannot be opened any more goes with its tenant.
    clerk.delete_tenant(&by, b.tenant.id, b.tenant.stamp.revision).await.expect("deleted");
    assert_eq!(clerk.rotate(&by).await.expect("answers"), (0, vec![]));
    assert_eq!(home.count("SELECT count(*) FROM master_keys").await, 1, "the former wraps nothing any more");
    assert_eq!(home.count(sealed).await, 4, "secrets themselves stay as they are");
    let after = with(home, &new, None).await.expect("the new one alone");
    assert_eq!(after.check_secrets(&by).await.expect("answers"), (4, vec![]));
    assert!(with(home, &old, None).await.is_err());
    let line = after.audit(&by.signed_in.scope(), FIRST).await.expect("answers").items.remove(0);
    assert_eq!(line.action, "secrets.rotate");
}
