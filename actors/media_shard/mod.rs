//! The data plane of one thread: sockets and the 20 ms clock, shared by its calls.
//!
//! A shard owns its legs' ports and one clock of 5 ms slices; legs are spread over the four phases of a frame. Per slice it
//! drains the ports that are due, pulls 20 ms from each jitter buffer and sends what each playout has due. Actors get
//! events and batches, never packets. What is measured (jitter, round trip, the delay since a sender report) counts from
//! when a datagram *arrived*, which the kernel stamps, never from when it was read: an RTCP port is read once a second.
//! Invariant: no allocation, lock or timer per leg and frame; a panic in one leg's
//! slice ends that leg alone; without legs the clock rests.

#[allow(unsafe_code)] // what batches system calls
mod batch_io;
mod clock;
mod leg;
mod ntp;
#[allow(unsafe_code)] // a hint to the processor
mod prefetch;
mod slice;
pub mod udp_port;

use std::net::SocketAddr;
use std::time::Duration;

use bellhop_media::dtmf::rfc4733::Press;
use bellhop_media::playout;

pub use clock::{LegHandle, Shard};
pub use leg::{ControlPath, Leg, LegCores, LegMode};

/// One slice of the clock.
pub const SLICE: Duration = Duration::from_millis(5);
/// Slices in one 20 ms frame.
pub const PHASES: usize = 4;
/// Frames of caller audio handed over at once.
pub const BATCH_FRAMES: usize = 3;
/// Frames between two looks at what is slow: RTCP, and whether the far end is still there. One second.
pub const FRAMES_PER_LOOK: u32 = 50;
/// A clock this far behind gives up what it missed: the machine was suspended or overloaded.
pub const CATCH_UP_MAX: Duration = Duration::from_millis(200);

/// A datagram that has arrived.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Where it came from.
    pub source: SocketAddr,
    /// What it says; it may be worked on in place.
    pub bytes: &'a mut [u8],
    /// How long it has waited for being read, by the kernel's clock.
    pub age: Duration,
}

/// Takes datagrams, one after another.
pub type Deliver<'a> = dyn FnMut(Datagram<'_>) + 'a;

/// Where a leg's packets come and go: a UDP socket, or a test's carrier.
pub trait PacketPort {
    /// Hands over every datagram that has arrived.
    fn drain(&mut self, deliver: &mut Deliver<'_>);
    /// The same for the RTCP port.
    fn drain_control(&mut self, deliver: &mut Deliver<'_>);
    /// Sends one datagram; `false` if it could not be sent.
    fn send(&mut self, bytes: &[u8], to: SocketAddr) -> bool;
    /// Sends one datagram from the RTCP port.
    fn send_control(&mut self, bytes: &[u8], to: SocketAddr) -> bool;
}

/// What a leg reports; called on the shard's thread, must not block.
pub trait LegEvents {
    /// A digit was pressed.
    fn digit(&self, press: Press);
    /// Caller audio: [`BATCH_FRAMES`] frames of so many samples, silence included; less before a hold or another rate. It
    /// came so long before.
    fn audio(&self, samples: Vec<i16>, frame_samples: usize, delay: Duration);
    /// A clip started or finished.
    fn clip(&self, event: playout::Event);
    /// Some of the recording: caller, us, caller, us.
    fn recorded(&self, samples: Vec<i16>);
    /// Nothing was heard of the far end for the media timeout, though it should send. Told once.
    fn silent(&self);
    /// The leg's slice panicked; it has been taken off the clock. What it died of is not handed on: its text may hold what was
    /// said.
    fn failed(&self);
}
