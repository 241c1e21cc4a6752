//! What can go wrong, and what to do: an entry for each refusal, ending and failed test. `docs/errors.md` is made of it, and the page of the
//! same name.
//!
//! Invariant: every word that a call or test can end with has one entry, and an entry without a word is not there: the tests below, and for
//! reasons of refusals that of `src/server/console/reasons.rs`.

mod connection;
mod ended;
mod how_it_ended;
mod refused;
mod tested;

use std::fmt::Write;

pub use how_it_ended::{HowItEnded, endings_that_say};

/// Something that goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Its word, as programs and pages tell it.
    pub word: &'static str,
    /// It in a sentence.
    pub title: &'static str,
    /// What it means.
    pub means: &'static str,
    /// What usually causes it.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// Things that go wrong in one place.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its word: what anchors begin with.
    pub name: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What is to be known of all of them.
    pub about: &'static str,
    /// Each of them.
    pub entries: &'static [Entry],
}

/// Calls that were refused.
pub const REFUSED: &Kind = &refused::REFUSED;
/// Why calls ended.
pub const ENDED: &Kind = &ended::ENDED;
/// Failed tests of a connection to Amazon Connect.
pub const CONNECTION: &Kind = &connection::CONNECTION;
/// Failed tests of services and assistants.
pub const TESTED: &Kind = &tested::TESTED;

/// All of them.
pub const ALL: [&Kind; 4] = [REFUSED, ENDED, CONNECTION, TESTED];

impl Kind {
    /// The entry of a word.
    pub fn entry(&self, word: &str) -> Option<&'static Entry> {
        self.entries.iter().find(|entry| entry.word == word)
    }

    /// Where an entry of it stands on the page.
    pub fn anchor(&self, word: &str) -> String {
        format!("{}-{word}", self.name)
    }

    /// The path of an entry below the root; none for a word that it does not have.
    pub fn path(&self, word: &str) -> Option<String> {
        self.entry(word).map(|entry| format!("/docs/errors#{}", self.anchor(entry.word)))
    }
}

/// `docs/errors.md`.
pub fn markdown() -> String {
    let mut text = "# What can go wrong, and what to do\n\nMade of `src/console/errors/`, as is the page `/docs/errors` of every server, to which its other pages link. Each entry has the word that REST, the \
        log and the records tell it by.\n"
        .to_owned();
    for kind in ALL {
        let _ = write!(text, "\n## {}\n\n{}\n", kind.title, kind.about);
        for Entry { word, title, means, cause, remedy } in kind.entries {
            let _ = write!(
                text,
                "\n### `{word}`: {title}\n\n{means}\n\n* **Usual cause:** {cause}\n* **What to do:** {remedy}\n"
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bellhop_call::failure::Failure;
    use bellhop_call::why;
    use bellhop_connect::connection_test::Cause;

    use super::*;
    use crate::ports::{BUSY, Fault};

    fn words(kind: &Kind) -> BTreeSet<&'static str> {
        let words: BTreeSet<&str> = kind.entries.iter().map(|entry| entry.word).collect();
        assert_eq!(words.len(), kind.entries.len(), "{}: a word has two entries", kind.name);
        words
    }

    #[test]
    fn every_ending_has_an_entry_and_no_entry_is_of_none() {
        assert_eq!(words(ENDED), why::words().into_iter().collect());
        for failure in Failure::ALL {
            assert_eq!(ENDED.entry(failure.word()).map(|entry| entry.title), Some(&*failure.to_string()));
        }
    }

    #[test]
    fn every_failed_test_has_an_entry_and_no_entry_is_of_none() {
        assert_eq!(words(CONNECTION), Cause::LABELS.iter().copied().collect());
        assert_eq!(words(TESTED), Fault::ALL.iter().map(|fault| fault.word()).chain([BUSY]).collect());
    }

    #[test]
    fn an_entry_says_what_it_means_whence_it_comes_and_what_to_do() {
        for Entry { word, title, means, cause, remedy } in ALL.iter().flat_map(|kind| kind.entries) {
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{word}");
            assert!(!title.ends_with('.') && !title.is_empty(), "{word}: {title}");
            for text in [means, cause, remedy] {
                assert!(text.ends_with('.') && text.starts_with(|c: char| !c.is_lowercase()), "{word}: {text}");
                assert!(text.matches('`').count() % 2 == 0 && text.matches('*').count() % 2 == 0, "{word}: {text}");
            }
        }
        assert_eq!(REFUSED.path("draining").as_deref(), Some("/docs/errors#refused-draining"));
        assert_eq!(REFUSED.path("<x>"), None);
    }

    /// The file is for who reads the repository; a server shows the same.
    #[test]
    fn the_file_of_docs_is_made_of_the_table() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
        if std::env::var_os("BELLHOP_WRITE_ERRORS").is_some() {
            std::fs::write(&file, markdown()).expect("written");
        }
        let kept = std::fs::read_to_string(&file).expect("docs/errors.md is there");
        assert!(kept == markdown(), "docs/errors.md is another: run this test with BELLHOP_WRITE_ERRORS=1");
    }
}
