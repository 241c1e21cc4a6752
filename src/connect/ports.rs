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

/// Takes an uncertain write back. It cannot set a value, so whoever cleans up after a failure may hold it.
pub trait AttributeBlanker: Send + Sync {
    /// Writes these names empty, once and without a value to choose; `Done` only if they are empty now.
    fn blank(&self, contact_id: String, names: Vec<String>) -> Pending<WriteOutcome>;
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

/// What is being written, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedWrite {
    /// The initial contact id.
    pub contact_id: String,
    /// Every name of the request.
    pub names: Vec<String>,
}

/// Names a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

    /// The same for a key that is given away before it is known what comes of it: whoever starts after the death of this process
    /// makes it void, unless it was [`HistoryStore::earned`].
    fn lend(&self, name: FiledAs, history: History) -> Pending<Result<(), StoreFailed>>;

    /// What a key was lent for has come about: from then on the death of the process does not touch it.
    fn earned(&self, name: FiledAs) -> Pending<Result<(), StoreFailed>>;

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
