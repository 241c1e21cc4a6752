//! Statements of several rows at once: the way to the database and back costs more than a row.
//!
//! Invariant: a statement of many rows leaves what as many statements would.

/// Rows that one statement takes.
pub(super) const ROWS: usize = 16;

/// The text of a statement.
pub(super) enum Text {
    /// One that stands alone.
    One(&'static str),
    /// One that is given rows.
    Rows(&'static Texts),
}

impl Text {
    /// For one row.
    pub(super) fn one(&self) -> &'static str {
        match self {
            Self::One(text) => text,
            Self::Rows(texts) => &texts.one,
        }
    }
}

/// The texts of a statement that is given rows.
pub(super) struct Texts {
    /// For one row.
    pub(super) one: String,
    /// For [`ROWS`].
    pub(super) many: String,
}

impl Texts {
    /// Of what stands before the rows and behind them, and the columns of a row.
    pub(super) fn of(before: &str, columns: usize, behind: &str) -> Self {
        let text = |rows: usize| {
            let row = |row: usize| {
                let places: Vec<String> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
                format!("({})", places.join(", "))
            };
            let rows: Vec<String> = (0..rows).map(row).collect();
            format!("{before} {}{behind}", rows.join(", "))
        };
        Self { one: text(1), many: text(ROWS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_places_of_its_own() {
        let texts = Texts::of("INSERT INTO a (b, c) VALUES", 2, " ON CONFLICT DO NOTHING");
        assert_eq!(texts.one, "INSERT INTO a (b, c) VALUES ($1, $2) ON CONFLICT DO NOTHING");
        assert!(texts.many.starts_with("INSERT INTO a (b, c) VALUES ($1, $2), ($3, $4), "), "{}", texts.many);
        assert!(texts.many.ends_with(", ($31, $32) ON CONFLICT DO NOTHING"), "{}", texts.many);
    }
}
