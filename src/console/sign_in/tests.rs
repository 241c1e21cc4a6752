//! The sign-in by its resources, with a store in memory and a clock that only these tests move.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::to_bytes;
use actix_web::http::header::{ALLOW, COOKIE, RETRY_AFTER, SET_COOKIE};
use actix_web::test::TestRequest;
use actix_web::web::Data;
use actix_web::{App, test};
use bellhop_tenancy::Secret;
use bellhop_tenancy::access::{CredentialKind, SecretHash, Standing, TenantRole};
use bellhop_tenancy::id::Id;
use bellhop_tenancy::store::{Invitation, People};
use serde_json::{Value, json};

use super::password::{self, Cost};
use super::stand_in::{BEGIN, Browser, CHEAP, Kept, PUBLIC_URL, of_tenant};
use super::stand_in_provider::Provider;
use super::{Ports, Settings, SignIn, claim, configure, csrf};

mod accepting;
mod agents;
mod passwords;
mod providers;
mod sessions;
mod tokens;

const PASSWORD: &str = "nobody expects this";

/// A server and what it keeps.
struct House {
    kept: Arc<Kept>,
    sign_in: Data<SignIn>,
}

/// What a server answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// The session that is given.
    cookie: Option<String>,
    /// Name and value of all that are.
    cookies: Vec<String>,
    retry_after: Option<String>,
    location: Option<String>,
    allow: Option<String>,
    body: Value,
}

impl House {
    fn new() -> Self {
        let kept = Kept::new();
        Self { sign_in: kept.sign_in(), kept }
    }

    /// With an identity provider.
    fn with_provider() -> Self {
        let kept = Kept::new();
        let settings = Settings { cost: CHEAP, ..Settings::at(PUBLIC_URL).expect("an address") };
        let ports = Ports { provider: Some(Arc::new(Provider::default())), ..kept.ports() };
        let sign_in = SignIn::new(ports, settings, kept.clock(), kept.random()).expect("threads");
        Self { sign_in: Data::new(sign_in), kept }
    }

    /// Somebody with a password, hashed at a cost.
    fn person(&self, login: &str, standing: Standing, cost: Cost) -> Id {
        let id = self.kept.user(login, standing);
        let phc = password::hashed(&Secret::new(PASSWORD), &[1; password::SALT_BYTES], cost);
        self.kept.state().users.iter_mut().filter(|user| user.id == id).for_each(|user| user.phc = Some(phc.clone()));
        id
    }

    async fn ask(&self, request: TestRequest) -> Answer {
        self.ask_from("127.0.0.1", request).await
    }

    async fn ask_from(&self, address: &str, request: TestRequest) -> Answer {
        let app = test::init_service(App::new().app_data(self.sign_in.clone()).configure(configure)).await;
        let peer = std::net::SocketAddr::new(address.parse().expect("an address"), 4711);
        let response = test::call_service(&app, request.peer_addr(peer).to_request()).await;
        let (head, status) = (response.headers().clone(), response.status().as_u16());
        let text = |name| head.get(name).map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(text(actix_web::http::header::CACHE_CONTROL).as_deref(), Some("no-store"));
        let pair = |line: &str| line.split(';').next().unwrap_or_default().to_owned();
        let cookies: Vec<_> = head.get_all(SET_COOKIE).map(|line| pair(line.to_str().expect("text"))).collect();
        let mut sessions = cookies.iter().filter(|pair| pair.starts_with("__Host-bellhop="));
        let cookie = sessions.next().cloned();
        assert!(sessions.next().is_none(), "{cookies:?}");
        let body = to_bytes(response.into_body()).await.expect("a body");
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
        let location = text(actix_web::http::header::LOCATION);
        Answer { status, cookie, cookies, retry_after: text(RETRY_AFTER), location, allow: text(ALLOW), body }
    }

    async fn sign_in(&self, login: &str, password: &str) -> Answer {
        self.ask(post("/sign-in", json!({"login": login, "password": password}))).await
    }
}

fn at(path: &str) -> String {
    format!("/api/v1{path}")
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(&at(path))
}

fn post(path: &str, body: Value) -> TestRequest {
    TestRequest::post().uri(&at(path)).set_json(body)
}

/// What our own pages send with a request of somebody who is signed in.
fn of(browser: &Browser, request: TestRequest) -> TestRequest {
    request
        .insert_header((COOKIE, browser.cookie.clone()))
        .insert_header(("Origin", PUBLIC_URL))
        .insert_header(("Sec-Fetch-Site", "same-origin"))
        .insert_header((csrf::TOKEN_HEADER, browser.csrf_token.clone()))
}

/// A browser that a server has answered with a session.
fn signed_in(answer: &Answer) -> Browser {
    let csrf_token = answer.body["csrf_token"].as_str().expect("a token").to_owned();
    Browser { cookie: answer.cookie.clone().expect("a cookie"), csrf_token }
}

/// What is in the table is served, by no other method, and to nobody where somebody has to be signed in.
#[actix_web::test]
async fn every_route_of_the_table_is_served_and_says_what_else_may_be_asked() {
    let house = House::with_provider();
    let user = house.person("root", Standing::Operator, CHEAP);
    for route in &super::ROUTES {
        let path = at(&route.path.replace("{id}", "x"));
        let request = |method: &str| {
            let method = actix_web::http::Method::from_bytes(method.as_bytes()).expect("a method");
            TestRequest::default().method(method).uri(&path)
        };
        let is_of_one = route.path.ends_with("{id}");
        let known = house.ask(of(&house.kept.browser(user), request(route.method))).await.status;
        assert!(![401, 403, 405].contains(&known) && (known == 404) == is_of_one, "{route:?}: {known}");
        let stranger = house.ask(request(route.method)).await.status;
        let refused = if route.least.is_some() { [401, 415] } else { [known; 2] };
        assert!(refused.contains(&stranger), "{route:?}: {stranger}");
        let other = house.ask(of(&house.kept.browser(user), request("PATCH"))).await;
        let of_path = super::ROUTES.iter().filter(|other| other.path == route.path).map(|route| route.method);
        let allowed: Vec<&str> =
            of_path.flat_map(|method| if method == "GET" { vec!["GET", "HEAD"] } else { vec![method] }).collect();
        assert_eq!((other.status, other.allow), (405, Some(allowed.join(", "))), "{route:?}");
    }
}
