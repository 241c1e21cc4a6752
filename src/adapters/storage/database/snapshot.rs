//! A database as it is committed at one moment, for who reads many tables.
//!
//! Invariant: what comes of one snapshot was never anything else together; nobody who writes waits for it. Its connection goes back
//! only once it is ended.

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;

use super::connection::Connection;
use super::postgres::Lent;
use super::values::{Argument, Row};
use super::{Trouble, within};

const OF_POSTGRES: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What is committed; nothing is written by it.
pub(crate) struct Snapshot(Kind);

/// None once it is ended.
enum Kind {
    Sqlite(Option<PoolConnection<Sqlite>>),
    Postgres(Option<Lent>),
}

impl Snapshot {
    pub(super) async fn of_sqlite(connection: PoolConnection<Sqlite>) -> Result<Self, Trouble> {
        Self(Kind::Sqlite(Some(connection))).begun("BEGIN").await
    }

    pub(super) async fn of_postgres(lent: Lent) -> Result<Self, Trouble> {
        Self(Kind::Postgres(Some(lent))).begun(OF_POSTGRES).await
    }

    async fn begun(mut self, begin: &str) -> Result<Self, Trouble> {
        within(async { Ok(self.connection().script(begin).await?) }).await?;
        Ok(self)
    }

    /// The rows that a statement finds.
    pub(crate) async fn fetch(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Vec<Row>, Trouble> {
        within(async { Ok(self.connection().fetch(sql, arguments).await?) }).await
    }

    /// Gives its connection back.
    pub(crate) async fn end(mut self) -> Result<(), Trouble> {
        within(async { Ok(self.connection().script("COMMIT").await?) }).await?;
        match &mut self.0 {
            Kind::Sqlite(connection) => drop(connection.take()),
            Kind::Postgres(lent) => lent.take().into_iter().for_each(Lent::give_back),
        }
        Ok(())
    }

    fn connection(&mut self) -> Connection<'_> {
        match &mut self.0 {
            Kind::Sqlite(connection) => Connection::Sqlite(connection.as_mut().expect("it is not ended yet")),
            Kind::Postgres(lent) => Connection::Postgres(lent.as_mut().expect("it is not ended yet").connection()),
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Kind::Sqlite(connection) = &mut self.0
            && let Some(connection) = connection.take()
        {
            // Out of the pool, and closed: nobody gets a connection that still shows the former state.
            drop(connection.detach());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::args;
    use crate::storage::Database;
    use crate::storage::places::{Folder, Tables};

    const COUNT: &str = "SELECT count(*) FROM nodes";
    const ADD: &str = "INSERT INTO nodes (name, seen_unix_ms, change, not_applied) VALUES ($1, 0, 0, '[]')";

    async fn add(database: &Database, name: &str) {
        let mut transaction = database.begin().await.expect("its turn");
        transaction.execute(ADD, args![name]).await.expect("added");
        transaction.commit().await.expect("committed");
    }

    async fn shows_one_moment(database: Database) {
        add(&database, "a").await;
        for round in 1..10 {
            let mut snapshot = database.snapshot().await.expect("begun");
            let before = snapshot.fetch(COUNT, args![]).await.expect("answers")[0].integer(0).expect("a number");
            assert_eq!(before, round, "it begins with what is committed");
            add(&database, &format!("b{round}")).await;
            let after = snapshot.fetch(COUNT, args![]).await.expect("answers")[0].integer(0).expect("a number");
            assert_eq!(after, before, "and stays with it");
            // One that is dropped leaves no connection behind that shows the former state.
            if round % 2 == 0 {
                snapshot.end().await.expect("ended");
            }
        }
    }

    #[tokio::test]
    async fn a_snapshot_shows_one_moment() {
        let folder = Folder::new("snapshot");
        shows_one_moment(Database::open(&folder.url(), None).await.expect("opens")).await;
    }

    #[tokio::test]
    async fn a_snapshot_of_postgresql_shows_one_moment() {
        let tables = Tables::new("snapshot");
        shows_one_moment(Database::open(&tables.url, None).await.expect("opens")).await;
    }
}
