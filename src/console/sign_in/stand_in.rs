//! A store of people in memory and a clock that only tests move, for tests of the sign-in and of what stands behind it.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix_web::web::Data;
use bellhop_tenancy::Secret;
use bellhop_tenancy::access::{
    Author, Credential, CredentialKind, Role, SESSION_IDLE_MAX, SESSION_MAX, Scope, SecretHash, ShownBy, Standing,
    TenantRole,
};
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{
    Answer, Audit, AuditLine, AuditWanted, ChainBroken, Invitation, KeptCredential, KeptInvitation, KeptUser, Listed,
    NewAuditLine, NewSession, NewToken, NewUser, Owner, Page, PasswordRow, People, Revision, SignInWay, SignIns, Stamp,
    StoreError, UserChange,
};

use super::password::Cost;
use super::{Clock, Ports, Random, Settings, SignIn, csrf, secrets};

/// When tests begin, in milliseconds since 1970.
pub(crate) const BEGIN: i64 = 1_800_000_000_000;
/// Where the server of tests is.
pub(crate) const PUBLIC_URL: &str = "https://bellhop.example";

/// A hash that tests have time for.
pub(crate) const CHEAP: Cost = Cost { memory_kib: 8, passes: 1 };

/// What is kept, and the time.
pub(crate) struct Kept {
    now: AtomicI64,
    made: AtomicU8,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) users: Vec<User>,
    pub(crate) credentials: Vec<(SecretHash, KeptCredential)>,
    pub(crate) invitations: Vec<(SecretHash, KeptInvitation)>,
    pub(crate) notes: Vec<(String, String, bool)>,
    pub(crate) lines: Vec<NewAuditLine>,
    /// How often a session or token was looked for.
    pub(crate) lookups: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: Id,
    pub(crate) login: String,
    pub(crate) standing: Standing,
    pub(crate) phc: Option<String>,
    pub(crate) open_id: Option<(String, String)>,
    pub(crate) enabled: bool,
}

/// A browser that is signed in.
pub(crate) struct Browser {
    pub(crate) cookie: String,
    pub(crate) csrf_token: String,
}

impl Kept {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { now: AtomicI64::new(BEGIN), made: AtomicU8::new(0), state: Mutex::default() })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics inside")
    }

    pub(crate) fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.now.fetch_add(i64::try_from(time.as_millis()).expect("short"), Ordering::SeqCst);
    }

    /// Another identifier.
    pub(crate) fn id(&self) -> Id {
        Id::new(self.now(), [self.made.fetch_add(1, Ordering::SeqCst); 10])
    }

    /// Randomness that is another each time.
    pub(crate) fn random(self: &Arc<Self>) -> Random {
        let kept = Arc::clone(self);
        Box::new(move |bytes| bytes.fill(kept.made.fetch_add(1, Ordering::SeqCst)))
    }

    pub(crate) fn user(&self, login: &str, standing: Standing) -> Id {
        let id = self.id();
        let user = User { id, login: login.to_owned(), standing, phc: None, open_id: None, enabled: true };
        self.state().users.push(user);
        id
    }

    /// A session as a sign-in makes it.
    pub(crate) fn browser(self: &Arc<Self>, user: Id) -> Browser {
        let secret = secrets::fresh(&self.random());
        self.keep(CredentialKind::Session, self.made_by(user, &secret, SESSION_MAX), None);
        let cookie = format!("__Host-bellhop={}", secret.expose());
        Browser { cookie, csrf_token: csrf::token(&secret) }
    }

    /// The text of a token that is good for an hour.
    pub(crate) fn token(self: &Arc<Self>, user: Id) -> String {
        let secret = secrets::fresh_token(&self.random());
        self.keep(CredentialKind::Token, self.made_by(user, &secret, Duration::from_secs(3600)), None);
        secret.expose().to_owned()
    }

    fn made_by(&self, user: Id, secret: &Secret, lasts: Duration) -> NewSession {
        let (name, from) = ("test".to_owned(), "192.0.2.1".to_owned());
        let expires_unix_ms = self.now() + lasts.as_millis() as i64;
        NewSession { user, hash: SecretHash::of(secret), name, from, expires_unix_ms }
    }

    fn keep(&self, kind: CredentialKind, made: NewSession, standing: Option<Standing>) -> KeptCredential {
        let (id, now) = (self.id(), self.now());
        let NewSession { user, hash, name, from, expires_unix_ms } = made;
        let mut state = self.state();
        let of_user = state.users.iter().find(|known| known.id == user).expect("a user").standing;
        let standing = standing.unwrap_or(of_user);
        let (created_unix_ms, seen_unix_ms) = (now, now);
        let kept =
            KeptCredential { id, kind, user, name, standing, from, created_unix_ms, seen_unix_ms, expires_unix_ms };
        state.credentials.push((hash, kept.clone()));
        kept
    }

    /// The sign-in of a server that keeps this.
    pub(crate) fn sign_in(self: &Arc<Self>) -> Data<SignIn> {
        self.sign_in_with(Settings::at(PUBLIC_URL).expect("an address"))
    }

    pub(crate) fn sign_in_with(self: &Arc<Self>, settings: Settings) -> Data<SignIn> {
        Data::new(
            SignIn::new(self.ports(), Settings { cost: CHEAP, ..settings }, self.clock(), self.random())
                .expect("threads"),
        )
    }

    pub(crate) fn ports(self: &Arc<Self>) -> Ports {
        Ports { sign_ins: self.clone(), people: self.clone(), audit: self.clone(), provider: None }
    }

    pub(crate) fn clock(self: &Arc<Self>) -> Clock {
        let (one, other) = (Arc::clone(self), Arc::clone(self));
        let since = move || Duration::from_millis(u64::try_from(other.now() - BEGIN).expect("time goes on"));
        Clock { unix_ms: Box::new(move || one.now()), monotonic: Box::new(since) }
    }
}

