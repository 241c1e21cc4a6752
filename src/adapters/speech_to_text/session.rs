//! One call's conversation with a streaming recognizer, whatever its protocol: audio out, results in, terms changed between
//! two utterances, and a lost connection opened again.
//!
//! Audio goes out in pieces of [`PIECE`], and what there is of one when an utterance begins, pauses or ends. Invariant: every sample of
//! an utterance that has no result yet reaches some connection, in order, as long as no more than [`BACKLOG_MAX`] is waiting; a
//! lost connection is opened again up to [`RECONNECTS`] times in a row before the recognizer is lost. A service that does not
//! read for [`SEND_MAX`] is lost: no call, and no task of one, waits for it longer.

mod awaiting;
mod backlog;
mod coding;
mod pace;

use std::sync::Arc;
use std::time::Duration;

use bellhop_dialogue::ports::{RecognizerConfig, RecognizerEvent, RecognizerSink, RecognizerStream, ServiceFailure};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::task;
use awaiting::{Awaiting, Told};
use backlog::Backlog;

pub use backlog::BACKLOG_MAX;
pub use coding::Coding;
use pace::Pace;

/// Tries to connect again in a row.
pub const RECONNECTS: u32 = 4;
/// A connection that lasted so long, or gave the words of an utterance, was a good one: those that do not are counted too.
pub(crate) const STEADY: Duration = Duration::from_secs(10);
/// The pause before the first of them but one; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// Audio that is sent at once: a message and a record of TLS for each frame cost more than what is in them.
pub const PIECE: Duration = Duration::from_millis(100);
/// Without audio for so long, silence is sent: services end sessions that starve.
const STARVING: Duration = Duration::from_secs(1);
/// The longest a service may take to read what it is sent.
pub const SEND_MAX: Duration = Duration::from_secs(5);
/// Orders that may wait for the session: [`PIECE`] of audio each, as long as it may be connecting. Beyond it audio is left out.
pub(crate) const ORDERS_MAX: usize = 1024;
/// Of those, for what is no audio and must not be lost.
const ORDERS_RESERVED: usize = 64;

/// A service, as one tenant uses it.
pub trait Service: Send + Sync + Sized + 'static {
    /// How a connection is asked for and started.
    type Terms: Clone + PartialEq + Send + Sync;
    /// A connection.
    type Connection: Connection<Self>;

    /// The terms of a configuration.
    fn terms(&self, config: &RecognizerConfig) -> Self::Terms;

    /// How audio of a line of so many samples per second is sent.
    fn coding(&self, line_rate: u32) -> Coding;

    /// Opens a connection; must have a deadline.
    fn connect(&self, terms: &Self::Terms) -> impl Future<Output = Result<Self::Connection, ServiceFailure>> + Send;
}

/// What a connection that can no longer be used answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// Whether other terms took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// They will, on this connection.
    Here,
    /// They need another connection.
    Elsewhere,
}

/// What came in.
pub enum Event {
    /// Something was heard.
    Results(Vec<RecognizerEvent>),
    /// Nothing of interest.
    Nothing,
    /// It waits for [`Connection::go_on`].
    Waits,
    /// It is over.
    Closed,
}

impl Event {
    /// What it counts as.
    fn reports(&self) -> usize {
        match self {
            Self::Results(results) => results.len().max(1),
            Self::Nothing | Self::Waits | Self::Closed => 1,
        }
    }
}

/// A connection to a service.
pub trait Connection<S: Service>: Send {
    /// Sends audio.
    fn send_audio(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), Broken>> + Send;

    /// What comes next; may be given up at any time without losing anything.
    fn next(&mut self) -> impl Future<Output = Event> + Send;

    /// Other terms from here on.
    fn change(&mut self, from: &S::Terms, to: &S::Terms) -> impl Future<Output = Result<Changed, Broken>> + Send;

    /// What the service waited for.
    fn go_on(&mut self) -> impl Future<Output = Result<(), Broken>> + Send {
        std::future::ready(Ok(()))
    }

    /// What the caller may say next.
    fn expect_phrases(
        &mut self,
        _service: &S,
        _phrases: Option<&[String]>,
    ) -> impl Future<Output = Result<(), Broken>> + Send {
        std::future::ready(Ok(()))
    }

