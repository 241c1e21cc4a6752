//! Promises of a streaming session: no word lost, nothing unbounded, nobody waits for a service that is gone.

use std::sync::{Mutex, MutexGuard};

use super::pace::REPORTS_PER_SECOND_MAX;
use super::*;

fn stream(piece_bytes: usize) -> (Stream, mpsc::Receiver<Order>) {
    let (orders, inbox) = mpsc::channel(ORDERS_MAX);
    (Stream::new(orders, Coding::MuLaw, piece_bytes, oneshot::channel().0), inbox)
}

#[test]
fn what_waits_for_the_session_is_bounded_and_orders_are_not_lost_for_audio() {
    let (mut stream, mut inbox) = stream(160);
    (0..2 * ORDERS_MAX).for_each(|_| stream.hear(&[0; 160]));
    stream.utterance_ended();
    let waiting: Vec<Order> = std::iter::from_fn(|| inbox.try_recv().ok()).collect();
    assert_eq!(waiting.len(), ORDERS_MAX - ORDERS_RESERVED + 1);
    assert!(matches!(waiting.last(), Some(Order::UtteranceEnded)));
}

#[test]
fn audio_goes_out_in_pieces_and_the_end_of_an_utterance_at_once() {
    let (mut stream, mut inbox) = stream(Coding::MuLaw.bytes(8000, PIECE));
    (0..7).for_each(|_| stream.hear(&[0; 160]));
    stream.utterance_ended();
    stream.hear(&[0; 160]);
    let sizes = std::iter::from_fn(|| match inbox.try_recv().ok()? {
        Order::Audio(piece) => Some(piece.len()),
        _ => Some(0),
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [800, 320, 0]);
}

#[test]
fn nothing_is_allocated_for_a_frame_but_with_the_last_of_a_piece() {
    let (mut stream, _inbox) = stream(800);
    let four = || (0..4).for_each(|_| stream.hear(&[0; 160]));
    assert_eq!(allocation_counter::measure(four).count_total, 0);
}

/// A service, by how its connections behave.
#[derive(Clone)]
struct Fickle {
    how: How,
    /// Bytes of audio that each connection heard.
    heard: Arc<Mutex<Vec<usize>>>,
}

#[derive(Clone)]
enum How {
    Closes,
    Floods,
    HangsAfterTheFirst,
    ReadsNothing,
    Says(Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>>),
}

impl Fickle {
    fn heard(&self) -> MutexGuard<'_, Vec<usize>> {
        self.heard.lock().expect("alone")
    }
}

impl Service for Fickle {
    type Terms = ();
    type Connection = Self;

    fn terms(&self, _: &RecognizerConfig) {}

    fn coding(&self, _: u32) -> Coding {
        Coding::MuLaw
    }

    async fn connect(&self, (): &()) -> Result<Self, ServiceFailure> {
        self.heard().push(0);
        if matches!(self.how, How::HangsAfterTheFirst) && self.heard().len() > 1 {
            std::future::pending::<()>().await;
        }
        Ok(self.clone())
    }
}

impl Connection<Fickle> for Fickle {
    async fn send_audio(&mut self, audio: Bytes) -> Result<(), Broken> {
        if matches!(self.how, How::ReadsNothing) {
            std::future::pending::<()>().await;
        }
        *self.heard().last_mut().expect("it is connected") += audio.len();
        Ok(())
    }

    async fn next(&mut self) -> Event {
        match &self.how {
            How::Floods => Event::Results(vec![interim("a")]),
            How::Closes | How::HangsAfterTheFirst => Event::Closed,
            How::ReadsNothing => std::future::pending().await,
            How::Says(says) => says.lock().await.recv().await.unwrap_or(Event::Closed),
        }
    }

    async fn change(&mut self, (): &(), (): &()) -> Result<Changed, Broken> {
        Ok(Changed::Here)
    }

    async fn close(&mut self) {}
}

async fn listen(how: How) -> (Box<dyn RecognizerStream>, Fickle, mpsc::UnboundedReceiver<RecognizerEvent>) {
    let (told, heard) = mpsc::unbounded_channel();
    let service = Fickle { how, heard: Arc::default() };
    let sink: RecognizerSink = Box::new(move |what| drop(told.send(what)));
    let stream = open(Arc::new(service.clone()), RecognizerConfig::default(), sink).await.expect("it opens");
    (stream, service, heard)
}

fn interim(text: &str) -> RecognizerEvent {
    RecognizerEvent::InterimResult { text: text.into(), stable: false }
}

