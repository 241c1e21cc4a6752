//! Signals, and every other end of the process that it can see: calls leave by their wills first.
//!
//! SIGTERM and SIGINT drain; a second one, or SIGQUIT, makes every call leave at once. SIGHUP reads the TLS identity anew
//! (`tls_identity.rs`) and never kills; SIGUSR1 and SIGUSR2 are noted; SIGPIPE is an error of whoever writes. Invariant: from
//! [`Signals::listen`] on no signal that can be caught ends the process by itself.

use std::io;
use std::panic::AssertUnwindSafe;

use crate::wiring::Server;
use futures_util::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals of this process.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hang_up: Signal,
    user_1: Signal,
    user_2: Signal,
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
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits until somebody wants the process to end.
    pub async fn wish(&mut self) -> Wish {
        loop {
            let noted = tokio::select! {
                _ = self.terminate.recv() => return Wish::End,
                _ = self.interrupt.recv() => return Wish::End,
                _ = self.quit.recv() => return Wish::EndNow,
                _ = self.hang_up.recv() => "SIGHUP",
                _ = self.user_1.recv() => "SIGUSR1",
                _ = self.user_2.recv() => "SIGUSR2",
            };
            tracing::info!(signal = noted, "a signal that ends nothing");
        }
    }
}

/// The process cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// What carries out farewells is gone.
    #[error("a part that every call needs has died: {calls} calls were told goodbye; start the server again")]
    Died {
        /// Calls that were up.
        calls: usize,
    },
    /// A panic where nothing else would have noticed.
    #[error("the main thread panicked: its calls were told goodbye; start the server again")]
    Panicked,
}

/// Serves until somebody wants the process to end, and sees every call off.
pub async fn serve(server: &Server, signals: &mut Signals, patience: Patience) -> Result<(), Broken> {
    let outcome = AssertUnwindSafe(see_off(server, signals, patience)).catch_unwind().await;
    outcome.unwrap_or(Err(Broken::Panicked)).inspect_err(|error| tracing::error!(%error, "leaving"))
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
    tracing::warn!(calls = server.registry.len(), "leaving at once");
    server.leave_now().await;
    Ok(())
}

async fn last_resort(server: &Server) -> Broken {
    Broken::Died { calls: server.last_resort().await }
}
