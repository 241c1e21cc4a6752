//! SDP offer/answer for one audio stream (RFC 3264, RFC 8866): G.711, G.722, Opus, telephone-event, comfort noise, SRTP.
//!
//! Invariant: an answer has as many m-lines as its offer; all but the first usable audio stream are refused with port 0.
//! What a refusal was about is told: [`SdpRefused::warning`].

pub mod crypto;
mod reader;

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crypto::{CryptoKey, CryptoLine, CryptoSuite, KeyMaterial};
pub use reader::Line;
use reader::{Description, Level};

use crate::message::params::number;
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

/// The first stream that both can use, by its place; what it agrees on, and the number of the crypto line that was taken.
fn first_that_fits(description: &Description, local: &LocalMedia) -> Result<(usize, (Agreed, u32)), SdpRefused> {
    let mut refused = SdpRefused::NothingFits;
    for (at, stream) in description.streams.iter().enumerate() {
        match agree(&description.session, stream, local) {
            Ok(agreed) => return Ok((at, agreed)),
            Err(why) => refused = refused.or(why),
        }
    }
    Err(refused)
}

fn agree(session: &Level, stream: &reader::Stream, local: &LocalMedia) -> Result<(Agreed, u32), SdpRefused> {
    let is = |profile: &str| stream.profile.eq_ignore_ascii_case(profile);
    let secure_profile = is("RTP/SAVP") || is("RTP/SAVPF");
    let nothing = SdpRefused::NothingFits;
    if !stream.kind.eq_ignore_ascii_case("audio") {
        return Err(nothing);
    }
    let Some(port) = stream.port.filter(|_| stream.is_readable()) else {
        return Err(SdpRefused::Unreadable(stream.line.clone()));
    };
    if port == 0 || !(secure_profile || is("RTP/AVP") || is("RTP/AVPF")) {
        return Err(nothing);
    }
    let media = &stream.level;
    let formats: Vec<u8> = stream.formats.iter().filter_map(|format| number(format)).collect();
    let offered = |codec: &Codec| {
        let format = formats.iter().find(|format| codec_of(media, **format) == Some(*codec))?;
        Some((*codec, *format))
    };
    let (codec, payload_type) = local.codecs.iter().find_map(offered).ok_or(nothing)?;
    let (keys, crypto_tag) = agree_on_keys(media, secure_profile, local)?;
    let connection = media.connection.as_ref().or(session.connection.as_ref());
    let host = match connection {
        Some(Ok(host)) => host,
        Some(Err(line)) => return Err(SdpRefused::Unreadable(line.clone())),
        None => return Err(SdpRefused::NoAddress(stream.line.clone())),
    };
    // A name is not resolved: the stream is believed where it comes from.
    let ip: IpAddr = host.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let direction = direction(session, media);
    // 0.0.0.0 is the old way to say hold (RFC 3264 section 8.4).
    let old_hold = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) && direction == Direction::SendRecv;
    let remote = SocketAddr::new(ip, port);
    let rtcp_mux = media.attribute("rtcp-mux").is_some();
    let agreed = Agreed {
        remote,
        remote_control: if rtcp_mux { remote } else { control_address(media, remote) },
        rtcp_mux,
        codec,
        payload_type,
        telephone_event: telephone_event(media, &formats, codec),
        comfort_noise: formats.iter().copied().find(|format| {
            codec.is_narrowband()
                && mapping(media, *format).map_or(*format == 13, |mapping| mapping.is("CN", 8000, 8000))
        }),
        ptime_ms: ptime(media, codec),
        direction: if old_hold { Direction::SendOnly } else { direction }.reversed(),
        keys,
    };
    Ok((agreed, crypto_tag))
}

fn agree_on_keys(media: &Level, secure_profile: bool, local: &LocalMedia) -> Result<(Option<Keys>, u32), SdpRefused> {
    let offered = media.all("crypto").find_map(CryptoLine::parse);
    match (local.security, offered) {
        (Security::Off, _) if secure_profile => Err(SdpRefused::Security),
        (Security::Off, _) => Ok((None, 0)),
        (Security::Preferred | Security::Required, Some(line)) => {
            let local = local.keys.key(line.key.suite);
            Ok((Some(Keys { local, remote: line.key }), line.tag))
        }
        (Security::Required, None) => Err(SdpRefused::Security),
        (Security::Preferred, None) if secure_profile => Err(SdpRefused::Security),
        (Security::Preferred, None) => Ok((None, 0)),
    }
}

/// telephone-event at the codec's clock, else at 8 kHz, which is what older peers offer beside Opus. Some say no `a=rtpmap`
/// for it: their 101, or a dynamic format whose `a=fmtp` is a list of events, is it.
fn telephone_event(media: &Level, formats: &[u8], codec: Codec) -> Option<TelephoneEvent> {
    [codec.clock_rate(), 8000].into_iter().find_map(|clock_rate| {
        let is_it = |format: &u8| match mapping(media, *format) {
            Some(mapping) => mapping.is("telephone-event", clock_rate, 8000),
            None => clock_rate == 8000 && is_silently_events(media, *format),
        };
        formats.iter().copied().find(is_it).map(|payload_type| TelephoneEvent { payload_type, clock_rate })
    })
}

fn is_silently_events(media: &Level, format: u8) -> bool {
    let parameters = media.all("fmtp").find_map(|value| of_format(value, format));
    let is_list = |list: &str| {
        !list.is_empty()
            && list.bytes().all(|b| b.is_ascii_digit() || b",- ".contains(&b))
            && list.as_bytes()[0] != b'-'
    };
    (96..=127).contains(&format) && parameters.map_or(format == 101, is_list)
}

