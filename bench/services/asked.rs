//! What the stand-ins were asked, counted.
//!
//! Invariant: every count only grows.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

/// Counts of everything.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Connections to recognizers.
    pub(crate) connections: Count,
    /// Messages of audio.
    pub(crate) pieces: Count,
    /// Bytes of audio.
    pub(crate) audio_bytes: Count,
    /// Utterances that were understood.
    pub(crate) utterances: Count,
    /// TLS connections of HTTP.
    pub(crate) http_connections: Count,
    /// Handshakes that took up an earlier session.
    pub(crate) resumed: Count,
    /// Turns of the assistant.
    pub(crate) turns: Count,
    /// Texts that were spoken.
    pub(crate) texts: Count,
    /// Bytes of their audio.
    pub(crate) speech_bytes: Count,
    /// Events of the log.
    pub(crate) events: Count,
}

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: usize) -> u64 {
        self.0.fetch_add(more as u64, Ordering::Relaxed)
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Asked {
    /// A TLS connection is there.
    pub(crate) fn met(&self, connection: &rustls::ServerConnection) {
        let resumed = connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        self.resumed.add(usize::from(resumed));
    }

    pub(crate) fn figures(&self) -> Value {
        json!({
            "connections": self.connections.get(), "pieces": self.pieces.get(), "audio_bytes": self.audio_bytes.get(),
            "utterances": self.utterances.get(), "http_connections": self.http_connections.get(),
            "resumed": self.resumed.get(), "turns": self.turns.get(), "texts": self.texts.get(), "speech_bytes": self.speech_bytes.get(),
            "events": self.events.get(),
        })
    }
}
