//! How a call's leg is set up from what was agreed on, and how the media shard talks to the call's actors.
//!
//! Invariant: audio is offered by `try_send` and dropped with a count when the mailbox is full; events are control and
//! always delivered.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use actix::Addr;
use bellhop_call::{speech_in, speech_out};
use bellhop_media::codec::Codec;
use bellhop_media::dtmf::rfc4733::Press;
use bellhop_media::g711::Law;
use bellhop_media::latch::Expected;
use bellhop_media::playout::{Event, Playout, SendFormat};
use bellhop_media::quality::{Measured, mean_opinion_score};
use bellhop_media::receiver::{EventFormat, Receiver, StreamFormat};
use bellhop_media::rtcp::Control;
use bellhop_media::srtp::{Inbound, MasterKey, Outbound, Suite};
use bellhop_sip::sdp::crypto::CryptoKey;
use bellhop_sip::sdp::{self, Agreed, Direction};

use super::jitter_buffer::JitterBuffer;
use super::messages::{LegDigit, LegFailed, LegSilent};
use super::stt_stream::SttStream;
use super::tts_playback::TtsPlayback;
use crate::drive::Tell;
use crate::media_shard::{ControlPath, LegCores, LegEvents, LegMode};
use crate::metrics;
use crate::services::RecordingSink;

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

/// What goes out while nobody speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Silence {
    /// Packets of silence, 50 a second.
    #[default]
    Sent,
    /// Nothing but comfort noise now and then, where the far end knows it (RFC 3389).
    Suppressed,
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

/// How the audio of a call was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MediaQuality {
    /// Share of the caller's packets that were not heard, 0 to 1.
    pub loss: f32,
    /// Interarrival jitter (RFC 3550 section 6.4.1).
    pub jitter: Duration,
    /// The round trip by RTCP, if the far end reports.
    pub round_trip: Option<Duration>,
    /// Share of our packets that the far end missed of late, if it reports.
    pub far_end_loss: Option<f32>,
    /// The estimate of the E-model, 1 to 4.5.
    pub mean_opinion_score: f32,
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

/// The listeners of one leg.
pub struct LegListeners {
    /// Takes the recording.
    pub recording: Option<RefCell<Box<dyn RecordingSink>>>,
    /// Hears digits and of the leg's failure.
    pub jitter_buffer: Addr<JitterBuffer>,
    /// Hears audio.
    pub stt_stream: Addr<SttStream>,
    /// Hears of clips.
    pub tts_playback: Addr<TtsPlayback>,
}

impl LegEvents for LegListeners {
    fn digit(&self, press: Press) {
        self.jitter_buffer.do_send(LegDigit { press });
    }

    fn audio(&self, samples: Vec<i16>, frame_samples: usize) {
        if self.stt_stream.try_send(Tell(speech_in::Input::Audio { samples, frame_samples })).is_err() {
            metrics::caller_audio_dropped();
        }
    }

    fn clip(&self, event: Event) {
        self.tts_playback.do_send(Tell(speech_out::Input::Clip(event)));
    }

    fn recorded(&self, samples: Vec<i16>) {
        if let Some(recording) = &self.recording {
            recording.borrow_mut().write(samples);
        }
    }

    fn silent(&self) {
        self.jitter_buffer.do_send(LegSilent {});
    }

    fn failed(&self) {
        self.jitter_buffer.do_send(LegFailed {});
    }
}
