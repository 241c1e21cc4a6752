//! The shape of the database: migrations, each in a file with a number, applied in their order and written down.
//!
//! Invariants: all that are missing are applied in one transaction, or none is; who starts at the same time waits and
//! finds them applied; a database that a later program made is not written to. A migration that was released is never
//! edited: its digest is kept beside its number. `PRAGMA user_version` is the number of the last one, which programs
//! from before the table of migrations read too.

use std::path::Path;

use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::{BUSY_MAX, Trouble, unix_now};

/// A file of `migrations/sqlite/`.
#[derive(Debug, Clone, Copy)]
struct Migration {
    number: i64,
    name: &'static str,
    sql: &'static str,
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration { number: $number, name: $name, sql: include_str!(concat!("../migrations/sqlite/", $name, ".sql")) }
    };
}

/// All of them. `sqlx`'s own migrator takes no lock with SQLite: of two that start at once the second would fail.
const MIGRATIONS: &[Migration] = &[migration!(1, "0001_what_calls_leave_behind"), migration!(2, "0002_lent_histories")];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    number INTEGER PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_unix INTEGER NOT NULL
) STRICT";

/// Gives a new or former database its shape.
pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<(), Trouble> {
    migrate(connection, MIGRATIONS).await
}

/// Refuses a database of a program that is not this one, by a connection that leaves no trace: the first that writes sets its
/// journal. Without a log nobody else has it open, and it is read as it lies there; with one the log is read too.
pub(super) async fn refuse_others(path: &Path, has_log: bool) -> Result<(), Trouble> {
    let looking = SqliteConnectOptions::new().filename(path).read_only(true).immutable(!has_log);
    let look = async {
        let mut connection = looking.busy_timeout(BUSY_MAX).connect().await?;
        let missing = missing(&mut connection, MIGRATIONS).await.map(drop);
        connection.close().await?;
        missing
    };
    match look.await {
        Err(why @ (Trouble::Later { .. } | Trouble::Foreign { .. })) => Err(why),
        // Whatever else is wrong, whoever opens it says better.
        _ => Ok(()),
    }
}

async fn migrate(connection: &mut SqliteConnection, all: &[Migration]) -> Result<(), Trouble> {
    if missing(connection, all).await?.is_empty() {
        return Ok(());
    }
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    // Somebody else may have been first.
    let missing = missing(connection, all).await?;
    if !missing.is_empty() {
        let shape = version(connection).await?;
        sqlx::raw_sql(TABLE).execute(&mut *connection).await?;
        for migration in missing {
            // Programs from before the table applied the first ones, and wrote down their number alone.
            if migration.number > shape {
                sqlx::raw_sql(migration.sql).execute(&mut *connection).await?;
            }
            write_down(connection, migration).await?;
        }
        let number = all.last().map_or(0, |migration| migration.number);
        let query = format!("PRAGMA user_version = {number}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(query)).execute(&mut *connection).await?;
    }
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    Ok(())
}

/// The migrations that are not written down yet; a database that this program does not know is an error.
async fn missing<'a>(connection: &mut SqliteConnection, all: &'a [Migration]) -> Result<Vec<&'a Migration>, Trouble> {
    let known = all.last().map_or(0, |migration| migration.number);
    let version = version(connection).await?;
    if version > known {
        return Err(Trouble::Later { version, known });
    }
    let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'";
    if sqlx::query(table).fetch_optional(&mut *connection).await?.is_none() {
        return Ok(all.iter().collect());
    }
    let query = "SELECT number, sha256 FROM schema_migrations ORDER BY number";
    let mut missing: Vec<&Migration> = all.iter().collect();
    for row in sqlx::query(query).fetch_all(connection).await? {
        let (number, sha256): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        match all.iter().find(|migration| migration.number == number) {
            None => return Err(Trouble::Later { version: number, known }),
            Some(migration) if digest(migration) != sha256 => return Err(Trouble::Foreign { number }),
            Some(_) => missing.retain(|migration| migration.number != number),
        }
    }
    Ok(missing)
}

async fn write_down(connection: &mut SqliteConnection, migration: &Migration) -> Result<(), Trouble> {
    let query = "INSERT INTO schema_migrations (number, name, sha256, applied_unix) VALUES (?, ?, ?, ?)";
    let insert =
        sqlx::query(query).bind(migration.number).bind(migration.name).bind(digest(migration)).bind(unix_now());
    insert.execute(connection).await?;
    Ok(())
}

fn digest(migration: &Migration) -> String {
    Sha256::digest(migration.sql).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("PRAGMA user_version").fetch_one(connection).await?.try_get(0)
}

#[cfg(test)]
mod tests;
