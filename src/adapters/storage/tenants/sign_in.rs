//! What the sign-in asks, before anybody is signed in.
//!
//! Invariant: an invitation makes one user, however many accept it at the same moment; a password that is set anew ends the other
//! sessions of its user. Of a login that nobody has, nothing is kept: it may be a password in the wrong field.

use std::sync::{Mutex, PoisonError};

use bellhop_tenancy::access::{Credential, CredentialKind, SESSION_IDLE_MAX, SecretHash, ShownBy, Standing};
use bellhop_tenancy::id::Id;
use bellhop_tenancy::store::{Answer, AuditOutcome, KeptUser, NewSession, NewUser, PasswordRow, SignIns, StoreError};

use super::change::{Change, Noted};
use super::rows::{parsed, text};
use super::users::{self, add_ways, check_login, folded, kept};
use super::{SqlTenants, answer, args, credentials, invitations, unix_now_ms};

/// How exactly it is kept when a credential was shown last, in milliseconds.
const SEEN_TO: i64 = 60_000;
/// Most bytes of an issuer or a subject that is looked for.
const IDENTITY_BYTES_MAX: usize = 2_000;
/// Failed sign-ins that are noted one by one in a minute; the audit is never cut.
const FAILURES_MAX: u32 = 60;

const PASSWORD: &str = "SELECT id, password FROM users
    WHERE folded_login = $1 AND enabled = 1 AND password IS NOT NULL";
const SET_PASSWORD: &str =
    "UPDATE users SET password = $2, changed_unix_ms = $3, revision = revision + 1 WHERE id = $1";
const REHASH: &str = "UPDATE users SET password = $3 WHERE id = $1 AND password = $2";
const END_OTHERS: &str = "DELETE FROM credentials WHERE user_id = $1 AND kind = 'session' AND id <> $2";
const OF_IDENTITY: &str = "SELECT u.id, u.login, u.tenant, u.role, u.password, u.enabled, u.created_unix_ms,
    u.changed_unix_ms, u.revision FROM users u JOIN identities i ON i.user_id = u.id
    WHERE i.issuer = $1 AND i.subject = $2";
const CREDENTIAL: &str = "SELECT c.id, c.hash, u.id, u.login, c.tenant, c.role, u.tenant, u.role, c.seen_unix_ms,
    c.expires_unix_ms FROM credentials c JOIN users u ON u.id = c.user_id
    WHERE c.hash = $1 AND c.kind = $2 AND u.enabled = 1 AND c.expires_unix_ms > $3";
const SEEN: &str = "UPDATE credentials SET seen_unix_ms = $2 WHERE id = $1";
const END_SESSION: &str = "DELETE FROM credentials WHERE id = $1 AND kind = 'session'";
const OPERATORS: &str = "SELECT count(*) FROM users WHERE tenant IS NULL AND enabled = 1";
const INVITED: &str = "SELECT count(*) FROM invitations WHERE tenant IS NULL AND expires_unix_ms > $1";
const OF_LOGIN: &str = "SELECT id, login, tenant, role, password, enabled, created_unix_ms, changed_unix_ms, revision
    FROM users WHERE folded_login = $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 11] = [
    PASSWORD,
    SET_PASSWORD,
    REHASH,
    END_OTHERS,
    OF_IDENTITY,
    CREDENTIAL,
    SEEN,
    END_SESSION,
    OPERATORS,
    INVITED,
    OF_LOGIN,
];

/// Failed sign-ins of this minute.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<(i64, u32)>);

impl Failures {
    /// Whether one more is noted by itself.
    fn is_noted(&self, now_ms: i64) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now_ms / 60_000;
        if counted.0 != minute {
            *counted = (minute, 0);
        }
        counted.1 = counted.1.saturating_add(1);
        if counted.1 == FAILURES_MAX + 1 {
            tracing::warn!(most = FAILURES_MAX, "more sign-ins fail in this minute than the audit notes one by one");
        }
        counted.1 <= FAILURES_MAX
    }
}

impl SignIns for SqlTenants {
    fn password<'a>(&'a self, login: &'a str) -> Answer<'a, Option<PasswordRow>> {
        answer(async move {
            // What no login can be is nobody's, and not every database takes it for a text.
            let known = check_login(login).is_ok();
            let rows = if known { self.fetch(PASSWORD, args![&folded(login)]).await? } else { vec![] };
            let row =
                rows.first().map(|row| Ok::<_, StoreError>(PasswordRow { user: parsed(row, 0)?, phc: text(row, 1)? }));
            row.transpose()
        })
    }

    fn set_password<'a>(&'a self, user: Id, phc: &'a str, but: Option<Id>) -> Answer<'a, ()> {
        answer(async move {
            let mut change = self.begin().await?;
            let set = set_password(&mut change, user, phc, but).await;
            self.end(change, set).await
        })
    }

