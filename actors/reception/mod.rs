//! Reception: what must outlive a call. It admits, starts calls on their shards, hears of their end, and takes the
//! teardown plan of those that cannot leave by themselves.
//!
//! Invariant: every call that began is closed exactly once: its teardown plan taken, its places and ports returned, its end
//! counted.

pub mod admission;
pub mod departures;
pub mod last_resort;
mod refusing;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message};
use actix_rt::ArbiterHandle;
use bellhop_connect::ContactReference;
use bellhop_dialogue::call_facts::CallFacts;
use bellhop_sip::dialog::teardown::Teardown;
use bellhop_sip::endpoint;
use bellhop_sip::message::{NameAddr, StatusCode};
use bellhop_sip::networks::{self, Source};
use bellhop_sip::sdp::LocalMedia;
use bellhop_sip::sdp::crypto::KeyMaterial;
use bellhop_sip::source_guard::Offence;
use bellhop_sip::{DialogId, Hop, Request};
use bellhop_tenancy::directory::Directory;

use crate::call::messages::CallEnded;
use crate::call::supervisor::Call;
use crate::call::{NewCall, OpenPort, ToReception};
use crate::drive::Tell;
use crate::metrics;
use crate::node::call_registry::{CallId, CallRegistry, TeardownPlan};
use crate::node::refused::{Numbers, Why};
use crate::services::{Observer, Services};
use crate::signalling::endpoint::SipEndpoint;
use crate::signalling::messages::{CallOffered, EndpointInput, Trust};
use crate::supervision::watchdog::HUNG_AFTER;
use crate::supervision::{ChildDown, ChildName, Exit, Linked, Strike, spawn_linked};
use admission::{Admission, Admitted, Origin, Told, Verdict};
use bellhop_call::ending::{Ending, Refusal};
use bellhop_call::failure::Fault;
use bellhop_call::fault_injection::FaultInjection;
pub use departures::{Drain, LeaveNow};
use departures::{Pace, Terminating};

/// How long calls have to leave once the drain's deadline has passed.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(3);
/// How long calls have to leave when somebody is in a hurry.
pub const HURRY_WITHIN: Duration = Duration::from_millis(500);
/// Calls that are answered only to be ended, at once; more are refused with 503.
pub(crate) const TURNED_AWAY_MAX: usize = 64;
/// Those of one source.
pub const TURNED_AWAY_PER_SOURCE_MAX: usize = 8;
/// Messages that may wait for Reception.
pub(crate) const MAILBOX: usize = 4096;
/// How long an injected fault blocks the thread of Reception: the main thread has been given up long before.
const BLOCKED_FOR: Duration = Duration::from_secs(3600);
/// Messages that may wait for a call's supervisor.
pub(crate) const CALL_MAILBOX: usize = 256;

/// What Reception needs to know.
pub struct ReceptionSettings {
    /// Tenants, limits and ports.
    pub admission: Admission,
    /// The address that session descriptions name.
    pub media_address: IpAddr,
    /// Opens a leg's port; called on the call's thread.
    pub open_port: OpenPort,
    /// The threads that carry calls, in turn.
    pub shards: Vec<ArbiterHandle>,
    /// Starts another such thread, where one has ended.
    pub new_shard: Arc<dyn Fn() -> ArbiterHandle + Send + Sync>,
    /// Every call that is up, with its teardown plan.
    pub registry: Arc<CallRegistry>,
    /// A fault to inject: which child dies of what, in which phase.
    pub fault_injection: Option<FaultInjection>,
    /// Hears of refused calls.
    pub observer: Option<Arc<dyn Observer>>,
    /// How much of a number it is shown.
    pub numbers: Numbers,
}

/// Admits calls, and outlives them: it opens their teardown plans.
pub struct Reception {
    settings: ReceptionSettings,
    endpoint: Option<Addr<SipEndpoint>>,
    next_call: u64,
    next_shard: usize,
    shard_of: HashMap<CallId, usize>,
    /// Calls whose teardown is on the wire, or whose record has come.
    terminating: HashMap<CallId, Terminating>,
    /// Calls that are answered only to be ended, and where they came from.
    turned_away: HashMap<CallId, Source>,
    /// Keys that are being made void: the process does not end before.
    voiding: usize,
    pace: Pace,
    drained: Option<Drain>,
}

