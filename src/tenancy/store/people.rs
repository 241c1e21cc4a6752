//! Users, invitations, sessions and tokens, as they are looked after by those who may.

use crate::access::{Author, CredentialKind, Role, Scope, SecretHash, Standing};
use crate::id::{Id, TenantId};

use super::{Answer, Listed, Page, Revision, Stamp};

/// A user as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptUser {
    /// Names them.
    pub id: Id,
    /// Their name for signing in: an address of mail or any other text, unique, compared without case.
    pub login: String,
    /// What they are.
    pub standing: Standing,
    /// How they sign in.
    pub ways: Vec<SignInWay>,
    /// Whether they may sign in.
    pub enabled: bool,
    /// When, and which revision.
    pub stamp: Stamp,
}

/// How somebody signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInWay {
    /// By a password.
    Password,
    /// As who an OpenID provider says they are: by issuer and subject, never by an address of mail.
    OpenId {
        /// `iss`
        issuer: String,
        /// `sub`
        subject: String,
    },
}

/// A user to be made by whoever accepts an invitation.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Their name for signing in.
    pub login: String,
    /// The hash of their password in PHC form; none for who signs in by a provider.
    pub password_phc: Option<String>,
    /// Who a provider says they are.
    pub open_id: Option<(String, String)>,
}

/// What changes of a user; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// What they may do: of an operator nothing else, of a tenant's people what a tenant has.
    pub role: Option<Role>,
    /// Whether they may sign in; who may not is signed out everywhere.
    pub enabled: Option<bool>,
}

/// An invitation to be made; who accepts it becomes a user of this standing.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// For whom: shown to who invites, and the login that is proposed.
    pub login: String,
    /// What they will be.
    pub standing: Standing,
    /// Of its secret, which is in the link.
    pub hash: SecretHash,
    /// When it ends, in milliseconds since 1970.
    pub expires_unix_ms: i64,
}

/// An invitation as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptInvitation {
    /// Names it.
    pub id: Id,
    /// For whom.
    pub login: String,
    /// What they will be.
    pub standing: Standing,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_ms: i64,
    /// When it ends.
    pub expires_unix_ms: i64,
}

/// Whose token or session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Whoever asks.
    Own,
    /// Anybody whom the scope reaches.
    Anybody,
}

/// A token to be made, of whoever makes it.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// What it may do: no more than who makes it.
    pub standing: Standing,
    /// Of its secret.
    pub hash: SecretHash,
    /// When it ends, in milliseconds since 1970.
    pub expires_unix_ms: i64,
}

/// A session or token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCredential {
    /// Names it.
    pub id: Id,
    /// Which of the two.
    pub kind: CredentialKind,
    /// Whose it is.
    pub user: Id,
    /// What it is for; the browser of a session.
    pub name: String,
    /// What it may do.
    pub standing: Standing,
    /// From where it was made.
    pub from: String,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_ms: i64,
    /// When it was shown last, to a minute.
    pub seen_unix_ms: i64,
    /// When it ends.
    pub expires_unix_ms: i64,
}

/// Looks after people.
pub trait People: Send + Sync {
    /// Those that the scope reaches; operators see operators too.
    fn users<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptUser>>;

    /// One of them.
    fn user<'a>(&'a self, scope: &'a Scope, id: Id) -> Answer<'a, KeptUser>;

    /// Changes one. The last operator who may sign in stays one.
    fn change_user<'a>(&'a self, by: &'a Author, id: Id, seen: Revision, change: UserChange) -> Answer<'a, KeptUser>;

    /// Deletes one with their sessions and tokens. The last operator who may sign in stays.
    fn delete_user<'a>(&'a self, by: &'a Author, id: Id, seen: Revision) -> Answer<'a, ()>;

    /// Invitations that wait.
    fn invitations<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptInvitation>>;

    /// Invites somebody.
    fn invite<'a>(&'a self, by: &'a Author, invitation: Invitation) -> Answer<'a, KeptInvitation>;

    /// Takes an invitation back.
    fn revoke_invitation<'a>(&'a self, by: &'a Author, id: Id) -> Answer<'a, ()>;

    /// Sessions or tokens.
    fn credentials<'a>(
        &'a self,
        by: &'a Author,
        kind: CredentialKind,
        owner: Owner,
        page: Page,
    ) -> Answer<'a, Listed<KeptCredential>>;

    /// Makes a token.
    fn add_token<'a>(&'a self, by: &'a Author, token: NewToken) -> Answer<'a, KeptCredential>;

    /// Ends a session or a token; their own, or anybody's for who may.
    fn revoke<'a>(&'a self, by: &'a Author, kind: CredentialKind, owner: Owner, id: Id) -> Answer<'a, ()>;

    /// A tenant that a user belongs to, for what is shown.
    fn tenant_name(&self, tenant: TenantId) -> Answer<'_, String>;
}