/// Somebody of a tenant.
pub(crate) fn of_tenant(tenant: u8, role: TenantRole) -> Standing {
    Standing::OfTenant(TenantId(Id::new(1, [tenant; 10])), role)
}

fn answer<'a, T: Send + 'a>(what: Result<T, StoreError>) -> Answer<'a, T> {
    Box::pin(std::future::ready(what))
}

fn kept_user(user: &User) -> KeptUser {
    let by_provider = user.open_id.clone().map(|(issuer, subject)| SignInWay::OpenId { issuer, subject });
    let ways = user.phc.is_some().then_some(SignInWay::Password).into_iter().chain(by_provider).collect();
    let stamp = Stamp { created_unix_ms: BEGIN, changed_unix_ms: BEGIN, revision: 1, change: 1 };
    KeptUser { id: user.id, login: user.login.clone(), standing: user.standing, ways, enabled: user.enabled, stamp }
}

impl SignIns for Kept {
    fn password<'a>(&'a self, login: &'a str) -> Answer<'a, Option<PasswordRow>> {
        let state = self.state();
        let user = state.users.iter().find(|user| user.enabled && user.login.eq_ignore_ascii_case(login));
        let row = user.and_then(|user| Some(PasswordRow { user: user.id, phc: user.phc.clone()? }));
        answer(Ok(row))
    }

    fn set_password<'a>(&'a self, user: Id, phc: &'a str, but: Option<Id>) -> Answer<'a, ()> {
        let mut state = self.state();
        state.users.iter_mut().filter(|known| known.id == user).for_each(|user| user.phc = Some(phc.to_owned()));
        let ends =
            |kept: &KeptCredential| kept.user == user && kept.kind == CredentialKind::Session && Some(kept.id) != but;
        state.credentials.retain(|(_, kept)| !ends(kept));
        answer(Ok(()))
    }

