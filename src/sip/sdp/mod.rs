//! SDP offer/answer for one audio stream (RFC 3264, RFC 8866): G.711, G.722, Opus, telephone-event, comfort noise, SRTP.
//!
//! Invariant: an answer has as many m-lines as its offer; all but the first usable audio stream are refused with port 0.
//! What a refusal was about is told: [`SdpRefused::warning`]. What two descriptions agree on is found in `agreement.rs`, ours are
//! written in `writer.rs`, theirs read in `reader.rs`.

mod agreement;
pub mod crypto;
mod reader;
mod writer;

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use agreement::first_that_fits;
use crypto::{CryptoKey, CryptoLine, CryptoSuite, KeyMaterial};
pub use reader::Line;
use writer::{Stream, session_lines};

use crate::message::{Response, StatusCode};

/// An audio codec the engine speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
    /// G.722, static payload type 9.
    G722,
    /// Opus (RFC 7587), a dynamic payload type.
    Opus,
}

impl Codec {
    /// All, in the default order of preference: what every telephone speaks first.
    pub const ALL: [Self; 4] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus];

    /// The encoding name of RFC 3551 and RFC 7587.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
        }
    }

    /// The payload type in our own offers.
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 96,
        }
    }

    /// Ticks per second of its timestamps; G.722's is 8000 for historic reasons (RFC 3551 section 4.5.2).
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8000,
            Self::Opus => 48_000,
        }
    }

    /// What follows the payload type in `a=rtpmap`.
    fn mapping(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU/8000",
            Self::Pcma => "PCMA/8000",
            Self::G722 => "G722/8000",
            Self::Opus => "opus/48000/2",
        }
    }

    fn is_narrowband(self) -> bool {
        matches!(self, Self::Pcmu | Self::Pcma)
    }
}

/// Who sends, seen from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    fn token(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn from_token(token: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|d| d.token().eq_ignore_ascii_case(token))
    }

    /// The other side's view (RFC 3264 section 6.1).
    pub fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            both => both,
        }
    }
}

/// "Force secure trunking", and its softer forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// Audio goes in the clear, whatever is offered.
    Off,
    /// SRTP where the far end offers it, also with RTP/AVP and `a=crypto` as real trunks send it.
    #[default]
    Preferred,
    /// SRTP or no call.
    Required,
}

/// Our side of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address and port the far end shall send RTP to (the advertised one).
    pub address: SocketAddr,
    /// The session id of the o-line.
    pub session_id: u64,
    /// The version of the o-line: counts up whenever the description changes.
    pub version: u64,
    /// The codecs we speak, in our order of preference.
    pub codecs: Arc<[Codec]>,
    /// The policy of SRTP.
    pub security: Security,
    /// What our keys are made of.
    pub keys: KeyMaterial,
}

impl LocalMedia {
    /// A side that speaks every codec, and SRTP where it is offered.
    pub fn new(address: SocketAddr, session_id: u64, keys: KeyMaterial) -> Self {
        let codecs = Codec::ALL.into();
        Self { address, session_id, version: session_id, codecs, security: Security::default(), keys }
    }
}

/// telephone-event as agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Its payload type.
    pub payload_type: u8,
    /// Ticks per second of its durations.
    pub clock_rate: u32,
}

/// The keys of both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// What we send with.
    pub local: CryptoKey,
    /// What the far end sends with.
    pub remote: CryptoKey,
}

/// What both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// Where the far end wants RTP, by its own account; an unspecified address when it gave a name or held the call the
    /// old way. Symmetric RTP may find better.
    pub remote: SocketAddr,
    /// Where it wants RTCP.
    pub remote_control: SocketAddr,
    /// Whether RTCP goes over the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    /// The codec of both directions.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// telephone-event, if both sides can.
    pub telephone_event: Option<TelephoneEvent>,
    /// The payload type of comfort noise, if both sides can.
    pub comfort_noise: Option<u8>,
    /// Milliseconds of audio per packet that the far end wishes for: 10 to 60.
    pub ptime_ms: u8,
    /// Who sends, seen from us.
    pub direction: Direction,
    /// The keys, if the stream is SRTP.
    pub keys: Option<Keys>,
}

impl Agreed {
    /// Where RTP is expected from, if the description told.
    pub fn signalled(&self) -> Option<SocketAddr> {
        (!self.remote.ip().is_unspecified()).then_some(self.remote)
    }

    /// Its m-section from our side.
    fn write(
        &self,
        (kind, profile): (&str, &str),
        crypto: Option<&CryptoLine>,
        direction: Direction,
        local: &LocalMedia,
        sdp: &mut String,
    ) {
        Stream {
            kind,
            profile,
            codecs: &[(self.codec, self.payload_type)],
            events: self.telephone_event.as_slice(),
            comfort_noise: self.comfort_noise,
            rtcp_mux: self.rtcp_mux,
            crypto: crypto.map_or(&[], std::slice::from_ref),
            ptime_ms: self.ptime_ms,
            direction,
        }
        .write(local, sdp);
    }
}

