//! What REST asks of a running server.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bellhop_call::record::Event;
use bellhop_connect::connection_test::ConnectionReport;
use bellhop_connect::ports::Pending;
use bellhop_tenancy::settings::{Mistake, TenantSettings, Written};
use serde_json::Value;

/// Judges settings by what only those know who serve them: whether an ARN is one, where a transfer may go.
pub trait Judge: Send + Sync {
    /// Every mistake, by its path in the whole document.
    fn judge(&self, settings: &TenantSettings) -> Vec<Mistake>;
}

/// What the configuration's file says of tenants, as this node serves it.
pub trait File: Send + Sync {
    /// Its tenants, in any order.
    fn tenants(&self) -> Vec<FileTenant>;
}

/// A tenant of the file.
#[derive(Clone)]
pub struct FileTenant {
    /// What it is called.
    pub name: String,
    /// What is served of it; nothing where it has mistakes.
    pub integration: Option<Arc<dyn FileIntegration>>,
    /// Whether it is not served because a tenant of the store has its name.
    pub is_taken: bool,
}

/// The one integration of a tenant of the file.
pub trait FileIntegration: Send + Sync {
    /// As it is written.
    fn written(&self) -> &Written;

    /// What that means.
    fn settings(&self) -> &TenantSettings;
}

/// Where callers' sides send calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipAddress {
    /// The name that they call; none if this server does not know how others call it.
    pub host: Option<String>,
    /// Its port.
    pub port: u16,
    /// As a Voice Connector calls it: `TCP`, by which it speaks TLS too where its encryption is on.
    pub protocol: &'static str,
    /// Whether a connector's encryption may be on: calls come by TLS with SRTP then.
    pub is_encrypted: bool,
    /// What is to be known of it, in sentences.
    pub told: Vec<String>,
}

/// What this server is to callers' sides.
pub trait Reached: Send + Sync {
    /// Where they send calls.
    fn sip_address(&self) -> SipAddress;
}

/// The server that is asked, among those that share a store.
pub trait Node: Send + Sync {
    /// What it is called in the store.
    fn name(&self) -> &str;

    /// Has it take no more calls, see those off that are up, and end; why that cannot be begun, in a sentence.
    fn drain(&self) -> Result<(), String>;
}

/// Explains why calls are refused.
pub trait Reasons: Send + Sync {
    /// A reason by its word: in a sentence, and what to do about it.
    fn explain(&self, reason: &str) -> (String, String);
}

/// The calls of this node that are up.
pub trait LiveCalls: Send + Sync {
    /// Those of a tenant by its name, or everybody's; the newest first.
    fn list(&self, tenant: Option<&str>) -> Vec<LiveCall>;

    /// Ends one as an operator does; whether it was there.
    fn hang_up(&self, tenant: Option<&str>, call: &str) -> bool;

    /// What happened so far in one that is up, or was a moment ago.
    fn so_far(&self, tenant: Option<&str>, call: &str) -> Option<SoFar>;

    /// What happens to it after the event of a number, 0 for all; none if it is not there. The line ends with the call, and skips events
    /// that are kept no more.
    fn events(&self, tenant: Option<&str>, call: &str, after: u64) -> Option<Box<dyn Events>>;

    /// Whether this node is about to end: who reads is sent away.
    fn is_draining(&self) -> bool;
}

/// Events of one call, one after the other.
pub trait Events: Send {
    /// The next; none once the call is over.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Happened>> + Send + '_>>;
}

/// What a reader of events is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// An event, numbered from 1, as JSON.
    Event {
        /// Its number in the call.
        number: u64,
        /// Itself.
        json: String,
    },
    /// Some were missed.
    Missed {
        /// How many.
        count: u64,
        /// The number of the last one.
        number: u64,
    },
}

/// A call that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCall {
    /// Its name in the log.
    pub call: String,
    /// The name of its tenant.
    pub tenant: String,
    /// What is known of it; nothing while it begins.
    pub facts: Option<LiveFacts>,
}

/// Who calls whom, and since when.
#[derive(Clone, PartialEq, Eq)]
pub struct LiveFacts {
    /// `global_session_id` of the record that it will have.
    pub session: String,
    /// The caller's number.
    pub caller: String,
    /// The number that was dialled.
    pub dialled: String,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: i64,
}

