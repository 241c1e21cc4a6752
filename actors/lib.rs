//! Who lives, waits and dies: the only crate that knows actix.
