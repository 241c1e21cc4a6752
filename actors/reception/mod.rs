//! Reception: what must outlive a call. It admits, starts calls on their shards, hears of their end, and opens the will of
//! those that cannot leave by themselves.
//!
//! Invariant: every call that began is closed exactly once: its will opened, its places and ports returned, its end
//! counted.

pub mod admission;
pub mod call_registry;
pub mod delivery;
pub mod doors;
pub mod last_resort;
pub mod live_contacts;
pub mod liveness;
pub mod port_pool;
pub mod sip_endpoint;
pub mod sip_transport;
pub mod tls;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, WrapFuture};
use actix_rt::ArbiterHandle;
use bellhop_dialogue::call_record::CallRecord;
use bellhop_sip::DialogId;
use bellhop_sip::dialog::leaving::Farewell;
use bellhop_sip::message::{NameAddr, StatusCode};
use bellhop_sip::networks::{self, Source};
use bellhop_sip::sdp::crypto::KeyMaterial;
use bellhop_sip::sdp::{self, LocalMedia};
use bellhop_sip::source_guard::Offence;

use crate::call::ending::{Ending, Refusal};
use crate::call::messages::CallEnded;
use crate::call::supervisor::Call;
use crate::call::{CallSeed, OpenPort, PREPARE_MAX};
use crate::metrics;
use crate::services::{Observer, RecordKeeper};
use crate::supervision::watchdog::HUNG_AFTER;
use crate::supervision::{ChildDown, ChildName, Exit, Fault, Linked, spawn_linked};
use admission::{Admission, Admitted, Origin, Verdict};
use call_registry::{CallId, CallRegistry, Void, Will};
use sip_endpoint::{CallLeft, CallOffered, CarryOut, CloseDoors, Refuse, Respond, SipEndpoint, Taken};

/// How long a key's blanking may hold a BYE up.
pub const BLANK_WITHIN: Duration = Duration::from_millis(1500);
/// How long calls have to leave once the drain's deadline has passed.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(3);
/// How long calls have to leave when somebody is in a hurry.
pub const HURRY_WITHIN: Duration = Duration::from_millis(500);
/// Calls that are answered only to be ended, at once; more are refused with 503.
pub const TURNED_AWAY_MAX: usize = 64;
/// Those of one source.
pub const TURNED_AWAY_PER_SOURCE_MAX: usize = 8;
/// The identifier of the warning that nobody answered the BYE.
pub const BYE_UNANSWERED: &str = "bye_unanswered";
/// Messages that may wait for a call's supervisor.
pub const CALL_MAILBOX: usize = 256;

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
    /// All calls.
    pub registry: Arc<CallRegistry>,
    /// A failure drill: which child dies of what, in which phase.
    pub drill: Option<Drill>,
}

/// One failure to rehearse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drill {
    /// Who.
    pub child: ChildName,
    /// In which phase.
    pub phase: crate::call::phase::PhaseName,
    /// Of what.
    pub fault: Fault,
}

/// The actor.
pub struct Reception {
    settings: ReceptionSettings,
    endpoint: Option<Addr<SipEndpoint>>,
    next_call: u64,
    next_shard: usize,
    shard_of: HashMap<CallId, usize>,
    /// Calls whose farewell is on the wire, or whose record has come.
    leaving: HashMap<CallId, Leaving>,
    /// Calls that are answered only to be ended, and where they came from.
    turned_away: HashMap<CallId, Source>,
    pace: Pace,
    drained: Option<Drain>,
}

/// What is left of a call that says goodbye.
#[derive(Default)]
struct Leaving {
    /// Its record, once the call has nothing to add.
    record: Option<FileRecord>,
    /// What came of its farewell.
    left: Option<CallLeft>,
}

/// How much time there is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Orderly,
    Hurried,
}

/// Tells Reception which endpoint is its own.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attach(pub Addr<SipEndpoint>);

/// A call did not beat: found by the watchdog.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CallHung(pub CallId);

