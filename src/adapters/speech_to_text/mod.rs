//! Recognizers.

pub mod counting;
pub mod pocketsphinx;
