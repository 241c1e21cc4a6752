//! One leg: its cores, what it does on the wire, and where its RTCP goes.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bellhop_media::playout::Playout;
use bellhop_media::receiver::Receiver;
use bellhop_media::recording::Recorder;
use bellhop_media::rtcp::Control;

use super::{LegEvents, PacketPort};

/// The cores of one leg, shared between the shard and the actors that own them.
#[derive(Debug)]
pub struct LegCores {
    /// Inbound; the JitterBuffer actor's.
    pub receiver: RefCell<Receiver>,
    /// Outbound; the TtsPlayback actor's.
    pub playout: RefCell<Playout>,
    /// RTCP.
    pub control: RefCell<Control>,
    /// The recording, if the tenant wants one.
    pub recorder: RefCell<Option<Recorder>>,
    /// Where RTCP goes.
    pub control_path: Cell<ControlPath>,
    /// What the leg does, and since when.
    mode: Cell<(LegMode, Instant)>,
    /// How long the far end may be silent while it should send.
    pub media_timeout: Duration,
}

impl LegCores {
    /// Cores that rest.
    pub fn new(now: Instant, receiver: Receiver, playout: Playout, control: Control, media_timeout: Duration) -> Self {
        Self {
            receiver: RefCell::new(receiver),
            playout: RefCell::new(playout),
            control: RefCell::new(control),
            recorder: RefCell::new(None),
            control_path: Cell::new(ControlPath::Nowhere),
            mode: Cell::new((LegMode::Resting, now)),
            media_timeout,
        }
    }

    /// What the leg does.
    pub fn mode(&self) -> LegMode {
        self.mode.get().0
    }

    /// From here on the leg does this.
    pub fn set_mode(&self, mode: LegMode, now: Instant) {
        if self.mode() != mode {
            self.mode.set((mode, now));
        }
    }

    /// Whether the far end should send, does not, and has not for too long.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let (mode, since) = self.mode.get();
        let heard = self.receiver.borrow().last_heard().map_or(since, |heard| heard.max(since));
        mode == LegMode::Talking && now.saturating_duration_since(heard) >= self.media_timeout
    }
}

/// Where a leg's RTCP goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlPath {
    /// Nobody told.
    Nowhere,
    /// Over the RTP port (RFC 5761).
    Muxed,
    /// From our RTCP port to this one.
    Apart(SocketAddr),
}

/// What a leg does on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegMode {
    /// Waits: what arrives is drained and forgotten, nothing is sent.
    Resting,
    /// Hears and sends.
    Talking,
    /// Hears, but sends nothing: the far end has put us on hold, perhaps with music.
    Listening,
    /// Sends, but nothing is expected: the far end is muted, or held by us.
    Speaking,
    /// Neither: held from both sides.
    Held,
}

impl LegMode {
    pub(super) fn hears(self) -> bool {
        matches!(self, Self::Talking | Self::Listening)
    }

    pub(super) fn sends(self) -> bool {
        matches!(self, Self::Talking | Self::Speaking)
    }
}

/// One leg as it is put on the clock.
pub struct Leg {
    /// Its port.
    pub port: Box<dyn PacketPort>,
    /// Its cores.
    pub cores: Rc<LegCores>,
    /// Its listener.
    pub events: Box<dyn LegEvents>,
}
