//! Services in order of preference: the next takes over when one fails, is slow, or has failed too often of late.
//!
//! An assistant that cannot answer now and may soon (it restarts, its limit is reached: [`ServiceFailure::NotNow`]) is asked
//! again after a pause that grows, is drawn by lot, and is not shorter than its `Retry-After`: once if another could answer,
//! else for as long as the turn loop waits. The turn loop's second try begins with the next one, without pauses. Invariant:
//! but for that, a request is tried at most once with each service; what a caller has heard a part of is not asked for again;
//! a recognizer that is lost in mid-call is replaced without losing audio, as long as no more than [`SWITCH_AUDIO_MAX`]
//! waits.

mod breaker;
mod pauses;
mod recognizers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellhop_dialogue::ports::{
    Assistant, AudioSink, Part, PartSink, Pending, ServiceFailure, Speech, SpeechRequest, Synthesizer, TurnReply,
    TurnRequest,
};
use serde_json::Value;
use tokio::time::Instant;

use breaker::Breaker;
use pauses::Pauses;
pub use recognizers::SWITCH_AUDIO_MAX;

/// A synthesizer that takes longer is given up for the next one.
pub(crate) const SLOW: Duration = Duration::from_secs(4);

/// Hears of every switch: from which service to which.
pub type OnSwitch = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Services of one kind in order of preference.
pub struct InOrder<T: ?Sized> {
    services: Arc<[Ranked<T>]>,
    on_switch: OnSwitch,
}

struct Ranked<T: ?Sized> {
    name: &'static str,
    service: Arc<T>,
    breaker: Breaker,
}

impl<T: ?Sized> Clone for InOrder<T> {
    fn clone(&self) -> Self {
        Self { services: Arc::clone(&self.services), on_switch: Arc::clone(&self.on_switch) }
    }
}

impl<T: ?Sized> InOrder<T> {
    /// The services with their names for logs and metrics, the preferred one first.
    pub fn new(services: Vec<(&'static str, Arc<T>)>, on_switch: OnSwitch) -> Self {
        let ranked = |(name, service)| Ranked { name, service, breaker: Breaker::default() };
        Self { services: services.into_iter().map(ranked).collect(), on_switch }
    }

    /// Every service by name, and whether it is left alone for its failures.
    pub fn at_rest(&self) -> Vec<(&'static str, bool)> {
        self.services.iter().map(|ranked| (ranked.name, ranked.breaker.rests())).collect()
    }

    /// Those that may be tried now, each with its rank. With all of them at rest there is none.
    fn usable(&self) -> impl Iterator<Item = (usize, &Ranked<T>)> {
        self.services.iter().enumerate().filter(|(_, ranked)| ranked.breaker.lets_through())
    }

    fn tell_switch(&self, from: usize, to: usize) {
        if let (Some(from), Some(to)) = (self.services.get(from), self.services.get(to)) {
            (self.on_switch)(from.name, to.name);
        }
    }
}

/// Whether a service is well: one of ours that has too much to do is, and is asked again by the next.
fn is_well<T>(result: &Result<T, ServiceFailure>) -> bool {
    matches!(result, Ok(_) | Err(ServiceFailure::Overloaded))
}

/// All services rest after too many failures.
fn at_rest() -> ServiceFailure {
    ServiceFailure::Unavailable { why: "it has failed too often of late and is not asked for a moment".to_owned() }
}

impl Synthesizer for InOrder<dyn Synthesizer> {
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
        self.stream(request, Box::new(|_, _| {}))
    }

    fn stream(&self, request: SpeechRequest, audio: AudioSink) -> Pending<Result<Speech, ServiceFailure>> {
        let (this, audio) = (self.clone(), Arc::new(audio));
        Box::pin(async move {
            let mut last = (0, at_rest());
            for (rank, ranked) in this.usable() {
                if rank > 0 {
                    this.tell_switch(last.0, rank);
                }
                let (spoke, audio) = (Arc::new(AtomicBool::new(false)), Arc::clone(&audio));
                let told = Arc::clone(&spoke);
                let sink: AudioSink = Box::new(move |samples, rate| {
                    told.store(true, Ordering::Release);
                    audio(samples, rate);
                });
                let mut work = ranked.service.stream(request.clone(), sink);
                let result = match tokio::time::timeout(SLOW, &mut work).await {
                    Ok(result) => result,
                    // It has begun in time; for the rest the service has a deadline of its own.
                    Err(_) if spoke.load(Ordering::Acquire) => work.await,
                    Err(_) => Err(ServiceFailure::Overdue),
                };
                ranked.breaker.note(is_well(&result));
                match result {
                    Ok(mut speech) => {
                        (speech.origin.service, speech.origin.stands_in) = (ranked.name, rank > 0);
                        return Ok(speech);
                    }
                    Err(failure) if spoke.load(Ordering::Acquire) => return Err(failure),
                    Err(failure) => last = (rank, failure),
                }
            }
            Err(last.1)
        })
    }
}

