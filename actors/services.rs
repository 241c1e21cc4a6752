//! What a call needs of the world, per tenant: the ports, wired by the server.
//!
//! Invariant: the port that sets contact attributes is handed to ConnectHandoff alone; everybody else can only blank.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bellhop_call::record::{CallRecord, Event, Opening};
use bellhop_connect::InstanceArn;
use bellhop_connect::ports::{AttributeBlanker, AttributeWriter, HistoryStore};
use bellhop_dialogue::Json;
use bellhop_dialogue::ports::{Assistant, Companding, Recognizer, SoundLibrary, Synthesizer};
use bellhop_dialogue::turn_loop::Policy;
pub use bellhop_sip::sdp::{Codec, Security};
use bellhop_tenancy::Integration;

use crate::node::call_registry::CallId;
use crate::node::refused::RefusedCall;

/// An integration of a tenant with its services.
#[derive(Clone)]
pub struct Services {
    /// What the engine knows of it, and whose it is.
    pub integration: Arc<Integration>,
    /// How its calls sound.
    pub media: MediaPolicy,
    /// Its Amazon Connect instance; none where calls come from elsewhere.
    pub instance: Option<InstanceArn>,
    /// Replies to turns, with its stand-ins behind it.
    pub assistant: Arc<dyn Assistant>,
    /// Opens a stream for each call, with its stand-ins behind it.
    pub recognizer: Arc<dyn Recognizer>,
    /// Makes audio of replies, with its stand-ins behind it.
    pub synthesizer: Arc<dyn Synthesizer>,
    /// Fetches the sounds that its assistant names.
    pub sounds: Arc<dyn SoundLibrary>,
    /// How its conversations are led.
    pub conversation: Policy,
    /// The headers of an INVITE that its assistant is told, in the author's spelling.
    pub invite_headers: Arc<[String]>,
    /// Writes contact attributes in its account.
    pub attributes: Arc<dyn AttributeWriter>,
    /// Takes uncertain keys back.
    pub blanker: Arc<dyn AttributeBlanker>,
    /// Stores session histories.
    pub histories: Arc<dyn HistoryStore>,
    /// Records its calls, if the tenant wants that.
    pub recorder: Option<Arc<dyn CallRecorder>>,
    /// Names its assistant in the record of a call: the vendor's identifier, or the kind.
    pub assistant_id: Arc<str>,
    /// Keeps the records of its calls.
    pub records: Arc<dyn RecordKeeper>,
    /// Sees calls, if somebody wants to.
    pub observer: Option<Arc<dyn Observer>>,
}

impl AsRef<Integration> for Services {
    fn as_ref(&self) -> &Integration {
        &self.integration
    }
}

/// How a tenant's calls sound.
#[derive(Debug, Clone)]
pub struct MediaPolicy {
    /// The codecs, in order of preference.
    pub codecs: Arc<[Codec]>,
    /// "Force secure trunking", and its softer forms.
    pub security: Security,
    /// What goes out while nobody speaks.
    pub silence: Silence,
    /// How long a caller that should send audio may send nothing.
    pub timeout: Duration,
}

impl MediaPolicy {
    /// How lines of G.711 code their samples by it; none if there are no such lines.
    pub fn companding(&self) -> Option<Companding> {
        self.codecs.iter().find_map(|codec| match codec {
            Codec::Pcmu => Some(Companding::MuLaw),
            Codec::Pcma => Some(Companding::ALaw),
            Codec::G722 | Codec::Opus => None,
        })
    }
}

impl Default for MediaPolicy {
    /// Every codec, SRTP where offered, a minute of patience.
    fn default() -> Self {
        Self {
            codecs: Codec::ALL.into(),
            security: Security::default(),
            silence: Silence::default(),
            timeout: bellhop_tenancy::settings::MEDIA_TIMEOUT,
        }
    }
}

/// What goes out while nobody speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Silence {
    /// Packets of silence, 50 a second.
    #[default]
    Sent,
    /// Nothing but comfort noise now and then, where the far end knows it (RFC 3389).
    Suppressed,
}

/// Records calls.
pub trait CallRecorder: Send + Sync {
    /// Begins the recording of a call on a line of so many samples per second.
    fn begin(&self, call: CallId, sample_rate: u32) -> Box<dyn RecordingSink>;
}

/// One call's recording; dropping it ends it.
pub trait RecordingSink: Send {
    /// Takes a second of both directions: caller, us, caller, us. Must not wait.
    fn write(&mut self, samples: Vec<i16>);
}

/// Sees a call as it happens; for the demo and for tools that follow a call. What it does with the words is its own
/// responsibility: they never go to the log.
pub trait Observer: Send + Sync {
    /// Something happened. Must not wait.
    fn saw(&self, call: CallId, event: &Arc<Event>);

    /// A call never came about. Must not wait.
    fn refused(&self, _: &RefusedCall) {}
}

/// Keeps the records of a tenant's calls and hands them on.
pub trait RecordKeeper: Send + Sync {
    /// A call begins: should nobody live to tell how it ends, the next start does. Must not wait.
    fn began(&self, opening: &Opening);

    /// Whether the log of every turn is wanted.
    fn wants_turns(&self) -> bool;

    /// A turn is over; its log is the payload of the vendor's `message_logged`. Must not wait.
    fn turn(&self, record: &CallRecord, log: Json);

    /// The call is over. Must not wait.
    fn keep(&self, record: CallRecord);
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("integration", &self.integration.id).finish_non_exhaustive()
    }
}
