//! What the store of tenants is told of calls: those that were refused, and the first that comes to a number.
//!
//! Invariant: no call waits for it: what does not fit into the queue is dropped and counted, and a store that is away costs what was to be
//! noted meanwhile, or is asked anew with the next call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bellhop_actors::node::call_registry::CallId;
use bellhop_actors::node::refused::RefusedCall;
use bellhop_actors::services::Observer;
use bellhop_call::record::{Event, What};
use bellhop_tenancy::Number;
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{Everything, NewRefusal, StoreError, TenantStore};
use tokio::sync::mpsc;

/// What may wait to be noted.
const WAITING_MAX: usize = 1024;
/// What is noted in one transaction.
const AT_ONCE: usize = 256;
/// How long is gathered: of a flood many are one line.
const GATHERED_FOR: Duration = Duration::from_millis(500);

/// Tenants and numbers of the store, by what calls know of them.
#[derive(Debug, Default)]
pub(super) struct Known {
    tenants: HashMap<String, TenantId>,
    /// Entries to which no call has come, by tenant and number.
    waiting: HashMap<(String, Number), Vec<Id>>,
}

impl Known {
    /// Of what the store holds.
    pub(super) fn of(everything: &Everything) -> Self {
        let tenants: HashMap<String, TenantId> =
            everything.tenants.iter().map(|tenant| (tenant.name.clone(), tenant.id)).collect();
        let mut waiting: HashMap<(String, Number), Vec<Id>> = HashMap::new();
        for tenant in &everything.tenants {
            let of_tenant = everything.integrations.iter().filter(|kept| kept.tenant == tenant.id);
            for kept in of_tenant.flat_map(|kept| &kept.numbers).filter(|kept| kept.first_call_unix_ms.is_none()) {
                waiting.entry((tenant.name.clone(), kept.entry.number.clone())).or_default().push(kept.id);
            }
        }
        Self { tenants, waiting }
    }
}

/// Something to be noted.
enum Noted {
    Refused(Box<NewRefusal>),
    FirstCall { of: (String, Number), at_unix_ms: i64 },
}

/// Sees calls, and hands on what is to be noted.
pub(super) struct Noting {
    orders: mpsc::Sender<Noted>,
    known: Arc<Mutex<Known>>,
    dropped: Arc<AtomicU64>,
}

impl Noting {
    /// Starts whoever notes, on this thread's runtime. What it sees is of the store once it has been told what that holds.
    pub(super) fn start(tenants: Arc<dyn TenantStore>) -> Arc<Self> {
        let (orders, inbox) = mpsc::channel(WAITING_MAX);
        let (known, dropped) = (Arc::default(), Arc::default());
        let writer = Writer { tenants, known: Arc::clone(&known), dropped: Arc::clone(&dropped), is_silent: false };
        actix_rt::spawn(writer.write(inbox));
        Arc::new(Self { orders, known, dropped })
    }

    /// From now on the store holds this.
    pub(super) fn knows(&self, known: Known) {
        *lock(&self.known) = known;
    }

    fn order(&self, noted: Noted) {
        if self.orders.try_send(noted).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Observer for Noting {
    fn saw(&self, _: CallId, event: &Event) {
        let What::Began(began) = &event.what else { return };
        let Ok(number) = Number::parse(&began.dialled) else { return };
        let of = (began.tenant.clone(), number);
        if lock(&self.known).waiting.contains_key(&of) {
            self.order(Noted::FirstCall { of, at_unix_ms: unix_ms(SystemTime::now()) });
        }
    }

    fn refused(&self, call: &RefusedCall) {
        let tenants = {
            let known = lock(&self.known);
            call.tenants.iter().filter_map(|name| known.tenants.get(name).copied()).collect()
        };
        self.order(Noted::Refused(Box::new(NewRefusal {
            tenants,
            at_unix_ms: unix_ms(call.at),
            number: call.number.clone(),
            source: call.source.ip().to_canonical().to_string(),
            transport: call.transport.to_string(),
            server_name: call.server_name.clone(),
            status: call.status,
            reason: call.why.word().to_owned(),
        })));
    }
}

/// Whoever notes.
struct Writer {
    tenants: Arc<dyn TenantStore>,
    known: Arc<Mutex<Known>>,
    dropped: Arc<AtomicU64>,
    is_silent: bool,
}

impl Writer {
    async fn write(mut self, mut inbox: mpsc::Receiver<Noted>) {
        let mut orders = Vec::with_capacity(AT_ONCE);
        while inbox.recv_many(&mut orders, AT_ONCE).await > 0 {
            let came = self.note(std::mem::take(&mut orders)).await;
            self.tell(came);
            tokio::time::sleep(GATHERED_FOR).await;
        }
    }

    async fn note(&mut self, orders: Vec<Noted>) -> Result<(), StoreError> {
        let mut refusals = vec![];
        for order in orders {
            match order {
                Noted::Refused(refusal) => refusals.push(*refusal),
                Noted::FirstCall { of, at_unix_ms } => {
                    let waiting = lock(&self.known).waiting.get(&of).cloned().unwrap_or_default();
                    // Of two entries of one number nobody here can tell which it was.
                    if let [id] = waiting[..] {
                        self.tenants.note_first_call(id, at_unix_ms).await?;
                    }
                    lock(&self.known).waiting.remove(&of);
                }
            }
        }
        self.tenants.note_refusals(refusals).await
    }

    fn tell(&mut self, came: Result<(), StoreError>) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "more calls were refused than could be noted in the store");
        }
        match came {
            Ok(()) => self.is_silent = false,
            Err(error) => {
                if !std::mem::replace(&mut self.is_silent, true) {
                    tracing::warn!(%error, "what was refused is not noted in the store");
                }
            }
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_ms(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
