//! Reads the files that people write: the configuration, scripts, secrets, certificates.
//!
//! Invariant: what is no text of a sensible size is told in a sentence and never read to its end; nobody is waited for longer
//! than [`WRITTEN_WITHIN`], as a pipe may be that nobody writes to; a byte order mark is nobody's word.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc::O_NONBLOCK;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The largest configuration or script, in bytes.
pub const TEXT_MAX: u64 = 16 * 1024 * 1024;
/// The largest secret, in bytes.
pub(super) const SECRET_MAX: u64 = 64 * 1024;

/// How long whoever writes to a pipe (`<(…)`, a FIFO) may take for all of it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

/// Reads a text of at most `limit` bytes; a symbolic link is followed. The error is a sentence without the file's name.
pub fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    let text = String::from_utf8(read_bytes(path, limit)?).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8 text (line {line})")
    })?;
    Ok(text)
}

/// The same of any bytes.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "is not there".to_owned(),
        ErrorKind::PermissionDenied => "may not be read by the user that this runs as".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let about = std::fs::metadata(path).map_err(cannot)?;
    let bytes = match about.file_type() {
        kind if kind.is_dir() => return Err("is a folder where a file is expected".to_owned()),
        kind if kind.is_socket() => return Err("is a socket where a file is expected".to_owned()),
        kind if kind.is_file() => {
            let mut bytes = vec![];
            File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)).map_err(cannot)?;
            bytes
        }
        _ => written(path, limit, WRITTEN_WITHIN).map_err(cannot)?.ok_or_else(|| {
            format!("is a pipe or a device, and nobody wrote all of it within {} s", WRITTEN_WITHIN.as_secs())
        })?,
    };
    if bytes.len() as u64 > limit {
        return Err(format!("is larger than {} KiB", limit / 1024));
    }
    Ok(bytes)
}

/// What somebody else writes, until its end or one byte more than the limit; none if that did not come in time.
fn written(path: &Path, limit: u64, within: Duration) -> std::io::Result<Option<Vec<u8>>> {
    // Opened like this, a pipe without a writer is no reason to wait; whether one comes is asked below.
    let mut file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
    let (deadline, mut bytes, mut buffer) = (Instant::now() + within, vec![], [0; 8192]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLIN)], wait) {
            Ok(0) => return Ok(None),
            Ok(_) | Err(nix::Error::EINTR) if left.is_zero() => return Ok(None),
            Ok(_) => {}
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(bytes)),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        if bytes.len() as u64 > limit {
            return Ok(Some(bytes));
        }
    }
}

/// Whether a folder can be written to, or be made; nothing is made. The error is a sentence with the folder's name.
pub(crate) fn can_be_folder(path: &Path) -> Result<(), String> {
    let mut at = path;
    loop {
        match std::fs::metadata(at) {
            Ok(found) if !found.is_dir() => return Err(format!("{} is not a folder", at.display())),
            Ok(_) if may_write(at) => return Ok(()),
            Ok(_) => return Err(format!("the folder {} cannot be written to", at.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{} cannot be used: {error}", at.display())),
        }
        at = match at.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return Err(format!("{} cannot be made", path.display())),
        };
    }
}

pub(crate) fn may_write(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::io::Write;

    #[test]
    fn a_pipe_is_read_to_its_end_and_nobody_is_waited_for_without_end() {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path();
        let pipe = folder.join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
        let short = Duration::from_millis(50);
        assert_eq!(written(&pipe, 100, short).expect("readable"), None, "nobody writes");
        let writes = |bytes: &'static [u8]| {
            let pipe = pipe.clone();
            std::thread::spawn(move || {
                let mut pipe = OpenOptions::new().write(true).open(pipe).expect("somebody reads");
                // Whoever has read enough goes.
                let _ = pipe.write_all(bytes);
            })
        };
        for (bytes, kept) in [(&b"secret"[..], 6), (&[b'x'; 5000], 5000), (&[b'x'; 100_000], 0)] {
            let writer = writes(bytes);
            let read = written(&pipe, 10_000, Duration::from_secs(60)).expect("readable").expect("in time");
            assert!(if kept == 0 { read.len() > 10_000 } else { read == bytes }, "{}", read.len());
            writer.join().expect("it ends");
        }
        // Who begins, and never ends.
        let held = std::thread::spawn({
            let pipe = pipe.clone();
            move || OpenOptions::new().write(true).open(pipe)
        });
        let read = written(&pipe, 100, short);
        assert_eq!(read.expect("readable"), None);
        drop(held);
        // Opened once more, so that the writer of above is not left waiting for a reader.
        let _reader = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&pipe);
    }
}
