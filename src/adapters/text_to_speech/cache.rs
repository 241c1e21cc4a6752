//! Texts that were spoken before: greetings and menus cost their synthesis once, for all calls.
//!
//! Invariant: what is kept never exceeds [`SAMPLES_MAX`]; the oldest go first. Clips are kept at the line's rate, so that
//! a hit costs no resampling; a text that is spoken to lines of both rates is kept twice. Kept in memory alone.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bellhop_dialogue::ports::{Pending, ServiceFailure, Speech, Synthesizer};
use bellhop_media::{SAMPLE_RATE, resample};

/// Samples kept in all: half an hour of speech, 29 MB.
pub const SAMPLES_MAX: usize = 30 * 60 * SAMPLE_RATE as usize;

/// A synthesizer with a memory. One per voice.
pub struct Cached<S> {
    inner: S,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    clips: HashMap<Line, Speech>,
    order: VecDeque<Line>,
    samples: usize,
}

/// A text and the rate of the line it is spoken to.
type Line = (String, u32);

impl<S: Synthesizer> Cached<S> {
    /// Puts a memory in front of a synthesizer.
    pub fn new(inner: S) -> Self {
        Self { inner, kept: Arc::default() }
    }
}

impl Kept {
    fn keep(&mut self, line: Line, speech: &Speech) {
        if speech.samples.len() > SAMPLES_MAX / 10 || self.clips.contains_key(&line) {
            return;
        }
        self.samples += speech.samples.len();
        while self.samples > SAMPLES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.samples -= self.clips.remove(&oldest).map_or(0, |clip| clip.samples.len());
        }
        self.order.push_back(line.clone());
        self.clips.insert(line, speech.clone());
    }
}

impl<S: Synthesizer> Synthesizer for Cached<S> {
    fn synthesize(&self, text: String, line_rate: u32) -> Pending<Result<Speech, ServiceFailure>> {
        let kept = Arc::clone(&self.kept);
        let line = (text, line_rate);
        let hit = kept.lock().unwrap_or_else(PoisonError::into_inner).clips.get(&line).cloned();
        if let Some(speech) = hit {
            return Box::pin(async { Ok(speech) });
        }
        let work = self.inner.synthesize(line.0.clone(), line_rate);
        Box::pin(async move {
            let speech = work.await?;
            // A long clip takes milliseconds: not on the thread that also paces audio.
            let fitted = tokio::task::spawn_blocking(move || Speech {
                samples: resample::clip(&speech.samples, speech.sample_rate, line_rate).into(),
                sample_rate: line_rate,
            });
            let speech =
                fitted.await.map_err(|_| ServiceFailure::Unavailable { why: "resampling failed".to_owned() })?;
            kept.lock().unwrap_or_else(PoisonError::into_inner).keep(line, &speech);
            Ok(speech)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Counted(Arc<AtomicUsize>);

    impl Synthesizer for Counted {
        fn synthesize(&self, text: String, _: u32) -> Pending<Result<Speech, ServiceFailure>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move { Ok(Speech { samples: vec![7; text.len() * 16_000].into(), sample_rate: 16_000 }) })
        }
    }

    #[tokio::test]
    async fn a_text_is_synthesised_once_and_kept_at_the_lines_rate() {
        let asked = Arc::new(AtomicUsize::new(0));
        let cached = Cached::new(Counted(Arc::clone(&asked)));
        for _ in 0..3 {
            let speech = cached.synthesize("ab".into(), 8000).await.expect("speech");
            assert_eq!((speech.samples.len(), speech.sample_rate), (16_000, 8000));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let wide = cached.synthesize("ab".into(), 16_000).await.expect("speech");
        assert_eq!((wide.samples.len(), wide.sample_rate, asked.load(Ordering::Relaxed)), (32_000, 16_000, 2));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = Kept::default();
        let clip = Speech { samples: vec![0; SAMPLES_MAX / 20].into(), sample_rate: 8000 };
        (0..100).for_each(|n| kept.keep((n.to_string(), 8000), &clip));
        assert!(kept.samples <= SAMPLES_MAX && kept.clips.len() == kept.order.len());
        assert!(kept.clips.contains_key(&("99".to_owned(), 8000)) && !kept.clips.contains_key(&("0".to_owned(), 8000)));
    }
}
