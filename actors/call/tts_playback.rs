//! TtsPlayback: owns the outbound core of the leg; turns texts into clips, in order, ahead of need.
//!
//! A text is cut into parts before any synthesizer sees it, and is heard while the rest of it is still being made: part by
//! part, no more than [`AHEAD_MAX`] ahead of what is heard and no more than [`AT_ONCE`] at once; of a long text that nothing
//! is heard of yet the first alone, so that nobody's second stands before another's first. Sounds are fetched no further
//! ahead. A part that a synthesizer has no time for is asked for again while the caller hears what is there. Invariant:
//! clips are queued in the order of their texts; after a cut nothing that was asked for before it is queued, and nothing is
//! made for it.

mod text;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::fut::WrapFuture;
use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, SpawnHandle};
use bellhop_call::lifecycle;
use bellhop_dialogue::ports::{AudioSink, Pending, ServiceFailure, SoundLibrary, Speech, SpeechRequest, Synthesizer};
use bellhop_dialogue::response::DtmfSend;
use bellhop_dialogue::speakable;
use bellhop_dialogue::turn_loop::{self, SayId};
use bellhop_media::codec::Codec;
use bellhop_media::dtmf::Digit;
use bellhop_media::parts::Parts;
use bellhop_media::playout::{Clip, ClipId, DigitPress, Event, Playout, Sound};
use bellhop_media::resample;

use self::text::Text;
use super::journal::{Journal, UNDERFLOW};
use super::messages::{Announce, ClipEvent, Cut, Pause, Play, Resume, Say, SendDigits, StopRepeating};
use super::turn_loop::TurnLoop;
use super::{Reports, child};
use crate::drive::Tell;
use crate::media_shard::LegCores;
use crate::metrics;
use crate::services::Services;
use crate::supervision::{Exit, Failure, Link};

/// The longest a part of a text may take to become audio, or a sound to be fetched.
pub const SYNTHESIS_MAX: Duration = Duration::from_secs(8);
/// With so much audio waiting to be heard, no more is made.
pub const AHEAD_MAX: Duration = Duration::from_secs(20);
/// Parts of texts that are made at once.
pub const AT_ONCE: usize = 2;
/// A part of so many characters is heard for longer than the next one takes.
const LASTS_CHARACTERS: usize = 100;
/// The longest that the first words wait for a synthesizer that has too much to do.
pub const OVERLOADED_MAX: Duration = Duration::from_secs(6);
/// How soon it is asked again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// A longer text, in bytes, is cut on a thread that paces no audio.
const CUT_HERE_MAX: usize = 4096;

/// The actor.
pub struct TtsPlayback {
    link: Link,
    call: Reports,
    turn_loop: Addr<TurnLoop>,
    tenant: String,
    cores: Rc<LegCores>,
    synthesizer: Arc<dyn Synthesizer>,
    sounds: Arc<dyn SoundLibrary>,
    waiting: VecDeque<(SayId, Waiting)>,
    parts: Parts,
    /// When to look whether more has to be made.
    look: Option<SpawnHandle>,
    journal: Journal,
}

impl TtsPlayback {
    pub(super) fn new(
        link: Link,
        (call, turn_loop): (Reports, Addr<TurnLoop>),
        services: &Services,
        cores: Rc<LegCores>,
        journal: Journal,
    ) -> Self {
        Self {
            link,
            call,
            turn_loop,
            tenant: services.tenant.name.clone(),
            cores,
            synthesizer: Arc::clone(&services.synthesizer),
            sounds: Arc::clone(&services.sounds),
            waiting: VecDeque::new(),
            parts: Parts::default(),
            look: None,
            journal,
        }
    }

    /// The text of this name, if it still waits.
    fn text(&mut self, id: SayId) -> Option<&mut Text> {
        self.waiting.iter_mut().find_map(|(waiting, place)| match place {
            Waiting::Text(text) if *waiting == id => Some(text),
            _ => None,
        })
    }

