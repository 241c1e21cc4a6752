//! Places for those who read on and on: what happens in calls, or what was heard.
//!
//! Invariant: a server has so many readers, and one person so many of them; whoever finds no place is told when to come again. A place is free
//! again when its reader goes, however that comes about.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use bellhop_tenancy::access::Author;
use bellhop_tenancy::id::Id;

use crate::problem::Problem;

/// When a reader may come who found too many.
const COME_AGAIN: Duration = Duration::from_secs(10);

/// Those of a server.
pub(super) struct Readers {
    /// At once.
    all_max: usize,
    /// Of these, those of one person: windows of a browser, or programs with tokens of theirs.
    of_one_max: usize,
    /// What is said if there are too many.
    told: &'static str,
    /// How many each has; `None` is who is on the machine itself.
    of: Mutex<BTreeMap<Option<Id>, usize>>,
}

/// A place, until this is dropped.
pub(super) struct Place {
    of: &'static Readers,
    who: Option<Id>,
}

impl Readers {
    pub(super) const fn of(all_max: usize, of_one_max: usize, told: &'static str) -> Self {
        Self { all_max, of_one_max, told, of: Mutex::new(BTreeMap::new()) }
    }

    /// A place for somebody.
    pub(super) fn place(&'static self, by: &Author) -> Result<Place, Problem> {
        let who = by.signed_in.user();
        let mut all = self.all();
        let own = all.get(&who).copied().unwrap_or_default();
        let refused = if own >= self.of_one_max {
            let detail = format!("you have {own} of these open already: close one");
            Some(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail))
        } else if all.values().sum::<usize>() >= self.all_max {
            Some(Problem::new(StatusCode::SERVICE_UNAVAILABLE, self.told))
        } else {
            None
        };
        if let Some(problem) = refused {
            return Err(problem.retry_after(COME_AGAIN));
        }
        all.insert(who, own + 1);
        Ok(Place { of: self, who })
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Option<Id>, usize>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.of.all();
        if let Some(own) = all.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                all.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bellhop_tenancy::Secret;
    use bellhop_tenancy::access::{Credential, CredentialKind, SecretHash, Standing};

    use super::*;

    fn somebody(n: u8) -> Author {
        let secret = Secret::new("shown");
        let (id, user, hash) = (Id::new(1, [n; 10]), Id::new(2, [n; 10]), SecretHash::of(&secret));
        let (kind, standing) = (CredentialKind::Session, Standing::Operator);
        let credential = Credential { id, kind, hash, user, name: "x".into(), standing, expires_unix_ms: i64::MAX };
        Author { signed_in: credential.admit(&secret, 0).expect("its secret"), from: "here".into() }
    }

    #[test]
    fn one_person_and_all_together_have_no_more_than_their_places() {
        static READERS: Readers = Readers::of(ALL_MAX, OF_ONE_MAX, "too many");
        const ALL_MAX: usize = 32;
        const OF_ONE_MAX: usize = 8;
        let refused = |n: u8| READERS.place(&somebody(n)).err().map(|problem| problem.status().as_u16());
        let mut held = vec![];
        for n in 0..(ALL_MAX / OF_ONE_MAX) as u8 {
            held.extend((0..OF_ONE_MAX).map(|_| READERS.place(&somebody(n)).expect("a place")));
            assert_eq!(refused(n), Some(429));
        }
        assert_eq!((held.len(), refused(200)), (ALL_MAX, Some(503)));
        held.pop();
        assert_eq!(refused(200), None);
        drop(held);
        assert!(READERS.all().is_empty());
    }
}
