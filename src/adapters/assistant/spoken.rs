//! Text that comes token by token, handed over in pieces that can be spoken.
//!
//! A sentence is handed over as soon as it is whole. While the caller hears nothing, a clause is enough, and words that have
//! waited for [`WORDS_WAIT_MAX`] go without one: a slow model is heard as soon as it says something. Invariant: the pieces in
//! order are the text; whoever waits for the reply is told of every token, though not more often than [`PROGRESS_EVERY`].

use std::time::Duration;

use bellhop_dialogue::ports::{Part, PartSink};
use bellhop_dialogue::sentences::Sentences;
use serde_json::{Value, json};
use tokio::time::Instant;

/// The longest that words wait for the rest of their sentence while the caller hears nothing.
pub(super) const WORDS_WAIT_MAX: Duration = Duration::from_millis(1500);
/// How often a sign of life is given at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// How long a character is heard, about.
const CHARACTER: Duration = Duration::from_millis(60);

/// The mouth of a stream.
pub(super) struct Spoken {
    parts: PartSink,
    /// What a piece is for the ear.
    plain: fn(&str) -> String,
    sentences: Sentences,
    /// When the first of the words came that wait.
    waiting_since: Option<Instant>,
    /// Until when the caller hears what was handed over, about.
    sounding_until: Option<Instant>,
    alive_at: Option<Instant>,
}

impl Spoken {
    pub(super) fn new(parts: PartSink, plain: fn(&str) -> String) -> Self {
        let sentences = Sentences::default();
        Self { parts, plain, sentences, waiting_since: None, sounding_until: None, alive_at: None }
    }

    /// The reply is being made.
    pub(super) fn alive(&mut self, now: Instant) {
        if self.alive_at.is_none_or(|at| now.saturating_duration_since(at) >= PROGRESS_EVERY) {
            self.alive_at = Some(now);
            (self.parts)(Part::Progress);
        }
    }

    /// More of the text.
    pub(super) fn hear(&mut self, now: Instant, text: &str) {
        let complete = self.sentences.push(text);
        if !complete.is_empty() {
            self.waiting_since = None;
        }
        complete.iter().for_each(|text| self.say(now, text));
        if self.sentences.is_waiting() {
            self.waiting_since.get_or_insert(now);
            if self.is_quiet(now)
                && let Some(clause) = self.sentences.clause()
            {
                self.say(now, &clause);
                self.waiting_since = self.sentences.is_waiting().then_some(now);
            }
        }
        self.alive(now);
    }

    fn is_quiet(&self, now: Instant) -> bool {
        self.sounding_until.is_none_or(|until| until <= now)
    }

    /// When what waits is handed over without its end.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waited = self.waiting_since? + WORDS_WAIT_MAX;
        Some(self.sounding_until.map_or(waited, |until| until.max(waited)))
    }

    /// The deadline has passed.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        if let Some(words) = self.sentences.clause().or_else(|| self.sentences.words()) {
            self.say(now, &words);
        }
        self.waiting_since = self.sentences.is_waiting().then_some(now);
    }

    /// The text is at its end.
    pub(super) fn finish(&mut self, now: Instant) {
        if let Some(rest) = self.sentences.finish() {
            self.say(now, &rest);
        }
        self.waiting_since = None;
    }

    /// What waits is not to be spoken after all.
    pub(super) fn forget(&mut self) {
        (self.sentences, self.waiting_since) = (Sentences::default(), None);
    }

    fn say(&mut self, now: Instant, text: &str) {
        let text = (self.plain)(text);
        if !text.chars().any(|c| c.is_alphanumeric()) {
            return;
        }
        let from = self.sounding_until.map_or(now, |until| until.max(now));
        self.sounding_until = Some(from + CHARACTER * text.chars().count() as u32);
        self.item(json!({"response_type": "text", "text": text}));
    }

    /// Hands over an item that is whole.
    pub(super) fn item(&self, item: Value) {
        (self.parts)(Part::Item(item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    struct Listener {
        spoken: Spoken,
        heard: Arc<Mutex<Vec<(u64, String)>>>,
        began: Instant,
        signs: Arc<Mutex<usize>>,
    }

    impl Listener {
        fn new() -> Self {
            let (heard, signs, began) = (Arc::default(), Arc::default(), Instant::now());
            let (sink, counted): (Arc<Mutex<Vec<_>>>, Arc<Mutex<usize>>) = (Arc::clone(&heard), Arc::clone(&signs));
            let parts: PartSink = Box::new(move |part| match part {
                Part::Item(item) => sink
                    .lock()
                    .expect("alone")
                    .push((began.elapsed().as_millis() as u64, item["text"].as_str().unwrap_or("?").to_owned())),
                Part::Progress => *counted.lock().expect("alone") += 1,
            });
            Self { spoken: Spoken::new(parts, |text| text.trim().to_owned()), heard, began, signs }
        }

        /// As a reader does it: until then, nothing comes.
        async fn until(&mut self, ms: u64) {
            let at = self.began + Duration::from_millis(ms);
            while let Some(hurry) = self.spoken.deadline().filter(|hurry| *hurry <= at) {
                tokio::time::sleep_until(hurry).await;
                self.spoken.hurry(hurry);
            }
            tokio::time::sleep_until(at).await;
        }

        async fn token(&mut self, ms: u64, text: &str) {
            self.until(ms).await;
            self.spoken.hear(Instant::now(), text);
        }

        fn took(&self) -> Vec<(u64, String)> {
            std::mem::take(&mut self.heard.lock().expect("alone"))
        }
    }

    /// `chat_completions.yaml`: a slow model whose tokens flow is alive.
    #[tokio::test(start_paused = true)]
    async fn the_first_words_are_heard_with_a_sentence_a_clause_or_after_a_second_and_a_half() {
        let mut listener = Listener::new();
        for (n, word) in ["On ", "Mondays ", "we ", "open ", "at ", "nine ", "and "].into_iter().enumerate() {
            listener.token(n as u64 * 300, word).await;
        }
        assert_eq!(listener.took(), [(1500, "On Mondays we open at".to_owned())]);
        listener.until(10_000).await;
        assert_eq!(listener.took().len(), 1, "and the rest when that has been heard");

        let mut listener = Listener::new();
        listener.token(100, "Well, if you like, we could meet").await;
        assert_eq!(listener.took(), [(100, "Well, if you like,".to_owned())]);

        let mut listener = Listener::new();
        listener.token(100, "That is a good question. And the answer, as far as I know, is").await;
        assert_eq!(listener.took(), [(100, "That is a good question.".to_owned())], "while that sounds there is time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_is_not_torn_and_nothing_is_lost() {
        let mut listener = Listener::new();
        listener.token(0, "Wed").await;
        listener.until(5000).await;
        assert!(listener.took().is_empty());
        listener.token(5100, "nesday it is").await;
        listener.until(8000).await;
        listener.spoken.finish(Instant::now());
        let words: Vec<String> = listener.took().into_iter().map(|(_, text)| text).collect();
        assert_eq!(words.join(" "), "Wednesday it is");
    }

    #[tokio::test(start_paused = true)]
    async fn every_token_is_a_sign_of_life_but_not_one_each() {
        let mut listener = Listener::new();
        for n in 0..100 {
            listener.until(n * 20).await;
            listener.spoken.alive(Instant::now());
        }
        assert_eq!(*listener.signs.lock().expect("alone"), 10);
    }
}
