//! Takes the server's log events, as a program of the operator's would.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

/// What has come, by session.
#[derive(Clone, Default)]
pub(crate) struct Receiver(Arc<Mutex<HashMap<String, Session>>>);

/// One call as the server told it.
#[derive(Clone, Default)]
pub(crate) struct Session {
    pub(crate) record: Option<Value>,
    pub(crate) turns: Vec<Value>,
}

impl Receiver {
    /// Listens on loopback.
    pub(crate) fn open() -> Result<(Self, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (this, address) = (Self::default(), listener.local_addr()?);
        let taking = this.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taking = taking.clone();
                std::thread::spawn(move || taking.serve(stream));
            }
        });
        Ok((this, address))
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            self.take(&serde_json::from_slice(&body).unwrap_or_default());
            reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        }
    }

    fn take(&self, event: &Value) {
        let payload = event["payload"].clone();
        let session = payload["global_session_id"].as_str().unwrap_or_default().to_owned();
        let mut sessions = self.sessions();
        let kept = sessions.entry(session).or_default();
        match event["event"]["name"].as_str() {
            Some("cdr_logged") => kept.record = Some(payload),
            _ => kept.turns.push(payload),
        }
    }

    /// The call of a caller, once all of it has come.
    pub(crate) fn call_of(&self, caller: &str) -> Result<Session> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let is_theirs = |session: &&Session| {
            let Some(record) = &session.record else { return false };
            let turns = record["assistant_interaction_summaries"][0]["turns"].as_array().map_or(0, Vec::len);
            let from = record["session_initiation_protocol"]["headers"]["from_uri"].as_str().unwrap_or_default();
            from.contains(caller) && session.turns.len() >= turns
        };
        while Instant::now() < deadline {
            if let Some(session) = self.sessions().values().find(is_theirs) {
                let mut session = session.clone();
                session.turns.sort_by_key(|turn| turn["turn"].as_u64());
                return Ok(session);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the record of {caller} has not come")
    }
}
