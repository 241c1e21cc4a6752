//! Keeps the records of calls: one writer for all tenants, one deliverer for each that has a log webhook.
//!
//! Invariants: the threads of calls only hand over; what was handed over before [`Books::flush`] is in the store after it,
//! or is told as lost; a store that fails is tried again for as long as the process lives, more and more slowly, and no
//! tenant has more than [`WAITING_MAX`] entries waiting for it meanwhile.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellhop_actors::metrics;
use bellhop_actors::services::RecordKeeper;
use bellhop_adapters::log_webhook::{LogWebhook, OnOutcome, Outcome};
use bellhop_adapters::reach::Reach;
use bellhop_adapters::storage::Store;
use bellhop_call::ports::{Entry, LogEvents, RecordWriter, Written};
use bellhop_call::record::{CallRecord, Opening};
use bellhop_dialogue::Json;
use bellhop_tenancy::settings::{Mistake, TenantSettings};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::{Config, Mistakes};
use crate::engines::Whose;

/// Entries written in one transaction.
const BATCH: usize = 256;
/// How long entries are gathered: a transaction costs as much as many entries.
const GATHER: Duration = Duration::from_millis(200);
/// The pause before a batch that could not be written is tried again; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Entries of one tenant that may wait for the store; later ones are lost, and counted.
const WAITING_MAX: usize = 2000;
/// The longest that the end of the process waits for the store.
const FLUSH_MAX: Duration = Duration::from_secs(3);

enum Order {
    Write(Entry, Place),
    Flush(oneshot::Sender<()>),
}

/// One of a tenant's places in the queue; given back when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(taken));
        (taken.fetch_add(1, Ordering::Relaxed) < WAITING_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All that is written down.
#[derive(Clone)]
pub(crate) struct Books {
    orders: mpsc::UnboundedSender<Order>,
    /// Told when somebody waits for what is not written yet.
    hurry: Arc<Notify>,
    waiting: Arc<AtomicUsize>,
    events: Arc<dyn LogEvents>,
    deliverers: Deliverers,
}

/// Who delivers the events of each tenant that has a log webhook.
type Deliverers = Arc<Mutex<HashMap<String, Deliverer>>>;

/// Ends when nobody else has `told`.
struct Deliverer {
    told: Arc<Notify>,
    task: JoinHandle<()>,
}

/// The receivers of all tenants that have one, and every mistake in them.
pub(crate) fn receivers(config: &Config) -> (Vec<(String, LogWebhook)>, Mistakes) {
    let (mut receivers, mut mistakes) = (vec![], vec![]);
    for tenant in &config.tenants {
        match receiver(Whose { settings: &tenant.settings, reach: Reach::Everywhere }) {
            Ok(receiver) => receivers.extend(receiver.map(|receiver| (tenant.settings.name.clone(), receiver))),
            Err(mistake) => mistakes.push((tenant.path(&mistake.path), mistake.why)),
        }
    }
    (receivers, config.places.mistakes(mistakes))
}

/// The receiver that settings name, if they name one.
pub(crate) fn receiver(Whose { settings, reach }: Whose<'_>) -> Result<Option<LogWebhook>, Mistake> {
    // What was badly said has been told.
    let Some(webhook) = settings.records.webhook.as_ref().filter(|webhook| !webhook.url.is_empty()) else {
        return Ok(None);
    };
    let headers = webhook.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    let receiver = LogWebhook::new(&settings.name, reach.at(&webhook.url), webhook.secret.expose(), headers);
    let mistake = |why| Mistake::of_value("records.webhook.url", format!("`{}`: {why}", webhook.url));
    receiver.map(Some).map_err(mistake)
}

impl Books {
    /// Starts the writer and the deliverers on this thread's runtime.
    pub(crate) fn open(store: &Arc<dyn Store>, receivers: Vec<(String, LogWebhook)>) -> Self {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (hurry, waiting, deliverers) = (Arc::default(), Arc::default(), Deliverers::default());
        let books = Self { orders, hurry, waiting, events: store.clone(), deliverers: Arc::clone(&deliverers) };
        receivers.into_iter().for_each(|(tenant, receiver)| books.deliver(&tenant, receiver));
        let (hurry, waiting) = (Arc::clone(&books.hurry), Arc::clone(&books.waiting));
        actix_rt::spawn(Writer { records: store.clone(), deliverers, hurry, waiting }.write(inbox));
        books
    }

    /// From now on this receiver is told a tenant's events; the one before finishes what it has begun first.
    pub(crate) fn deliver(&self, tenant: &str, receiver: LogWebhook) {
        let before = self.dismiss(tenant);
        let told = Arc::new(Notify::new());
        let (events, new, name) = (Arc::clone(&self.events), Arc::clone(&told), tenant.to_owned());
        let outcome: OnOutcome = Arc::new(move |outcome| metrics::log_event(&name, outcome == Outcome::Delivered));
        let task = actix_rt::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            receiver.deliver(events, new, outcome).await;
        });
        lock(&self.deliverers).insert(tenant.to_owned(), Deliverer { told, task });
    }

    /// Nobody is told a tenant's events any more, once the calls it has are over.
    pub(crate) fn deliver_no_more(&self, tenant: &str, calls_over: Duration) {
        let Some(told) = lock(&self.deliverers).get(tenant).map(|deliverer| Arc::downgrade(&deliverer.told)) else {
            return;
        };
        let (books, tenant) = (self.clone(), tenant.to_owned());
        actix_rt::spawn(async move {
            tokio::time::sleep(calls_over).await;
            let is_same = |now: &Deliverer| Arc::as_ptr(&now.told) == told.as_ptr();
            if lock(&books.deliverers).get(&tenant).is_some_and(is_same) {
                books.dismiss(&tenant);
            }
        });
    }

    fn dismiss(&self, tenant: &str) -> Option<JoinHandle<()>> {
        let Deliverer { told, task } = lock(&self.deliverers).remove(tenant)?;
        told.notify_one();
        Some(task)
    }

    /// The keeper of a tenant's calls that come by one of its integrations.
    pub(crate) fn keeper(&self, tenant: &str, settings: &TenantSettings) -> Arc<dyn RecordKeeper> {
        Arc::new(Keeper::new(self.clone(), tenant, settings))
    }

    /// Waits until everything that was handed over is in the store, [`FLUSH_MAX`] at most; what is not is lost then.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        self.hurry.notify_one();
        if self.orders.send(Order::Flush(done)).is_err() {
            return;
        }
        if tokio::time::timeout(FLUSH_MAX, written).await.is_err() {
            let entries = self.waiting.load(Ordering::Relaxed);
            tracing::error!(entries, "the store did not take the last call records before the end: they are lost");
        }
    }
}

