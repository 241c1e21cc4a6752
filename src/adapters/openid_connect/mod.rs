//! An identity provider that speaks OpenID Connect: discovery, the authorization code flow with PKCE, the ID token.
//!
//! Sources: OpenID Connect Core 1.0 section 3.1, OpenID Connect Discovery 1.0, RFC 6749, RFC 7636.
//!
//! Invariant: every request has a deadline and its answer a limit, and no redirect is followed; a provider of `https` is asked nothing over plain
//! HTTP. A token is believed if a key of the issuer signed it, for this client, with the nonce of this sign-in, before it expires.

mod http;

use std::sync::Arc;
use std::time::Duration;

use bellhop_tenancy::Secret;
use bellhop_tenancy::identity_provider::{AuthorizationRequest, Identified, Identity, IdentityProvider, NotIdentified};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenVerifier,
    CoreJwsSigningAlgorithm, CoreProviderMetadata,
};
use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, DiscoveryError,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, SignatureVerificationError, TokenResponse,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use http::{Http, NotAnswered};

/// How long what a provider tells of itself is good.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
/// How long it is left alone after it could not be asked, and after its keys were read.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// Signatures that are believed, of those that a provider says it makes: by keys that it publishes.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// What is configured of a provider.
#[derive(Debug, Clone)]
pub struct OpenIdConnectConfig {
    /// What people call it.
    pub name: String,
    /// Its issuer identifier: an URL, exactly as it writes it itself.
    pub issuer: String,
    /// What it calls this server.
    pub client_id: String,
    /// The secret that it gave this server; none for a public client, which has PKCE alone.
    pub client_secret: Option<Secret>,
}

/// A provider.
pub struct OpenIdConnect {
    config: OpenIdConnectConfig,
    issuer: IssuerUrl,
    http: Http,
    known: Mutex<Known>,
}

/// What is known of the provider, or why not, and since when.
type Known = Option<(Instant, Result<Arc<CoreProviderMetadata>, NotIdentified>)>;

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// Not the URL of an issuer (OpenID Connect Discovery 1.0 section 2): of https, or on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not an URL like `https://id.example`, without `?` and `#`; http:// is for a provider on this machine alone"
)]
pub struct NoIssuer;

impl OpenIdConnectConfig {
    /// The issuer, if it can be one.
    pub fn issuer_url(&self) -> Result<IssuerUrl, NoIssuer> {
        let issuer = IssuerUrl::new(self.issuer.clone()).map_err(|_| NoIssuer)?;
        let url = issuer.url();
        let on_this_machine = match url.host_str() {
            Some("localhost") => true,
            Some(host) => host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
            None => false,
        };
        let private = url.scheme() == "https" || url.scheme() == "http" && on_this_machine;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if private && plain && url.has_host() { Ok(issuer) } else { Err(NoIssuer) }
    }
}

impl OpenIdConnect {
    /// Of a configuration; nothing is asked yet.
    pub fn new(config: OpenIdConnectConfig) -> Result<Self, NoIssuer> {
        let issuer = config.issuer_url()?;
        let http = Http::new(issuer.url().scheme() == "https");
        Ok(Self { config, issuer, http, known: Mutex::default() })
    }

    /// What the provider tells of itself, its keys too. One asks at a time; the others wait, and have the same answer.
    async fn metadata(&self) -> Result<Arc<CoreProviderMetadata>, NotIdentified> {
        let mut known = self.known.lock().await;
        let good =
            |since: &Instant, told: &Result<_, _>| since.elapsed() < if told.is_ok() { KNOWN_FOR } else { LEFT_ALONE };
        if let Some((_, told)) = known.as_ref().filter(|(since, told)| good(since, told)) {
            return told.clone();
        }
        let told = self.discover().await;
        *known = Some((Instant::now(), told.clone()));
        told
    }

    /// The same, where a key is missing: a provider changes its keys, and a stranger invents the names of others.
    async fn metadata_anew(&self) -> Result<Arc<CoreProviderMetadata>, NotIdentified> {
        let mut known = self.known.lock().await;
        if known.as_ref().is_some_and(|(since, _)| since.elapsed() >= LEFT_ALONE) {
            *known = None;
        }
        drop(known);
        self.metadata().await
    }

    async fn discover(&self) -> Result<Arc<CoreProviderMetadata>, NotIdentified> {
        let told = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await;
        let metadata = told.map_err(|error| away(&why_not_discovered(&error)))?;
        if metadata.token_endpoint().is_none() {
            return Err(away("it names no token endpoint"));
        }
        Ok(Arc::new(metadata))
    }

