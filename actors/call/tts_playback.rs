//! TtsPlayback: drives the core of what the caller hears, and has its work done: texts split and spoken, sounds fetched.
//!
//! Invariant: what a piece of work came to is told through the mailbox, behind the audio that is in there already; work that
//! the core abandons is dropped.

mod sounds;

use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::fut::WrapFuture;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle};
use bellhop_call::lifecycle;
use bellhop_call::speech_out::{Input, Job, Line, Output, SpeechOut};
use bellhop_dialogue::ports::{AudioSink, SoundLibrary, Synthesizer};
use bellhop_dialogue::{speakable, turn_loop};

use super::journal::{Journal, UNDERFLOW};
use super::{Conversation, Reports, child};
use crate::drive::{Drive, Driven, Machine, Tell, put};
use crate::media_shard::LegCores;
use crate::metrics;
use crate::services::Services;
use crate::supervision::{Exit, Failure, Link, task};

/// What the caller hears, from a text to the line.
pub struct TtsPlayback {
    link: Link,
    call: Reports,
    turn_loop: Conversation,
    tenant: String,
    synthesizer: Arc<dyn Synthesizer>,
    sounds: Arc<dyn SoundLibrary>,
    drive: Drive<OnLeg>,
    /// The work that is being done.
    jobs: HashMap<Job, SpawnHandle>,
    journal: Journal,
}

impl TtsPlayback {
    pub(super) fn new(
        link: Link,
        (call, turn_loop): (Reports, Conversation),
        services: &Services,
        cores: Rc<LegCores>,
        journal: Journal,
    ) -> Self {
        Self {
            link,
            call,
            turn_loop,
            tenant: services.integration.tenant.name.clone(),
            synthesizer: Arc::clone(&services.synthesizer),
            sounds: Arc::clone(&services.sounds),
            drive: Drive::new(OnLeg { core: SpeechOut::default(), cores }),
            jobs: HashMap::new(),
            journal,
        }
    }

    /// Has work done; what it comes to is told to the core.
    fn begin(&mut self, job: Job, work: impl Future<Output = Input> + 'static, ctx: &mut Context<Self>) {
        let work = work.into_actor(self).map(move |input, this, ctx: &mut Context<Self>| {
            this.jobs.remove(&job);
            ctx.address().do_send(Tell(input));
        });
        self.jobs.insert(job, ctx.spawn(work));
    }

    /// Where audio of a part goes while the rest of it is being made; from whatever thread.
    fn audio_of(job: Job, ctx: &Context<Self>) -> AudioSink {
        let this = ctx.address();
        Box::new(move |samples, sample_rate| {
            this.do_send(Tell(Input::Audio { job, samples: samples.to_vec(), sample_rate }));
        })
    }

    fn tell(&self, input: turn_loop::Input) {
        self.turn_loop.do_send(Tell(input));
    }
}

/// The core on the line of its leg.
pub struct OnLeg {
    core: SpeechOut,
    cores: Rc<LegCores>,
}

impl OnLeg {
    fn on_line<T>(&mut self, step: impl FnOnce(&mut SpeechOut, &mut Line<'_>) -> T) -> T {
        let Self { core, cores } = self;
        sounds::with_cache(|cache| step(core, &mut Line { playout: &mut cores.playout.borrow_mut(), cache }))
    }
}

impl Machine for OnLeg {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        self.on_line(|core, line| core.handle(now, line, input));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.on_line(|core, line| core.handle_timeout(now, line));
    }

    fn poll(&mut self) -> Option<Output> {
        self.core.poll()
    }

    fn deadline(&self) -> Option<Instant> {
        self.core.deadline()
    }
}

impl Actor for TtsPlayback {
    type Context = Context<Self>;
}

impl Driven for TtsPlayback {
    type Core = OnLeg;

    fn drive(&mut self) -> &mut Drive<OnLeg> {
        &mut self.drive
    }

    fn carry_out(&mut self, output: Output, ctx: &mut Context<Self>) {
        match output {
            Output::Split { job, text } => {
                let split = task::spawn_blocking(move || speakable::cut(&text));
                self.begin(job, async move { Input::Split { job, parts: split.await.unwrap_or_default() } }, ctx);
            }
            Output::Synthesize { job, request } => {
                let speech = self.synthesizer.stream(request, Self::audio_of(job, ctx));
                self.begin(job, async move { Input::Made { job, result: speech.await } }, ctx);
            }
            Output::Fetch { job, source, codec } => {
                let sound = self.sounds.fetch(source);
                let coded = async move { sounds::encoded(sound.await?, codec).await };
                self.begin(job, async move { Input::Fetched { job, codec, result: coded.await } }, ctx);
            }
            Output::Encode { job, speech, codec } => {
                let coded = sounds::encoded(speech, codec);
                self.begin(job, async move { Input::Fetched { job, codec, result: coded.await } }, ctx);
            }
            Output::Abandon(job) => _ = self.jobs.remove(&job).map(|work| ctx.cancel_future(work)),
            Output::PlaybackReady => self.call.do_send(Tell(lifecycle::Input::PlaybackReady)),
            Output::AudioReady(id) => _ = self.journal.write(|record, now| record.audio_ready(now, id)),
            Output::MadeBy { id, origin } => _ = self.journal.write(|record, now| record.made_by(now, id, &origin)),
            Output::Synthesized { took } => metrics::text_synthesised(&self.tenant, took),
            Output::Underflow => {
                let told = "speech was made more slowly than it is heard";
                self.journal.write(|record, now| record.warn(now, UNDERFLOW, told));
            }
            Output::SoundMissing(failure) => {
                tracing::warn!(%failure, "a sound could not be fetched");
                metrics::sound_failed(&self.tenant);
            }
            Output::AudioBegan(id) => {
                let waited = self.journal.write(|record, now| record.audio_began(now, id)).flatten();
                waited.into_iter().for_each(|waited| metrics::first_audio(&self.tenant, waited));
            }
            Output::AudioEnded(id) => _ = self.journal.write(|record, now| record.audio_ended(now, id)),
            Output::Played(id) => self.tell(turn_loop::Input::Played(id)),
            Output::AnnouncementPlayed => self.call.do_send(Tell(lifecycle::Input::AnnouncementPlayed)),
            Output::WasCut { id, share } => {
                self.journal.write(|record, now| record.audio_cut(now, id, share));
                self.tell(turn_loop::Input::WasCut { id, share });
            }
            Output::Failed(failure) => {
                tracing::warn!(%failure, "a text could not be spoken");
                self.link.exit(Exit::Failed(Failure::SynthesizerLost));
                ctx.stop();
            }
        }
    }
}

child!(TtsPlayback);

impl Handler<Tell<Input>> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, Tell(input): Tell<Input>, ctx: &mut Self::Context) {
        put(self, ctx, input);
    }
}
