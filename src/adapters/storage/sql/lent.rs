//! Notes of histories whose key was given away for a transfer by SIP, so that a process that dies meanwhile leaves no
//! key behind that opens anything.
//!
//! Invariant: the note is committed with the history, and deleted only with it or once the transfer is known to have
//! come about.

use super::servers::{lease, left_behind};
use super::{SqlStore, Trouble, args};
use crate::storage::database::Transaction;

const NOTE: &str = "INSERT INTO lent_histories (filed_as, server) VALUES ($1, $2)";
/// The notes go with their histories, by a trigger.
const VOID: &str = concat!(
    "DELETE FROM session_histories WHERE filed_as IN (SELECT filed_as FROM lent_histories WHERE ",
    left_behind!(),
    ")"
);
const IS_THERE: &str = concat!("SELECT 1 FROM lent_histories WHERE ", left_behind!(), " LIMIT 1");

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 3] = [NOTE, VOID, IS_THERE];

pub(super) async fn note(transaction: &mut Transaction, filed_as: &str, server: &str) -> Result<(), Trouble> {
    transaction.execute(NOTE, args![filed_as, server]).await.map(drop)
}

impl SqlStore {
    pub(super) async fn void_left_behind(&self) -> Result<u64, Trouble> {
        let whose = args![&*self.server, lease()];
        // It is asked again and again, and mostly there is none: nobody waits for a transaction then.
        if self.database.fetch_optional(IS_THERE, whose).await?.is_none() {
            return Ok(0);
        }
        let mut transaction = self.database.begin().await?;
        let gone = transaction.execute(VOID, whose).await?;
        transaction.commit().await?;
        Ok(gone)
    }
}
