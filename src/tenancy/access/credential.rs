//! A session or a token as it is kept, and whether what somebody shows is its secret.
//!
//! Invariant: what is kept of a secret is its SHA-256: whoever reads the store signs nobody in. The secrets are 32 random
//! bytes, so that a hash without salt or stretching gives nothing away.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::Secret;
use crate::id::Id;

use super::role::Standing;
use super::scope::SignedIn;

/// The longest that a session lasts, however much it is used: people sign in once in a working day.
pub const SESSION_MAX: Duration = Duration::from_secs(12 * 3600);
/// The longest that a session lasts which nobody uses: somebody has left their desk.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 60);

/// The SHA-256 of a secret of a session, token, claim or invitation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

/// What somebody can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A browser's.
    Session,
    /// A program's.
    Token,
}

/// Who has a secret shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShownBy {
    /// Somebody who is there.
    Somebody,
    /// A page that asks again by itself: nobody need be there, and a session that is used by none but these ends.
    Itself,
}

/// A session or token as it is kept, with whose it is.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Names it; shown in lists.
    pub id: Id,
    /// Which of the two.
    pub kind: CredentialKind,
    /// Of its secret.
    pub hash: SecretHash,
    /// Whose it is.
    pub user: Id,
    /// What they are called.
    pub name: String,
    /// What they are: that of the user at this time, or less for a token.
    pub standing: Standing,
    /// When it ends, in milliseconds since 1970.
    pub expires_unix_ms: i64,
}

/// Why nobody is signed in by what was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// It is another's secret.
    #[error("the secret is not this credential's")]
    WrongSecret,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
}

impl SecretHash {
    /// Of a secret as it is shown.
    pub fn of(secret: &Secret) -> Self {
        Self(Sha256::digest(secret.expose()).into())
    }

    /// As it is kept: 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From how it is kept.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(redacted)")
    }
}

impl Credential {
    /// Signs its user in, if the secret is its own and its time is not over.
    pub fn admit(&self, shown: &Secret, now_unix_ms: i64) -> Result<SignedIn, NotAdmitted> {
        if SecretHash::of(shown) != self.hash {
            return Err(NotAdmitted::WrongSecret);
        }
        if now_unix_ms >= self.expires_unix_ms {
            return Err(NotAdmitted::Expired);
        }
        let by_token = self.kind == CredentialKind::Token;
        Ok(SignedIn::new(self.user, self.id, self.name.clone(), self.standing, by_token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Role, TenantRole};
    use crate::id::TenantId;

    fn id(n: u8) -> Id {
        Id::new(1, [n; 10])
    }

    #[test]
    fn only_its_own_secret_in_its_time_signs_in_and_reaches_its_tenant_alone() {
        let (own, other) = (TenantId(id(1)), TenantId(id(2)));
        let secret = Secret::new("s3cret");
        let credential = Credential {
            id: id(3),
            kind: CredentialKind::Token,
            hash: SecretHash::of(&secret),
            user: id(4),
            name: "ci".into(),
            standing: Standing::OfTenant(own, TenantRole::Viewer),
            expires_unix_ms: 100,
        };
        assert_eq!(credential.admit(&Secret::new("s3cres"), 0), Err(NotAdmitted::WrongSecret));
        assert_eq!(credential.admit(&secret, 100), Err(NotAdmitted::Expired));
        let scope = credential.admit(&secret, 99).expect("signed in").scope();
        assert!(scope.reaches(own) && !scope.reaches(other));
        assert_eq!((scope.narrowed(other), scope.narrowed(own)), (None, Some(scope)));
        let operator = SignedIn::on_this_machine("test").scope();
        assert_eq!(operator.narrowed(own).map(|scope| scope.reaches(other)), Some(false), "narrowed is narrowed");
    }

    #[test]
    fn a_hash_is_kept_and_found_again_and_never_printed() {
        let hash = SecretHash::of(&Secret::new("x"));
        assert_eq!(SecretHash::from_hex(&hash.hex()), Some(hash));
        assert_eq!(SecretHash::from_hex("12"), None);
        assert_eq!(SecretHash::from_hex(&"é".repeat(32)), None);
        assert_eq!(format!("{hash:?}"), "SecretHash(redacted)");
    }

    #[test]
    fn an_operator_is_of_no_tenant_and_everybody_else_of_one() {
        let tenant = TenantId(id(1));
        for (word, role) in Role::ALL {
            assert_eq!((role.to_string().as_str(), word.parse()), (word, Ok(role)));
            let (of_one, of_none) = (Standing::of(role, Some(tenant)), Standing::of(role, None));
            assert_eq!((of_one.is_none(), of_none.is_some()), (role == Role::Operator, role == Role::Operator));
            let standing = of_one.or(of_none).expect("one of the two");
            assert_eq!(standing.role(), role);
        }
    }
}
