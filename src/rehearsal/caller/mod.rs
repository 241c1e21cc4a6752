//! A caller: places one call over real sockets, speaks into RTP, listens, and keeps a record of everything.
//!
//! It speaks a line when the far end has been quiet for a while, as people do. Invariant: it hangs up, or is hung up on,
//! within its time limit. Loopback only.

mod network;
mod signalling;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bellhop_media::dtmf::Digit;
use bellhop_media::voice_activity::magnitude;
use bellhop_media::{FRAME_SAMPLES, Frame};
use bellhop_sip::hop::Transport;
use bellhop_sip::sdp::{self, Agreed, Security};
use tokio::net::UdpSocket;

use signalling::{Signalling, Step};
use stream::Stream;

/// Quiet for so long after it spoke: the far end is listening.
pub const TURN_AFTER: Duration = Duration::from_millis(1200);
/// The mean magnitude of a frame that is more than silence.
const SOUND: u32 = 150;

/// What the caller does, in order.
#[derive(Clone)]
pub enum Line {
    /// Waits for its turn and speaks: samples at the rate of the [`Conditions`].
    Say {
        /// The words, for the record.
        words: String,
        /// Their sound.
        samples: Vec<i16>,
    },
    /// Waits for its turn and presses keys.
    Press(String),
    /// Speaks or presses the line after this one at once, without waiting for its turn.
    AtOnce(Duration),
    /// Hangs up.
    HangUp,
}

/// A call to place.
#[derive(Clone)]
pub struct CallPlan {
    /// Where the gateway listens.
    pub server: SocketAddr,
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// Whom to call.
    pub dialled: String,
    /// Who calls.
    pub caller: String,
    /// Headers added to the INVITE.
    pub headers: Vec<(String, String)>,
    /// What to do once the call is up; after the last line the caller waits to be hung up on.
    pub lines: Vec<Line>,
    /// The certificate of a server that speaks TLS, in PEM.
    pub certificate: Option<Vec<u8>>,
    /// The host name asked for in TLS.
    pub server_name: String,
    /// The codecs offered, in order.
    pub codecs: Vec<sdp::Codec>,
    /// Whether keys for SRTP are offered, or demanded.
    pub security: Security,
    /// How the caller sounds.
    pub conditions: Conditions,
    /// The longest the call may take.
    pub limit: Duration,
}

/// How a caller sounds at the far end.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    /// Samples per second of what is said: 8000 or 16000.
    pub sample_rate: u32,
    /// The amplitude of the noise around the caller, heard all the time.
    pub noise: i16,
    /// What is heard around the caller all the time, at the rate of what is said; it begins anew where it ends.
    pub background: Arc<[i16]>,
    /// Share of the packets that the network loses, 0 to 1.
    pub loss: f32,
    /// How many packets a burst of losses takes on average; up to 1, each is lost or not by itself.
    pub burst: f32,
    /// The longest that the network keeps a packet back: each takes a part of it by chance, and none overtakes another.
    pub jitter: Duration,
    /// Of noise, losses and jitter.
    pub seed: u64,
}

impl Default for Conditions {
    /// A quiet room and a good network, at 8 kHz.
    fn default() -> Self {
        Self {
            sample_rate: 8000,
            noise: 0,
            background: Arc::default(),
            loss: 0.0,
            burst: 1.0,
            jitter: Duration::ZERO,
            seed: 1,
        }
    }
}

/// What happens, as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A SIP message went out or came in.
    Sip {
        /// Whether the caller sent it.
        sent: bool,
        /// Its first line.
        line: String,
    },
    /// The caller speaks.
    Says(String),
    /// The caller presses keys.
    Presses(String),
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The gateway sent a BYE, for this Reason.
    ByGateway(String),
    /// The caller hung up.
    ByCaller,
    /// The INVITE was refused with this status.
    Refused(u16),
    /// The limit passed.
    TimedOut,
}

/// What is left of a call.
#[derive(Clone)]
pub struct CallReport {
    /// How it ended.
    pub ended: Ended,
    /// When the call was begun, by the clock that servers write into records.
    pub began_at: SystemTime,
    /// What the caller heard, at 8 kHz from the answer on.
    pub heard: Vec<i16>,
    /// What the caller said, aligned with it.
    pub said: Vec<i16>,
    /// Where in it each line that was spoken begins.
    pub said_from: Vec<usize>,
    /// Every event with its time.
    pub events: Vec<(Duration, Event)>,
    /// From INVITE to 200.
    pub answered_after: Option<Duration>,
    /// Datagrams of audio that came.
    pub packets: usize,
    /// The longest time between two of them, as they were read.
    pub longest_gap: Duration,
}

impl CallReport {
    /// Writes the call as a stereo WAV: the caller left, the gateway right.
    pub fn write_wav(&self, path: &std::path::Path) -> Result<(), hound::Error> {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec)?;
        for (said, heard) in self.said.iter().zip(&self.heard) {
            writer.write_sample(*said)?;
            writer.write_sample(*heard)?;
        }
        writer.finalize()
    }
}

