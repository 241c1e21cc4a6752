//! The limits of a file and of a function, and where a test writes, read from the sources as `cargo fmt` leaves them.
//!
//! A file of tests may be longer, and so may a function that is one table. What is longer for another reason stands below
//! with its reason; an entry that is no longer needed fails the test.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file that is not a file of tests.
const FILE_LINES_MAX: usize = 450;
/// Lines of a function, from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 60;
/// A function is a `match` table if so few of its lines stand outside of one `match`.
const OUTSIDE_TABLE_MAX: usize = 10;

/// Files that are longer: path and reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Functions that are longer: path, name and reason.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[
    (
        "src/adapters/assistant/chat_completions/tests/cases.rs",
        "dialects_of_tool_calls_are_the_same_calls",
        "a table of dialects",
    ),
    (
        "src/adapters/assistant/scripted/tests.rs",
        "responses_are_checked_by_the_reader_that_carries_them_out",
        "a table of mistakes",
    ),
    ("src/server/config/tests.rs", "what_cannot_serve_is_told_before_it_serves", "a table of mistakes"),
    ("src/sip/networks.rs", "only_addresses_of_the_internet_are_public", "a table of addresses"),
    ("tests/field_redaction.rs", "shown_everywhere", "one call, told in order"),
    ("tests/files.rs", "what_is_wrong_with_a_certificate_or_a_key_is_told_with_its_name", "a table of files"),
    (
        "tests/services.rs",
        "records_outlive_the_server_reach_the_documented_receiver_and_are_forgotten",
        "the life of one record, told in order",
    ),
    ("tests/torture.rs", "cases", "a table of messages"),
];

#[test]
fn no_file_is_longer_than_450_lines() {
    let mut long = vec![];
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX && !holds_tests(&path) {
            long.push((path, lines));
        }
    }
    let listed = |path: &str| LONG_FILES.iter().any(|(listed, _)| *listed == path);
    let stray: Vec<_> = long.iter().filter(|(path, _)| !listed(path)).collect();
    assert!(stray.is_empty(), "{stray:#?}: split what has two matters");
    for (path, _) in LONG_FILES {
        assert!(long.iter().any(|(long, _)| long == path), "{path} is short enough: take it off the list");
    }
}

#[test]
fn no_function_is_longer_than_60_lines_but_a_match_table() {
    let mut long = vec![];
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for function in functions(&lines) {
            let outside = function.lines - function.longest_match;
            if function.lines > FUNCTION_LINES_MAX && outside > OUTSIDE_TABLE_MAX {
                long.push((path.clone(), function.name.to_owned(), function.lines));
            }
        }
    }
    let listed = |path: &str, name: &str| LONG_FUNCTIONS.iter().any(|entry| (entry.0, entry.1) == (path, name));
    let stray: Vec<_> = long.iter().filter(|(path, name, _)| !listed(path, name)).collect();
    assert!(stray.is_empty(), "{stray:#?}: cut along its matters");
    for (path, name, _) in LONG_FUNCTIONS {
        let needed = long.iter().any(|(long, function, _)| (long.as_str(), function.as_str()) == (*path, *name));
        assert!(needed, "{path}: {name} is short enough: take it off the list");
    }
}

/// A process's number comes again, and what a test of that number left behind would be found by another.
#[test]
fn a_folder_of_a_test_is_one_that_nobody_had() {
    // The cluster that tests share is found again by its name.
    let of_all = ["tests/house_rules.rs", "tests/support/postgres.rs"];
    let named =
        sources().into_iter().filter(|(path, text)| text.contains("temp_dir()") && !of_all.contains(&path.as_str()));
    let named: Vec<String> = named.map(|(path, _)| path).collect();
    assert!(named.is_empty(), "{named:#?}: take `tempfile::tempdir()`");
}

#[test]
fn lines_are_counted_from_the_signature_to_the_brace() {
    let text = "\
impl A {
    pub(super) async fn table(
        n: u8,
    ) -> u8 {
        let m = n;
        match m {
            0 => {
                1
            }
            _ => 2,
        }
    }

    fn declared(&self);
    fn in_one_line() {}
}

fn last() {
    // fn commented() {
    fn inner() {
        1
    }
}
";
    let lines: Vec<&str> = text.lines().collect();
    let found: Vec<_> = functions(&lines).map(|found| (found.name, found.lines, found.longest_match)).collect();
    assert_eq!(found, [("table", 11, 6), ("last", 6, 0), ("inner", 3, 0)]);
}

struct Function<'a> {
    name: &'a str,
    lines: usize,
    /// Lines of the longest `match` of its outermost block.
    longest_match: usize,
}

/// Functions with a body of more than one line. `cargo fmt` puts the closing brace of a block under the line that opens it.
fn functions<'a>(lines: &'a [&'a str]) -> impl Iterator<Item = Function<'a>> {
    lines.iter().enumerate().filter_map(|(at, line)| {
        let name = function_name(line)?;
        if line.ends_with(['}', ';']) {
            return None;
        }
        let body = &lines[at..];
        let indent = indent_of(line);
        let end = body.iter().position(|line| closes(line, indent))?;
        let lines = end + 1;
        let longest_match = (0..end).filter(|n| indent_of(body[*n]) == indent + 4 && opens_match(body[*n]));
        let longest_match = longest_match.filter_map(|n| {
            let closed = body[n..end].iter().position(|line| closes(line, indent + 4))?;
            Some(closed + 1)
        });
        Some(Function { name, lines, longest_match: longest_match.max().unwrap_or(0) })
    })
}

/// `answer` of `pub(crate) async fn answer(&self) {`.
fn function_name(line: &str) -> Option<&str> {
    const QUALIFIERS: [&str; 5] = ["pub", "const", "async", "unsafe", "extern"];
    let mut words = line.split_whitespace();
    let known = |word: &&str| QUALIFIERS.iter().any(|known| word.starts_with(known)) || word.starts_with('"');
    let first = words.by_ref().find(|word| !known(word))?;
    let name = words.next().filter(|_| first == "fn")?;
    name.split(['(', '<']).next()
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn closes(line: &str, indent: usize) -> bool {
    indent_of(line) == indent && line.trim_start().starts_with('}')
}

fn opens_match(line: &str) -> bool {
    line.ends_with('{') && line.split_whitespace().any(|word| word.ends_with("match"))
}

/// Whether a file holds tests alone, or what only tests use.
fn holds_tests(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Every source of the workspace: its path from the top, and its text.
fn sources() -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut files = vec![];
    for folder in ["src", "actors", "tests", "bench"] {
        rust_files(&top.join(folder), &mut files);
    }
    let read = |file: PathBuf| {
        let path = file.strip_prefix(top).expect("a file of the workspace").display().to_string();
        (path, fs::read_to_string(file).expect("readable"))
    };
    files.into_iter().map(read).collect()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
