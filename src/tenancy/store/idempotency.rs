//! Requests that carry a key so that they may be sent twice (`Idempotency-Key`), and what they were answered.
//!
//! Every store promises: of requests under one name the first alone is told to go on, whichever of several processes hears of
//! it; what is older than [`ANSWER_KEPT`] is forgotten, and of one user no more than [`KEYS_OF_A_USER_MAX`] are kept: the
//! oldest make room.

use std::time::Duration;

use crate::access::Author;

use super::Answer;

/// How long a name is known.
pub const ANSWER_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Most names of one user.
pub const KEYS_OF_A_USER_MAX: u64 = 1_000;

/// A request that may come twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRequest {
    /// Names it: 64 hexadecimal digits of a hash over whose it is, its route and its key.
    pub name: String,
    /// What it asks for: 64 hexadecimal digits of a hash over its body.
    pub fingerprint: String,
    /// When it came, in milliseconds since 1970.
    pub at_unix_ms: i64,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: it is carried out, and then [settled](Idempotency::settle).
    First,
    /// The same came before, and it is not known what became of it.
    InFlight,
    /// Another request came under this name.
    Another,
    /// The same came before, and this was its answer.
    Answered(KeptAnswer),
}

/// An answer as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its status.
    pub status: u16,
    /// `Location`
    pub location: Option<String>,
    /// `ETag`
    pub etag: Option<String>,
    /// Its body; none if it is shown once and never kept.
    pub body: Option<String>,
}

/// It never shows what it says.
impl std::fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptAnswer({})", self.status)
    }
}

/// Remembers what requests were answered.
pub trait Idempotency: Send + Sync {
    /// Begins a request of an author.
    fn begin<'a>(&'a self, by: &'a Author, request: &'a KeyedRequest) -> Answer<'a, Begun>;

    /// What the first request under a name was answered; nothing if nothing was done, so that it may be sent again.
    fn settle<'a>(&'a self, name: &'a str, answer: Option<KeptAnswer>) -> Answer<'a, ()>;
}
