//! Numbers and lists of them.

use super::*;

promises! {
    a_number_is_ones_own_with_its_instance
    of_two_who_add_a_number_at_once_one_has_it
    the_first_call_is_noted_once
    one_entry_of_a_number_is_confirmed
    a_list_replaces_all_or_nothing
    a_long_list_is_written
}

pub(super) async fn a_number_is_ones_own_with_its_instance(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let b = furnish(&store, "bravo", "+18005550102").await;
    let add = async |of: &Furnished, text: &str| {
        store.add_number(&of.admin, of.tenant.id, entry(text, of.integration.id)).await
    };
    assert_eq!(
        told(add(&a, "1 800 555 0101").await),
        "the number +18005550101 leads to the integration `main` already"
    );
    assert_eq!(told(add(&b, "+18005550101").await), "the number +18005550101 is another tenant's");
    let third = add(&a, "+18005550103").await.expect("free");
    let onto = entry("+18005550102", a.integration.id);
    assert_eq!(
        told(store.change_number(&a.admin, third.id, 1, onto).await),
        "the number +18005550102 is another tenant's"
    );
    store.note_first_call(third.id, 77).await.expect("noted");
    let described = NumberEntry { description: String::new(), ..third.entry.clone() };
    let after = store.change_number(&a.admin, third.id, 1, described).await.expect("changed");
    assert_eq!((after.stamp.revision, after.first_call_unix_ms), (2, Some(77)));
    let other = entry("+18005550104", a.integration.id);
    let after = store.change_number(&a.admin, third.id, 2, other.clone()).await.expect("changed");
    assert_eq!((&after.entry, after.first_call_unix_ms), (&other, None), "another number waits for a call of its own");
    assert_eq!(changed(store.change_number(&a.admin, third.id, 2, other).await), Some(3));
    assert_eq!(changed(store.delete_number(&a.admin, third.id, 2).await), Some(3));
    assert_eq!(store.number(&a.scope(), third.id).await.expect("there"), after);
}

pub(super) async fn of_two_who_add_a_number_at_once_one_has_it(home: &impl Home) {
    let (one, two) = (home.store().await, home.store().await);
    let a = furnish(&one, "acme", "+18005550101").await;
    let b = furnish(&one, "bravo", "+18005550102").await;
    for n in 0..10 {
        let text = format!("+1800555020{n}");
        let (first, second) = tokio::join!(
            one.add_number(&a.admin, a.tenant.id, entry(&text, a.integration.id)),
            two.add_number(&b.admin, b.tenant.id, entry(&text, b.integration.id))
        );
        let why = match (first, second) {
            (Ok(_), Err(why)) | (Err(why), Ok(_)) => why,
            both => panic!("{both:?}"),
        };
        assert_eq!(why.to_string(), format!("the number {text} is another tenant's"));
    }
}

pub(super) async fn the_first_call_is_noted_once(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let before = store.newest_change().await.expect("answers");
    for at in [1_000, 2_000] {
        store.note_first_call(a.number.id, at).await.expect("noted");
    }
    store.note_first_call(new_id(), 1).await.expect("nobody's");
    let found = store.number(&a.scope(), a.number.id).await.expect("there");
    assert_eq!((found.first_call_unix_ms, found.stamp), (Some(1_000), a.number.stamp));
    assert_eq!(store.newest_change().await.expect("answers"), before, "no node has to read it");
}

