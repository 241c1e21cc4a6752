//! Tasks of adapters: what is spawned for a call goes on in the call's span, so that what it logs says whose it is.
//!
//! Invariant: no other file of the adapters spawns a task (`.clippy.toml`).

use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

/// Spawns a task in the span of whoever asks for it.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn spawn<F: Future<Output: Send> + Send + 'static>(work: F) -> JoinHandle<F::Output> {
    tokio::spawn(work.in_current_span())
}

/// Runs what blocks on a thread for such work, in the span of whoever asks for it.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker_pool::WorkerPool;

    /// The name of the span that code runs in.
    fn here() -> Option<&'static str> {
        Span::current().metadata().map(tracing::Metadata::name)
    }

    #[tokio::test]
    async fn what_works_for_a_call_elsewhere_is_in_the_span_of_the_call() {
        tracing::subscriber::set_global_default(tracing_subscriber::registry())
            .expect("the one subscriber of this test");
        let pool = WorkerPool::start("test", 1, 1, || Ok::<_, ()>(())).expect("starts");
        let span = tracing::error_span!("call");
        let (task, blocking, job) = span
            .in_scope(|| (spawn(async { here() }), spawn_blocking(here), pool.submit(|(), _| here()).expect("free")));
        assert_eq!(here(), None);
        assert_eq!(task.await.expect("no panic"), Some("call"));
        assert_eq!(blocking.await.expect("no panic"), Some("call"));
        assert_eq!(job.await.expect("no panic"), Some("call"));
        assert_eq!(pool.submit(|(), _| here()).expect("free").await.expect("no panic"), None, "and nobody else's");
    }
}
