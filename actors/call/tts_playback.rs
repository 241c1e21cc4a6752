//! TtsPlayback: owns the outbound core of the leg; turns texts into clips, in order, ahead of need.
//!
//! Invariant: clips are queued in the order of their texts; after a cut nothing that was asked for before it is queued.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::fut::WrapFuture;
use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler};
use bellhop_dialogue::ports::{Pending, ServiceFailure, SoundLibrary, Speech, SpeechRequest, Synthesizer};
use bellhop_dialogue::response::DtmfSend;
use bellhop_dialogue::turn_loop::SayId;
use bellhop_media::codec::Codec;
use bellhop_media::dtmf::Digit;
use bellhop_media::playout::{Clip, ClipId, Event, Key, Playout, Sound};
use bellhop_media::resample;

use super::child;
use super::journal::Journal;
use super::messages::{
    ClipEvent, Cut, GoOn, PlayAudio, PlaybackCut, PlaybackFinished, PlaybackReady, PressKeys, Rest, Speak,
    StopRepeating,
};
use super::supervisor::Call;
use crate::media_shard::LegCores;
use crate::metrics;
use crate::supervision::{ChildName, Exit, Failure, Link};

/// The longest a text may take to become audio.
pub const SYNTHESIS_MAX: Duration = Duration::from_secs(8);

/// The actor.
pub struct TtsPlayback {
    pub(super) link: Link,
    pub(super) call: Addr<Call>,
    pub(super) tenant: String,
    pub(super) cores: Rc<LegCores>,
    pub(super) synthesizer: Arc<dyn Synthesizer>,
    pub(super) sounds: Arc<dyn SoundLibrary>,
    pub(super) waiting: VecDeque<(SayId, Waiting)>,
    pub(super) journal: Journal,
}

impl TtsPlayback {
    fn synthesised(&mut self, id: SayId, result: Result<Speech, ServiceFailure>, ctx: &mut Context<Self>) {
        let Some((_, place)) = self.waiting.iter_mut().find(|(waiting, _)| *waiting == id) else {
            return; // cut in the meantime
        };
        let (repeats, needed) = match place {
            Waiting::File { repeats } => (*repeats, false),
            _ => (false, true),
        };
        match result {
            Ok(speech) => {
                self.journal.write(|record, now| record.synthesised(now, id, &speech.origin));
                let sound = encoded(&speech, self.cores.playout.borrow().format().codec);
                *place = Waiting::Sound { sound, repeats };
            }
            Err(failure) if needed => {
                tracing::warn!(tenant = self.tenant, %failure, "a text could not be spoken");
                return self.lost(ctx);
            }
            // A sound that is not to be had is left out: the conversation does not hang on it.
            Err(failure) => {
                tracing::warn!(tenant = self.tenant, %failure, "a sound could not be fetched");
                metrics::sound_failed(&self.tenant);
                *place = Waiting::Nothing;
            }
        }
        self.queue_what_is_ready(ctx);
    }

    /// Work whose outcome takes the place of what waits under this name.
    fn when_done(&mut self, id: SayId, work: Pending<Result<Speech, ServiceFailure>>, ctx: &mut Context<Self>) {
        let asked = crate::now();
        let work = tokio::time::timeout(SYNTHESIS_MAX, work).into_actor(self);
        ctx.spawn(work.map(move |result, this, ctx| {
            metrics::text_synthesised(&this.tenant, crate::now() - asked);
            this.synthesised(id, result.unwrap_or(Err(ServiceFailure::Overdue)), ctx);
        }));
    }

    fn queue_what_is_ready(&mut self, ctx: &mut Context<Self>) {
        while let Some((id, waiting)) = self.waiting.front() {
            let mut playout = self.cores.playout.borrow_mut();
            let queued = match waiting {
                Waiting::Synthesis | Waiting::File { .. } => return,
                Waiting::Sound { sound, repeats } => {
                    playout.enqueue(Clip { id: ClipId(id.0), sound: sound.clone(), repeats: *repeats })
                }
                Waiting::Nothing => {
                    self.call.do_send(PlaybackFinished { id: *id });
                    true
                }
                Waiting::Keys(keys) => press(&mut playout, *id, keys),
            };
            drop(playout);
            if !queued {
                return self.lost(ctx);
            }
            self.waiting.pop_front();
            self.call.do_send(PlaybackReady {});
        }
    }

    fn lost(&self, ctx: &mut Context<Self>) {
        self.link.exit(Exit::Failed(Failure::SynthesizerLost));
        ctx.stop();
    }
}

/// What stands in the queue of things to be heard.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A text that is being made audio.
    Synthesis,
    /// A sound that is being fetched.
    File {
        /// Whether it is repeated.
        repeats: bool,
    },
    /// Audio.
    Sound {
        /// Which.
        sound: Sound,
        /// Whether it is repeated.
        repeats: bool,
    },
    /// A sound that is not to be had.
    Nothing,
    /// Keys.
    Keys(DtmfSend),
}