impl InOrder<dyn Assistant> {
    /// One service's part of a turn: asked again after a pause while it says that it may be back soon. `others` still wait
    /// for their turn.
    async fn turn_with(
        &self,
        ranked: &Ranked<dyn Assistant>,
        request: &TurnRequest,
        others: bool,
        until: Instant,
        parts: &Arc<PartSink>,
    ) -> (Result<TurnReply, ServiceFailure>, bool) {
        let mut pauses = Pauses::new(match (request.attempt, others) {
            (1, false) => u32::MAX,
            (1, true) => 1,
            _ => 0,
        });
        loop {
            let (lives, spoke) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let (told, heard, parts) = (Arc::clone(&lives), Arc::clone(&spoke), Arc::clone(parts));
            let sink: PartSink = Box::new(move |part| {
                told.store(true, Ordering::Release);
                if matches!(part, Part::Item(_)) {
                    heard.store(true, Ordering::Release);
                }
                parts(part);
            });
            let mut work = ranked.service.turn(request.clone(), sink);
            let result = match tokio::time::timeout_at(until, &mut work).await {
                Ok(result) => result,
                Err(_) => {
                    // The turn loop asks once more by now; this answer may still come.
                    if !lives.load(Ordering::Acquire) {
                        ranked.breaker.note(false);
                    }
                    work.await
                }
            };
            let spoke = spoke.load(Ordering::Acquire);
            let pause = result.as_ref().err().filter(|_| !spoke);
            match pause.and_then(|failure| pauses.before_next(failure, until - Instant::now())) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return (result, spoke),
            }
        }
    }
}

impl Assistant for InOrder<dyn Assistant> {
    fn turn(&self, request: TurnRequest, parts: PartSink) -> Pending<Result<TurnReply, ServiceFailure>> {
        let (this, parts) = (self.clone(), Arc::new(parts));
        Box::pin(async move {
            let until = Instant::now() + request.patience;
            let mut last = (0, at_rest());
            let mut order: Vec<usize> = (0..this.services.len()).collect();
            if request.attempt > 1 && !order.is_empty() {
                order.rotate_left(1); // who did not answer in time is not the first to be asked again
            }
            for (n, rank) in order.iter().copied().enumerate() {
                let ranked = &this.services[rank];
                if !ranked.breaker.lets_through() {
                    continue;
                }
                if rank > 0 {
                    this.tell_switch(last.0, rank);
                }
                let (result, spoke) = this.turn_with(ranked, &request, n + 1 < order.len(), until, &parts).await;
                ranked.breaker.note(is_well(&result));
                match result {
                    Ok(mut reply) => {
                        (reply.origin.service, reply.origin.stands_in) = (ranked.name, rank > 0);
                        return Ok(reply);
                    }
                    Err(failure) if spoke || Instant::now() >= until => return Err(failure),
                    Err(failure) => last = (rank, failure),
                }
            }
            Err(last.1)
        })
    }

