//! Who may do what at the stand-in: keys with their policies, roles, and the sessions that assume them.
//!
//! Invariant: a session may do what its role may, and has a secret, a token and an end of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use crate::sigv4::AccessKey;

/// A no: status, error type, why.
pub(super) type No = (u16, &'static str, String);

/// All that is rehearsed, as policies name it.
pub const ACTIONS: [&str; 3] = ["connect:UpdateContactAttributes", "connect:DescribeInstance", "sts:AssumeRole"];

/// A role.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What its trust policy asks for.
    pub external_id: String,
    /// The id of the key whose account it trusts.
    pub trusts: String,
    /// What whoever assumes it may do.
    pub allows: Vec<&'static str>,
    /// How long sessions live.
    pub lives: Duration,
}

/// Everybody.
pub(super) struct Access {
    account: String,
    keys: BTreeMap<String, (AccessKey, BTreeSet<String>)>,
    roles: BTreeMap<String, Role>,
    sessions: BTreeMap<String, (Session, Vec<&'static str>)>,
    /// The ids of keys that may do everything.
    administrators: BTreeSet<String>,
    /// The names of sessions, in order.
    pub(super) began: Vec<String>,
}

/// Whoever may sign.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) key: AccessKey,
    pub(super) token: Option<String>,
    pub(super) ends: Option<SystemTime>,
}

/// A role that was assumed.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) key: AccessKey,
    pub(super) token: String,
    pub(super) ends: SystemTime,
}

impl Access {
    pub(super) fn new(account: &str, key: AccessKey) -> Self {
        let (roles, sessions, administrators) = Default::default();
        let keys = BTreeMap::from([(key.id.clone(), (key, ACTIONS.map(str::to_owned).into()))]);
        Self { account: account.to_owned(), keys, roles, sessions, administrators, began: vec![] }
    }

    pub(super) fn allow(&mut self, key: AccessKey, actions: &[&str]) {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        self.keys.insert(key.id.clone(), (key, actions));
    }

    pub(super) fn add_administrator(&mut self, key: AccessKey) {
        self.administrators.insert(key.id.clone());
        self.allow(key, &[]);
    }

    pub(super) fn add_role(&mut self, role: Role) {
        self.roles.insert(role.arn.clone(), role);
    }

    pub(super) fn end_sessions(&mut self) {
        self.sessions.values_mut().for_each(|(session, _)| session.ends = SystemTime::UNIX_EPOCH);
    }

    /// Whoever has the key of this id.
    pub(super) fn signer(&self, id: &str) -> Option<Signer> {
        let key = self.keys.get(id).map(|(key, _)| Signer { key: key.clone(), token: None, ends: None });
        key.or_else(|| {
            let (Session { key, token, ends }, _) = self.sessions.get(id)?.clone();
            Some(Signer { key, token: Some(token), ends: Some(ends) })
        })
    }

    pub(super) fn may(&self, id: &str, action: &str) -> bool {
        self.keys.get(id).is_some_and(|(_, actions)| actions.contains(action))
            || self.administrators.contains(id)
            || self.sessions.get(id).is_some_and(|(_, actions)| actions.contains(&action))
    }

    /// How Amazon calls who asks.
    pub(super) fn arn_of(&self, id: &str) -> String {
        format!("arn:aws:iam::{}:user/{id}", self.account)
    }

    /// Begins a session, if the role is there, trusts the caller and hears what it expects: of these it says nothing.
    pub(super) fn assume(
        &mut self,
        caller: &str,
        role: &str,
        external_id: Option<&str>,
        name: &str,
        now: SystemTime,
    ) -> Option<Session> {
        let role = self.roles.get(role)?;
        if role.trusts != caller || external_id != Some(&role.external_id) {
            return None;
        }
        let n = self.began.len();
        let key = AccessKey { id: format!("ASIA{n:016}"), secret: format!("session-secret-{n}") };
        let session = Session { key, token: format!("session-token-{n}//+="), ends: now + role.lives };
        self.began.push(name.to_owned());
        self.sessions.insert(session.key.id.clone(), (session.clone(), role.allows.clone()));
        Some(session)
    }
}