/// Places a call and tells `watch` of every event.
pub async fn place(plan: CallPlan, mut watch: impl FnMut(Duration, &Event)) -> io::Result<CallReport> {
    if !plan.server.ip().is_loopback() {
        return Err(io::Error::other("the rehearsal caller calls loopback addresses only"));
    }
    let audio = UdpSocket::bind((plan.server.ip(), 0)).await?;
    let mut call = Caller::new(&plan, audio).await?;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let mut told = 0;
    let ended = loop {
        let step = tokio::select! {
            step = call.signalling.step() => step?,
            readable = call.audio.readable(), if call.stream.is_some() => {
                readable?;
                call.receive();
                Step::Nothing
            }
            () = arrives(&call.stream), if call.stream.is_some() => {
                call.deliver().await;
                Step::Nothing
            }
            _ = tick.tick() => {
                call.frame().await?;
                Step::Nothing
            }
        };
        match step {
            Step::Nothing => {}
            Step::Answered(agreed) => call.answered(agreed),
            Step::Ended(ended) => break ended,
        }
        call.note_messages();
        for (at, event) in &call.events[told..] {
            watch(*at, event);
        }
        told = call.events.len();
        if call.began.elapsed() > plan.limit {
            call.signalling.hang_up().await?;
            break Ended::TimedOut;
        }
    };
    call.signalling.settle().await?;
    call.note_messages();
    for (at, event) in &call.events[told..] {
        watch(*at, event);
    }
    let answered_after = call.answered_at.map(|at| at - call.began);
    Ok(CallReport {
        ended,
        began_at: call.began_at,
        heard: call.heard,
        said: call.said,
        said_from: call.said_from,
        events: call.events,
        answered_after,
        packets: call.packets,
        longest_gap: call.longest_gap,
    })
}

/// Waits until the network brings the next packet that it keeps back.
async fn arrives(stream: &Option<Stream>) {
    match stream.as_ref().and_then(Stream::next_arrival) {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

struct Caller {
    signalling: Signalling,
    audio: UdpSocket,
    lines: std::collections::VecDeque<Line>,
    conditions: Conditions,
    began: Instant,
    began_at: SystemTime,
    answered_at: Option<Instant>,
    stream: Option<Stream>,
    heard: Vec<i16>,
    said: Vec<i16>,
    said_from: Vec<usize>,
    events: Vec<(Duration, Event)>,
    /// Whether the far end has spoken since our last line, and for how long it has been quiet.
    spoken_to: bool,
    quiet_for: Duration,
    at_once_after: Option<Duration>,
    packets: usize,
    received_at: Option<Instant>,
    longest_gap: Duration,
}

impl Caller {
    async fn new(plan: &CallPlan, audio: UdpSocket) -> io::Result<Self> {
        let signalling = Signalling::invite(plan, audio.local_addr()?).await?;
        Ok(Self {
            signalling,
            audio,
            lines: plan.lines.clone().into(),
            conditions: plan.conditions.clone(),
            began: Instant::now(),
            began_at: SystemTime::now(),
            answered_at: None,
            stream: None,
            heard: vec![],
            said: vec![],
            said_from: vec![],
            events: vec![],
            spoken_to: false,
            quiet_for: Duration::ZERO,
            at_once_after: None,
            packets: 0,
            received_at: None,
            longest_gap: Duration::ZERO,
        })
    }

    fn note_messages(&mut self) {
        for (sent, line) in self.signalling.take_messages() {
            self.events.push((self.began.elapsed(), Event::Sip { sent, line }));
        }
    }

    fn answered(&mut self, agreed: Agreed) {
        self.answered_at = Some(Instant::now());
        self.stream = Some(Stream::new(agreed, self.conditions.clone()));
    }

    /// Brings what the network has kept back long enough.
    async fn deliver(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.deliver(&self.audio, Instant::now()).await;
        }
    }

    /// Takes what has come.
    fn receive(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let mut datagram = [0; 1500];
        while let Ok((length, source)) = self.audio.try_recv_from(&mut datagram) {
            let now = Instant::now();
            let gap = self.received_at.replace(now).map_or(Duration::ZERO, |before| now - before);
            self.longest_gap = self.longest_gap.max(gap);
            self.packets += 1;
            stream.receiver.push(now, source, &mut datagram[..length]);
        }
    }

    /// 20 ms of hearing, thinking and speaking.
    async fn frame(&mut self) -> io::Result<()> {
        self.receive();
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut line = vec![0; stream.receiver.frame_samples()];
        stream.receiver.frame(Instant::now(), &mut line);
        // What is kept is at 8 kHz, whatever the line.
        let step = line.len() / FRAME_SAMPLES;
        let frame: Frame = std::array::from_fn(|n| line[n * step]);
        self.heard.extend(frame);
        if magnitude(&frame) > SOUND {
            self.spoken_to = true;
            self.quiet_for = Duration::ZERO;
        } else {
            self.quiet_for += Duration::from_millis(20);
        }
        if !stream.is_busy() {
            self.next_line().await?;
        }
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let said = stream.send(&self.audio).await?;
        self.said.extend(said);
        Ok(())
    }

    async fn next_line(&mut self) -> io::Result<()> {
        let my_turn = match self.at_once_after {
            Some(wait) => self.answered_at.is_some_and(|at| at.elapsed() >= wait),
            None => self.spoken_to && self.quiet_for >= TURN_AFTER,
        };
        if let Some(Line::AtOnce(wait)) = self.lines.front() {
            self.at_once_after = Some(*wait);
            self.lines.pop_front();
            return Ok(());
        }
        if !my_turn {
            return Ok(());
        }
        let (Some(line), Some(stream)) = (self.lines.pop_front(), &mut self.stream) else { return Ok(()) };
        (self.spoken_to, self.at_once_after) = (false, None);
        let event = match line {
            Line::Say { words, samples } => {
                (stream.speaking, stream.at) = (samples, 0);
                self.said_from.push(self.said.len());
                Event::Says(words)
            }
            Line::Press(keys) => {
                stream.keys = keys.chars().filter_map(Digit::from_char).collect();
                Event::Presses(keys)
            }
            Line::HangUp => return self.signalling.hang_up().await,
            Line::AtOnce(_) => return Ok(()),
        };
        self.events.push((self.began.elapsed(), event));
        Ok(())
    }
}
