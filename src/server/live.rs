//! Calls as they happen: every event as a line of JSON, to whoever connects to a socket (`operations.socket`, or beside the
//! database); and the two orders that can be given there: to hang a call up, and to tell the latest refused calls.
//!
//! The lines hold what callers say, and so do the stories of calls that are up, which pages ask for. Invariants: the socket is its owner's
//! alone (mode 0600), and while nobody listens nothing is rendered; who reads too slowly misses lines and is told how many; a socket that is lost, or that another server has, is
//! opened again as soon as that can be.

mod client;
mod socket;
mod stories;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bellhop_actors::node::call_registry::CallId;
use bellhop_actors::node::refused::RefusedCall;
use bellhop_actors::services::Observer;
use bellhop_call::record::Event;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

pub use self::client::{follow, order};
pub use self::socket::{Socket, socket_of, without_socket};
pub(crate) use self::stories::{Next, Stories, Story};

/// Lines that may wait for a reader.
const LINES_MAX: usize = 4096;
/// Refused calls that are remembered; the oldest fall off.
pub const REFUSED_MAX: usize = 256;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// The call, as named in the log.
    pub call: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can be ordered, as a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Hang this call up; its name in the log.
    HangUp(String),
    /// Tell the latest calls that were refused.
    Refused,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was told to leave.
    HungUp,
    /// There is none of that name.
    NoSuchCall,
    /// The latest refused calls, oldest first.
    Refused(Vec<Refused>),
}

/// A call that was refused, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Milliseconds since 1970.
    pub at_unix_ms: i64,
    /// Address and port.
    pub source: String,
    /// UDP, TCP or TLS.
    pub transport: String,
    /// The Call-ID of its INVITE.
    pub sip_call_id: String,
    /// What was dialled, masked as configured.
    pub dialled: String,
    /// Whose call it would have been, or may have been, as far as that is known.
    pub tenants: Vec<String>,
    /// What it was answered.
    pub status: u16,
    /// The reason in a sentence.
    pub why: String,
    /// What a contact flow did, and should do, that sent a reference as text.
    pub sent_as_text: Option<String>,
    /// What to do about the reason.
    pub what_to_do: String,
}

impl From<&RefusedCall> for Refused {
    fn from(call: &RefusedCall) -> Self {
        let at = call.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            at_unix_ms: at.as_millis() as i64,
            source: call.source.to_string(),
            transport: call.transport.to_string(),
            sip_call_id: call.sip_call_id.clone(),
            dialled: call.dialled.clone(),
            tenants: call.tenants.clone(),
            status: call.status,
            why: call.why.to_string(),
            sent_as_text: call.sent_as_text.as_ref().map(ToString::to_string),
            what_to_do: call.why.what_to_do().to_owned(),
        }
    }
}

/// A refused call among the lines.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefusedLine {
    /// The INVITE, and the reason of the refusal.
    pub refused: Refused,
}

/// Hangs a call up; whether it is up.
pub type HangUp = Arc<dyn Fn(CallId) -> bool + Send + Sync>;

/// Tells everybody who is connected, and remembers the latest refused calls.
#[derive(Clone)]
pub struct Live {
    lines: broadcast::Sender<Arc<str>>,
    refused: Arc<Mutex<VecDeque<Refused>>>,
    stories: Arc<Stories>,
}

impl Live {
    /// With nobody listening yet.
    pub fn new() -> Self {
        Self { lines: broadcast::channel(LINES_MAX).0, refused: Arc::default(), stories: Arc::default() }
    }

    /// Whoever hears every line from now on; one who is slow misses some.
    pub fn listen(&self) -> broadcast::Receiver<Arc<str>> {
        self.lines.subscribe()
    }

    /// What has happened in the calls that are up.
    pub(crate) fn stories(&self) -> &Stories {
        &self.stories
    }

    /// Forgets calls that are over.
    pub fn tidy(&self) {
        self.stories.tidy();
    }

    fn answer(&self, order: &str, hang_up: &HangUp) -> String {
        let answer = match serde_json::from_str(order) {
            Ok(Command::HangUp(call)) if call.parse().is_ok_and(|call| hang_up(call)) => Answer::HungUp,
            Ok(Command::Refused) => Answer::Refused(self.refused().iter().cloned().collect()),
            _ => Answer::NoSuchCall,
        };
        format!("{{\"answer\":{}}}\n", serde_json::to_string(&answer).expect("plain data"))
    }

    fn refused(&self) -> MutexGuard<'_, VecDeque<Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, line: &impl Serialize) {
        if self.lines.receiver_count() == 0 {
            return;
        }
        if let Ok(json) = serde_json::to_string(line) {
            let _ = self.lines.send(format!("{json}\n").into());
        }
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Live {
    fn saw(&self, call: CallId, event: &Arc<Event>) {
        self.stories.saw(call, event);
        if self.lines.receiver_count() > 0 {
            self.tell(&Line { call: call.to_string(), event: Event::clone(event) });
        }
    }

    fn refused(&self, call: &RefusedCall) {
        let refused = Refused::from(call);
        self.tell(&RefusedLine { refused: refused.clone() });
        let mut latest = self.refused();
        if latest.len() == REFUSED_MAX {
            latest.pop_front();
        }
        latest.push_back(refused);
    }
}

/// Sees for several.
pub(crate) struct Both(pub(crate) Arc<dyn Observer>, pub(crate) Arc<dyn Observer>);

impl Observer for Both {
    fn saw(&self, call: CallId, event: &Arc<Event>) {
        self.0.saw(call, event);
        self.1.saw(call, event);
    }

