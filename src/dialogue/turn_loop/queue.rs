//! The queue of a reply: what is to be heard, and what is to be done between.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Output, SayId};
use crate::response::{DtmfSend, Response};

/// One place in the queue.
pub(super) enum Queued {
    /// Something to be heard.
    Clip {
        /// By which the playback reports on it.
        id: SayId,
        /// Its words, until they begin to be heard.
        words: Option<Arc<str>>,
        /// Whether it is repeated until the next reply.
        repeats: bool,
        /// What makes it heard, until that is ordered.
        sound: Option<Sound>,
        /// How much of the playback's queue it takes.
        size: Size,
    },
    /// Something to be done once everything before it has been heard.
    Do(Box<Response>),
}

/// It never shows words.
impl fmt::Debug for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clip { id, repeats, .. } => write!(f, "Clip({}, repeats: {repeats})", id.0),
            Self::Do(_) => f.write_str("Do"),
        }
    }
}

/// What makes a clip heard. A long reply waits in hundreds of them, so they are small.
pub(super) enum Sound {
    /// A text, in a voice that all parts of it share.
    Text { text: Arc<str>, voice: Arc<Map<String, Value>>, cacheable: bool },
    /// A file.
    File { source: String },
    /// Digits.
    Digits(DtmfSend),
}

impl Sound {
    pub(super) fn order(self, id: SayId, repeats: bool) -> Output {
        match self {
            Self::Text { text, voice, cacheable } => Output::Say { id, text, voice, cacheable },
            Self::File { source } => Output::Play { id, source, repeats },
            Self::Digits(digits) => Output::SendDigits { id, digits },
        }
    }
}

/// How much a clip takes.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Size {
    pub(super) characters: usize,
    pub(super) clips: usize,
}

pub(super) fn is_end(queued: &Queued) -> bool {
    matches!(queued, Queued::Do(response) if response.is_terminal())
}

pub(super) fn is_clip(queued: &Queued) -> bool {
    matches!(queued, Queued::Clip { .. })
}

pub(super) fn is(queued: &Queued, id: SayId) -> bool {
    matches!(queued, Queued::Clip { id: clip, .. } if *clip == id)
}
