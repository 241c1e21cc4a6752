//! What is kept of calls, and the ports to who keeps it.
//!
//! A store behind these ports may be asked from any thread. Invariants: what is written is on the disk once its answer is
//! good; what is written together is kept together or not at all; an answer comes in bounded time. The ports to what is
//! kept of hand-offs are in `src/connect/ports.rs`.

mod listed;

use std::any::Any;
use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bellhop_connect::ports::StoreError;
pub use listed::{ListedCall, Wanted, WantedWords};
use serde_json::Value;

use crate::figures::{Figures, WantedFigures};
use crate::record::{CallRecord, Opening};

/// What a store answers, on whatever thread asked for it.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Tells whether calls had better go elsewhere.
pub trait Readiness: Send + Sync {
    /// Whether the store answers, and took the last write. One that takes none is tried again here.
    fn is_ready(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;

    /// What waits beside the store for a database that is away; none while that answers, or if nothing ever waits.
    fn spooled(&self) -> Option<Spooled> {
        None
    }
}

/// Writes that are on the disk of this server, and not in the database yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spooled {
    /// How many.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One server at a time looks after what former ones left behind.
pub trait SoleUse: Send + Sync {
    /// Claims the store for this process.
    fn claim(&self) -> Pin<Box<dyn Future<Output = Result<Claim, NotClaimed>> + Send + '_>>;
}

/// The claim to a store; given up when it is dropped, or with the process, however that ends.
pub struct Claim(Box<dyn Lock>);

/// What a claim rests on.
pub trait Lock: Send {
    /// Whether it is still held: one of a connection is lost with it.
    fn stands(&mut self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
}

/// A lock that is never lost, and is there to be dropped.
struct Forever(#[allow(dead_code)] Box<dyn Any + Send>);

impl Lock for Forever {
    fn stands(&mut self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(std::future::ready(true))
    }
}

impl Claim {
    /// A claim that is given up by dropping this, and not lost otherwise.
    pub fn held_by(lock: impl Any + Send) -> Self {
        Self(Box::new(Forever(Box::new(lock))))
    }

    /// A claim that holds while a lock stands.
    pub fn held_while(lock: impl Lock + 'static) -> Self {
        Self(Box::new(lock))
    }

    /// Whether it still holds. Ask before each look at what others left behind.
    pub async fn holds(&mut self) -> bool {
        self.0.stands().await
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claim")
    }
}

/// Why there is no claim.
#[derive(Debug, thiserror::Error)]
pub enum NotClaimed {
    /// Somebody has it.
    #[error("another server uses this database (process {process})")]
    Taken {
        /// Who says so; empty if nobody does.
        process: String,
    },
    /// Somebody else looks after a store that several servers share, as they may.
    #[error("another server looks after what is left behind in this database")]
    Shared,
    /// It cannot be asked for.
    #[error("its lock cannot be taken: {0}")]
    Failed(Box<dyn Error + Send + Sync>),
}

/// Writes down what happens to calls.
pub trait RecordWriter: Send + Sync {
    /// Writes entries, all or none. A record and the event that tells of it are kept together, and its call ceases to be under
    /// way with them. For no entries nobody is asked.
    fn write<'a>(&'a self, entries: &'a [Entry]) -> Answer<'a, Written>;
}

/// Something to be written.
#[derive(Debug)]
pub enum Entry {
    /// A call begins.
    Began {
        /// What is known of it.
        opening: Box<Opening>,
        /// Whether it is recorded.
        recorded: bool,
    },
    /// A call is over.
    Call {
        /// Its record.
        record: Box<CallRecord>,
        /// How long it is kept; not at all if that is nothing.
        keep: Duration,
        /// Whether the webhook is told.
        told: bool,
    },
    /// A turn is over.
    Turn {
        /// The name of the tenant.
        tenant: String,
        /// The session of its call.
        session: String,
        /// The caller's number, as the record has it: calls of a caller are deleted by it.
        caller: String,
        /// `message_logged`.
        log: Value,
    },
}

impl Entry {
    /// Whose it is.
    pub fn tenant(&self) -> &str {
        match self {
            Self::Began { opening, .. } => &opening.tenant,
            Self::Call { record, .. } => &record.opening().tenant,
            Self::Turn { tenant, .. } => tenant,
        }
    }
}

/// What came of writing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Tenants for whom events wait.
    pub waiting: Vec<String>,
    /// Tenants whose oldest events made place.
    pub dropped: Vec<Dropped>,
}

/// Events that nobody took and that made place for later ones.
#[derive(Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The name of the tenant.
    pub tenant: String,
    /// Events that wait to be delivered.
    pub events: u64,
}

/// Finds calls that are over.
pub trait CallRecords: Send + Sync {
    /// A call by its session, its name in the log, or its SIP `Call-ID` (of calls with the same, the latest), until it
    /// expires.
    fn find_call<'a>(&'a self, name: &'a str) -> Answer<'a, Option<KeptCall>>;

