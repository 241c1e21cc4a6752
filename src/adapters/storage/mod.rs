//! What outlives a call: histories, records, events and notes.
//!
//! Whoever uses a store holds ports of `bellhop_connect` and `bellhop_call`; only who opens it knows which it is. What a
//! store is made of stands in `database.rs`, what is kept in it in `sql.rs`, and what is done while it is away in `spooled.rs`.

mod database;
#[cfg(test)]
mod places;
mod spool;
mod spooled;
mod sql;
#[cfg(test)]
mod suite;
mod tenants;

use std::sync::Arc;

use bellhop_call::ports::{CallRecords, CallsUnderWay, LogEvents, Readiness, RecordWriter, Retention, SoleUse};
use bellhop_connect::ports::{FiledHistories, HandoffsLeftBehind, HistoriesKept, HistoryStore, WriteNotes};
pub use database::{BUSY_MAX, CannotOpen, Database, WRITE_MAX, can_be_read, file_of, is_postgres};
pub use spool::SPOOL_BYTES;
pub use spooled::SpooledStore;
pub use sql::SqlStore;
pub use tenants::{CannotUnlock, Left, ListenOn, MasterKeys, SqlTenants, Unopened};

/// An open store: it is each of the ports that serve all tenants, and gives each tenant the others.
pub trait Store:
    FiledHistories
    + HandoffsLeftBehind
    + RecordWriter
    + CallRecords
    + CallsUnderWay
    + LogEvents
    + Retention
    + Readiness
    + SoleUse
{
    /// The histories, those stored by this port kept so.
    fn histories(&self, kept: HistoriesKept) -> Arc<dyn HistoryStore>;

    /// The notes of one tenant's writes that are under way.
    fn write_notes(&self, tenant: &str) -> Arc<dyn WriteNotes>;
}
