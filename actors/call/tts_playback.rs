//! TtsPlayback: owns the outbound core of the leg; turns texts into clips, in order, ahead of need.
//!
//! A text is heard while the rest of it is still being made. Invariant: clips are queued in the order of their texts; after
//! a cut nothing that was asked for before it is queued.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::fut::WrapFuture;
use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message};
use bellhop_dialogue::ports::{AudioSink, Pending, ServiceFailure, SoundLibrary, Speech, SpeechRequest, Synthesizer};
use bellhop_dialogue::response::DtmfSend;
use bellhop_dialogue::turn_loop::SayId;
use bellhop_media::codec::Codec;
use bellhop_media::dtmf::Digit;
use bellhop_media::parts::Parts;
use bellhop_media::playout::{Clip, ClipId, Event, Key, Playout, Sound};
use bellhop_media::resample;

use super::child;
use super::journal::{Journal, UNDERFLOW};
use super::messages::{
    ClipEvent, Cut, GoOn, PlayAudio, PlaybackCut, PlaybackFinished, PlaybackReady, PressKeys, Rest, Speak,
    StopRepeating,
};
use super::supervisor::Call;
use crate::media_shard::LegCores;
use crate::metrics;
use crate::supervision::{Exit, Failure, Link};

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
    pub(super) parts: Parts,
    pub(super) journal: Journal,
}

