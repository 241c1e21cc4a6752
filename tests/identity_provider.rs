//! Signing in to the real binary by a real provider of OpenID Connect, and by one that answers wrongly.

use std::process::Command;

use serde_json::{Value, json};

#[path = "support/identity_provider.rs"]
mod identity_provider;
#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;
#[path = "support/rest.rs"]
#[allow(dead_code)] // each binary uses its part
mod rest;

use identity_provider::{CALLBACK, PUBLIC_URL, Provider};
use node::{Node, config, folder, stand_in};
use rest::{Answer, Client};

const CLIENT_SECRET: &str = "a secret of the client";

/// A server that people sign in to by a provider.
struct House {
    provider: Provider,
    node: Node,
}

/// A browser that has begun: its cookie, and where it is sent.
struct Began {
    cookie: String,
    location: String,
}

impl House {
    fn new() -> Self {
        let provider = Provider::start();
        let node = serve(&provider.issuer());
        Self { provider, node }
    }

    /// With Ann, who has accepted her invitation by the provider; and the operator's token.
    fn with_ann() -> (Self, Client) {
        let house = Self::new();
        let (operator, session) = Client::operator_and_session(&house.node);
        let session: Vec<(&str, &str)> = session.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let invitation = json!({"login": "ann@example", "role": "operator"});
        let invited = Client::new(house.node.http).ask("POST", "/invitations", &session, invitation);
        assert_eq!(invited.status, 201, "{invited:?}");
        let secret = invited.body["link"].as_str().and_then(|link| link.split('#').nth(1)).expect("a link");
        let (made, _) = house.signs_in("ann", json!({"invitation": secret, "return_to": "/calls"}));
        let place = format!("{PUBLIC_URL}/calls");
        assert_eq!((made.status, made.header("location")), (303, Some(place.as_str())), "{made:?}");
        assert_eq!(house.who(&made)["login"], json!("ann@example"));
        (house, operator)
    }

    fn begin(&self, wanted: Value) -> Began {
        let answer = Client::new(self.node.http).post("/sign-in/openid-connect", wanted);
        assert_eq!(answer.status, 200, "{answer:?}");
        Began { cookie: first_cookie(&answer), location: answer.body["location"].as_str().expect("a place").to_owned() }
    }

    fn come_back(&self, browser: &Began, query: &str) -> Answer {
        let path = format!("{}?{query}", CALLBACK.trim_start_matches("/api/v1"));
        Client::new(self.node.http).ask("GET", &path, &[("Cookie", &browser.cookie)], Value::Null)
    }

    /// Somebody signs in, as far as they get; and what their browser brought back.
    fn signs_in(&self, account: &str, wanted: Value) -> (Answer, (Began, String)) {
        let browser = self.begin(wanted);
        let query = self.provider.visited(&browser.location, account);
        (self.come_back(&browser, &query), (browser, query))
    }

    /// Who a browser is after an answer.
    fn who(&self, answer: &Answer) -> Value {
        let cookie = first_cookie(answer);
        Client::new(self.node.http).ask("GET", "/session", &[("Cookie", &cookie)], Value::Null).body["signed_in"]
            .clone()
    }
}

fn first_cookie(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next());
    cookie.unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

fn parameter(of: &str, name: &str) -> String {
    let value = of.split(['&', '?']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("{name} in {of}")).to_owned()
}

fn says(answer: &Answer) -> &str {
    answer.body["detail"].as_str().unwrap_or_else(|| panic!("{answer:?}"))
}

fn serve(issuer: &str) -> Node {
    let (connect, connect_at) = stand_in();
    let folder = folder();
    let extra = format!(
        "[http.openid_connect]\nname = \"Example\"\nissuer = \"{issuer}\"\nclient_id = \"bellhop\"\nclient_secret = \"env:CLIENT_SECRET\"\n"
    );
    let path = config(&folder, connect_at, "counting", &extra);
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
    command.env("CLIENT_SECRET", CLIENT_SECRET);
    Node::serve_by(command, &path, folder, connect)
}