/// `a=rtcp` (RFC 3605), else the next port.
fn control_address(media: &Level, remote: SocketAddr) -> SocketAddr {
    let next = SocketAddr::new(remote.ip(), remote.port().saturating_add(1));
    let Some(value) = media.attribute("rtcp") else { return next };
    let mut words = value.split_whitespace();
    let Some(port) = words.next().and_then(number) else { return next };
    let ip = words.nth(2).and_then(|ip| ip.parse().ok()).unwrap_or(remote.ip());
    SocketAddr::new(ip, port)
}

/// What the far end wants to receive, within what we can send: 10 to 60 ms in steps of 10. A length of nothing is no wish.
fn ptime(media: &Level, codec: Codec) -> u8 {
    let number = |name| {
        let value = media.attribute(name).and_then(|value| value.parse::<f32>().ok());
        value.filter(|value| value.is_finite() && *value > 0.0)
    };
    let wished = number("ptime").unwrap_or(20.0).min(number("maxptime").unwrap_or(60.0));
    let tens = (wished / 10.0).clamp(1.0, 6.0) as u8;
    match (codec, tens) {
        (Codec::Opus, 3) => 20, // not a frame length of Opus
        (Codec::Opus, 5) => 40,
        (_, tens) => tens * 10,
    }
}

fn codec_of(media: &Level, format: u8) -> Option<Codec> {
    match mapping(media, format) {
        Some(mapping) => {
            Codec::ALL.into_iter().find(|codec| mapping.is(codec.name(), codec.clock_rate(), codec.clock_rate()))
        }
        None => Codec::ALL.into_iter().find(|codec| *codec != Codec::Opus && codec.payload_type() == format),
    }
}

/// `name/clock/channels` of an `a=rtpmap`.
struct Mapping<'a> {
    name: &'a str,
    clock_rate: Option<&'a str>,
}

impl Mapping<'_> {
    /// Whether it is this encoding; one that says no clock has the `usual` one. Channels make no difference to us: of
    /// what we speak each has one number of them.
    fn is(&self, name: &str, clock_rate: u32, usual: u32) -> bool {
        let clock = self.clock_rate.map_or(Some(usual), number);
        self.name.eq_ignore_ascii_case(name) && clock == Some(clock_rate)
    }
}

fn mapping(media: &Level, format: u8) -> Option<Mapping<'_>> {
    let value = media.all("rtpmap").find_map(|value| of_format(value, format))?;
    let mut parts = value.split('/').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?;
    Some(Mapping { name, clock_rate: parts.next().filter(|clock| !clock.is_empty()) })
}

/// What follows the format in `a=rtpmap` and `a=fmtp`, if it is this one.
fn of_format(value: &str, format: u8) -> Option<&str> {
    let (theirs, rest) = value.split_once(char::is_whitespace)?;
    (number(theirs) == Some(format)).then_some(rest.trim())
}

fn direction(session: &Level, media: &Level) -> Direction {
    let named = |level: &Level| level.names().find_map(Direction::from_token);
    named(media).or_else(|| named(session)).unwrap_or(Direction::SendRecv)
}

fn session_lines(local: &LocalMedia) -> String {
    let (family, ip) = (family(local.address.ip()), local.address.ip());
    let (id, version) = (local.session_id, local.version);
    format!("v=0\r\no=bellhop {id} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n")
}

/// One m-section of ours.
struct Stream<'a> {
    kind: &'a str,
    profile: &'a str,
    codecs: &'a [(Codec, u8)],
    events: &'a [TelephoneEvent],
    comfort_noise: Option<u8>,
    rtcp_mux: bool,
    crypto: &'a [CryptoLine],
    ptime_ms: u8,
    direction: Direction,
}

impl Stream<'_> {
    fn write(&self, local: &LocalMedia, sdp: &mut String) {
        let _ = write!(sdp, "m={} {} {}", self.kind, local.address.port(), self.profile);
        let formats = self.codecs.iter().map(|(_, format)| *format);
        for format in formats.chain(self.events.iter().map(|event| event.payload_type)).chain(self.comfort_noise) {
            let _ = write!(sdp, " {format}");
        }
        sdp.push_str("\r\n");
        for (codec, format) in self.codecs {
            let _ = write!(sdp, "a=rtpmap:{format} {}\r\n", codec.mapping());
            if *codec == Codec::Opus {
                let _ = write!(sdp, "a=fmtp:{format} maxplaybackrate=16000;stereo=0;useinbandfec=1\r\n");
            }
        }
        for TelephoneEvent { payload_type, clock_rate } in self.events {
            let _ =
                write!(sdp, "a=rtpmap:{payload_type} telephone-event/{clock_rate}\r\na=fmtp:{payload_type} 0-15\r\n");
        }
        if let Some(format) = self.comfort_noise {
            let _ = write!(sdp, "a=rtpmap:{format} CN/8000\r\n");
        }
        for line in self.crypto {
            let _ = write!(sdp, "a=crypto:{line}\r\n");
        }
        if self.rtcp_mux {
            sdp.push_str("a=rtcp-mux\r\n");
        }
        let _ = write!(sdp, "a=ptime:{}\r\na={}\r\n", self.ptime_ms, self.direction.token());
    }
}

fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IP4" } else { "IP6" }
}

#[cfg(test)]
mod tests;
