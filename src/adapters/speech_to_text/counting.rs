//! A recognizer that understands nothing and counts everything: for load tests, where what counts is that every sample
//! arrives.
//!
//! Invariant: it never reports an utterance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bellhop_dialogue::ports::{
    Pending, Recognizer, RecognizerConfig, RecognizerSink, RecognizerStream, ServiceFailure,
};

/// The recognizer; its count covers all streams.
#[derive(Debug, Clone, Default)]
pub struct Counting {
    samples: Arc<AtomicU64>,
}

impl Counting {
    /// Samples counted so far, at the rate of their lines.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }
}

impl Recognizer for Counting {
    // As services take it: nothing is resampled.
    fn sample_rate(&self, line_rate: u32) -> u32 {
        line_rate
    }

    fn open(
        &self,
        _: RecognizerConfig,
        _: RecognizerSink,
    ) -> Pending<Result<Box<dyn RecognizerStream>, ServiceFailure>> {
        let stream: Box<dyn RecognizerStream> = Box::new(self.clone());
        Box::pin(async { Ok(stream) })
    }
}

impl RecognizerStream for Counting {
    fn hear(&mut self, samples: &[i16]) {
        self.samples.fetch_add(samples.len() as u64, Ordering::Relaxed);
    }

    fn utterance_began(&mut self) {}

    fn utterance_ended(&mut self) {}

    fn expect_phrases(&mut self, _: Option<Arc<[String]>>) {}
}
