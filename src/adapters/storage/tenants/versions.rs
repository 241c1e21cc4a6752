//! What assistants said before.
//!
//! Invariant: each revision of an assistant is kept with who made it, up to [`VERSIONS_MAX`] of the newest, and is gone with its assistant. No
//! secret is in one: where a secret stood, the document says `kept:` and its path.

use bellhop_tenancy::access::{Author, Scope};
use bellhop_tenancy::id::Id;
use bellhop_tenancy::settings::json;
use bellhop_tenancy::store::{
    Answer, Kept, KeptKind, KeptVersion, Revision, StoreError, VERSIONS_MAX, Version, Versions,
};

use super::change::Change;
use super::rows::{table, text};
use super::{Row, SqlTenants, Trouble, answer, args, within};

const LIST: &str = "SELECT v.revision, v.name, v.changed_unix_ms, v.changed_by FROM document_versions v
    JOIN documents d ON d.id = v.document WHERE v.document = $1 AND (d.tenant = $2 OR $2 IS NULL)
    ORDER BY v.revision DESC LIMIT $3";
const ONE: &str = "SELECT v.revision, v.name, v.changed_unix_ms, v.changed_by, v.body FROM document_versions v
    JOIN documents d ON d.id = v.document
    WHERE v.document = $1 AND (d.tenant = $2 OR $2 IS NULL) AND v.revision = $3";
const KEEP: &str = "INSERT INTO document_versions (document, revision, tenant, name, body, changed_unix_ms, changed_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
const FORGET_OLD: &str = "DELETE FROM document_versions WHERE document = $1 AND revision NOT IN
    (SELECT revision FROM document_versions WHERE document = $1 ORDER BY revision DESC LIMIT $2)";
const FORGET: &str = "DELETE FROM document_versions WHERE document = $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 5] = [LIST, ONE, KEEP, FORGET_OLD, FORGET];

impl Versions for SqlTenants {
    fn versions<'a>(&'a self, scope: &'a Scope, id: Id) -> Answer<'a, Vec<Version>> {
        answer(async move {
            let (id, tenant) = (id.to_string(), within(scope));
            Ok(self
                .fetch(LIST, args![&id, tenant.as_deref(), VERSIONS_MAX])
                .await?
                .iter()
                .map(version)
                .collect::<Result<_, _>>()?)
        })
    }

    fn version<'a>(&'a self, scope: &'a Scope, id: Id, revision: Revision) -> Answer<'a, KeptVersion> {
        answer(async move {
            let (id, tenant) = (id.to_string(), within(scope));
            let row = self.find(ONE, args![&id, tenant.as_deref(), revision]).await?;
            Ok(KeptVersion { version: version(&row)?, document: table(&row, 4)? })
        })
    }
}

fn version(row: &Row) -> Result<Version, Trouble> {
    let (revision, name) = (row.integer(0)?, text(row, 1)?);
    let by = Some(text(row, 3)?).filter(|by| !by.is_empty());
    Ok(Version { revision, name, changed_unix_ms: row.integer(2)?, by })
}

/// Keeps what an assistant says now, by who said so; of one from before versions were kept that is nobody known.
pub(super) async fn keep(change: &mut Change, kept: &Kept, by: Option<&Author>) -> Result<(), StoreError> {
    if kept.kind != KeptKind::Assistant {
        return Ok(());
    }
    let (id, tenant, body) = (kept.id.to_string(), kept.tenant.to_string(), json::write(&kept.document));
    let by = by.map_or("", |by| by.signed_in.name());
    let all = args![&id, kept.stamp.revision, &tenant, &kept.name, &body, kept.stamp.changed_unix_ms, by];
    change.execute(KEEP, all).await?;
    change.execute(FORGET_OLD, args![&id, VERSIONS_MAX]).await.map(drop)
}

/// Forgets all of one that is deleted.
pub(super) async fn forget(change: &mut Change, id: &str) -> Result<(), StoreError> {
    change.execute(FORGET, args![id]).await.map(drop)
}
