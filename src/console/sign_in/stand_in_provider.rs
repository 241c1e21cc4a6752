//! An identity provider without a network: its codes say whom they are for, and each is good once.

use std::sync::Mutex;

use bellhop_tenancy::Secret;
use bellhop_tenancy::identity_provider::{AuthorizationRequest, Identified, Identity, IdentityProvider, NotIdentified};

/// Its issuer.
pub(crate) const ISSUER: &str = "https://id.example";

/// The provider.
#[derive(Default)]
pub(crate) struct Provider {
    used: Mutex<Vec<String>>,
}

/// A code by which somebody is named in one sign-in, which is known by its nonce.
pub(crate) fn code(subject: &str, nonce: &str) -> String {
    format!("{subject}~{nonce}")
}

impl IdentityProvider for Provider {
    fn name(&self) -> &str {
        "Example ID"
    }

    fn issuer(&self) -> &str {
        ISSUER
    }

    fn authorization_url<'a>(&'a self, request: &'a AuthorizationRequest) -> Identified<'a, String> {
        let AuthorizationRequest { redirect_uri, state, nonce, .. } = request;
        let url = format!("{ISSUER}/authorize?state={state}&nonce={nonce}&redirect_uri={redirect_uri}");
        Box::pin(std::future::ready(Ok(url)))
    }

    fn identify<'a>(&'a self, request: &'a AuthorizationRequest, code: &'a Secret) -> Identified<'a, Identity> {
        let code = code.expose().to_owned();
        let mut used = self.used.lock().expect("no test panics inside");
        let told = match code.split_once('~') {
            None => Err(NotIdentified::Away("it restarts".to_owned())),
            Some((subject, nonce)) if nonce == request.nonce && !used.contains(&code) => {
                Ok(Identity { issuer: ISSUER.to_owned(), subject: subject.to_owned() })
            }
            Some(_) => Err(NotIdentified::Refused("`invalid_grant`".to_owned())),
        };
        used.push(code);
        Box::pin(std::future::ready(told))
    }
}
