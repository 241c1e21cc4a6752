//! The tables, and how a database of a former version gets them.
//!
//! Invariant: the shape changes in one transaction or not at all; a database of a later version is left alone.

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::Trouble;

/// The version of this shape, in `PRAGMA user_version`.
pub(super) const VERSION: i64 = 2;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS session_histories (
    filed_as TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    json TEXT NOT NULL,
    expires_unix INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS session_histories_expiry ON session_histories (expires_unix);
CREATE TABLE IF NOT EXISTS call_records (
    session TEXT PRIMARY KEY NOT NULL,
    call TEXT NOT NULL,
    sip_call_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    caller TEXT NOT NULL,
    began_unix_ms INTEGER NOT NULL,
    expires_unix INTEGER NOT NULL,
    details TEXT NOT NULL,
    timeline TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS call_records_expiry ON call_records (expires_unix);
CREATE INDEX IF NOT EXISTS call_records_began ON call_records (began_unix_ms);
CREATE TABLE IF NOT EXISTS log_events (
    id TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    session TEXT NOT NULL,
    caller TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_unix_ms INTEGER NOT NULL,
    expires_unix INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS log_events_due ON log_events (tenant, due_unix_ms);
CREATE INDEX IF NOT EXISTS log_events_expiry ON log_events (expires_unix);
-- How much waits for each tenant's receiver, kept by the triggers below.
CREATE TABLE IF NOT EXISTS log_spools (
    tenant TEXT PRIMARY KEY NOT NULL,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS log_events_added AFTER INSERT ON log_events BEGIN
    INSERT INTO log_spools (tenant, events, bytes) VALUES (new.tenant, 1, length(CAST(new.body AS BLOB)))
        ON CONFLICT (tenant) DO UPDATE SET events = events + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER IF NOT EXISTS log_events_removed AFTER DELETE ON log_events BEGIN
    UPDATE log_spools SET events = events - 1, bytes = bytes - length(CAST(old.body AS BLOB)) WHERE tenant = old.tenant;
END;
-- Calls that began and have no record yet, by the server that has them.
CREATE TABLE IF NOT EXISTS calls_under_way (
    session TEXT PRIMARY KEY NOT NULL,
    server TEXT NOT NULL,
    call TEXT NOT NULL,
    sip_call_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    caller TEXT NOT NULL,
    opening TEXT NOT NULL
) STRICT;
-- Whose voice is in which recording, for as long as there is one.
CREATE TABLE IF NOT EXISTS recorded_calls (
    call TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    caller TEXT NOT NULL
) STRICT;
-- Contacts that are being written to, or that may hold what was never earned.
CREATE TABLE IF NOT EXISTS writes_in_flight (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server TEXT NOT NULL,
    tenant TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    names TEXT NOT NULL,
    noted_unix INTEGER NOT NULL
) STRICT;
-- Histories whose key was given away for a transfer that is not known to have come about.
CREATE TABLE IF NOT EXISTS lent_histories (
    filed_as TEXT PRIMARY KEY NOT NULL,
    server TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS session_histories_removed AFTER DELETE ON session_histories BEGIN
    DELETE FROM lent_histories WHERE filed_as = old.filed_as;
END;
";

/// Gives a new or former database its shape.
pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<(), Trouble> {
    match version(connection).await? {
        VERSION => return Ok(()),
        later if later > VERSION => return Err(Trouble::Later { version: later }),
        _ => {}
    }
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    sqlx::raw_sql(TABLES).execute(&mut *connection).await?;
    let count = "INSERT OR REPLACE INTO log_spools (tenant, events, bytes)
        SELECT tenant, count(*), sum(length(CAST(body AS BLOB))) FROM log_events GROUP BY tenant";
    sqlx::raw_sql(count).execute(&mut *connection).await?;
    // Which of them have a recording is found out by the first sweep.
    let recorded =
        "INSERT OR IGNORE INTO recorded_calls (call, tenant, caller) SELECT call, tenant, caller FROM call_records";
    sqlx::raw_sql(recorded).execute(&mut *connection).await?;
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {VERSION}"))).execute(&mut *connection).await?;
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    Ok(())
}

/// A database that was made without it is rewritten once, so that it can shrink. Where that fails it only cannot shrink.
pub(super) async fn give_space_back(connection: &mut SqliteConnection) {
    const INCREMENTAL: i64 = 2;
    let mode =
        sqlx::query("PRAGMA auto_vacuum").fetch_one(&mut *connection).await.and_then(|row| row.try_get::<i64, _>(0));
    if !matches!(mode, Ok(mode) if mode != INCREMENTAL) {
        return;
    }
    if let Err(error) = sqlx::raw_sql("PRAGMA auto_vacuum = INCREMENTAL; VACUUM").execute(&mut *connection).await {
        tracing::warn!(%error, "the database could not be rewritten: it does not shrink until the next start");
    }
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("PRAGMA user_version").fetch_one(connection).await?.try_get(0)
}
