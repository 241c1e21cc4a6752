//! Where the master key comes from: `storage.master_key` of the configuration, or a file beside the database.
//!
//! Invariant: nothing that is told of a source quotes a key.

use std::path::{Path, PathBuf};

use super::key_command::KeyCommand;
use super::key_file;
use super::master_key::MasterKey;

/// Where a master key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKeySource {
    /// `file:`
    File(PathBuf),
    /// `env:`
    Environment(String),
    /// `command:`
    Command(KeyCommand),
    /// A file beside a SQLite database, which is made with the database.
    Beside(PathBuf),
    /// Nowhere: of a database in memory.
    Memory,
}

/// Why there is no master key: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("the master key {place} {why}")]
pub struct CannotTake {
    place: String,
    why: String,
    /// There is no such file.
    pub(crate) is_missing: bool,
}

impl MasterKeySource {
    /// Reads what the configuration says; a relative path starts at the folder of its file.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let text = text.trim();
        let found = match text.split_once(':').map(|(kind, rest)| (kind, rest.trim())) {
            Some(("file", path)) if !path.is_empty() => Self::File(folder.join(path)),
            Some(("env", name)) if !name.is_empty() => Self::Environment(name.to_owned()),
            Some(("command", line)) if !line.is_empty() => {
                let mut words = line.split_whitespace().map(str::to_owned);
                let program = words.next().expect("it is not empty");
                // A bare name is looked for in PATH.
                let program = if program.contains('/') { folder.join(program) } else { program.into() };
                Self::Command(KeyCommand { program, arguments: words.collect() })
            }
            // It may be the key itself.
            _ => return Err("names no place: write `file:PATH`, `env:NAME` or `command:PROGRAM ARGUMENTS`".to_owned()),
        };
        Ok(found)
    }

    /// The key.
    pub(crate) fn take(&self) -> Result<MasterKey, CannotTake> {
        match self {
            Self::File(path) | Self::Beside(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| self.cannot_read(&error))?;
                key_file::warn_if_open(path);
                key_file::read(&text).map(MasterKey::Held).map_err(|why| self.cannot(why))
            }
            Self::Environment(name) => {
                let text = std::env::var(name).map_err(|_| self.cannot("is not set".to_owned()))?;
                key_file::read(&text).map(MasterKey::Held).map_err(|why| self.cannot(why))
            }
            Self::Command(command) => Ok(MasterKey::Asked(command.clone())),
            Self::Memory => Ok(MasterKey::generate()),
        }
    }

    /// The key of a database that has none yet: a file beside it is made.
    pub(crate) fn take_or_make(&self) -> Result<MasterKey, CannotTake> {
        match (self.take(), self) {
            (Err(CannotTake { is_missing: true, .. }), Self::Beside(path)) => {
                key_file::make(path).map_err(|error| self.cannot(format!("cannot be made: {error}")))?;
                tracing::warn!(
                    file = %path.display(),
                    "a master key was made: a backup of the database opens no secret without this file; keep the two apart"
                );
                self.take()
            }
            (taken, _) => taken,
        }
    }

    fn cannot_read(&self, error: &std::io::Error) -> CannotTake {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        CannotTake { is_missing, ..self.cannot(format!("cannot be read: {error}")) }
    }

    fn cannot(&self, why: String) -> CannotTake {
        CannotTake { place: self.to_string(), why, is_missing: false }
    }
}

impl std::fmt::Display for MasterKeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) | Self::Beside(path) => write!(f, "in {}", path.display()),
            Self::Environment(name) => write!(f, "in the variable {name}"),
            Self::Command(command) => write!(f, "of the command {}", command.program.display()),
            Self::Memory => f.write_str("in memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_place_and_never_the_key() {
        let of = |text: &str| MasterKeySource::parse(text, Path::new("/etc/bellhop"));
        assert_eq!(of("file:key"), Ok(MasterKeySource::File("/etc/bellhop/key".into())));
        assert_eq!(of("file:/run/key"), Ok(MasterKeySource::File("/run/key".into())));
        assert_eq!(of("env:KEY"), Ok(MasterKeySource::Environment("KEY".into())));
        let command = |program: &str, arguments: &[&str]| {
            let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
            Ok(MasterKeySource::Command(KeyCommand { program: program.into(), arguments }))
        };
        assert_eq!(of("command: ./kms --key a1 "), command("/etc/bellhop/./kms", &["--key", "a1"]));
        assert_eq!(of("command:kms"), command("kms", &[]));
        for text in ["", "file:", "env: ", "command:", "s3cretKeyInBase64=", "http://key"] {
            let why = of(text).expect_err(text);
            assert!(why.starts_with("names no place") && !why.contains("s3cret"), "{why}");
        }
    }

    #[test]
    fn a_key_is_made_once_beside_a_new_database_and_only_read_elsewhere() {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path();
        let path = folder.join("bellhop.db.key");
        let (beside, file) = (MasterKeySource::Beside(path.clone()), MasterKeySource::File(path.clone()));
        assert!(file.take_or_make().expect_err("nobody made it").is_missing);
        assert!(beside.take().expect_err("nobody made it").is_missing);
        let bytes = |key: MasterKey| match key {
            MasterKey::Held(key) => key,
            MasterKey::Asked(_) => panic!("it is held"),
        };
        let made = bytes(beside.take_or_make().expect("made"));
        assert_eq!(bytes(beside.take_or_make().expect("read")), made);
        assert_eq!(bytes(file.take().expect("read")), made);
        std::fs::write(&path, "abc").expect("written");
        let why = beside.take_or_make().expect_err("too short").to_string();
        assert_eq!(
            why,
            format!("the master key in {} has 3 characters: 32 bytes are 44 in base64 or 64 in hex", path.display())
        );
        let nowhere = MasterKeySource::Environment("BELLHOP_NO_SUCH_KEY".into());
        assert_eq!(
            nowhere.take().expect_err("unset").to_string(),
            "the master key in the variable BELLHOP_NO_SUCH_KEY is not set"
        );
    }
}
