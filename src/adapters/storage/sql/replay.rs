//! What was kept in a spool while this database was away, carried out in it.
//!
//! Invariant: exactly once, wherever a process dies: how far a spool was replayed is committed together with what was, in a row
//! that only one replays of that spool at a time can have.

use bellhop_call::ports::Written;

use super::deed::Kept;
use super::records::make_places;
use super::{SqlStore, Trouble, args, within};

/// Whoever else replays this spool, as a connection of a process that was killed, is waited for here.
const BEGIN: &str = "INSERT INTO spools (name, replayed) VALUES ($1, 0)
    ON CONFLICT (name) DO UPDATE SET replayed = spools.replayed RETURNING replayed";
const DONE: &str = "UPDATE spools SET replayed = $2 WHERE name = $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 2] = [BEGIN, DONE];

impl SqlStore {
    /// Carries out what a spool has kept, in its order, all or nothing, and but what was before.
    pub(in crate::storage) async fn replay(&self, spool: &str, kept: &[Kept]) -> Result<Written, Trouble> {
        within(self.database.again(|| self.replay_all(spool, kept))).await
    }

    async fn replay_all(&self, spool: &str, kept: &[Kept]) -> Result<Written, Trouble> {
        let mut written = Written::default();
        let Some(last) = kept.last() else { return Ok(written) };
        let mut transaction = self.database.begin().await?;
        let row = transaction.fetch_optional(BEGIN, args![spool]).await?;
        let replayed = row.ok_or(Trouble::NotReadBack)?.integer(0)?;
        for one in kept.iter().filter(|one| one.id > replayed) {
            let spooled_as = spooled_as(spool, one.id);
            for deed in &one.deeds {
                deed.carry_out_as(&mut transaction, Some(&spooled_as)).await?;
                written.waiting.extend(deed.told_to().map(str::to_owned));
            }
        }
        make_places(&mut transaction, &mut written).await?;
        transaction.execute(DONE, args![spool, last.id.max(replayed)]).await?;
        transaction.commit().await?;
        Ok(written)
    }
}

/// The name that a note of a spool has in the database.
pub(in crate::storage) fn spooled_as(spool: &str, id: i64) -> String {
    format!("{spool}:{id}")
}
