//! Somebody else's word for who somebody is: an identity provider of OpenID Connect.
//!
//! Every provider promises: whom it names was named to this server, for this one sign-in, by the issuer that it is configured
//! with; whatever else came back names nobody.

use std::future::Future;
use std::pin::Pin;

use crate::Secret;

/// One sign-in by a provider, from its beginning to the code that the browser brings back.
#[derive(Debug, Clone)]
pub struct AuthorizationRequest {
    /// Where the provider sends the browser back to; it knows it from the registration of this server.
    pub redirect_uri: String,
    /// `state` (RFC 6749 section 4.1.1): binds what comes back to the browser that asked.
    pub state: String,
    /// `nonce` (OpenID Connect Core 1.0 section 3.1.2.1): binds the ID token to this sign-in.
    pub nonce: String,
    /// `code_verifier` (RFC 7636 section 4.1): binds the code to whoever began; 43 characters of base64url.
    pub code_verifier: Secret,
}

/// Whom a provider named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider, as it calls itself.
    pub issuer: String,
    /// Its name for them, which it never gives to anybody else.
    pub subject: String,
}

/// Why a provider names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotIdentified {
    /// It cannot be asked now, or its configuration is wrong: no fault of who signs in.
    #[error("the identity provider cannot be asked: {0}")]
    Away(String),
    /// What it answered is not good for this sign-in.
    #[error("the identity provider did not say who this is: {0}")]
    Refused(String),
}

/// What a provider answers.
pub type Identified<'a, T> = Pin<Box<dyn Future<Output = Result<T, NotIdentified>> + Send + 'a>>;

/// A provider.
pub trait IdentityProvider: Send + Sync {
    /// What people call it.
    fn name(&self) -> &str;

    /// The issuer that it is, as configured.
    fn issuer(&self) -> &str;

    /// Where a browser goes to be asked who its user is.
    fn authorization_url<'a>(&'a self, request: &'a AuthorizationRequest) -> Identified<'a, String>;

    /// Whom the code that came back stands for.
    fn identify<'a>(&'a self, request: &'a AuthorizationRequest, code: &'a Secret) -> Identified<'a, Identity>;
}
