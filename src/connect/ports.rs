//! What the hand-off needs of the world.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::handoff::{StoreFailed, WriteOutcome};
use crate::session_history_key::FiledAs;

/// A future that an adapter returns; it runs on whatever thread asked for it.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Writes contact attributes: the API UpdateContactAttributes with its own deadline and retries. Held by the hand-off
/// alone.
pub trait AttributeWriter: Send + Sync {
    /// Writes every pair in one request.
    fn write(&self, contact_id: String, attributes: Vec<(String, String)>) -> Pending<WriteOutcome>;
}

/// Takes an uncertain key back. It cannot set a value, so whoever cleans up after a failure may hold it.
pub trait AttributeBlanker: Send + Sync {
    /// Writes the session history key empty, once and without a value to choose.
    fn blank(&self, contact_id: String) -> Pending<()>;
}

/// The ports of a tenant whose calls do not come from Amazon Connect: there is no contact to write to.
#[derive(Debug, Clone, Copy)]
pub struct NoContacts;

impl AttributeWriter for NoContacts {
    fn write(&self, _: String, _: Vec<(String, String)>) -> Pending<WriteOutcome> {
        Box::pin(async { WriteOutcome::Refused })
    }
}

impl AttributeBlanker for NoContacts {
    fn blank(&self, _: String) -> Pending<()> {
        Box::pin(async {})
    }
}

/// Stores session histories.
pub trait HistoryStore: Send + Sync {
    /// Stores a history so that it survives a crash once this resolves.
    fn store(&self, name: FiledAs, history: History) -> Pending<Result<(), StoreFailed>>;

    /// Forgets a history whose key was given away for a transfer that did not come about: the key is void from then on.
    fn void(&self, name: FiledAs) -> Pending<Result<(), StoreFailed>>;
}

/// A conversation as an agent will read it.
#[derive(Clone, PartialEq, Eq)]
pub struct History {
    /// Whose it is.
    pub tenant: String,
    /// The conversation as JSON: the shape belongs to `bellhop_dialogue::transcript`.
    pub json: String,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "History({}, {} bytes)", self.tenant, self.json.len())
    }
}
