//! Recognizers.

pub mod counting;
pub mod pocketsphinx;
pub mod session;
pub mod watson;
