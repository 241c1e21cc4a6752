//! Reads the files that people write: the configuration, scripts, secrets.
//!
//! Invariant: what is no text of a sensible size is told in a sentence and never read to its end; a byte order mark is
//! nobody's word.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest configuration or script, in bytes.
pub const TEXT_MAX: u64 = 16 * 1024 * 1024;
/// The largest secret, in bytes.
pub(super) const SECRET_MAX: u64 = 64 * 1024;

/// Reads a text of at most `limit` bytes; a symbolic link is followed. The error is a sentence without the file's name.
pub fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "is not there".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    if std::fs::metadata(path).map_err(cannot)?.is_dir() {
        return Err("is a folder where a file is expected".to_owned());
    }
    let mut bytes = vec![];
    File::open(path).map_err(cannot)?.take(limit + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > limit {
        return Err(format!("is larger than {} KiB", limit / 1024));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8 text (line {line})")
    })?;
    Ok(text)
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