    fn keep_rehashed<'a>(&'a self, user: Id, was: &'a str, phc: &'a str) -> Answer<'a, ()> {
        let mut state = self.state();
        let same = state.users.iter_mut().filter(|known| known.id == user && known.phc.as_deref() == Some(was));
        same.for_each(|user| user.phc = Some(phc.to_owned()));
        answer(Ok(()))
    }

    fn open_id_user<'a>(&'a self, issuer: &'a str, subject: &'a str) -> Answer<'a, Option<KeptUser>> {
        let state = self.state();
        let shown = Some((issuer.to_owned(), subject.to_owned()));
        answer(Ok(state.users.iter().find(|user| user.open_id == shown).map(kept_user)))
    }

    fn credential<'a>(
        &'a self,
        kind: CredentialKind,
        hash: &'a SecretHash,
        now_unix_ms: i64,
        by: ShownBy,
    ) -> Answer<'a, Option<Credential>> {
        let mut state = self.state();
        state.lookups += 1;
        let State { users, credentials, .. } = &mut *state;
        let idle = |kept: &KeptCredential| {
            kind == CredentialKind::Session && now_unix_ms - kept.seen_unix_ms >= SESSION_IDLE_MAX.as_millis() as i64
        };
        let found = credentials.iter_mut().find(|(of, kept)| of == hash && kept.kind == kind && !idle(kept));
        let credential = found.and_then(|(hash, kept)| {
            let user = users.iter().find(|user| user.id == kept.user && user.enabled)?;
            if by == ShownBy::Somebody {
                kept.seen_unix_ms = now_unix_ms;
            }
            let (id, kind, user, name) = (kept.id, kept.kind, user.id, user.login.clone());
            let (standing, expires_unix_ms) = (kept.standing, kept.expires_unix_ms);
            Some(Credential { id, kind, hash: *hash, user, name, standing, expires_unix_ms })
        });
        answer(Ok(credential))
    }

    fn add_session(&self, session: NewSession) -> Answer<'_, Id> {
        answer(Ok(self.keep(CredentialKind::Session, session, None).id))
    }

    fn end_session(&self, id: Id) -> Answer<'_, ()> {
        self.state().credentials.retain(|(_, kept)| kept.id != id);
        answer(Ok(()))
    }

    fn invitation<'a>(&'a self, hash: &'a SecretHash, now_unix_ms: i64) -> Answer<'a, Option<(String, Standing)>> {
        let state = self.state();
        let found = state.invitations.iter().find(|(of, kept)| of == hash && now_unix_ms < kept.expires_unix_ms);
        answer(Ok(found.map(|(_, kept)| (kept.login.clone(), kept.standing))))
    }

    fn accept<'a>(&'a self, hash: &'a SecretHash, user: NewUser, _from: &'a str) -> Answer<'a, KeptUser> {
        let (id, now) = (self.id(), self.now());
        let mut state = self.state();
        let at = state.invitations.iter().position(|(of, kept)| of == hash && now < kept.expires_unix_ms);
        let Some(at) = at else { return answer(Err(StoreError::NotFound)) };
        if state.users.iter().any(|known| known.login.eq_ignore_ascii_case(&user.login)) {
            return answer(Err(StoreError::Taken("the login is another's".to_owned())));
        }
        let (_, invitation) = state.invitations.remove(at);
        let NewUser { login, password_phc: phc, open_id } = user;
        state.users.push(User { id, login, standing: invitation.standing, phc, open_id, enabled: true });
        answer(Ok(kept_user(state.users.last().expect("pushed"))))
    }

    fn has_operator(&self) -> Answer<'_, bool> {
        let (state, now) = (self.state(), self.now());
        let waits = |kept: &KeptInvitation| kept.standing == Standing::Operator && now < kept.expires_unix_ms;
        let there = state.users.iter().any(|user| user.standing == Standing::Operator);
        answer(Ok(there || state.invitations.iter().any(|(_, kept)| waits(kept))))
    }

    fn note_sign_in<'a>(&'a self, login: &'a str, from: &'a str, good: bool) -> Answer<'a, ()> {
        self.state().notes.push((login.to_owned(), from.to_owned(), good));
        answer(Ok(()))
    }
}

/// What resources of people ask is not the sign-in's, and is not asked here.
impl People for Kept {
    fn users<'a>(&'a self, _: &'a Scope, _: Page) -> Answer<'a, Listed<KeptUser>> {
        unreachable!("asked by resources")
    }

    fn user<'a>(&'a self, scope: &'a Scope, id: Id) -> Answer<'a, KeptUser> {
        let state = self.state();
        let reached = |user: &&User| match user.standing.tenant() {
            Some(tenant) => scope.reaches(tenant),
            None => scope.tenant().is_none(),
        };
        let found = state.users.iter().filter(reached).find(|user| user.id == id);
        answer(found.map(kept_user).ok_or(StoreError::NotFound))
    }

