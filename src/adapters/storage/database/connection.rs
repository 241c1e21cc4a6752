//! One connection, and the statements that it carries out.

use sqlx::postgres::{PgConnection, Postgres};
use sqlx::sqlite::{Sqlite, SqliteConnection};

use super::values::{Argument, Row, row, with};

/// A connection, borrowed for a statement or more.
pub(super) enum Connection<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Connection<'_> {
    /// How many rows it touched.
    pub(super) async fn execute(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<u64, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(connection) => {
                with(sqlx::query(sql), arguments).execute(&mut **connection).await?.rows_affected()
            }
            Self::Postgres(connection) => {
                with(sqlx::query(sql), arguments).execute(&mut **connection).await?.rows_affected()
            }
        })
    }

    /// The rows that it finds or returns.
    pub(super) async fn fetch(
        &mut self,
        sql: &'static str,
        arguments: &[Argument<'_>],
    ) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => {
                let rows = with(sqlx::query(sql), arguments).fetch_all(&mut **connection).await?;
                rows.iter().map(row::<Sqlite>).collect()
            }
            Self::Postgres(connection) => {
                let rows = with(sqlx::query(sql), arguments).fetch_all(&mut **connection).await?;
                rows.iter().map(row::<Postgres>).collect()
            }
        }
    }

    /// Carries out statements of ours that take no arguments.
    pub(super) async fn script(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
        match self {
            Self::Sqlite(connection) => script.execute(&mut **connection).await.map(drop),
            Self::Postgres(connection) => script.execute(&mut **connection).await.map(drop),
        }
    }
}
