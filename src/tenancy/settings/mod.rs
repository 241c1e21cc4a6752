//! A tenant's settings as one document, whatever it is written in.
//!
//! A reader of a format makes a [`Table`] of it: TOML (`src/server/config/`), JSON for a row of a database or the body
//! of a request ([`json`]), the pairs of a form ([`form`]). [`TenantSettings`] is what such a document means, one
//! struct for each of its sections; what is judged, and in which words, is the same for all. Invariants: every mistake
//! of a document is told at once, by its path; no key is read by one reader and unknown to another; nothing but this
//! folder reads a key of a tenant.
//!
//! A new setting is a field and a line of the section's file here, a row of `docs/configuration.md`, a field of a tab of the
//! pages (`src/console/pages/tabs.rs`), and whoever makes use of it.

mod asks;
mod connect;
mod conversation;
mod document;
mod flow;
pub mod form;
mod gathered;
pub mod json;
mod keys;
mod led_elsewhere;
mod media;
mod mistake;
mod outline;
mod parts;
pub mod patch;
mod records;
mod renamed;
mod secrets;
mod section;
mod services;
mod sip;
mod tenant;
#[cfg(test)]
mod tests;
mod value;

pub use asks::{Asks, Setting};
pub use connect::{AwsKey, ConnectCredentials, ConnectSettings};
pub use conversation::{BargeIn, ConversationSettings, EndOfTurn};
pub use document::{KEPT, Reading, SetApart, Written, shown_of, validate};
pub use flow::{FlowSettings, VOICE_CONNECTOR_TYPES};
pub use gathered::{Alone, Gathered, Mark, NamedUrl, Surroundings};
pub use led_elsewhere::led_elsewhere;
pub use media::{Codec, MEDIA_TIMEOUT, MediaSettings, Srtp};
pub use mistake::{Mistake, Part};
pub use outline::{outline, usual};
pub use parts::{
    Beside, Composed, ComposedReading, KeptSecrets, PartKind, PartReading, Unopened, names_kept, read_part,
};
pub use records::{RecordSettings, RecordingSettings, RecordsWebhook};
pub use section::Section;
pub use services::{
    AmazonService, AssistantKind, Parameters, Ranked, RecognizerKind, Script, SynthesizerKind, WatsonCredentials,
    WatsonService,
};
pub use sip::SipSettings;
pub use tenant::TenantSettings;
pub use value::{Table, Value};

/// The schemes of services that are spoken to over HTTP.
const HTTP: [&str; 2] = ["http://", "https://"];