/// Take no more calls; farewell those still there at `by`, and tell when all are gone.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// The deadline.
    pub by: Instant,
    /// Told when the last call has left.
    pub done: tokio::sync::mpsc::UnboundedSender<()>,
}

/// Every call leaves now, by its will; tells when all have left, or after [`HURRY_WITHIN`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LeaveNow {
    /// Told when all that could be said was said.
    pub done: tokio::sync::mpsc::UnboundedSender<()>,
}

/// A call has nothing to add to its record: it is kept as soon as it is known what came of the farewell.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FileRecord {
    /// Which call.
    pub id: CallId,
    /// Its record.
    pub record: CallRecord,
    /// Who keeps it.
    pub keeper: Arc<dyn RecordKeeper>,
    /// Who follows the call.
    pub observer: Option<Arc<dyn Observer>>,
}

impl FileRecord {
    fn keep(mut self, bye_unanswered: bool) {
        if bye_unanswered {
            let (_, seen) = self.record.since(usize::MAX);
            self.record.warn(crate::now(), BYE_UNANSWERED, "nobody answered the BYE, by no way there is".to_owned());
            if let Some(observer) = &self.observer {
                self.record.since(seen).0.for_each(|event| observer.saw(self.id, event));
            }
        }
        self.keeper.keep(self.record);
    }
}

/// The key of a transfer that did not come about opens nothing any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct VoidKey(pub Void);

