//! The key that wraps the data keys of tenants: held here, or asked by a command that never gives it away.
//!
//! Invariant: with a data key is wrapped whose it is; unwrapped for another it does not come out. What a command answers is
//! believed no further.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::data_key::{DataKey, bound, open, seal};
use super::key_command::{CommandFailed, KeyCommand, Order};
use super::{KEY_BYTES, random};

/// How a wrapped key begins: the way it was made.
const VERSION: &str = "1:";
/// Bytes of what tells whose a data key is.
const OWNER_BYTES: usize = 16;

/// Wraps data keys.
#[derive(Clone)]
pub(crate) enum MasterKey {
    /// We have it.
    Held(Zeroizing<[u8; KEY_BYTES]>),
    /// A program wraps and unwraps for us.
    Asked(KeyCommand),
}

/// Why a data key stays wrapped.
#[derive(Debug, thiserror::Error)]
pub enum NotUnlocked {
    /// No program of ours wrote it.
    #[error("what is kept of the data key is no wrapped key")]
    Malformed,
    /// The key is another, or what is kept was changed or is another's.
    #[error("the data key does not open: the master key is another, or what is kept was changed or moved")]
    Altered,
    /// The command did not answer.
    #[error(transparent)]
    Command(#[from] CommandFailed),
}

impl MasterKey {
    /// One that is only here.
    pub(crate) fn generate() -> Self {
        Self::Held(Zeroizing::new(random()))
    }

    /// Wraps a data key for its owner.
    pub(crate) async fn wrap(&self, key: &DataKey, owner: &str) -> Result<String, CommandFailed> {
        let plain = Zeroizing::new([&key.bytes()[..], &owner_bytes(owner)].concat());
        let wrapped = match self {
            Self::Held(master) => BASE64.encode(seal(master, &bound(&["bellhop data key", VERSION]), &plain)),
            Self::Asked(command) => {
                let answer = command.ask(Order::Wrap, &Zeroizing::new(BASE64.encode(&*plain))).await?;
                answer.as_str().to_owned()
            }
        };
        Ok(format!("{VERSION}{wrapped}"))
    }

    /// The data key that was wrapped for an owner.
    pub(crate) async fn unwrap(&self, wrapped: &str, owner: &str) -> Result<DataKey, NotUnlocked> {
        let text = wrapped.strip_prefix(VERSION).ok_or(NotUnlocked::Malformed)?;
        let plain = match self {
            Self::Held(master) => {
                let sealed = BASE64.decode(text).map_err(|_| NotUnlocked::Malformed)?;
                open(master, &bound(&["bellhop data key", VERSION]), &sealed).ok_or(NotUnlocked::Altered)?
            }
            Self::Asked(command) => {
                let answer = command.ask(Order::Unwrap, &Zeroizing::new(text.to_owned())).await?;
                Zeroizing::new(BASE64.decode(&*answer).map_err(|_| NotUnlocked::Altered)?)
            }
        };
        let (key, of) = plain.split_at_checked(KEY_BYTES).ok_or(NotUnlocked::Altered)?;
        if of != owner_bytes(owner) {
            return Err(NotUnlocked::Altered);
        }
        let key = Zeroizing::new(key.try_into().expect("it was split there"));
        Ok(DataKey::of(key))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(_) => f.write_str("MasterKey(redacted)"),
            Self::Asked(command) => write!(f, "MasterKey({command:?})"),
        }
    }
}

fn owner_bytes(owner: &str) -> [u8; OWNER_BYTES] {
    let hash = Sha256::digest(bound(&["bellhop owner of a data key", owner]));
    hash[..OWNER_BYTES].try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_data_key_opens_for_its_owner_under_its_master_key_alone() {
        let (master, other, key) = (MasterKey::generate(), MasterKey::generate(), DataKey::generate());
        let wrapped = master.wrap(&key, "acme").await.expect("held");
        let opened = master.unwrap(&wrapped, "acme").await.expect("its own");
        assert_eq!(opened.bytes(), key.bytes());
        assert!(matches!(master.unwrap(&wrapped, "acne").await, Err(NotUnlocked::Altered)), "swapped");
        assert!(matches!(other.unwrap(&wrapped, "acme").await, Err(NotUnlocked::Altered)), "another master key");
        for malformed in ["", "1:*", "2:AA=="] {
            assert!(matches!(master.unwrap(malformed, "acme").await, Err(NotUnlocked::Malformed)), "{malformed}");
        }
        assert!(matches!(master.unwrap("1:AA==", "acme").await, Err(NotUnlocked::Altered)));
        assert_eq!(format!("{master:?}"), "MasterKey(redacted)");
    }

    /// Turns letters around and back: the key stays with the command.
    const TURNED: &str = r#"case "$1" in wrap) tr 'A-Za-z' 'N-ZA-Mn-za-m';; unwrap) tr 'N-ZA-Mn-za-m' 'A-Za-z';; esac"#;

    fn asked(script: &str) -> MasterKey {
        let arguments = ["-c", script, "key"].map(str::to_owned).to_vec();
        MasterKey::Asked(KeyCommand { program: "/bin/sh".into(), arguments })
    }

    #[tokio::test]
    async fn a_command_wraps_and_unwraps_and_what_it_makes_up_is_not_believed() {
        let (master, key) = (asked(TURNED), DataKey::generate());
        let wrapped = master.wrap(&key, "acme").await.expect("wraps");
        let opened = master.unwrap(&wrapped, "acme").await.expect("unwraps");
        assert_eq!(opened.bytes(), key.bytes());
        assert!(matches!(master.unwrap(&wrapped, "other").await, Err(NotUnlocked::Altered)));
        assert!(matches!(asked("echo AAAA").unwrap(&wrapped, "acme").await, Err(NotUnlocked::Altered)));
        assert!(matches!(asked("exit 1").unwrap(&wrapped, "acme").await, Err(NotUnlocked::Command(_))));
    }
}
