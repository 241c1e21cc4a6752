//! Promises of a streaming session: no word lost, nothing unbounded, nobody waits for a service that is gone.

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

/// A service that takes connections and reads nothing.
struct Deaf;
struct Unread;

impl Service for Deaf {
    type Terms = ();
    type Connection = Unread;

    fn terms(&self, _: &RecognizerConfig) {}

    fn coding(&self, _: u32) -> Coding {
        Coding::MuLaw
    }

    async fn connect(&self, (): &()) -> Result<Unread, ServiceFailure> {
        Ok(Unread)
    }
}

impl Connection<Deaf> for Unread {
    async fn send_audio(&mut self, _: Bytes) -> Result<(), Broken> {
        std::future::pending().await
    }

    async fn next(&mut self) -> Event {
        std::future::pending().await
    }

    async fn change(&mut self, (): &(), (): &()) -> Result<Changed, Broken> {
        Ok(Changed::Here)
    }

    async fn close(&mut self) {}
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_read_is_lost_and_nobody_waits_for_it() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let sink: RecognizerSink = Box::new(move |what| drop(told.send(what)));
    let mut stream = open(Arc::new(Deaf), RecognizerConfig::default(), sink).await.expect("it connects");
    stream.hear(&[0; 160]);
    stream.utterance_ended();
    let within = tokio::time::timeout(2 * SEND_MAX, heard.recv()).await;
    assert!(matches!(within, Ok(Some(RecognizerEvent::Reconnecting { .. }))), "{within:?}");
    drop(stream);
    let end = tokio::time::timeout(4 * SEND_MAX, async { while heard.recv().await.is_some() {} }).await;
    assert!(end.is_ok(), "the session ends with its call");
}

/// A service whose connections misbehave.
#[derive(Clone)]
struct Fickle {
    how: How,
    connections: Arc<std::sync::atomic::AtomicU32>,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    Closes,
    Floods,
    HangsAfterTheFirst,
}

impl Service for Fickle {
    type Terms = ();
    type Connection = Self;

    fn terms(&self, _: &RecognizerConfig) {}

    fn coding(&self, _: u32) -> Coding {
        Coding::MuLaw
    }

    async fn connect(&self, (): &()) -> Result<Self, ServiceFailure> {
        let before = self.connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if self.how == How::HangsAfterTheFirst && before > 0 {
            std::future::pending::<()>().await;
        }
        Ok(self.clone())
    }
}

impl Connection<Fickle> for Fickle {
    async fn send_audio(&mut self, _: Bytes) -> Result<(), Broken> {
        Ok(())
    }

    async fn next(&mut self) -> Event {
        match self.how {
            How::Floods => Event::Results(vec![RecognizerEvent::InterimResult { text: "a".into(), stable: false }]),
            How::Closes | How::HangsAfterTheFirst => Event::Closed,
        }
    }

    async fn change(&mut self, (): &(), (): &()) -> Result<Changed, Broken> {
        Ok(Changed::Here)
    }

    async fn close(&mut self) {}
}

async fn listen(how: How) -> (Box<dyn RecognizerStream>, Fickle, mpsc::UnboundedReceiver<RecognizerEvent>) {
    let (told, heard) = mpsc::unbounded_channel();
    let service = Fickle { how, connections: Arc::default() };
    let sink: RecognizerSink = Box::new(move |what| drop(told.send(what)));
    let stream = open(Arc::new(service.clone()), RecognizerConfig::default(), sink).await.expect("it opens");
    (stream, service, heard)
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
        assert_eq!(service.connections.load(std::sync::atomic::Ordering::Relaxed), 1 + RECONNECTS);
        assert!(reports <= (REPORTS_PER_SECOND_MAX + 1) * (1 + RECONNECTS), "{reports} reports");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_while_its_service_hangs_waits_for_nothing() {
    let (stream, service, mut heard) = listen(How::HangsAfterTheFirst).await;
    assert!(matches!(heard.recv().await, Some(RecognizerEvent::Reconnecting { .. })));
    tokio::task::yield_now().await;
    assert_eq!(service.connections.load(std::sync::atomic::Ordering::Relaxed), 2);
    drop(stream);
    assert_eq!(heard.recv().await, None, "the session ends with its call");
}

/// A service that says what the test wants, and counts what it hears by each connection.
#[derive(Clone)]
struct Led {
    says: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>>,
    heard: Arc<std::sync::Mutex<Vec<usize>>>,
}

impl Service for Led {
    type Terms = ();
    type Connection = Self;

    fn terms(&self, _: &RecognizerConfig) {}

    fn coding(&self, _: u32) -> Coding {
        Coding::MuLaw
    }

    async fn connect(&self, (): &()) -> Result<Self, ServiceFailure> {
        self.heard.lock().expect("alone").push(0);
        Ok(self.clone())
    }
}

impl Connection<Led> for Led {
    async fn send_audio(&mut self, audio: Bytes) -> Result<(), Broken> {
        *self.heard.lock().expect("alone").last_mut().expect("it is connected") += audio.len();
        Ok(())
    }

    async fn next(&mut self) -> Event {
        self.says.lock().await.recv().await.unwrap_or(Event::Closed)
    }

    async fn change(&mut self, (): &(), (): &()) -> Result<Changed, Broken> {
        Ok(Changed::Here)
    }

    async fn close(&mut self) {}
}

/// Who never stops speaking has turns that end with a result and not before it: no other is awaited then.
#[tokio::test(start_paused = true)]
async fn what_has_its_result_is_not_told_again() {
    let (say, says) = mpsc::unbounded_channel();
    let service = Led { says: Arc::new(tokio::sync::Mutex::new(says)), heard: Arc::default() };
    let heard = Arc::clone(&service.heard);
    let mut stream = open(Arc::new(service), RecognizerConfig::default(), Box::new(|_| {})).await.expect("it connects");
    for _ in 0..3 {
        stream.utterance_began();
        for _ in 0..20 {
            (0..5).for_each(|_| stream.hear(&[0; 160]));
            tokio::time::sleep(PIECE).await;
        }
        let result = RecognizerEvent::FinalResult { text: "yes".into(), confidence: 1.0, result: None };
        say.send(Event::Results(vec![result])).expect("it is heard");
        tokio::time::sleep(PIECE).await;
        stream.utterance_ended();
        tokio::time::sleep(PIECE).await;
    }
    say.send(Event::Closed).expect("it is heard");
    tokio::time::sleep(PIECE).await;
    assert_eq!(*heard.lock().expect("alone"), [3 * 16_000, 4_000]);
}
