//! The first operator, and those who run servers unattended: a link that makes an operator of whoever opens it.
//!
//! Invariant: the secret of a link stands behind its `#`, which no browser sends and no proxy logs; it is good once and for
//! [`CLAIM_LASTS`], and its file is readable by its owner alone. Nobody becomes operator by being the first to come.

use std::fs::{OpenOptions, remove_file};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellhop_tenancy::Secret;
use bellhop_tenancy::access::{Author, SecretHash, SignedIn, Standing};
use bellhop_tenancy::store::{Invitation, People, SignIns, StoreError};

use super::secrets::{self, Random};

/// How long whoever started a server has to claim it.
pub const CLAIM_LASTS: Duration = Duration::from_secs(24 * 3600);
/// The file that a link is kept in.
pub const CLAIM_FILE: &str = "operator-claim";
/// The login that an operator is proposed.
const PROPOSED: &str = "operator";

/// A secret of an invitation, and the link that it is handed on by.
#[derive(Debug)]
pub struct Link {
    /// What the store keeps.
    pub hash: SecretHash,
    /// What whoever is invited opens.
    pub url: Secret,
}

impl Link {
    /// One of a new secret, to a server at a public address (without a slash at its end).
    pub fn fresh(public_url: &str, random: &Random) -> Self {
        let secret = secrets::fresh(random);
        Self { hash: SecretHash::of(&secret), url: Secret::new(format!("{public_url}/claim#{}", secret.expose())) }
    }
}

/// Invites an operator, where there is none and none is invited: what a start does.
pub async fn first_operator(
    sign_ins: &dyn SignIns,
    people: &dyn People,
    link: Link,
    now_unix_ms: i64,
) -> Result<Option<Secret>, StoreError> {
    if sign_ins.has_operator().await? {
        return Ok(None);
    }
    invite_operator(people, link, PROPOSED, now_unix_ms).await.map(Some)
}

/// Invites an operator: what `bellhop operator invite` does.
pub async fn invite_operator(
    people: &dyn People,
    link: Link,
    login: &str,
    now_unix_ms: i64,
) -> Result<Secret, StoreError> {
    let expires_unix_ms = now_unix_ms.saturating_add(i64::try_from(CLAIM_LASTS.as_millis()).unwrap_or(i64::MAX));
    let (login, standing) = (login.to_owned(), Standing::Operator);
    let by = Author { signed_in: SignedIn::on_this_machine("bellhop"), from: "this machine".to_owned() };
    people.invite(&by, Invitation { login, standing, hash: link.hash, expires_unix_ms }).await?;
    Ok(link.url)
}

/// Writes a link into a folder, in a file that only its owner reads; one that is there already is of an older link.
pub fn keep(link: &Secret, folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join(CLAIM_FILE);
    match remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A file that is new is nobody else's, and no link of the file system to one.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    writeln!(file, "{}", link.expose())?;
    file.sync_all()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::sign_in::stand_in::{BEGIN, Kept};

    #[actix_web::test]
    async fn a_server_without_an_operator_invites_one_and_no_second() {
        let kept = Kept::new();
        let link = || Link::fresh("https://bellhop.example", &kept.random());
        let first = first_operator(&*kept, &*kept, link(), BEGIN).await.expect("kept").expect("a link");
        let secret = first.expose().strip_prefix("https://bellhop.example/claim#").expect("behind the #");
        let hash = SecretHash::of(&Secret::new(secret));
        let last = BEGIN + 24 * 3_600_000 - 1;
        let invited = kept.invitation(&hash, last).await.expect("kept");
        assert_eq!(invited, Some(("operator".to_owned(), Standing::Operator)));
        assert_eq!(kept.invitation(&hash, last + 1).await.expect("kept"), None);
        assert_eq!(first_operator(&*kept, &*kept, link(), BEGIN).await.expect("kept"), None, "one waits");
        kept.pass(CLAIM_LASTS);
        assert!(first_operator(&*kept, &*kept, link(), kept.now()).await.expect("kept").is_some(), "it is over");
        kept.user("root", Standing::Operator);
        kept.pass(CLAIM_LASTS);
        assert_eq!(first_operator(&*kept, &*kept, link(), kept.now()).await.expect("kept"), None);
        assert!(!format!("{:?}", link()).contains('#'));
    }

    #[test]
    fn the_file_of_a_link_is_its_owners_alone_and_follows_no_link() {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path();
        let elsewhere = folder.join("elsewhere");
        std::fs::write(&elsewhere, "mine").expect("a file");
        symlink(&elsewhere, folder.join(CLAIM_FILE)).expect("a link");
        for text in ["https://a/claim#1", "https://a/claim#2"] {
            let path = keep(&Secret::new(text), folder).expect("kept");
            assert_eq!(std::fs::read_to_string(&path).expect("readable"), format!("{text}\n"));
            assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_to_string(&elsewhere).expect("readable"), "mine");
        std::fs::remove_dir_all(folder).expect("removed");
        assert!(keep(&Secret::new("x"), folder).is_err());
    }
}
