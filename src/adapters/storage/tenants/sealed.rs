//! The secrets of documents, each sealed by its tenant's data key under its document and path.
//!
//! Invariant: a secret that a document names and that is not given anew stays as it is; one that it does not name is deleted.
//! What does not open is told by document and path, and costs nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellhop_tenancy::Secret;
use bellhop_tenancy::access::Scope;
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::settings::{KEPT, Table, Value, shown_of};
use bellhop_tenancy::store::{NewDocument, SecretHint, StoreError};

use super::change::Change;
use super::checks::mistake;
use super::rows::{hint, text};
use super::{SqlTenants, args, bounded, within};
use crate::secrets::{DataKey, Place};

use crate::storage::database::WRITE_MAX;

/// Most bytes of a secret.
const SECRET_BYTES_MAX: usize = 16 << 10;
/// Most secrets of a document.
const SECRETS_MAX: usize = 200;
/// Most bytes of a path.
const PATH_BYTES_MAX: usize = 512;

const DATA_KEY: &str = "SELECT data_key FROM tenants
    WHERE id = $1 AND deleted_unix_ms IS NULL AND (id = $2 OR $2 IS NULL)";
const OF_OWNER: &str =
    "SELECT path, sealed FROM secrets WHERE owner = $1 AND (tenant = $2 OR $2 IS NULL) ORDER BY path";
const HINTS: &str = "SELECT owner, path, last_four, set_unix_ms FROM secrets WHERE owner = $1 ORDER BY path";
const SET: &str =
    "INSERT INTO secrets (owner, path, tenant, sealed, last_four, set_unix_ms) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (owner, path) DO UPDATE SET tenant = excluded.tenant, sealed = excluded.sealed,
        last_four = excluded.last_four, set_unix_ms = excluded.set_unix_ms";
const DELETE: &str = "DELETE FROM secrets WHERE owner = $1 AND path = $2";
const DELETE_ALL: &str = "DELETE FROM secrets WHERE owner = $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 6] = [DATA_KEY, OF_OWNER, HINTS, SET, DELETE, DELETE_ALL];

/// The secrets that a document is given, and those that it names.
pub(super) struct NewSecrets {
    given: Vec<(String, Secret)>,
    named: BTreeSet<String>,
}

/// The same, with what seals them.
pub(super) struct Sealed<'a> {
    secrets: &'a NewSecrets,
    key: Option<&'a DataKey>,
}

impl NewSecrets {
    pub(super) fn of(document: &NewDocument) -> Result<Self, StoreError> {
        let mut named = BTreeSet::new();
        collect(&document.document, &mut named);
        if named.len().max(document.secrets.len()) > SECRETS_MAX {
            return Err(mistake("document", format!("has more than {SECRETS_MAX} secrets")));
        }
        for (path, secret) in &document.secrets {
            if path.len() > PATH_BYTES_MAX || path.contains(char::is_control) {
                return Err(mistake("document", "has a secret at a path that cannot be kept"));
            }
            if secret.expose().len() > SECRET_BYTES_MAX {
                return Err(mistake(path, format!("is longer than {SECRET_BYTES_MAX} bytes")));
            }
            if !named.contains(path) {
                return Err(mistake(path, "is given as a secret, and the document has none there"));
            }
        }
        Ok(Self { given: document.secrets.clone(), named })
    }

    pub(super) fn sealed_by<'a>(&'a self, key: Option<&'a DataKey>) -> Sealed<'a> {
        Sealed { secrets: self, key }
    }
}

/// The paths in `kept:PATH`.
fn collect(table: &Table, named: &mut BTreeSet<String>) {
    fn of_value(value: &Value, named: &mut BTreeSet<String>) {
        match value {
            Value::Text(text) => named.extend(text.strip_prefix(KEPT).map(str::to_owned)),
            Value::List(list) => list.iter().for_each(|value| of_value(value, named)),
            Value::Table(table) => collect(table, named),
            _ => {}
        }
    }
    table.iter().for_each(|(_, value)| of_value(value, named));
}

impl Sealed<'_> {
    /// Writes those of a document; returns what may be shown of all that it has.
    pub(super) async fn write(
        &self,
        change: &mut Change,
        tenant: TenantId,
        owner: Id,
    ) -> Result<Vec<SecretHint>, StoreError> {
        let (of, by) = (owner.to_string(), tenant.to_string());
        let mut missing = self.secrets.named.clone();
        for row in change.fetch(HINTS, args![&of]).await? {
            let path = row.text(1)?;
            if !missing.remove(path) {
                change.execute(DELETE, args![&of, path]).await?;
            }
        }
        for (path, secret) in &self.secrets.given {
            let Some(key) = self.key else { break };
            let sealed = key.seal(&Place { tenant, owner, path }, secret);
            let hint = shown_of(path, secret);
            change.execute(SET, args![&of, path, &by, &sealed, hint.as_deref(), change.now_ms]).await?;
            missing.remove(path);
        }
        if let Some(path) = missing.first() {
            return Err(mistake(path, "is said to be kept, and is not: set it"));
        }
        let rows = change.fetch(HINTS, args![&of]).await?;
        Ok(rows.iter().map(hint).collect::<Result<_, _>>()?)
    }
}

pub(super) async fn forget(change: &mut Change, owner: Id) -> Result<(), StoreError> {
    change.execute(DELETE_ALL, args![&owner.to_string()]).await.map(drop)
}

impl SqlTenants {
    /// The key that seals new secrets of a tenant; none if there are none.
    pub(super) async fn key_for(
        &self,
        scope: &Scope,
        tenant: TenantId,
        secrets: &NewSecrets,
    ) -> Result<Option<Arc<DataKey>>, StoreError> {
        let Some((path, _)) = secrets.given.first() else { return Ok(None) };
        self.data_key(scope, tenant, (tenant.0, path)).await.map(Some)
    }

    /// The secrets of a document, opened.
    pub(super) async fn open_all(
        &self,
        scope: &Scope,
        tenant: TenantId,
        owner: Id,
    ) -> Result<Vec<(String, Secret)>, StoreError> {
        let rows = self.fetch(OF_OWNER, args![&owner.to_string(), within(scope).as_deref()]).await?;
        let Some(first) = rows.first() else { return Ok(vec![]) };
        let key = self.data_key(scope, tenant, (owner, first.text(0)?)).await?;
        let mut opened = vec![];
        for row in &rows {
            let path = text(row, 0)?;
            let secret = key.open(&Place { tenant, owner, path: &path }, row.text(1)?);
            let secret = secret.map_err(|why| closed(owner, &path, &why))?;
            opened.push((path, secret));
        }
        Ok(opened)
    }

    async fn data_key(
        &self,
        scope: &Scope,
        tenant: TenantId,
        (owner, path): (Id, &str),
    ) -> Result<Arc<DataKey>, StoreError> {
        let (id, scope) = (tenant.to_string(), within(scope));
        let row = bounded(WRITE_MAX, self.find(DATA_KEY, args![&id, scope.as_deref()])).await?;
        self.0.keys.unwrap(tenant, row.text(0)?).await.map_err(|why| closed(owner, path, &why))
    }
}

fn closed(owner: Id, path: &str, why: &dyn std::error::Error) -> StoreError {
    StoreError::Sealed { owner, field: path.to_owned(), why: why.to_string() }
}
