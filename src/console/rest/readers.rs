//! Places for those who read on and on: what happens in calls, or what was heard.
//!
//! Invariant: a server has so many readers, and one person so many of them; whoever finds no place is told when to come again.

use std::time::Duration;

use actix_web::http::StatusCode;
use bellhop_tenancy::access::Author;
use bellhop_tenancy::id::Id;

use crate::problem::Problem;
use crate::shares::{self, Full, Shares};

/// When a reader may come who found too many.
const COME_AGAIN: Duration = Duration::from_secs(10);

/// Those of a server.
pub(super) struct Readers {
    /// Of one person: windows of a browser, or programs with tokens of theirs. `None` is who is on the machine itself.
    shares: Shares<Option<Id>>,
    /// What is said if there are too many.
    told: &'static str,
}

/// A place, until this is dropped.
pub(super) type Place = shares::Place<Option<Id>>;

impl Readers {
    pub(super) const fn of(all_max: usize, of_one_max: usize, told: &'static str) -> Self {
        Self { shares: Shares::of(all_max, of_one_max), told }
    }

    /// A place for somebody.
    pub(super) fn place(&'static self, by: &Author) -> Result<Place, Problem> {
        let refused = |full| match full {
            Full::OfOne(own) => {
                let detail = format!("you have {own} of these open already: close one");
                Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
            }
            Full::All => Problem::new(StatusCode::SERVICE_UNAVAILABLE, self.told),
        };
        self.shares.place(by.signed_in.user()).map_err(|full| refused(full).retry_after(COME_AGAIN))
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
    fn who_finds_no_place_is_told_whose_doing_it_is() {
        static READERS: Readers = Readers::of(3, 2, "too many");
        let refused = |n: u8| READERS.place(&somebody(n)).err().map(|problem| problem.status().as_u16());
        let _held = [1, 1, 2].map(|n| READERS.place(&somebody(n)).expect("a place"));
        assert_eq!((refused(1), refused(2), refused(3)), (Some(429), Some(503), Some(503)));
    }
}
