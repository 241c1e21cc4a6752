//! How many connections may stand at once and from whom, and how long each may take to say something.
//!
//! Pure: the transport opens and closes. Invariant: no source, and not all strangers together, can take the places of who is
//! listed; a connection that has begun a message, or that a stranger opened, has seconds to say one, however slowly its bytes
//! drip; and where strangers have taken all of their places, who holds most makes room for the next ([`makes_room`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellhop_sip::networks::Source;
use bellhop_sip::transaction::TIMEOUT;

/// Connections at once.
pub const CONNECTIONS_MAX: usize = 4096;
/// Of these, from sources that stand on no list.
pub const STRANGERS_MAX: usize = CONNECTIONS_MAX / 4 * 3;
/// Connections of one source that stands on no list.
pub const PER_STRANGER_MAX: usize = 256;
/// Connections of one source that stands on a list: half, so that others get in.
pub const PER_LISTED_MAX: usize = CONNECTIONS_MAX / 2;
/// How long a message may take from its first byte to its last.
pub const MESSAGE_WITHIN: Duration = Duration::from_secs(10);
/// How long a stranger's connection may stand until it has said its first message.
pub const FIRST_MESSAGE_WITHIN: Duration = TIMEOUT;

/// How long a stranger's connection may stand, without a call, before it makes room for another stranger's whoever holds more.
pub const STANDS_AT_LEAST: Duration = Duration::from_secs(60);

/// Who stands in the door: clones share it.
#[derive(Debug, Clone, Default)]
pub struct Doors(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    strangers: usize,
    by_source: HashMap<Source, usize>,
    turned_away: HashMap<Source, Instant>,
}

/// One connection that may stand, from its first byte to its last.
#[derive(Debug)]
pub struct Visit {
    of: Doors,
    source: Source,
    listed: bool,
}

impl Doors {
    /// Lets a connection in, if there is a place for its source.
    pub fn enter(&self, now: Instant, source: Source, listed: bool) -> Option<Visit> {
        let mut inside = self.inside();
        if !listed && inside.turned_away.get(&source).is_some_and(|until| *until > now) {
            return None;
        }
        let own = inside.by_source.get(&source).copied().unwrap_or(0);
        let most = if listed { PER_LISTED_MAX } else { PER_STRANGER_MAX };
        if inside.all >= CONNECTIONS_MAX || own >= most || (!listed && inside.strangers >= STRANGERS_MAX) {
            return None;
        }
        inside.all += 1;
        inside.strangers += usize::from(!listed);
        inside.by_source.insert(source, own + 1);
        Some(Visit { of: self.clone(), source, listed })
    }

    /// Whether a stranger was kept out only because other strangers hold all of their places.
    pub fn wants_room(&self, now: Instant, source: Source) -> bool {
        let inside = self.inside();
        let own = inside.by_source.get(&source).copied().unwrap_or(0);
        inside.strangers >= STRANGERS_MAX
            && own < PER_STRANGER_MAX
            && inside.turned_away.get(&source).is_none_or(|until| *until <= now)
    }

    /// No new connection of this source until then.
    pub fn turn_away(&self, now: Instant, source: Source, until: Instant) {
        let mut inside = self.inside();
        inside.turned_away.retain(|_, until| *until > now);
        inside.turned_away.insert(source, until);
    }

    /// The source owes nothing any more.
    pub fn welcome(&self, source: Source) {
        self.inside().turned_away.remove(&source);
    }

    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut inside = self.of.inside();
        inside.all -= 1;
        inside.strangers -= usize::from(!self.listed);
        if let Some(own) = inside.by_source.get_mut(&self.source) {
            *own -= 1;
            if *own == 0 {
                inside.by_source.remove(&self.source);
            }
        }
    }
}

/// A stranger's connection by which no call came.
#[derive(Debug, Clone, Copy)]
pub struct Guest {
    /// The connection, by the number its hops carry.
    pub flow: u64,
    /// Whose.
    pub source: Source,
    /// Since when it stands.
    pub since: Instant,
}

/// Which connection is closed for a newcomer's: the oldest of the source that holds most, if that holds more than the newcomer
/// would, or has stood for [`STANDS_AT_LEAST`]. A dozen addresses could keep every other stranger out for as long as they
/// like.
pub fn makes_room(now: Instant, newcomer: Source, guests: &[Guest]) -> Option<u64> {
    let mut held: HashMap<Source, usize> = HashMap::new();
    guests.iter().for_each(|guest| *held.entry(guest.source).or_default() += 1);
    let own = held.get(&newcomer).copied().unwrap_or(0);
    let of = |guest: &&Guest| held.get(&guest.source).copied().unwrap_or(0);
    let most = guests.iter().max_by_key(|guest| (of(guest), std::cmp::Reverse(guest.since)))?;
    (of(&most) > own + 1 || most.since + STANDS_AT_LEAST <= now).then_some(most.flow)
}

/// How long a connection is waited for.
#[derive(Debug)]
pub struct Patience {
    /// Until when something must be whole: the message that has begun, or a stranger's first.
    by: Option<Instant>,
    first: bool,
}

impl Patience {
    /// With a connection that was opened now.
    pub fn new(now: Instant, listed: bool) -> Self {
        Self { by: (!listed).then(|| now + FIRST_MESSAGE_WITHIN), first: true }
    }