    /// Has parts made of the texts that are heard next: of one text one after the other.
    fn ask_ahead(&mut self, ctx: &mut Context<Self>) {
        let mut ahead = self.cores.playout.borrow().ahead();
        if ahead >= AHEAD_MAX {
            return self.look_later(ahead - AHEAD_MAX, ctx);
        }
        let line_rate = self.cores.playout.borrow().format().codec.sample_rate();
        let is_silent = !self.cores.playout.borrow().is_playing();
        let (mut at_work, mut fetching) = (0, 0);
        for n in 0..self.waiting.len() {
            // What is there already and stands before the next.
            ahead += self.waiting[n].1.audio(line_rate);
            if ahead >= AHEAD_MAX {
                return self.look_later(ahead - AHEAD_MAX, ctx);
            }
            if matches!(self.waiting[n].1, Waiting::Source { .. } | Waiting::File { .. }) {
                fetching += 1;
                self.fetch(n, ctx);
                if fetching == AT_ONCE {
                    return;
                }
            }
            let (id, Waiting::Text(text)) = &mut self.waiting[n] else { continue };
            let id = *id;
            if text.work.is_none()
                && let Some(speech) = text.next_part(line_rate)
            {
                let this = ctx.address();
                let audio: AudioSink = Box::new(move |samples, sample_rate| {
                    this.do_send(BeingMade { id, samples: samples.to_vec(), sample_rate });
                });
                let work = match speech {
                    text::Part::Words(request) => self.synthesizer.stream(request, audio),
                    text::Part::Silence(speech) => Box::pin(std::future::ready(Ok(speech))),
                };
                let work = self.begin(id, work, ctx);
                let Some(text) = self.text(id) else { return };
                text.work = Some(work);
            }
            let (_, Waiting::Text(text)) = &self.waiting[n] else { continue };
            at_work += usize::from(text.work.is_some());
            if at_work == AT_ONCE || !text.is_asked_for() || is_silent && text.characters() >= LASTS_CHARACTERS {
                return;
            }
        }
    }

    /// Begins to fetch a sound, if it is one that nobody has begun to.
    fn fetch(&mut self, n: usize, ctx: &mut Context<Self>) {
        let (id, Waiting::Source { source, repeats }) = &mut self.waiting[n] else { return };
        let (id, source, repeats) = (*id, std::mem::take(source), *repeats);
        let codec = self.cores.playout.borrow().format().codec;
        let fetching = self.sounds.fetch(source);
        let fetched = async move {
            let fetched = async { encoded_elsewhere(fetching.await?, codec).await };
            tokio::time::timeout(SYNTHESIS_MAX, fetched).await.unwrap_or(Err(ServiceFailure::Overdue))
        };
        let work = ctx.spawn(fetched.into_actor(self).map(move |result, _, ctx: &mut Context<Self>| {
            ctx.address().do_send(Fetched { id, codec, result });
        }));
        self.waiting[n].1 = Waiting::File { repeats, work };
    }

    /// A synthesizer that has too much to do is asked again while the caller hears what is there, or has not waited for the
    /// first words for long: it is the tenant's own load, and no reason to lose a call.
    fn tries_again(&mut self, id: SayId, failure: &ServiceFailure, ctx: &mut Context<Self>) -> bool {
        if !matches!(failure, ServiceFailure::Overloaded | ServiceFailure::Overdue) {
            return false;
        }
        let (now, is_heard) = (crate::now(), self.cores.playout.borrow().is_playing());
        let Some(since) = self.text(id).and_then(|text| text.put_back(now)) else { return false };
        let is_full = *failure == ServiceFailure::Overloaded;
        let tries_again = is_heard || is_full && now.saturating_duration_since(since) < OVERLOADED_MAX;
        if tries_again {
            ctx.run_later(ASKED_AGAIN_AFTER, |this, ctx| this.ask_ahead(ctx));
        }
        tries_again
    }

