//! The spool: what is written while the database is away, in a SQLite file of this server's own.
//!
//! Invariant: what is told as kept is on the disk; it is read in the order in which it came; a number is never given twice, so
//! that the database knows how far it was replayed; the file is one process's at a time, and holds no more than [`SPOOL_BYTES`].
//! Who replays it: `spooled/replaying.rs`.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bellhop_call::ports::{Claim, NotClaimed, Readiness, SoleUse, Spooled};
use bellhop_connect::ports::History;

use super::SqlStore;
use super::database::{CannotOpen, Trouble, args, unix_now, within};
use super::sql::deed::{Deed, Kept};

/// Bytes that wait for a database that is away, without what SQLite needs to keep them.
pub const SPOOL_BYTES: u64 = 256 << 20;
/// Writes replayed in one transaction.
const AT_ONCE: u32 = 32;

const NAME: &str = "SELECT name FROM spools";
const GIVE_NAME: &str = "INSERT INTO spools (name, replayed) VALUES ($1, 0)";
const TAKEN: &str = "SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM spooled";
const APPEND: &str = "INSERT INTO spooled (name, body) VALUES ($1, $2) RETURNING id";
const FIND: &str = "SELECT body FROM spooled WHERE name = $1 ORDER BY id DESC LIMIT 1";
const COUNT: &str = "SELECT count(*) FROM spooled WHERE name = $1";
const NEXT: &str = "SELECT id, body FROM spooled ORDER BY id LIMIT $1";
const DELETE: &str = "DELETE FROM spooled WHERE id = $1";

/// Every text of this file; SQLite alone has its table.
#[cfg(test)]
pub(super) const ALL: [&str; 8] = [NAME, GIVE_NAME, TAKEN, APPEND, FIND, COUNT, NEXT, DELETE];

/// An open spool.
pub(super) struct Spool {
    file: SqlStore,
    name: String,
    room: u64,
    entries: AtomicU64,
    bytes: AtomicU64,
    _claim: Mutex<Claim>,
}

/// What a spool knows of a key.
pub(super) enum Known {
    /// Its history, and how often it may be read.
    Filed(History, Option<u32>),
    /// That it opens nothing.
    Void,
    /// Nothing: it may be in the database.
    Nothing,
}

impl Spool {
    /// Opens or makes a spool that takes so many bytes.
    pub(super) async fn open(path: &Path, room: u64) -> Result<Self, CannotOpen> {
        // In an URL `%` and `?` mean something; in the name of a file they do not.
        let url = format!("sqlite://{}", path.display().to_string().replace('%', "%25").replace('?', "%3F"));
        let file = SqlStore::open(&url, None).await?;
        let claim = match file.claim().await {
            Ok(claim) => claim,
            Err(NotClaimed::Failed(why)) => return Err(CannotOpen::of(&url, Trouble::Lock(why))),
            Err(NotClaimed::Taken { .. } | NotClaimed::Shared) => {
                return Err(CannotOpen::of(&url, Trouble::SpoolTaken));
            }
        };
        let opened = within(Self::read(file, room, claim)).await;
        opened.map_err(|why| CannotOpen::of(&url, why))
    }

    async fn read(file: SqlStore, room: u64, claim: Claim) -> Result<Self, Trouble> {
        let database = file.database();
        let name = match database.fetch_optional(NAME, args![]).await? {
            Some(row) => row.text(0)?.to_owned(),
            None => {
                let name: String = rand::random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect();
                let mut transaction = database.begin().await?;
                transaction.execute(GIVE_NAME, args![&name]).await?;
                transaction.commit().await?;
                name
            }
        };
        let taken = database.fetch_optional(TAKEN, args![]).await?.ok_or(Trouble::NotReadBack)?;
        let [entries, bytes] = [taken.integer(0)?, taken.integer(1)?].map(|count| AtomicU64::new(count.unsigned_abs()));
        Ok(Self { file, name, room, entries, bytes, _claim: Mutex::new(claim) })
    }