/// A call's own end, reported from its thread.
#[derive(Message)]
#[rtype(result = "()")]
struct CallDown {
    id: CallId,
    dialog: DialogId,
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
            leaving: HashMap::new(),
            turned_away: HashMap::new(),
            pace: Pace::Orderly,
            drained: None,
        }
    }

    fn endpoint(&self) -> &Addr<SipEndpoint> {
        self.endpoint.as_ref().expect("the endpoint is attached before it offers calls")
    }

    fn admit(&mut self, offered: CallOffered, admitted: Admitted, ctx: &mut Context<Self>) {
        let CallOffered { key, invite, hop, mut local, local_tag, .. } = offered;
        let listed = networks::listing(&admitted.services.tenant.sources, hop.remote.ip());
        local.networks = local.networks.iter().chain(listed).copied().collect();
        let id = CallId(self.next_call);
        self.next_call += 1;
        let now = crate::now();
        let tenant = admitted.services.tenant.name.clone();
        let Some(dialog) = dialog_id(&invite, &local_tag) else { return };
        // The will before the call: should its thread never run, the caller is answered all the same.
        let refusal = invite.respond(StatusCode(503), Some(&local_tag)).with("Retry-After", "5");
        let farewell = Farewell::Reject { key: key.clone(), response: refusal };
        self.settings.registry.open(
            id,
            &tenant,
            now,
            Will { dialog: dialog.clone(), farewell, blank: None, void: None },
        );
        if let Some(claim) = admitted.claim {
            self.settings.registry.hold(id, claim);
        }
        metrics::call_began(&tenant);
        if let Some(why) = admitted.contact.unknown {
            metrics::contact_unknown(&tenant, why);
            tracing::warn!(call = %id, tenant, source = %hop.remote.ip(), reason = why.label(), "the call is served without its contact: {}", why.sentence());
        }
        let media = SocketAddr::new(self.settings.media_address, admitted.ports.rtp());
        let policy = admitted.services.media.clone();
        let seed = CallSeed {
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
            dialled: admitted.dialled,
            caller: admitted.caller,
            registry: Arc::clone(&self.settings.registry),
            endpoint: self.endpoint().clone(),
            reception: ctx.address(),
            drill: self.settings.drill,
        };
        let reception = ctx.address();
        let shard = self.next_shard % self.settings.shards.len();
        self.next_shard += 1;
        self.shard_of.insert(id, shard);
        if !self.settings.shards[shard].spawn_fn(|| {}) {
            tracing::error!(shard, "a thread that carried calls has ended: another takes its place");
            self.settings.shards[shard] = (self.settings.new_shard)();
        }
        self.settings.shards[shard].spawn_fn(move || start_call(seed, dialog, reception));
    }

    /// Answers a call only to end it: the contact flow then takes its Success branch. It has a will and is waited for like any
    /// other; a source, which may be forged, gets few of them.
    fn answer_then_bye(&mut self, offered: CallOffered, tenant: &str, refusal: Refusal, ctx: &mut Context<Self>) {
        let CallOffered { key, invite, hop, local, local_tag, .. } = offered;
        let source = Source::of(hop.remote.ip());
        let of_source = self.turned_away.values().filter(|of| **of == source).count();
        if self.turned_away.len() >= TURNED_AWAY_MAX || of_source >= TURNED_AWAY_PER_SOURCE_MAX {
            metrics::call_ended(tenant, Ending::Refused(refusal).label());
            let response = invite.respond(StatusCode(503), Some(&local_tag)).with("Retry-After", "5");
            return self.endpoint().do_send(Refuse { key, invite, response, hop, offence: None });
        }
        let media = LocalMedia::new(SocketAddr::new(self.settings.media_address, 9), 1, key_material());
        let sdp = match invite.session_description().ok().flatten() {
            None => Ok(sdp::offer(&media)),
            Some(offer) => sdp::answer(&offer, &media).map(|a| a.0),
        };
        let uas = bellhop_sip::dialog::uas::Uas::new(invite.clone(), key.clone(), hop, &local_tag, &local);
        match (sdp, uas) {
            (Ok(sdp), Ok(uas)) => {
                let id = CallId(self.next_call);
                self.next_call += 1;
                let policy = bellhop_sip::dialog::uas::BeforeAnswer::AnswerThenBye { sdp: &sdp };
                let farewell = uas.will(policy, "");
                let will = Will { dialog: uas.dialog().id.clone(), farewell, blank: None, void: None };
                self.settings.registry.open(id, tenant, crate::now(), will);
                self.turned_away.insert(id, source);
                self.close_for(id, &Ending::Refused(refusal), vec![], ctx);
            }
            _ => {
                metrics::call_ended(tenant, Ending::Refused(refusal).label());
                self.endpoint().do_send(Respond { key, response: invite.respond(StatusCode(488), Some(&local_tag)) });
            }
        }
    }

    /// Opens a call's will, if nobody has: the one farewell of every call, whatever it ended of.
    fn close_for(&mut self, id: CallId, ending: &Ending, headers: Vec<(String, String)>, ctx: &mut Context<Self>) {
        let Some(will) = self.settings.registry.open_will(id) else { return };
        if let Some(tenant) = self.settings.registry.tenant_of(id) {
            metrics::call_ended(&tenant, ending.label());
        }
        if let Some(void) = will.void.clone().filter(|_| *ending != Ending::Transferred) {
            ctx.notify(VoidKey(void));
        }
        let farewell = will.farewell.because(&ending.sip_reason()).with_headers(headers);
        self.carry_out(id, Will { farewell, ..will }, ctx);
    }

    /// Carries a will out: takes an uncertain key back first, then says goodbye.
    fn carry_out(&mut self, id: CallId, will: Will, ctx: &mut Context<Self>) {
        self.leaving.entry(id).or_default();
        let endpoint = self.endpoint().clone();
        let order = CarryOut { call: id, dialog: will.dialog, farewell: will.farewell };
        match will.blank {
            None => endpoint.do_send(order),
            Some(blank) => {
                let blanking = blank.blanker.blank(blank.contact_id, blank.names);
                let within = if self.pace == Pace::Hurried { HURRY_WITHIN / 2 } else { BLANK_WITHIN };
                let then = async move {
                    let _ = tokio::time::timeout(within, blanking).await;
                    endpoint.do_send(order);
                };
                ctx.spawn(then.into_actor(self));
            }
        }
    }

    fn look_for_the_end(&self) {
        if let Some(drain) = &self.drained
            && self.settings.registry.is_empty()
            && self.leaving.is_empty()
        {
            let _ = drain.done.send(());
        }
    }

    /// Opens every will that is still closed: those calls cannot, or may not any more, leave by themselves.
    fn close_all(&mut self, ending: &Ending, ctx: &mut Context<Self>) {
        for id in self.settings.registry.ids() {
            self.close_for(id, ending, vec![], ctx);
        }
    }

    /// Nobody waits any longer: what is known is kept.
    fn file_all(&mut self) {
        for (_, Leaving { record, left }) in self.leaving.drain() {
            if let Some(record) = record {
                record.keep(left.is_some_and(|left| left.bye_unanswered));
            }
        }
    }

    /// Keeps the record of a call of which both record and farewell are known, and forgets one that left no record.
    fn settle(&mut self, id: CallId) {
        let Some(Leaving { record, left }) = self.leaving.get_mut(&id) else { return };
        let gone = self.settings.registry.tenant_of(id).is_none();
        match (left.as_ref(), record.is_some()) {
            (Some(left), true) => {
                let bye_unanswered = left.bye_unanswered;
                if let Some(record) = record.take() {
                    record.keep(bye_unanswered);
                }
                self.leaving.remove(&id);
            }
            (Some(_), false) if gone => _ = self.leaving.remove(&id),
            (Some(_) | None, _) => {}
        }
        self.look_for_the_end();
    }
}

