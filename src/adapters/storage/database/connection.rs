//! One connection, and the statements that it carries out.

use sqlx::sqlite::{Sqlite, SqliteConnection};

use super::values::{Argument, Row, row, with};

/// A connection, borrowed for a statement or more.
pub(super) enum Connection<'c> {
    Sqlite(&'c mut SqliteConnection),
}

impl Connection<'_> {
    /// How many rows it touched.
    pub(super) async fn execute(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => {
                let done = with(sqlx::query(sql), arguments).execute(&mut **connection).await?;
                Ok(done.rows_affected())
            }
        }
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
        }
    }
}
