//! The file of a master key: one line, 32 bytes in base64 or in hex.
//!
//! Invariant: a file of this name holds a whole key or is not there, whoever dies or comes at the same time; nobody but its
//! owner may read it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE};
use zeroize::Zeroizing;

use super::{KEY_BYTES, random};

/// Hexadecimal digits of a key.
const HEX_DIGITS: usize = KEY_BYTES * 2;
/// Characters of a key in base64, with their padding.
const BASE64_CHARACTERS: usize = KEY_BYTES.div_ceil(3) * 4;

/// Reads a key; what is told of one that is none does not quote it.
pub(super) fn read(text: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, String> {
    let line = text.trim();
    if line.contains(char::is_whitespace) {
        return Err("is more than one line: it is 32 bytes in base64 or hex".to_owned());
    }
    let bytes = match line.len() {
        HEX_DIGITS => hex(line),
        BASE64_CHARACTERS => BASE64.decode(line).or_else(|_| URL_SAFE.decode(line)).ok(),
        count => {
            return Err(format!(
                "has {count} characters: {KEY_BYTES} bytes are {BASE64_CHARACTERS} in base64 or {HEX_DIGITS} in hex"
            ));
        }
    };
    let bytes = Zeroizing::new(bytes.ok_or("is neither base64 nor hex")?);
    let key = <[u8; KEY_BYTES]>::try_from(&bytes[..]).map_err(|_| format!("has {} bytes: it takes 32", bytes.len()))?;
    Ok(Zeroizing::new(key))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| text.as_bytes().chunks(2).map(digits).collect())?
}

/// Makes a file with a new key, synced; one that is there stays.
pub(super) fn make(path: &Path) -> io::Result<()> {
    let line = Zeroizing::new(format!("{}\n", BASE64.encode(*Zeroizing::new(random::<KEY_BYTES>()))));
    let unfinished = with_suffix(path, &format!(".{:016x}", u64::from_be_bytes(random())));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    // A link to a name that is taken is refused: of two who make it at once, one has made it.
    let made = file
        .write_all(line.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&unfinished, path));
    std::fs::remove_file(&unfinished)?;
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Says so if others may read it. A secret that a container is given may be like that.
pub(super) fn warn_if_open(path: &Path) {
    if path.metadata().is_ok_and(|file| file.mode() & 0o077 != 0) {
        tracing::warn!(file = %path.display(), "others than its owner may read the master key: set its mode to 0600");
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_in_base64_or_hex() {
        let bytes: [u8; KEY_BYTES] = std::array::from_fn(|n| 250 + n as u8 % 6);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [BASE64.encode(bytes), URL_SAFE.encode(bytes), hex.clone(), format!(" {}\r\n", hex.to_uppercase())]
        {
            assert_eq!(*read(&text).expect("a key"), bytes);
        }
        for (text, told) in [
            ("", "has 0 characters: 32 bytes are 44 in base64 or 64 in hex"),
            (&BASE64.encode([1; 16]), "has 24 characters: 32 bytes are 44 in base64 or 64 in hex"),
            (&BASE64.encode([1; 31]), "has 31 bytes: it takes 32"),
            (&"x".repeat(64), "is neither base64 nor hex"),
            (&"é".repeat(32), "is neither base64 nor hex"),
            (&format!("{hex}\n{hex}"), "is more than one line: it is 32 bytes in base64 or hex"),
        ] {
            assert_eq!(read(text).expect_err(text), told);
        }
    }

    #[test]
    fn of_two_who_make_it_at_once_one_has_made_it() {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path();
        let path = folder.join("key");
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| make(&path).expect("made")))));
        let text = std::fs::read_to_string(&path).expect("read");
        make(&path).expect("it is there");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), text, "it stays");
        read(&text).expect("a key");
        assert_eq!(path.metadata().expect("there").mode() & 0o777, 0o600);
        let names: Vec<_> =
            std::fs::read_dir(folder).expect("a folder").flatten().map(|file| file.file_name()).collect();
        assert_eq!(names, ["key"], "nothing unfinished is left");
    }
}
