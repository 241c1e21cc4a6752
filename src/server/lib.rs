//! The shell: configuration, wiring, HTTP and the command line.
//!
//! Invariant: no protocol logic here: nothing in this crate matches on SIP messages or on response types.

pub mod cli;
pub mod config;
pub mod console;
pub mod demo;
mod engines;
pub mod http;
pub mod live;
pub mod log;
pub mod main_thread;
pub mod panics;
pub mod policy;
mod process;
mod records;
pub mod series;
pub mod signals;
pub mod terminal;
pub mod tls_identity;
mod warnings;
pub mod wiring;
