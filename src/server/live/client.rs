//! Who follows a running server, or orders something of it: the other end of the socket.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{Answer, Command};

/// How long a server that is asked may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

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
