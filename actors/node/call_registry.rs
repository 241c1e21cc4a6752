//! Every call of this process: its teardown plan, its beat and how to reach it.
//!
//! Shared by all threads (dashmap), so that a plan can be taken while its call's thread is stuck. Invariant: a teardown plan is
//! opened at most once; after that nothing can be deposited for the call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{Message, Recipient};
use bellhop_call::ending::Ending;
use bellhop_connect::ports::{AttributeBlanker, HistoryStore};
use bellhop_connect::session_history_key::FiledAs;
use bellhop_sip::DialogId;
use bellhop_sip::dialog::teardown::Teardown;
use dashmap::DashMap;
use tracing::Span;

use super::live_contacts::ContactClaim;

/// The call shall end.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct HangUp {
    /// What the record and the metrics are told.
    pub ending: Ending,
}

/// Names one call of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

impl std::str::FromStr for CallId {
    type Err = std::num::ParseIntError;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a call leaves behind.
#[derive(Clone)]
pub struct TeardownPlan {
    /// The dialog, for the endpoint's routing.
    pub dialog: DialogId,
    /// What is sent so that the call is over.
    pub teardown: Teardown,
    /// The attribute to take back first, while a key is in flight.
    pub blank: Option<Blank>,
    /// The key that was given away for a transfer by SIP: void unless the transfer came about.
    pub void: Option<Void>,
}

/// A stored history whose key must not outlive a failure.
#[derive(Clone)]
pub struct Void {
    /// Where it is stored.
    pub histories: Arc<dyn HistoryStore>,
    /// The name that the history is filed under.
    pub name: FiledAs,
}

/// A key whose fate is uncertain.
#[derive(Clone)]
pub struct Blank {
    /// Can blank attributes and write none.
    pub blanker: Arc<dyn AttributeBlanker>,
    /// The initial contact id.
    pub contact_id: String,
    /// Every name that is being written.
    pub names: Vec<String>,
}

impl fmt::Debug for TeardownPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TeardownPlan({}, blank: {})", self.teardown.name(), self.blank.is_some())
    }
}

/// Characters of a SIP Call-ID that are logged and shown: it comes from the network.
pub const SIP_CALL_ID_CHARACTERS_MAX: usize = 128;

/// As much of a SIP Call-ID as is logged and shown.
pub fn shown_call_id(sip_call_id: &str) -> &str {
    sip_call_id.char_indices().nth(SIP_CALL_ID_CHARACTERS_MAX).map_or(sip_call_id, |(end, _)| &sip_call_id[..end])
}

#[derive(Debug)]
struct Entry {
    tenant: String,
    span: Span,
    plan: Option<TeardownPlan>,
    contact: Option<ContactClaim>,
    beat_ms: AtomicU64,
    hung: bool,
    hang_up: Option<Recipient<HangUp>>,
}

/// A teardown plan that is being carried out.
#[derive(Debug)]
struct Opened {
    plan: TeardownPlan,
    span: Span,
}

/// Every call that is up, with its teardown plan and its beat.
#[derive(Debug)]
pub struct CallRegistry {
    calls: DashMap<CallId, Entry>,
    /// Teardown plans that were opened and of which nobody has said yet that they are carried out.
    opened: DashMap<CallId, Opened>,
    epoch: Instant,
}

impl CallRegistry {
    /// An empty registry.
    pub fn new(now: Instant) -> Self {
        Self { calls: DashMap::new(), opened: DashMap::new(), epoch: now }
    }

    /// A call begins; this is its first teardown plan.
    pub fn open(&self, id: CallId, tenant: &str, now: Instant, plan: TeardownPlan) {
        // Of the highest level, so that a log of errors alone knows whose they are.
        let sip_call_id = shown_call_id(&plan.dialog.call_id);
        let span = tracing::error_span!("call", call = %id, tenant, sip_call_id);
        let entry = Entry {
            tenant: tenant.to_owned(),
            span,
            plan: Some(plan),
            contact: None,
            beat_ms: AtomicU64::new(self.millis(now)),
            hung: false,
            hang_up: None,
        };
        self.calls.insert(id, entry);
    }