/// Tells Reception which endpoint is its own.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attach(pub Addr<SipEndpoint>);

/// From now on these tenants are served; a call keeps what it began with.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Serve(pub Arc<Directory<Services>>);

/// A call did not beat: found by the watchdog.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CallHung(pub CallId);

/// A call's own end, reported from its thread.
#[derive(Message)]
#[rtype(result = "()")]
struct CallDown {
    id: CallId,
    down: ChildDown,
}

impl Reception {
    /// A reception without an endpoint yet.
    pub fn new(settings: ReceptionSettings) -> Self {
        let next_call = rand::random::<u64>() & !0xffff_ffff;
        Self {
            settings,
            endpoint: None,
            next_call,
            next_shard: 0,
            shard_of: HashMap::new(),
            terminating: HashMap::new(),
            turned_away: HashMap::new(),
            voiding: 0,
            pace: Pace::Orderly,
            drained: None,
        }
    }

    fn endpoint(&self) -> &Addr<SipEndpoint> {
        self.endpoint.as_ref().expect("the endpoint is attached before it offers calls")
    }

    fn admit(&mut self, offered: CallOffered, admitted: Admitted, ctx: &mut Context<Self>) {
        let CallOffered { key, invite, hop, mut local, local_tag, .. } = offered;
        let listed = networks::listing(&admitted.services.integration.sources, hop.remote.ip());
        local.networks = local.networks.iter().chain(listed).copied().collect();
        let id = CallId(self.next_call);
        self.next_call += 1;
        let now = crate::now();
        let tenant = admitted.services.integration.tenant.name.clone();
        let Some(dialog) = dialog_id(&invite, &local_tag) else { return };
        // The teardown plan before the call: should its thread never run, the caller is answered all the same.
        let response = invite.respond(StatusCode(503), Some(&local_tag)).with("Retry-After", "5");
        let teardown = Teardown::Reject { key: key.clone(), response };
        let plan = TeardownPlan { dialog, teardown, blank: None, void: None };
        self.settings.registry.open(id, &tenant, now, plan);
        let _in_call = self.settings.registry.span(id).entered();
        if let Some(claim) = admitted.claim {
            self.settings.registry.hold(id, claim);
        }
        metrics::call_began(&tenant);
        note_contact(&tenant, hop, &admitted.contact);
        let media = SocketAddr::new(self.settings.media_address, admitted.ports.rtp());
        let policy = admitted.services.media.clone();
        let facts = call_facts(&invite, admitted.caller, admitted.dialled, &admitted.services.invite_headers);
        let new_call = NewCall {
            id,
            key,
            invite,
            hop,
            local,
            local_tag,
            began: now,
            // This one is in the registry already.
            active_calls: self.settings.registry.len().saturating_sub(1),
            media: LocalMedia {
                codecs: Arc::clone(&policy.codecs),
                security: policy.security,
                ..LocalMedia::new(media, id.0 & 0x7fff_ffff, key_material())
            },
            services: admitted.services,
            contact: admitted.contact,
            permits: admitted.permits,
            unacknowledged: admitted.unacknowledged,
            ports: admitted.ports,
            port_pool: self.settings.admission.ports.clone(),
            open_port: Arc::clone(&self.settings.open_port),
            facts: Arc::new(facts),
            registry: Arc::clone(&self.settings.registry),
            endpoint: self.endpoint().clone(),
            reception: ToReception::of(&ctx.address()),
            fault_injection: self.settings.fault_injection,
        };
        let reception = ctx.address();
        self.place_on_shard(id).spawn_fn(move || start_call(new_call, reception));
    }

    /// The shard of a new call: each in turn. One whose thread has ended is replaced first.
    fn place_on_shard(&mut self, call: CallId) -> &ArbiterHandle {
        let shard = self.next_shard % self.settings.shards.len();
        self.next_shard += 1;
        self.shard_of.insert(call, shard);
        if !self.settings.shards[shard].spawn_fn(|| {}) {
            tracing::error!(shard, "a thread that carried calls has ended: another takes its place");
            self.settings.shards[shard] = (self.settings.new_shard)();
        }
        &self.settings.shards[shard]
    }
}