    /// Closes the session.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// Opens a stream for one call.
pub async fn open<S: Service>(
    service: Arc<S>,
    config: RecognizerConfig,
    sink: RecognizerSink,
) -> Result<Box<dyn RecognizerStream>, ServiceFailure> {
    let terms = service.terms(&config);
    let connection = connect(&*service, &terms, RECONNECTS).await?;
    let (orders, inbox) = mpsc::channel(ORDERS_MAX);
    let coding = service.coding(config.line_rate);
    let session = Session {
        service,
        sink,
        terms,
        wanted: None,
        line_rate: config.line_rate,
        coding,
        phrases: None,
        backlog: Backlog::new(coding.bytes_per_second(config.line_rate)),
        awaiting: Awaiting::default(),
        understood: false,
    };
    let (present, gone) = oneshot::channel();
    task::spawn(session.run(connection, inbox, gone));
    Ok(Box::new(Stream::new(orders, coding, coding.bytes(config.line_rate, PIECE), present)))
}

/// What the stream is told, in the order in which the caller speaks.
enum Order {
    Audio(Bytes),
    UtteranceBegan,
    UtteranceEnded,
    Configure(RecognizerConfig),
    Expect(Option<Arc<[String]>>),
}

struct Stream {
    orders: mpsc::Sender<Order>,
    coding: Coding,
    /// What was heard and is no whole piece yet.
    piece: Vec<u8>,
    /// Bytes of a whole one.
    piece_bytes: usize,
    /// Dropped with the stream: what waits for a service waits no longer.
    _present: oneshot::Sender<()>,
}

impl Stream {
    fn new(orders: mpsc::Sender<Order>, coding: Coding, piece_bytes: usize, present: oneshot::Sender<()>) -> Self {
        Self { orders, coding, piece: Vec::with_capacity(piece_bytes), piece_bytes, _present: present }
    }

    /// Hands what there is on to the session.
    fn hand_on(&mut self) {
        if self.piece.is_empty() {
            return;
        }
        if self.orders.capacity() <= ORDERS_RESERVED {
            return self.piece.clear();
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(self.piece_bytes));
        let _ = self.orders.try_send(Order::Audio(piece.into()));
    }
}

impl RecognizerStream for Stream {
    fn hear(&mut self, samples: &[i16]) {
        self.coding.encode(samples, &mut self.piece);
        if self.piece.len() >= self.piece_bytes {
            self.hand_on();
        }
    }

    fn utterance_began(&mut self) {
        self.hand_on();
        let _ = self.orders.try_send(Order::UtteranceBegan);
    }

    /// A service that finds the end by itself finds it the sooner.
    fn utterance_paused(&mut self) {
        self.hand_on();
    }

    fn utterance_ended(&mut self) {
        self.hand_on();
        let _ = self.orders.try_send(Order::UtteranceEnded);
    }

    fn expect_phrases(&mut self, phrases: Option<Arc<[String]>>) {
        let _ = self.orders.try_send(Order::Expect(phrases));
    }

    fn configure(&mut self, config: RecognizerConfig) {
        let _ = self.orders.try_send(Order::Configure(config));
    }
}

/// One call's conversation with the service.
struct Session<S: Service> {
    service: Arc<S>,
    sink: RecognizerSink,
    terms: S::Terms,
    /// Terms to change to once nobody speaks.
    wanted: Option<S::Terms>,
    line_rate: u32,
    coding: Coding,
    /// What the caller may say, for workers that want to know.
    phrases: Option<Arc<[String]>>,
    backlog: Backlog,
    awaiting: Awaiting,
    /// Whether this connection gave the words of an utterance.
    understood: bool,
}

impl<S: Service> Session<S> {
    async fn run(
        mut self,
        mut connection: S::Connection,
        mut inbox: mpsc::Receiver<Order>,
        mut gone: oneshot::Receiver<()>,
    ) {
        let mut lost_in_a_row = 0;
        loop {
            let began = Instant::now();
            let ended = self.serve(&mut connection, &mut inbox).await;
            if std::mem::take(&mut self.understood) || began.elapsed() >= STEADY {
                lost_in_a_row = 0;
            }
            match ended {
                Ended::Over => return connection.close().await,
                Ended::Reconnect => connection.close().await,
                Ended::Lost => {
                    let why = ServiceFailure::Unavailable { why: "the connection was lost".to_owned() };
                    lost_in_a_row += 1;
                    if lost_in_a_row > RECONNECTS {
                        return (self.sink)(RecognizerEvent::Lost(why));
                    }
                    (self.sink)(RecognizerEvent::Reconnecting { why });
                }
            }
            let again = async {
                if lost_in_a_row > 1 {
                    tokio::time::sleep(PAUSE * 2_u32.pow(lost_in_a_row - 2)).await;
                }
                // On the heap, or each call would hold the room for a handshake as long as it lasts.
                Box::pin(connect(&*self.service, &self.terms, RECONNECTS)).await
            };
            let again = tokio::select! {
                again = again => again,
                _ = &mut gone => return, // the call is over
            };
            match again {
                Ok(again) => connection = again,
                Err(failure) => return (self.sink)(RecognizerEvent::Lost(failure)),
            }
            if in_time(connection.expect_phrases(&self.service, self.phrases.as_deref())).await.is_err() {
                continue;
            }
            // What has no result yet is told again.
            self.awaiting.told_again();
            for piece in self.backlog.pieces() {
                if in_time(connection.send_audio(piece.clone())).await.is_err() {
                    break;
                }
            }
        }
    }

