//! The stage that promises are played on: the real actors on one thread, virtual time, a carrier and services in memory.

pub mod carrier;
pub mod cases;
mod documents;
pub mod fuzz;
pub mod listening;
pub mod services;
pub mod stage;

pub use stage::Stage;
