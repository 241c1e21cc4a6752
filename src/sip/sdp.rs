//! SDP offer/answer for one audio stream (RFC 3264, RFC 8866): PCMU, PCMA and telephone-event.
//!
//! Invariant: an answer has as many m-lines as its offer; all but the first usable audio stream are refused with port 0.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use sdp_types::{Media, Session};

/// An audio codec the engine speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
}

impl Codec {
    /// All, in the order of preference of our own offers.
    pub const ALL: [Self; 2] = [Self::Pcmu, Self::Pcma];

    /// The encoding name of RFC 3551.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The static payload type of RFC 3551.
    pub fn static_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
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
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive].into_iter().find(|d| d.token() == token)
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

/// Our side of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address and port the far end shall send RTP to (the advertised one).
    pub address: SocketAddr,
    /// The session id and version of the o-line.
    pub session_id: u64,
}

/// What both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// Where the far end wants RTP, by its own account. Symmetric RTP may find better.
    pub remote: SocketAddr,
    /// The codec of both directions.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// The payload type of telephone-event/8000, if both sides can.
    pub telephone_event: Option<u8>,
    /// Milliseconds of audio per packet that the far end wishes for.
    pub ptime_ms: u8,
    /// Who sends, seen from us.
    pub direction: Direction,
}

/// Why no stream came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdpRefused {
    /// Not SDP: 400.
    #[error("malformed session description")]
    Malformed,
    /// No audio stream with a codec of ours: 488.
    #[error("no acceptable audio stream (PCMU or PCMA over RTP/AVP)")]
    NothingFits,
}

/// Our answer to an offer, and what it agrees on.
pub fn answer(offer: &[u8], local: &LocalMedia) -> Result<(String, Agreed), SdpRefused> {
    let session = Session::parse(offer).map_err(|_| SdpRefused::Malformed)?;
    let fits = session.medias.iter().position(|media| agree(&session, media).is_some());
    let chosen = fits.ok_or(SdpRefused::NothingFits)?;
    let agreed = agree(&session, &session.medias[chosen]).ok_or(SdpRefused::NothingFits)?;
    let mut sdp = session_lines(local);
    for (at, media) in session.medias.iter().enumerate() {
        if at == chosen {
            stream_lines(
                &mut sdp,
                local,
                &[(agreed.codec, agreed.payload_type)],
                agreed.telephone_event,
                agreed.direction,
            );
        } else {
            let format = media.fmt.split(' ').next().unwrap_or("0");
            let _ = write!(sdp, "m={} 0 {} {format}\r\n", media.media, media.proto);
        }
    }
    Ok((sdp, agreed))
}

/// Our own offer: for an INVITE without one, and for the calls of the rehearsal.
pub fn offer(local: &LocalMedia) -> String {
    let mut sdp = session_lines(local);
    let codecs = Codec::ALL.map(|codec| (codec, codec.static_payload_type()));
    stream_lines(&mut sdp, local, &codecs, Some(101), Direction::SendRecv);
    sdp
}

/// Reads the far end's answer to our [`offer`].
pub fn read_answer(answer: &[u8]) -> Result<Agreed, SdpRefused> {
    let session = Session::parse(answer).map_err(|_| SdpRefused::Malformed)?;
    session.medias.iter().find_map(|media| agree(&session, media)).ok_or(SdpRefused::NothingFits)
}

fn agree(session: &Session, media: &Media) -> Option<Agreed> {
    let usable = media.media == "audio" && media.port != 0 && matches!(media.proto.as_str(), "RTP/AVP" | "RTP/AVPF");
    if !usable {
        return None;
    }
    let formats: Vec<u8> = media.fmt.split_ascii_whitespace().filter_map(|format| format.parse().ok()).collect();
    let (codec, payload_type) = formats.iter().find_map(|format| Some((codec_of(media, *format)?, *format)))?;
    let telephone_event = formats
        .iter()
        .copied()
        .find(|format| mapping(media, *format).is_some_and(|m| m.eq_ignore_ascii_case("telephone-event/8000")));
    let connection = media.connections.first().or(session.connection.as_ref())?;
    let ip: IpAddr = connection.connection_address.split('/').next()?.parse().ok()?;
    let ptime_ms = attribute(&media.attributes, "ptime").and_then(|ptime| ptime.trim().parse().ok()).unwrap_or(20);
    // 0.0.0.0 is the old way to say hold (RFC 3264 section 8.4).
    let offered = if ip.is_unspecified() { Direction::SendOnly } else { direction(session, media) };
    Some(Agreed {
        remote: SocketAddr::new(ip, media.port),
        codec,
        payload_type,
        telephone_event,
        ptime_ms,
        direction: offered.reversed(),
    })
}

fn codec_of(media: &Media, format: u8) -> Option<Codec> {
    match mapping(media, format) {
        Some(mapping) => {
            let (name, rate) = mapping.split_once('/')?;
            let rate = rate.split('/').next()?;
            Codec::ALL.into_iter().find(|codec| name.eq_ignore_ascii_case(codec.name()) && rate == "8000")
        }
        None => Codec::ALL.into_iter().find(|codec| codec.static_payload_type() == format),
    }
}