    /// The latest calls of those that are wanted, the newest first.
    fn latest<'a>(&'a self, wanted: &'a Wanted, count: u32) -> Answer<'a, Vec<ListedCall>>;

    /// How much was called by calls whose records were kept, whether they still are or not: the newest period first, in it by the
    /// tenants' names.
    fn usage<'a>(&'a self, wanted: &'a WantedUsage, count: u32) -> Answer<'a, Vec<Usage>>;

    /// How many calls ended how, what callers waited, and how many were up at once, of calls whose records are kept.
    fn figures<'a>(&'a self, wanted: &'a WantedFigures) -> Answer<'a, Figures>;

    /// Whether anything is kept by a tenant's name: calls, up or over, how much was called, waits, conversations, or events that nobody
    /// has taken yet.
    fn knows<'a>(&'a self, tenant: &'a str) -> Answer<'a, bool>;

    /// Calls of a tenant that are up on any server, the latest first.
    fn up<'a>(&'a self, tenant: &'a str, count: u32) -> Answer<'a, Vec<UnderWay>>;
}

/// How much a tenant's callers called in a day or month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The day (`2026-11-26`) or month (`2026-11`) in which calls began, in UTC.
    pub period: String,
    /// The name of the tenant.
    pub tenant: String,
    /// How many calls are over.
    pub calls: u64,
    /// How long they lasted together.
    pub milliseconds: u64,
}

/// How long a period of [`Usage`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// A day.
    Day,
    /// A month of the calendar.
    Month,
}

/// Which usage is wanted; `None` stands for all. Days are written like `2026-11-26`.
#[derive(Debug, Clone)]
pub struct WantedUsage {
    /// By day or month.
    pub per: Per,
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Of this day and later ones.
    pub from: Option<String>,
    /// Of the days before this one.
    pub until: Option<String>,
    /// What comes after this period and tenant.
    pub after: Option<(String, String)>,
}

/// A record as it is kept.
#[derive(Clone, PartialEq)]
pub struct KeptCall {
    /// `global_session_id`
    pub session: String,
    /// The name in the log.
    pub call: String,
    /// The name of the tenant.
    pub tenant: String,
    /// The caller's number, as the record has it.
    pub caller: String,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: i64,
    /// The call detail record, as JSON.
    pub details: String,
    /// The timeline, as JSON.
    pub timeline: String,
}

/// It never shows what was said.
impl fmt::Debug for KeptCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptCall({})", self.session)
    }
}

/// Knows the calls that began and have no record yet.
pub trait CallsUnderWay: Send + Sync {
    /// A call that is up, by its session, its name in the log, or its SIP `Call-ID`.
    fn under_way<'a>(&'a self, name: &'a str) -> Answer<'a, Option<UnderWay>>;

    /// Calls that another process began and never closed. Only for who is alone on the store.
    fn calls_left_behind(&self) -> Answer<'_, Vec<UnderWay>>;
}

