//! A stand-in for Amazon Connect: UpdateContactAttributes and DescribeInstance over HTTP, with contacts that are in a flow,
//! and STS AssumeRole beside them; and what an administrator sets the Amazon side up by (`provisioning.rs`).
//!
//! It refuses what the real API refuses: a wrong signature (SigV4, five minutes of skew), keys it does not know, what a
//! key's policy does not allow, unknown fields, bad names, more than 32,768 bytes, contacts and instances it does not know.
//! Invariant: what it accepts is in the contact's attributes before its 200 goes out.

mod access;
mod api;
mod iam;
mod model;
mod provisioning;
mod sts;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use actix_web::web::Data;
use bellhop_connect::InstanceArn;

use crate::flow::{BadFlow, Flow, Stop, TransferOutcome};
use crate::serve_http;
pub use crate::sigv4::AccessKey;
use access::Access;
pub use access::{ACTIONS, Role};
pub use provisioning::{FREE_NUMBER, Provisioned};

/// What the stand-in does wrong next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Answers with this status and error type, whoever asks for what.
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
    lends: bool,
    state: Mutex<State>,
}

struct State {
    access: Access,
    /// What the instance says of itself; none if it is not there.
    status: Option<String>,
    /// By how many seconds the clock here is ahead.
    clock_ahead_s: i64,
    contacts: BTreeMap<String, Flow>,
    written: Vec<Written>,
    refused: Vec<(u16, String)>,
    misbehave: VecDeque<Misbehaviour>,
    flow: String,
    provisioned: Provisioned,
    /// The names of operations that set something up or looked for it, in order.
    provisioning: Vec<String>,
}

impl StandIn {
    /// A stand-in of one instance, with a key that may do everything. `lends` makes it know every contact it is asked about.
    pub fn new(instance: InstanceArn, key: AccessKey, lends: bool) -> Self {
        let state = State {
            access: Access::new(&instance.account, key),
            status: Some("ACTIVE".to_owned()),
            clock_ahead_s: 0,
            contacts: BTreeMap::new(),
            written: vec![],
            refused: vec![],
            misbehave: VecDeque::new(),
            flow: crate::flow::SAMPLE.to_owned(),
            provisioned: Provisioned::default(),
            provisioning: vec![],
        };
        Self(Arc::new(Inner { instance, lends, state: Mutex::new(state) }))
    }

    /// From now on this key, whether it is new or known, may do these [`ACTIONS`] and nothing else.
    pub fn allow(&self, key: AccessKey, actions: &[&str]) {
        self.state().access.allow(key, actions);
    }

    /// From now on this key may do everything, and set up what callers need.
    pub fn administrator(&self, key: AccessKey) {
        self.state().access.add_administrator(key);
    }

    /// What was set up.
    pub fn provisioned(&self) -> Provisioned {
        self.state().provisioned.clone()
    }

    /// By which operations, in order; those that only look are among them.
    pub fn provisioning(&self) -> Vec<String> {
        self.state().provisioning.clone()
    }

    /// There is a role, in place of one of its name.
    pub fn add_role(&self, role: Role) {
        self.state().access.add_role(role);
    }

    /// The sessions that keys of roles are of are over.
    pub fn end_sessions(&self) {
        self.state().access.end_sessions();
    }

    /// The names of all sessions that began, in order.
    pub fn sessions(&self) -> Vec<String> {
        self.state().access.began.clone()
    }

    /// What the instance says of itself from now on; with none, it is not there.
    pub fn instance_is(&self, status: Option<&str>) {
        self.state().status = status.map(str::to_owned);
    }

    /// The clock here is ahead of everybody else's by so many seconds.
    pub fn clock_is_ahead(&self, seconds: i64) {
        self.state().clock_ahead_s = seconds;
    }

    /// The time by the clock here.
    fn now(&self) -> SystemTime {
        let (ahead, now) = (self.state().clock_ahead_s, SystemTime::now());
        let by = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { now - by } else { now + by }
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
            app.app_data(data.clone()).default_service(actix_web::web::to(api::handle));
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
}
