//! Recognizers in order: the next one listens when one cannot be opened, or is lost in mid-call.
//!
//! Invariant: when the call drops its stream nothing is left: not who listens, and not who is being asked to. A stream may report while it is
//! told something: what it says of words takes no lock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellhop_dialogue::ports::{
    Pending, Recognizer, RecognizerConfig, RecognizerEvent, RecognizerSink, RecognizerStream, ServiceFailure,
};
use bellhop_media::SAMPLE_RATE;
use bellhop_media::resample::Upsampler;

use tokio::task::AbortHandle;

use super::{InOrder, at_rest, is_well};
use crate::task;

/// The longest one may take to connect while another could be tried.
const OPEN_MAX: Duration = Duration::from_secs(3);
/// Audio kept while a call changes from one to the next.
pub const SWITCH_AUDIO_MAX: Duration = Duration::from_secs(10);

impl Recognizer for InOrder<dyn Recognizer> {
    /// That of the preferred one; for the others audio is fitted.
    fn sample_rate(&self, line_rate: u32) -> u32 {
        self.services.first().map_or(SAMPLE_RATE, |ranked| ranked.service.sample_rate(line_rate))
    }

    fn open(
        &self,
        config: RecognizerConfig,
        sink: RecognizerSink,
    ) -> Pending<Result<Box<dyn RecognizerStream>, ServiceFailure>> {
        if let [_] = &self.services[..] {
            return Box::pin(self.clone().open_only(config, sink));
        }
        let rate = self.sample_rate(config.line_rate);
        let call = Call { of: self.clone(), rate, sink: Arc::new(sink), shared: Arc::default(), rank: Arc::default() };
        call.shared().config = config;
        Box::pin(async move {
            let line = Line(call);
            line.0.clone().open_next(0).await?;
            Ok(Box::new(line) as Box<dyn RecognizerStream>)
        })
    }
}

impl InOrder<dyn Recognizer> {
    /// Nobody could take over: the call holds the service's own stream.
    async fn open_only(
        self,
        config: RecognizerConfig,
        sink: RecognizerSink,
    ) -> Result<Box<dyn RecognizerStream>, ServiceFailure> {
        let Some(only) = self.services.first().filter(|only| only.breaker.lets_through()) else {
            return Err(at_rest());
        };
        let sink = Arc::new(sink);
        let told = Arc::clone(&sink);
        let opened = only.service.open(config, Box::new(move |event| told(event))).await;
        only.breaker.note(is_well(&opened));
        if opened.is_ok() {
            sink(RecognizerEvent::ServedBy { service: only.name, stands_in: false });
        }
        opened
    }
}

/// What the call holds where others can stand in: without it nobody listens.
struct Line(Call);

impl Drop for Line {
    fn drop(&mut self) {
        let mut shared = self.0.shared();
        shared.over = true;
        let (stream, switching) = (shared.stream.take(), shared.switching.take());
        drop(shared); // a stream may report while it is dropped
        drop(stream);
        if let Some(switching) = switching {
            switching.abort();
        }
    }
}