/// A call that is up, or was when its server died.
#[derive(Clone, PartialEq)]
pub struct UnderWay {
    /// `global_session_id`
    pub session: String,
    /// The name in the log.
    pub call: String,
    /// What is known of it.
    pub opening: Opening,
}

/// It never shows who calls.
impl fmt::Debug for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnderWay({})", self.session)
    }
}

/// How long an event waits for its receiver before it is given up.
pub const EVENT_KEPT: Duration = Duration::from_secs(72 * 3600);
/// Events that wait for one tenant's receiver; the oldest make place.
pub const SPOOL_EVENTS_MAX: i64 = 100_000;
/// Bytes of their bodies; the oldest make place.
pub const SPOOL_BYTES_MAX: i64 = 64 << 20;

/// The events that wait for the tenants' log webhooks. One is deleted only once it was delivered, has expired, its call was
/// forgotten, or a later one needed its place: no tenant's receiver keeps more than [`SPOOL_EVENTS_MAX`] or
/// [`SPOOL_BYTES_MAX`].
pub trait LogEvents: Send + Sync {
    /// Events of a tenant that are due at a time in milliseconds since 1970, the oldest first.
    fn due<'a>(&'a self, tenant: &'a str, now_ms: i64, count: u32) -> Answer<'a, Vec<Waiting>>;

    /// When the next event of a tenant is due, in milliseconds since 1970.
    fn next_due<'a>(&'a self, tenant: &'a str) -> Answer<'a, Option<i64>>;

    /// How many events of each tenant wait, and since when the oldest, in seconds since 1970.
    fn backlog(&self) -> Answer<'_, Vec<(String, u64, i64)>>;

    /// Writes down what became of events, all or nothing.
    fn settle<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, ()>;
}

/// An event that waits.
#[derive(Clone, PartialEq)]
pub struct Waiting {
    /// Names the event: the same however often it is sent.
    pub id: String,
    /// The body to be posted.
    pub body: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// It never shows what was said.
impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waiting({}, {} attempts)", self.id, self.attempts)
    }
}

/// What became of an event that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has arrived.
    Delivered {
        /// The identifier of the event.
        id: String,
    },
    /// It has not: it is tried again at this time, in milliseconds since 1970.
    Postponed {
        /// The identifier of the event.
        id: String,
        /// When it is tried again, in milliseconds since 1970.
        due_unix_ms: i64,
    },
}

/// Forgets: callers who ask for it, and what has expired. What is forgotten is gone from the disk too.
pub trait Retention: Send + Sync {
    /// The names of a caller's calls: those that have a record, that are up, or that only a recording is left of. A number
    /// is meant in whatever way it is written.
    fn calls_of<'a>(&'a self, caller: &'a str, tenant: Option<&'a str>) -> Answer<'a, Vec<String>>;

    /// Deletes everything that is kept of a caller in the store. Recordings are the caller's to delete first: after this
    /// nobody knows which they were.
    fn forget<'a>(&'a self, caller: &'a str, tenant: Option<&'a str>) -> Answer<'a, Forgotten>;

    /// Every call whose caller is known.
    fn known_calls(&self) -> Answer<'_, HashSet<String>>;

    /// The calls that a recording is said to be of and that are over.
    fn recorded(&self) -> Answer<'_, Vec<String>>;

    /// The recordings of these calls are gone.
    fn recordings_gone<'a>(&'a self, calls: &'a [String]) -> Answer<'a, ()>;

    /// Deletes what has expired.
    fn sweep(&self) -> Answer<'_, Swept>;
}

/// What was forgotten of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// How many records.
    pub records: u64,
    /// How many session histories.
    pub histories: u64,
    /// How many events that waited.
    pub events: u64,
    /// Whether the write-ahead log was emptied; if not, a reader was in the way, and the next sweep of the server does it.
    pub log_emptied: bool,
}

/// What a clean-up removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Call records that had expired.
    pub records: u64,
    /// Session histories that had expired.
    pub histories: u64,
    /// Events that were never delivered.
    pub events: u64,
    /// Notes of writes that nobody could take back.
    pub notes: u64,
}