    fn look_later(&mut self, after: Duration, ctx: &mut Context<Self>) {
        if self.look.is_none() {
            let after = after.max(Duration::from_millis(500));
            self.look = Some(ctx.run_later(after, |this, ctx| {
                this.look = None;
                this.ask_ahead(ctx);
            }));
        }
    }

    /// Begins to make a part of a text; it is over when this is cancelled.
    fn begin(&self, id: SayId, work: Pending<Result<Speech, ServiceFailure>>, ctx: &mut Context<Self>) -> SpawnHandle {
        let asked = crate::now();
        let work = tokio::time::timeout(SYNTHESIS_MAX, work).into_actor(self);
        ctx.spawn(work.map(move |result, this, ctx: &mut Context<Self>| {
            metrics::text_synthesised(&this.tenant, crate::now() - asked);
            // Through the mailbox: behind the audio that is in there already.
            let result = result.unwrap_or(Err(ServiceFailure::Overdue));
            ctx.address().do_send(Made { id, result });
        }))
    }

    fn part_made(&mut self, id: SayId, speech: &Speech, ctx: &mut Context<Self>) {
        let codec = self.cores.playout.borrow().format().codec;
        let Some(text) = self.text(id) else { return };
        let told = text.made(speech);
        if text.is_whole_speech() {
            let sound = encoded(speech, codec);
            if let Some((_, place)) = self.waiting.iter_mut().find(|(waiting, _)| *waiting == id) {
                *place = Waiting::Sound { sound, repeats: false };
            }
        }
        if told {
            self.journal.write(|record, now| record.made_by(now, id, &speech.origin));
        }
        self.go_on(ctx);
    }

    fn queue_what_is_ready(&mut self, ctx: &mut Context<Self>) {
        while let Some((id, waiting)) = self.waiting.front_mut() {
            let (id, clip) = (*id, ClipId(id.0));
            let mut playout = self.cores.playout.borrow_mut();
            // What has no room waits until something was heard.
            let needed = if let Waiting::Digits(digits) = waiting { digits.digits.len() } else { 1 };
            if playout.room() < needed && playout.is_playing() {
                return;
            }
            let begun = self.parts.queued(clip) > 0;
            let late = begun && !playout.is_playing();
            let (mut queued, mut over) = (true, true);
            match waiting {
                Waiting::Source { .. } | Waiting::File { .. } => return,
                Waiting::Text(text) => {
                    let codec = playout.format().codec;
                    text.fit(codec.sample_rate());
                    if !text.is_ready(begun) {
                        return;
                    }
                    over = text.is_made();
                    let samples = std::mem::take(&mut text.samples);
                    let name = if over {
                        self.parts.last(clip, samples.len());
                        clip
                    } else {
                        let Some(part) = self.parts.next(clip, samples.len()) else {
                            text.samples = samples;
                            return;
                        };
                        part
                    };
                    queued = playout.enqueue(Clip { id: name, sound: Sound::of(&samples, codec), repeats: false });
                }
                Waiting::Sound { sound, repeats } => {
                    queued = playout.enqueue(Clip { id: clip, sound: sound.clone(), repeats: *repeats });
                }
                Waiting::Nothing => self.heard(id),
                Waiting::Digits(digits) => queued = press(&mut playout, id, digits),
            }
            drop(playout);
            if late {
                self.fell_silent();
            }
            if !queued {
                return self.lost(ctx);
            }
            self.call.do_send(Tell(lifecycle::Input::PlaybackReady));
            if over {
                self.waiting.pop_front();
            }
        }
    }

    fn go_on(&mut self, ctx: &mut Context<Self>) {
        self.queue_what_is_ready(ctx);
        self.ask_ahead(ctx);
    }

    /// The line fell silent in the middle of a text.
    fn fell_silent(&self) {
        let told = "speech was made more slowly than it is heard";
        self.journal.write(|record, now| record.warn(now, UNDERFLOW, told));
    }

