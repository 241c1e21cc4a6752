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
use bellhop_dialogue::ports::{ServiceFailure, Speech, Synthesizer};
use bellhop_dialogue::turn_loop::SayId;
use bellhop_media::SAMPLE_RATE;
use bellhop_media::g711::Law;
use bellhop_media::playout::{Clip, ClipId, Event};
use bellhop_media::resample;

use super::child;
use super::messages::{ClipEvent, Cut, PlaybackFinished, PlaybackReady, Speak};
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
    pub(super) waiting: VecDeque<(SayId, Option<Arc<[u8]>>)>,
}

impl TtsPlayback {
    fn synthesised(&mut self, id: SayId, result: Result<Speech, ServiceFailure>, ctx: &mut Context<Self>) {
        let Some((_, place)) = self.waiting.iter_mut().find(|(waiting, _)| *waiting == id) else {
            return; // cut in the meantime
        };
        match result {
            Ok(speech) => {
                *place = Some(encoded(&speech, self.cores.playout.borrow().law()));
                self.queue_what_is_ready(ctx);
            }
            Err(failure) => {
                tracing::warn!(tenant = self.tenant, %failure, "a text could not be spoken");
                self.lost(ctx);
            }
        }
    }

    fn queue_what_is_ready(&mut self, ctx: &mut Context<Self>) {
        while let Some((id, Some(codes))) = self.waiting.front() {
            let clip = Clip { id: ClipId(id.0), codes: Arc::clone(codes) };
            if !self.cores.playout.borrow_mut().enqueue(clip) {
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

/// The code words of a speech. Calls of this thread that play the same speech share them: a greeting is held once.
fn encoded(speech: &Speech, law: Law) -> Arc<[u8]> {
    thread_local! {
        static SHARED: RefCell<HashMap<(*const i16, Law), Shared>> = RefCell::default();
    }
    let key = (speech.samples.as_ptr(), law);
    SHARED.with_borrow_mut(|shared| {
        // The address is only a hint: the speech that was at it may be gone.
        let known = shared.get(&key).and_then(|known| Some((known.speech.upgrade()?, known.codes.upgrade()?)));
        if let Some((_, codes)) = known.filter(|(of, _)| Arc::ptr_eq(of, &speech.samples)) {
            return codes;
        }
        let narrow = resample::clip(&speech.samples, speech.sample_rate, SAMPLE_RATE);
        let codes: Arc<[u8]> = law.encode_all(&narrow).into();
        shared.retain(|_, known| known.codes.strong_count() > 0);
        shared.insert(key, Shared { speech: Arc::downgrade(&speech.samples), codes: Arc::downgrade(&codes) });
        codes
    })
}

struct Shared {
    speech: Weak<[i16]>,
    codes: Weak<[u8]>,
}

impl Actor for TtsPlayback {
    type Context = Context<Self>;
}

child!(TtsPlayback, ChildName::TtsPlayback);

impl Handler<Speak> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, Speak { id, text }: Speak, ctx: &mut Self::Context) {
        self.waiting.push_back((id, None));
        let asked = crate::now();
        let work = tokio::time::timeout(SYNTHESIS_MAX, self.synthesizer.synthesize(text.0)).into_actor(self);
        ctx.spawn(work.map(move |result, this, ctx| {
            metrics::text_synthesised(&this.tenant, crate::now() - asked);
            this.synthesised(id, result.unwrap_or(Err(ServiceFailure::Overdue)), ctx);
        }));
    }
}

impl Handler<Cut> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, _: Cut, _: &mut Self::Context) {
        self.waiting.clear();
        self.cores.playout.borrow_mut().cut();
    }
}

impl Handler<ClipEvent> for TtsPlayback {
    type Result = ();

    fn handle(&mut self, ClipEvent { event }: ClipEvent, _: &mut Self::Context) {
        if let Event::Finished(ClipId(id)) = event {
            self.call.do_send(PlaybackFinished { id: SayId(id) });
        }
    }
}