    /// The one span of a call: whatever is logged for it is logged in there. Known from its beginning until its teardown has been
    /// carried out; nobody's span otherwise.
    pub fn span(&self, id: CallId) -> Span {
        let of_call = self.calls.get(&id).map(|entry| entry.span.clone());
        let span = of_call.or_else(|| self.opened.get(&id).map(|opened| opened.span.clone()));
        span.unwrap_or_else(Span::none)
    }

    /// The call's hold of its contact, until its teardown plan is taken: from then on the flow may transfer the contact again.
    pub fn hold(&self, id: CallId, contact: ContactClaim) {
        if let Some(mut entry) = self.calls.get_mut(&id) {
            entry.contact = Some(contact);
        }
    }

    /// How to tell a call to hang up.
    pub(crate) fn reachable(&self, id: CallId, hang_up: Recipient<HangUp>) {
        if let Some(mut entry) = self.calls.get_mut(&id) {
            entry.hang_up = Some(hang_up);
        }
    }

    /// Replaces the teardown of a plan; without effect once the plan was taken.
    pub fn deposit(&self, id: CallId, teardown: Teardown) {
        if let Some(plan) = self.calls.get_mut(&id).as_mut().and_then(|entry| entry.plan.as_mut()) {
            plan.teardown = teardown;
        }
    }

    /// While a key is in flight, the teardown plan says to take it back; `None` once its fate is known.
    pub(crate) fn deposit_blank(&self, id: CallId, blank: Option<Blank>) {
        if let Some(plan) = self.calls.get_mut(&id).as_mut().and_then(|entry| entry.plan.as_mut()) {
            plan.blank = blank;
        }
    }

    /// While a transfer by SIP that carries a key is under way, the teardown plan says to void the key. Gives back what
    /// it said before.
    pub(crate) fn deposit_void(&self, id: CallId, void: Option<Void>) -> Option<Void> {
        let mut entry = self.calls.get_mut(&id)?;
        std::mem::replace(&mut entry.plan.as_mut()?.void, void)
    }

    /// The messages by which the call would leave now.
    pub fn teardown(&self, id: CallId) -> Vec<String> {
        let entry = self.calls.get(&id);
        let plan = entry.as_ref().and_then(|entry| entry.plan.as_ref());
        plan.map(|plan| plan.teardown.messages()).unwrap_or_default()
    }

    /// Takes the teardown plan: the teardown is now somebody's to carry out. `None` if it was taken before.
    pub fn take_plan(&self, id: CallId) -> Option<TeardownPlan> {
        let mut entry = self.calls.get_mut(&id)?;
        entry.contact = None;
        let plan = entry.plan.take()?;
        // What became of a key that was given away is known to who takes the teardown plan, not to who has to finish the work.
        let opened = Opened { plan: TeardownPlan { void: None, ..plan.clone() }, span: entry.span.clone() };
        self.opened.insert(id, opened);
        Some(plan)
    }

    /// Whether the teardown plan is still there: nobody has begun a teardown.
    pub(crate) fn has_plan(&self, id: CallId) -> bool {
        self.calls.get(&id).is_some_and(|entry| entry.plan.is_some())
    }

    /// A plan has been carried out.
    pub fn carried_out(&self, id: CallId) {
        self.opened.remove(&id);
    }

    /// Teardown plans that were opened and never carried out: whoever was to do it is dead.
    pub(crate) fn take_unfinished(&self) -> Vec<TeardownPlan> {
        let ids: Vec<CallId> = self.opened.iter().map(|entry| *entry.key()).collect();
        ids.into_iter().filter_map(|id| Some(self.opened.remove(&id)?.1.plan)).collect()
    }

    /// How many teardown plans are being carried out.
    pub fn unfinished(&self) -> usize {
        self.opened.len()
    }

    /// The call is alive.
    pub fn beat(&self, id: CallId, now: Instant) {
        if let Some(entry) = self.calls.get(&id) {
            entry.beat_ms.store(self.millis(now), Ordering::Relaxed);
        }
    }