    /// It was heard to its last sample.
    fn heard(&self, id: SayId) {
        if id == ANNOUNCEMENT {
            self.call.do_send(Tell(lifecycle::Input::AnnouncementPlayed));
        } else {
            self.turn_loop.do_send(Tell(turn_loop::Input::Played(id)));
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
    Text(Text),
    /// A sound that will be fetched.
    Source {
        /// Where it is.
        source: String,
        /// Whether it is repeated.
        repeats: bool,
    },
    /// A sound that is being fetched.
    File {
        /// Whether it is repeated.
        repeats: bool,
        /// The fetching; it is over when this is cancelled.
        work: SpawnHandle,
    },
    /// Audio.
    Sound {
        /// Which.
        sound: Sound,
        /// Whether it is repeated.
        repeats: bool,
    },
    /// A sound that is not to be had, or a text that says nothing.
    Nothing,
    /// Keys.
    Digits(DtmfSend),
}

impl Waiting {
    /// How much audio of it is there, at the rate of the line.
    fn audio(&self, line_rate: u32) -> Duration {
        let samples = match self {
            Self::Sound { sound: Sound::Coded(_, codes), .. } => codes.len(),
            Self::Sound { sound: Sound::Linear(samples), .. } => samples.len(),
            Self::Text(_) | Self::Source { .. } | Self::File { .. } | Self::Nothing | Self::Digits(_) => 0,
        };
        Duration::from_millis(samples as u64 * 1000 / u64::from(line_rate))
    }

    /// What is being done for it.
    fn work(&self) -> Option<SpawnHandle> {
        match self {
            Self::Text(text) => text.work,
            Self::File { work, .. } => Some(*work),
            Self::Source { .. } | Self::Sound { .. } | Self::Nothing | Self::Digits(_) => None,
        }
    }
}

/// Queues digits; only the last has the name that is waited for.
fn press(playout: &mut Playout, id: SayId, digits: &DtmfSend) -> bool {
    let last = digits.digits.len().saturating_sub(1);
    digits.digits.iter().enumerate().all(|(n, press)| {
        let Some(digit) = Digit::from_char(press.digit) else { return true };
        let press =
            DigitPress { digit, hold_ms: press.duration_ms, pause_ms: digits.interval_ms, volume: press.volume };
        playout.press(ClipId(if n == last { id.0 } else { UNNAMED }), press)
    })
}

/// The name of what nobody waits for.
const UNNAMED: u64 = u64::MAX;
/// The name of the announcement.
const ANNOUNCEMENT: SayId = SayId(u64::MAX - 1);

thread_local! {
    static SHARED: RefCell<HashMap<(*const i16, Codec), Shared>> = RefCell::default();
}

/// A speech as the codec plays it. Calls of this thread that play the same speech share it: a greeting is coded once, and
/// held once.
fn encoded(speech: &Speech, codec: Codec) -> Sound {
    known(speech, codec).unwrap_or_else(|| {
        let sound = Sound::of(&resample::clip(&speech.samples, speech.sample_rate, codec.sample_rate()), codec);
        share(speech, codec, &sound);
        sound
    })
}

/// The same of a sound from somewhere, which may be long: coded on a thread that paces no audio.
async fn encoded_elsewhere(speech: Speech, codec: Codec) -> Result<(Speech, Sound), ServiceFailure> {
    if let Some(sound) = known(&speech, codec) {
        return Ok((speech, sound));
    }
    let (samples, rate) = (Arc::clone(&speech.samples), speech.sample_rate);
    let coded = move || Sound::of(&resample::clip(&samples, rate, codec.sample_rate()), codec);
    let failed = |_| ServiceFailure::Unavailable { why: "it could not be coded".to_owned() };
    let sound = tokio::task::spawn_blocking(coded).await.map_err(failed)?;
    share(&speech, codec, &sound);
    Ok((speech, sound))
}

/// What of a speech is coded already.
fn known(speech: &Speech, codec: Codec) -> Option<Sound> {
    if speech.sample_rate == codec.sample_rate() && !matches!(codec, Codec::G711(_)) {
        return Some(Sound::Linear(Arc::clone(&speech.samples)));
    }
    SHARED.with_borrow(|shared| {
        let known = shared.get(&(speech.samples.as_ptr(), codec))?;
        // The address is only a hint: the speech that was at it may be gone.
        let of = known.speech.upgrade()?;
        Arc::ptr_eq(&of, &speech.samples).then(|| known.sound.clone())
    })
}

fn share(speech: &Speech, codec: Codec, sound: &Sound) {
    SHARED.with_borrow_mut(|shared| {
        shared.retain(|_, known| known.speech.strong_count() > 0);
        let of = Shared { speech: Arc::downgrade(&speech.samples), sound: sound.clone() };
        shared.insert((speech.samples.as_ptr(), codec), of);
    });
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
        let Some(text) = self.text(id) else { return };
        if text.take(&samples, sample_rate) {
            self.journal.write(|record, now| record.audio_ready(now, id));
            self.queue_what_is_ready(ctx);
        }
    }
}

/// A text was cut into parts.
#[derive(Message)]
#[rtype(result = "()")]
struct InParts {
    id: SayId,
    parts: Vec<String>,
}

impl Handler<InParts> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, InParts { id, parts }: InParts, ctx: &mut Self::Context) {
        let Some(text) = self.text(id) else { return };
        text.is_cut(parts);
        self.go_on(ctx);
    }
}

