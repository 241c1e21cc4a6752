//! What people and programs set Bellhop up by: who they are (sign-in), what they may see and change (REST), and where they see it (pages).
//!
//! It sees pure crates and ports, never actors, SIP or media: `src/server/` gives it what it asks through [`ports`].

pub mod errors;
mod form_body;
pub mod pages;
mod pointer;
pub mod ports;
pub mod problem;
pub mod rest;
mod shape;
mod shares;
pub mod sign_in;

/// What the address of every resource begins with.
pub const API: &str = "/api/v1";