impl TtsPlayback {
    fn made(&mut self, id: SayId, result: Result<Speech, ServiceFailure>, ctx: &mut Context<Self>) {
        let Some((_, place)) = self.waiting.iter_mut().find(|(waiting, _)| *waiting == id) else {
            return; // cut in the meantime
        };
        let (repeats, needed) = match place {
            Waiting::File { repeats } => (*repeats, false),
            _ => (false, true),
        };
        match result {
            Ok(speech) => {
                self.journal.write(|record, now| record.made_by(now, id, &speech.origin));
                let codec = self.cores.playout.borrow().format().codec;
                // Parts had the rate of the speech that they are the beginning of; the line may have another by now.
                let rest = speech.samples.get(self.parts.queued(ClipId(id.0))..).unwrap_or_default();
                let sound = if rest.len() == speech.samples.len() {
                    encoded(&speech, codec)
                } else {
                    Sound::of(&resample::clip(rest, speech.sample_rate, codec.sample_rate()), codec)
                };
                self.parts.last(ClipId(id.0), rest.len());
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
        ctx.spawn(work.map(move |result, this, ctx: &mut Context<Self>| {
            metrics::text_synthesised(&this.tenant, crate::now() - asked);
            // Through the mailbox: behind the audio that is in there already.
            let result = result.unwrap_or(Err(ServiceFailure::Overdue));
            ctx.address().do_send(Made { id, result });
        }));
    }

    fn queue_what_is_ready(&mut self, ctx: &mut Context<Self>) {
        while let Some((id, waiting)) = self.waiting.front_mut() {
            let mut playout = self.cores.playout.borrow_mut();
            let begun = self.parts.queued(ClipId(id.0)) > 0;
            let late = begun && !playout.is_playing();
            let queued = match waiting {
                Waiting::File { .. } => return,
                Waiting::Synthesis { line_rate, .. } if *line_rate != playout.format().codec.sample_rate() => return,
                Waiting::Synthesis { samples, .. } => {
                    let (text, codec) = (ClipId(id.0), playout.format().codec);
                    let enough = if begun { PART_MIN } else { FIRST_PART_MIN };
                    if samples.len() < (enough.as_millis() as usize) * codec.sample_rate() as usize / 1000 {
                        return;
                    }
                    let Some(part) = self.parts.next(text, samples.len()) else { return };
                    let sound = Sound::of(&std::mem::take(samples), codec);
                    let queued = playout.enqueue(Clip { id: part, sound, repeats: false });
                    drop(playout);
                    if late {
                        self.fell_silent();
                    }
                    return if queued { self.call.do_send(PlaybackReady {}) } else { self.lost(ctx) };
                }
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
            if late {
                self.fell_silent();
            }
            if !queued {
                return self.lost(ctx);
            }
            self.waiting.pop_front();
            self.call.do_send(PlaybackReady {});
        }
    }

    /// The line fell silent in the middle of a text.
    fn fell_silent(&self) {
        let told = "speech was made more slowly than it is heard";
        self.journal.write(|record, now| record.warn(now, UNDERFLOW, told));
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
    Synthesis {
        /// The rate it was asked for at. If the line has another by now, the text waits until it is whole.
        line_rate: u32,
        /// What is there of it and not queued.
        samples: Vec<i16>,
    },
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

/// The first part of a text has at least so much audio, and each of the others.
const FIRST_PART_MIN: Duration = Duration::from_millis(120);
const PART_MIN: Duration = Duration::from_millis(500);
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

/// Audio of a text that is still being made, from whatever thread.
#[derive(Message)]
#[rtype(result = "()")]
struct BeingMade {
    id: SayId,
    samples: Vec<i16>,
    sample_rate: u32,
}

impl Handler<BeingMade> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, BeingMade { id, samples, sample_rate }: BeingMade, ctx: &mut Self::Context) {
        let place = self.waiting.iter_mut().find(|(waiting, _)| *waiting == id);
        let Some((_, Waiting::Synthesis { line_rate, samples: there })) = place else { return };
        // What has to be fitted to the line first is waited for.
        if sample_rate != *line_rate {
            return;
        }
        there.extend_from_slice(&samples);
        self.journal.write(|record, now| record.audio_ready(now, id));
        self.queue_what_is_ready(ctx);
    }
}

/// A text has become audio, a sound is there, or it could not be.
#[derive(Message)]
#[rtype(result = "()")]
struct Made {
    id: SayId,
    result: Result<Speech, ServiceFailure>,
}

impl Handler<Made> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, Made { id, result }: Made, ctx: &mut Self::Context) {
        self.made(id, result, ctx);
    }
}

impl Actor for TtsPlayback {
    type Context = Context<Self>;
}

child!(TtsPlayback);

impl Handler<Speak> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, Speak { id, speech }: Speak, ctx: &mut Self::Context) {
        let line_rate = self.cores.playout.borrow().format().codec.sample_rate();
        self.waiting.push_back((id, Waiting::Synthesis { line_rate, samples: vec![] }));
        let this = ctx.address();
        let audio: AudioSink = Box::new(move |samples, sample_rate| {
            this.do_send(BeingMade { id, samples: samples.to_vec(), sample_rate });
        });
        let work = self.synthesizer.stream(SpeechRequest { line_rate, ..speech }, audio);
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
        let cut = cut.map(|cut| self.parts.cut(cut));
        let cut = cut.map(|cut| (SayId(cut.id.0), cut.heard as f32 / cut.of.max(1) as f32));
        let next = self.waiting.front().map(|(id, _)| {
            // Of a text whose audio comes too slowly, all there is was heard.
            (*id, if self.parts.queued(ClipId(id.0)) > 0 { 1.0 } else { 0.0 })
        });
        self.parts.forget();
        if let Some((id, share)) = cut.or(next) {
            self.journal.write(|record, now| record.audio_cut(now, id, share));
            self.call.do_send(PlaybackCut { id, share });
        }
        self.waiting.clear();
    }
}

impl Handler<ClipEvent> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, ClipEvent { event }: ClipEvent, _: &mut Self::Context) {
        match self.parts.event(event) {
            None => {}
            Some(Event::Started(ClipId(id))) => {
                let waited = self.journal.write(|record, now| record.audio_began(now, SayId(id)));
                if let Some(waited) = waited.flatten() {
                    metrics::first_audio(&self.tenant, waited);
                }
            }
            Some(Event::Finished(ClipId(id))) => {
                self.journal.write(|record, now| record.audio_ended(now, SayId(id)));
                self.call.do_send(PlaybackFinished { id: SayId(id) });
            }
        }
    }
}
