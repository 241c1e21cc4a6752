//! The cases from the field, `tests/cases/*.yaml`: every test of a case is under its name.

use std::collections::BTreeSet;
use std::path::Path;

/// The names of a file's cases. A case begins with a line `- name: …`.
pub fn names(file: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().filter_map(|line| line.strip_prefix("- name: ")).map(|name| name.trim().to_owned()).collect()
}