fn result(text: &str) -> RecognizerEvent {
    RecognizerEvent::FinalResult { text: text.into(), confidence: 1.0, result: None }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_read_is_lost_and_nobody_waits_for_it() {
    let (mut stream, _service, mut heard) = listen(How::ReadsNothing).await;
    stream.hear(&[0; 160]);
    stream.utterance_ended();
    let within = tokio::time::timeout(2 * SEND_MAX, heard.recv()).await;
    assert!(matches!(within, Ok(Some(RecognizerEvent::Reconnecting { .. }))), "{within:?}");
    drop(stream);
    let end = tokio::time::timeout(4 * SEND_MAX, async { while heard.recv().await.is_some() {} }).await;
    assert!(end.is_ok(), "the session ends with its call");
}

#[tokio::test(start_paused = true)]
async fn connections_that_do_not_last_or_flood_are_not_opened_for_ever() {
    for how in [How::Closes, How::Floods] {
        let (_stream, service, mut heard) = listen(how).await;
        let began = Instant::now();
        let mut reports = 0;
        while !matches!(heard.recv().await.expect("it is lost in the end"), RecognizerEvent::Lost(_)) {
            reports += 1;
        }
        assert!(began.elapsed() >= PAUSE, "with a pause in between");
        assert_eq!(service.heard().len(), 1 + RECONNECTS as usize);
        assert!(reports <= (REPORTS_PER_SECOND_MAX + 1) * (1 + RECONNECTS), "{reports} reports");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_while_its_service_hangs_waits_for_nothing() {
    let (stream, service, mut heard) = listen(How::HangsAfterTheFirst).await;
    assert!(matches!(heard.recv().await, Some(RecognizerEvent::Reconnecting { .. })));
    tokio::task::yield_now().await;
    assert_eq!(service.heard().len(), 2);
    drop(stream);
    assert_eq!(heard.recv().await, None, "the session ends with its call");
}

/// A caller, and what a service says when it is told to.
struct Conversation {
    stream: Box<dyn RecognizerStream>,
    service: Fickle,
    say: mpsc::UnboundedSender<Event>,
}

impl Conversation {
    async fn begin() -> Self {
        let (say, says) = mpsc::unbounded_channel();
        let (stream, service, _) = listen(How::Says(Arc::new(tokio::sync::Mutex::new(says)))).await;
        Self { stream, service, say }
    }

    async fn speak(&mut self, seconds: u32) {
        for _ in 0..10 * seconds {
            (0..5).for_each(|_| self.stream.hear(&[0; 160]));
            tokio::time::sleep(PIECE).await;
        }
    }

    async fn hear(&self, event: Event) {
        self.say.send(event).expect("it is heard");
        tokio::time::sleep(PIECE).await;
    }
}

/// Who never stops speaking has turns that end with a result and not before it: no other is awaited then.
#[tokio::test(start_paused = true)]
async fn what_has_its_result_is_not_told_again() {
    let mut call = Conversation::begin().await;
    for _ in 0..3 {
        call.stream.utterance_began();
        call.speak(2).await;
        call.hear(Event::Results(vec![result("yes")])).await;
        call.stream.utterance_ended();
        tokio::time::sleep(PIECE).await;
    }
    call.hear(Event::Closed).await;
    assert_eq!(*call.service.heard(), [3 * 16_000, 4_000]);
}

/// A service gave the words before a pause, and then those behind it while the caller said the next.
#[tokio::test(start_paused = true)]
async fn the_second_result_of_an_utterance_is_not_the_next_ones() {
    let mut call = Conversation::begin().await;
    call.stream.utterance_began();
    call.speak(2).await;
    call.hear(Event::Results(vec![result("to Boston")])).await;
    call.hear(Event::Results(vec![interim("and")])).await;
    call.speak(1).await;
    call.stream.utterance_ended();
    call.stream.utterance_began();
    call.speak(1).await;
    call.hear(Event::Results(vec![result("and back")])).await;
    call.hear(Event::Closed).await;
    assert_eq!(*call.service.heard(), [4 * 8_000, 8_000 + 4_000]);
}

/// What is heard behind the words of an utterance, and turns out to be none, leaves no result awaited.
#[tokio::test(start_paused = true)]
async fn what_has_no_words_is_not_awaited_for_ever() {
    let mut call = Conversation::begin().await;
    call.stream.utterance_began();
    call.speak(2).await;
    call.hear(Event::Results(vec![result("to Boston"), interim("")])).await;
    call.stream.utterance_ended();
    tokio::time::sleep(PIECE).await;
    call.hear(Event::Results(vec![RecognizerEvent::NotUnderstood])).await;
    call.stream.utterance_began();
    call.speak(1).await;
    call.hear(Event::Results(vec![result("and back")])).await;
    call.hear(Event::Closed).await;
    assert_eq!(*call.service.heard(), [3 * 8_000, 4_000]);
}

/// A cough gets no result: once nothing of it is told again, it does not take that of the next utterance.
#[tokio::test(start_paused = true)]
async fn what_gets_no_result_takes_nobody_elses_for_ever() {
    let mut call = Conversation::begin().await;
    call.stream.utterance_began();
    call.speak(1).await;
    call.stream.utterance_ended();
    call.speak(15).await;
    call.stream.utterance_began();
    call.speak(2).await;
    call.hear(Event::Results(vec![result("yes")])).await;
    call.hear(Event::Closed).await;
    assert_eq!(*call.service.heard(), [18 * 8_000, 4_000]);
}

/// A connection is lost and the next one takes its time: the result it gives is not that of what is said by then.
#[tokio::test(start_paused = true)]
async fn a_result_that_comes_late_by_another_connection_takes_no_words() {
    let mut call = Conversation::begin().await;
    call.stream.utterance_began();
    call.speak(2).await;
    call.stream.utterance_ended();
    tokio::time::sleep(PIECE).await;
    call.hear(Event::Closed).await;
    call.speak(6).await;
    call.stream.utterance_began();
    call.speak(1).await;
    call.hear(Event::Results(vec![result("to Boston")])).await;
    call.hear(Event::Closed).await;
    let heard = call.service.heard().clone();
    assert_eq!(heard, [2 * 8_000, 9 * 8_000, 8_000 + 4_000]);
}
