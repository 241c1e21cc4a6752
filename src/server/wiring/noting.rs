//! What the store of tenants is told of calls: those that were refused, and the first that comes to a number.
//!
//! Invariant: no call waits for it: what does not fit into the queue is dropped and counted, and a store that is away costs what was to be
//! noted meanwhile, or is asked anew with the next call.

use std::collections::{BTreeSet, HashMap};
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

use super::tenants::Current;

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
    /// Who is served, and whether by the file.
    current: Arc<Current>,
}

impl Noting {
    /// Starts whoever notes, on this thread's runtime. What it sees is of the store once it has been told what that holds.
    pub(super) fn start(tenants: Arc<dyn TenantStore>, current: Arc<Current>) -> Arc<Self> {
        let (noting, writer, inbox) = Self::with_writer(tenants, current);
        actix_rt::spawn(writer.write(inbox));
        Arc::new(noting)
    }

    fn with_writer(tenants: Arc<dyn TenantStore>, current: Arc<Current>) -> (Self, Writer, mpsc::Receiver<Noted>) {
        let (orders, inbox) = mpsc::channel(WAITING_MAX);
        let (known, dropped) = (Arc::default(), Arc::default());
        let writer = Writer { tenants, known: Arc::clone(&known), dropped: Arc::clone(&dropped), is_silent: false };
        (Self { orders, known, dropped, current }, writer, inbox)
    }

    /// The names of all tenants of the store, in lower case.
    pub(super) fn names(&self) -> BTreeSet<String> {
        lock(&self.known).tenants.keys().map(|name| name.to_ascii_lowercase()).collect()
    }

    /// From now on the store holds this.
    pub(super) fn knows(&self, known: Known) {
        *lock(&self.known) = known;
    }

    /// Whom the store, or the identifier of the file, knows by a name that calls have.
    pub(super) fn tenant(&self, name: &str) -> Option<TenantId> {
        match self.current.everybody().is_of_file(name) {
            true => Some(TenantId::of_file(name)),
            false => lock(&self.known).tenants.get(name).copied(),
        }
    }