/// A part of a text has become audio, or it could not.
#[derive(Message)]
#[rtype(result = "()")]
struct Made {
    id: SayId,
    result: Result<Speech, ServiceFailure>,
}

impl Handler<Made> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, Made { id, result }: Made, ctx: &mut Self::Context) {
        match result {
            _ if self.text(id).is_none() => {} // cut in the meantime
            Ok(speech) => self.part_made(id, &speech, ctx),
            Err(failure) if self.tries_again(id, &failure, ctx) => {}
            Err(failure) => {
                tracing::warn!(tenant = self.tenant, %failure, "a text could not be spoken");
                self.lost(ctx);
            }
        }
    }
}

/// A sound is there and coded, or it is not to be had.
#[derive(Message)]
#[rtype(result = "()")]
struct Fetched {
    id: SayId,
    codec: Codec,
    result: Result<(Speech, Sound), ServiceFailure>,
}

impl Handler<Fetched> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, Fetched { id, codec, result }: Fetched, ctx: &mut Self::Context) {
        let now = self.cores.playout.borrow().format().codec;
        let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == id) else { return };
        let Waiting::File { repeats, .. } = self.waiting[at].1 else { return };
        let place = match result {
            Ok((speech, _)) if codec != now => {
                // The line has another codec by now.
                let coded = encoded_elsewhere(speech, now).into_actor(self);
                let work = ctx.spawn(coded.map(move |result, _, ctx: &mut Context<Self>| {
                    ctx.address().do_send(Fetched { id, codec: now, result });
                }));
                Waiting::File { repeats, work }
            }
            Ok((_, sound)) => Waiting::Sound { sound, repeats },
            // A sound that is not to be had is left out: the conversation does not hang on it.
            Err(failure) => {
                tracing::warn!(tenant = self.tenant, %failure, "a sound could not be fetched");
                metrics::sound_failed(&self.tenant);
                Waiting::Nothing
            }
        };
        self.waiting[at].1 = place;
        self.go_on(ctx);
    }
}

impl Actor for TtsPlayback {
    type Context = Context<Self>;
}

child!(TtsPlayback);

