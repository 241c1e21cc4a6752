//! The socket of a server: opened, watched, opened again; whoever connects is told what happens, and may give one
//! order.
//!
//! Invariant: it is its owner's alone (mode 0600), and that of another server is neither replaced nor deleted.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellhop_adapters::storage;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::{HangUp, Live};

/// Readers at once.
const READERS_MAX: usize = 16;
/// The longest order, in bytes.
const ORDER_MAX: u64 = 256;
/// How often is looked whether the socket is still there.
const SOCKET_LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long nobody is let in once somebody could not be, perhaps for want of descriptors.
const LET_IN_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The socket, gone with this if it is still ours.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    file: Option<FileId>,
}

/// Device and inode.
type FileId = (u64, u64);

/// The socket of a server: `operations.socket`, or the one beside its database.
pub fn socket_of(configured: Option<&Path>, database: &str) -> Option<PathBuf> {
    configured.map(Path::to_owned).or_else(|| beside(database))
}

/// Why there is no socket.
pub fn without_socket(database: &str) -> &'static str {
    match storage::is_postgres(database) {
        true => {
            "operations.socket is not set: beside a PostgreSQL database there is no place for the socket of `bellhop calls`"
        }
        false => "a server whose database is in memory has no socket: set operations.socket",
    }
}

/// The socket that belongs to a database; none for one in memory.
fn beside(database: &str) -> Option<PathBuf> {
    if storage::is_postgres(database) {
        return None;
    }
    let file = storage::file_of(database).ok().flatten()?;
    (!file.as_os_str().is_empty()).then(|| file.with_extension("sock"))
}

impl Live {
    /// Opens the socket, and again whenever it is gone, for as long as the task that is returned.
    pub async fn serve(self, path: PathBuf, hang_up: HangUp) -> JoinHandle<()> {
        let mut socket = self.open(&path, Arc::clone(&hang_up)).await;
        if let Err(error) = &socket {
            tracing::warn!(%error, socket = %path.display(), "`bellhop calls tail` cannot follow this server yet");
        }
        actix_rt::spawn(async move {
            loop {
                tokio::time::sleep(SOCKET_LOOK_EVERY).await;
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
        actix_rt::spawn(accept(listener, self.clone(), hang_up, (path.to_owned(), socket.file)));
        Ok(socket)
    }
}

/// Serves who connects, until the socket has lost its name.
async fn accept(listener: UnixListener, live: Live, hang_up: HangUp, (path, file): (PathBuf, Option<FileId>)) {
    let places = Arc::new(Semaphore::new(READERS_MAX));
    loop {
        match tokio::time::timeout(SOCKET_LOOK_EVERY, listener.accept()).await {
            Ok(Ok((stream, _))) => {
                // One too many is closed at once.
                if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                    actix_rt::spawn(attend(stream, live.clone(), Arc::clone(&hang_up), place));
                }
            }
            // No descriptors, perhaps: it passes.
            Ok(Err(error)) => {
                tracing::warn!(%error, "nobody could be let into the socket of calls");
                tokio::time::sleep(LET_IN_AGAIN_AFTER).await;
            }
            Err(_) if file_id(&path) != file => return,
            Err(_) => {}
        }
    }
}

/// Tells one reader what happens, and does what they order.
async fn attend(stream: UnixStream, live: Live, hang_up: HangUp, _place: OwnedSemaphorePermit) {
    let mut lines = live.lines.subscribe();
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
                    Ok(1..) => live.answer(&order, &hang_up).into(),
                    _ => continue,
                }
            }
        };
        if to.write_all(line.as_bytes()).await.is_err() {
            return;
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

impl Socket {
    /// Whether it still bears its name.
    pub(super) fn is_there(&self) -> bool {
        self.file.is_some() && file_id(&self.path) == self.file
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn file_id(path: &Path) -> Option<FileId> {
    std::fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