    fn client(&self, metadata: &CoreProviderMetadata, redirect_uri: &str) -> Result<Client, NotIdentified> {
        let redirect_uri = RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| away("http.public_url is no URL"))?;
        let secret = self.config.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        let id = ClientId::new(self.config.client_id.clone());
        // RFC 8414 section 2: where nothing is said, it is `client_secret_basic`.
        let basic = metadata
            .token_endpoint_auth_methods_supported()
            .is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let client = CoreClient::from_provider_metadata(metadata.clone(), id, secret).set_redirect_uri(redirect_uri);
        Ok(client.set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody }))
    }

    async fn exchanged(&self, request: &AuthorizationRequest, code: &Secret) -> Result<Identity, NotIdentified> {
        let metadata = self.metadata().await?;
        let client = self.client(&metadata, &request.redirect_uri)?;
        let token = client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .map_err(|_| away("it names no token endpoint"))?
            .set_pkce_verifier(PkceCodeVerifier::new(request.code_verifier.expose().to_owned()))
            .request_async(&self.http)
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(told) => refused(&format!("`{}`", word(told.error().as_ref()))),
                RequestTokenError::Request(NotAnswered(why)) => away(&why),
                _ => refused("its answer cannot be read"),
            })?;
        let id_token = token.id_token().ok_or_else(|| refused("it gave no ID token"))?;
        let identity = match self.named(&metadata, request, id_token) {
            Err(error) if is_of_an_unknown_key(&error) => self.named(&*self.metadata_anew().await?, request, id_token),
            named => named,
        };
        identity.map_err(|error| refused(why_not_believed(&error)))
    }

    /// Whom a token names, by the keys that the provider tells of itself.
    fn named(
        &self,
        metadata: &CoreProviderMetadata,
        request: &AuthorizationRequest,
        token: &CoreIdToken,
    ) -> Result<Identity, ClaimsVerificationError> {
        let id = ClientId::new(self.config.client_id.clone());
        let told = metadata.id_token_signing_alg_values_supported();
        let believed = ALGORITHMS.into_iter().filter(|algorithm| told.contains(algorithm));
        // No algorithm that is believed needs the client's secret.
        let verifier = CoreIdTokenVerifier::new_public_client(id, self.issuer.clone(), metadata.jwks().clone());
        let claims = token.claims(&verifier.set_allowed_algs(believed), &Nonce::new(request.nonce.clone()))?;
        Ok(Identity { issuer: claims.issuer().to_string(), subject: claims.subject().to_string() })
    }
}

impl IdentityProvider for OpenIdConnect {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn issuer(&self) -> &str {
        &self.config.issuer
    }

    fn authorization_url<'a>(&'a self, request: &'a AuthorizationRequest) -> Identified<'a, String> {
        Box::pin(async move {
            let metadata = self.metadata().await?;
            let endpoint = metadata.authorization_endpoint().url();
            self.http.may(endpoint.scheme()).map_err(|NotAnswered(why)| away(&why))?;
            let client = self.client(&metadata, &request.redirect_uri)?;
            let verifier = PkceCodeVerifier::new(request.code_verifier.expose().to_owned());
            let (state, nonce) = (request.state.clone(), request.nonce.clone());
            let flow = CoreAuthenticationFlow::AuthorizationCode;
            let url = client.authorize_url(flow, move || CsrfToken::new(state), move || Nonce::new(nonce));
            let (url, _, _) = url.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier)).url();
            Ok(url.to_string())
        })
    }

    fn identify<'a>(&'a self, request: &'a AuthorizationRequest, code: &'a Secret) -> Identified<'a, Identity> {
        Box::pin(self.exchanged(request, code))
    }
}

fn away(why: &str) -> NotIdentified {
    NotIdentified::Away(why.to_owned())
}

fn refused(why: &str) -> NotIdentified {
    NotIdentified::Refused(why.to_owned())
}

/// A word of somebody else, short and in ASCII: it is shown and logged.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "_-. ".contains(*c)).take(60).collect()
}

/// What the provider answered stays out of it.
fn why_not_discovered(error: &DiscoveryError<NotAnswered>) -> String {
    match error {
        DiscoveryError::Request(NotAnswered(why)) => why.clone(),
        DiscoveryError::Response(status, ..) => {
            format!("HTTP status {} from its discovery document or keys", status.as_u16())
        }
        DiscoveryError::Validation(_) => {
            "its discovery document names another issuer: write the issuer exactly as it does".to_owned()
        }
        _ => "its discovery document or its keys cannot be read".to_owned(),
    }
}

fn is_of_an_unknown_key(error: &ClaimsVerificationError) -> bool {
    use ClaimsVerificationError::SignatureVerification;
    use SignatureVerificationError::{CryptoError, NoMatchingKey};
    // A key may have been replaced under the same name.
    matches!(error, SignatureVerification(NoMatchingKey | CryptoError(_)))
}

/// What a token said stays out of it.
fn why_not_believed(error: &ClaimsVerificationError) -> &'static str {
    match error {
        ClaimsVerificationError::Expired(_) => "its token has expired: compare the clocks",
        ClaimsVerificationError::InvalidAudience(_) => "its token is for another client",
        ClaimsVerificationError::InvalidIssuer(_) => "its token is of another issuer",
        ClaimsVerificationError::InvalidNonce(_) => "its token is of another sign-in",
        ClaimsVerificationError::InvalidSubject(_) => "its token names nobody",
        ClaimsVerificationError::SignatureVerification(error) => match error {
            SignatureVerificationError::NoMatchingKey => "its token is signed by a key that it does not publish",
            SignatureVerificationError::DisallowedAlg(_) | SignatureVerificationError::UnsupportedAlg(_) => {
                "its token is signed by an algorithm that is not believed"
            }
            SignatureVerificationError::NoSignature => "its token is not signed",
            _ => "the signature of its token is wrong",
        },
        _ => "its token cannot be read",
    }
}

#[cfg(test)]
mod tests;
