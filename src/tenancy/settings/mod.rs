//! A tenant's settings as one document, whatever it is written in.
//!
//! A reader of a format (TOML, a row of a database, the body of a request, a form) makes a [`Value`] of it and knows
//! where each path stands; what is judged, and in which words, is the same for all. Invariant: every mistake of a
//! document is told at once, by its path; no key is read by one reader and unknown to another.

mod section;
mod value;

pub use section::{Gathered, Mark, Mistake, Part, Section, Surroundings};
pub use value::{Table, Value};
