//! One call's stream: what is heard is gathered, looked at in pauses, and decoded when it has ended.
//!
//! Invariant: of each utterance that ended there is one result; what was made of it in a pause is that, if nothing followed the pause.

use std::collections::VecDeque;
use std::sync::Arc;

use bellhop_dialogue::ports::{
    Pending, Recognizer, RecognizerConfig, RecognizerEvent, RecognizerSink, RecognizerStream, ServiceFailure,
};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tracing::Instrument;

use super::{Heard, Hypothesis, LONG, Pocketsphinx, QUEUE_OF_CALL, UNDERSTOOD_WITHIN, UTTERANCE_MAX, sounding_frames};

/// Audio before the detected beginning that belongs to the utterance: 400 ms.
const PRE_ROLL: usize = 16_000 * 2 / 5;
/// An utterance with fewer sounding frames of 10 ms is a click, not worth a decoder.
const SOUNDING_MIN: usize = 10;
/// What sounds less since the last look is no word.
const SOUNDED_SINCE_MIN: usize = 5;

impl Recognizer for Pocketsphinx {
    fn sample_rate(&self, _: u32) -> u32 {
        16_000
    }

    fn open(
        &self,
        _: RecognizerConfig,
        sink: RecognizerSink,
    ) -> Pending<Result<Box<dyn RecognizerStream>, ServiceFailure>> {
        let stream: Box<dyn RecognizerStream> = Box::new(Stream {
            engine: self.clone(),
            sink: Arc::new(sink),
            phrases: None,
            recent: VecDeque::with_capacity(PRE_ROLL),
            utterance: None,
            early: None,
            decoding: JoinSet::new(),
        });
        Box::pin(async { Ok(stream) })
    }
}

struct Stream {
    engine: Pocketsphinx,
    sink: Arc<RecognizerSink>,
    phrases: Option<Arc<[String]>>,
    recent: VecDeque<i16>,
    utterance: Option<Vec<i16>>,
    /// What is made of the utterance in the pause that it is in.
    early: Option<Early>,
    /// Ends with the stream, and with it what waits for a decoder.
    decoding: JoinSet<()>,
}

/// An utterance that is decoded before it is known to be over.
struct Early {
    /// Tells whether it is; nobody waits for it once this is dropped.
    over: oneshot::Sender<()>,
    /// How many frames of it sounded.
    sounding: usize,
    /// The task.
    decoding: AbortHandle,
}

impl Stream {
    /// Whether another utterance of this call may be decoded.
    fn has_room(&mut self) -> bool {
        while self.decoding.try_join_next().is_some() {}
        self.decoding.len() < QUEUE_OF_CALL
    }

    fn decode(&self, samples: Vec<i16>) -> Result<Decoding, ServiceFailure> {
        self.engine.recognise(samples, self.phrases.clone()).map(Decoding)
    }

    fn give_up_early(&mut self) {
        self.early.take().into_iter().for_each(|early| early.decoding.abort());
    }
}

/// What a decoder has been asked.
struct Decoding(oneshot::Receiver<Option<Hypothesis>>);

impl Decoding {
    async fn told(self) -> Option<Hypothesis> {
        tokio::time::timeout(UNDERSTOOD_WITHIN, self.0).await.ok()?.ok()?
    }
}

fn result(hypothesis: Option<Hypothesis>) -> RecognizerEvent {
    match hypothesis.and_then(|hypothesis| hypothesis.whole) {
        Some(Heard { text, confidence }) => RecognizerEvent::FinalResult { text, confidence, result: None },
        None => RecognizerEvent::NotUnderstood,
    }
}

impl RecognizerStream for Stream {
    fn hear(&mut self, samples: &[i16]) {
        if let Some(utterance) = &mut self.utterance {
            let room = UTTERANCE_MAX.saturating_sub(utterance.len());
            utterance.extend(&samples[..room.min(samples.len())]);
            return;
        }
        let overflow = (self.recent.len() + samples.len()).saturating_sub(PRE_ROLL).min(self.recent.len());
        self.recent.drain(..overflow);
        self.recent.extend(samples);
    }

    fn utterance_began(&mut self) {
        self.give_up_early();
        // One that never ended, for nobody listened any more: its last is what was before this one.
        let before = self.utterance.take().map(|said| said[said.len().saturating_sub(PRE_ROLL)..].to_vec());
        self.utterance = Some(before.unwrap_or_else(|| self.recent.drain(..).collect()));
    }

    fn utterance_paused(&mut self) {
        // Dictation takes seconds, which nothing can stop: it is done once, at the end.
        let is_expected = self.phrases.as_ref().is_some_and(|phrases| !phrases.is_empty());
        let said = self.utterance.as_ref().filter(|said| is_expected && said.len() <= LONG);
        let Some(samples) = said.cloned() else { return self.give_up_early() };
        let sounding = sounding_frames(&samples);
        // More of the same silence says no more.
        if self.early.as_ref().is_some_and(|early| sounding < early.sounding + SOUNDED_SINCE_MIN) {
            return;
        }
        self.give_up_early();
        if sounding < SOUNDING_MIN || !self.has_room() {
            return;
        }
        let Ok(decoding) = self.decode(samples) else { return };
        let (sink, (over, mut is_over)) = (Arc::clone(&self.sink), oneshot::channel());
        let looked_at = async move {
            let hypothesis = decoding.told().await;
            // Another utterance may be in its pause by now: what was said so far is not said of that.
            if is_over.try_recv().is_ok() {
                return sink(result(hypothesis));
            }
            let so_far = hypothesis.as_ref().and_then(|hypothesis| hypothesis.so_far.as_ref());
            let words = so_far.map(|heard| (heard.text.clone(), heard.confidence));
            sink(RecognizerEvent::SoFar { words });
            if is_over.await.is_ok() {
                sink(result(hypothesis));
            }
        };
        let decoding = self.decoding.spawn(looked_at.in_current_span());
        self.early = Some(Early { over, sounding, decoding });
    }

    fn utterance_resumed(&mut self) {
        self.give_up_early();
    }

    fn utterance_ended(&mut self) {
        let said = self.utterance.take();
        if let Some(Early { over, .. }) = self.early.take() {
            // Nothing followed: it is what was made of it, or is being made.
            let _ = over.send(());
            return;
        }
        let Some(samples) = said.filter(|samples| sounding_frames(samples) >= SOUNDING_MIN) else {
            return (self.sink)(RecognizerEvent::NotUnderstood);
        };
        if !self.has_room() {
            return (self.sink)(RecognizerEvent::NotUnderstood);
        }
        let sink = Arc::clone(&self.sink);
        match self.decode(samples) {
            Err(_) => sink(RecognizerEvent::NotUnderstood),
            Ok(decoding) => {
                self.decoding.spawn(async move { sink(result(decoding.told().await)) }.in_current_span());
            }
        }
    }

    fn expect_phrases(&mut self, phrases: Option<Arc<[String]>>) {
        self.phrases = phrases;
    }
}
