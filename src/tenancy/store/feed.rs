//! The change feed: what a node reads to serve what is kept, and tells of it.
//!
//! Every store promises: changes are counted by one number that is committed with them, so whoever has read everything up to a number has
//! missed nothing below it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Secret;
use crate::access::SignedIn;
use crate::id::{Id, TenantId};

use super::{Answer, KeptNumber, KeptPlan, KeptTenant, documents::Kept};

/// Everything that is served, as of one change.
#[derive(Debug)]
pub struct Everything {
    /// The number of that change.
    pub change: i64,
    /// All plans.
    pub plans: Vec<KeptPlan>,
    /// All tenants.
    pub tenants: Vec<KeptTenant>,
    /// Their integrations, each with what it uses.
    pub integrations: Vec<KeptIntegration>,
}

/// An integration with all that it is made of.
#[derive(Debug)]
pub struct KeptIntegration {
    /// Whose it is.
    pub tenant: TenantId,
    /// The document itself.
    pub integration: Kept,
    /// The documents that it uses, by their identifiers.
    pub parts: BTreeMap<Id, Kept>,
    /// The secrets of all of them, by document and path. One that does not open is the integration's trouble alone.
    pub secrets: BTreeMap<(Id, String), Result<Secret, String>>,
    /// Its numbers.
    pub numbers: Vec<KeptNumber>,
}

/// What a node says it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedBy {
    /// The node.
    pub node: String,
    /// The number of the newest change that it has applied.
    pub change: i64,
    /// What it could not apply.
    pub not_applied: Vec<NotApplied>,
    /// What else it says of itself.
    pub says: NodeSays,
}

/// What a node says of itself; nothing of one that is older than what is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeSays {
    /// Its version.
    pub version: String,
    /// Calls that are up on it.
    pub calls: u64,
    /// Whether it takes no more calls.
    pub is_draining: bool,
    /// What callers' sides call it; none if it does not know.
    pub sip_host: Option<String>,
    /// The port that they call.
    pub sip_port: u16,
}

/// An integration that a node does not serve as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotApplied {
    /// Which.
    pub integration: Id,
    /// Why, in sentences: path and reason.
    pub why: Vec<String>,
}

/// Why a feed woke who waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Somebody said that there is a newer change.
    Told,
    /// It was time to look.
    TimeToLook,
}

/// Tells nodes of changes.
pub trait ChangeFeed: Send + Sync {
    /// The number of the newest change.
    fn newest_change(&self) -> Answer<'_, i64>;

    /// Everything that is served, with secrets opened; for who serves it.
    fn everything<'a>(&'a self, by: &'a SignedIn) -> Answer<'a, Everything>;

    /// Waits until there may be something newer: told by the database, or after a while.
    fn wait(&self) -> Answer<'_, Woken>;

    /// This node serves as of a change.
    fn note_applied(&self, applied: AppliedBy) -> Answer<'_, ()>;

    /// What each node that lives has applied.
    fn applied(&self) -> Answer<'_, Vec<AppliedBy>>;
}