    /// Nobody ran for a while: nobody's silence until now counts.
    pub fn forgive(&self, now: Instant) {
        let now = self.millis(now);
        self.calls.iter().for_each(|entry| entry.beat_ms.store(now, Ordering::Relaxed));
    }

    /// Calls without a beat for so long; each is returned once. One that is answered only to be ended has nobody who beats: its
    /// teardown plan is taken from the start, and the endpoint bounds what is left.
    pub fn hung(&self, now: Instant, after: Duration) -> Vec<CallId> {
        let limit = self.millis(now).saturating_sub(after.as_millis() as u64);
        let mut hung = vec![];
        for mut entry in self.calls.iter_mut() {
            let beats = entry.plan.is_some() || entry.hang_up.is_some();
            if beats && !entry.hung && entry.beat_ms.load(Ordering::Relaxed) < limit {
                entry.hung = true;
                hung.push(*entry.key());
            }
        }
        hung
    }

    /// Whether a call that is still there was found hung.
    pub fn has_hung(&self) -> bool {
        self.calls.iter().any(|entry| entry.hung)
    }

    /// Every call there is.
    pub fn ids(&self) -> Vec<CallId> {
        self.calls.iter().map(|entry| *entry.key()).collect()
    }

    /// Tells a call to hang up; whether it is up.
    pub fn hang_up(&self, id: CallId, ending: Ending) -> bool {
        let entry = self.calls.get(&id);
        let hang_up = entry.as_ref().and_then(|entry| entry.hang_up.as_ref());
        hang_up.map(|hang_up| hang_up.do_send(HangUp { ending })).is_some()
    }

    /// Tells every call to hang up.
    pub(crate) fn hang_up_all(&self, ending: &Ending) {
        for entry in &self.calls {
            if let Some(hang_up) = &entry.hang_up {
                hang_up.do_send(HangUp { ending: ending.clone() });
            }
        }
    }

    /// The call is over; returns whose it was.
    pub fn close(&self, id: CallId) -> Option<String> {
        self.calls.remove(&id).map(|(_, entry)| entry.tenant)
    }

    /// Whose call it is.
    pub fn tenant_of(&self, id: CallId) -> Option<String> {
        self.calls.get(&id).map(|entry| entry.tenant.clone())
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    fn millis(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> TeardownPlan {
        let dialog = DialogId { call_id: "c".into(), local_tag: "l".into(), remote_tag: "r".into() };
        TeardownPlan { dialog, teardown: Teardown::Nothing, blank: None, void: None }
    }

    #[test]
    fn a_plan_is_taken_once_and_then_cannot_be_replaced() {
        let now = Instant::now();
        let registry = CallRegistry::new(now);
        registry.open(CallId(1), "acme", now, plan());
        assert!(registry.take_plan(CallId(1)).is_some());
        registry.deposit(CallId(1), Teardown::Nothing);
        assert!(registry.take_plan(CallId(1)).is_none());
        assert!(registry.close(CallId(1)).is_some() && registry.is_empty());
        assert_eq!(registry.take_unfinished().len(), 1, "nobody has said that it is carried out");
        assert_eq!(registry.unfinished(), 0);
    }

    #[test]
    fn a_silent_call_is_found_once() {
        let now = Instant::now();
        let registry = CallRegistry::new(now);
        registry.open(CallId(1), "acme", now, plan());
        registry.open(CallId(2), "acme", now, plan());
        let later = now + Duration::from_secs(5);
        registry.beat(CallId(2), later);
        assert_eq!(registry.hung(later, Duration::from_secs(4)), [CallId(1)]);
        assert_eq!(registry.hung(later, Duration::from_secs(4)), []);
    }

    #[test]
    fn a_standstill_is_nobodys_silence() {
        let now = Instant::now();
        let registry = CallRegistry::new(now);
        registry.open(CallId(1), "acme", now, plan());
        let later = now + Duration::from_secs(30);
        registry.forgive(later);
        assert_eq!(registry.hung(later + Duration::from_secs(3), Duration::from_secs(4)), []);
        assert_eq!(registry.hung(later + Duration::from_secs(5), Duration::from_secs(4)), [CallId(1)]);
    }
}
