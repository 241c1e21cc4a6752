//! Keeps the records of calls: one writer for all tenants, one deliverer for each that has a log webhook.
//!
//! Invariant: the threads of calls only hand over; what was handed over before [`Books::flush`] is in the store after it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellhop_actors::metrics;
use bellhop_actors::services::RecordKeeper;
use bellhop_adapters::log_webhook::{LogWebhook, OnOutcome, Outcome};
use bellhop_adapters::storage::sqlite::{Entry, SqliteRecords};
use bellhop_dialogue::Json;
use bellhop_dialogue::call_record::CallRecord;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::config::{Config, Mistakes, Records};

/// Entries written in one transaction.
const BATCH: usize = 256;
/// How long entries are gathered: a transaction costs as much as many entries.
const GATHER: Duration = Duration::from_millis(200);
/// The pause before a batch that could not be written is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries of one batch.
const TRIES: u32 = 5;

enum Order {
    Write(Entry),
    Flush(oneshot::Sender<()>),
}

/// All that is written down.
#[derive(Clone)]
pub(crate) struct Books {
    orders: mpsc::UnboundedSender<Order>,
}

/// The receivers of all tenants that have one, or every mistake in them.
pub(crate) fn receivers(config: &Config, path: &std::path::Path) -> Result<Vec<(String, LogWebhook)>, Mistakes> {
    let (mut receivers, mut mistakes) = (vec![], vec![]);
    for (n, settings) in config.tenants.iter().enumerate() {
        let Some(webhook) = &settings.records.webhook else { continue };
        let name = &settings.tenant.name;
        let headers = webhook.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        match LogWebhook::new(name, &webhook.url, webhook.secret.expose(), headers) {
            Ok(receiver) => receivers.push((name.clone(), receiver)),
            Err(why) => {
                mistakes.push((format!("tenants[{n}].records.webhook.url"), format!("`{}`: {why}", webhook.url)))
            }
        }
    }
    if mistakes.is_empty() { Ok(receivers) } else { Err(Mistakes::found(path, mistakes)) }
}

impl Books {
    /// Starts the writer and the deliverers on this thread's runtime.
    pub(crate) fn open(records: SqliteRecords, receivers: Vec<(String, LogWebhook)>) -> Self {
        let mut told = HashMap::new();
        for (tenant, receiver) in receivers {
            let notify = Arc::new(Notify::new());
            told.insert(tenant.clone(), Arc::clone(&notify));
            let outcome: OnOutcome = Arc::new(move |outcome| {
                metrics::log_event(&tenant, outcome == Outcome::Delivered);
            });
            actix_rt::spawn(receiver.deliver(records.clone(), notify, outcome));
        }
        let (orders, inbox) = mpsc::unbounded_channel();
        actix_rt::spawn(write(records, inbox, told));
        Self { orders }
    }

    /// The keeper of one tenant.
    pub(crate) fn keeper(&self, tenant: &str, records: &Records) -> Arc<dyn RecordKeeper> {
        let webhook = records.webhook.as_ref();
        Arc::new(Keeper {
            tenant: tenant.to_owned(),
            orders: self.orders.clone(),
            keep: records.keep,
            calls: webhook.is_some_and(|webhook| webhook.calls),
            turns: webhook.is_some_and(|webhook| webhook.turns),
        })
    }

    /// Waits until everything that was handed over is in the store, or could not be.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).is_ok() {
            let _ = written.await;
        }
    }
}

async fn write(records: SqliteRecords, mut inbox: mpsc::UnboundedReceiver<Order>, told: HashMap<String, Arc<Notify>>) {
    let mut waiting = vec![];
    while let Some(first) = inbox.recv().await {
        if !matches!(first, Order::Flush(_)) {
            tokio::time::sleep(GATHER).await;
        }
        waiting.push(first);
        while waiting.len() < BATCH
            && let Ok(next) = inbox.try_recv()
        {
            waiting.push(next);
        }
        let (mut entries, mut flushes) = (vec![], vec![]);
        for order in waiting.drain(..) {
            match order {
                Order::Write(entry) => entries.push(entry),
                Order::Flush(done) => flushes.push(done),
            }
        }
        for attempt in 1..=TRIES {
            match records.write(&entries).await {
                Ok(tenants) => {
                    tenants.iter().filter_map(|tenant| told.get(tenant)).for_each(|notify| notify.notify_one());
                    break;
                }
                Err(error) if attempt == TRIES => {
                    tracing::error!(%error, entries = entries.len(), "call records could not be written and are lost");
                }
                Err(error) => {
                    tracing::warn!(%error, entries = entries.len(), "call records could not be written: trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        for done in flushes {
            let _ = done.send(());
        }
    }
}

/// Keeps one tenant's.
struct Keeper {
    tenant: String,
    orders: mpsc::UnboundedSender<Order>,
    keep: Duration,
    calls: bool,
    turns: bool,
}

impl RecordKeeper for Keeper {
    fn wants_turns(&self) -> bool {
        self.turns
    }

    fn turn(&self, record: &CallRecord, log: Json) {
        let opening = record.opening();
        let (session, caller) = (opening.session.clone(), opening.facts.caller.clone());
        let _ = self.orders.send(Order::Write(Entry::Turn { tenant: self.tenant.clone(), session, caller, log }));
    }

    fn keep(&self, record: CallRecord) {
        if self.keep.is_zero() && !self.calls {
            return;
        }
        let entry = Entry::Call { record: Box::new(record), keep: self.keep, told: self.calls };
        let _ = self.orders.send(Order::Write(entry));
    }
}
