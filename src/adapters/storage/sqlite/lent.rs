//! Notes of histories whose key was given away for a transfer by SIP, so that a process that dies meanwhile leaves no
//! key behind that opens anything.
//!
//! Invariant: the note is committed with the history, and deleted only with it or once the transfer is known to have
//! come about.

use bellhop_connect::session_history_key::FiledAs;

use super::connections::Transaction;
use super::{Database, Histories, Trouble, hashed};

impl Histories {
    pub(super) async fn note_lent(&self, filed_as: &str, transaction: &mut Transaction) -> Result<(), Trouble> {
        let query = "INSERT INTO lent_histories (filed_as, server) VALUES (?, ?)";
        sqlx::query(query).bind(filed_as).bind(&*self.server).execute(transaction.connection()).await?;
        Ok(())
    }

    pub(super) async fn strike_out(&self, name: &FiledAs) -> Result<(), Trouble> {
        let mut transaction = self.connections.begin().await?;
        let query = "DELETE FROM lent_histories WHERE filed_as = ?";
        sqlx::query(query).bind(hashed(name)).execute(transaction.connection()).await?;
        transaction.commit().await
    }
}

impl Database {
    pub(super) async fn void_left_behind(&self) -> Result<u64, Trouble> {
        let mut transaction = self.connections.begin().await?;
        // The notes go with their histories, by a trigger.
        let query =
            "DELETE FROM session_histories WHERE filed_as IN (SELECT filed_as FROM lent_histories WHERE server <> ?)";
        let gone = sqlx::query(query).bind(&*self.server).execute(transaction.connection()).await?.rows_affected();
        transaction.commit().await?;
        Ok(gone)
    }
}
