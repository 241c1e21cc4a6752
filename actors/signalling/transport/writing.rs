//! What waits for a connection to take it, and the task that hands it over.
//!
//! Invariant: a far end that does not read has [`WRITE_QUEUE`] messages and [`WRITE_BYTES_MAX`] held for it, and no
//! single message for longer than [`WRITTEN_WITHIN`]; what is queued when its connection ends has `FLUSHED_WITHIN` in all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// Messages that may wait for one connection to take them.
pub const WRITE_QUEUE: usize = 64;
/// Bytes that may wait for one connection to take them, beyond what the kernel holds.
pub const WRITE_BYTES_MAX: usize = 128 * 1024;
/// How long a far end may take nothing of what it asked for: as long as a transaction waits. It is gone, or it does not read
/// so that we hold what is meant for it.
pub const WRITTEN_WITHIN: Duration = bellhop_sip::transaction::TIMEOUT;

/// What waits for a connection to take it: [`WRITE_QUEUE`] messages and [`WRITE_BYTES_MAX`] at most.
#[derive(Clone)]
pub(super) struct WriteQueue {
    pub(super) messages: mpsc::Sender<Bytes>,
    pub(super) waiting: Arc<AtomicUsize>,
}

impl WriteQueue {
    pub(super) fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (messages, read) = mpsc::channel(WRITE_QUEUE);
        (Self { messages, waiting: Arc::default() }, read)
    }

    /// Whether there is room.
    pub(super) fn push(&self, bytes: Bytes) -> bool {
        let length = bytes.len();
        let fits = self.waiting.load(Ordering::Relaxed).saturating_add(length) <= WRITE_BYTES_MAX;
        let queued = fits && self.messages.try_send(bytes).is_ok();
        if queued {
            self.waiting.fetch_add(length, Ordering::Relaxed);
        }
        queued
    }
}

/// Hands over what waits, until nobody sends any more; false if the far end takes nothing.
pub(super) async fn write_out(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Bytes>,
    waiting: Arc<AtomicUsize>,
) -> bool {
    while let Some(bytes) = queue.recv().await {
        let written = async { writer.write_all(&bytes).await.is_ok() && writer.flush().await.is_ok() };
        if !tokio::time::timeout(WRITTEN_WITHIN, written).await.unwrap_or(false) {
            return false;
        }
        waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
    }
    let _ = writer.shutdown().await;
    true
}