#[test]
fn whoever_was_invited_signs_in_by_a_real_provider_and_no_secret_of_it_is_told() {
    let (house, operator) = House::with_ann();
    let (back, (_, used)) = house.signs_in("ann", json!({}));
    assert_eq!((back.status, &house.who(&back)["role"]), (303, &json!("operator")), "{back:?}");
    // Whoever is nobody here, and who does not want to say who they are.
    for (account, status) in [("bob", 403), ("", 401)] {
        let (answer, _) = house.signs_in(account, json!({}));
        assert_eq!(answer.status, status, "{account}: {answer:?}");
    }
    let browser = house.begin(json!({}));
    let unused = house.provider.visited(&browser.location, "ann");
    let House { provider, node } = house;
    drop(provider);
    let path = format!("{}?{unused}", CALLBACK.trim_start_matches("/api/v1"));
    let away = Client::new(node.http).ask("GET", &path, &[("Cookie", &browser.cookie)], Value::Null);
    assert_eq!(away.status, 503, "{away:?}");
    let noted = operator.get("/audit").body["items"].to_string();
    assert!(noted.contains("sign_in") && noted.contains("refused"), "{noted}");
    let log = std::fs::read_to_string(node.folder.join("log")).expect("a log");
    assert!(log.contains("http.openid_connect"), "who looks for the reason finds it: {log}");
    for secret in [CLIENT_SECRET, &parameter(&used, "code"), &parameter(&unused, "code"), &parameter(&unused, "state")]
    {
        assert!(!log.contains(secret) && !noted.contains(secret), "{secret}");
    }
}

#[test]
fn a_code_is_good_once_in_the_browser_and_the_sign_in_that_it_was_given_for() {
    let (house, _) = House::with_ann();
    let (back, (browser, query)) = house.signs_in("ann", json!({}));
    assert_eq!(back.status, 303, "{back:?}");
    let replayed = house.come_back(&browser, &query);
    assert_eq!(replayed.status, 401, "{replayed:?}");
    assert!(says(&replayed).contains("`invalid_grant`"), "{replayed:?}");

    let (one, other) = (house.begin(json!({})), house.begin(json!({})));
    let stolen = house.provider.visited(&one.location, "ann");
    let query = format!("state={}&code={}", parameter(&other.location, "state"), parameter(&stolen, "code"));
    let injected = house.come_back(&other, &query);
    assert_eq!(injected.status, 401, "PKCE: {injected:?}");

    let (one, other) = (house.begin(json!({})), house.begin(json!({})));
    let query = house.provider.visited(&one.location, "ann");
    assert_eq!(house.come_back(&other, &query).status, 400, "another browser");
    let changed = query.replace(&parameter(&query, "state"), &parameter(&other.location, "state"));
    assert_eq!(house.come_back(&one, &changed).status, 400, "another state");
    let location = other.location.replace(&parameter(&other.location, "nonce"), "another");
    let answer = house.come_back(&other, &house.provider.visited(&location, "ann"));
    assert_eq!(answer.status, 401, "another nonce: {answer:?}");
    assert!(says(&answer).contains("of another sign-in"), "{answer:?}");
}

#[test]
fn a_token_that_is_wrong_signs_nobody_in() {
    let (house, _) = House::with_ann();
    for (fault, why) in [
        ("nonce", "of another sign-in"),
        ("no nonce", "of another sign-in"),
        ("issuer", "of another issuer"),
        ("audience", "for another client"),
        ("expired", "has expired"),
        ("key", "the signature of its token is wrong"),
        ("unknown key", "signed by a key that it does not publish"),
    ] {
        house.provider.fault(fault);
        let (answer, _) = house.signs_in("ann", json!({}));
        assert_eq!(answer.status, 401, "{fault}: {answer:?}");
        assert!(says(&answer).contains(why), "{fault}: {answer:?}");
        assert!(!first_cookie(&answer).starts_with("bellhop="), "{fault}");
    }
    house.provider.fault("none");
    assert_eq!(house.signs_in("ann", json!({})).0.status, 303);
}

#[test]
fn a_provider_that_calls_itself_otherwise_is_told_to_whom_it_may_concern() {
    let provider = Provider::start();
    let node = serve(&format!("http://localhost:{}", provider.at.port()));
    let answer = Client::new(node.http).post("/sign-in/openid-connect", json!({}));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(says(&answer).contains("names another issuer"), "{answer:?}");
}
