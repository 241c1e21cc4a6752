//! The shape of the database: migrations, each in a file with a number, applied in their order and written down.
//!
//! Invariants: all that are missing are applied in one transaction, or none is; who starts at the same time waits and
//! finds them applied; a database that a later program made is not written to. A migration that was released is never
//! edited: its digest is kept beside its number. SQLite's `PRAGMA user_version` is the number of the last one, which programs
//! from before the table of migrations read too.

use std::path::Path;

use sha2::{Digest, Sha256};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _};

use super::connection::Connection;
use super::values::args;
use super::{BUSY_MAX, Trouble, unix_now};

/// A file of `migrations/sqlite/`, and that of `migrations/postgres/` which does the same.
#[derive(Debug, Clone, Copy)]
struct Migration {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

impl Migration {
    fn of(&self, connection: &Connection<'_>) -> &'static str {
        match connection {
            Connection::Sqlite(_) => self.sqlite,
            Connection::Postgres(_) => self.postgres,
        }
    }
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }
    };
}

/// All of them. `sqlx`'s own migrator takes no lock with SQLite: of two that start at once the second would fail.
const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_what_calls_leave_behind"),
    migration!(2, "0002_lent_histories"),
    migration!(3, "0003_servers"),
    migration!(4, "0004_tenants"),
    migration!(5, "0005_usage"),
    migration!(6, "0006_spool"),
    migration!(7, "0007_last_tests"),
    migration!(8, "0008_reads"),
    migration!(9, "0009_figures"),
    migration!(10, "0010_lists_of_calls"),
    migration!(11, "0011_versions"),
    migration!(12, "0012_nodes"),
];

const TABLE_OF_SQLITE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    number INTEGER PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_unix INTEGER NOT NULL
) STRICT";
const TABLE_OF_POSTGRES: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    number BIGINT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_unix BIGINT NOT NULL
)";
/// The lock is everybody's who has the database: its number is that of no other program, we hope, and of no other lock of ours.
const BEGIN_OF_POSTGRES: &str = "BEGIN; SELECT pg_advisory_xact_lock(4774451407313060418)";
const IS_THERE_IN_SQLITE: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'";
/// The catalogue itself is read: `to_regclass` goes on saying that there is none to who has waited for somebody to make it.
const IS_THERE_IN_POSTGRES: &str =
    "SELECT 1 FROM pg_class WHERE relname = 'schema_migrations' AND relkind = 'r' AND pg_table_is_visible(oid)";
const APPLIED: &str = "SELECT number, sha256 FROM schema_migrations ORDER BY number";
const WRITE_DOWN: &str = "INSERT INTO schema_migrations (number, name, sha256, applied_unix) VALUES ($1, $2, $3, $4)";

/// Gives a new or former database its shape; one that has none is an error unless it is to be made.
pub(super) async fn prepare(mut connection: Connection<'_>, create: bool) -> Result<(), Trouble> {
    if !create && !is_there(&mut connection).await? {
        return Err(Trouble::NotThere);
    }
    migrate(connection, MIGRATIONS).await
}

/// Refuses a SQLite database of a program that is not this one, by a connection that leaves no trace: the first that writes sets
/// its journal. Without a log nobody else has it open, and it is read as it lies there; with one the log is read too.
pub(super) async fn refuse_others(path: &Path, has_log: bool) -> Result<(), Trouble> {
    let looking = SqliteConnectOptions::new().filename(path).read_only(true).immutable(!has_log);
    let look = async {
        let mut connection = looking.busy_timeout(BUSY_MAX).connect().await?;
        let missing = missing(&mut Connection::Sqlite(&mut connection), MIGRATIONS).await.map(drop);
        connection.close().await?;
        missing
    };
    match look.await {
        Err(why @ (Trouble::Later { .. } | Trouble::Foreign { .. })) => Err(why),
        // Whatever else is wrong, whoever opens it says better.
        _ => Ok(()),
    }
}

async fn migrate(mut connection: Connection<'_>, all: &[Migration]) -> Result<(), Trouble> {
    let connection = &mut connection;
    if missing(connection, all).await?.is_empty() {
        return Ok(());
    }
    let (begin, table) = match connection {
        Connection::Sqlite(_) => ("BEGIN IMMEDIATE", TABLE_OF_SQLITE),
        Connection::Postgres(_) => (BEGIN_OF_POSTGRES, TABLE_OF_POSTGRES),
    };
    connection.script(begin).await?;
    // Somebody else may have been first.
    let missing = missing(connection, all).await?;
    if !missing.is_empty() {
        let shape = version(connection).await?;
        connection.script(table).await?;
        for migration in missing {
            let sql = migration.of(connection);
            // Programs from before the table applied the first ones, and wrote down their number alone.
            if migration.number > shape {
                connection.script(sql).await?;
            }
            let sha256 = digest(sql);
            let written = args![migration.number, migration.name, &sha256, unix_now()];
            connection.execute(WRITE_DOWN, written).await?;
        }
        if let Connection::Sqlite(_) = connection {
            let number = all.last().map_or(0, |migration| migration.number);
            connection.script(&format!("PRAGMA user_version = {number}")).await?;
        }
    }
    connection.script("COMMIT").await?;
    Ok(())
}

/// The migrations that are not written down yet; a database that this program does not know is an error.
async fn missing<'a>(connection: &mut Connection<'_>, all: &'a [Migration]) -> Result<Vec<&'a Migration>, Trouble> {
    let known = all.last().map_or(0, |migration| migration.number);
    let version = version(connection).await?;
    if version > known {
        return Err(Trouble::Later { version, known });
    }
    if !is_there(connection).await? {
        return Ok(all.iter().collect());
    }
    let mut missing: Vec<&Migration> = all.iter().collect();
    for row in connection.fetch(APPLIED, args![]).await? {
        let (number, sha256) = (row.integer(0)?, row.text(1)?);
        match all.iter().find(|migration| migration.number == number) {
            None => return Err(Trouble::Later { version: number, known }),
            Some(migration) if digest(migration.of(connection)) != sha256 => return Err(Trouble::Foreign { number }),
            Some(_) => missing.retain(|migration| migration.number != number),
        }
    }
    Ok(missing)
}

/// Whether migrations were ever written down here.
async fn is_there(connection: &mut Connection<'_>) -> Result<bool, sqlx::Error> {
    let sql = match connection {
        Connection::Sqlite(_) => IS_THERE_IN_SQLITE,
        Connection::Postgres(_) => IS_THERE_IN_POSTGRES,
    };
    Ok(!connection.fetch(sql, args![]).await?.is_empty())
}

fn digest(sql: &str) -> String {
    Sha256::digest(sql).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The number that programs from before the table wrote down.
async fn version(connection: &mut Connection<'_>) -> Result<i64, Trouble> {
    match connection {
        Connection::Sqlite(_) => {
            let rows = connection.fetch("PRAGMA user_version", args![]).await?;
            rows.first().map_or(Ok(0), |row| row.integer(0))
        }
        Connection::Postgres(_) => Ok(0),
    }
}

#[cfg(test)]
mod tests;
