//! A record that is replaced by what its own server knew, and records from before there were figures.

use bellhop_call::figures::Slot;
use bellhop_call::ports::CallRecords;
use bellhop_call::record::EndReason;

use super::*;
use crate::storage::places::Tables;
use crate::storage::suite::{GOOD, Had, NEW_YEAR, first};

async fn replaced(store: &SqlStore) {
    let had = |minutes, waited_ms, ended| Had { session: "a", tenant: "acme", minutes, waited_ms, ended }.entry();
    // Another server took it for lost.
    let lost = (EndReason::Failed, Some(bellhop_call::record::LOST));
    let guess = had((0, 0), &[], lost);
    for entry in [guess, had((0, 7), &[70, 200], GOOD), had((0, 7), &[70], GOOD)] {
        let mut transaction = store.database.begin().await.expect("begins");
        for deed in store.deeds_of(&entry).0 {
            deed.carry_out_as(&mut transaction, Some("spool:1")).await.expect("carried out");
        }
        transaction.commit().await.expect("committed");
    }
    let figures = store.figures(&first(Slot::Hour, 1, Some("acme"))).await.expect("answers");
    let [ended] = &figures.endings[..] else { panic!("{:?}", figures.endings) };
    assert_eq!((ended.reason.as_str(), ended.calls, ended.milliseconds), ("caller_hangup", 1, 7 * 60_000));
    assert_eq!(figures.waits[&NEW_YEAR].turns(), 1, "what the replaced one waited is not counted");
}

#[tokio::test]
async fn a_record_that_is_replaced_is_counted_as_the_new_one_says() {
    replaced(&Folder::new("replaced-figures").database().await).await;
}

#[tokio::test]
async fn postgres_counts_a_record_that_is_replaced_as_the_new_one_says() {
    replaced(&Tables::new("replaced-figures").store().await).await;
}
