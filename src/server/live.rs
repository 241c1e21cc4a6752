//! Calls as they happen: every event as a line of JSON, to whoever connects to a socket beside the database; and the one
//! order that can be given there: to hang a call up.
//!
//! The lines hold what callers say. Invariants: the socket is its owner's alone (mode 0600), and while nobody listens nothing
//! is rendered; who reads too slowly misses lines and is told how many; a socket that is lost, or that another server has, is
//! opened again as soon as that can be.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellhop_actors::reception::call_registry::CallId;
use bellhop_actors::services::Observer;
use bellhop_dialogue::call_record::Event;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

/// Lines that may wait for a reader.
const LINES_MAX: usize = 4096;
/// Readers at once.
const READERS_MAX: usize = 16;
/// The longest order, in bytes.
const ORDER_MAX: u64 = 256;
/// How often is looked whether the socket is still there.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a server that is asked may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A line.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// The call, as named in the log.
    pub call: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can be ordered, as a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Hang this call up; its name in the log.
    HangUp(String),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It was told to leave.
    HungUp,
    /// There is none of that name.
    NoSuchCall,
}

/// Hangs a call up; whether it is up.
pub type HangUp = Arc<dyn Fn(CallId) -> bool + Send + Sync>;

/// Tells everybody who is connected.
#[derive(Clone)]
pub struct Live(broadcast::Sender<Arc<str>>);

/// The socket, gone with this if it is still ours.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    file: Option<FileId>,
}

/// Device and inode.
type FileId = (u64, u64);

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

    /// Opens the socket, and again whenever it is gone, for as long as the task that is returned.
    pub async fn serve(self, path: PathBuf, hang_up: HangUp) -> JoinHandle<()> {
        let mut socket = self.open(&path, Arc::clone(&hang_up)).await;
        if let Err(error) = &socket {
            tracing::warn!(%error, socket = %path.display(), "`bellhop calls tail` cannot follow this server yet");
        }
        actix_rt::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if !socket.as_ref().is_ok_and(Socket::is_there) {
                    socket = self.open(&path, Arc::clone(&hang_up)).await;
                }
            }
        })
    }

    /// Opens the socket. One that a dead server left behind is replaced, one that is answered is not.
    pub async fn open(&self, path: &Path, hang_up: HangUp) -> io::Result<Socket> {
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers there"));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Made where nobody else can reach it, and only then put in its place. A server that was killed on the way leaves
        // its folder behind.
        let private = path.with_extension(format!("sock.new.{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&private);
        std::fs::DirBuilder::new().mode(0o700).create(&private)?;
        let opened = open_in(&private, path);
        let _ = std::fs::remove_dir_all(&private);
        let listener = opened?;
        let socket = Socket { path: path.to_owned(), file: file_id(path) };
        actix_rt::spawn(accept(listener, self.0.clone(), hang_up, (path.to_owned(), socket.file)));
        Ok(socket)
    }
}

/// Serves who connects, until the socket has lost its name.
async fn accept(
    listener: UnixListener,
    lines: broadcast::Sender<Arc<str>>,
    hang_up: HangUp,
    (path, file): (PathBuf, Option<FileId>),
) {
    let places = Arc::new(Semaphore::new(READERS_MAX));
    loop {
        match tokio::time::timeout(LOOK_EVERY, listener.accept()).await {
            Ok(Ok((stream, _))) => {
                // One too many is closed at once.
                if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                    actix_rt::spawn(attend(stream, lines.subscribe(), Arc::clone(&hang_up), place));
                }
            }
            // No descriptors, perhaps: it passes.
            Ok(Err(error)) => {
                tracing::warn!(%error, "nobody could be let into the socket of calls");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(_) if file_id(&path) != file => return,
            Err(_) => {}
        }
    }
}

fn open_in(private: &Path, path: &Path) -> io::Result<UnixListener> {
    let inside = private.join("s");
    let listener = UnixListener::bind(&inside)?;
    std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&inside, path)?;
    Ok(listener)
}

fn file_id(path: &Path) -> Option<FileId> {
    std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

impl Socket {
    /// Whether it still bears its name.
    fn is_there(&self) -> bool {
        self.file.is_some() && file_id(&self.path) == self.file
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Tells one reader what happens, and does what they order.
async fn attend(
    stream: UnixStream,
    mut lines: broadcast::Receiver<Arc<str>>,
    hang_up: HangUp,
    _place: OwnedSemaphorePermit,
) {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from.take(ORDER_MAX));
    let mut order = String::new();
    let mut listens = true;
    loop {
        let line: Arc<str> = tokio::select! {
            line = lines.recv() => match line {
                Ok(line) => line,
                Err(RecvError::Lagged(missed)) => format!("{{\"missed\":{missed}}}\n").into(),
                Err(RecvError::Closed) => return,
            },
            // One order a connection; who has said nothing more reads on.
            read = from.read_line(&mut order), if listens => {
                listens = false;
                match read {
                    Ok(1..) => answer(&order, &hang_up).into(),
                    _ => continue,
                }
            }
        };
        if to.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(order: &str, hang_up: &HangUp) -> String {
    let answer = match serde_json::from_str(order) {
        Ok(Command::HangUp(call)) if call.parse().is_ok_and(|call| hang_up(call)) => Answer::HungUp,
        _ => Answer::NoSuchCall,
    };
    format!("{{\"answer\":{}}}\n", serde_json::to_string(&answer).expect("a word"))
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

/// Orders something of a running server.
pub async fn order(path: &Path, command: &Command) -> io::Result<Answer> {
    #[derive(Deserialize)]
    struct Answered {
        answer: Answer,
    }
    let mut stream = UnixStream::connect(path).await?;
    let line = serde_json::to_string(command).expect("plain data");
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let waiting = async {
        while let Some(line) = lines.next_line().await? {
            if let Ok(Answered { answer }) = serde_json::from_str(&line) {
                return Ok(answer);
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    };
    tokio::time::timeout(ANSWER_MAX, waiting).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
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
        let hung_up: HangUp = Arc::new(|call| call == CallId(1));
        let socket = live.open(&path, Arc::clone(&hung_up)).await.expect("opens");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(Live::new().open(&path, Arc::clone(&hung_up)).await.is_err(), "it is answered");
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
        for (call, answer) in
            [("0000000000000001", Answer::HungUp), ("2", Answer::NoSuchCall), ("x", Answer::NoSuchCall)]
        {
            assert_eq!(order(&path, &Command::HangUp(call.into())).await.expect("answers"), answer, "{call}");
        }
        drop(socket);
        assert!(!path.exists());
        std::fs::remove_dir_all(folder).expect("gone");
    }

    /// What a server that was killed half-way leaves behind, a name that is taken by another, and one that is deleted.
    #[actix_rt::test]
    async fn a_socket_that_is_lost_is_opened_again() {
        let folder = std::env::temp_dir().join(format!("bellhop-lost-socket-{}", std::process::id()));
        let path = folder.join("a.sock");
        let left_behind = path.with_extension(format!("sock.new.{}", std::process::id()));
        std::fs::create_dir_all(left_behind).expect("a folder");
        let nobody: HangUp = Arc::new(|_| false);
        let socket = Live::new().open(&path, Arc::clone(&nobody)).await.expect("opens");
        std::fs::remove_file(&path).expect("deleted");
        assert!(!socket.is_there());
        let other = Live::new().open(&path, nobody).await.expect("opens");
        drop(socket);
        assert!(other.is_there(), "what another server has is not deleted");
        std::fs::remove_dir_all(folder).expect("gone");
    }
}
