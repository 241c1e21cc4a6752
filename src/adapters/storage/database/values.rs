//! What goes into a statement and what comes out of it: the same whichever database it is.
//!
//! Invariant: a value is a text, a whole number, bytes, or nothing, and each is told as what it was stored as; but a text has no
//! zero byte, which PostgreSQL takes in none. Times are whole numbers, JSON is a text. A column that is read as what it is not is an error, and no panic: the database may be somebody
//! else's work.

use sqlx::query::Query;
use sqlx::{ColumnIndex, Database, Decode, Encode, Row as _, Type, TypeInfo, ValueRef};

use super::trouble::Trouble;

/// What stands for `$1`, `$2` and so on. Nothing has a type too: a PostgreSQL wants to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument<'a> {
    /// A text.
    Text(Option<&'a str>),
    /// A whole number.
    Integer(Option<i64>),
    /// Bytes.
    Bytes(Option<&'a [u8]>),
}

/// `args![name, 5, &bytes]`: the arguments of a statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::storage::database::Argument::from($value)),*] };
}
pub(crate) use args;

impl<'a> From<&'a str> for Argument<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<&'a String> for Argument<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Argument<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Argument<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}

impl From<u32> for Argument<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(Some(number.into()))
    }
}

impl From<Option<i64>> for Argument<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Integer(number)
    }
}

impl<'a> From<&'a [u8]> for Argument<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

impl<'a> From<Option<&'a [u8]>> for Argument<'a> {
    fn from(bytes: Option<&'a [u8]>) -> Self {
        Self::Bytes(bytes)
    }
}

/// A row as it was read. Columns are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row(Vec<Cell>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Nothing,
    Text(String),
    Integer(i64),
    Bytes(Vec<u8>),
    /// Of a type that no statement of ours asks for.
    Other,
}

impl Row {
    /// A text.
    pub(crate) fn text(&self, column: usize) -> Result<&str, Trouble> {
        self.optional_text(column)?.ok_or(Trouble::Unexpected { column })
    }

    /// A whole number.
    pub(crate) fn integer(&self, column: usize) -> Result<i64, Trouble> {
        self.optional_integer(column)?.ok_or(Trouble::Unexpected { column })
    }

    /// A text, or nothing.
    pub(crate) fn optional_text(&self, column: usize) -> Result<Option<&str>, Trouble> {
        match self.0.get(column) {
            Some(Cell::Text(text)) => Ok(Some(text)),
            Some(Cell::Nothing) => Ok(None),
            _ => Err(Trouble::Unexpected { column }),
        }
    }

    /// A whole number, or nothing.
    pub(crate) fn optional_integer(&self, column: usize) -> Result<Option<i64>, Trouble> {
        match self.0.get(column) {
            Some(Cell::Integer(number)) => Ok(Some(*number)),
            Some(Cell::Nothing) => Ok(None),
            _ => Err(Trouble::Unexpected { column }),
        }
    }
}

/// A statement with its arguments.
pub(super) fn with<'q, D>(
    mut query: Query<'q, D, D::Arguments>,
    arguments: &[Argument<'_>],
) -> Query<'q, D, D::Arguments>
where
    D: Database,
    Option<String>: Encode<'q, D> + Type<D>,
    Option<i64>: Encode<'q, D> + Type<D>,
    Option<Vec<u8>>: Encode<'q, D> + Type<D>,
{
    for argument in arguments {
        query = match argument {
            Argument::Text(text) => query.bind(text.map(|text| text.replace('\0', "\u{fffd}"))),
            Argument::Integer(number) => query.bind(*number),
            Argument::Bytes(bytes) => query.bind(bytes.map(<[u8]>::to_vec)),
        };
    }
    query
}

/// A row of whichever database.
pub(super) fn row<'r, D>(row: &'r D::Row) -> Result<Row, sqlx::Error>
where
    D: Database,
    usize: ColumnIndex<D::Row>,
    String: Decode<'r, D>,
    i64: Decode<'r, D>,
    bool: Decode<'r, D>,
    Vec<u8>: Decode<'r, D>,
{
    let cell = |column: usize| {
        let value = row.try_get_raw(column)?;
        if value.is_null() {
            return Ok(Cell::Nothing);
        }
        let of_type = value.type_info().name().to_owned();
        Ok(match of_type.as_str() {
            "TEXT" | "VARCHAR" | "NAME" => Cell::Text(row.try_get_unchecked(column)?),
            "INTEGER" | "INT8" | "INT4" => Cell::Integer(row.try_get_unchecked(column)?),
            // SQLite's are whole numbers.
            "BOOL" => Cell::Integer(row.try_get_unchecked::<bool, _>(column)?.into()),
            "BLOB" | "BYTEA" => Cell::Bytes(row.try_get_unchecked(column)?),
            _ => Cell::Other,
        })
    };
    Ok(Row((0..row.len()).map(cell).collect::<Result<_, sqlx::Error>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Database;

    #[tokio::test]
    async fn a_value_comes_back_as_what_it_was_and_is_read_as_nothing_else() {
        let database = Database::open("sqlite::memory:", None).await.expect("opens");
        let name = "née \u{1f4de} 'quoted'".to_owned();
        let (no_text, no_bytes): (Option<&str>, Option<&[u8]>) = (None, None);
        let arguments = args![&name, i64::MIN, 5_u32, &b"\0\xff"[..], no_text, None::<i64>, no_bytes];
        let rows = database.fetch("SELECT $1, $2, $3, $4, $5, $6, $7", arguments).await.expect("answers");
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!(row.text(0).expect("a text"), name);
        assert_eq!((row.integer(1).expect("a number"), row.integer(2).expect("a number")), (i64::MIN, 5));
        assert_eq!(row.0[3], Cell::Bytes(b"\0\xff".to_vec()));
        for column in [4, 5, 6] {
            assert_eq!(row.optional_text(column).expect("nothing"), None);
            assert_eq!(row.optional_integer(column).expect("nothing"), None);
            assert!(matches!(row.text(column), Err(Trouble::Unexpected { .. })), "nothing is no text");
        }
        assert!(matches!(row.integer(0), Err(Trouble::Unexpected { column: 0 })), "a text is no number");
        assert!(matches!(row.text(1), Err(Trouble::Unexpected { column: 1 })), "a number is no text");
        assert!(matches!(row.text(99), Err(Trouble::Unexpected { .. })), "there is no such column");
    }
}
