//! How often something may be tried.
//!
//! Invariant: what is known of one who has tried too often is not forgotten for others who come: a limit remembers
//! [`KEYS_MAX`] of them one by one, forgets those alone whose time has passed, and while it is full newcomers share
//! [`SHARED`] places, picked by a hash that nobody outside can compute. So a flood of invented names neither makes room for who
//! was being held up, nor takes memory, and of those who come during it holds few up.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use bellhop_tenancy::access::SecretHash;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter, clock};

use super::Clock;
use crate::problem::Problem;
use crate::shares::network;

/// Those that a limit knows one by one.
const KEYS_MAX: usize = 16_384;
/// Places that others share while it knows so many.
const SHARED: u64 = 4_096;
/// While it is full: how often it looks for those whose time has passed.
const PRUNED_EVERY: Duration = Duration::from_secs(1);

/// So many at once, and one more each time that this has passed.
struct Rate {
    burst: NonZeroU32,
    one_per: Duration,
}

const fn rate(burst: u32, one_per: Duration) -> Rate {
    Rate { burst: NonZeroU32::new(burst).expect("more than none"), one_per }
}

/// Passwords from one address: an office signs in in the morning.
const PASSWORDS_OF_ADDRESS: Rate = rate(20, Duration::from_secs(5));
/// Sign-ins by an identity provider from one address, beginnings and returns: each asks the provider something.
const PROVIDER_OF_ADDRESS: Rate = rate(40, Duration::from_secs(2));
/// Passwords for one login, from wherever: 3,000 guesses a day of a password of twelve characters.
const PASSWORDS_OF_LOGIN: Rate = rate(10, Duration::from_secs(30));
/// Secrets of invitations from one address.
const INVITATIONS_OF_ADDRESS: Rate = rate(10, Duration::from_secs(30));
/// Requests of one session or token: a page asks much when it opens, a program all the time.
const OF_CREDENTIAL: Rate = rate(300, Duration::from_millis(20));
/// Requests from one address by who is nobody.
const OF_STRANGER: Rate = rate(60, Duration::from_secs(1));
/// Secrets of sessions and tokens that are looked for, from one address: whoever invents them makes no more work than that.
const SHOWN_OF_ADDRESS: Rate = rate(1_000, Duration::from_millis(5));

/// The limits of a server.
pub(super) struct Limits {
    passwords_of_address: Limit,
    passwords_of_login: Limit,
    provider_of_address: Limit,
    invitations_of_address: Limit,
    of_credential: Limit,
    of_stranger: Limit,
    shown_of_address: Limit,
}

impl Limits {
    pub(super) fn new(clock: &Arc<Clock>) -> Self {
        let limit = |rate| Limit::new(rate, clock);
        Self {
            passwords_of_address: limit(PASSWORDS_OF_ADDRESS),
            passwords_of_login: limit(PASSWORDS_OF_LOGIN),
            provider_of_address: limit(PROVIDER_OF_ADDRESS),
            invitations_of_address: limit(INVITATIONS_OF_ADDRESS),
            of_credential: limit(OF_CREDENTIAL),
            of_stranger: limit(OF_STRANGER),
            shown_of_address: limit(SHOWN_OF_ADDRESS),
        }
    }

    /// Somebody tries a password. An address that is held up spends none of a login's tries.
    pub(super) fn password(&self, from: IpAddr, login: &str) -> Result<(), Problem> {
        self.passwords_of_address.take(network(from))?;
        self.passwords_of_login.take(login.to_lowercase())
    }

    /// Somebody begins to sign in by an identity provider, or comes back from it.
    pub(super) fn provider(&self, from: IpAddr) -> Result<(), Problem> {
        self.provider_of_address.take(network(from))
    }

    /// Somebody shows an invitation.
    pub(super) fn invitation(&self, from: IpAddr) -> Result<(), Problem> {
        self.invitations_of_address.take(network(from))
    }

    /// Somebody shows what may be the secret of a session or a token.
    pub(super) fn shown(&self, from: IpAddr) -> Result<(), Problem> {
        self.shown_of_address.take(network(from))
    }

    /// Somebody asks who is known by a secret.
    pub(super) fn known(&self, hash: &SecretHash) -> Result<(), Problem> {
        self.of_credential.take(hash)
    }

    /// Nobody that is known asks.
    pub(super) fn stranger(&self, from: IpAddr) -> Result<(), Problem> {
        self.of_stranger.take(network(from))
    }
}

/// One limit, for each key by itself.
struct Limit {
    limiter: RateLimiter<u64, Places, Monotonic, NoOpMiddleware<Duration>>,
    hashes: RandomState,
    clock: Monotonic,
    pruned: Mutex<Duration>,
}

impl Limit {
    fn new(rate: Rate, clock: &Arc<Clock>) -> Self {
        let quota = Quota::with_period(rate.one_per).expect("more than no time").allow_burst(rate.burst);
        let clock = Monotonic(Arc::clone(clock));
        let limiter = RateLimiter::new(quota, Places::default(), clock.clone());
        Self { limiter, hashes: RandomState::new(), clock, pruned: Mutex::default() }
    }