/// What the keys of one call are made of.
fn key_material() -> KeyMaterial {
    let mut bytes = [0; 92];
    rand::fill(&mut bytes[..]);
    KeyMaterial(bytes)
}

/// Runs on the shard's thread: the call lives here from now on.
fn start_call(seed: CallSeed, dialog: DialogId, reception: Addr<Reception>) {
    let id = seed.id;
    let registry = Arc::clone(&seed.registry);
    let report = move |down| {
        forget_call(id);
        reception.do_send(CallDown { id, dialog, down });
    };
    let call = spawn_linked(ChildName::Call, CALL_MAILBOX, report, |ctx, link| {
        registry.reachable(id, ctx.address().recipient());
        Call::new(seed, link)
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
    let from = NameAddr::parse(invite.headers.get("From")?).ok()?;
    Some(DialogId {
        call_id: invite.headers.get("Call-ID")?.to_owned(),
        local_tag: local_tag.to_owned(),
        remote_tag: from.tag().unwrap_or_default().to_owned(),
    })
}

impl Actor for Reception {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(4096);
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

impl Handler<CallOffered> for Reception {
    type Result = ();

    fn handle(&mut self, offered: CallOffered, ctx: &mut Self::Context) {
        let CallOffered { hop, restricted, .. } = offered;
        let origin = Origin { hop, server_name: offered.server_name.as_deref(), restricted };
        let verdict = self.settings.admission.judge(crate::now(), &offered.invite, origin);
        let refuse = |response, offence| Refuse {
            key: offered.key.clone(),
            invite: offered.invite.clone(),
            response,
            hop,
            offence,
        };
        match verdict {
            Verdict::Admit(admitted) => {
                let taken = Taken { key: offered.key.clone(), trying: offered.invite.trying(), hop };
                self.endpoint().do_send(taken);
                metrics::call_offered(&admitted.services.tenant.name);
                self.admit(offered, *admitted, ctx);
            }
            Verdict::AnswerThenBye { tenant, refusal } => {
                metrics::call_offered(&tenant);
                self.answer_then_bye(offered, &tenant, refusal, ctx);
            }
            Verdict::Challenge { challenges } => {
                let response = offered.invite.respond(StatusCode(401), Some(&offered.local_tag));
                let response = challenges.iter().fold(response, |r, value| r.with("WWW-Authenticate", value));
                self.endpoint().do_send(refuse(response, Some(Offence::Challenged)));
            }
            Verdict::Redirect { target, tenant } => {
                metrics::call_offered(&tenant);
                metrics::call_ended(&tenant, Ending::Refused(Refusal::NoPorts).label());
                let response = offered.invite.respond(StatusCode(302), Some(&offered.local_tag));
                self.endpoint().do_send(refuse(response.with("Contact", format!("<{target}>")), None));
            }
            Verdict::Refuse { status, refusal, tenant } => {
                let label = Ending::Refused(refusal).label();
                metrics::call_ended(tenant.as_deref().unwrap_or("none"), label);
                tracing::info!(tenant, reason = label, status = status.0, "call refused");
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

    fn handle(&mut self, CallDown { id, dialog, down }: CallDown, ctx: &mut Self::Context) {
        if down.exit != Exit::Finished {
            tracing::error!(call = %id, sip_call_id = dialog.call_id, exit = ?down.exit, "a call's supervisor died");
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

impl Handler<CallLeft> for Reception {
    type Result = ();

    fn handle(&mut self, left: CallLeft, _: &mut Self::Context) {
        let id = left.call;
        if self.turned_away.remove(&id).is_some() {
            self.settings.registry.close(id);
        }
        if let Some(leaving) = self.leaving.get_mut(&id) {
            leaving.left = Some(left);
        }
        self.settle(id);
    }
}

impl Handler<VoidKey> for Reception {
    type Result = ();

    fn handle(&mut self, VoidKey(Void { histories, name }): VoidKey, ctx: &mut Self::Context) {
        let voiding = tokio::time::timeout(PREPARE_MAX, histories.void(name)).into_actor(self);
        ctx.spawn(voiding.map(|voided, _, _| {
            if !matches!(voided, Ok(Ok(()))) {
                tracing::error!("the key of a transfer that failed could not be made void: it opens the conversation until that expires");
            }
        }));
    }
}

impl Handler<FileRecord> for Reception {
    type Result = ();

    fn handle(&mut self, record: FileRecord, _: &mut Self::Context) {
        let id = record.id;
        if self.leaving.contains_key(&id) || self.settings.registry.tenant_of(id).is_some() {
            self.leaving.entry(id).or_default().record = Some(record);
            self.settle(id);
        } else {
            record.keep(false);
        }
    }
}

impl Handler<CallHung> for Reception {
    type Result = ();

    fn handle(&mut self, CallHung(id): CallHung, ctx: &mut Self::Context) {
        metrics::call_hung();
        tracing::error!(call = %id, silent_for = ?HUNG_AFTER, "a call is hung");
        self.close_for(id, &Ending::of_supervisor(&Exit::Overdue), vec![], ctx);
        // Should its thread ever run again, the call is dropped there.
        if let Some(shard) = self.shard_of.get(&id) {
            self.settings.shards[*shard].spawn_fn(move || forget_call(id));
        }
    }
}

impl Handler<Drain> for Reception {
    type Result = ();

    fn handle(&mut self, drain: Drain, ctx: &mut Self::Context) {
        self.settings.admission.open = false;
        self.endpoint().do_send(CloseDoors);
        let wait = drain.by.saturating_duration_since(crate::now());
        self.drained = Some(drain);
        ctx.run_later(wait, |this, ctx| {
            this.settings.registry.hang_up_all(&Ending::Drained);
            ctx.run_later(LEAVE_WITHIN, |this, ctx| {
                this.close_all(&Ending::Drained, ctx);
                ctx.run_later(HURRY_WITHIN, |this, _| {
                    this.file_all();
                    if let Some(drain) = &this.drained {
                        let _ = drain.done.send(());
                    }
                });
            });
        });
        self.look_for_the_end();
    }
}

impl Handler<LeaveNow> for Reception {
    type Result = ();

    fn handle(&mut self, LeaveNow { done }: LeaveNow, ctx: &mut Self::Context) {
        self.settings.admission.open = false;
        self.endpoint().do_send(CloseDoors);
        self.pace = Pace::Hurried;
        self.close_all(&Ending::Drained, ctx);
        // The wills are open; the calls end and hand their records in.
        self.settings.registry.hang_up_all(&Ending::Drained);
        self.drained = Some(Drain { by: crate::now(), done });
        ctx.run_later(HURRY_WITHIN, |this, _| {
            this.file_all();
            if let Some(drain) = &this.drained {
                let _ = drain.done.send(());
            }
        });
        self.look_for_the_end();
    }
}
