//! What the hand-off needs of the world.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::connection::Connection;
use crate::connection_test::ConnectionReport;
use crate::handoff::{StoreFailed, WriteOutcome};
use crate::session_history_key::FiledAs;

/// A future that an adapter returns; it runs on whatever thread asked for it.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a store did not do what was asked; the sentence is the store's.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It may pass, or would befall anything else too: a disk that is full, missing or read-only, a lock, a lost connection.
    #[error(transparent)]
    Unavailable(Box<dyn Error + Send + Sync>),
    /// What was asked for is at fault: this store will never take it.
    #[error(transparent)]
    Refused(Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// Whether it is worth while to ask again.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Writes contact attributes: the API UpdateContactAttributes with its own deadline and retries. Held by the hand-off
/// alone.
pub trait AttributeWriter: Send + Sync {
    /// Writes every pair in one request.
    fn write(&self, contact_id: String, attributes: Vec<(String, String)>) -> Pending<WriteOutcome>;
}

/// Takes an uncertain write back. It cannot set a value, so whoever cleans up after a failure may hold it.
pub trait AttributeBlanker: Send + Sync {
    /// Writes these names empty, once and without a value to choose; `Done` only if they are empty now.
    fn blank(&self, contact_id: String, names: Vec<String>) -> Pending<WriteOutcome>;
}

/// Asks Amazon Connect for what a hand-off needs, and writes nothing.
pub trait ConnectionTester: Send + Sync {
    /// Tests a connection, whether a tenant has it or only thinks of it; it ends within the adapter's own limit.
    fn test(&self, connection: Connection) -> Pending<ConnectionReport>;
}

/// Remembers, through the death of the process, what is being written to contacts.
pub trait WriteNotes: Send + Sync {
    /// Notes a write before it begins; on the disk once this resolves well.
    fn note(&self, write: NotedWrite) -> Pending<Result<Note, StoreFailed>>;

    /// Strikes a note out: of what it says, nothing was written.
    fn nothing_written(&self, note: Note) -> Pending<Result<(), StoreFailed>>;

    /// Strikes all notes of a contact out: what it holds now is known, and right.
    fn settled(&self, contact_id: String) -> Pending<Result<(), StoreFailed>>;
}

/// How long a note waits for somebody who can take its write back. The session history that the key is of expires too.
pub const NOTE_KEPT: Duration = Duration::from_secs(24 * 3600);

/// What processes that are no more left behind of their hand-offs. Only for who is alone on the store.
pub trait HandoffsLeftBehind: Send + Sync {
    /// The writes to a tenant's contacts that nobody knows the outcome of, in the order in which they were noted.
    fn writes_in_flight(&self, tenant: &str) -> Pending<Result<Vec<NotedWrite>, StoreError>>;

    /// Makes void what was [lent](HistoryStore::lend) and never seen earned; how many there were.
    fn void_lent(&self) -> Pending<Result<u64, StoreError>>;
}

/// What is being written, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedWrite {
    /// The initial contact id.
    pub contact_id: String,
    /// Every name of the request.
    pub names: Vec<String>,
}

/// The key of a note in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub struct Note(pub i64);

/// The ports of a tenant whose calls do not come from Amazon Connect: there is no contact to write to.
#[derive(Debug, Clone, Copy)]
pub struct NoContacts;

impl AttributeWriter for NoContacts {
    fn write(&self, _: String, _: Vec<(String, String)>) -> Pending<WriteOutcome> {
        Box::pin(async { WriteOutcome::Refused })
    }
}

impl AttributeBlanker for NoContacts {
    fn blank(&self, _: String, _: Vec<String>) -> Pending<WriteOutcome> {
        Box::pin(async { WriteOutcome::Refused })
    }
}

/// Stores session histories.
pub trait HistoryStore: Send + Sync {
    /// Stores a history so that it survives a crash once this resolves.
    fn store(&self, name: FiledAs, history: History) -> Pending<Result<(), StoreFailed>>;

    /// The same for a key that is given away before it is known what comes of it: whoever starts after the death of
    /// this process makes it void, unless it was [`HistoryStore::earned`].
    fn lend(&self, name: FiledAs, history: History) -> Pending<Result<(), StoreFailed>>;

    /// What a key was lent for has come about: from then on the death of the process does not touch it.
    fn earned(&self, name: FiledAs) -> Pending<Result<(), StoreFailed>>;

    /// Forgets a history whose key was given away for a transfer that did not come about: the key is void from then on.
    fn void(&self, name: FiledAs) -> Pending<Result<(), StoreFailed>>;
}

/// Finds session histories, for the page that shows them.
pub trait FiledHistories: Send + Sync {
    /// The history filed under a name, unless it has expired, or was read as often as it may be and nobody reads it now. It is
    /// not shown before its read is [counted](Self::count_read).
    fn find_history(&self, name: &FiledAs) -> Pending<Result<Option<History>, StoreError>>;

    /// Somebody wants to read the history of a name. Reads of all servers are counted together: it is never read more often
    /// than it may be.
    fn count_read(&self, name: &FiledAs, by: &Reader) -> Pending<Result<Counted, StoreError>>;
}

/// How long one read lasts: whoever opens the same history again meanwhile, as a reload does, reads on.
pub const READ_LASTS: Duration = Duration::from_secs(600);
/// Most reads that a limit allows.
pub const READS_MAX: u32 = 1000;

/// Who reads, as far as it matters whether it is the same one: a user, or an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Reader(String);

impl Reader {
    /// A user, by the identifier.
    pub fn user(id: &str) -> Self {
        Self(format!("user {id}"))
    }

    /// Somebody who has the key, at an address.
    pub fn at(address: &str) -> Self {
        Self(format!("at {address}"))
    }

    /// The text, for the store alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader(redacted)")
    }
}

/// What came of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// It is one more.
    New,
    /// It is the read that the same reader began a while ago ([`READ_LASTS`]).
    GoesOn,
    /// It may be read no more.
    UsedUp,
}

/// For how long, and how often, histories may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoriesKept {
    /// From when they are stored.
    pub lasts: Duration,
    /// How often each, up to [`READS_MAX`]; none for any number.
    pub reads: Option<u32>,
}

impl From<Duration> for HistoriesKept {
    fn from(lasts: Duration) -> Self {
        Self { lasts, reads: None }
    }
}

/// A conversation as an agent will read it.
#[derive(Clone, PartialEq, Eq)]
pub struct History {
    /// The name of the tenant.
    pub tenant: String,
    /// The conversation as JSON: the shape belongs to `bellhop_dialogue::transcript`.
    pub json: String,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "History({}, {} bytes)", self.tenant, self.json.len())
    }
}
