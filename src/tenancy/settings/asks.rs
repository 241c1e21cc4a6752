//! What a setting may say: the words in which the reader of settings tells what it asks of a key.
//!
//! Invariant: these are told by the reader alone (`Section`), and by nobody who only knows what it is said to read.

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where it stands: `sip.transfer_failure_message`.
    pub path: String,
    /// What it may say.
    pub asks: Asks,
}

/// What a setting may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// A text.
    Text,
    /// What is said aloud; an empty text is silence.
    Message {
        /// Most characters.
        chars_max: Option<usize>,
    },
    /// A whole number.
    Number {
        /// The least.
        least: usize,
        /// The most.
        most: usize,
    },
    /// A number from 0 to 1.
    Share,
    /// True or false.
    Flag,
    /// One of these words.
    Choice(Vec<String>),
    /// A list of texts.
    Texts,
    /// The same, where an empty list means nobody.
    TextsOrNone,
    /// A secret.
    Secret,
    /// Secrets by names of one's own.
    Secrets,
    /// A file or folder of the server, which the operator's file alone may name.
    File,
}
