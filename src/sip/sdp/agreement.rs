//! What our side and a description of the far end agree on: the first stream that both can use, its codec, its keys.
//!
//! Invariant: nothing is agreed on that one side did not say it can; a stream that fits in part does not fit.

use std::net::{IpAddr, SocketAddr};

use super::crypto::CryptoLine;
use super::reader::{self, Description, Level};
use super::{Agreed, Codec, Direction, Keys, LocalMedia, SdpRefused, Security, TelephoneEvent};
use crate::message::params::number;

/// The first stream that both can use, by its place; what it agrees on, and the number of the crypto line that was taken.
pub(super) fn first_that_fits(
    description: &Description,
    local: &LocalMedia,
) -> Result<(usize, (Agreed, u32)), SdpRefused> {
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