/// What is not as it should be with a call's contact is told.
fn note_contact(tenant: &str, hop: Hop, contact: &ContactReference) {
    let source = hop.remote.ip();
    if let Some(reference) = &contact.sent_as_text {
        metrics::sent_as_text(tenant);
        tracing::warn!(%source, "{reference}");
    }
    if let Some(why) = contact.unknown {
        metrics::contact_unknown(tenant, why);
        tracing::warn!(%source, reason = why.label(), "the call is served without its contact: {}", why.sentence());
    }
}

/// What the record and the assistant are told of a call: its parties as written, what names it, and the headers that the tenant wants.
fn call_facts(invite: &Request, caller: String, dialled: String, wanted: &[String]) -> CallFacts {
    let header = |name: &str| invite.headers.get(name).unwrap_or_default();
    let uri = |name| NameAddr::parse(header(name)).map(|address| address.uri.to_string()).unwrap_or_default();
    let given = wanted.iter().filter_map(|name| Some((name.clone(), invite.headers.get(name)?.to_owned())));
    CallFacts {
        caller,
        dialled,
        sip_call_id: header("Call-ID").to_owned(),
        sip_request_uri: invite.uri.to_string(),
        sip_from_uri: uri("From"),
        sip_to_uri: uri("To"),
        invite_headers: given.collect(),
    }
}

/// What the keys of one call are made of.
fn key_material() -> KeyMaterial {
    let mut bytes = [0; 92];
    rand::fill(&mut bytes[..]);
    KeyMaterial(bytes)
}

/// Runs on the shard's thread: the call lives here from now on.
fn start_call(new_call: NewCall, reception: Addr<Reception>) {
    let id = new_call.id;
    let registry = Arc::clone(&new_call.registry);
    let _in_call = registry.span(id).entered();
    let report = move |down| {
        forget_call(id);
        reception.do_send(CallDown { id, down });
    };
    let call = spawn_linked(ChildName::Call, CALL_MAILBOX, report, |ctx, link| {
        registry.reachable(id, ctx.address().recipient());
        Call::new(new_call, link)
    });
    CALLS.with_borrow_mut(|calls| calls.insert(id, call));
}

/// Drops a call's supervisor, and with it the call; on the call's thread.
fn forget_call(id: CallId) {
    let call = CALLS.with_borrow_mut(|calls| calls.remove(&id));
    drop(call);
}

/// How many supervisors live on this thread.
pub fn calls_on_this_thread() -> usize {
    CALLS.with_borrow(HashMap::len)
}

thread_local! {
    /// The supervisors of this shard; dropping one would end its call.
    static CALLS: std::cell::RefCell<HashMap<CallId, Linked<Call>>> = std::cell::RefCell::default();
}

fn dialog_id(invite: &bellhop_sip::Request, local_tag: &str) -> Option<DialogId> {
    Some(DialogId {
        call_id: invite.headers.get("Call-ID")?.to_owned(),
        local_tag: local_tag.to_owned(),
        remote_tag: NameAddr::tag_in(invite.headers.get("From")?).ok()?.unwrap_or_default().into_owned(),
    })
}

impl Actor for Reception {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(Duration::from_secs(1), |this, _| {
            metrics::ports_free(this.settings.admission.ports.free(crate::now()));
        });
    }
}

impl Handler<Attach> for Reception {
    type Result = ();

    fn handle(&mut self, Attach(endpoint): Attach, _: &mut Self::Context) {
        self.endpoint = Some(endpoint);
    }
}

impl Handler<Serve> for Reception {
    type Result = ();

    fn handle(&mut self, Serve(directory): Serve, _: &mut Self::Context) {
        let networks = directory.all().iter().flat_map(|services| services.integration.sources.iter().copied());
        self.endpoint().do_send(Trust(networks.collect()));
        self.settings.admission.directory = directory;
    }
}

impl Handler<CallOffered> for Reception {
    type Result = ();

