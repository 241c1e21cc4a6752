//! Where session histories live.

pub mod sqlite;
