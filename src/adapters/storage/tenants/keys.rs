//! The keys of a store: the master keys that are configured, and the data keys of tenants as they were unwrapped.
//!
//! With each master key that was ever used something is kept that only it unwraps: so a wrong one is told at the start, before
//! anything is sealed under it. Invariant: what seals is always wrapped by the first master key; what opens may be wrapped by
//! either.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bellhop_tenancy::id::TenantId;

use super::{Database, Row, Trouble, args, unix_now_ms};
use crate::secrets::{CannotTake, DataKey, MasterKey, MasterKeySource, NotUnlocked};

const KNOWN: &str = "SELECT id, wrapped FROM master_keys ORDER BY created_unix_ms, id";
const INSERT: &str = "INSERT INTO master_keys (id, wrapped, created_unix_ms) VALUES ($1, $2, $3)";
/// Who starts at the same time waits.
const LOCK: &str = "UPDATE counters SET change = change WHERE one = 1 RETURNING change";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 3] = [KNOWN, INSERT, LOCK];

/// Whose the keys are that only tell master keys apart.
const CHECK: &str = "check of a master key";

/// What the configuration says of master keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterKeys {
    /// `storage.master_key`: wraps what is new.
    pub current: MasterKeySource,
    /// `storage.previous_master_key`: unwraps what is not yet wrapped anew.
    pub previous: Option<MasterKeySource>,
}

/// Why a store cannot be opened: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("the store of tenants cannot be opened: {0}")]
pub struct CannotUnlock(Why);

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Database(#[from] Trouble),
    #[error(transparent)]
    NoKey(#[from] CannotTake),
    #[error(
        "{0}; the secrets in the database were sealed under it: restore it from where it was kept apart from the database"
    )]
    Lost(CannotTake),
    #[error(
        "the master key {key} is not the one that the secrets in the database were sealed under: name that one in storage.master_key, or, where it is to be replaced, in storage.previous_master_key ({why})"
    )]
    Wrong { key: String, why: String },
    #[error(transparent)]
    NotUnlocked(#[from] NotUnlocked),
}

impl From<Why> for CannotUnlock {
    fn from(why: Why) -> Self {
        Self(why)
    }
}

/// The keys of a store.
pub(super) struct Keys {
    current: MasterKey,
    /// Names the current one in the database.
    current_id: String,
    previous: Option<MasterKey>,
    /// What was unwrapped, with what it was unwrapped from.
    opened: Mutex<HashMap<TenantId, (String, Arc<DataKey>)>>,
}

/// It never shows a key.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("current_id", &self.current_id).finish_non_exhaustive()
    }
}

impl Keys {
    /// Takes the keys, and compares them with those that the database was written with; a database that has none gets one.
    pub(super) async fn acquaint(database: &Database, configured: &MasterKeys) -> Result<Self, CannotUnlock> {
        Ok(Self::take(database, configured).await?)
    }

    async fn take(database: &Database, configured: &MasterKeys) -> Result<Self, Why> {
        let known = database.fetch(KNOWN, args![]).await?;
        let current = match known.is_empty() {
            true => configured.current.take_or_make()?,
            false => configured.current.take().map_err(|why| match why.is_missing {
                true => Why::Lost(why),
                false => Why::NoKey(why),
            })?,
        };
        let previous = configured.previous.as_ref().map(MasterKeySource::take).transpose()?;
        let replaces = match &previous {
            Some(previous) => found(&known, previous).await?.is_ok(),
            None => false,
        };
        if previous.is_some() && !known.is_empty() && !replaces {
            tracing::warn!("storage.previous_master_key opens nothing that is kept: take it off");
        }
        let wrong = |why: String| Why::Wrong { key: configured.current.to_string(), why };
        match found(&known, &current).await? {
            Ok(current_id) => return Ok(Self::of(current, current_id, previous)),
            Err(why) if !known.is_empty() && !replaces => return Err(wrong(why)),
            Err(_) => {}
        }
        // Others may do the same at this time: whoever is first says which it is.
        let wrapped = current.wrap(&DataKey::generate(), CHECK).await.map_err(NotUnlocked::from)?;
        let mut transaction = database.begin().await?;
        transaction.fetch(LOCK, args![]).await?;
        let newest = transaction.fetch(KNOWN, args![]).await?;
        if newest.len() != known.len() {
            transaction.abandon().await?;
            let current_id = found(&newest, &current).await?.map_err(wrong)?;
            return Ok(Self::of(current, current_id, previous));
        }
        let current_id = format!("{:016x}", rand::random::<u64>());
        transaction.execute(INSERT, args![&current_id, &wrapped, unix_now_ms()]).await?;
        transaction.commit().await?;
        Ok(Self::of(current, current_id, previous))
    }

    fn of(current: MasterKey, current_id: String, previous: Option<MasterKey>) -> Self {
        Self { current, current_id, previous, opened: Mutex::default() }
    }

    /// The name of the master key that wraps what is new.
    pub(super) fn current_id(&self) -> &str {
        &self.current_id
    }

    /// A data key, wrapped for its tenant.
    pub(super) async fn wrap(&self, key: &DataKey, tenant: TenantId) -> Result<String, NotUnlocked> {
        Ok(self.current.wrap(key, &tenant.to_string()).await?)
    }

    /// The data key of a tenant, from how it is kept.
    pub(super) async fn unwrap(&self, tenant: TenantId, wrapped: &str) -> Result<Arc<DataKey>, NotUnlocked> {
        if let Some((from, key)) = self.opened().get(&tenant)
            && from == wrapped
        {
            return Ok(Arc::clone(key));
        }
        let owner = tenant.to_string();
        let key = match (self.current.unwrap(wrapped, &owner).await, &self.previous) {
            (Err(_), Some(previous)) => previous.unwrap(wrapped, &owner).await?,
            (found, _) => found?,
        };
        let key = Arc::new(key);
        self.opened().insert(tenant, (wrapped.to_owned(), Arc::clone(&key)));
        Ok(key)
    }

    /// Forgets the keys of all other tenants.
    pub(super) fn keep_only(&self, tenants: &HashSet<TenantId>) {
        self.opened().retain(|tenant, _| tenants.contains(tenant));
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, (String, Arc<DataKey>)>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name that a key has in the database; or, if it opens nothing there, why.
async fn found(known: &[Row], key: &MasterKey) -> Result<Result<String, String>, Trouble> {
    let mut closed = String::new();
    for row in known {
        match key.unwrap(row.text(1)?, CHECK).await {
            Ok(_) => return Ok(Ok(row.text(0)?.to_owned())),
            Err(why) => closed = why.to_string(),
        }
    }
    Ok(Err(closed))
}