    /// Its name among all that ever were.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How much waits.
    pub(super) fn taken(&self) -> Spooled {
        Spooled { entries: self.entries.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// Whether it takes writes.
    pub(super) async fn is_ready(&self) -> bool {
        self.taken().bytes < self.room && self.file.is_ready().await
    }

    /// Keeps writes, all or none; the numbers that they got.
    pub(super) async fn keep(&self, writes: Vec<Vec<Deed>>) -> Result<Vec<i64>, Trouble> {
        let bodies: Vec<(Option<String>, String)> = writes.iter().map(|deeds| (name_of(deeds), body(deeds))).collect();
        let bytes: u64 = bodies.iter().map(|(_, body)| body.len() as u64).sum();
        if self.taken().bytes.saturating_add(bytes) > self.room {
            return Err(Trouble::SpoolFull);
        }
        let numbers = within(self.append(&bodies)).await?;
        self.entries.fetch_add(numbers.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(numbers)
    }

    async fn append(&self, bodies: &[(Option<String>, String)]) -> Result<Vec<i64>, Trouble> {
        let mut transaction = self.file.database().begin().await?;
        let mut numbers = vec![];
        for (name, body) in bodies {
            let row = transaction.fetch_optional(APPEND, args![name.as_deref(), body]).await?;
            numbers.push(row.ok_or(Trouble::NotReadBack)?.integer(0)?);
        }
        transaction.commit().await?;
        Ok(numbers)
    }

    /// What it knows of a key, by the hash of its name, from a connection that sees nothing but what is committed.
    pub(super) async fn find(&self, filed_as: &str) -> Result<Known, Trouble> {
        let Some(row) = self.file.database().fetch_optional(FIND, args![filed_as]).await? else {
            return Ok(Known::Nothing);
        };
        Ok(match read(row.text(0)?)?.into_iter().next() {
            Some(Deed::History { tenant, json, expires_unix, reads, .. }) if expires_unix > unix_now() => {
                Known::Filed(History { tenant, json }, reads)
            }
            _ => Known::Void,
        })
    }

    /// How often a history was read since the database is away, and the last reader with the end of that read.
    pub(super) async fn reads(&self, filed_as: &str) -> Result<(u32, Option<(String, i64)>), Trouble> {
        let name = name_of_reads(filed_as);
        let count = self.file.database().fetch_optional(COUNT, args![&name]).await?;
        let count = count.ok_or(Trouble::NotReadBack)?.integer(0)?;
        let last = match self.file.database().fetch_optional(FIND, args![&name]).await? {
            Some(row) => read(row.text(0)?)?.into_iter().next(),
            None => None,
        };
        let last = last.and_then(|deed| match deed {
            Deed::Read { reader, until_unix, .. } => Some((reader, until_unix)),
            _ => None,
        });
        Ok((u32::try_from(count).unwrap_or(u32::MAX), last))
    }

    /// The oldest that it keeps.
    pub(super) async fn next(&self) -> Result<Vec<Kept>, Trouble> {
        let rows = self.file.database().fetch(NEXT, args![AT_ONCE]).await?;
        let kept = rows.iter().map(|row| {
            let body = row.text(1)?;
            Ok(Kept { id: row.integer(0)?, deeds: read(body)?, bytes: body.len() as u64 })
        });
        kept.collect()
    }

    /// Whether nothing waits. Ask when nobody puts anything into it.
    pub(super) async fn is_empty(&self) -> Result<bool, Trouble> {
        if self.taken().entries > 0 {
            if !self.next().await?.is_empty() {
                return Ok(false);
            }
            tracing::error!(
                entries = self.taken().entries,
                "the spool was deleted or replaced: what waited in it is gone"
            );
            self.entries.store(0, Ordering::Relaxed);
            self.bytes.store(0, Ordering::Relaxed);
        }
        Ok(true)
    }

    /// Deletes what the database has now.
    pub(super) async fn delete(&self, kept: &[Kept]) -> Result<(), Trouble> {
        within(async {
            let mut transaction = self.file.database().begin().await?;
            for one in kept {
                transaction.execute(DELETE, args![one.id]).await?;
            }
            transaction.commit().await
        })
        .await?;
        self.entries.fetch_sub(kept.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_sub(kept.iter().map(|one| one.bytes).sum(), Ordering::Relaxed);
        Ok(())
    }

    /// Gives the place of what was deleted back to the disk.
    pub(super) async fn shrink(&self) {
        if let Err(error) = self.file.database().shrink().await {
            tracing::warn!(%error, "the spool could not be made smaller");
        }
    }
}

/// What a write is looked for by: the key, if it is about one's history, or the reads of that.
fn name_of(deeds: &[Deed]) -> Option<String> {
    match deeds {
        [Deed::History { filed_as, .. } | Deed::Void { filed_as }] => Some(filed_as.clone()),
        [Deed::Read { filed_as, .. }] => Some(name_of_reads(filed_as)),
        _ => None,
    }
}

fn name_of_reads(filed_as: &str) -> String {
    format!("read {filed_as}")
}

fn body(deeds: &[Deed]) -> String {
    serde_json::to_string(deeds).expect("deeds are plain data")
}

fn read(body: &str) -> Result<Vec<Deed>, Trouble> {
    serde_json::from_str(body).map_err(|_| Trouble::Unexpected { column: 1 })
}
