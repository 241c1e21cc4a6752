//! Sounds as codecs play them, shared by the calls of this thread.
//!
//! Invariant: a sound from somewhere, which may be long, is coded on a thread that paces no audio.

use std::cell::RefCell;
use std::sync::Arc;

use bellhop_call::line_audio;
use bellhop_dialogue::ports::{Samples, ServiceFailure, Speech};
use bellhop_media::codec::Codec;
use bellhop_media::playout::Sound;
use bellhop_media::sound_cache::{self, SoundCache};

use crate::supervision::task;

thread_local! {
    static CACHE: RefCell<SoundCache> = RefCell::default();
}

/// Works with what is coded already.
pub(super) fn with_cache<T>(work: impl FnOnce(&mut SoundCache) -> T) -> T {
    CACHE.with_borrow_mut(work)
}

/// A speech with what the codec plays of it.
pub(super) async fn encoded(speech: Speech, codec: Codec) -> Result<(Speech, Sound), ServiceFailure> {
    let samples = match &speech.samples {
        Samples::Linear(samples) => Arc::clone(samples),
        Samples::G711(companding, codes) => {
            let (companding, codes) = (*companding, Arc::clone(codes));
            let coded = task::spawn_blocking(move || line_audio::sound(companding, &codes, codec)).await;
            return coded.map(|sound| (speech, sound)).map_err(|_| uncoded());
        }
    };
    if let Some(sound) = with_cache(|cache| cache.get(&samples, speech.sample_rate, codec)) {
        return Ok((speech, sound));
    }
    let (of, sample_rate) = (Arc::clone(&samples), speech.sample_rate);
    let coded = task::spawn_blocking(move || sound_cache::encode(&of, sample_rate, codec));
    let sound = coded.await.map_err(|_| uncoded())?;
    with_cache(|cache| cache.keep(&samples, codec, &sound));
    Ok((speech, sound))
}

fn uncoded() -> ServiceFailure {
    ServiceFailure::Unavailable { why: "it could not be coded".to_owned() }
}