    fn refused(&self, call: &RefusedCall) {
        self.0.refused(call);
        self.1.refused(call);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use bellhop_call::record::What;

    #[test]
    fn the_socket_lies_beside_the_database() {
        let beside = |url| socket_of(None, url);
        assert_eq!(beside("sqlite:///var/lib/bellhop/bellhop.db"), Some("/var/lib/bellhop/bellhop.sock".into()));
        assert_eq!(beside("sqlite://bellhop.db?mode=rwc"), Some("bellhop.sock".into()));
        assert_eq!(beside("sqlite::memory:"), None);
        assert_eq!(beside("postgres://bellhop@db.example/bellhop"), None);
        let configured = Some(Path::new("/run/bellhop.sock"));
        for url in ["postgres://bellhop@db.example/bellhop", "sqlite:///var/lib/bellhop/bellhop.db"] {
            assert_eq!(socket_of(configured, url), configured.map(Path::to_owned));
        }
    }

    #[test]
    fn the_latest_refused_calls_are_remembered_and_no_more() {
        use bellhop_actors::node::refused::Why;
        let live = Live::new();
        for n in 0..REFUSED_MAX + 10 {
            live.refused_call(n);
        }
        let answer = live.answer(r#""refused""#, &(Arc::new(|_| false) as HangUp));
        #[derive(Deserialize)]
        struct Answered {
            answer: Answer,
        }
        let Answered { answer: Answer::Refused(calls) } = serde_json::from_str(&answer).expect("its own form") else {
            panic!("{answer}")
        };
        assert_eq!((calls.len(), calls[0].sip_call_id.as_str()), (REFUSED_MAX, "10"));
        assert_eq!(calls[0].why, Why::NoPorts.to_string());
    }

    impl Live {
        fn refused_call(&self, n: usize) {
            use bellhop_actors::node::refused::Why;
            use bellhop_sip::hop::Transport;
            let call = RefusedCall {
                at: SystemTime::UNIX_EPOCH,
                source: "192.0.2.1:5060".parse().expect("an address"),
                transport: Transport::Udp,
                sip_call_id: n.to_string(),
                dialled: "0123".into(),
                number: None,
                server_name: None,
                tenants: vec![],
                status: 503,
                why: Why::NoPorts,
                sent_as_text: None,
            };
            Observer::refused(self, &call);
        }
    }

    #[actix_rt::test]
    async fn who_connects_hears_of_events_and_nobody_else_may() {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path();
        let path = folder.join("a.sock");
        std::fs::write(&path, "left behind").expect("a file");
        let live = Live::new();
        let hung_up: HangUp = Arc::new(|call| call == CallId(1));
        let socket = live.open(&path, Arc::clone(&hung_up)).await.expect("opens");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(Live::new().open(&path, Arc::clone(&hung_up)).await.is_err(), "it is answered");
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let reading = path.clone();
        actix_rt::spawn(async move {
            let _ = follow(&reading, |line| told.send(line.to_owned()).is_ok()).await;
        });
        let event = Arc::new(Event { at_ms: 7, what: What::Answered {} });
        let line = loop {
            live.saw(CallId(1), &event);
            match tokio::time::timeout(std::time::Duration::from_millis(20), heard.recv()).await {
                Ok(Some(line)) => break line,
                _ => continue,
            }
        };
        assert_eq!(line, r#"{"call":"0000000000000001","at_ms":7,"event":"answered"}"#);
        let back: Line = serde_json::from_str(&line).expect("its own form");
        assert_eq!(back.event, *event);
        for (call, answer) in
            [("0000000000000001", Answer::HungUp), ("2", Answer::NoSuchCall), ("x", Answer::NoSuchCall)]
        {
            assert_eq!(order(&path, &Command::HangUp(call.into())).await.expect("answers"), answer, "{call}");
        }
        drop(socket);
        assert!(!path.exists());
    }

    /// What a server that was killed half-way leaves behind, a name that is taken by another, and one that is deleted.
    #[actix_rt::test]
    async fn a_socket_that_is_lost_is_opened_again() {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path();
        let path = folder.join("a.sock");
        let left_behind = path.with_extension(format!("sock.new.{}", std::process::id()));
        std::fs::create_dir_all(left_behind).expect("a folder");
        let nobody: HangUp = Arc::new(|_| false);
        let socket = Live::new().open(&path, Arc::clone(&nobody)).await.expect("opens");
        std::fs::remove_file(&path).expect("deleted");
        assert!(!socket.is_there());
        let other = Live::new().open(&path, nobody).await.expect("opens");
        drop(socket);
        assert!(other.is_there(), "what another server has is not deleted");
    }
}