/// One call's stream to whoever listens.
#[derive(Clone)]
struct Call {
    of: InOrder<dyn Recognizer>,
    /// Of the audio that comes in.
    rate: u32,
    sink: Arc<RecognizerSink>,
    shared: Arc<Mutex<Shared>>,
    /// Which of the services listens: reports of another are of the past. Written with `shared` locked.
    rank: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Shared {
    stream: Option<Fitted>,
    config: RecognizerConfig,
    phrases: Option<Arc<[String]>>,
    /// What was heard, and done, while nobody listened.
    missed: Vec<Missed>,
    missed_samples: usize,
    /// The opening of another, in mid-call.
    switching: Option<AbortHandle>,
    /// The call is over.
    over: bool,
}

enum Missed {
    Samples(Vec<i16>),
    Began,
    Ended,
}

/// A stream with what fits our audio to it.
struct Fitted {
    stream: Box<dyn RecognizerStream>,
    rate: u32,
    upsampler: Upsampler,
}

impl Fitted {
    fn hear(&mut self, samples: &[i16], rate: u32) {
        if rate < self.rate {
            let mut wide = Vec::with_capacity(samples.len() * 2);
            self.upsampler.push(samples, &mut wide);
            self.stream.hear(&wide);
        } else if rate > self.rate {
            let narrow: Vec<i16> =
                samples.chunks_exact(2).map(|pair| ((i32::from(pair[0]) + i32::from(pair[1])) / 2) as i16).collect();
            self.stream.hear(&narrow);
        } else {
            self.stream.hear(samples);
        }
    }
}

impl Call {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the first that can be, from this rank on.
    async fn open_next(self, from: usize) -> Result<(), ServiceFailure> {
        let mut last = at_rest();
        let count = self.of.services.len();
        for rank in from..count {
            let ranked = &self.of.services[rank];
            if !ranked.breaker.lets_through() {
                continue;
            }
            if rank > 0 {
                self.of.tell_switch(rank - 1, rank);
            }
            let (config, this) = (self.shared().config.clone(), self.clone());
            let sink: RecognizerSink = Box::new(move |heard| this.heard(rank, heard));
            let line_rate = config.line_rate;
            let opening = ranked.service.open(config, sink);
            let opened = if rank + 1 < count {
                tokio::time::timeout(OPEN_MAX, opening).await.unwrap_or(Err(ServiceFailure::Overdue))
            } else {
                opening.await
            };
            ranked.breaker.note(is_well(&opened));
            match opened {
                Ok(stream) => {
                    self.take(rank, stream, ranked.service.sample_rate(line_rate));
                    return Ok(());
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// This one listens from here on, and hears what the one before missed.
    fn take(&self, rank: usize, stream: Box<dyn RecognizerStream>, rate: u32) {
        let mut shared = self.shared();
        // First: it may report while it hears what was missed.
        self.rank.store(rank, Ordering::Release);
        let mut fitted = Fitted { stream, rate, upsampler: Upsampler::with_mirror(0.0) };
        fitted.stream.expect_phrases(shared.phrases.clone());
        for missed in std::mem::take(&mut shared.missed) {
            match missed {
                Missed::Samples(samples) => fitted.hear(&samples, self.rate),
                Missed::Began => fitted.stream.utterance_began(),
                Missed::Ended => fitted.stream.utterance_ended(),
            }
        }
        shared.missed_samples = 0;
        shared.stream = Some(fitted);
        drop(shared);
        (self.sink)(RecognizerEvent::ServedBy { service: self.of.services[rank].name, stands_in: rank > 0 });
    }

    fn heard(&self, rank: usize, heard: RecognizerEvent) {
        let RecognizerEvent::Lost(failure) = heard else {
            if self.rank.load(Ordering::Acquire) == rank {
                (self.sink)(heard);
            }
            return;
        };
        let mut shared = self.shared();
        if self.rank.load(Ordering::Acquire) != rank {
            return;
        }
        shared.stream = None;
        drop(shared);
        if rank + 1 >= self.of.services.len() {
            return (self.sink)(RecognizerEvent::Lost(failure));
        }
        let this = self.clone();
        let switching = task::spawn(async move {
            let sink = Arc::clone(&this.sink);
            if let Err(failure) = this.open_next(rank + 1).await {
                sink(RecognizerEvent::Lost(failure));
            }
        });
        let mut shared = self.shared();
        if shared.over {
            switching.abort();
        } else {
            shared.switching = Some(switching.abort_handle());
        }
    }

    /// Tells whoever listens, or keeps it for the next.
    fn tell(&self, tell: impl FnOnce(&mut Fitted), keep: impl FnOnce() -> Missed) {
        let mut shared = self.shared();
        match &mut shared.stream {
            Some(stream) => tell(stream),
            None => {
                let missed = keep();
                if let Missed::Samples(samples) = &missed {
                    shared.missed_samples += samples.len();
                    if shared.missed_samples > self.rate as usize * SWITCH_AUDIO_MAX.as_secs() as usize {
                        return;
                    }
                }
                shared.missed.push(missed);
            }
        }
    }
}

impl RecognizerStream for Line {
    fn hear(&mut self, samples: &[i16]) {
        let rate = self.0.rate;
        self.0.tell(|stream| stream.hear(samples, rate), || Missed::Samples(samples.to_vec()));
    }

    fn utterance_began(&mut self) {
        self.0.tell(|stream| stream.stream.utterance_began(), || Missed::Began);
    }

    // A pause is worth a look at the time, and not later.
    fn utterance_paused(&mut self) {
        self.0.shared().stream.iter_mut().for_each(|stream| stream.stream.utterance_paused());
    }

    fn utterance_resumed(&mut self) {
        self.0.shared().stream.iter_mut().for_each(|stream| stream.stream.utterance_resumed());
    }

    fn utterance_ended(&mut self) {
        self.0.tell(|stream| stream.stream.utterance_ended(), || Missed::Ended);
    }

    fn expect_phrases(&mut self, phrases: Option<Arc<[String]>>) {
        let mut shared = self.0.shared();
        shared.phrases.clone_from(&phrases);
        if let Some(stream) = &mut shared.stream {
            stream.stream.expect_phrases(phrases);
        }
    }

    fn configure(&mut self, config: RecognizerConfig) {
        let mut shared = self.0.shared();
        shared.config = config.clone();
        if let Some(stream) = &mut shared.stream {
            stream.stream.configure(config);
        }
    }
}

#[cfg(test)]
mod tests;
