//! REST over a real store in memory: who asks is told by the name in `Authorization`.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::body::to_bytes;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::test::TestRequest;
use actix_web::{App, HttpRequest, test};
use bellhop_adapters::secrets::MasterKeySource;
use bellhop_adapters::storage::{Database, MasterKeys, SqlTenants};
use bellhop_call::figures::{Figures, WantedFigures};
use bellhop_call::ports::{CallRecords, KeptCall, ListedCall, UnderWay, Usage, Wanted, WantedUsage};
use bellhop_call::record::Event;
use bellhop_connect::connection_test::{Action, Cause, ConnectionReport, InstanceSeen, Outcome};
use bellhop_connect::ports::{Counted, FiledHistories, History, Pending, Reader, StoreError};
use bellhop_connect::session_history_key::FiledAs;
use bellhop_tenancy::Secret;
use bellhop_tenancy::access::{Author, Credential, CredentialKind, Role, SecretHash, SignedIn, Standing, TenantRole};
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::settings::{AssistantKind, ConnectCredentials, Mistake, Ranked, Script, TenantSettings};
use bellhop_tenancy::store::{NewTenant, Tenants};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::route::{Route, Takes};
use super::{Door, Ports, Presence, Rest};
use crate::API;
use crate::ports::{
    Events, Failed, Fault, File, FileTenant, Happened, Judge, LiveCall, LiveCalls, Node, Offer, Origin, Reached,
    Reasons, Recording, Recordings, Reply, Said, SipAddress, SoFar, Trials,
};
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
mod trials;
mod usage;
mod versions;

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

/// A server that lets no failover go anywhere, and knows one script that is wrong.
struct NoTransfers;

impl Judge for NoTransfers {
    fn judge(&self, settings: &TenantSettings) -> Vec<Mistake> {
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

/// Calls that are up and over, and their conversations, in memory.
#[derive(Default)]
pub(crate) struct StandIn {
    /// An assistant that is told to wait has begun, and goes on.
    pub(crate) began: Arc<Notify>,
    pub(super) goes_on: Arc<Notify>,
    /// It was told to take no more calls.
    pub(super) is_drained: AtomicBool,
    /// Nothing can be tried.
    pub(super) is_busy: AtomicBool,
    pub(crate) up: Mutex<Vec<LiveCall>>,
    /// What has happened in each call that is up, and whether the server drains, and everybody is signed out.
    pub(crate) happened: Mutex<Vec<Event>>,
    pub(super) drains: AtomicBool,
    pub(super) all_signed_out: Arc<AtomicBool>,
    /// Tenants of the configuration's file.
    pub(super) of_file: Mutex<Vec<FileTenant>>,
    pub(crate) over: Mutex<Vec<KeptCall>>,
    /// Which of these were asked for at last.
    pub(crate) wanted: Mutex<Option<Wanted>>,
    /// The recording of `log-s1`.
    pub(crate) recorded: Mutex<Option<Vec<u8>>>,
    pub(super) conversations: Mutex<Vec<(FiledAs, History)>>,
    /// How often one of them was read, or was to be: twice it may.
    reads: AtomicUsize,
    /// How much was called, as it is told.
    pub(super) used: Mutex<Vec<Usage>>,
    /// Which of that was asked for at last.
    pub(super) asked: Mutex<Option<WantedUsage>>,
    /// Figures, as they are told.
    pub(crate) figures: Mutex<Figures>,
    /// Which of them were asked for at last.
    pub(super) figured: Mutex<Option<WantedFigures>>,
    /// Calls that are up on some server.
    pub(crate) under_way: Mutex<Vec<UnderWay>>,
}

impl LiveCalls for StandIn {
    fn list(&self, tenant: Option<&str>) -> Vec<LiveCall> {
        let up = self.up.lock().expect("no panic");
        up.iter().filter(|call| tenant.is_none_or(|tenant| call.tenant == tenant)).cloned().collect()
    }

    fn hang_up(&self, tenant: Option<&str>, call: &str) -> bool {
        let found = self.list(tenant).into_iter().any(|up| up.call == call);
        self.up.lock().expect("no panic").retain(|up| !(found && up.call == call));
        found
    }

    fn so_far(&self, tenant: Option<&str>, call: &str) -> Option<SoFar> {
        let is_named = |up: &LiveCall| up.call == call || up.facts.as_ref().is_some_and(|facts| facts.session == call);
        let call = self.list(tenant).into_iter().find(is_named)?;
        Some(SoFar { call, is_up: true, first: 1, events: self.happened.lock().expect("no panic").clone() })
    }

    fn events(&self, tenant: Option<&str>, call: &str, after: u64) -> Option<Box<dyn Events>> {
        let found = self.list(tenant).into_iter().any(|up| up.call == call);
        found.then(|| Box::new(Three(after)) as Box<dyn Events>)
    }

    fn is_draining(&self) -> bool {
        self.drains.load(Ordering::Relaxed)
    }
}

/// Three events, of which the first is kept no more, and the end. After the ninth nothing ever comes.
struct Three(u64);

impl Events for Three {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Happened>> + Send + '_>> {
        if self.0 >= 9 {
            return Box::pin(std::future::pending());
        }
        self.0 += 1;
        let number = self.0;
        Box::pin(std::future::ready(match number {
            1 => Some(Happened::Missed { count: 1, number }),
            2 | 3 => Some(Happened::Event { number, json: format!("{{\"left\":{}}}", 3 - number) }),
            _ => None,
        }))
    }
}

impl CallRecords for StandIn {
    fn find_call<'a>(&'a self, name: &'a str) -> bellhop_call::ports::Answer<'a, Option<KeptCall>> {
        let over = self.over.lock().expect("no panic");
        // By its Call-ID too, which stands in its details here.
        let found =
            over.iter().find(|kept| kept.session == name || kept.call == name || kept.details == format!("\"{name}\""));
        Box::pin(std::future::ready(Ok(found.cloned())))
    }

