//! A stand-in for Amazon Connect: the API UpdateContactAttributes over HTTP, with contacts that are in a flow.
//!
//! It refuses what the real API refuses: a wrong signature (SigV4, five minutes of skew), unknown fields, bad names, more
//! than 32,768 bytes, contacts and instances it does not know. Invariant: what it accepts is in the contact's attributes
//! before its 200 goes out.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use bellhop_connect::InstanceArn;
use serde_json::{Value, json};

use crate::flow::{BadFlow, Flow, Stop, TransferOutcome};
use crate::serve_http;
use crate::sigv4;
pub use crate::sigv4::AccessKey;

/// What the stand-in does wrong next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Answers with this status and error type.
    Refuse(u16, &'static str),
    /// Waits before it answers as it should.
    Delay(Duration),
    /// Carries the request out and never answers.
    CarryOutAndHang,
}

/// One request that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Which contact.
    pub contact_id: String,
    /// What was written.
    pub attributes: BTreeMap<String, String>,
}

/// The stand-in; clones share their state.
#[derive(Clone)]
pub struct StandIn(Arc<Inner>);

struct Inner {
    instance: InstanceArn,
    key: AccessKey,
    lends: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    contacts: BTreeMap<String, Flow>,
    written: Vec<Written>,
    refused: Vec<(u16, String)>,
    misbehave: VecDeque<Misbehaviour>,
    flow: String,
}