pub(super) async fn one_entry_of_a_number_is_confirmed(home: &impl Home) {
    let (store, by) = (home.store().await, operator());
    let a = furnish(&store, "acme", "+18005550101").await;
    let b = furnish(&store, "bravo", "+18005550102").await;
    let mut moved = document(KeptKind::Integration, "main", "{}");
    moved.instance = Some("1/eu-west-2/x".into());
    store.change_document(&by, b.integration.id, 1, moved, vec![]).await.expect("moved");
    let other = store.add_number(&by, b.tenant.id, entry("+18005550101", b.integration.id)).await.expect("added");
    let whole = by.signed_in.scope();
    let disputed = store.disputed(&whole, FIRST).await.expect("answers").items;
    assert_eq!(disputed.iter().map(|number| number.id).collect::<Vec<_>>(), [a.number.id, other.id], "and not b's own");
    assert_eq!(store.disputed(&a.scope(), FIRST).await.expect("answers").items.len(), 1, "whose else is not told");
    let first = store.confirm_number(&by, a.number.id, 1, true).await.expect("confirmed");
    assert!(first.confirmed && first.stamp.revision == 2);
    assert!(store.confirm_number(&by, other.id, 1, true).await.expect("confirmed").confirmed);
    let first = store.number(&a.scope(), a.number.id).await.expect("there");
    assert_eq!((first.confirmed, first.stamp.revision), (false, 3), "and the other no more");
    let nobody = store.confirm_number(&by, other.id, 2, false).await.expect("taken back");
    assert_eq!((nobody.confirmed, nobody.stamp.revision), (false, 3));
    let again = store.confirm_number(&by, other.id, 3, true).await.expect("confirmed");
    let onto = NumberEntry { number: number("+18005550109"), ..again.entry };
    let onto = store.change_number(&b.admin, other.id, 4, onto).await.expect("changed");
    assert!(!onto.confirmed, "nobody has confirmed this number");
}

pub(super) async fn a_list_replaces_all_or_nothing(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let b = furnish(&store, "bravo", "+18005550102").await;
    let (by, integration) = (&a.admin, a.integration.id);
    let list = |texts: &[&str], seen_change: i64| NumberList {
        integration,
        numbers: texts.iter().map(|text| (number(text), format!("line {text}"))).collect(),
        seen_change,
    };
    store.note_first_call(a.number.id, 5).await.expect("noted");
    let (_, seen) = store.numbers_of(&a.scope(), integration).await.expect("answers");
    let taken = list(&["+18005550103", "+18005550102"], seen);
    let why = told(store.replace_numbers(by, a.tenant.id, taken).await);
    assert_eq!(why, "the number +18005550102 is another tenant's");
    let twice = list(&["+18005550103", "1-800-555-0103"], seen);
    assert_eq!(told(store.replace_numbers(by, a.tenant.id, twice).await), "`numbers` has +18005550103 twice");
    let (kept, now) = store.numbers_of(&a.scope(), integration).await.expect("answers");
    assert_eq!((kept.len(), now), (1, seen), "nothing of a list that was refused");
    // What others change does not matter.
    store.delete_number(&b.admin, b.number.id, 1).await.expect("deleted");
    let good = list(&["+18005550101", "+18005550102", "+18005550103"], seen);
    store.replace_numbers(by, a.tenant.id, good).await.expect("replaced");
    let (kept, seen_then) = store.numbers_of(&a.scope(), integration).await.expect("answers");
    assert_eq!(kept.len(), 3);
    let first = kept.iter().find(|kept| kept.id == a.number.id).expect("it stayed");
    assert_eq!((&*first.entry.description, first.first_call_unix_ms), ("line +18005550101", Some(5)));
    assert!(kept.iter().all(|kept| kept.stamp.change == seen_then));
    let late = list(&["+18005550101"], seen);
    assert_eq!(changed(store.replace_numbers(by, a.tenant.id, late).await), Some(seen_then), "it was previewed before");
    store.replace_numbers(by, a.tenant.id, list(&[], seen_then)).await.expect("replaced");
    assert!(store.numbers_of(&a.scope(), integration).await.expect("answers").0.is_empty());
}

pub(super) async fn a_long_list_is_written(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let numbers = (0..2_503).map(|n| (number(&format!("+1900{n:07}")), String::new())).collect();
    let list = NumberList { integration: a.integration.id, numbers, seen_change: i64::MAX };
    store.replace_numbers(&a.admin, a.tenant.id, list).await.expect("replaced");
    let (kept, _) = store.numbers_of(&a.scope(), a.integration.id).await.expect("answers");
    let texts: std::collections::BTreeSet<_> = kept.iter().map(|kept| kept.entry.number.e164()).collect();
    assert_eq!(texts.len(), 2_503);
    assert_eq!(texts.first().map(String::as_str), Some("+19000000000"));
    assert_eq!(texts.last().map(String::as_str), Some("+19000002502"));
}
