//! Room for requests that are being answered.
//!
//! Invariant: a tenant has a part of all places, and operators have places of their own: who sends slowly, or asks what is slow, holds up their
//! own. Of a tenant's places the first few are of all, and the others of a smaller part: some tenants that take all they may leave
//! room for the first requests of every other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bellhop_tenancy::id::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that are answered at once; who comes then is told to come again.
const REQUESTS: Places = Places { all: 64, more: 40, of_tenant: 24, first: 2 };
/// The same of those that wait for somebody's service.
const TRIALS: Places = Places { all: 16, more: 8, of_tenant: 4, first: 1 };

/// How many places there are.
#[derive(Debug, Clone, Copy)]
struct Places {
    /// For tenants.
    all: usize,
    /// Of all, for those who have their first ones already.
    more: usize,
    /// Of one tenant; operators together have as many, besides all.
    of_tenant: usize,
    /// Of one tenant's, those that come before others' next ones.
    first: usize,
}

/// All of it.
pub(super) struct Room {
    places: Places,
    all: Arc<Semaphore>,
    more: Arc<Semaphore>,
    of_tenants: Mutex<HashMap<Option<TenantId>, Arc<Semaphore>>>,
}

/// A place for one request, until this is dropped.
pub(super) struct Place {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: Option<OwnedSemaphorePermit>,
    _more: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// For whatever is asked.
    pub(super) fn for_requests() -> Self {
        Self::with(REQUESTS)
    }

    /// For trials, which have a place of a request besides.
    pub(super) fn for_trials() -> Self {
        Self::with(TRIALS)
    }

    fn with(places: Places) -> Self {
        let semaphore = |places| Arc::new(Semaphore::new(places));
        Self { places, all: semaphore(places.all), more: semaphore(places.more), of_tenants: Mutex::default() }
    }

    /// A place for a tenant's request, or an operator's; none if there is no room.
    pub(super) fn place(&self, of: Option<TenantId>) -> Option<Place> {
        let mut of_tenants = self.of_tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let own = of_tenants.entry(of).or_insert_with(|| Arc::new(Semaphore::new(self.places.of_tenant)));
        let has = self.places.of_tenant - own.available_permits();
        let _of_tenant = Arc::clone(own).try_acquire_owned().ok()?;
        if of.is_none() {
            return Some(Place { _of_tenant, _of_all: None, _more: None });
        }
        let place = |of: &Arc<Semaphore>| Arc::clone(of).try_acquire_owned().ok();
        let _more = if has < self.places.first { None } else { Some(place(&self.more)?) };
        Some(Place { _of_tenant, _of_all: Some(place(&self.all)?), _more })
    }
}

#[cfg(test)]
mod tests {
    use bellhop_tenancy::id::Id;

    use super::*;

    fn tenant(n: u8) -> Option<TenantId> {
        Some(TenantId(Id::new(1, [n; 10])))
    }

    #[test]
    fn who_has_all_places_of_a_tenant_holds_up_no_other() {
        let room = Room::for_requests();
        let held: Vec<Place> = (0..REQUESTS.of_tenant).map(|_| room.place(tenant(1)).expect("room")).collect();
        assert!(room.place(tenant(1)).is_none() && room.place(tenant(2)).is_some() && room.place(None).is_some());
        drop(held);
        assert!(room.place(tenant(1)).is_some());
    }

    #[test]
    fn some_who_take_all_they_may_leave_room_for_the_first_of_others_and_for_operators() {
        for (room, places) in [(Room::for_requests(), REQUESTS), (Room::for_trials(), TRIALS)] {
            let greedy: Vec<Place> = (0..400).filter_map(|n| room.place(tenant(n as u8 % 4))).collect();
            assert!(greedy.len() <= places.more + 4 * places.first, "{}", greedy.len());
            let others = (places.all - greedy.len()) / places.first;
            assert!(others >= 4, "{others}");
            let first: Vec<Place> = (0..others).map(|n| room.place(tenant(10 + n as u8)).expect("room")).collect();
            assert!(room.place(None).is_some(), "for operators");
            drop((greedy, first));
        }
    }

    #[test]
    fn all_together_have_no_more_than_there_are() {
        for (room, places) in [(Room::for_requests(), REQUESTS), (Room::for_trials(), TRIALS)] {
            let held: Vec<Place> = (0..800).filter_map(|n| room.place(tenant((n % 100) as u8))).collect();
            assert_eq!(held.len(), places.all);
            let operators: Vec<Place> = (0..800).filter_map(|_| room.place(None)).collect();
            assert_eq!(operators.len(), places.of_tenant);
        }
    }
}