    fn order(&self, noted: Noted) {
        if self.orders.try_send(noted).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Observer for Noting {
    fn saw(&self, _: CallId, event: &Arc<Event>) {
        let What::Began(began) = &event.what else { return };
        let Ok(number) = Number::parse(&began.dialled) else { return };
        let of = (began.tenant.clone(), number);
        if lock(&self.known).waiting.contains_key(&of) {
            self.order(Noted::FirstCall { of, at_unix_ms: unix_ms(SystemTime::now()) });
        }
    }

    fn refused(&self, call: &RefusedCall) {
        let tenants = call.tenants.iter().filter_map(|name| self.tenant(name)).collect();
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

#[cfg(test)]
mod tests {
    use bellhop_actors::node::refused::Why;
    use bellhop_adapters::secrets::MasterKeySource;
    use bellhop_adapters::storage::{Database, MasterKeys, SqlTenants};
    use bellhop_call::record::Began;
    use bellhop_sip::hop::Transport;
    use bellhop_tenancy::access::{Author, SignedIn};
    use bellhop_tenancy::settings::Table;
    use bellhop_tenancy::store::{
        ChangeFeed, Documents, KeptKind, NewDocument, NewTenant, NumberEntry, Numbers, Page, Refusals, Tenants,
    };

    use super::*;

    async fn store() -> SqlTenants {
        let database = Database::open("sqlite::memory:", None).await.expect("in memory");
        let keys = MasterKeys { current: MasterKeySource::Memory, previous: None };
        SqlTenants::open(database, &keys, None).await.expect("opens")
    }

    fn by() -> Author {
        Author { signed_in: SignedIn::on_this_machine("test"), from: "here".into() }
    }

    /// What waits is noted, as much at once as there is.
    async fn note_all(writer: &mut Writer, inbox: &mut mpsc::Receiver<Noted>) {
        while !inbox.is_empty() {
            let mut orders = vec![];
            inbox.recv_many(&mut orders, AT_ONCE).await;
            writer.note(orders).await.expect("noted");
        }
    }

    /// Nobody reads the queue: whoever refuses calls goes on, and what had no place is counted.
    #[actix_rt::test]
    async fn a_flood_is_one_line_and_waits_for_nobody() {
        let store = store().await;
        let (noting, mut writer, mut inbox) = Noting::with_writer(Arc::new(store.clone()), Arc::default());
        let call = RefusedCall {
            at: SystemTime::now(),
            source: "[::ffff:192.0.2.1]:5060".parse().expect("an address"),
            transport: Transport::Udp,
            server_name: None,
            sip_call_id: "chosen".into(),
            dialled: "…".into(),
            number: Number::parse("+18005550123").ok(),
            tenants: vec!["a tenant of the file".into()],
            status: 404,
            why: Why::NobodysNumber,
            sent_as_text: None,
        };
        for _ in 0..WAITING_MAX + 10 {
            noting.refused(&call);
        }
        assert_eq!(noting.dropped.load(Ordering::Relaxed), 10);
        note_all(&mut writer, &mut inbox).await;
        let scope = by().signed_in.scope();
        let kept = store.refusals(&scope, Page { after: None, count: 9 }).await.expect("answers").items;
        let told: Vec<_> = kept.iter().map(|kept| (kept.count, kept.refusal.source.as_str())).collect();
        assert_eq!(told, [(WAITING_MAX as u64, "192.0.2.1")]);
        assert!(kept[0].refusal.tenants.is_empty(), "nobody is called so");
        noting.refused(&call);
        assert_eq!(inbox.len(), 1, "there is place again");
    }

    #[actix_rt::test]
    async fn a_first_call_is_noted_once_and_of_two_entries_none() {
        let (store, by) = (store().await, by());
        let new = NewTenant { name: "acme".into(), title: "Acme".into(), plan: "plus".into() };
        let tenant = store.add_tenant(&by, new).await.expect("added").id;
        let mut ids = vec![];
        let instance = "111122223333/eu-west-2/0f0f0f0f-aaaa-bbbb-cccc-0123456789ab";
        let entries = [
            ("one", None, ["+18005550101", "+18005550102"]),
            ("two", Some(instance), ["+18005550102", "+18005550103"]),
        ];
        for (name, instance, numbers) in entries {
            let document = NewDocument {
                kind: KeptKind::Integration,
                name: name.into(),
                document: Table::default(),
                secrets: vec![],
                uses: vec![],
                instance: instance.map(str::to_owned),
            };
            let integration = store.add_document(&by, tenant, document).await.expect("added").id;
            for number in numbers {
                let number = Number::parse(number).expect("a number");
                let entry = NumberEntry { number, description: String::new(), integration };
                ids.push(store.add_number(&by, tenant, entry).await.expect("free").id);
            }
        }
        let (noting, mut writer, mut inbox) = Noting::with_writer(Arc::new(store.clone()), Arc::default());
        noting.knows(Known::of(&store.everything(&by.signed_in).await.expect("answers")));
        let calls = |dialled: &str| {
            let (tenant, caller) = ("acme".to_owned(), "+12065550100".to_owned());
            let (sip_call_id, session) = ("chosen".to_owned(), "s".to_owned());
            let began = Began { tenant, caller, dialled: dialled.to_owned(), sip_call_id, session };
            noting.saw(CallId(1), &Arc::new(Event { at_ms: 0, what: What::Began(began.into()) }));
        };
        for dialled in ["+18005550101", "+18005550101", "+18005550102", "+18005550199", "nobody"] {
            calls(dialled);
        }
        assert_eq!(inbox.len(), 3, "what is no number that waits is nothing to be noted");
        note_all(&mut writer, &mut inbox).await;
        calls("+18005550101");
        assert!(inbox.is_empty(), "it has had its first call");
        let mut has_had_one = vec![];
        for id in ids {
            let number = store.number(&by.signed_in.scope(), id).await.expect("is there");
            has_had_one.push(number.first_call_unix_ms.is_some());
        }
        assert_eq!(has_had_one, [true, false, false, false]);
    }
}
