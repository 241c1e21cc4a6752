//! Recognizers.

pub mod counting;
pub mod pocketsphinx;
pub mod watson;