    fn latest<'a>(&'a self, wanted: &'a Wanted, count: u32) -> bellhop_call::ports::Answer<'a, Vec<ListedCall>> {
        *self.wanted.lock().expect("no panic") = Some(wanted.clone());
        let over = self.over.lock().expect("no panic");
        let is_wanted = |kept: &&KeptCall| {
            let ended = |reason: &String| kept.details.contains(&format!("\"end_reason\":\"{reason}\""));
            wanted.tenant.as_ref().is_none_or(|tenant| kept.tenant == *tenant)
                && wanted.reason.as_ref().is_none_or(ended)
                && wanted.from_unix_ms.is_none_or(|from| kept.began_unix_ms >= from)
                && wanted.until_unix_ms.is_none_or(|until| kept.began_unix_ms < until)
        };
        let mut found: Vec<ListedCall> = over.iter().filter(is_wanted).map(ListedCall::of).collect();
        found.sort_by_key(|call| (std::cmp::Reverse(call.began_unix_ms), call.session.clone()));
        if let Some((began, session)) = &wanted.after {
            found.retain(|call| {
                call.began_unix_ms < *began || (call.began_unix_ms == *began && call.session > *session)
            });
        }
        found.truncate(count as usize);
        Box::pin(std::future::ready(Ok(found)))
    }

    fn usage<'a>(&'a self, wanted: &'a WantedUsage, count: u32) -> bellhop_call::ports::Answer<'a, Vec<Usage>> {
        *self.asked.lock().expect("no panic") = Some(wanted.clone());
        let mut used = self.used.lock().expect("no panic").clone();
        used.retain(|used| wanted.tenant.as_ref().is_none_or(|tenant| used.tenant == *tenant));
        if let Some((period, tenant)) = &wanted.after {
            let last = used.iter().position(|used| used.period == *period && used.tenant == *tenant);
            used.drain(..last.map_or(0, |last| last + 1));
        }
        used.truncate(count as usize);
        Box::pin(std::future::ready(Ok(used)))
    }

    fn figures<'a>(&'a self, wanted: &'a WantedFigures) -> bellhop_call::ports::Answer<'a, Figures> {
        *self.figured.lock().expect("no panic") = Some(wanted.clone());
        Box::pin(std::future::ready(Ok(self.figures.lock().expect("no panic").clone())))
    }

    fn up<'a>(&'a self, tenant: &'a str, count: u32) -> bellhop_call::ports::Answer<'a, Vec<UnderWay>> {
        let mut up = self.under_way.lock().expect("no panic").clone();
        up.retain(|call| call.opening.tenant == tenant);
        up.truncate(count as usize);
        Box::pin(std::future::ready(Ok(up)))
    }
}

impl Recordings for StandIn {
    fn find(&self, tenant: String, call: String) -> Pending<std::io::Result<Option<Box<dyn Recording>>>> {
        let bytes = self.recorded.lock().expect("no panic").clone();
        let found = bytes.filter(|_| tenant == "acme" && call == "log-s1").map(|bytes| Box::new(bytes) as _);
        Box::pin(std::future::ready(Ok(found)))
    }
}

impl Recording for Vec<u8> {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, at: u64, bytes: usize) -> Pending<std::io::Result<Vec<u8>>> {
        let piece = self[at as usize..].iter().copied().take(bytes.min(3)).collect();
        Box::pin(std::future::ready(Ok(piece)))
    }
}

