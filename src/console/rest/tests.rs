//! REST over a real store in memory: who asks is told by the name in `Authorization`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::body::to_bytes;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::test::TestRequest;
use actix_web::{App, HttpRequest, test};
use bellhop_adapters::secrets::MasterKeySource;
use bellhop_adapters::storage::{Database, MasterKeys, SqlTenants};
use bellhop_call::figures::Figures;
use bellhop_call::ports::{KeptCall, UnderWay};
use bellhop_call::record::Event;
use bellhop_connect::ports::History;
use bellhop_tenancy::Secret;
use bellhop_tenancy::access::{Author, Credential, CredentialKind, Role, SecretHash, SignedIn, Standing, TenantRole};
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::settings::{AssistantKind, Mistake, Ranked, Script, TenantSettings};
use bellhop_tenancy::store::{NewTenant, Tenants};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use super::route::{Route, Takes};
use super::{Door, Ports, Presence, Rest};
use crate::API;
use crate::ports::{FileTenant, Judge, LiveCall};
use crate::problem::Problem;

mod calls;
mod deployments;
mod documents;
mod frame;
mod isolation;
mod nodes;
mod numbers;
mod of_file;
mod people;
mod seeing;
mod stand_in;
mod trials;
mod usage;
mod versions;

pub(crate) use stand_in::StandIn;

/// A server, and everybody it knows.
pub(super) struct House {
    rest: Rest,
    pub(super) store: SqlTenants,
    pub(super) calls: Arc<StandIn>,
    /// Somebody of `acme`.
    pub(super) viewer: Author,
    /// Two tenants: `acme`, and `other`.
    pub(super) acme: TenantId,
    pub(super) other: TenantId,
}

/// Everybody who may ask, by name.
struct Known(HashMap<String, Author>, Arc<AtomicBool>);

/// What was answered.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Value,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn etag(&self) -> &str {
        &self.headers["etag"]
    }

    pub(super) fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }

    /// Where in the body mistakes are, each with its sentence.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        let text = |error: &Value, key: &str| error[key].as_str().unwrap_or_default().to_owned();
        errors.iter().map(|error| (text(error, "pointer"), text(error, "detail"))).collect()
    }
}

impl Door for Known {
    fn who<'a>(&'a self, request: &'a HttpRequest) -> LocalBoxFuture<'a, Result<Author, Problem>> {
        let name = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let known = self.0.get(name).cloned().ok_or_else(|| Problem::unauthorized("nobody is called so"));
        Box::pin(std::future::ready(known))
    }

    fn presence(&self, _: &HttpRequest) -> Result<Box<dyn Presence>, Problem> {
        Ok(Box::new(Stays(self.1.clone())))
    }
}

/// Somebody who is signed in until somebody says that all are signed out.
struct Stays(Arc<AtomicBool>);

impl Presence for Stays {
    fn lasts<'a>(&'a self, _: &'a SignedIn) -> LocalBoxFuture<'a, bool> {
        Box::pin(std::future::ready(!self.0.load(Ordering::Relaxed)))
    }
}

/// A server that lets no failover go anywhere, and knows one script that is wrong; the thread that answers everybody judges nothing.
struct NoTransfers(std::thread::ThreadId);

impl Judge for NoTransfers {
    fn judge(&self, settings: &TenantSettings) -> Vec<Mistake> {
        assert_ne!(std::thread::current().id(), self.0, "whoever computes does so apart");
        let target = settings.sip.failover.target.as_ref();
        let of_target = target.map(|_| Mistake::of_value("sip.failure_target", "goes nowhere here"));
        let is_wrong = |assistant: &Ranked<AssistantKind>| match &assistant.kind {
            AssistantKind::Scripted { script: Script::Text(text) } => text.contains("wrong at line 3"),
            _ => false,
        };
        let of_script =
            settings.assistant.iter().find(|assistant| is_wrong(assistant)).map(|assistant| {
                Mistake::of_value(assistant.key("assistant.script_text"), "line 3, column 3: is wrong")
            });
        of_target.into_iter().chain(of_script).collect()
    }
}

fn somebody(name: &str, standing: Standing, kind: CredentialKind) -> (String, Author) {
    let secret = Secret::new("shown");
    let (id, user, hash) = (Id::new(1, [1; 10]), Id::new(2, [2; 10]), SecretHash::of(&secret));
    let credential = Credential { id, kind, hash, user, name: name.into(), standing, expires_unix_ms: i64::MAX };
    let signed_in = credential.admit(&secret, 0).expect("its secret");
    (name.to_owned(), Author { signed_in, from: "192.0.2.7".into() })
}

/// A store in memory.
pub(crate) async fn store() -> SqlTenants {
    let database = Database::open("sqlite::memory:", None).await.expect("in memory");
    let keys = MasterKeys { current: MasterKeySource::Memory, previous: None };
    SqlTenants::open(database, &keys, None).await.expect("opens")
}