    fn change_user<'a>(&'a self, _: &'a Author, _: Id, _: Revision, _: UserChange) -> Answer<'a, KeptUser> {
        unreachable!("asked by resources")
    }

    fn delete_user<'a>(&'a self, _: &'a Author, _: Id, _: Revision) -> Answer<'a, ()> {
        unreachable!("asked by resources")
    }

    fn invitations<'a>(&'a self, _: &'a Scope, _: Page) -> Answer<'a, Listed<KeptInvitation>> {
        unreachable!("asked by resources")
    }

    fn invite<'a>(&'a self, _: &'a Author, invitation: Invitation) -> Answer<'a, KeptInvitation> {
        let Invitation { login, standing, hash, expires_unix_ms } = invitation;
        let (id, created_unix_ms) = (self.id(), self.now());
        let kept = KeptInvitation { id, login, standing, created_unix_ms, expires_unix_ms };
        self.state().invitations.push((hash, kept.clone()));
        answer(Ok(kept))
    }

    fn revoke_invitation<'a>(&'a self, _: &'a Author, _: Id) -> Answer<'a, ()> {
        unreachable!("asked by resources")
    }

    fn credentials<'a>(
        &'a self,
        by: &'a Author,
        kind: CredentialKind,
        owner: Owner,
        page: Page,
    ) -> Answer<'a, Listed<KeptCredential>> {
        let state = self.state();
        let of_kind = state.credentials.iter().map(|(_, kept)| kept).filter(|kept| kept.kind == kind);
        let theirs =
            of_kind.filter(|kept| is_theirs(kept, by, owner) && page.after.is_none_or(|after| kept.id > after));
        let mut items: Vec<KeptCredential> = theirs.cloned().collect();
        items.sort_by_key(|kept| kept.id);
        let more = items.len() > page.count as usize;
        items.truncate(page.count as usize);
        let next = items.last().map(|kept| kept.id).filter(|_| more);
        answer(Ok(Listed { items, next }))
    }

    fn add_token<'a>(&'a self, by: &'a Author, token: NewToken) -> Answer<'a, KeptCredential> {
        let user = by.signed_in.user().expect("a user");
        let NewToken { name, standing, hash, expires_unix_ms } = token;
        let made = NewSession { user, hash, name, from: by.from.clone(), expires_unix_ms };
        answer(Ok(self.keep(CredentialKind::Token, made, Some(standing))))
    }

    fn revoke<'a>(&'a self, by: &'a Author, kind: CredentialKind, owner: Owner, id: Id) -> Answer<'a, ()> {
        let mut state = self.state();
        let before = state.credentials.len();
        state.credentials.retain(|(_, kept)| !(kept.id == id && kept.kind == kind && is_theirs(kept, by, owner)));
        answer(if state.credentials.len() < before { Ok(()) } else { Err(StoreError::NotFound) })
    }

    fn tenant_name(&self, tenant: TenantId) -> Answer<'_, String> {
        let known = self.state().users.iter().any(|user| user.standing.tenant() == Some(tenant));
        answer(if known { Ok("acme".to_owned()) } else { Err(StoreError::NotFound) })
    }
}

fn is_theirs(kept: &KeptCredential, by: &Author, owner: Owner) -> bool {
    match owner {
        Owner::Own => by.signed_in.user() == Some(kept.user),
        Owner::Anybody => match kept.standing.tenant() {
            Some(tenant) => by.signed_in.scope().reaches(tenant),
            None => by.signed_in.role() == Role::Operator,
        },
    }
}

impl Audit for Kept {
    fn audit_of<'a>(&'a self, _: &'a Scope, _: &'a AuditWanted, _: Page) -> Answer<'a, Listed<AuditLine>> {
        unreachable!("asked by resources")
    }

    fn note<'a>(&'a self, _: &'a Author, line: NewAuditLine) -> Answer<'a, ()> {
        self.state().lines.push(line);
        answer(Ok(()))
    }

    fn verify(&self) -> Answer<'_, Result<u64, ChainBroken>> {
        unreachable!("asked by resources")
    }
}
