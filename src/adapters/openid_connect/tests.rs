//! A provider that answers as a test says; a real one signs people in by `tests/identity_provider.rs`.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openidconnect::core::{
    CoreEdDsaPrivateSigningKey, CoreHmacKey, CoreIdToken, CoreIdTokenClaims, CoreJsonWebKeySet, CoreJwsSigningAlgorithm,
};
use openidconnect::{
    Audience, EmptyAdditionalClaims, JsonWebKeyId, PrivateSigningKey, StandardClaims, SubjectIdentifier,
};
use serde_json::{Value, json};

use super::*;
use crate::testing::{Answer, serve_each};

/// An answer by the URL of the provider.
type AnswerOf = Box<dyn FnOnce(&str) -> Answer + Send>;

/// What a provider answers wrongly, and how often it was asked for its document.
#[derive(Default)]
struct Ways {
    away: bool,
    /// Its key: another one when it has changed.
    key: u8,
    /// In place of what the document says.
    document: Vec<(&'static str, Value)>,
    /// In place of the answer to a code, once.
    token: Option<AnswerOf>,
    asked: usize,
}

fn key(of: u8) -> CoreEdDsaPrivateSigningKey {
    // RFC 8410 section 7: what stands before the 32 bytes of a key.
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([of; 32]);
    let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
    let pem = format!("{begin}\n{}\n{end}\n", STANDARD.encode(der));
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(format!("key {of}")))).expect("a key")
}

fn claims(issuer: &str, nonce: &str) -> CoreIdTokenClaims {
    let now = std::time::SystemTime::now();
    let claims = CoreIdTokenClaims::new(
        IssuerUrl::new(issuer.to_owned()).expect("an URL"),
        vec![Audience::new("bellhop".to_owned())],
        (now + Duration::from_secs(60)).into(),
        now.into(),
        StandardClaims::new(SubjectIdentifier::new("42".to_owned())),
        EmptyAdditionalClaims {},
    );
    claims.set_nonce(Some(Nonce::new(nonce.to_owned())))
}

fn id_token(issuer: &str, nonce: &str, of: u8) -> String {
    let token = CoreIdToken::new(claims(issuer, nonce), &key(of), CoreJwsSigningAlgorithm::EdDsa, None, None);
    token.expect("signed").to_string()
}

