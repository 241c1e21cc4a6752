//! Who listens, whoever fails.

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
    let services: Vec<(_, Arc<dyn Recognizer>)> = vec![("a", Arc::new(first.clone())), ("b", Arc::new(second.clone()))];
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
