//! The change feed.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::storage::places::Tables;

promises! {
    numbers_are_seen_in_their_order
    everything_is_what_was_at_one_moment
    who_waits_is_told_of_a_change
    a_node_that_is_not_heard_of_is_none
}

pub(super) async fn numbers_are_seen_in_their_order(home: &impl Home) {
    let reader = home.store().await;
    let writers = async || {
        let stores = [home.store().await, home.store().await, home.store().await];
        let by = operator();
        futures_util::future::join_all(stores.iter().enumerate().map(async |(which, store)| {
            for n in 0..10 {
                tenant(store, &format!("t{which}-{n}")).await;
            }
            let plan = store.plans().await.expect("answers").remove(0);
            let plan = KeptPlan { name: format!("own-{which}"), ..plan };
            store.put_plan(&by, plan, None).await.expect("added");
        }))
        .await;
    };
    let watching = async {
        let mut seen = 1;
        while seen < 34 {
            let everything = reader.everything(&operator().signed_in).await.expect("answers");
            let stamps = everything.tenants.iter().map(|kept| kept.stamp.change);
            let mut numbers: Vec<i64> = stamps.chain(everything.plans.iter().map(|kept| kept.stamp.change)).collect();
            numbers.sort();
            numbers.dedup();
            let expected: Vec<i64> = (1..=everything.change).collect();
            assert_eq!(numbers, expected, "none is missing below the newest");
            assert!(everything.change >= seen);
            seen = everything.change;
        }
    };
    tokio::join!(writers(), watching);
    assert_eq!(reader.newest_change().await.expect("answers"), 34);
}

pub(super) async fn everything_is_what_was_at_one_moment(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let everything = store.everything(&operator().signed_in).await.expect("answers");
    assert_eq!(everything.change, store.newest_change().await.expect("answers"));
    assert_eq!(everything.tenants, std::slice::from_ref(&a.tenant));
    assert_eq!(everything.plans.len(), 3);
    let [kept] = &everything.integrations[..] else { panic!("{everything:?}") };
    assert_eq!((kept.tenant, &kept.integration, &kept.numbers[..]), (a.tenant.id, &a.integration, &[a.number][..]));
    let parts: Vec<_> = kept.parts.values().cloned().collect();
    let mut expected = vec![a.assistant.clone(), a.service];
    expected.sort_by_key(|part| part.id);
    assert_eq!(parts, expected);
    assert_eq!(kept.secrets[&(a.assistant.id, "secret".to_owned())], Ok(Secret::new("s3cret of acme")));
    let id = &kept.secrets[&(a.integration.id, "connect.access_key_id".to_owned())];
    assert_eq!(id, &Ok(Secret::new("AKIAIOSFODNN7XXXXacme")));
    let suspend = TenantChange { state: Some(TenantState::Suspended), ..TenantChange::default() };
    store.change_tenant(&operator(), a.tenant.id, 1, suspend).await.expect("changed");
    let after = store.everything(&operator().signed_in).await.expect("answers");
    assert_eq!((after.tenants[0].state, after.integrations.len()), (TenantState::Suspended, 1), "it keeps everything");
}

/// By another process: nothing in this one says so.
pub(super) async fn who_waits_is_told_of_a_change(home: &impl Home) {
    let (mut waiting, other) = (home.store().await, home.store().await);
    Arc::get_mut(&mut waiting.0).expect("its only one").feed.look_every = Duration::from_millis(10);
    waiting.newest_change().await.expect("answers");
    for n in 0..3 {
        // Whoever has just begun to listen is told, since something may have been missed.
        let name = format!("t{n}");
        let (woken, _) = tokio::join!(waiting.wait(), tenant(&other, &name));
        assert_eq!(woken.expect("answers"), Woken::Told);
        while waiting.newest_change().await.expect("answers") < 2 + n {
            assert_eq!(waiting.wait().await.expect("answers"), Woken::Told);
        }
    }
    let (woken, _) = tokio::join!(waiting.wait(), tenant(&waiting, "own"));
    assert_eq!(woken.expect("answers"), Woken::Told);
}

pub(super) async fn a_node_that_is_not_heard_of_is_none(home: &impl Home) {
    let store = home.store().await;
    let of = |node: &str, change: i64, why: &[&str]| AppliedBy {
        node: node.into(),
        change,
        not_applied: why
            .iter()
            .map(|why| NotApplied { integration: Id::new(1, [7; 10]), why: vec![(*why).to_owned()] })
            .collect(),
        says: NodeSays { calls: 3, sip_host: Some(format!("{node}.example")), sip_port: 5061, ..NodeSays::default() },
    };
    for applied in [of("b", 1, &[]), of("a", 2, &["connect: no"]), of("b", 3, &[])] {
        store.note_applied(applied).await.expect("noted");
    }
    assert_eq!(store.applied().await.expect("answers"), [of("a", 2, &["connect: no"]), of("b", 3, &[])]);
    home.run("UPDATE nodes SET seen_unix_ms = seen_unix_ms - 31000 WHERE name = 'a'").await;
    assert_eq!(store.applied().await.expect("answers"), [of("b", 3, &[])]);
    store.note_applied(of("b", 4, &[])).await.expect("noted");
    assert_eq!(home.count("SELECT count(*) FROM nodes").await, 1);
    // One of an older program says nothing of itself.
    home.run("UPDATE nodes SET says = '{}'").await;
    assert_eq!(store.applied().await.expect("answers")[0].says, NodeSays::default());
}

/// What is told while the connection is gone is lost: whoever waits looks at once when it is there again.
#[tokio::test]
async fn a_listener_that_was_cut_off_looks_at_once() {
    let home = Postgres(Tables::new("tenants-cut-off"), Folder::new("tenants-keys-cut-off"));
    let (waiting, other) = (home.store().await, home.store().await);
    assert_eq!(waiting.wait().await.expect("answers"), Woken::Told, "it has begun to listen");
    home.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'",
    )
    .await;
    tenant(&other, "acme").await;
    assert_eq!(waiting.wait().await.expect("answers"), Woken::Told);
    // By a way of its own, where the other one is by a pooler.
    let listen_on = ListenOn { url: Secret::new(&home.0.url), password: None };
    let apart = SqlTenants::open(home.database().await, &home.master_keys(), Some(listen_on)).await.expect("opens");
    assert_eq!(apart.wait().await.expect("answers"), Woken::Told);
    let (woken, _) = tokio::join!(apart.wait(), tenant(&other, "bravo"));
    assert_eq!(woken.expect("answers"), Woken::Told);
}

/// A process drops what is left when its runtime is gone: a panic then would make a good end a bad one.
#[test]
fn a_store_that_listens_is_dropped_after_its_runtime() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let home = Postgres(Tables::new("tenants-after-all"), Folder::new("tenants-keys-after-all"));
    let serving = runtime();
    let store = serving.block_on(async {
        let store = home.store().await;
        assert_eq!(store.wait().await.expect("answers"), Woken::Told, "it has begun to listen");
        store
    });
    drop(serving);
    drop(store);
}