fn unsigned(issuer: &str) -> String {
    let said = serde_json::to_vec(&claims(issuer, "a nonce")).expect("JSON");
    [br#"{"alg":"none"}"#.as_slice(), &said, b""].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

/// As a public client could, to whom its own secret is no secret.
fn signed_by_the_secret(issuer: &str) -> String {
    let (key, algorithm) = (CoreHmacKey::new("s3cret&"), CoreJwsSigningAlgorithm::HmacSha256);
    let token = CoreIdToken::new(claims(issuer, "a nonce"), &key, algorithm, None, None);
    token.expect("signed").to_string()
}

fn token(id_token: &str) -> Answer {
    Answer::json(200, &json!({"access_token": "x", "token_type": "Bearer", "id_token": id_token}))
}

fn answered(ways: &mut Ways, url: &str, request: &str) -> Answer {
    let path = request.split(' ').nth(1).unwrap_or_default();
    if ways.away {
        return Answer::json(503, &json!({}));
    }
    match path {
        "/.well-known/openid-configuration" => {
            ways.asked += 1;
            let mut document = json!({
                "issuer": url,
                "authorization_endpoint": format!("{url}/authorize"),
                "token_endpoint": format!("{url}/token"),
                "jwks_uri": format!("{url}/keys"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
            });
            for (name, value) in &ways.document {
                document[name] = value.clone();
            }
            Answer::json(200, &document)
        }
        "/keys" => {
            let keys = CoreJsonWebKeySet::new(vec![key(ways.key).as_verification_key()]);
            Answer::json(200, &serde_json::to_value(keys).expect("JSON"))
        }
        _ => match ways.token.take() {
            Some(answer) => answer(url),
            None => token(&id_token(url, "a nonce", ways.key)),
        },
    }
}

async fn provider(ways: Ways) -> (OpenIdConnect, Arc<Mutex<Ways>>) {
    let ways = Arc::new(Mutex::new(ways));
    let kept = Arc::clone(&ways);
    let issuer = serve_each(move |url, request| answered(&mut kept.lock().expect("alone"), url, request)).await;
    let config = OpenIdConnectConfig { issuer, ..config("") };
    (OpenIdConnect::new(config).expect("an issuer"), ways)
}

fn config(issuer: &str) -> OpenIdConnectConfig {
    let (name, client_id) = ("Example".to_owned(), "bellhop".to_owned());
    OpenIdConnectConfig { name, issuer: issuer.to_owned(), client_id, client_secret: Some(Secret::new("s3cret&")) }
}

fn request() -> AuthorizationRequest {
    AuthorizationRequest {
        redirect_uri: "https://bellhop.example/back".to_owned(),
        state: "a state".to_owned(),
        nonce: "a nonce".to_owned(),
        code_verifier: Secret::new("v".repeat(43)),
    }
}

async fn identified(provider: &OpenIdConnect) -> Result<String, String> {
    let identity = provider.identify(&request(), &Secret::new("a code")).await;
    identity.map(|identity| identity.subject).map_err(|why| why.to_string())
}

async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_browser_is_sent_with_all_that_binds_its_return() {
    let (provider, _) = provider(Ways::default()).await;
    let url = provider.authorization_url(&request()).await.expect("a place");
    for parameter in [
        "response_type=code",
        "client_id=bellhop",
        "scope=openid",
        "state=a+state",
        "nonce=a+nonce",
        "code_challenge_method=S256",
    ] {
        assert!(url.contains(parameter), "{parameter}: {url}");
    }
    assert!(!url.contains(&"v".repeat(43)), "the verifier stays here: {url}");
}

#[tokio::test]
async fn what_a_provider_tells_of_itself_is_asked_for_once_an_hour_and_a_failure_for_ten_seconds() {
    let (provider, ways) = provider(Ways { away: true, ..Ways::default() }).await;
    let told = provider.authorization_url(&request()).await.expect_err("it is away").to_string();
    assert!(told.ends_with("HTTP status 503 from its discovery document or keys"), "{told}");
    ways.lock().expect("alone").away = false;
    assert!(provider.authorization_url(&request()).await.is_err(), "it is left alone for a while");
    pass(LEFT_ALONE).await;
    for _ in 0..3 {
        assert!(provider.authorization_url(&request()).await.is_ok());
        assert_eq!(identified(&provider).await, Ok("42".to_owned()));
    }
    assert_eq!(ways.lock().expect("alone").asked, 1);
    pass(KNOWN_FOR).await;
    assert!(provider.authorization_url(&request()).await.is_ok());
    assert_eq!(ways.lock().expect("alone").asked, 2);
}

#[tokio::test]
async fn a_key_that_was_replaced_is_fetched_and_not_again_and_again() {
    let (provider, ways) = provider(Ways::default()).await;
    assert_eq!(identified(&provider).await, Ok("42".to_owned()));
    ways.lock().expect("alone").key = 1;
    let unknown =
        "the identity provider did not say who this is: its token is signed by a key that it does not publish";
    assert_eq!(identified(&provider).await, Err(unknown.to_owned()), "its keys were read a moment ago");
    pass(LEFT_ALONE).await;
    assert_eq!(identified(&provider).await, Ok("42".to_owned()));
    assert_eq!(ways.lock().expect("alone").asked, 2);
}

#[tokio::test]
async fn an_answer_that_is_not_good_names_nobody() {
    let is = |answer: Answer, says: &'static str| -> (AnswerOf, &'static str) { (Box::new(|_| answer), says) };
    let says = |token_of: fn(&str) -> String, says: &'static str| -> (AnswerOf, &'static str) {
        (Box::new(move |url| token(&token_of(url))), says)
    };
    let unbelieved = "its token is signed by an algorithm that is not believed";
    for (answer, says) in [
        is(Answer::json(400, &json!({"error": "invalid_grant"})), "`invalid_grant`"),
        is(Answer::json(400, &json!({"error": "<b>\u{7}x"})), "`bx`"),
        is(Answer::json(500, &json!({})), "its answer cannot be read"),
        is(Answer::new(200, "text/html", "<html>".to_owned()), "its answer cannot be read"),
        is(Answer::json(200, &json!({"access_token": "x", "token_type": "Bearer"})), "it gave no ID token"),
        is(token("x"), "its answer cannot be read"),
        is(Answer::new(200, "application/json", "x".repeat(600_000)), "its answer has more than 524288 bytes"),
        is(Answer::json(302, &json!({})).with("Location: http://127.0.0.1:1/"), "its answer cannot be read"),
        says(unsigned, "its token is not signed"),
        says(signed_by_the_secret, unbelieved),
        says(|_| id_token("https://evil.example", "a nonce", 0), "its token is of another issuer"),
        says(|url| id_token(url, "another", 0), "its token is of another sign-in"),
    ] {
        let (provider, _) = provider(Ways { token: Some(answer), ..Ways::default() }).await;
        let told = identified(&provider).await.expect_err(says);
        assert!(told.contains(says), "{says}: {told}");
        assert_eq!(identified(&provider).await, Ok("42".to_owned()), "the next one is: {says}");
    }
}

#[tokio::test]
async fn a_document_that_is_not_good_is_no_provider() {
    for (name, value, says) in [
        ("issuer", json!("https://id.example"), "names another issuer"),
        ("token_endpoint", Value::Null, "it names no token endpoint"),
        ("jwks_uri", json!("nonsense"), "cannot be read"),
        ("authorization_endpoint", json!(7), "cannot be read"),
    ] {
        let (provider, _) = provider(Ways { document: vec![(name, value)], ..Ways::default() }).await;
        let told = provider.authorization_url(&request()).await.expect_err(says).to_string();
        assert!(told.contains(says), "{name}: {told}");
    }
}

#[tokio::test]
async fn a_provider_of_https_is_asked_nothing_over_plain_http() {
    let http = Http::new(true);
    assert!(http.may("https").is_ok() && http.may("http").is_err() && http.may("file").is_err());
    assert!(Http::new(false).may("http").is_ok());
}

#[test]
fn an_issuer_is_an_url_of_https_or_of_this_machine() {
    for issuer in [
        "https://id.example",
        "https://id.example/realms/a",
        "http://127.0.0.1:8080",
        "http://[::1]",
        "http://localhost",
    ] {
        assert!(config(issuer).issuer_url().is_ok(), "{issuer}");
    }
    for issuer in [
        "",
        "id.example",
        "http://id.example",
        "https://id.example?a",
        "https://id.example#a",
        "ftp://id.example",
        "https://a:b@id.example",
        "http://127.0.0.1.id.example",
    ] {
        assert!(config(issuer).issuer_url().is_err(), "{issuer}");
    }
}
