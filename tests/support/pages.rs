//! The pages that people read: README.md and docs/, taken apart into what can be run.
//!
//! Invariant: a fenced block has a language, or is a picture; nothing of a page is left out silently.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A fenced block of a page.
pub(crate) struct Block {
    /// The page, from the top of the repository.
    pub(crate) page: String,
    /// The line of its fence.
    pub(crate) line: usize,
    /// What stands behind the fence; empty for a picture.
    pub(crate) language: String,
    pub(crate) text: String,
}

impl Block {
    /// Where it is.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }
}

/// The top of the repository.
pub(crate) fn top() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().find(|folder| folder.join("README.md").exists()).expect("the repository").to_owned()
}

/// README.md and every page of docs/, with their texts.
pub(crate) fn pages() -> Vec<(String, String)> {
    let mut files = vec![top().join("README.md")];
    let docs = std::fs::read_dir(top().join("docs")).expect("a folder");
    files.extend(
        docs.filter_map(|file| Some(file.ok()?.path())).filter(|file| file.extension().is_some_and(|e| e == "md")),
    );
    files.sort();
    let name = |file: &Path| file.strip_prefix(top()).expect("below the top").display().to_string();
    files.iter().map(|file| (name(file), std::fs::read_to_string(file).expect("readable"))).collect()
}

/// Every fenced block of every page.
pub(crate) fn blocks() -> Vec<Block> {
    let mut blocks = vec![];
    for (page, text) in pages() {
        let mut open: Option<Block> = None;
        for (n, line) in text.lines().enumerate() {
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(language)) => {
                    let (page, language) = (page.clone(), language.trim().to_owned());
                    open = Some(Block { page, line: n + 1, language, text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.text.push_str(&format!("{line}\n")),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{page}: a block is not closed");
    }
    blocks
}

/// The blocks in a language.
pub(crate) fn blocks_in(language: &str) -> Vec<Block> {
    let found: Vec<Block> = blocks().into_iter().filter(|block| block.language == language).collect();
    assert!(!found.is_empty(), "no page has a block of {language}");
    found
}

/// What stands between backquotes in the running text of a page.
pub(crate) fn code_in(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    // A paragraph's code may go over a line's end, never over a paragraph's.
    let spans = prose.split("\n\n").flat_map(|paragraph| {
        paragraph.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")).collect::<Vec<_>>()
    });
    spans.collect()
}

/// The names of all fields of a JSON sample, joined by dots; what a list holds counts for the list, and `…` for nothing.
pub(crate) fn fields_of(value: &Value) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    add(value, "", &mut fields);
    fields
}

fn add(value: &Value, at: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(all) => all.iter().filter(|(name, _)| *name != "…").for_each(|(name, value)| {
            into.insert(format!("{at}{name}"));
            add(value, &format!("{at}{name}."), into);
        }),
        Value::Array(all) => all.iter().for_each(|value| add(value, at, into)),
        _ => {}
    }
}