    fn take(&self, key: impl Hash) -> Result<(), Problem> {
        self.tried(key).map_err(|wait| {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "this was tried too often: wait a little").retry_after(wait)
        })
    }

    /// One more try of a key, or how long until there may be one. A try that is refused does not count.
    fn tried(&self, key: impl Hash) -> Result<(), Duration> {
        self.prune();
        let key = self.hashes.hash_one(key);
        self.limiter.check_key(&key).map_err(|until| until.wait_time_from(clock::Clock::now(&self.clock)))
    }

    fn prune(&self) {
        if self.limiter.len() < KEYS_MAX {
            return;
        }
        let now = clock::Clock::now(&self.clock);
        let mut pruned = self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(*pruned) >= PRUNED_EVERY {
            *pruned = now;
            self.limiter.retain_recent();
        }
    }
}

/// Time that never goes back.
#[derive(Clone)]
struct Monotonic(Arc<Clock>);

impl clock::Clock for Monotonic {
    type Instant = Duration;

    fn now(&self) -> Duration {
        (self.0.monotonic)()
    }
}

/// What a limit knows: by key, and by the places that others share.
#[derive(Default)]
struct Places(Mutex<Known>);

#[derive(Default)]
struct Known {
    own: HashMap<u64, Nanos>,
    shared: HashMap<u64, Nanos>,
}

impl StateStore for Places {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_own = known.own.len() < KEYS_MAX || known.own.contains_key(key);
        let (places, key) = if has_own { (&mut known.own, *key) } else { (&mut known.shared, *key % SHARED) };
        let (outcome, next) = decide(places.get(&key).copied())?;
        places.insert(key, next);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<u64> for Places {
    fn retain_recent(&self, drop_below: Nanos) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.own.retain(|_, state| *state > drop_below);
        known.shared.retain(|_, state| *state > drop_below);
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).own.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that shows seconds.
    fn clock() -> (Arc<Clock>, Arc<AtomicU64>) {
        let seconds = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&seconds);
        let monotonic = Box::new(move || Duration::from_secs(shown.load(Ordering::SeqCst)));
        (Arc::new(Clock { unix_ms: Box::new(|| 0), monotonic }), seconds)
    }

    #[test]
    fn each_of_a_thousand_addresses_has_tries_of_its_own_and_gets_one_back_in_time() {
        let (clock, seconds) = clock();
        let limits = Limits::new(&clock);
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..1_000 {
            for m in 0..20 {
                assert!(limits.password(address(n), &format!("{n}/{m}")).is_ok(), "{n}: {m}");
            }
            assert!(limits.password(address(n), "any").is_err());
        }
        seconds.store(5, Ordering::SeqCst);
        for n in 0..1_000 {
            let two = [0, 1].map(|m| limits.password(address(n), &format!("{n}/again {m}")).is_ok());
            assert_eq!(two, [true, false], "{n}");
        }
    }

    #[test]
    fn a_login_is_guessed_slowly_from_however_many_addresses() {
        let (clock, seconds) = clock();
        let limits = Limits::new(&clock);
        let guess = |n: u32, login: &str| limits.password(IpAddr::from(n.to_be_bytes()), login).is_ok();
        assert_eq!((0..1_000).filter(|n| guess(*n, "alice")).count(), 10);
        assert!(!guess(1_000, "ALICE") && guess(1_001, "bob"), "compared without case");
        seconds.store(60, Ordering::SeqCst);
        assert_eq!((2_000..3_000).filter(|n| guess(*n, "alice")).count(), 2);
    }

    #[test]
    fn whoever_has_a_whole_network_of_ipv6_is_one() {
        let (clock, _) = clock();
        let limits = Limits::new(&clock);
        let address = |n: u16, m: u16| IpAddr::from([0x2001, 0xdb8, 0, n, 0, 0, 0, m]);
        assert_eq!((0..100).filter(|m| limits.invitation(address(1, *m)).is_ok()).count(), 10);
        assert!(limits.invitation(address(2, 1)).is_ok());
        assert_eq!(network("::ffff:192.0.2.1".parse().expect("an address")), network(IpAddr::from([192, 0, 2, 1])));
    }

    #[test]
    fn a_flood_makes_no_room_for_who_is_held_up_and_takes_no_memory() {
        let (clock, seconds) = clock();
        let limit = Limit::new(PASSWORDS_OF_LOGIN, &clock);
        assert_eq!((0..100).filter(|_| limit.tried("alice").is_ok()).count(), 10);
        for n in 0..100_000 {
            let _ = limit.tried(n);
        }
        assert!(limit.tried("alice").is_err(), "what is known of her is still known");
        let places = limit.limiter.into_state_store();
        let known = places.0.into_inner().expect("no panic");
        assert!(known.own.len() <= KEYS_MAX && known.shared.len() as u64 <= SHARED);
        // In time it is as new.
        let limit = Limit::new(PASSWORDS_OF_LOGIN, &clock);
        for n in 0..KEYS_MAX {
            assert!(limit.tried(n).is_ok());
        }
        assert_eq!(limit.limiter.len(), KEYS_MAX);
        seconds.store(3_600, Ordering::SeqCst);
        assert!(limit.tried("bob").is_ok());
        assert_eq!(limit.limiter.len(), 1);
    }

    #[test]
    fn whoever_is_held_up_is_told_for_how_long() {
        let (clock, seconds) = clock();
        let limit = Limit::new(PASSWORDS_OF_LOGIN, &clock);
        (0..10).for_each(|_| assert!(limit.tried("alice").is_ok()));
        assert_eq!(limit.tried("alice"), Err(Duration::from_secs(30)));
        seconds.store(29, Ordering::SeqCst);
        assert_eq!(limit.tried("alice"), Err(Duration::from_secs(1)));
        seconds.store(30, Ordering::SeqCst);
        assert_eq!(limit.tried("alice"), Ok(()));
    }
}