fn mapping(media: &Media, format: u8) -> Option<&str> {
    media.attributes.iter().filter(|a| a.attribute == "rtpmap").filter_map(|a| a.value.as_deref()).find_map(|value| {
        let (number, mapping) = value.split_once(' ')?;
        (number.trim().parse() == Ok(format)).then_some(mapping.trim())
    })
}

fn attribute<'a>(attributes: &'a [sdp_types::Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|a| a.attribute == name).and_then(|a| a.value.as_deref())
}

fn direction(session: &Session, media: &Media) -> Direction {
    let named =
        |attributes: &[sdp_types::Attribute]| attributes.iter().find_map(|a| Direction::from_token(&a.attribute));
    named(&media.attributes).or_else(|| named(&session.attributes)).unwrap_or(Direction::SendRecv)
}

fn session_lines(local: &LocalMedia) -> String {
    let (family, ip) = (family(local.address.ip()), local.address.ip());
    format!("v=0\r\no=bellhop {0} {0} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n", local.session_id)
}

fn stream_lines(sdp: &mut String, local: &LocalMedia, codecs: &[(Codec, u8)], event: Option<u8>, direction: Direction) {
    let _ = write!(sdp, "m=audio {} RTP/AVP", local.address.port());
    for (_, format) in codecs {
        let _ = write!(sdp, " {format}");
    }
    if let Some(event) = event {
        let _ = write!(sdp, " {event}");
    }
    sdp.push_str("\r\n");
    for (codec, format) in codecs {
        let _ = write!(sdp, "a=rtpmap:{format} {}/8000\r\n", codec.name());
    }
    if let Some(event) = event {
        let _ = write!(sdp, "a=rtpmap:{event} telephone-event/8000\r\na=fmtp:{event} 0-15\r\n");
    }
    let _ = write!(sdp, "a=ptime:20\r\na={}\r\n", direction.token());
}

fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IP4" } else { "IP6" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: LocalMedia = LocalMedia {
        address: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7)), 20000),
        session_id: 7,
    };

    /// The shape a real Voice Connector sends.
    const VOICE_CONNECTOR: &str = "v=0\r\no=Sonus_UAC 1 1 IN IP4 3.80.17.149\r\ns=-\r\nc=IN IP4 3.80.17.149\r\nt=0 0\r\nm=audio 36488 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=rtcp:36489\r\na=ptime:20\r\na=sendrecv\r\n";

    #[test]
    fn a_voice_connector_offer_is_answered() {
        let (sdp, agreed) = answer(VOICE_CONNECTOR.as_bytes(), &LOCAL).expect("fits");
        assert_eq!(agreed.remote, "3.80.17.149:36488".parse().expect("address"));
        assert_eq!((agreed.codec, agreed.payload_type, agreed.telephone_event), (Codec::Pcmu, 0, Some(101)));
        assert!(sdp.contains("m=audio 20000 RTP/AVP 0 101\r\n") && sdp.contains("c=IN IP4 203.0.113.7\r\n"), "{sdp}");
        assert_eq!(read_answer(sdp.as_bytes()).expect("own answer").remote, LOCAL.address);
    }

    #[test]
    fn other_streams_are_refused_in_their_place() {
        let offer =
            VOICE_CONNECTOR.replacen("m=audio", "m=video 4000 RTP/AVP 96\r\nm=audio", 1) + "m=audio 5000 RTP/AVP 0\r\n";
        let (sdp, _) = answer(offer.as_bytes(), &LOCAL).expect("fits");
        let lines: Vec<_> = sdp.lines().filter(|l| l.starts_with("m=")).collect();
        assert_eq!(lines, ["m=video 0 RTP/AVP 96", "m=audio 20000 RTP/AVP 0 101", "m=audio 0 RTP/AVP 0"]);
    }

    #[test]
    fn dynamic_mappings_directions_and_hold_are_read() {
        let held =
            VOICE_CONNECTOR.replace("RTP/AVP 0 101", "RTP/AVP 18 97 8").replace("rtpmap:0 PCMU", "rtpmap:97 PCMA");
        let agreed = answer(held.replace("sendrecv", "sendonly").as_bytes(), &LOCAL).expect("fits").1;
        assert_eq!((agreed.codec, agreed.payload_type, agreed.telephone_event), (Codec::Pcma, 97, None));
        assert_eq!(agreed.direction, Direction::RecvOnly);
        let old_hold = VOICE_CONNECTOR.replace("c=IN IP4 3.80.17.149", "c=IN IP4 0.0.0.0");
        assert_eq!(answer(old_hold.as_bytes(), &LOCAL).expect("fits").1.direction, Direction::RecvOnly);
    }

    #[test]
    fn nothing_that_fits_is_said() {
        for offer in [VOICE_CONNECTOR.replace("AVP 0 101", "AVP 18"), VOICE_CONNECTOR.replace("audio 36488", "audio 0")]
        {
            assert_eq!(answer(offer.as_bytes(), &LOCAL).expect_err("refused"), SdpRefused::NothingFits);
        }
        assert_eq!(answer(b"hello", &LOCAL).expect_err("refused"), SdpRefused::Malformed);
    }
}
