//! The watchdog: a thread of its own that hears a beat per call and tells when one falls silent.
//!
//! A hung actor does not panic, and a blocked thread runs no timer; so who looks must not share a thread with whom it looks
//! at. Invariant: a call is reported hung at most once. The beats live in `reception/call_registry.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a call beats.
pub const BEAT_EVERY: Duration = Duration::from_secs(1);
/// A call is hung after this long without a beat.
pub const HUNG_AFTER: Duration = Duration::from_secs(4);

/// The running watchdog; it stops when dropped.
#[derive(Debug)]
pub struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts the thread: `look` is called every second with the time and reports what it finds itself.
    pub fn start(mut look: impl FnMut(Instant) + Send + 'static) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                look(Instant::now());
                std::thread::park_timeout(BEAT_EVERY);
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
