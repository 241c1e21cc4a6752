//! Signals, and every other end of the process that it can see: calls end by their teardown plans first.
//!
//! SIGTERM and SIGINT drain; a second one, or SIGQUIT, makes every call leave at once. SIGHUP reads the TLS identity
//! anew (`tls_identity.rs`) and the configuration (`wiring/reload.rs`), and never kills; SIGPWR is somebody who wants
//! it to end; SIGPIPE and SIGXFSZ are errors of whoever writes; all others are noted. Invariant: from
//! [`Signals::listen`] on no signal that can be caught ends the process by itself, but those that say that it is broken
//! (SIGSEGV, SIGABRT and the like).

use std::io;
use std::panic::AssertUnwindSafe;
use std::task::Poll;

use crate::wiring::Server;
use futures_util::FutureExt;
use nix::libc::{SIGINT, SIGPWR, SIGQUIT, SIGRTMAX, SIGRTMIN, SIGTERM, SIGXFSZ};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals whose default is to end a process although they say nothing of the kind.
const ENDS_NOTHING: [nix::sys::signal::Signal; 9] = {
    use nix::sys::signal::Signal::*;
    [SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGXCPU, SIGSTKFLT]
};

/// The signals of this process.
#[derive(Debug)]
pub struct Signals {
    end: Vec<Signal>,
    end_now: Signal,
    noted: Vec<(String, Signal)>,
    /// A file may not grow any more: whoever writes it, the log for instance, is told, and nobody else.
    _file_size: Signal,
}

/// What somebody outside wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// End, once the calls are over.
    End,
    /// End at once.
    EndNow,
}

impl Signals {
    /// Catches them from here on, as long as the process lives.
    pub fn listen() -> io::Result<Self> {
        let caught = |number: i32| signal(SignalKind::from_raw(number));
        let named = ENDS_NOTHING.iter().map(|one| Ok((one.as_str().to_owned(), caught(*one as i32)?)));
        // The last of them is not ours under a tool that looks after memory.
        let real_time =
            (SIGRTMIN()..=SIGRTMAX()).filter_map(|number| Some((format!("signal {number}"), caught(number).ok()?)));
        Ok(Self {
            end: [SIGTERM, SIGINT, SIGPWR].into_iter().map(caught).collect::<io::Result<_>>()?,
            end_now: caught(SIGQUIT)?,
            noted: named.chain(real_time.map(Ok)).collect::<io::Result<_>>()?,
            _file_size: caught(SIGXFSZ)?,
        })
    }

    /// Waits until somebody wants the process to end.
    pub async fn wish(&mut self) -> Wish {
        std::future::poll_fn(|context| {
            if self.end_now.poll_recv(context).is_ready() {
                return Poll::Ready(Wish::EndNow);
            }
            if self.end.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
                return Poll::Ready(Wish::End);
            }
            for (name, signal) in &mut self.noted {
                while let Poll::Ready(Some(())) = signal.poll_recv(context) {
                    tracing::info!(signal = name, "a signal that ends nothing");
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The process cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// What carries out teardowns is gone.
    #[error("a part that every call needs has died: {calls} calls were sent a BYE; start the server again")]
    Died {
        /// Calls that were up.
        calls: usize,
    },
    /// A panic where nothing else would have noticed.
    #[error("the main thread panicked: its calls were sent a BYE; start the server again")]
    Panicked,
}

/// Serves until somebody wants the process to end, and sees every call off.
pub async fn serve(server: &Server, signals: &mut Signals, patience: Patience) -> Result<(), Broken> {
    let outcome = guarded(see_off(server, signals, patience), async || server.leave_now().await).await;
    outcome.and_then(|done| done).inspect_err(|error| tracing::error!(%error, "leaving"))
}

/// Does something on the main thread beside the calls; if it panics, every call leaves at once.
pub async fn guarded<T>(work: impl Future<Output = T>, leave: impl AsyncFnOnce()) -> Result<T, Broken> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => Ok(done),
        Err(_) => {
            leave().await;
            Err(Broken::Panicked)
        }
    }
}

/// How a first SIGTERM or SIGINT is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Calls may finish.
    Drain,
    /// Calls leave at once.
    None,
}

async fn see_off(server: &Server, signals: &mut Signals, patience: Patience) -> Result<(), Broken> {
    let wish = tokio::select! {
        wish = signals.wish() => wish,
        () = server.died() => return Err(last_resort(server).await),
    };
    if wish == Wish::End && patience == Patience::Drain {
        tracing::info!(calls = server.registry.len(), "draining: no new calls");
        tokio::select! {
            () = server.drain() => {
                tracing::info!("drained");
                return Ok(());
            }
            _ = signals.wish() => {}
            () = server.died() => return Err(last_resort(server).await),
        }
    }
    tracing::warn!(calls = server.registry.len(), "terminating at once");
    server.leave_now().await;
    Ok(())
}

async fn last_resort(server: &Server) -> Broken {
    Broken::Died { calls: server.last_resort().await }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_panic_of_the_main_thread_sees_every_call_off() {
        let (mut seen_off, panics) = (0, async { std::hint::black_box(None::<()>).expect("a fault of ours") });
        assert!(matches!(guarded(panics, async || seen_off += 1).await, Err(Broken::Panicked)));
        assert_eq!(seen_off, 1);
        assert!(matches!(guarded(async { 7 }, async || seen_off += 1).await, Ok(7)));
        assert_eq!(seen_off, 1, "nothing else does");
    }
}
