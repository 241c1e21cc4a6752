//! Where a SQLite database lies: what its URL says, and its file.
//!
//! It holds what callers say. Invariant: its file is its owner's alone from the moment it is there, and so are those that
//! SQLite puts beside it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::BUSY_MAX;

/// Device and inode.
pub(super) type FileId = (u64, u64);

/// The file that an URL of a database names; none for one in memory. An URL that cannot be opened for writing is an error: a
/// sentence without the URL.
pub fn file_of(url: &str) -> Result<Option<PathBuf>, String> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| match error {
        sqlx::Error::Configuration(why) => why.to_string(),
        other => other.to_string(),
    })?;
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    let read_alone = ["mode=ro", "immutable=true", "immutable=1"];
    if let Some(parameter) = parameters.split('&').find(|parameter| read_alone.contains(parameter)) {
        return Err(format!("`{parameter}` lets nothing be written, and calls are"));
    }
    let in_memory = url.contains(":memory:") || parameters.split('&').any(|parameter| parameter == "mode=memory");
    Ok((!in_memory).then(|| options.get_filename().to_owned()))
}

/// How each connection that writes is made, and the file; none for a database in memory.
pub(super) fn options(url: &str) -> Result<(SqliteConnectOptions, Option<PathBuf>), sqlx::Error> {
    let options = SqliteConnectOptions::from_str(url)?
        // The file is made by us, so that nobody else can read it for a moment.
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        .pragma("journal_size_limit", "4194304")
        .busy_timeout(BUSY_MAX);
    let path = (!url.contains(":memory:")).then(|| options.get_filename().to_owned());
    Ok((options, path))
}

/// Makes the file if it is not there.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file.sync_all()?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    // The name is on the disk only once its folder is.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

pub(super) fn file_id(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