    async fn serve(&mut self, connection: &mut S::Connection, inbox: &mut mpsc::Receiver<Order>) -> Ended {
        let mut pace = Pace::begin();
        loop {
            if !self.awaiting.is_open()
                && let Some(wanted) = self.wanted.take_if(|wanted| *wanted != self.terms)
            {
                let changed = tokio::time::timeout(SEND_MAX, connection.change(&self.terms, &wanted)).await;
                self.terms = wanted;
                match changed.unwrap_or(Err(Broken)) {
                    Ok(Changed::Here) => {}
                    Ok(Changed::Elsewhere) => return Ended::Reconnect,
                    Err(Broken) => return Ended::Lost,
                }
            }
            let carried_out = tokio::select! {
                order = tokio::time::timeout(STARVING, inbox.recv()) => match order {
                    Ok(Some(order)) => self.carry_out(order, connection).await,
                    Ok(None) => return Ended::Over, // the call is over
                    Err(_) => {
                        let second = self.coding.bytes_per_second(self.line_rate);
                        in_time(connection.send_audio(vec![self.coding.silence(); second].into())).await
                    }
                },
                event = connection.next() => {
                    if pace.is_exceeded_by(event.reports()) {
                        tracing::warn!("a recognizer floods its call with reports");
                        return Ended::Lost;
                    }
                    self.take(event, connection).await
                }
            };
            if carried_out == Err(Broken) {
                return Ended::Lost;
            }
        }
    }

    async fn carry_out(&mut self, order: Order, connection: &mut S::Connection) -> Result<(), Broken> {
        match order {
            Order::Audio(bytes) => {
                self.backlog.push(bytes.clone(), self.awaiting.is_open());
                self.awaiting.passed(self.coding.duration(self.line_rate, bytes.len()));
                in_time(connection.send_audio(bytes)).await?;
            }
            Order::UtteranceBegan => {
                self.awaiting.began();
                self.backlog.begin();
            }
            Order::UtteranceEnded => self.awaiting.ended(),
            Order::Expect(phrases) => {
                self.phrases = phrases;
                in_time(connection.expect_phrases(&self.service, self.phrases.as_deref())).await?;
            }
            Order::Configure(config) => {
                let config = RecognizerConfig { line_rate: self.line_rate, ..config };
                self.wanted = Some(self.service.terms(&config));
            }
        }
        Ok(())
    }

    async fn take(&mut self, event: Event, connection: &mut S::Connection) -> Result<(), Broken> {
        match event {
            Event::Results(results) => {
                for heard in results {
                    self.note(&heard);
                    (self.sink)(heard);
                }
                Ok(())
            }
            Event::Nothing => Ok(()),
            Event::Waits => in_time(connection.go_on()).await,
            Event::Closed => Err(Broken),
        }
    }

    fn note(&mut self, heard: &RecognizerEvent) {
        self.understood |= matches!(heard, RecognizerEvent::FinalResult { .. });
        match self.awaiting.heard(heard) {
            Told::Nothing => {}
            Told::All => self.backlog.forget(),
            Told::Before => self.backlog.forget_before(),
            Told::Missed => self.backlog.keep(),
        }
    }
}

/// A service that does not read is broken.
async fn in_time(sending: impl Future<Output = Result<(), Broken>>) -> Result<(), Broken> {
    tokio::time::timeout(SEND_MAX, sending).await.unwrap_or(Err(Broken))
}

enum Ended {
    /// The call is over.
    Over,
    /// Other terms need another connection.
    Reconnect,
    /// The service closed, or the network did.
    Lost,
}

async fn connect<S: Service>(service: &S, terms: &S::Terms, tries: u32) -> Result<S::Connection, ServiceFailure> {
    let mut pause = PAUSE;
    let mut last = ServiceFailure::Overdue;
    for n in 0..tries {
        if n > 0 {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        match service.connect(terms).await {
            Ok(connection) => return Ok(connection),
            Err(failure) => {
                tracing::warn!(%failure, attempt = n + 1, "the recognizer cannot be connected to");
                last = failure;
            }
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests;