    fn ended(&self, context: Value) -> Pending<()> {
        let over: Vec<_> = self.services.iter().map(|ranked| ranked.service.ended(context.clone())).collect();
        Box::pin(async move {
            for one in over {
                one.await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellhop_dialogue::ports::TurnInput;
    use serde_json::json;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;

    type Does = fn() -> Pending<Result<Speech, ServiceFailure>>;

    /// Fails, speaks, or takes for ever.
    struct Voice {
        asked: AtomicUsize,
        does: Does,
    }

    impl Synthesizer for Voice {
        fn synthesize(&self, _: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            (self.does)()
        }
    }

    fn speech() -> Pending<Result<Speech, ServiceFailure>> {
        Box::pin(async { Ok(Speech::new([1], 8000)) })
    }

    fn failure() -> Pending<Result<Speech, ServiceFailure>> {
        Box::pin(async { Err(ServiceFailure::Unavailable { why: "as told".into() }) })
    }

    fn busy() -> Pending<Result<Speech, ServiceFailure>> {
        Box::pin(async { Err(ServiceFailure::Overloaded) })
    }

    type Switches = Arc<Mutex<Vec<String>>>;

    fn in_order(does: [Does; 2]) -> (InOrder<dyn Synthesizer>, [Arc<Voice>; 2], Switches) {
        let voices = does.map(|does| Arc::new(Voice { asked: AtomicUsize::new(0), does }));
        let switches = Switches::default();
        let told = Arc::clone(&switches);
        let services = ["first", "second"]
            .into_iter()
            .zip(voices.clone())
            .map(|(name, voice)| (name, voice as Arc<dyn Synthesizer>));
        let on_switch: OnSwitch = Arc::new(move |from, to| told.lock().expect("alone").push(format!("{from}>{to}")));
        (InOrder::new(services.collect(), on_switch), voices, switches)
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_speaks_when_the_first_fails_or_is_slow() {
        let never: Does = || Box::pin(std::future::pending());
        for does in [failure, never] {
            let (voices, _, switches) = in_order([does, speech]);
            let speech = voices.synthesize(SpeechRequest::plain("a", 8000)).await.expect("the second speaks");
            assert_eq!((speech.origin.service, speech.origin.stands_in), ("second", true));
            assert_eq!(*switches.lock().expect("alone"), ["first>second"]);
        }
        let (voices, _, switches) = in_order([speech, speech]);
        assert!(voices.synthesize(SpeechRequest::plain("a", 8000)).await.is_ok());
        assert!(switches.lock().expect("alone").is_empty());
        let (voices, ..) = in_order([failure, failure]);
        assert!(voices.synthesize(SpeechRequest::plain("a", 8000)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_too_often_is_left_alone_for_a_moment() {
        let (voices, [first, _], _) = in_order([failure, speech]);
        for _ in 0..20 {
            voices.synthesize(SpeechRequest::plain("a", 8000)).await.expect("the second speaks");
        }
        assert_eq!(first.asked.load(Ordering::Relaxed), breaker::FAILURES as usize);
        tokio::time::sleep(breaker::REST).await;
        for _ in 0..3 {
            voices.synthesize(SpeechRequest::plain("a", 8000)).await.expect("the second speaks");
        }
        assert_eq!(first.asked.load(Ordering::Relaxed), breaker::FAILURES as usize + 1, "one try, then rest again");
        let (voices, [first, _], _) = in_order([busy, speech]);
        for _ in 0..20 {
            voices.synthesize(SpeechRequest::plain("a", 8000)).await.expect("the second speaks");
        }
        assert_eq!(first.asked.load(Ordering::Relaxed), 20, "who is only busy is not left alone");
    }

    struct Brain(&'static str, bool);

    impl Assistant for Brain {
        fn turn(&self, _: TurnRequest, parts: PartSink) -> Pending<Result<TurnReply, ServiceFailure>> {
            if self.1 {
                parts(Part::Item(json!({"response_type": "text", "text": "half"})));
            }
            let reply = match self.0 {
                "fails" => Err(ServiceFailure::Overloaded),
                name => Ok(TurnReply { context: json!(name), ..TurnReply::default() }),
            };
            Box::pin(async { reply })
        }
    }

    /// Cannot answer for so long; then it does.
    struct Restarts {
        back: Instant,
        retry_after: Option<Duration>,
        asked: AtomicUsize,
    }

    impl Restarts {
        fn after(back: Duration, retry_after: Option<Duration>) -> Arc<Self> {
            Arc::new(Self { back: Instant::now() + back, retry_after, asked: AtomicUsize::new(0) })
        }
    }

    impl Assistant for Restarts {
        fn turn(&self, _: TurnRequest, _: PartSink) -> Pending<Result<TurnReply, ServiceFailure>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let failure = ServiceFailure::NotNow { why: "as told".into(), retry_after: self.retry_after };
            let reply = if Instant::now() >= self.back { Ok(TurnReply::default()) } else { Err(failure) };
            Box::pin(async { reply })
        }
    }

    fn start() -> TurnRequest {
        TurnRequest::new(0, TurnInput::Start, Value::Null)
    }

    fn assistants(services: Vec<Arc<dyn Assistant>>) -> InOrder<dyn Assistant> {
        InOrder::new(services.into_iter().map(|service| ("any", service)).collect(), Arc::new(|_, _| {}))
    }

    /// `replies.yaml`: an assistant that restarts.
    #[tokio::test(start_paused = true)]
    async fn an_assistant_that_restarts_is_waited_for_with_pauses() {
        for _ in 0..20 {
            let began = Instant::now();
            let restarts = Restarts::after(Duration::from_millis(800), None);
            let brains = assistants(vec![restarts.clone()]);
            brains.turn(start(), Box::new(|_| {})).await.expect("it is back");
            let (tries, took) = (restarts.asked.load(Ordering::Relaxed), began.elapsed());
            assert!((2..=7).contains(&tries) && took < Duration::from_secs(3), "{tries} tries in {took:?}");
        }
        let began = Instant::now();
        let brains = assistants(vec![Restarts::after(Duration::from_secs(60), None)]);
        assert!(brains.turn(start(), Box::new(|_| {})).await.is_err());
        assert!(began.elapsed() < Duration::from_secs(5), "inside the assistant's timeout");
        let began = Instant::now();
        let second = TurnRequest { attempt: 2, ..start() };
        assert!(brains.turn(second, Box::new(|_| {})).await.is_err());
        assert_eq!(began.elapsed(), Duration::ZERO, "the second try of a turn does not wait again");
    }

    #[tokio::test(start_paused = true)]
    async fn the_wish_of_when_to_be_asked_again_is_heeded() {
        let began = Instant::now();
        let restarts = Restarts::after(Duration::from_secs(2), Some(Duration::from_secs(2)));
        assistants(vec![restarts.clone()]).turn(start(), Box::new(|_| {})).await.expect("it is back");
        assert!(began.elapsed() >= Duration::from_secs(2) && restarts.asked.load(Ordering::Relaxed) == 2);
        // A wish beyond the caller's patience: another answers at once, or nobody.
        let began = Instant::now();
        let far: Arc<dyn Assistant> = Restarts::after(Duration::from_secs(90), Some(Duration::from_secs(60)));
        assert!(assistants(vec![far.clone()]).turn(start(), Box::new(|_| {})).await.is_err());
        let reply = assistants(vec![far, Arc::new(Brain("second", false))]).turn(start(), Box::new(|_| {})).await;
        assert_eq!((reply.expect("another").context, began.elapsed()), (json!("second"), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn who_could_not_answer_is_asked_once_more_and_then_the_next() {
        let restarts = Restarts::after(Duration::from_secs(60), None);
        let brains = assistants(vec![restarts.clone(), Arc::new(Brain("second", false))]);
        let reply = brains.turn(start(), Box::new(|_| {})).await.expect("another answers");
        assert_eq!((reply.context, restarts.asked.load(Ordering::Relaxed)), (json!("second"), 2));
    }

    struct Silent;

    impl Assistant for Silent {
        fn turn(&self, _: TurnRequest, _: PartSink) -> Pending<Result<TurnReply, ServiceFailure>> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_try_of_a_turn_begins_with_the_next() {
        let brains = assistants(vec![Arc::new(Silent), Arc::new(Brain("second", false))]);
        let second = TurnRequest { attempt: 2, ..start() };
        let reply = brains.turn(second, Box::new(|_| {})).await.expect("another answers");
        assert_eq!((reply.context, reply.origin.stands_in), (json!("second"), true));
        for _ in 0..breaker::FAILURES {
            let first = brains.turn(start(), Box::new(|_| {}));
            assert!(tokio::time::timeout(Duration::from_secs(6), first).await.is_err());
        }
        assert!(brains.turn(start(), Box::new(|_| {})).await.is_ok(), "who never answers in time is left alone");
    }

    #[tokio::test]
    async fn another_assistant_answers_unless_half_an_answer_was_heard() {
        for (speaks, expected) in [(false, Some(json!("second"))), (true, None)] {
            let services: Vec<(_, Arc<dyn Assistant>)> =
                vec![("a", Arc::new(Brain("fails", speaks))), ("b", Arc::new(Brain("second", false)))];
            let brains = InOrder::new(services, Arc::new(|_, _| {}));
            let request = TurnRequest::new(0, TurnInput::Start, Value::Null);
            let reply = brains.turn(request, Box::new(|_| {})).await;
            assert_eq!(reply.ok().map(|reply| reply.context), expected);
        }
    }
}
