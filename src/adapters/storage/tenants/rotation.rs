//! What the command line does with secrets: opens each to see whether it opens, and wraps the data keys under a new master key.
//!
//! Invariant: each data key is wrapped anew by itself, so that whoever breaks off goes on later, and a server that has both master
//! keys serves meanwhile. Secrets themselves stay as they are.

use std::collections::HashMap;

use bellhop_tenancy::access::Author;
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::StoreError;

use super::change::{Change, Noted};
use super::rows::{parsed, text};
use super::{SqlTenants, args, bounded, everybodys};
use crate::secrets::Place;

use crate::storage::database::WRITE_MAX;

const SECRETS: &str = "SELECT s.owner, s.path, s.sealed, s.tenant, t.name, t.data_key FROM secrets s
    JOIN tenants t ON t.id = s.tenant WHERE (s.owner > $1 OR (s.owner = $1 AND s.path > $2))
    ORDER BY s.owner, s.path LIMIT 500";
const OTHERS: &str = "SELECT id, name, data_key FROM tenants
    WHERE deleted_unix_ms IS NULL AND master_key <> $1 AND id > $2 ORDER BY id LIMIT 100";
const REWRAP: &str = "UPDATE tenants SET data_key = $3, master_key = $4 WHERE id = $1 AND data_key = $2";
const FORGET: &str = "DELETE FROM master_keys WHERE id <> $1
    AND NOT EXISTS (SELECT 1 FROM tenants t WHERE t.master_key = master_keys.id AND t.deleted_unix_ms IS NULL)";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 4] = [SECRETS, OTHERS, REWRAP, FORGET];

/// A secret that does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unopened {
    /// The name of its tenant.
    pub tenant: String,
    /// The document that it belongs to.
    pub owner: Id,
    /// Its path there.
    pub path: String,
    /// Why.
    pub why: String,
}

/// A data key that is not wrapped anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The name of its tenant.
    pub tenant: String,
    /// Why.
    pub why: String,
}

impl SqlTenants {
    /// Opens each secret; how many open, and those that do not.
    pub async fn check_secrets(&self, by: &Author) -> Result<(u64, Vec<Unopened>), StoreError> {
        everybodys(by)?;
        let (mut opened, mut unopened) = (0, vec![]);
        let (mut owner, mut path) = (String::new(), String::new());
        // A key that does not open is not asked for again with each secret.
        let mut closed = HashMap::<TenantId, String>::new();
        loop {
            let rows = bounded(WRITE_MAX, self.fetch(SECRETS, args![&owner, &path])).await?;
            let Some(last) = rows.last() else { return Ok((opened, unopened)) };
            (owner, path) = (text(last, 0)?, text(last, 1)?);
            for row in &rows {
                let (of, at, tenant): (Id, String, TenantId) = (parsed(row, 0)?, text(row, 1)?, parsed(row, 3)?);
                let place = Place { tenant, owner: of, path: &at };
                let why = match closed.get(&tenant) {
                    Some(why) => Some(why.clone()),
                    None => match self.0.keys.unwrap(tenant, row.optional_text(5)?.unwrap_or_default()).await {
                        Ok(key) => key.open(&place, row.text(2)?).err().map(|why| why.to_string()),
                        Err(why) => Some(closed.entry(tenant).or_insert(why.to_string()).clone()),
                    },
                };
                match why {
                    None => opened += 1,
                    Some(why) => unopened.push(Unopened { tenant: text(row, 4)?, owner: of, path: at, why }),
                }
            }
        }
    }

    /// Wraps every data key under the current master key that is wrapped under another; how many, and those that stay.
    pub async fn rotate(&self, by: &Author) -> Result<(u64, Vec<Left>), StoreError> {
        everybodys(by)?;
        let (mut rotated, mut left, mut after) = (0, vec![], String::new());
        loop {
            let rows = bounded(WRITE_MAX, self.fetch(OTHERS, args![self.0.keys.current_id(), &after])).await?;
            let Some(last) = rows.last() else { break };
            after = text(last, 0)?;
            for row in &rows {
                let (id, name, wrapped): (TenantId, String, String) = (parsed(row, 0)?, text(row, 1)?, text(row, 2)?);
                let anew = match self.0.keys.unwrap(id, &wrapped).await {
                    Ok(key) => self.0.keys.wrap(&key, id).await,
                    Err(why) => Err(why),
                };
                match anew {
                    // One that was deleted meanwhile needs none.
                    Ok(anew) => rotated += bounded(WRITE_MAX, self.rewrap(id, &wrapped, &anew)).await?,
                    Err(why) => left.push(Left { tenant: name, why: why.to_string() }),
                }
            }
        }
        let mut change = self.begin().await?;
        let noted = finish(&mut change, by, self.0.keys.current_id()).await;
        self.end(change, noted).await?;
        Ok((rotated, left))
    }

    async fn rewrap(&self, tenant: TenantId, was: &str, anew: &str) -> Result<u64, StoreError> {
        let mut transaction = self.0.database.begin().await?;
        let tenant = tenant.to_string();
        let all = args![&tenant, was, anew, self.0.keys.current_id()];
        let touched = transaction.execute(REWRAP, all).await?;
        transaction.commit().await?;
        Ok(touched)
    }
}

/// A master key that wraps nothing any more is none of the database's.
async fn finish(change: &mut Change, by: &Author, current: &str) -> Result<(), StoreError> {
    change.execute(FORGET, args![current]).await?;
    change.note(by, Noted { action: "secrets.rotate", ..Noted::default() }).await
}