/// Writes what is handed over.
struct Writer {
    records: Arc<dyn RecordWriter>,
    deliverers: Deliverers,
    hurry: Arc<Notify>,
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    async fn write(self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        while let Some(first) = inbox.recv().await {
            if !matches!(first, Order::Flush(_)) {
                let _ = tokio::time::timeout(GATHER, self.hurry.notified()).await;
            }
            let mut orders = vec![first];
            while orders.len() < BATCH
                && let Ok(next) = inbox.try_recv()
            {
                orders.push(next);
            }
            let (mut entries, mut places, mut flushes) = (vec![], vec![], vec![]);
            for order in orders {
                match order {
                    Order::Write(entry, place) => {
                        entries.push(entry);
                        places.push(place);
                    }
                    Order::Flush(done) => flushes.push(done),
                }
            }
            self.put_away(entries).await;
            self.waiting.fetch_sub(places.len(), Ordering::Relaxed);
            for done in flushes {
                let _ = done.send(());
            }
        }
    }

    /// Writes a batch, however long the store takes to come back. What the store never could take is lost alone.
    async fn put_away(&self, entries: Vec<Entry>) {
        let mut pause = PAUSE;
        loop {
            let error = match self.records.write(&entries).await {
                Ok(written) => return self.tell(&written),
                Err(error) => error,
            };
            if !error.may_pass() {
                return self.one_by_one(entries).await;
            }
            tracing::warn!(%error, entries = entries.len(), again_in = ?pause, "call records could not be written");
            let _ = tokio::time::timeout(pause, self.hurry.notified()).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn one_by_one(&self, entries: Vec<Entry>) {
        for entry in entries {
            match self.records.write(std::slice::from_ref(&entry)).await {
                Ok(written) => self.tell(&written),
                Err(error) => {
                    tracing::error!(%error, "a call record cannot be written and is lost");
                    metrics::record_lost(entry.tenant());
                }
            }
        }
    }

    fn tell(&self, written: &Written) {
        let deliverers = lock(&self.deliverers);
        let waiting = written.waiting.iter().filter_map(|tenant| deliverers.get(tenant));
        waiting.for_each(|deliverer| deliverer.told.notify_one());
        drop(deliverers);
        for dropped in &written.dropped {
            let (tenant, events) = (&dropped.tenant, dropped.events);
            metrics::log_events_dropped(tenant, events);
            tracing::error!(tenant, events, "log events were dropped: the webhook takes fewer than there are");
        }
    }
}

fn lock(deliverers: &Deliverers) -> MutexGuard<'_, HashMap<String, Deliverer>> {
    deliverers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps one tenant's.
struct Keeper {
    tenant: String,
    books: Books,
    taken: Arc<AtomicUsize>,
    keep: Duration,
    calls: bool,
    turns: bool,
    recorded: bool,
}

impl Keeper {
    fn new(books: Books, tenant: &str, settings: &TenantSettings) -> Self {
        let webhook = settings.records.webhook.as_ref();
        Self {
            tenant: tenant.to_owned(),
            books,
            taken: Arc::default(),
            keep: settings.records.keep,
            calls: webhook.is_some_and(|webhook| webhook.calls),
            turns: webhook.is_some_and(|webhook| webhook.turns),
            recorded: settings.recording.folder.is_some(),
        }
    }

    /// Whether anything is kept of its calls.
    fn keeps(&self) -> bool {
        !self.keep.is_zero() || self.calls || self.recorded
    }

    fn hand_over(&self, entry: Entry) {
        let Some(place) = Place::take(&self.taken) else {
            metrics::record_lost(&self.tenant);
            tracing::error!("a call record is lost: too many wait for the store");
            return;
        };
        self.books.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = self.books.orders.send(Order::Write(entry, place));
    }
}

impl RecordKeeper for Keeper {
    fn began(&self, opening: &Opening) {
        if self.keeps() {
            self.hand_over(Entry::Began { opening: Box::new(opening.clone()), recorded: self.recorded });
        }
    }

    fn wants_turns(&self) -> bool {
        self.turns
    }

    fn turn(&self, record: &CallRecord, log: Json) {
        let opening = record.opening();
        let (session, caller) = (opening.session.clone(), opening.facts.caller.clone());
        self.hand_over(Entry::Turn { tenant: self.tenant.clone(), session, caller, log });
    }

    fn keep(&self, record: CallRecord) {
        if self.keeps() {
            self.hand_over(Entry::Call { record: Box::new(record), keep: self.keep, told: self.calls });
        }
    }
}
