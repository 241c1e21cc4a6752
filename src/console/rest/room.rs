//! Room for requests that are being answered.
//!
//! Invariant: a tenant has a part of all places, and operators together have as many: who sends slowly, or asks what is slow, holds up their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bellhop_tenancy::id::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that are answered at once, and of these those of one tenant; who comes then is told to come again.
const REQUESTS: Places = Places { all: 64, of_tenant: 24 };
/// The same of those that wait for somebody's service.
const TRIALS: Places = Places { all: 16, of_tenant: 4 };

/// How many places there are.
#[derive(Debug, Clone, Copy)]
struct Places {
    all: usize,
    of_tenant: usize,
}

/// All of it.
pub(super) struct Room {
    all: Arc<Semaphore>,
    of_tenant_max: usize,
    of_tenants: Mutex<HashMap<Option<TenantId>, Arc<Semaphore>>>,
}

/// A place for one request, until this is dropped.
pub(super) struct Place {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
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
        let all = Arc::new(Semaphore::new(places.all));
        Self { all, of_tenant_max: places.of_tenant, of_tenants: Mutex::default() }
    }

    /// A place for a tenant's request, or an operator's; none if there is no room.
    pub(super) fn place(&self, of: Option<TenantId>) -> Option<Place> {
        let mut of_tenants = self.of_tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let own = of_tenants.entry(of).or_insert_with(|| Arc::new(Semaphore::new(self.of_tenant_max)));
        let _of_tenant = Arc::clone(own).try_acquire_owned().ok()?;
        Some(Place { _of_tenant, _of_all: Arc::clone(&self.all).try_acquire_owned().ok()? })
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
    fn all_together_have_no_more_than_there_are() {
        for (room, places) in [(Room::for_requests(), REQUESTS), (Room::for_trials(), TRIALS)] {
            let held: Vec<Place> = (0..200).filter_map(|n| room.place(tenant(n % 10))).collect();
            assert_eq!((held.len(), room.place(None).is_none()), (places.all, true));
        }
    }
}