/// REST over these.
pub(crate) fn rest_over(door: Arc<dyn Door>, store: &SqlTenants, calls: &Arc<StandIn>) -> Rest {
    Rest::new(Ports {
        door,
        store: Arc::new(store.clone()),
        file: calls.clone(),
        reached: calls.clone(),
        node: calls.clone(),
        judge: Arc::new(NoTransfers(std::thread::current().id())),
        calls: calls.clone(),
        trials: calls.clone(),
        records: calls.clone(),
        recordings: calls.clone(),
        histories: calls.clone(),
        reasons: calls.clone(),
        public_url: "https://bellhop.example".to_owned(),
        random: Box::new(|bytes| rand::fill(bytes)),
    })
}

impl House {
    pub(super) async fn new() -> Self {
        let store = store().await;
        let by = Author { signed_in: SignedIn::on_this_machine("test"), from: "here".into() };
        let mut made = vec![];
        for name in ["acme", "other"] {
            let new = NewTenant { name: name.into(), title: name.into(), plan: "plus".into() };
            made.push(store.add_tenant(&by, new).await.expect("added").id);
        }
        let of = |tenant: TenantId, role| Standing::OfTenant(tenant, role);
        let (acme, other) = (made[0], made[1]);
        let (session, token) = (CredentialKind::Session, CredentialKind::Token);
        let known = [
            somebody("operator", Standing::Operator, session),
            somebody("admin", of(acme, TenantRole::Admin), session),
            somebody("viewer", of(acme, TenantRole::Viewer), session),
            somebody("agent", of(acme, TenantRole::Agent), session),
            somebody("program", of(acme, TenantRole::Admin), token),
            somebody("stranger", of(other, TenantRole::Admin), session),
        ];
        let viewer = known[2].1.clone();
        let calls = Arc::new(StandIn::default());
        let door = Arc::new(Known(known.into_iter().collect(), calls.all_signed_out.clone()));
        let rest = rest_over(door, &store, &calls);
        Self { rest, store, calls, viewer, acme, other }
    }

    pub(super) fn routes(&self) -> &[Route] {
        &self.rest.0.routes
    }

    pub(super) async fn ask(&self, request: TestRequest) -> Answer {
        let rest = self.rest.clone();
        let app = test::init_service(App::new().configure(|config| rest.configure(config))).await;
        let response = test::call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()));
        let headers: HashMap<_, _> = headers.collect();
        assert_eq!(headers["cache-control"], "no-store");
        assert!(headers.contains_key("x-request-id") && headers["x-content-type-options"] == "nosniff");
        let body = to_bytes(response.into_body()).await.expect("a body");
        let text = String::from_utf8(body.to_vec()).expect("text");
        let is_json = headers.get("content-type").is_some_and(|media_type| media_type.contains("json"));
        let body = if is_json { serde_json::from_str(&text).expect("JSON") } else { Value::Null };
        if status >= 400 {
            assert_eq!(headers["content-type"], "application/problem+json", "{text}");
            assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{text}");
        }
        Answer { status, headers, body, text }
    }

    pub(super) async fn get(&self, who: &str, path: &str) -> Answer {
        self.ask(of(who, Method::GET, path)).await
    }

    pub(super) async fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.ask(of(who, Method::POST, path).set_json(body)).await
    }

    pub(super) async fn patch(&self, who: &str, path: &str, seen: &str, body: Value) -> Answer {
        let request = of(who, Method::PATCH, path).insert_header(("If-Match", seen));
        let request =
            request.set_payload(body.to_string()).insert_header((CONTENT_TYPE, "application/merge-patch+json"));
        self.ask(request).await
    }

    pub(super) async fn delete(&self, who: &str, path: &str, seen: &str) -> Answer {
        self.ask(of(who, Method::DELETE, path).insert_header(("If-Match", seen))).await
    }
}

pub(super) fn of(who: &str, method: Method, path: &str) -> TestRequest {
    TestRequest::default().method(method).uri(&format!("{API}{path}")).insert_header((AUTHORIZATION, who))
}

/// A request that says all that a route asks for, about the things of these identifiers.
pub(super) fn request_of(route: &Route, who: &str, id: &str) -> TestRequest {
    let request = blind_request_of(route, who, id);
    if route.conditional { request.insert_header(("If-Match", "\"1\"")) } else { request }
}

/// The same of who does not say what they have seen.
pub(super) fn blind_request_of(route: &Route, who: &str, id: &str) -> TestRequest {
    let path: Vec<&str> = route.path.split('/').map(|part| if part.starts_with('{') { id } else { part }).collect();
    let required = route.query.iter().filter(|parameter| parameter.required);
    let query: Vec<String> = required.map(|parameter| format!("{}={id}", parameter.name)).collect();
    let path = format!("{}?{}", path.join("/"), query.join("&"));
    let request = of(who, route.method.clone(), path.trim_end_matches('?'));
    match route.takes {
        Takes::Nothing => request,
        Takes::Json(_) => request.set_json(json!({})),
        Takes::MergePatch(_) => request.set_payload("{}").insert_header((CONTENT_TYPE, "application/merge-patch+json")),
        Takes::Csv => request.set_payload("").insert_header((CONTENT_TYPE, "text/csv")),
    }
}

/// Everybody of [`House::new`] with a role.
pub(super) const WITH_ROLES: [(&str, Role); 4] =
    [("agent", Role::Agent), ("viewer", Role::Viewer), ("admin", Role::Admin), ("operator", Role::Operator)];
