//! What a tenant says often is made before the first call asks for it: its greeting, and what a script says whatever happens.
//!
//! Invariant: one text of a tenant at a time, and no more than [`TEXTS_MAX`] and [`CHARACTERS_MAX`] each time that its services are opened; it
//! ends when they are replaced, or when the synthesizer gives nothing. What is made is kept where every text is (`text_to_speech/cache.rs`), so
//! that one that is there already costs nothing.

use std::sync::{Arc, Weak};

use bellhop_dialogue::ports::{Companding, SpeechRequest, Synthesizer};
use bellhop_dialogue::speakable;

/// Most texts that are made for a tenant.
const TEXTS_MAX: usize = 200;
/// Most characters of all of them: services are paid by them.
const CHARACTERS_MAX: usize = 20_000;
/// Samples per second of a telephone line.
const RATE: u32 = 8000;

/// Has texts spoken as long as the synthesizer is anybody's, in the form that lines of [`RATE`] play.
pub(super) fn begin(texts: Vec<String>, synthesizer: &Arc<dyn Synthesizer>, companding: Option<Companding>) {
    if !texts.is_empty() {
        actix_rt::spawn(make(texts, Arc::downgrade(synthesizer), companding));
    }
}

async fn make(texts: Vec<String>, synthesizer: Weak<dyn Synthesizer>, companding: Option<Companding>) {
    let mut characters = 0;
    let within = |part: &String| {
        characters += part.chars().count();
        characters <= CHARACTERS_MAX
    };
    // In the parts that a call asks for.
    let parts = texts.iter().flat_map(|text| speakable::cut(text)).take(TEXTS_MAX).take_while(within);
    for part in parts {
        let Some(synthesizer) = synthesizer.upgrade() else { return };
        let made = synthesizer.synthesize(SpeechRequest { companding, ..SpeechRequest::plain(part, RATE) });
        drop(synthesizer);
        if let Err(failure) = made.await {
            tracing::debug!(%failure, "what is said often is made when a call asks for it");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bellhop_dialogue::ports::{AudioSink, Pending, ServiceFailure, Speech};

    use super::*;

    /// Notes what it is asked, and gives silence, so often.
    struct Voice(Mutex<Vec<String>>, usize);

    impl Synthesizer for Voice {
        fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
            let mut asked = self.0.lock().expect("no panic");
            asked.push(request.text);
            let made = (asked.len() <= self.1).then(|| Speech::new(vec![0; 160], request.line_rate));
            Box::pin(std::future::ready(made.ok_or(ServiceFailure::Overloaded)))
        }

        fn stream(&self, request: SpeechRequest, _: AudioSink) -> Pending<Result<Speech, ServiceFailure>> {
            self.synthesize(request)
        }
    }

    async fn asked(texts: Vec<String>, gives: usize) -> Vec<String> {
        let voice = Arc::new(Voice(Mutex::default(), gives));
        let synthesizer: Arc<dyn Synthesizer> = Arc::clone(&voice) as _;
        make(texts, Arc::downgrade(&synthesizer), None).await;
        voice.0.lock().expect("no panic").clone()
    }

    #[actix_rt::test]
    async fn what_is_said_often_is_made_within_its_bounds() {
        let greeting = || vec!["Welcome.".to_owned(), "Goodbye.".to_owned()];
        assert_eq!(asked(greeting(), 9).await, ["Welcome.", "Goodbye."]);
        assert_eq!(asked(greeting(), 0).await, ["Welcome."], "a service that has no time is left alone");
        assert_eq!(asked(vec!["Again.".to_owned(); 300], 900).await.len(), TEXTS_MAX);
        let long = asked(vec!["word ".repeat(10_000)], 900).await;
        assert!(long.iter().map(|part| part.chars().count()).sum::<usize>() <= CHARACTERS_MAX, "{}", long.len());
    }

    #[actix_rt::test]
    async fn what_was_replaced_is_asked_for_nothing() {
        let synthesizer: Weak<dyn Synthesizer> = Weak::<Voice>::new();
        make(vec!["Welcome.".to_owned()], synthesizer, None).await;
    }
}
