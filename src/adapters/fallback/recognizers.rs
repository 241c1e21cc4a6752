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

/// What the call holds: without it nobody listens.
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
mod tests {
    use super::*;

    /// Counts, or cannot be opened; its sink can be reached.
    #[derive(Clone, Default)]
    struct Ear(Arc<Mutex<EarState>>, bool, u32);

    #[derive(Default)]
    struct EarState {
        samples: usize,
        utterances: usize,
        phrases: Option<Arc<[String]>>,
        sink: Option<Arc<RecognizerSink>>,
        /// Says at once that it did not understand.
        is_quick: bool,
    }

    impl Ear {
        fn state(&self) -> MutexGuard<'_, EarState> {
            self.0.lock().expect("alone")
        }
    }

    impl Recognizer for Ear {
        fn sample_rate(&self, _: u32) -> u32 {
            self.2
        }

        fn open(
            &self,
            _: RecognizerConfig,
            sink: RecognizerSink,
        ) -> Pending<Result<Box<dyn RecognizerStream>, ServiceFailure>> {
            if self.1 {
                return Box::pin(async { Err(ServiceFailure::Overdue) });
            }
            self.state().sink = Some(Arc::new(sink));
            let this = self.clone();
            Box::pin(async move { Ok(Box::new(this) as Box<dyn RecognizerStream>) })
        }
    }

    impl RecognizerStream for Ear {
        fn hear(&mut self, samples: &[i16]) {
            self.state().samples += samples.len();
        }

        fn utterance_began(&mut self) {}

        fn utterance_ended(&mut self) {
            let mut state = self.state();
            state.utterances += 1;
            let quick = if state.is_quick { state.sink.clone() } else { None };
            drop(state);
            quick.into_iter().for_each(|sink| sink(RecognizerEvent::NotUnderstood));
        }

        fn expect_phrases(&mut self, phrases: Option<Arc<[String]>>) {
            self.state().phrases = phrases;
        }
    }

    fn pair(first: &Ear, second: &Ear) -> InOrder<dyn Recognizer> {
        let services: Vec<(_, Arc<dyn Recognizer>)> =
            vec![("a", Arc::new(first.clone())), ("b", Arc::new(second.clone()))];
        InOrder::new(services, Arc::new(|_, _| {}))
    }

    fn alone(name: &'static str, ear: &Ear) -> InOrder<dyn Recognizer> {
        InOrder::new(vec![(name, Arc::new(ear.clone()))], Arc::new(|_, _| {}))
    }

    #[tokio::test]
    async fn the_second_listens_when_the_first_cannot_be_opened_with_audio_fitted_to_it() {
        let (first, second) = (Ear(Arc::default(), true, 8000), Ear(Arc::default(), false, 16_000));
        let ears = pair(&first, &second);
        assert_eq!(ears.sample_rate(8000), 8000);
        let mut stream = ears.open(RecognizerConfig::default(), Box::new(|_| {})).await.expect("the second");
        (0..10).for_each(|_| stream.hear(&[0; 160]));
        assert_eq!(second.state().samples, 3200);
    }

    #[tokio::test]
    async fn who_is_alone_listens_by_itself_and_rests_when_it_fails() {
        let (ear, broken) = (Ear::default(), Ear(Arc::default(), true, 8000));
        let told = Arc::new(Mutex::new(vec![]));
        let sink = |told: &Arc<Mutex<Vec<RecognizerEvent>>>| -> RecognizerSink {
            let told = Arc::clone(told);
            Box::new(move |event| told.lock().expect("alone").push(event))
        };
        let mut stream = alone("ear", &ear).open(RecognizerConfig::default(), sink(&told)).await.expect("open");
        stream.hear(&[1; 160]);
        ear.state().sink.clone().expect("open")(RecognizerEvent::NotUnderstood);
        assert_eq!(ear.state().samples, 160);
        let expected = [RecognizerEvent::ServedBy { service: "ear", stands_in: false }, RecognizerEvent::NotUnderstood];
        assert_eq!(*told.lock().expect("alone"), expected);
        let (resting, mut last) = (alone("broken", &broken), None);
        for _ in 0..20 {
            last = resting.open(RecognizerConfig::default(), sink(&told)).await.err();
        }
        assert_eq!((last, told.lock().expect("alone").len()), (Some(at_rest()), 2));
    }

    /// As the embedded one does of a click.
    #[tokio::test]
    async fn what_is_reported_at_once_is_heard() {
        let ear = Ear(Arc::default(), false, 8000);
        ear.state().is_quick = true;
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let sink: RecognizerSink = Box::new(move |what| told.send(what).expect("the test listens"));
        let mut stream = pair(&ear, &ear).open(RecognizerConfig::default(), sink).await.expect("the first");
        // In a thread: one that waits for itself would never come back.
        std::thread::spawn(move || stream.utterance_ended());
        heard.recv().await.expect("who listens");
        let next = tokio::time::timeout(std::time::Duration::from_secs(20), heard.recv()).await;
        assert_eq!(next, Ok(Some(RecognizerEvent::NotUnderstood)));
    }

    #[tokio::test]
    async fn a_recognizer_lost_in_mid_call_is_replaced_and_nothing_is_missed() {
        let (first, second) = (Ear(Arc::default(), false, 8000), Ear(Arc::default(), false, 8000));
        let heard = Arc::new(Mutex::new(vec![]));
        let told = Arc::clone(&heard);
        let sink: RecognizerSink = Box::new(move |what| told.lock().expect("alone").push(what));
        let listens = |service, stands_in| RecognizerEvent::ServedBy { service, stands_in };
        let mut stream = pair(&first, &second).open(RecognizerConfig::default(), sink).await.expect("the first");
        stream.expect_phrases(Some(["yes".to_owned()].into()));
        stream.hear(&[0; 160]);
        let lost = first.state().sink.clone().expect("open");
        lost(RecognizerEvent::Lost(ServiceFailure::Overloaded));
        stream.hear(&[0; 160]); // nobody listens yet
        stream.utterance_ended();
        tokio::task::yield_now().await;
        stream.hear(&[0; 160]);
        assert_eq!(first.state().samples, 160);
        assert_eq!(second.state().samples, 320);
        assert_eq!(second.state().utterances, 1);
        assert!(second.state().phrases.is_some());
        lost(RecognizerEvent::NotUnderstood);
        let so_far = vec![listens("a", false), listens("b", true)];
        assert_eq!(*heard.lock().expect("alone"), so_far, "who is lost is not listened to");
        let last = second.state().sink.clone().expect("open");
        last(RecognizerEvent::Lost(ServiceFailure::Overdue));
        assert_eq!(heard.lock().expect("alone").last(), Some(&RecognizerEvent::Lost(ServiceFailure::Overdue)));
    }

    #[tokio::test]
    async fn a_call_that_ends_while_another_recognizer_is_opened_leaves_nobody_listening() {
        /// Never comes to open.
        struct Slow(Arc<()>);

        impl Recognizer for Slow {
            fn sample_rate(&self, _: u32) -> u32 {
                8000
            }

            fn open(
                &self,
                _: RecognizerConfig,
                _: RecognizerSink,
            ) -> Pending<Result<Box<dyn RecognizerStream>, ServiceFailure>> {
                let asked = Arc::clone(&self.0);
                Box::pin(async move {
                    let _asked = asked;
                    std::future::pending().await
                })
            }
        }

        let (first, asked) = (Ear(Arc::default(), false, 8000), Arc::new(()));
        let services: Vec<(_, Arc<dyn Recognizer>)> =
            vec![("a", Arc::new(first.clone())), ("b", Arc::new(Slow(Arc::clone(&asked))))];
        let ears = InOrder::new(services, Arc::new(|_, _| {}));
        let stream = ears.open(RecognizerConfig::default(), Box::new(|_| {})).await.expect("the first");
        let lost = first.state().sink.clone().expect("open");
        lost(RecognizerEvent::Lost(ServiceFailure::Overloaded));
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&asked), 3, "the second is being asked");
        drop(stream);
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&asked), 2, "and no more");
    }
}
