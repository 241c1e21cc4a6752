//! Calls as they happen: every event as a line of JSON, to whoever connects to a socket beside the database.
//!
//! The lines hold what callers say. Invariant: the socket is its owner's alone (mode 0600), and while nobody listens nothing
//! is rendered; who reads too slowly misses lines and is told how many.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellhop_actors::reception::call_registry::CallId;
use bellhop_actors::services::Observer;
use bellhop_dialogue::call_record::Event;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::{self, error::RecvError};

/// Lines that may wait for a reader.
const LINES_MAX: usize = 4096;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// The call, as named in the log.
    pub call: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Tells everybody who is connected.
#[derive(Clone)]
pub struct Live(broadcast::Sender<Arc<str>>);

/// The socket, gone with this.
#[derive(Debug)]
pub struct Socket(PathBuf);

/// The socket that belongs to a database; none for one in memory.
pub fn beside(database: &str) -> Option<PathBuf> {
    let path = database.strip_prefix("sqlite://").or_else(|| database.strip_prefix("sqlite:"))?;
    let path = path.split('?').next().unwrap_or_default();
    (!path.is_empty() && !path.starts_with(':')).then(|| Path::new(path).with_extension("sock"))
}

impl Live {
    /// With nobody listening yet.
    pub fn new() -> Self {
        Self(broadcast::channel(LINES_MAX).0)
    }

    /// Opens the socket. One that a dead server left behind is replaced, one that is answered is not.
    pub async fn open(&self, path: &Path) -> io::Result<Socket> {
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers there"));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Made where nobody else can reach it, and only then put in its place.
        let private = path.with_extension("sock.new");
        std::fs::DirBuilder::new().mode(0o700).create(&private)?;
        let opened = open_in(&private, path);
        std::fs::remove_dir_all(&private)?;
        let listener = opened?;
        let lines = self.0.clone();
        actix_rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                actix_rt::spawn(tell(stream, lines.subscribe()));
            }
        });
        Ok(Socket(path.to_owned()))
    }
}

fn open_in(private: &Path, path: &Path) -> io::Result<UnixListener> {
    let inside = private.join("s");
    let listener = UnixListener::bind(&inside)?;
    std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&inside, path)?;
    Ok(listener)
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn tell(mut stream: UnixStream, mut lines: broadcast::Receiver<Arc<str>>) {
    loop {
        let line = match lines.recv().await {
            Ok(line) => line,
            Err(RecvError::Lagged(missed)) => format!("{{\"missed\":{missed}}}\n").into(),
            Err(RecvError::Closed) => return,
        };
        if stream.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Observer for Live {
    fn saw(&self, call: CallId, event: &Event) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let line = Line { call: call.to_string(), event: event.clone() };
        if let Ok(json) = serde_json::to_string(&line) {
            let _ = self.0.send(format!("{json}\n").into());
        }
    }
}

/// Sees for several.
pub(crate) struct Both(pub(crate) Arc<dyn Observer>, pub(crate) Arc<dyn Observer>);

impl Observer for Both {
    fn saw(&self, call: CallId, event: &Event) {
        self.0.saw(call, event);
        self.1.saw(call, event);
    }
}

/// Reads the lines of a running server until it ends; `show` returns whether it wants more.
pub async fn follow(path: &Path, mut show: impl FnMut(&str) -> bool) -> io::Result<()> {
    let mut lines = BufReader::new(UnixStream::connect(path).await?).lines();
    while let Some(line) = lines.next_line().await? {
        if !show(&line) {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellhop_dialogue::call_record::What;

    #[test]
    fn the_socket_lies_beside_the_database() {
        assert_eq!(beside("sqlite:///var/lib/bellhop/bellhop.db"), Some("/var/lib/bellhop/bellhop.sock".into()));
        assert_eq!(beside("sqlite://bellhop.db?mode=rwc"), Some("bellhop.sock".into()));
        assert_eq!(beside("sqlite::memory:"), None);
    }

    #[actix_rt::test]
    async fn who_connects_hears_of_events_and_nobody_else_may() {
        let folder = std::env::temp_dir().join(format!("bellhop-live-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("a.sock");
        std::fs::write(&path, "left behind").expect("a file");
        let live = Live::new();
        let socket = live.open(&path).await.expect("opens");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(Live::new().open(&path).await.is_err(), "it is answered");
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let reading = path.clone();
        actix_rt::spawn(async move {
            let _ = follow(&reading, |line| told.send(line.to_owned()).is_ok()).await;
        });
        let event = Event { at_ms: 7, what: What::Answered {} };
        let line = loop {
            live.saw(CallId(1), &event);
            match tokio::time::timeout(std::time::Duration::from_millis(20), heard.recv()).await {
                Ok(Some(line)) => break line,
                _ => continue,
            }
        };
        assert_eq!(line, r#"{"call":"0000000000000001","at_ms":7,"event":"answered"}"#);
        let back: Line = serde_json::from_str(&line).expect("its own form");
        assert_eq!(back.event, event);
        drop(socket);
        assert!(!path.exists());
        std::fs::remove_dir_all(folder).expect("gone");
    }
}