/// Queues keys; only the last has the name that is waited for.
fn press(playout: &mut Playout, id: SayId, keys: &DtmfSend) -> bool {
    let last = keys.keys.len().saturating_sub(1);
    keys.keys.iter().enumerate().all(|(n, press)| {
        let Some(digit) = Digit::from_char(press.key) else { return true };
        let key = Key { digit, hold_ms: press.duration_ms, pause_ms: keys.interval_ms, volume: press.volume };
        playout.press(ClipId(if n == last { id.0 } else { UNNAMED }), key)
    })
}

/// The name of what nobody waits for.
const UNNAMED: u64 = u64::MAX;

/// A speech as the codec plays it. Calls of this thread that play the same speech share it: a greeting is coded once, and
/// held once.
fn encoded(speech: &Speech, codec: Codec) -> Sound {
    thread_local! {
        static SHARED: RefCell<HashMap<(*const i16, Codec), Shared>> = RefCell::default();
    }
    if speech.sample_rate == codec.sample_rate() && !matches!(codec, Codec::G711(_)) {
        return Sound::Linear(Arc::clone(&speech.samples));
    }
    let key = (speech.samples.as_ptr(), codec);
    SHARED.with_borrow_mut(|shared| {
        // The address is only a hint: the speech that was at it may be gone.
        let known = shared.get(&key).and_then(|known| Some((known.speech.upgrade()?, known.sound.clone())));
        if let Some((_, sound)) = known.filter(|(of, _)| Arc::ptr_eq(of, &speech.samples)) {
            return sound;
        }
        let sound = Sound::of(&resample::clip(&speech.samples, speech.sample_rate, codec.sample_rate()), codec);
        shared.retain(|_, known| known.speech.strong_count() > 0);
        shared.insert(key, Shared { speech: Arc::downgrade(&speech.samples), sound: sound.clone() });
        sound
    })
}

/// A sound lives as long as the speech it was made of, which the synthesizer's memory bounds.
struct Shared {
    speech: Weak<[i16]>,
    sound: Sound,
}

impl Actor for TtsPlayback {
    type Context = Context<Self>;
}

child!(TtsPlayback, ChildName::TtsPlayback);

impl Handler<Speak> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, Speak { id, speech }: Speak, ctx: &mut Self::Context) {
        self.waiting.push_back((id, Waiting::Synthesis));
        let line_rate = self.cores.playout.borrow().format().codec.sample_rate();
        let work = self.synthesizer.synthesize(SpeechRequest { line_rate, ..speech });
        self.when_done(id, work, ctx);
    }
}

impl Handler<PlayAudio> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, PlayAudio { id, source, repeats }: PlayAudio, ctx: &mut Self::Context) {
        self.waiting.push_back((id, Waiting::File { repeats }));
        let work = self.sounds.fetch(source);
        self.when_done(id, work, ctx);
    }
}

impl Handler<StopRepeating> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, _: StopRepeating, ctx: &mut Self::Context) {
        let repeats = |waiting: &Waiting| {
            matches!(waiting, Waiting::File { repeats: true } | Waiting::Sound { repeats: true, .. })
        };
        self.waiting.retain(|(_, waiting)| !repeats(waiting));
        self.cores.playout.borrow_mut().stop_repeating();
        self.queue_what_is_ready(ctx);
    }
}

impl Handler<Rest> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, _: Rest, _: &mut Self::Context) {
        self.cores.playout.borrow_mut().hush(true);
    }
}

impl Handler<GoOn> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, _: GoOn, _: &mut Self::Context) {
        self.cores.playout.borrow_mut().hush(false);
    }
}

impl Handler<PressKeys> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, PressKeys { id, keys }: PressKeys, ctx: &mut Self::Context) {
        self.waiting.push_back((id, Waiting::Keys(keys)));
        self.queue_what_is_ready(ctx);
    }
}

impl Handler<Cut> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, _: Cut, _: &mut Self::Context) {
        let cut = self.cores.playout.borrow_mut().cut();
        let cut = cut.map(|cut| (SayId(cut.id.0), cut.heard as f32 / cut.of.max(1) as f32));
        if let Some((id, share)) = cut.or_else(|| self.waiting.front().map(|(id, _)| (*id, 0.0))) {
            self.journal.write(|record, now| record.audio_cut(now, id, share));
            self.call.do_send(PlaybackCut { id, share });
        }
        self.waiting.clear();
    }
}

impl Handler<ClipEvent> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, ClipEvent { event }: ClipEvent, _: &mut Self::Context) {
        match event {
            Event::Started(ClipId(id)) => {
                let waited = self.journal.write(|record, now| record.audio_began(now, SayId(id)));
                if let Some(waited) = waited.flatten() {
                    metrics::first_audio(&self.tenant, waited);
                }
            }
            Event::Finished(ClipId(id)) => {
                self.journal.write(|record, now| record.audio_ended(now, SayId(id)));
                self.call.do_send(PlaybackFinished { id: SayId(id) });
            }
        }
    }
}
