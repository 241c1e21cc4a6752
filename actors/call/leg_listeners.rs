//! How the media shard talks to the actors of a call.
//!
//! Invariant: audio is offered by `try_send` and dropped with a count when the mailbox is full; events are control and
//! always delivered.

use std::cell::RefCell;
use std::time::Duration;

use actix::Addr;
use bellhop_call::{speech_in, speech_out};
use bellhop_media::dtmf::rfc4733::Press;
use bellhop_media::playout::Event;

use super::jitter_buffer::JitterBuffer;
use super::messages::{LegDigit, LegFailed, LegSilent};
use super::stt_stream::SttStream;
use super::tts_playback::TtsPlayback;
use crate::drive::Tell;
use crate::media_shard::LegEvents;
use crate::metrics;
use crate::services::RecordingSink;

/// The listeners of one leg.
pub(super) struct LegListeners {
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

    fn audio(&self, samples: Vec<i16>, frame_samples: usize, delay: Duration) {
        if self.stt_stream.try_send(Tell(speech_in::Input::Audio { samples, frame_samples, delay })).is_err() {
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
