//! What an assistant said before, and going back to it.
//!
//! Invariant: going back is a change like any other: judged as it would be served now, a revision of its own, and a line of the audit. A version
//! holds no secret: whoever goes back keeps the secrets that there are.

use bellhop_tenancy::access::Role;
use bellhop_tenancy::settings::Table;
use bellhop_tenancy::store::Version;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::documents::{ASSISTANTS, Document, Said, find, put, without_places};
use super::given::Given;
use super::route::{Outcome, Route};
use super::shown::time;
use crate::problem::Problem;

/// A version as it is listed.
#[derive(Serialize, ToSchema)]
struct ListedVersion {
    /// The revision of the assistant that it was.
    revision: i64,
    /// What the assistant was called.
    name: String,
    changed_at: String,
    /// What whoever made it is called; null where that was not kept.
    changed_by: Option<String>,
    /// Whether it is what the assistant says now.
    current: bool,
}

/// A version with what it says.
#[derive(Serialize, ToSchema)]
struct ShownVersion {
    #[schema(inline)]
    #[serde(flatten)]
    version: ListedVersion,
    /// Without secrets.
    #[schema(value_type = Object)]
    settings: Table,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/assistants/{id}/versions", Role::Viewer, "Lists what an assistant said before", list)
            .lists::<ListedVersion>(),
        Route::get("/assistants/{id}/versions/{revision}", Role::Viewer, "Shows a version of an assistant", show)
            .gives::<ShownVersion>(),
        Route::post(
            "/assistants/{id}/versions/{revision}/restore",
            Role::Admin,
            "Has an assistant say again what a version says; its secrets stay",
            restore,
        )
        .gives::<Document>()
        .conditional(),
    ]
}

impl ListedVersion {
    fn of(version: Version, newest: i64) -> Self {
        let Version { revision, name, changed_unix_ms, by } = version;
        Self { revision, name, changed_at: time(changed_unix_ms), changed_by: by, current: revision == newest }
    }
}

async fn list(asked: Asked) -> Outcome {
    let kept = find(&asked, ASSISTANTS).await?;
    let versions = asked.ports.store.versions(&asked.by.signed_in.scope(), kept.id).await?;
    let newest = kept.stamp.revision;
    Ok(Given::list(versions.into_iter().map(|version| ListedVersion::of(version, newest)).collect(), None))
}

/// Which version the path names.
fn revision(asked: &Asked) -> Result<i64, Problem> {
    asked.name("revision")?.parse().map_err(|_| Problem::not_found())
}

async fn show(asked: Asked) -> Outcome {
    let kept = find(&asked, ASSISTANTS).await?;
    let found = asked.ports.store.version(&asked.by.signed_in.scope(), kept.id, revision(&asked)?).await?;
    let version = ListedVersion::of(found.version, kept.stamp.revision);
    Ok(Given::one(&ShownVersion { version, settings: without_places(&found.document) }))
}

async fn restore(asked: Asked) -> Outcome {
    let kept = find(&asked, ASSISTANTS).await?;
    let seen = asked.expect(kept.stamp.revision)?;
    let found = asked.ports.store.version(&asked.by.signed_in.scope(), kept.id, revision(&asked)?).await?;
    let said = Said { name: kept.name.clone(), settings: found.document };
    put(&asked, ASSISTANTS, (kept, seen), said).await
}