    fn handle(&mut self, offered: CallOffered, ctx: &mut Self::Context) {
        let CallOffered { hop, restricted, .. } = offered;
        let origin = Origin { hop, server_name: offered.server_name.as_deref(), restricted };
        let verdict = self.settings.admission.judge(crate::now(), &offered.invite, origin);
        let refuse = |response, offence| {
            let (key, invite) = (offered.key.clone(), offered.invite.clone());
            Tell(EndpointInput::Refuse(endpoint::Refusal { key, invite, response, hop, offence }))
        };
        match verdict {
            Verdict::Admit(admitted) => {
                let (key, trying) = (offered.key.clone(), offered.invite.trying());
                self.endpoint().do_send(Tell(EndpointInput::Taken { key, trying, hop }));
                metrics::call_offered(&admitted.services.integration.tenant.name);
                self.admit(offered, *admitted, ctx);
            }
            Verdict::AnswerThenBye { tenant, refusal, why } => {
                metrics::call_offered(&tenant);
                self.answer_then_bye(offered, &tenant, refusal, why, ctx);
            }
            Verdict::Challenge { challenges, told } => {
                if let Some(told) = told {
                    self.refused(&offered, StatusCode(401), told);
                }
                let response = offered.invite.respond(StatusCode(401), Some(&offered.local_tag));
                let response = challenges.iter().fold(response, |r, value| r.with("WWW-Authenticate", value));
                self.endpoint().do_send(refuse(response, Some(Offence::Challenged)));
            }
            Verdict::Redirect { target, tenant } => {
                metrics::call_offered(&tenant);
                metrics::call_ended(&tenant, Ending::Refused(Refusal::NoPorts).label());
                self.refused(&offered, StatusCode(302), Told { why: Why::NoPorts, of: vec![tenant] });
                let response = offered.invite.respond(StatusCode(302), Some(&offered.local_tag));
                self.endpoint().do_send(refuse(response.with("Contact", format!("<{target}>")), None));
            }
            Verdict::Refuse { status, refusal, tenant, told } => {
                metrics::call_ended(tenant.as_deref().unwrap_or("none"), Ending::Refused(refusal).label());
                self.refused(&offered, status, told);
                let response = offered.invite.respond(status, Some(&offered.local_tag));
                let response = match refusal {
                    Refusal::NotAcceptable => response.with("Warning", "399 bellhop \"SRTP keys need TLS signalling\""),
                    _ if status.0 == 503 => response.with("Retry-After", "5"),
                    _ => response,
                };
                let offence = (refusal == Refusal::UnknownNumber).then_some(Offence::Refused);
                self.endpoint().do_send(refuse(response, offence));
            }
        }
    }
}

impl Handler<CallEnded> for Reception {
    type Result = ();

    fn handle(&mut self, ended: CallEnded, ctx: &mut Self::Context) {
        self.close_for(ended.id, &ended.ending, ended.headers, ctx);
    }
}

impl Handler<CallDown> for Reception {
    type Result = ();

    fn handle(&mut self, CallDown { id, down }: CallDown, ctx: &mut Self::Context) {
        let _in_call = self.settings.registry.span(id).entered();
        if down.exit != Exit::Finished {
            tracing::error!(exit = ?down.exit, "a call's supervisor died");
        }
        self.close_for(id, &Ending::of_supervisor(&down.exit), vec![], ctx);
        self.shard_of.remove(&id);
        if let Some(tenant) = self.settings.registry.close(id) {
            metrics::call_over(&tenant, down.ran_for);
        }
        self.settle(id);
        self.look_for_the_end();
    }
}

impl Handler<Strike> for Reception {
    type Result = ();

    fn handle(&mut self, Strike(fault): Strike, _: &mut Self::Context) {
        if fault == Fault::BlockReception {
            std::thread::sleep(BLOCKED_FOR);
        }
        panic!("a fault was injected");
    }
}

impl Handler<CallHung> for Reception {
    type Result = ();

    fn handle(&mut self, CallHung(id): CallHung, ctx: &mut Self::Context) {
        let _in_call = self.settings.registry.span(id).entered();
        metrics::call_hung();
        tracing::error!(silent_for = ?HUNG_AFTER, "a call is hung");
        self.close_for(id, &Ending::of_supervisor(&Exit::Overdue), vec![], ctx);
        // Should its thread ever run again, the call is dropped there.
        if let Some(shard) = self.shard_of.get(&id) {
            self.settings.shards[*shard].spawn_fn(move || forget_call(id));
        }
    }
}