impl File for StandIn {
    fn tenants(&self) -> Vec<FileTenant> {
        self.of_file.lock().expect("no panic").clone()
    }
}

impl Reached for StandIn {
    fn sip_address(&self) -> SipAddress {
        SipAddress {
            host: Some("sip.bellhop.example".into()),
            port: 5061,
            protocol: "TCP",
            is_encrypted: true,
            told: vec![],
        }
    }
}

impl Node for StandIn {
    fn name(&self) -> &str {
        "this:1"
    }

    fn drain(&self) -> Result<(), String> {
        self.is_drained.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl FiledHistories for StandIn {
    fn find_history(&self, name: &FiledAs) -> Pending<Result<Option<History>, StoreError>> {
        let all = self.conversations.lock().expect("no panic");
        let found = all.iter().find(|(filed, _)| filed == name).map(|(_, history)| history.clone());
        Box::pin(std::future::ready(Ok(found)))
    }

    fn count_read(&self, _: &FiledAs, _: &Reader) -> Pending<Result<Counted, StoreError>> {
        let reads = self.reads.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(if reads < 2 { Counted::New } else { Counted::UsedUp })))
    }
}

impl Trials for StandIn {
    fn service(&self, settings: TenantSettings) -> Pending<Result<String, Failed>> {
        let heard = settings.speech_to_text.len() + settings.text_to_speech.len();
        Box::pin(std::future::ready(match (heard, self.is_busy.load(Ordering::Relaxed)) {
            (1, false) => Ok("it answers".to_owned()),
            (1, true) => Err(Failed::Untried("this server is busy")),
            _ => Err(Failed::Tried(Fault::Unavailable, heard.to_string())),
        }))
    }

    fn speech(&self, _: TenantSettings, text: String) -> Pending<Result<Vec<u8>, Failed>> {
        let speech = if text == "nothing" {
            Err(Failed::Tried(Fault::Silent, "it is mute".to_owned()))
        } else {
            Ok(text.into_bytes())
        };
        Box::pin(std::future::ready(speech))
    }

    fn offers(&self, _: TenantSettings) -> Pending<Result<Vec<Offer>, Failed>> {
        Box::pin(std::future::ready(Err(Failed::Tried(Fault::Overdue, "it does not answer".to_owned()))))
    }

    fn assistant(&self, settings: TenantSettings, said: Said, context: Value) -> Pending<Result<Reply, Failed>> {
        let said = match said {
            Said::Nothing => None,
            Said::Words(words) => Some(words),
            Said::Digits(digits) => Some(format!("keys {digits}")),
            Said::Silence => Some("silence".to_owned()),
        };
        let waits = (said.as_deref() == Some("wait")).then(|| (self.began.clone(), self.goes_on.clone()));
        let responses = vec![json!({"said": said, "assistants": settings.assistant.len()})];
        Box::pin(async move {
            if let Some((began, goes_on)) = waits {
                began.notify_one();
                goes_on.notified().await;
            }
            Ok(Reply { responses, context })
        })
    }

    fn connection(&self, settings: TenantSettings, _: Origin) -> Pending<Result<ConnectionReport, Vec<Mistake>>> {
        let connect = settings.connect.expect("it was asked for");
        let ConnectCredentials::Keys(key) = &connect.credentials else { panic!("keys") };
        if key.access_key_id.expose() == "unusable" {
            let mistake = Mistake::of_value("connect.access_key_id", "cannot be used here");
            return Box::pin(std::future::ready(Err(vec![mistake])));
        }
        if key.access_key_id.expose() == "refused" {
            let outcome = Outcome::Invalid { action: Action::UpdateContactAttributes, cause: Cause::SecretWrong };
            return Box::pin(std::future::ready(Ok(ConnectionReport { outcome, requests: vec![] })));
        }
        let good = key.secret_access_key.expose() == "s3cret-key";
        let instance = if good { InstanceSeen::Active } else { InstanceSeen::NotAllowed };
        let report = ConnectionReport { outcome: Outcome::Valid { instance }, requests: vec![] };
        Box::pin(std::future::ready(Ok(report)))
    }

    fn log_webhook(&self, settings: TenantSettings) -> Pending<Result<String, Failed>> {
        let webhook = settings.records.webhook.expect("it was asked for");
        let knows_it = webhook.secret.expose() == "s3cret-log";
        let came = if knows_it { Ok("it answered 200".to_owned()) } else { Err("it answered 401".to_owned()) };
        Box::pin(std::future::ready(came.map_err(|told| Failed::Tried(Fault::Unavailable, told))))
    }
}

impl Reasons for StandIn {
    fn explain(&self, reason: &str) -> (String, String) {
        (format!("it is {reason}"), "do nothing".to_owned())
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
        judge: Arc::new(NoTransfers),
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
