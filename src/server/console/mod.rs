//! What REST and the sign-in ask of this server, given to `src/console/` as ports.
//!
//! Invariant: nothing of the console holds a call up: it runs on the threads of HTTP, and asks registries and stores.

mod live_calls;
mod node;
mod reached;
mod reasons;
mod recordings;
mod trials;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix_web::web::{Data, ServiceConfig};
use bellhop_adapters::openid_connect::{NoIssuer, OpenIdConnect};
use bellhop_console::pages::{Pages, page_of_problem};
use bellhop_console::ports::Judge;
use bellhop_console::rest::{BySignIn, Ports, Rest};
pub use bellhop_console::sign_in::claim;
use bellhop_console::sign_in::{self, Clock, Random, Settings, SignIn};
use bellhop_tenancy::Secret;
use bellhop_tenancy::identity_provider::IdentityProvider;
use bellhop_tenancy::settings::{Mistake, TenantSettings};
use bellhop_tenancy::store::StoreError;

use crate::config::Http;
use crate::wiring::{Running, Server};
use live_calls::Calls;
use node::ThisNode;
use reached::ReachedAt;
use reasons::WhyCallsAreRefused;
use recordings::OnDisk;
use trials::TryOut;

/// The console of a server; clones share it.
#[derive(Clone)]
pub struct Console {
    rest: Rest,
    pages: Pages,
    sign_in: Data<SignIn>,
}

/// Why there is no console.
#[derive(Debug, thiserror::Error)]
pub enum NoConsole {
    /// Cookies and links need an address.
    #[error("http.public_url: {0}")]
    PublicUrl(#[from] sign_in::settings::NoOrigin),
    /// The identity provider cannot be one.
    #[error("http.openid_connect.issuer: {0}")]
    Issuer(#[from] NoIssuer),
    /// The system has no thread to give.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Console {
    /// Of a server that browsers reach as its configuration says.
    pub fn of(server: &Server, http: &Http) -> Result<Self, NoConsole> {
        let tenants = server.tenants();
        let provider = http.openid_connect.clone().map(OpenIdConnect::new).transpose()?;
        let provider = provider.map(|provider| Arc::new(provider) as Arc<dyn IdentityProvider>);
        let people =
            sign_in::Ports { sign_ins: tenants.clone(), people: tenants.clone(), audit: tenants.clone(), provider };
        let mut settings = Settings::at(&http.public_url)?;
        (settings.tls, settings.behind) = (http.tls.is_some(), http.behind.clone());
        settings.page_of_problem = Some(page_of_problem);
        let began = Instant::now();
        let clock = Clock { unix_ms: Box::new(unix_now_ms), monotonic: Box::new(move || began.elapsed()) };
        let rest = Rest::new(Ports {
            door: Arc::new(BySignIn),
            store: tenants,
            file: Arc::new(server.of_file()),
            reached: Arc::new(ReachedAt::new(server.running().sip.clone(), server.sip.clone())),
            node: Arc::new(ThisNode(server.node().to_owned())),
            judge: Arc::new(server.running()),
            calls: Arc::new(Calls {
                registry: Arc::clone(&server.registry),
                live: server.live().clone(),
                open: Arc::clone(&server.open),
            }),
            records: Arc::clone(&server.records),
            recordings: Arc::new(OnDisk { folders_of: Box::new(server.recording_folders()) }),
            histories: Arc::clone(&server.histories),
            reasons: Arc::new(WhyCallsAreRefused),
            trials: Arc::new(TryOut::new(server.running().aws.clone(), server.running().reach)),
            public_url: settings.public_url.clone(),
            random: random(),
        });
        let pages = Pages::new(rest.clone());
        Ok(Self { rest, pages, sign_in: Data::new(SignIn::new(people, settings, clock, random())?) })
    }

    /// Registers every resource.
    pub(crate) fn configure(&self, config: &mut ServiceConfig) {
        config.app_data(self.sign_in.clone());
        sign_in::configure(config);
        self.rest.configure(config);
        self.pages.configure(config);
    }
}

/// The link by which somebody becomes the first operator; none if there is one, or one is invited.
pub async fn claim_link(server: &Server, public_url: &str) -> Result<Option<Secret>, StoreError> {
    let tenants = server.tenants();
    claim::first_operator(&*tenants, &*tenants, new_link(public_url), unix_now_ms()).await
}

/// A link of a new secret, to a server at a public address.
pub(crate) fn new_link(public_url: &str) -> claim::Link {
    claim::Link::fresh(public_url, &random())
}

impl Judge for Running {
    fn judge(&self, settings: &TenantSettings) -> Vec<Mistake> {
        Running::judge(self, settings)
    }
}

fn random() -> Random {
    Box::new(|bytes| rand::fill(bytes))
}

/// Milliseconds since 1970.
pub(crate) fn unix_now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
