//! Every invariant that is stated is held by a test: those of the README by the tests that it names, those of a file by the tests
//! in it or by those named in `tests/invariants.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file of the workspace that is ours, by its path from the root.
fn files() -> BTreeMap<PathBuf, String> {
    fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, String>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.insert(path.strip_prefix(root()).expect("below the root").to_owned(), read(&path));
            }
        }
    }
    let mut all = BTreeMap::new();
    ["actors", "src", "tests"].iter().for_each(|folder| collect(&root().join(folder), &mut all));
    all
}

/// The names of the tests in a file: what stands below an attribute that ends in `test]`, and the promises of the suites of the stores.
fn tests_in(path: &Path, text: &str) -> Vec<String> {
    let in_folder = |name: &str| path.parent().is_some_and(|folder| folder.ends_with(name));
    let suite = path.ends_with("storage/suite.rs") || in_folder("storage/suite") || in_folder("storage/tenants/tests");
    let (mut names, mut is_test) = (vec![], false);
    for line in text.lines().map(str::trim_start) {
        let name = line.split_once("fn ").and_then(|(_, rest)| rest.split(['(', '<']).next());
        match name {
            Some(name) if line.starts_with("fn ") || line.starts_with("async fn ") || line.starts_with("pub") => {
                if is_test || (suite && (line.contains("&impl Place") || line.contains("&impl Home"))) {
                    names.push(name.to_owned());
                }
                is_test = false;
            }
            _ if line.starts_with("#[") => is_test |= line.ends_with("test]") || line.contains("::test("),
            _ => {}
        }
    }
    names
}

fn all_tests() -> BTreeSet<String> {
    files().iter().flat_map(|(path, text)| tests_in(path, text)).collect()
}

/// The code spans of a line of Markdown.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_invariant_of_the_readme_is_held_by_the_tests_that_it_names() {
    let readme = read(&root().join("README.md"));
    let (_, section) = readme.split_once("### Invariants").expect("a section");
    let section = section.split("\n#").next().unwrap_or_default();
    let known = all_tests();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 10, "the invariants are the rows of a table");
    for row in rows {
        let (invariant, tests) = row.trim_end_matches(" |").rsplit_once(" | ").expect("two columns");
        let tests = code(tests);
        assert!(!tests.is_empty(), "no test holds: {invariant}");
        for test in tests {
            match test.strip_suffix(".rs") {
                // A doc test has a place and no name.
                Some(_) => assert!(read(&root().join(test)).contains("/// ```"), "{test}: {invariant}"),
                None => assert!(known.contains(test), "`{test}` is no test, and is said to hold: {invariant}"),
            }
        }
    }
}

#[test]
fn every_file_that_states_an_invariant_has_tests_or_names_those_that_hold_it() {
    let files = files();
    let list = read(&root().join("tests/invariants.txt"));
    let rows = list.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let named: BTreeMap<PathBuf, Vec<&str>> = rows
        .map(|row| {
            let mut words = row.split(' ');
            (PathBuf::from(words.next().unwrap_or_default()), words.collect())
        })
        .collect();
    let known: BTreeSet<String> = files.iter().flat_map(|(path, text)| tests_in(path, text)).collect();
    for (path, tests) in &named {
        assert!(files.get(path).is_some_and(|text| states_one(text)), "{} states no invariant", path.display());
        assert!(!tests.is_empty(), "{} names no test", path.display());
        for test in tests {
            assert!(known.contains(*test), "{}: `{test}` is no test", path.display());
        }
    }
    let code = files.iter().filter(|(path, text)| !path.starts_with("tests") && states_one(text));
    let without: Vec<_> = code.map(|(path, _)| path).filter(|path| !named.contains_key(*path)).collect();
    let without: Vec<_> = without.into_iter().filter(|path| own_tests(path, &files).is_empty()).collect();
    assert!(without.is_empty(), "invariants that no test is known to hold (tests/invariants.txt): {without:#?}");
}

/// Whether a file states an invariant in its own documentation.
fn states_one(text: &str) -> bool {
    text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains("Invariant:"))
}

/// The tests of a file: those in it and those of its modules of tests.
fn own_tests(path: &Path, files: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new(""));
    let below = if ["mod", "lib"].contains(&stem) { folder.to_owned() } else { folder.join(stem) };
    let is_own =
        |other: &Path| other == path || other == below.join("tests.rs") || other.starts_with(below.join("tests"));
    files.iter().filter(|(other, _)| is_own(other)).flat_map(|(other, text)| tests_in(other, text)).collect()
}
