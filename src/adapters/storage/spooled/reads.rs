//! Reads of histories while the database is away: counted in the spool, and in the database once that is back.
//!
//! Invariant: of a history that this server has, no more reads are given than it knows to be left; what it cannot count, it
//! does not give. Reads that other servers counted a moment before the database went away it does not know.

use bellhop_connect::ports::Counted;

use super::recent::Reads;
use super::{Inner, SpooledStore};
use crate::storage::database::{Trouble, unix_now};
use crate::storage::spool::Known;
use crate::storage::sql::deed::Deed;
use crate::storage::sql::reads::lasts_until;

impl SpooledStore {
    /// A reader, as it is kept, wants to read.
    pub(super) async fn count(&self, filed_as: &str, reader: &str) -> Result<Counted, Trouble> {
        let direct = async {
            let counted = self.0.primary.count_one(filed_as, reader).await?;
            if counted == Counted::New {
                self.0.recent.read(filed_as, reader, lasts_until(unix_now()));
            }
            Ok(counted)
        };
        self.write_or(direct, self.0.count_here(filed_as, reader)).await
    }
}

impl Inner {
    async fn count_here(&self, filed_as: &str, reader: &str) -> Result<Counted, Trouble> {
        let _nobody_else = self.counting.lock().await;
        let known = match self.spool.find(filed_as).await? {
            Known::Void => return Ok(Counted::UsedUp),
            Known::Filed(_, reads) => {
                let (count, last) = self.spool.reads(filed_as).await?;
                Some(Reads { left: reads.map(|reads| reads.saturating_sub(count)), last })
            }
            Known::Nothing => self.recent.reads(filed_as),
        };
        let Some(Reads { left, last }) = known else {
            // The database may have it, and come back just now.
            return self.in_time(self.primary.count_one(filed_as, reader)).await;
        };
        let now = unix_now();
        if last.is_some_and(|(last, until)| last == reader && until > now) {
            return Ok(Counted::GoesOn);
        }
        if left == Some(0) {
            return Ok(Counted::UsedUp);
        }
        let until_unix = lasts_until(now);
        let read = Deed::Read { filed_as: filed_as.to_owned(), reader: reader.to_owned(), until_unix };
        self.spool.keep(vec![vec![read]]).await?;
        self.recent.read(filed_as, reader, until_unix);
        Ok(Counted::New)
    }
}