impl Handler<Say> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, Say { id, speech }: Say, ctx: &mut Self::Context) {
        let (text, request) = Text::of(speech);
        let waiting = self.waiting.len();
        self.waiting.push_back((id, Waiting::Text(request)));
        if text.len() <= CUT_HERE_MAX {
            if let (_, Waiting::Text(request)) = &mut self.waiting[waiting] {
                request.is_cut(speakable::cut(&text));
            }
            return self.go_on(ctx);
        }
        let cut = tokio::task::spawn_blocking(move || speakable::cut(&text)).into_actor(self);
        let cut = ctx.spawn(cut.map(move |parts, _, ctx: &mut Context<Self>| {
            ctx.address().do_send(InParts { id, parts: parts.unwrap_or_default() });
        }));
        if let (_, Waiting::Text(request)) = &mut self.waiting[waiting] {
            request.work = Some(cut);
        }
    }
}

impl Handler<Play> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, Play { id, source, repeats }: Play, ctx: &mut Self::Context) {
        self.waiting.push_back((id, Waiting::Source { source, repeats }));
        self.go_on(ctx);
    }
}

impl Handler<StopRepeating> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, _: StopRepeating, ctx: &mut Self::Context) {
        let repeats = |waiting: &Waiting| {
            matches!(
                waiting,
                Waiting::Source { repeats: true, .. }
                    | Waiting::File { repeats: true, .. }
                    | Waiting::Sound { repeats: true, .. }
            )
        };
        self.waiting.retain(|(_, waiting)| {
            if repeats(waiting)
                && let Some(work) = waiting.work()
            {
                ctx.cancel_future(work);
            }
            !repeats(waiting)
        });
        self.cores.playout.borrow_mut().stop_repeating();
        self.go_on(ctx);
    }
}

impl Handler<Pause> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, _: Pause, _: &mut Self::Context) {
        self.cores.playout.borrow_mut().pause(true);
    }
}

impl Handler<Resume> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, _: Resume, _: &mut Self::Context) {
        self.cores.playout.borrow_mut().pause(false);
    }
}

impl Handler<SendDigits> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, SendDigits { id, digits }: SendDigits, ctx: &mut Self::Context) {
        self.waiting.push_back((id, Waiting::Digits(digits)));
        self.go_on(ctx);
    }
}

impl Handler<Cut> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, _: Cut, ctx: &mut Self::Context) {
        let cut = self.cores.playout.borrow_mut().cut();
        let cut = cut.map(|cut| self.parts.cut(cut));
        let cut = cut.map(|cut| {
            let id = SayId(cut.id.0);
            // Of a text that is still being made, what there is of it is a part.
            let there = self.text(id).map_or(1.0, |text| text.share_asked_for());
            (id, there * cut.heard as f32 / cut.of.max(1) as f32)
        });
        let next = self.waiting.front().map(|(id, waiting)| {
            // Of a text whose audio comes too slowly, all there is was heard.
            let heard = match waiting {
                Waiting::Text(text) if self.parts.queued(ClipId(id.0)) > 0 => text.share_asked_for(),
                _ => 0.0,
            };
            (*id, heard)
        });
        self.parts.forget();
        if let Some((id, share)) = cut.or(next) {
            self.journal.write(|record, now| record.audio_cut(now, id, share));
            self.turn_loop.do_send(Tell(turn_loop::Input::WasCut { id, share }));
        }
        for (_, waiting) in self.waiting.drain(..) {
            waiting.work().map(|work| ctx.cancel_future(work));
        }
    }
}

impl Handler<Announce> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, Announce { text }: Announce, ctx: &mut Self::Context) {
        self.handle(Cut {}, ctx);
        self.handle(Say { id: ANNOUNCEMENT, speech: SpeechRequest::plain(text, 0) }, ctx);
    }
}

impl Handler<ClipEvent> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, ClipEvent { event }: ClipEvent, ctx: &mut Self::Context) {
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
                self.heard(SayId(id));
            }
        }
        self.go_on(ctx); // there is room again
    }
}
