//! Names that are labels and parts of addresses, judged by the reader that judges the name of a tenant in a file.

use bellhop_tenancy::settings::{Alone, Table, Value, validate};

use super::fields::Fields;

/// A name that must be there.
pub(super) fn read(fields: &Fields<'_>, key: &str) -> String {
    let judged = |name: &str| {
        let document: Table = [("name".to_owned(), Value::Text(name.to_owned()))].into_iter().collect();
        match validate(&document, &Alone).into_iter().find(|mistake| mistake.path == "name") {
            Some(mistake) => Err(mistake.why),
            None => Ok(name.to_owned()),
        }
    };
    fields.meant(key, judged).unwrap_or_default()
}
