//! Clips as codecs play them, shared by the calls of a thread: a greeting is coded once, and held once.
//!
//! Invariant: a coded clip is found only while the samples it was made of are alive, and is dropped with the next one that is
//! kept after they are gone; whoever owns the samples bounds the cache. Driver: `actors/call/tts_playback.rs`.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::codec::Codec;
use crate::playout::Sound;
use crate::resample;

/// What is coded already.
#[derive(Debug, Default)]
pub struct SoundCache {
    /// By the address of the samples, which is only a hint: what was there may be gone.
    coded: HashMap<(usize, Codec), Coded>,
}

#[derive(Debug)]
struct Coded {
    samples: Weak<[i16]>,
    sound: Sound,
}

impl SoundCache {
    /// The samples, at so many a second, for this codec: as they are if they fit, or as they were coded before.
    pub fn get(&self, samples: &Arc<[i16]>, sample_rate: u32, codec: Codec) -> Option<Sound> {
        if sample_rate == codec.sample_rate() && !matches!(codec, Codec::G711(_)) {
            return Some(Sound::Linear(Arc::clone(samples)));
        }
        let coded = self.coded.get(&key(samples, codec))?;
        let of = coded.samples.upgrade()?;
        Arc::ptr_eq(&of, samples).then(|| coded.sound.clone())
    }

    /// Keeps a sound that was made of these samples for as long as they live.
    pub fn keep(&mut self, samples: &Arc<[i16]>, codec: Codec, sound: &Sound) {
        self.coded.retain(|_, coded| coded.samples.strong_count() > 0);
        let coded = Coded { samples: Arc::downgrade(samples), sound: sound.clone() };
        self.coded.insert(key(samples, codec), coded);
    }

    /// The samples for this codec; they are coded now if they were not before.
    pub fn encode(&mut self, samples: &Arc<[i16]>, sample_rate: u32, codec: Codec) -> Sound {
        self.get(samples, sample_rate, codec).unwrap_or_else(|| {
            let sound = encode(samples, sample_rate, codec);
            self.keep(samples, codec, &sound);
            sound
        })
    }
}

/// A clip at so many samples a second as the codec plays it: about 50 ns a sample where the rates differ.
pub fn encode(samples: &[i16], sample_rate: u32, codec: Codec) -> Sound {
    Sound::of(&resample::clip(samples, sample_rate, codec.sample_rate()), codec)
}

fn key(samples: &Arc<[i16]>, codec: Codec) -> (usize, Codec) {
    (samples.as_ptr() as usize, codec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::Law;

    const MU: Codec = Codec::G711(Law::Mu);

    fn codes(sound: &Sound) -> &Arc<[u8]> {
        let Sound::Coded(_, codes) = sound else { panic!("{sound:?}") };
        codes
    }

    #[test]
    fn a_clip_is_coded_once_for_each_codec() {
        let (mut cache, greeting): (_, Arc<[i16]>) = (SoundCache::default(), vec![1000; 1600].into());
        assert!(cache.get(&greeting, 16_000, MU).is_none());
        let first = cache.encode(&greeting, 16_000, MU);
        assert!(Arc::ptr_eq(codes(&first), codes(&cache.encode(&greeting, 16_000, MU))));
        assert_eq!(codes(&first).len(), 800);
        let other = cache.encode(&greeting, 16_000, Codec::G711(Law::A));
        assert_ne!(codes(&other), codes(&first));
        let Sound::Linear(as_it_is) = cache.encode(&greeting, 16_000, Codec::G722) else { panic!("linear") };
        assert!(Arc::ptr_eq(&as_it_is, &greeting), "what fits is not copied");
    }

    #[test]
    fn what_is_gone_is_neither_found_nor_held() {
        let mut cache = SoundCache::default();
        let gone: Arc<[i16]> = vec![1000; 160].into();
        let (address, sound) = (key(&gone, MU), cache.encode(&gone, 8000, MU));
        drop(gone);
        let another: Arc<[i16]> = vec![2000; 160].into();
        // Others may be given the memory of what is gone.
        let stale = cache.coded.remove(&address).expect("kept");
        cache.coded.insert(key(&another, MU), stale);
        assert!(cache.get(&another, 8000, MU).is_none());
        assert_ne!(codes(&cache.encode(&another, 8000, MU)), codes(&sound));
        assert_eq!((cache.coded.len(), Arc::strong_count(codes(&sound))), (1, 1));
    }
}
