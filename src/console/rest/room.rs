//! Room for requests that are being answered.
//!
//! Invariant: a tenant has [`OF_TENANT_MAX`] places of the [`REQUESTS_MAX`], and operators together have as many: who sends slowly, or asks what is slow,
//! holds up their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bellhop_tenancy::id::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that are answered at once; who comes then is told to come again.
pub(super) const REQUESTS_MAX: usize = 64;
/// Of these, requests of one tenant.
const OF_TENANT_MAX: usize = 24;

/// All of it.
pub(super) struct Room {
    all: Arc<Semaphore>,
    of_tenants: Mutex<HashMap<Option<TenantId>, Arc<Semaphore>>>,
}

/// A place for one request, until this is dropped.
pub(super) struct Place {
    _of_tenant: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(REQUESTS_MAX)), of_tenants: Mutex::default() }
    }

    /// A place for a tenant's request, or an operator's; none if there is no room.
    pub(super) fn place(&self, of: Option<TenantId>) -> Option<Place> {
        let mut of_tenants = self.of_tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let own = of_tenants.entry(of).or_insert_with(|| Arc::new(Semaphore::new(OF_TENANT_MAX)));
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
        let room = Room::new();
        let held: Vec<Place> = (0..OF_TENANT_MAX).map(|_| room.place(tenant(1)).expect("room")).collect();
        assert!(room.place(tenant(1)).is_none() && room.place(tenant(2)).is_some() && room.place(None).is_some());
        drop(held);
        assert!(room.place(tenant(1)).is_some());
    }

    #[test]
    fn all_together_have_no_more_than_there_are() {
        let room = Room::new();
        let held: Vec<Place> = (0..200).filter_map(|n| room.place(tenant(n % 10))).collect();
        assert_eq!((held.len(), room.place(None).is_none()), (REQUESTS_MAX, true));
    }
}