impl StandIn {
    /// A stand-in of one instance. `lends` makes it know every contact it is asked about.
    pub fn new(instance: InstanceArn, key: AccessKey, lends: bool) -> Self {
        let state = State { flow: crate::flow::SAMPLE.to_owned(), ..State::default() };
        Self(Arc::new(Inner { instance, key, lends, state: Mutex::new(state) }))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Contacts that arrive from now on run the sample flow with the agent's page at this `http.public_url`.
    pub fn agents_page_at(&self, public_url: &str) {
        self.state().flow = crate::flow::SAMPLE.replace(crate::flow::SAMPLE_PUBLIC_URL, public_url);
    }

    /// The headers that Amazon Connect's leg to the gateway brings, hex as it sends it: whose call it is, and the
    /// User-to-User information that the flow passes on.
    pub fn headers(&self, contact_id: &str, user_to_user: &str) -> Vec<(String, String)> {
        let hex: String = user_to_user.bytes().map(|byte| format!("{byte:02x}")).collect();
        let headers = [
            ("X-Amzn-ConnectContactId", contact_id.to_owned()),
            ("X-Amzn-ConnectInitialContactId", contact_id.to_owned()),
            ("X-Amzn-SourceArn", self.0.instance.to_string()),
            ("User-to-User", format!("{hex};encoding=hex")),
        ];
        headers.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// A contact enters the flow and comes to its transfer.
    pub fn contact_arrives(&self, contact_id: &str, caller: &str, dialled: &str) -> Result<Stop, BadFlow> {
        let mut flow = self.new_flow(contact_id, caller, dialled)?;
        let stop = flow.run()?;
        self.state().contacts.insert(contact_id.to_owned(), flow);
        Ok(stop)
    }

    /// The contact's call to the gateway is over.
    pub fn call_over(&self, contact_id: &str, outcome: TransferOutcome) -> Result<Stop, BadFlow> {
        let mut state = self.state();
        let flow = state.contacts.get_mut(contact_id).ok_or_else(|| BadFlow("no such contact".into()))?;
        flow.transferred(outcome)
    }

    /// Writes an attribute of a contact, as a request that was accepted does.
    pub fn write(&self, contact_id: &str, name: &str, value: &str) {
        if let Some(flow) = self.state().contacts.get_mut(contact_id) {
            flow.attributes.insert(name.to_owned(), value.to_owned());
        }
    }

    /// The contact's attributes.
    pub fn attributes(&self, contact_id: &str) -> BTreeMap<String, String> {
        self.state().contacts.get(contact_id).map(|flow| flow.attributes.clone()).unwrap_or_default()
    }

    /// The actions the contact's flow took.
    pub fn path(&self, contact_id: &str) -> Vec<String> {
        self.state().contacts.get(contact_id).map(|flow| flow.path.clone()).unwrap_or_default()
    }

    /// Everything that was accepted, in order.
    pub fn written(&self) -> Vec<Written> {
        self.state().written.clone()
    }

    /// Everything that was refused: status and error type.
    pub fn refused(&self) -> Vec<(u16, String)> {
        self.state().refused.clone()
    }

    /// Misbehaves with the next request; several queue up.
    pub fn misbehave(&self, how: Misbehaviour) {
        self.state().misbehave.push_back(how);
    }

    /// Serves on this address, on a thread of its own; returns where.
    pub fn serve(&self, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let data = Data::new(self.clone());
        serve_http(address, "connect-stand-in", move |app| {
            app.app_data(data.clone()).default_service(actix_web::web::to(handle));
        })
    }

    fn new_flow(&self, contact_id: &str, caller: &str, dialled: &str) -> Result<Flow, BadFlow> {
        let system = [
            ("$.InstanceARN", self.0.instance.to_string()),
            ("$.ContactId", contact_id.to_owned()),
            ("$.InitialContactId", contact_id.to_owned()),
            ("$.CustomerEndpoint.Address", caller.to_owned()),
            ("$.SystemEndpoint.Address", dialled.to_owned()),
        ];
        Flow::begin(&self.state().flow, system.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Judges a request and carries it out.
    fn update(&self, body: &[u8]) -> Result<(), (u16, &'static str, String)> {
        let invalid = |why: &str| (400, "InvalidRequestException", why.to_owned());
        let request: Value = serde_json::from_slice(body).map_err(|_| invalid("the body is not JSON"))?;
        let object = request.as_object().ok_or_else(|| invalid("the body is not an object"))?;
        let known = ["InstanceId", "InitialContactId", "Attributes"];
        if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(invalid(&format!("unknown member {name}")));
        }
        let text = |name: &str, max: usize| {
            let value = object.get(name).and_then(Value::as_str).filter(|v| (1..=max).contains(&v.len()));
            value.map(str::to_owned).ok_or_else(|| invalid(&format!("{name} is missing or too long")))
        };
        let (instance, contact) = (text("InstanceId", 100)?, text("InitialContactId", 256)?);
        let pairs =
            object.get("Attributes").and_then(Value::as_object).ok_or_else(|| invalid("Attributes is missing"))?;
        if instance != self.0.instance.instance_id {
            return Err((404, "ResourceNotFoundException", "no such instance".into()));
        }
        let lend = self.0.lends && !self.state().contacts.contains_key(&contact);
        if lend {
            let _ = self.contact_arrives(&contact, "", "");
        }
        let mut state = self.state();
        let Some(flow) = state.contacts.get_mut(&contact) else {
            return Err((404, "ResourceNotFoundException", "no such contact".into()));
        };
        let mut merged = flow.attributes.clone();
        let mut written = BTreeMap::new();
        for (name, value) in pairs {
            let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            let value = value.as_str().filter(|_| good);
            let value = value.ok_or_else(|| invalid(&format!("attribute {name} is malformed")))?;
            written.insert(name.clone(), value.to_owned());
            if value.is_empty() {
                merged.remove(name)
            } else {
                merged.insert(name.clone(), value.to_owned())
            };
        }
        if merged.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > 32_768 {
            return Err(invalid("the attributes exceed 32768 bytes"));
        }
        flow.attributes = merged;
        state.written.push(Written { contact_id: contact, attributes: written });
        Ok(())
    }
}

async fn handle(stand_in: Data<StandIn>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let misbehaviour = stand_in.state().misbehave.pop_front();
    match misbehaviour {
        Some(Misbehaviour::Refuse(status, kind)) => return refuse(&stand_in, status, kind, "as rehearsed"),
        Some(Misbehaviour::Delay(time)) => actix_web::rt::time::sleep(time).await,
        Some(Misbehaviour::CarryOutAndHang) => {
            let _ = stand_in.update(&body);
            std::future::pending::<()>().await;
        }
        None => {}
    }
    let scope = sigv4::Scope { key: &stand_in.0.key, region: &stand_in.0.instance.region, service: "connect" };
    if let Err(why) = sigv4::verify(&request, &sigv4::hash(&body), &scope, SystemTime::now()) {
        return refuse(&stand_in, 403, "InvalidSignatureException", why);
    }
    if request.method() != actix_web::http::Method::POST || request.path() != "/contact/attributes" {
        return refuse(&stand_in, 404, "UnknownOperationException", "only UpdateContactAttributes is rehearsed");
    }
    match stand_in.update(&body) {
        Ok(()) => HttpResponse::Ok().json(json!({})),
        Err((status, kind, why)) => refuse(&stand_in, status, kind, &why),
    }
}

fn refuse(stand_in: &StandIn, status: u16, kind: &str, why: &str) -> HttpResponse {
    stand_in.state().refused.push((status, kind.to_owned()));
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .insert_header(("x-amzn-ErrorType", kind))
        .json(json!({ "message": why }))
}
