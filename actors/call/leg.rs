//! How a call's leg is set up from what was agreed on, and how it was.
//!
//! A key of ours that stays keeps its state.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bellhop_media::codec::Codec;
use bellhop_media::g711::Law;
use bellhop_media::latch::Expected;
use bellhop_media::playout::{Playout, SendFormat};
use bellhop_media::quality::{Measured, MediaQuality, mean_opinion_score};
use bellhop_media::receiver::{EventFormat, Receiver, StreamFormat};
use bellhop_media::rtcp::Control;
use bellhop_media::srtp::{Inbound, MasterKey, Outbound, Suite};
use bellhop_sip::sdp::crypto::CryptoKey;
use bellhop_sip::sdp::{self, Agreed, Direction};

use crate::media_shard::{ControlPath, LegCores, LegMode};
use crate::services::Silence;

/// What is assumed of a stream until the answer to our offer names it.
const ASSUMED: StreamFormat = StreamFormat {
    codec: Codec::G711(Law::Mu),
    payload_type: 0,
    telephone_event: Some(EventFormat { payload_type: 101, clock_rate: 8000 }),
    comfort_noise: None,
};

/// How a leg begins.
pub(super) struct Beginning<'a> {
    /// What was agreed on, if the offer was the far end's.
    pub(super) agreed: Option<&'a Agreed>,
    /// Where SIP came from.
    pub(super) sip_source: IpAddr,
    /// What goes out while nobody speaks.
    pub(super) silence: Silence,
    /// How long the far end may be silent while it should send.
    pub(super) media_timeout: Duration,
}

/// The cores of a leg that rests. Without an offer the codec is known with the ACK; until then µ-law is assumed.
pub(super) fn cores(now: Instant, beginning: &Beginning<'_>) -> LegCores {
    let Beginning { agreed, sip_source, silence, media_timeout } = *beginning;
    let assumed = SendFormat {
        codec: ASSUMED.codec,
        payload_type: ASSUMED.payload_type,
        ptime_ms: 20,
        telephone_event: ASSUMED.telephone_event,
        comfort_noise: None,
    };
    let send = agreed.map_or(assumed, |agreed| send_format(agreed, silence));
    let playout = Playout::new(send, rand::random(), rand::random(), rand::random());
    let expected = Expected { signalled: agreed.and_then(Agreed::signalled), sip_source: Some(sip_source) };
    let receiver = Receiver::new(agreed.map_or(ASSUMED, stream_format), expected);
    let control = Control::new(format!("{:016x}", rand::random::<u64>()));
    let cores = LegCores::new(now, receiver, playout, control, media_timeout);
    if let Some(agreed) = agreed {
        secure(&cores, None, agreed);
    }
    cores
}

/// Brings a leg to what was agreed on; `before` is what it was. Our key that stays leaves its state as it is; the far end's
/// may have been begun anew.
pub(super) fn apply(cores: &LegCores, before: Option<&Agreed>, agreed: &Agreed, silence: Silence) {
    let mut receiver = cores.receiver.borrow_mut();
    receiver.reformat(stream_format(agreed));
    if let Some(signalled) = agreed.signalled() {
        receiver.expect_from(signalled);
    }
    drop(receiver);
    cores.playout.borrow_mut().reformat(send_format(agreed, silence));
    secure(cores, before, agreed);
}

/// The mode of a leg that a shard serves.
pub(super) fn mode_of(direction: Direction) -> LegMode {
    match direction {
        Direction::SendRecv => LegMode::Talking,
        Direction::RecvOnly => LegMode::Listening,
        Direction::SendOnly => LegMode::Speaking,
        Direction::Inactive => LegMode::Held,
    }
}

fn secure(cores: &LegCores, before: Option<&Agreed>, agreed: &Agreed) {
    let keys = |agreed: &Agreed| agreed.keys.clone();
    let (old, new) = (before.and_then(keys), keys(agreed));
    if old.as_ref().map(|keys| &keys.remote) != new.as_ref().map(|keys| &keys.remote) || before.is_none() {
        let inbound = new.as_ref().and_then(|keys| Some(Inbound::new(&master(&keys.remote)?, keys.remote.mki_bytes)));
        cores.receiver.borrow_mut().secure(inbound);
    } else {
        cores.receiver.borrow_mut().expect_anew();
    }
    if old.as_ref().map(|keys| &keys.local) != new.as_ref().map(|keys| &keys.local) || before.is_none() {
        let outbound = new.as_ref().and_then(|keys| Some(Outbound::new(&master(&keys.local)?)));
        cores.playout.borrow_mut().secure(outbound);
    }
    cores.control_path.set(match (agreed.rtcp_mux, agreed.signalled()) {
        (true, _) => ControlPath::Muxed,
        (false, Some(_)) => ControlPath::Apart(agreed.remote_control),
        (false, None) => ControlPath::Nowhere,
    });
}

fn master(key: &CryptoKey) -> Option<MasterKey> {
    MasterKey::new(Suite::named(key.suite.token())?, &key.key_and_salt)
}

pub(super) fn codec_of(agreed: &Agreed) -> Codec {
    match agreed.codec {
        sdp::Codec::Pcmu => Codec::G711(Law::Mu),
        sdp::Codec::Pcma => Codec::G711(Law::A),
        sdp::Codec::G722 => Codec::G722,
        sdp::Codec::Opus => Codec::Opus,
    }
}

fn event_format(agreed: &Agreed) -> Option<EventFormat> {
    agreed.telephone_event.map(|event| EventFormat { payload_type: event.payload_type, clock_rate: event.clock_rate })
}

fn stream_format(agreed: &Agreed) -> StreamFormat {
    StreamFormat {
        codec: codec_of(agreed),
        payload_type: agreed.payload_type,
        telephone_event: event_format(agreed),
        comfort_noise: agreed.comfort_noise,
    }
}

fn send_format(agreed: &Agreed, silence: Silence) -> SendFormat {
    SendFormat {
        codec: codec_of(agreed),
        payload_type: agreed.payload_type,
        ptime_ms: agreed.ptime_ms,
        telephone_event: event_format(agreed),
        comfort_noise: agreed.comfort_noise.filter(|_| silence == Silence::Suppressed),
    }
}

/// Measures a leg; `None` when nothing was received.
pub fn quality(cores: &LegCores) -> Option<MediaQuality> {
    let mut receiver = cores.receiver.borrow_mut();
    let (loss, buffered, codec) = (receiver.loss()?, receiver.delay(), receiver.format().codec);
    let jitter = receiver.reception()?.jitter(codec.clock_rate());
    let control = cores.control.borrow();
    let (round_trip, far_end_loss) = (control.round_trip(), control.far_end_loss());
    let delay = round_trip.unwrap_or_default() / 2 + buffered;
    let mean_opinion_score = mean_opinion_score(&Measured { codec, loss, delay });
    Some(MediaQuality { loss, jitter, round_trip, far_end_loss, mean_opinion_score })
}
