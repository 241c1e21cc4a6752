//! Who somebody is: passwords, identity providers, sessions and tokens.
//!
//! Invariant: nothing but a session or a token that a store knows makes a [`Visitor`], and whoever changes something by the
//! cookie of a browser does so from our own pages. `visitor.rs` holds the tests.

mod arrival;
mod cookie;
pub mod csrf;
mod secrets;
pub mod settings;
mod visitor;

use std::sync::Arc;

use bellhop_tenancy::store::{Audit, People, SignIns};

pub use secrets::Random;
pub use settings::Settings;
pub use visitor::Visitor;

/// What the sign-in asks.
pub struct Ports {
    /// Passwords, sessions, tokens and invitations.
    pub sign_ins: Arc<dyn SignIns>,
    /// Lists of them.
    pub people: Arc<dyn People>,
    /// What was done.
    pub audit: Arc<dyn Audit>,
}

/// The time, as the sign-in is told it.
pub struct Clock {
    /// Milliseconds since 1970.
    pub unix_ms: Box<dyn Fn() -> i64 + Send + Sync>,
}

/// The sign-in of a server; `actix_web::web::Data` of every resource below `/api`.
pub struct SignIn {
    ports: Ports,
    settings: Settings,
    clock: Clock,
}

impl SignIn {
    /// Of a server.
    pub fn new(ports: Ports, settings: Settings, clock: Clock) -> Self {
        Self { ports, settings, clock }
    }

    fn now(&self) -> i64 {
        (self.clock.unix_ms)()
    }
}

#[cfg(test)]
pub(crate) mod stand_in;
