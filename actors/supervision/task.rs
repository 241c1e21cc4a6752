//! Tasks that a call starts beside its actors: they go on in the call's span, so that what they log says whose it is.
//!
//! Invariant: nothing under `actors/call` spawns a task in another way (`tests/dependency_rules.rs`).

use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

/// Spawns a task on this thread, in the span of whoever asks for it.
pub fn spawn(work: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    actix_rt::spawn(work.in_current_span())
}

/// Runs what blocks on a thread for such work, in the span of whoever asks for it.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}
