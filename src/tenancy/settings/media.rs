//! `media`: how a tenant's calls sound.

use std::time::Duration;

use super::section::Section;

/// How long a caller who is not on hold may send nothing, unless the tenant says another time.
pub const MEDIA_TIMEOUT: Duration = Duration::from_secs(60);

/// How a tenant's calls sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSettings {
    /// `codecs`: those spoken, the preferred one first; none for all there are, in the engine's order.
    pub codecs: Option<Vec<Codec>>,
    /// `srtp`
    pub srtp: Srtp,
    /// `suppress_silence`: comfort noise instead of packets of silence, where the far end knows it.
    pub suppress_silence: bool,
    /// `timeout_seconds`: how long a caller who is not on hold may send nothing.
    pub timeout: Duration,
}

/// A codec by its name in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// `pcmu`
    Pcmu,
    /// `pcma`
    Pcma,
    /// `g722`
    G722,
    /// `opus`
    Opus,
}

/// Whether audio is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Srtp {
    /// `off`
    Off,
    /// `preferred`: where it is offered.
    #[default]
    Preferred,
    /// `required`: "force secure trunking".
    Required,
}

impl Codec {
    const ALL: [(&str, Self); 4] =
        [("pcmu", Self::Pcmu), ("pcma", Self::Pcma), ("g722", Self::G722), ("opus", Self::Opus)];

    fn parse(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        let names = Self::ALL.map(|(name, _)| name);
        named.map(|(_, codec)| codec).ok_or_else(|| format!("`{text}` is none of {}", names.join(", ")))
    }
}

pub(super) fn read(section: &Section<'_>) -> MediaSettings {
    let settings = MediaSettings {
        codecs: section.list("codecs", Codec::parse).filter(|codecs| !codecs.is_empty()),
        srtp: match section.choice("srtp", &["off", "preferred", "required"]) {
            Some(0) => Srtp::Off,
            Some(2) => Srtp::Required,
            _ => Srtp::Preferred,
        },
        suppress_silence: section.flag("suppress_silence").unwrap_or(false),
        timeout: section
            .number("timeout_seconds", 5..=86_400)
            .map_or(MEDIA_TIMEOUT, |seconds| Duration::from_secs(seconds as u64)),
    };
    section.finish();
    settings
}