    fn keep_rehashed<'a>(&'a self, user: Id, was: &'a str, phc: &'a str) -> Answer<'a, ()> {
        answer(async move {
            let mut transaction = self.0.database.begin().await?;
            transaction.execute(REHASH, args![&user.to_string(), was, phc]).await?;
            Ok(transaction.commit().await?)
        })
    }

    fn open_id_user<'a>(&'a self, issuer: &'a str, subject: &'a str) -> Answer<'a, Option<KeptUser>> {
        answer(async move {
            let can_be = |text: &str| text.len() <= IDENTITY_BYTES_MAX && !text.contains(char::is_control);
            let known = can_be(issuer) && can_be(subject);
            let rows = if known { self.fetch(OF_IDENTITY, args![issuer, subject]).await? } else { vec![] };
            let Some(row) = rows.first() else { return Ok(None) };
            let mut user = kept(row)?;
            let ways = self.fetch(users::WAYS, args![&user.id.to_string()]).await?;
            add_ways(std::slice::from_mut(&mut user), &ways)?;
            Ok(Some(user))
        })
    }

    fn credential<'a>(
        &'a self,
        kind: CredentialKind,
        hash: &'a SecretHash,
        now_unix_ms: i64,
        by: ShownBy,
    ) -> Answer<'a, Option<Credential>> {
        answer(async move {
            let rows = self.fetch(CREDENTIAL, args![&hash.hex(), credentials::word(kind), now_unix_ms]).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let (id, seen): (Id, i64) = (parsed(row, 0)?, row.integer(8)?);
            let idle = now_unix_ms.saturating_sub(seen);
            let idle_max = i64::try_from(SESSION_IDLE_MAX.as_millis()).unwrap_or(i64::MAX);
            if kind == CredentialKind::Session && idle >= idle_max {
                return Ok(None);
            }
            if by == ShownBy::Somebody
                && idle >= SEEN_TO
                && let Err(error) = self.note_seen(id, now_unix_ms).await
            {
                // Nobody is signed out by a disk that is full.
                tracing::warn!(%error, "it could not be noted that somebody is signed in");
            }
            Ok(Some(Credential {
                id,
                kind,
                hash: credentials::hash(row, 1)?,
                user: parsed(row, 2)?,
                name: text(row, 3)?,
                standing: credentials::shown(row, 4)?,
                expires_unix_ms: row.integer(9)?,
            }))
        })
    }

    fn add_session(&self, session: NewSession) -> Answer<'_, Id> {
        answer(async move {
            let mut change = self.begin().await?;
            let added = credentials::add_session(&mut change, &session).await;
            self.end(change, added).await
        })
    }

    fn end_session(&self, id: Id) -> Answer<'_, ()> {
        answer(async move {
            let mut transaction = self.0.database.begin().await?;
            transaction.execute(END_SESSION, args![&id.to_string()]).await?;
            Ok(transaction.commit().await?)
        })
    }

    fn invitation<'a>(&'a self, hash: &'a SecretHash, now_unix_ms: i64) -> Answer<'a, Option<(String, Standing)>> {
        answer(async move {
            let rows = self.fetch(invitations::OF_HASH, args![&hash.hex(), now_unix_ms]).await?;
            let kept = rows.first().map(invitations::kept).transpose()?;
            Ok(kept.map(|invitation| (invitation.login, invitation.standing)))
        })
    }

    fn accept<'a>(&'a self, hash: &'a SecretHash, user: NewUser, from: &'a str) -> Answer<'a, KeptUser> {
        answer(async move {
            let mut change = self.begin().await?;
            let accepted = accept(&mut change, hash, user, from).await;
            self.end(change, accepted).await
        })
    }

    fn has_operator(&self) -> Answer<'_, bool> {
        answer(async {
            let operators = self.find(OPERATORS, args![]).await?.integer(0)?;
            Ok(operators > 0 || self.find(INVITED, args![unix_now_ms()]).await?.integer(0)? > 0)
        })
    }

    fn note_sign_in<'a>(&'a self, login: &'a str, from: &'a str, good: bool) -> Answer<'a, ()> {
        answer(async move {
            if !good && !self.0.failures.is_noted(unix_now_ms()) {
                return Ok(());
            }
            let mut change = self.begin().await?;
            let noted = note(&mut change, login, from, good).await;
            self.end(change, noted).await
        })
    }
}

impl SqlTenants {
    async fn note_seen(&self, id: Id, now_unix_ms: i64) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        transaction.execute(SEEN, args![&id.to_string(), now_unix_ms]).await?;
        Ok(transaction.commit().await?)
    }
}

async fn set_password(change: &mut Change, user: Id, phc: &str, but: Option<Id>) -> Result<(), StoreError> {
    let id = user.to_string();
    let of = kept(&change.find(users::ONE, args![&id, None::<&str>]).await?)?;
    change.execute(SET_PASSWORD, args![&id, phc, change.now_ms]).await?;
    // No session has an identifier of nothing.
    let but = but.map(|id| id.to_string()).unwrap_or_default();
    change.execute(END_OTHERS, args![&id, &but]).await?;
    let noted = Noted {
        action: "user.change",
        tenant: of.standing.tenant(),
        on: Some(id),
        fields: vec!["password".to_owned()],
    };
    change.note_as(Some(user), &of.login, "", AuditOutcome::Done, noted).await
}

async fn accept(change: &mut Change, hash: &SecretHash, user: NewUser, from: &str) -> Result<KeptUser, StoreError> {
    let invitation = invitations::take(change, hash).await?;
    let user = users::add(change, invitation.standing, user).await?;
    let noted = Noted {
        action: "invitation.accept",
        tenant: user.standing.tenant(),
        on: Some(user.id.to_string()),
        fields: vec![],
    };
    change.note_as(Some(user.id), &user.login, from, AuditOutcome::Done, noted).await?;
    Ok(user)
}

async fn note(change: &mut Change, login: &str, from: &str, good: bool) -> Result<(), StoreError> {
    let row = match check_login(login) {
        Ok(()) => change.look(OF_LOGIN, args![&folded(login)]).await?,
        Err(_) => None,
    };
    let user = row.as_ref().map(kept).transpose()?;
    let (id, name, tenant) = match &user {
        Some(user) => (Some(user.id), user.login.as_str(), user.standing.tenant()),
        None => (None, "somebody", None),
    };
    let outcome = if good { AuditOutcome::Done } else { AuditOutcome::Refused };
    let noted = Noted { action: "sign_in", tenant, on: id.map(|id| id.to_string()), fields: vec![] };
    change.note_as(id, name, from, outcome, noted).await
}