    /// How long to wait for the next bytes; `None` for as long as idle connections may stand.
    pub fn limit(&self, now: Instant) -> Option<Duration> {
        self.by.map(|by| by.saturating_duration_since(now))
    }

    /// Bytes came: so many messages were whole with them, and another one has begun or not.
    pub fn heard(&mut self, now: Instant, messages: usize, begun: bool) {
        if messages > 0 {
            (self.first, self.by) = (false, None);
        }
        if begun {
            let whole = now + MESSAGE_WITHIN;
            self.by = Some(self.by.map_or(whole, |by| by.min(whole)));
        } else if !self.first {
            self.by = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u32) -> Source {
        Source::of(std::net::IpAddr::from(n.to_be_bytes()))
    }

    /// The case "4,096 connections with one byte each from one address" of `tests/cases/signalling.yaml`, and its siblings.
    #[test]
    fn strangers_who_hold_every_place_make_room_for_others() {
        let (now, doors) = (Instant::now(), Doors::default());
        let (mut visits, mut guests) = (vec![], vec![]);
        for n in 0..STRANGERS_MAX {
            let source = Source::of(std::net::IpAddr::from([192, 0, 2, (n % 12) as u8]));
            let since = now + Duration::from_millis(n as u64);
            visits.push(doors.enter(since, source, false).expect("a place"));
            guests.push(Guest { flow: n as u64, source, since });
        }
        let honest = Source::of(std::net::IpAddr::from([198, 51, 100, 1]));
        assert!(doors.enter(now, honest, false).is_none() && doors.wants_room(now, honest));
        assert_eq!(makes_room(now, honest, &guests), Some(0), "the oldest of who holds most");
        let crowd = Source::of(std::net::IpAddr::from([192, 0, 2, 0]));
        assert!(!doors.wants_room(now, crowd), "who holds all that one may takes nothing of others");
        doors.turn_away(now, honest, now + STANDS_AT_LEAST);
        assert!(!doors.wants_room(now, honest), "nor who is shut out");
        // As many sources as places: who has stood for long goes first.
        let each = |n: u64| Guest {
            flow: n,
            source: Source::of(std::net::Ipv6Addr::from(u128::from(n) << 64).into()),
            since: now,
        };
        let guests: Vec<Guest> = (1..100).map(each).collect();
        assert_eq!(makes_room(now, honest, &guests), None);
        assert!(makes_room(now + STANDS_AT_LEAST, honest, &guests).is_some());
        assert_eq!(makes_room(now, honest, &[]), None);
    }

    #[test]
    fn one_source_does_not_take_the_places_of_others() {
        let (now, doors) = (Instant::now(), Doors::default());
        let attacker: Vec<Visit> = (0..4096).filter_map(|_| doors.enter(now, source(1), false)).collect();
        assert_eq!(attacker.len(), PER_STRANGER_MAX);
        let more: Vec<Visit> = (2..5000).filter_map(|n| doors.enter(now, source(n), false)).collect();
        assert_eq!(attacker.len() + more.len(), STRANGERS_MAX, "from many addresses");
        let listed: Vec<Visit> = (0..4096).filter_map(|_| doors.enter(now, source(9999), true)).collect();
        assert_eq!(listed.len(), CONNECTIONS_MAX - STRANGERS_MAX, "who is listed gets in");
        drop((attacker, more, listed));
        let listed: Vec<Visit> = (0..4096).filter_map(|_| doors.enter(now, source(1), true)).collect();
        assert_eq!(listed.len(), PER_LISTED_MAX, "a trunk leaves room for another");
        drop(listed);
        let inside = doors.inside();
        assert_eq!((inside.all, inside.strangers, inside.by_source.len()), (0, 0, 0));
    }

    #[test]
    fn who_is_turned_away_comes_back_in_time() {
        let (now, doors, until) = (Instant::now(), Doors::default(), Instant::now() + Duration::from_secs(120));
        doors.turn_away(now, source(1), until);
        assert!(doors.enter(now, source(1), false).is_none() && doors.enter(now, source(2), false).is_some());
        assert!(doors.enter(now, source(1), true).is_some(), "lists are believed");
        assert!(doors.enter(until, source(1), false).is_some());
        doors.welcome(source(1));
        assert!(doors.enter(now, source(1), false).is_some());
    }

    #[test]
    fn a_message_that_has_begun_has_seconds_however_slowly_it_drips() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut listed = Patience::new(now, true);
        assert_eq!(listed.limit(now), None);
        listed.heard(at(100), 0, true);
        (100..109).for_each(|second| listed.heard(at(second), 0, true));
        assert_eq!(listed.limit(at(109)), Some(Duration::from_secs(1)), "each byte buys no more time");
        listed.heard(at(109), 1, false);
        assert_eq!(listed.limit(at(109)), None);
        listed.heard(at(109), 1, true);
        assert_eq!(listed.limit(at(109)), Some(MESSAGE_WITHIN), "the next one has its own time");
        let mut stranger = Patience::new(now, false);
        stranger.heard(at(31), 0, false);
        assert_eq!(stranger.limit(at(31)), Some(Duration::from_secs(1)), "pings are no message");
        stranger.heard(at(31), 0, true);
        assert_eq!(stranger.limit(at(31)), Some(Duration::from_secs(1)));
        stranger.heard(at(31), 1, false);
        assert_eq!(stranger.limit(at(31)), None);
    }
}
