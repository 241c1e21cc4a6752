//! What a connection is read into: little while it is idle, as most are most of the time; more while much comes.
//!
//! Invariant: a connection that says nothing for [`QUIET`] holds [`IDLE_BYTES`]; one that is busy reads up to [`BUSY_BYTES`]
//! at once into the same memory, message after message.

use std::io;
use std::time::Duration;

use bellhop_sip::message::framing::Framer;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Room for most messages.
pub(super) const IDLE_BYTES: usize = 2048;
/// Room for what comes when messages are long or many.
pub(super) const BUSY_BYTES: usize = 16 * 1024;
/// So long without a byte, and what is beyond the least is given back.
pub(super) const QUIET: Duration = Duration::from_secs(2);

/// The memory that one connection is read into.
pub(super) struct Inbox(Vec<u8>);

impl Default for Inbox {
    fn default() -> Self {
        Self(vec![0; IDLE_BYTES])
    }
}

impl Inbox {
    /// Reads what is there and hands it to the framer; returns how much it was, which is nothing at the end of the stream.
    /// Nothing is lost if the waiting is given up.
    pub(super) async fn read(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        framer: &mut Framer,
    ) -> io::Result<usize> {
        let holds_more = self.0.len() > IDLE_BYTES || framer.held() > 0;
        let read = match holds_more {
            true => tokio::time::timeout(QUIET, reader.read(&mut self.0)).await.ok(),
            false => None,
        };
        let length = match read {
            Some(read) => read?,
            None => {
                if holds_more {
                    *self = Self::default();
                    framer.rest();
                }
                reader.read(&mut self.0).await?
            }
        };
        framer.push(&self.0[..length]);
        if length == self.0.len() && length < BUSY_BYTES {
            self.0 = vec![0; BUSY_BYTES];
        }
        Ok(length)
    }

    /// How many bytes it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.0.capacity()
    }
}
