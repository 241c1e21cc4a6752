//! What REST asks of a running server, as tests want it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bellhop_call::figures::{Figures, WantedFigures};
use bellhop_call::ports::{CallRecords, KeptCall, ListedCall, UnderWay, Usage, Wanted, WantedUsage};
use bellhop_call::record::Event;
use bellhop_connect::connection_test::{Action, Cause, ConnectionReport, InstanceSeen, Outcome};
use bellhop_connect::ports::{Counted, FiledHistories, History, Pending, Reader, StoreError};
use bellhop_connect::session_history_key::FiledAs;
use bellhop_tenancy::settings::{ConnectCredentials, Mistake, TenantSettings};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::ports::{
    Events, Failed, Fault, File, FileTenant, Happened, LiveCall, LiveCalls, Node, Offer, Origin, Reached, Reasons,
    Recording, Recordings, Reply, Said, SipAddress, SoFar, Trials,
};

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
        let events = self.happened.lock().expect("no panic").iter().cloned().map(Arc::new).collect();
        Some(SoFar { call, is_up: true, first: 1, events })
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

    fn knows<'a>(&'a self, tenant: &'a str) -> bellhop_call::ports::Answer<'a, bool> {
        let is_known = self.over.lock().expect("no panic").iter().any(|kept| kept.tenant == tenant);
        Box::pin(std::future::ready(Ok(is_known)))
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
            return Box::pin(std::future::ready(Ok(ConnectionReport { outcome, access_url: None, requests: vec![] })));
        }
        let good = key.secret_access_key.expose() == "s3cret-key";
        let instance = if good { InstanceSeen::Active } else { InstanceSeen::NotAllowed };
        let report = ConnectionReport {
            outcome: Outcome::Valid { instance },
            access_url: Some("https://acme.my.connect.aws/connect/home".to_owned()),
            requests: vec![],
        };
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
