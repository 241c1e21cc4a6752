//! What the sign-in alone asks: before anybody is signed in there is no scope.
//!
//! Every store promises: nothing but the sign-in of `src/console/` and the command line holds this port.

use crate::access::{Credential, CredentialKind, SecretHash, ShownBy, Standing};
use crate::id::Id;

use super::{Answer, KeptUser, NewUser};

/// A user's password as it is kept.
#[derive(Debug, Clone)]
pub struct PasswordRow {
    /// Whose.
    pub user: Id,
    /// Its hash in PHC form; it is compared with as much work for a name that nobody has.
    pub phc: String,
}

/// A session to be made.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Whose.
    pub user: Id,
    /// Of its secret, which is in the cookie.
    pub hash: SecretHash,
    /// The browser, as it calls itself; at most 200 characters are kept.
    pub name: String,
    /// From where.
    pub from: String,
    /// When it ends, in milliseconds since 1970.
    pub expires_unix_ms: i64,
}

/// What the sign-in asks.
pub trait SignIns: Send + Sync {
    /// The password of a login, of somebody who may sign in.
    fn password<'a>(&'a self, login: &'a str) -> Answer<'a, Option<PasswordRow>>;

    /// Sets a user's password, and ends their sessions but the one that is named.
    fn set_password<'a>(&'a self, user: Id, phc: &'a str, but: Option<Id>) -> Answer<'a, ()>;

    /// Keeps a newer hash of the same password, if the hash is still the one that it was made instead of; no session ends.
    fn keep_rehashed<'a>(&'a self, user: Id, was: &'a str, phc: &'a str) -> Answer<'a, ()>;

    /// The user that a provider calls so, whether or not they may sign in.
    fn open_id_user<'a>(&'a self, issuer: &'a str, subject: &'a str) -> Answer<'a, Option<KeptUser>>;

    /// The session or token with this hash, of somebody who may sign in. Notes that somebody showed it, once in a
    /// minute. A session that nobody showed for [`crate::access::SESSION_IDLE_MAX`] is none, and is not noted; nor is what has expired.
    fn credential<'a>(
        &'a self,
        kind: CredentialKind,
        hash: &'a SecretHash,
        now_unix_ms: i64,
        by: ShownBy,
    ) -> Answer<'a, Option<Credential>>;

    /// Makes a session; the oldest of a user who has too many ends.
    fn add_session(&self, session: NewSession) -> Answer<'_, Id>;

    /// Ends a session.
    fn end_session(&self, id: Id) -> Answer<'_, ()>;

    /// Whom an unexpired invitation is for; none if there is none of this hash.
    fn invitation<'a>(&'a self, hash: &'a SecretHash, now_unix_ms: i64) -> Answer<'a, Option<(String, Standing)>>;

    /// Makes a user of an unexpired invitation, which is used up by that.
    fn accept<'a>(&'a self, hash: &'a SecretHash, user: NewUser, from: &'a str) -> Answer<'a, KeptUser>;

    /// Whether there is an operator, or an invitation that makes one.
    fn has_operator(&self) -> Answer<'_, bool>;

    /// Notes in the audit that somebody tried to sign in, and what came of it; `login` is kept in as much as it is a known one.
    fn note_sign_in<'a>(&'a self, login: &'a str, from: &'a str, good: bool) -> Answer<'a, ()>;
}
