//! Our session descriptions as text (RFC 8866).
//!
//! Invariant: a description of ours is read by our own reader as what it was written from.

use std::fmt::Write;
use std::net::IpAddr;

use super::crypto::CryptoLine;
use super::{Codec, Direction, LocalMedia, TelephoneEvent};

/// The lines before the first stream.
pub(super) fn session_lines(local: &LocalMedia) -> String {
    let (family, ip) = (family(local.address.ip()), local.address.ip());
    let (id, version) = (local.session_id, local.version);
    format!("v=0\r\no=bellhop {id} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n")
}

/// One m-section of ours.
pub(super) struct Stream<'a> {
    pub(super) kind: &'a str,
    pub(super) profile: &'a str,
    pub(super) codecs: &'a [(Codec, u8)],
    pub(super) events: &'a [TelephoneEvent],
    pub(super) comfort_noise: Option<u8>,
    pub(super) rtcp_mux: bool,
    pub(super) crypto: &'a [CryptoLine],
    pub(super) ptime_ms: u8,
    pub(super) direction: Direction,
}

impl Stream<'_> {
    pub(super) fn write(&self, local: &LocalMedia, sdp: &mut String) {
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
