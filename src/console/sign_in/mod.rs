//! Who somebody is: passwords, identity providers, sessions and tokens.
//!
//! Invariant: nothing but a session or a token that a store knows makes a [`Visitor`], and whoever changes something by the
//! cookie of a browser does so from our own pages. `visitor.rs` holds the tests.

pub mod agents;
mod arrival;
mod authorization;
mod body;
mod by_password;
mod by_provider;
pub mod claim;
mod cookie;
mod credentials;
pub mod csrf;
mod hashing;
mod invitations;
mod limits;
mod listing;
mod notes;
pub mod password;
mod resource;
mod routes;
mod secrets;
mod sessions;
pub mod settings;
mod tokens;
mod visitor;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::ServiceConfig;
use bellhop_tenancy::identity_provider::IdentityProvider;
use bellhop_tenancy::store::{Audit, People, SignIns};

pub(crate) use authorization::refused_path;
pub(crate) use by_provider::BeginBody;
pub(crate) use credentials::Credentials;
pub(crate) use invitations::Acceptance;
pub use routes::{Gives, ROUTES, SignInRoute};
pub use secrets::Random;
pub(crate) use sessions::Began;
pub use settings::Settings;
pub use visitor::Visitor;

use hashing::Hashing;
use limits::Limits;
use notes::Notes;

/// What the sign-in asks.
pub struct Ports {
    /// Passwords, sessions, tokens and invitations.
    pub sign_ins: Arc<dyn SignIns>,
    /// Lists of them.
    pub people: Arc<dyn People>,
    /// What was done.
    pub audit: Arc<dyn Audit>,
    /// Who else says who somebody is, if there is one.
    pub provider: Option<Arc<dyn IdentityProvider>>,
}

/// The time, as the sign-in is told it.
pub struct Clock {
    /// Milliseconds since 1970.
    pub unix_ms: Box<dyn Fn() -> i64 + Send + Sync>,
    /// Since some beginning; it is never set.
    pub monotonic: Box<dyn Fn() -> Duration + Send + Sync>,
}

/// The sign-in of a server; `actix_web::web::Data` of every resource below `/api`.
pub struct SignIn {
    ports: Ports,
    settings: Settings,
    clock: Arc<Clock>,
    random: Random,
    limits: Limits,
    hashing: Hashing,
    notes: Notes,
}

impl SignIn {
    /// Of a server. Its threads hash passwords, and end with it.
    pub fn new(ports: Ports, settings: Settings, clock: Clock, random: Random) -> std::io::Result<Self> {
        let clock = Arc::new(clock);
        let (limits, hashing) = (Limits::new(&clock), Hashing::new(settings.cost)?);
        Ok(Self { ports, settings, clock, random, limits, hashing, notes: Notes::default() })
    }

    /// Where it is.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The address that a request comes from, as far as it is known.
    pub(crate) fn address(&self, request: &HttpRequest) -> IpAddr {
        self.arrival(request).map_or(IpAddr::from([0, 0, 0, 0]), |arrival| arrival.address)
    }

    /// What people call the identity provider, if there is one.
    pub(crate) fn provider_name(&self) -> Option<&str> {
        self.ports.provider.as_deref().map(IdentityProvider::name)
    }

    fn now(&self) -> i64 {
        (self.clock.unix_ms)()
    }
}

/// The resources of the sign-in.
pub fn configure(config: &mut ServiceConfig) {
    by_password::configure(config);
    by_provider::configure(config);
    sessions::configure(config);
    invitations::configure(config);
    tokens::configure(config);
}

#[cfg(test)]
pub(crate) mod stand_in;
#[cfg(test)]
pub(crate) mod stand_in_provider;
#[cfg(test)]
mod tests;
