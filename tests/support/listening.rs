//! A caller who speaks to a recognizer, and what it says it heard.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellhop_dialogue::ports::{Recognizer, RecognizerConfig, RecognizerEvent, RecognizerStream, ServiceFailure};
use serde_json::Value;

/// One call's stream.
pub struct Call {
    /// The stream.
    pub stream: Box<dyn RecognizerStream>,
    /// What was heard.
    pub heard: Arc<Mutex<Vec<RecognizerEvent>>>,
    frame: usize,
}

/// A configuration as an assistant gives it.
pub fn config(line_rate: u32, parameters: &Value) -> RecognizerConfig {
    RecognizerConfig { line_rate, parameters: parameters.as_object().cloned().unwrap_or_default() }
}

impl Call {
    /// Opens a stream on a line of so many samples per second.
    pub async fn open(recognizer: &dyn Recognizer, line_rate: u32) -> Result<Self, ServiceFailure> {
        let heard = Arc::new(Mutex::new(vec![]));
        let sink = Arc::clone(&heard);
        let sink = Box::new(move |what| sink.lock().expect("alone").push(what));
        let stream = recognizer.open(config(line_rate, &Value::Null), sink).await?;
        Ok(Self { stream, heard, frame: if line_rate > 8000 { 320 } else { 160 } })
    }

    /// An utterance of 600 ms and 600 ms of silence, as the voice activity detector would tell of it.
    pub fn speaks(&mut self) {
        self.stream.utterance_began();
        let frame = |level: i16| vec![level; self.frame];
        let (loud, quiet) = (frame(8000), frame(0));
        (0..30).for_each(|_| self.stream.hear(&loud));
        (0..30).for_each(|_| self.stream.hear(&quiet));
        self.stream.utterance_ended();
    }

    /// Waits until something was heard; what is asked about comes over real sockets.
    pub async fn hears(&self, wanted: impl Fn(&RecognizerEvent) -> bool) -> RecognizerEvent {
        let seen = async {
            loop {
                let found = self.heard.lock().expect("alone").iter().find(|heard| wanted(heard)).cloned();
                if let Some(found) = found {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("it is heard")
    }

    /// Waits until these words were heard.
    pub async fn hears_words(&self, words: &str) -> RecognizerEvent {
        self.hears(|heard| matches!(heard, RecognizerEvent::FinalResult { text, .. } if text == words)).await
    }
}
