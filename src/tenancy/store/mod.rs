//! What is kept of tenants, and the ports to who keeps it; one file for each sort of thing.
//!
//! Every store promises: whatever belongs to a tenant is asked for with a [`crate::access::Scope`], and what lies outside of it is not there
//! ([`StoreError::NotFound`]), as if it had never been; what changes, changes whole, in one transaction with its line of the audit
//! and the next number of the change feed; a revision that is not the newest changes nothing. What every store promises is
//! tested where one is made, in `src/adapters/storage/`.

mod audit;
mod documents;
mod feed;
mod idempotency;
mod numbers;
mod people;
mod plans;
mod refusals;
mod sign_in;
mod tenants;
mod versions;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use crate::id::Id;

pub use audit::{Audit, AuditLine, AuditOutcome, AuditWanted, ChainBroken, NewAuditLine};
pub use documents::{Documents, Kept, KeptKind, LastTest, NewDocument, SecretHint};
pub use feed::{AppliedBy, ChangeFeed, Everything, KeptIntegration, NodeSays, NotApplied, Woken};
pub use idempotency::{ANSWER_KEPT, Begun, Idempotency, KEYS_OF_A_USER_MAX, KeptAnswer, KeyedRequest};
pub use numbers::{KeptNumber, NumberEntry, NumberList, Numbers};
pub use people::{
    Invitation, KeptCredential, KeptInvitation, KeptUser, NewToken, NewUser, Owner, People, SignInWay, UserChange,
};
pub use plans::{KeptPlan, Plans};
pub use refusals::{KeptRefusal, NewRefusal, Refusals};
pub use sign_in::{NewSession, PasswordRow, SignIns};
pub use tenants::{KeptTenant, NewTenant, TenantChange, TenantState, Tenants};
pub use versions::{KeptVersion, VERSIONS_MAX, Version, Versions};

/// What a store answers, on whatever thread asked for it.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Everything that is kept of tenants.
pub trait TenantStore:
    Tenants + Plans + Documents + Versions + Numbers + People + SignIns + Audit + Refusals + Idempotency + ChangeFeed
{
}

/// Which state of something somebody has seen; each change makes the next.
pub type Revision = i64;

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none, or none that the scope reaches.
    #[error("there is no such thing")]
    NotFound,
    /// It was changed since.
    #[error("it has been changed since: its revision is {newest}")]
    Changed {
        /// The newest revision.
        newest: Revision,
    },
    /// A name or number that has to be one's own is another's.
    #[error("{0}")]
    Taken(String),
    /// Something else uses it.
    #[error("{0}")]
    InUse(String),
    /// What was given cannot be kept, whoever gives it.
    #[error("`{field}` {why}")]
    Mistake {
        /// Which of its fields.
        field: String,
        /// What is the matter with it.
        why: String,
    },
    /// There may be no more of these.
    #[error("there are {limit} of these, and no more may be")]
    TooMany {
        /// The limit.
        limit: u64,
    },
    /// A secret does not open: its key is another, or what is kept was changed.
    #[error("the secret at `{field}` of {owner} does not open: {why}")]
    Sealed {
        /// Whose it is.
        owner: Id,
        /// Which of its fields.
        field: String,
        /// What may be the matter, and what to do.
        why: String,
    },
    /// It may pass: a lost connection, a full disk.
    #[error("the database does not answer: {0}")]
    Unavailable(Box<dyn Error + Send + Sync>),
    /// The database refuses what was asked: a fault of this program.
    #[error("the database refuses: {0}")]
    Refused(Box<dyn Error + Send + Sync>),
}

/// Most of one sort of thing that a tenant may have.
pub const OF_A_TENANT_MAX: u64 = 1_000;
/// Most numbers of a tenant.
pub const NUMBERS_MAX: u64 = 100_000;
/// Most that one page of a list holds.
pub const PAGE_MAX: u32 = 200;

/// Which part of a list is wanted: what comes after an identifier, in the order of making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// What was shown last; nothing for the beginning.
    pub after: Option<Id>,
    /// How many at most, up to [`PAGE_MAX`].
    pub count: u32,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What to go on after; none at the end.
    pub next: Option<Id>,
}

/// When something was made and changed, in milliseconds since 1970, and its revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When it was made.
    pub created_unix_ms: i64,
    /// When it was changed last.
    pub changed_unix_ms: i64,
    /// Counts its changes from 1.
    pub revision: Revision,
    /// The number of the change that made it what it is.
    pub change: i64,
}
