//! How the media shard talks to the actors of a call.
//!
//! Invariant: audio is offered by `try_send` and dropped with a count when the mailbox is full; events are control and
//! always delivered.

use actix::Addr;
use bellhop_media::dtmf::rfc4733::Press;
use bellhop_media::playout::Event;

use super::jitter_buffer::JitterBuffer;
use super::messages::{CallerAudio, ClipEvent, LegDigit, LegFailed, Samples};
use super::stt_stream::SttStream;
use super::tts_playback::TtsPlayback;
use crate::media_shard::LegEvents;
use crate::metrics;

/// The listeners of one leg.
#[derive(Debug)]
pub struct LegListeners {
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

    fn audio(&self, samples: Vec<i16>) {
        if self.stt_stream.try_send(CallerAudio { samples: Samples(samples) }).is_err() {
            metrics::caller_audio_dropped();
        }
    }

    fn clip(&self, event: Event) {
        self.tts_playback.do_send(ClipEvent { event });
    }

    fn failed(&self, message: String) {
        self.jitter_buffer.do_send(LegFailed { message });
    }
}
