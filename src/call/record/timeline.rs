//! The events of a call, in the order in which they were seen: what `bellhop calls` shows.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use bellhop_dialogue::transcript::Speaker;

type Word = Cow<'static, str>;

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the INVITE came.
    pub at_ms: u64,
    /// In the JSON its fields stand beside `at_ms`.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. Its JSON is an object with `event` and the fields named here.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum What {
    Began(Arc<Began>),
    SipReceived {
        message: String,
    },
    SipSent {
        message: String,
    },
    Answered {},
    MediaAgreed {
        codec: String,
        encrypted: bool,
    },
    SpeechBegan {},
    SpeechEnded {
        level_dbfs: i32,
        /// What told: `silence`, `expected_phrase`, `unfinished_phrase`, `recognizer`, `longest`; nothing in records of before it was told.
        #[serde(default)]
        ended_by: Word,
        /// Since when the caller was silent.
        #[serde(default)]
        silence_ms: u64,
    },
    Understood {
        after_ms: u64,
        confidence: f32,
    },
    NotUnderstood {},
    Echo {},
    #[serde(rename = "key_pressed")]
    DigitPressed {},
    Said {
        speaker: Speaker,
        text: String,
    },
    Asked {
        turn: u32,
        request: Word,
        again: bool,
    },
    Replied {
        turn: u32,
        after_ms: u64,
        service: Word,
    },
    AssistantFailed {
        turn: u32,
        after_ms: u64,
        why: String,
    },
    Did {
        kind: Word,
    },
    AudioReady {
        after_ms: u64,
    },
    AudioBegan {
        after_ms: Option<u64>,
    },
    AudioEnded {},
    Interrupted {},
    AudioCut {
        share: f32,
    },
    ListenedBy {
        service: Word,
    },
    Warned {
        id: Word,
        message: String,
    },
    Ended {
        reason: Word,
        details: Option<String>,
    },
}

const _: () = assert!(size_of::<Event>() <= 72, "a call keeps up to 4,000 of them");

/// Who calls whom. Elsewhere: there is one of it among a hundred events, and the largest says how large all are.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Began {
    pub tenant: String,
    pub caller: String,
    pub dialled: String,
    pub sip_call_id: String,
    pub session: String,
}

/// It never shows what was said, nor by whom.
impl std::fmt::Debug for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.subject())
    }
}

impl What {
    /// Whose business it is, in a word.
    pub fn subject(&self) -> &'static str {
        match self {
            Self::Began(_) | Self::Answered {} | Self::Ended { .. } => "call",
            Self::SipReceived { .. } | Self::SipSent { .. } => "sip",
            Self::MediaAgreed { .. } => "media",
            Self::SpeechBegan {} | Self::SpeechEnded { .. } | Self::DigitPressed {} | Self::Interrupted {} => "caller",
            Self::Understood { .. } | Self::NotUnderstood {} | Self::Echo {} | Self::ListenedBy { .. } => "recognizer",
            Self::Said { .. } => "words",
            Self::Asked { .. } | Self::Replied { .. } | Self::AssistantFailed { .. } | Self::Did { .. } => "assistant",
            Self::AudioReady { .. } | Self::AudioBegan { .. } | Self::AudioEnded {} | Self::AudioCut { .. } => "voice",
            Self::Warned { .. } => "warning",
        }
    }

    /// It in a sentence, for a person.
    pub fn told(&self) -> String {
        match self {
            Self::Began(began) => {
                let Began { tenant, caller, dialled, sip_call_id, session } = &**began;
                format!("{caller} calls {dialled} of {tenant}; Call-ID {sip_call_id}, session {session}")
            }
            Self::SipReceived { message } => format!("<- {message}"),
            Self::SipSent { message } => format!("-> {message}"),
            Self::Answered {} => "answered".to_owned(),
            Self::MediaAgreed { codec, encrypted } => {
                format!("{codec}{}", if *encrypted { ", encrypted" } else { ", not encrypted" })
            }
            Self::SpeechBegan {} => "begins to speak".to_owned(),
            Self::SpeechEnded { level_dbfs, ended_by, silence_ms } if !ended_by.is_empty() => {
                let by = ended_by.replace('_', " ");
                format!("is silent since {silence_ms} ms, ended by {by}; spoke at {level_dbfs} dBFS")
            }
            Self::SpeechEnded { level_dbfs, .. } => format!("is silent again; spoke at {level_dbfs} dBFS"),
            Self::Understood { after_ms, confidence } => {
                format!("understood {after_ms} ms after the silence, confidence {confidence:.2}")
            }
            Self::NotUnderstood {} => "understood nothing".to_owned(),
            Self::Echo {} => "heard our own voice: dropped".to_owned(),
            Self::DigitPressed {} => "presses a key".to_owned(),
            Self::Said { speaker, text } => {
                let who = match speaker {
                    Speaker::Caller => "caller",
                    Speaker::CallerDigits => "caller, by keys",
                    Speaker::Assistant => "assistant",
                    Speaker::Note => "note",
                };
                format!("{who}: {text}")
            }
            Self::Asked { turn, request, again } => {
                format!("turn {turn} asked{}: {request}", if *again { " again" } else { "" })
            }
            Self::Replied { turn, after_ms, service } => format!("turn {turn} replied by {service} in {after_ms} ms"),
            Self::AssistantFailed { turn, after_ms, why } => format!("turn {turn} failed after {after_ms} ms: {why}"),
            Self::Did { kind } => kind.to_string(),
            Self::AudioReady { after_ms } => format!("audio is there after {after_ms} ms"),
            Self::AudioBegan { after_ms: Some(waited) } => format!("is heard; the caller waited {waited} ms"),
            Self::AudioBegan { after_ms: None } => "is heard".to_owned(),
            Self::Interrupted {} => "interrupts".to_owned(),
            Self::AudioEnded {} => "has been heard".to_owned(),
            Self::AudioCut { share } => format!("cut off after {:.0} %", share * 100.0),
            Self::ListenedBy { service } => format!("{service} listens"),
            Self::Warned { id, message } => format!("{id}: {message}"),
            Self::Ended { reason, details: None } => format!("ended: {reason}"),
            Self::Ended { reason, details: Some(details) } => format!("ended: {reason} ({details})"),
        }
    }
}
