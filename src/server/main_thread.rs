//! The beat of the main thread, which carries the endpoint and Reception and hears signals.
//!
//! A call that hangs is seen off by Reception; if the thread of Reception itself blocks, nobody carries out a teardown,
//! and not even SIGTERM is heard. The watchdog hears its beat too: silence is told first, and then, with nothing but
//! the teardown plans and sockets of its own, it sends every call a BYE and ends the process. Invariant: a time in
//! which nobody ran is no silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bellhop_actors::node::call_registry::CallRegistry;
use bellhop_actors::reception::last_resort;
use bellhop_actors::signalling::transport::SocketWire;
use bellhop_actors::supervision::watchdog::{BEAT_EVERY, HUNG_AFTER};

/// A main thread that was silent for so long does not come back.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(15);
/// How long the last BYEs may take to be written.
const WRITTEN_WITHIN: Duration = Duration::from_millis(300);

/// The beat.
#[derive(Debug, Clone)]
pub(crate) struct MainBeat {
    epoch: Instant,
    beat_ms: Arc<AtomicU64>,
}

/// What is heard of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Beat,
    /// Nothing for so long: told once.
    Silence(Duration),
    /// Nothing for too long.
    Death(Duration),
}

/// Who listens to it, on the watchdog's thread.
#[derive(Debug)]
pub(crate) struct Listener {
    beat: MainBeat,
    told: bool,
}

impl MainBeat {
    /// Begins to beat on this thread.
    pub(crate) fn start() -> Self {
        let beat = Self { epoch: Instant::now(), beat_ms: Arc::default() };
        let beating = beat.clone();
        actix_rt::spawn(async move {
            loop {
                beating.beat(Instant::now());
                tokio::time::sleep(BEAT_EVERY).await;
            }
        });
        beat
    }

    fn beat(&self, now: Instant) {
        self.beat_ms.store(now.saturating_duration_since(self.epoch).as_millis() as u64, Ordering::Relaxed);
    }

    pub(crate) fn listener(&self) -> Listener {
        Listener { beat: self.clone(), told: false }
    }
}

impl Listener {
    /// Nobody ran for a while.
    pub(crate) fn forgive(&mut self, now: Instant) {
        self.beat.beat(now);
    }

    /// Listens; if the main thread is given up, this does not return.
    pub(crate) fn listen(&mut self, now: Instant, registry: &Arc<CallRegistry>, wire: &SocketWire) {
        match self.hear(now) {
            Heard::Beat => {}
            Heard::Silence(lasts) => {
                tracing::error!(?lasts, calls = registry.len(), "the main thread is stuck: no signalling is answered");
                bellhop_actors::metrics::main_thread_stuck();
            }
            Heard::Death(lasts) => {
                let calls = see_off(registry, wire);
                tracing::error!(
                    ?lasts,
                    calls,
                    "the main thread did not come back: every call was sent a BYE; start the server again"
                );
                std::process::exit(1);
            }
        }
    }

    fn hear(&mut self, now: Instant) -> Heard {
        let last = self.beat.epoch + Duration::from_millis(self.beat.beat_ms.load(Ordering::Relaxed));
        let silence = now.saturating_duration_since(last);
        let was_told = std::mem::replace(&mut self.told, silence >= HUNG_AFTER);
        match silence {
            _ if silence >= GIVEN_UP_AFTER => Heard::Death(silence),
            _ if silence >= HUNG_AFTER && !was_told => Heard::Silence(silence),
            _ => Heard::Beat,
        }
    }
}

/// Sends every call a BYE from this thread.
fn see_off(registry: &Arc<CallRegistry>, wire: &SocketWire) -> usize {
    actix_rt::System::new().block_on(async {
        let calls = last_resort::carry_out_all(registry, &mut wire.unattended()).await;
        tokio::time::sleep(WRITTEN_WITHIN).await;
        calls
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_once_and_given_up_in_the_end_and_a_standstill_is_none() {
        let beat = MainBeat { epoch: Instant::now(), beat_ms: Arc::default() };
        let (mut listener, at) = (beat.listener(), |seconds| beat.epoch + Duration::from_secs(seconds));
        let mut heard = |second| listener.hear(at(second));
        assert_eq!([3, 4, 5].map(&mut heard), [Heard::Beat, Heard::Silence(Duration::from_secs(4)), Heard::Beat]);
        beat.beat(at(6));
        assert_eq!([6, 11].map(&mut heard), [Heard::Beat, Heard::Silence(Duration::from_secs(5))]);
        assert_eq!([20, 21].map(&mut heard), [Heard::Beat, Heard::Death(Duration::from_secs(15))]);
        listener.forgive(at(3600));
        assert_eq!(listener.hear(at(3601)), Heard::Beat);
    }
}