/// It never shows who calls.
impl std::fmt::Debug for LiveFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiveFacts({})", self.session)
    }
}

/// What happened in a call until now.
#[derive(Debug, Clone, PartialEq)]
pub struct SoFar {
    /// Which call.
    pub call: LiveCall,
    /// Whether it is up; otherwise it was a moment ago.
    pub is_up: bool,
    /// The number of the first of the events.
    pub first: u64,
    /// The latest events, oldest first.
    pub events: Vec<Arc<Event>>,
}

/// The recordings that lie on this node.
pub trait Recordings: Send + Sync {
    /// That of a call by its tenant's name and its own in the log; none if there is none here, or it is not whole yet.
    fn find(&self, tenant: String, call: String) -> Pending<io::Result<Option<Box<dyn Recording>>>>;
}

/// A recording.
pub trait Recording: Send + Sync {
    /// How long its file is.
    fn bytes(&self) -> u64;

    /// So many bytes of it from a place on, or fewer; none behind its end.
    fn read(&self, at: u64, bytes: usize) -> Pending<io::Result<Vec<u8>>>;
}

/// Who wrote settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The operator, in the configuration's file.
    File,
    /// A tenant's people, over REST: what they name leads no further than the operator allows.
    Store,
}

/// Why a trial came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// What was tried is not what it should be: in a sentence.
    Tried(Fault, String),
    /// It was not tried, which is this server's doing: in a sentence.
    Untried(&'static str),
}

/// All faults with their words, in one list: `docs/errors.md` has an entry for each.
macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident $word:literal)+) => {
        /// What is the matter with what was tried.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $fault),+ }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$fault),+];

            /// Its word.
            pub fn word(self) -> &'static str {
                match self { $(Self::$fault => $word),+ }
            }
        }
    };
}

faults! {
    /// It cannot be opened as it is set.
    Unusable "unusable"
    /// It names no service.
    NothingNamed "nothing_named"
    /// It did not answer in time.
    Overdue "overdue"
    /// Too much waits for it.
    Overloaded "overloaded"
    /// It cannot be reached, or said no.
    Unavailable "unavailable"
    /// It cannot do it now, and may soon.
    NotNow "not_now"
    /// It answered, and what it made is silence.
    Silent "silent"
    /// It was opened, and broke off.
    BrokeOff "broke_off"
}

/// The word of what this server had no room to try.
pub const BUSY: &str = "busy";

/// Asks the services of a document, on behalf of who sets them up. Each answer comes in bounded time, and costs no call anything.
pub trait Trials: Send + Sync {
    /// Speaks to the first recognizer of settings, or, without one, the first synthesizer; a sentence of what came of it, good or bad.
    fn service(&self, settings: TenantSettings) -> Pending<Result<String, Failed>>;

    /// Has the first synthesizer say something; a WAV file of one channel.
    fn speech(&self, settings: TenantSettings, text: String) -> Pending<Result<Vec<u8>, Failed>>;

    /// The models or voices that it offers, or why it does not say.
    fn offers(&self, settings: TenantSettings) -> Pending<Result<Vec<Offer>, Failed>>;

    /// Tells the first assistant what a caller did; what it replies.
    fn assistant(&self, settings: TenantSettings, said: Said, context: Value) -> Pending<Result<Reply, Failed>>;

    /// Tests the connection to Amazon Connect; the mistakes of settings that make none.
    fn connection(&self, settings: TenantSettings, origin: Origin) -> Pending<Result<ConnectionReport, Vec<Mistake>>>;

    /// Posts an event to who is told of calls that says that it is a test; a sentence of what came of it.
    fn log_webhook(&self, settings: TenantSettings) -> Pending<Result<String, Failed>>;
}

/// What a caller did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The call begins.
    Nothing,
    /// They said this.
    Words(String),
    /// They pressed these keys: of `0` to `9`, `*` and `#`.
    Digits(String),
    /// They were silent for the post-response timeout.
    Silence,
}

/// A model or voice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// As it is configured.
    pub name: String,
    /// A BCP 47 tag.
    pub language: String,
    /// `female` or `male`, of a voice.
    pub gender: Option<String>,
}

/// What an assistant replied.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Its responses, as JSON.
    pub responses: Vec<Value>,
    /// To be given back with what is said next.
    pub context: Value,
}