/// Why no stream came about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpRefused {
    /// Not SDP: 400.
    #[error("malformed session description")]
    Malformed,
    /// A line that is needed cannot be read: 488.
    #[error("a line of the session description cannot be read, {0}")]
    Unreadable(Line),
    /// A stream has no c-line: 488.
    #[error("no connection address for the stream of {0}")]
    NoAddress(Line),
    /// No audio stream with a codec of ours: 488.
    #[error("no acceptable audio stream")]
    NothingFits,
    /// The tenant wants SRTP, or refuses it: 488.
    #[error("the policy of secure audio does not fit the offer")]
    Security,
}

impl SdpRefused {
    /// The status to refuse the offer with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode(400),
            Self::Unreadable(_) | Self::NoAddress(_) | Self::NothingFits | Self::Security => StatusCode(488),
        }
    }

    /// The Warning value (RFC 3261 section 20.43) that says what is wrong, by the line where there is one.
    pub fn warning(&self) -> String {
        let code = match self {
            Self::NothingFits => 305,
            Self::Malformed | Self::Unreadable(_) | Self::NoAddress(_) | Self::Security => 399,
        };
        format!("{code} bellhop \"{self}\"")
    }

    /// The refusal of an offer, given the response with [`Self::status`].
    pub fn told_in(&self, response: Response) -> Response {
        response.with("Warning", self.warning())
    }

    /// Of the reasons of several streams the one that helps most: a line to mend, then the policy.
    fn or(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::NothingFits, _) | (Self::Security, Self::Unreadable(_) | Self::NoAddress(_)) => other,
            _ => self,
        }
    }
}

/// Our answer to an offer, and what it agrees on.
pub fn answer(offer: &[u8], local: &LocalMedia) -> Result<(String, Agreed), SdpRefused> {
    let offer = reader::read(offer).ok_or(SdpRefused::Malformed)?;
    let (chosen, (agreed, crypto_tag)) = first_that_fits(&offer, local)?;
    let mut sdp = session_lines(local);
    for (at, stream) in offer.streams.iter().enumerate() {
        if at == chosen {
            let crypto = agreed.keys.as_ref().map(|keys| CryptoLine { tag: crypto_tag, key: keys.local.clone() });
            let written = (stream.kind.as_str(), stream.profile.as_str());
            agreed.write(written, crypto.as_ref(), agreed.direction, local, &mut sdp);
        } else {
            let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
            let format = stream.formats.first().map_or("0", String::as_str);
            let (kind, profile) = (or(&stream.kind, "audio"), or(&stream.profile, "RTP/AVP"));
            let _ = write!(sdp, "m={kind} 0 {profile} {format}\r\n");
        }
    }
    Ok((sdp, agreed))
}

/// Our own offer: for an INVITE without one, and for the calls of the rehearsal.
pub fn offer(local: &LocalMedia) -> String {
    let codecs: Vec<_> = local.codecs.iter().map(|codec| (*codec, codec.payload_type())).collect();
    let mut events = vec![];
    if codecs.iter().any(|(codec, _)| codec.clock_rate() == 8000) {
        events.push(TelephoneEvent { payload_type: 101, clock_rate: 8000 });
    }
    if codecs.iter().any(|(codec, _)| codec.clock_rate() == 48_000) {
        events.push(TelephoneEvent { payload_type: 102, clock_rate: 48_000 });
    }
    let keys = CryptoSuite::OFFERED.map(|suite| local.keys.key(suite));
    let crypto: Vec<_> = keys.into_iter().zip(1..).map(|(key, tag)| CryptoLine { tag, key }).collect();
    let (profile, crypto) = match local.security {
        // A key in a profile without protection is what lets either side do without (as real trunks do).
        Security::Preferred => ("RTP/AVP", crypto),
        Security::Required => ("RTP/SAVP", crypto),
        Security::Off => ("RTP/AVP", vec![]),
    };
    let mut sdp = session_lines(local);
    Stream {
        kind: "audio",
        profile,
        codecs: &codecs,
        events: &events,
        comfort_noise: None,
        rtcp_mux: true,
        crypto: &crypto,
        ptime_ms: 20,
        direction: Direction::SendRecv,
    }
    .write(local, &mut sdp);
    sdp
}

/// An offer that changes nothing but the direction of a stream that is agreed on: hold, and its end.
pub fn reoffer(local: &LocalMedia, agreed: &Agreed, direction: Direction) -> String {
    let crypto = agreed.keys.as_ref().map(|keys| CryptoLine { tag: 1, key: keys.local.clone() });
    let mut sdp = session_lines(local);
    let profile = if crypto.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
    agreed.write(("audio", profile), crypto.as_ref(), direction, local, &mut sdp);
    sdp
}

/// Reads the far end's answer to our [`offer`] or [`reoffer`].
pub fn read_answer(answer: &[u8], local: &LocalMedia) -> Result<Agreed, SdpRefused> {
    let answer = reader::read(answer).ok_or(SdpRefused::Malformed)?;
    first_that_fits(&answer, local).map(|(_, (agreed, _))| agreed)
}

#[cfg(test)]
mod tests;
