//! Tenants of the configuration's file, beside those that the store keeps: each with one integration of its name.
//!
//! Invariant: who reaches everybody sees them, and nobody else; nobody changes them (`door.rs` asks [`Asked::is_of_file`]). They come
//! first in every list, as their identifiers do.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use actix_web::http::StatusCode;
use bellhop_tenancy::Number;
use bellhop_tenancy::access::Scope;
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{Listed, Page, StoreError};

use super::asked::Asked;
use crate::ports::{FileIntegration, FileTenant};
use crate::problem::Problem;

/// An integration of the file, with whose it is.
pub(super) struct Integration {
    pub(super) id: Id,
    pub(super) tenant: TenantId,
    pub(super) name: String,
    pub(super) says: Arc<dyn FileIntegration>,
}

/// A number of the file.
pub(super) struct Entry {
    pub(super) id: Id,
    pub(super) tenant: TenantId,
    pub(super) integration: Id,
    pub(super) number: Number,
}

impl Integration {
    fn of(tenant: FileTenant) -> Option<Self> {
        let FileTenant { name, integration, is_taken: _ } = tenant;
        let id = Id::of_file(["integration", &name.to_ascii_lowercase()]);
        Some(Self { id, tenant: TenantId::of_file(&name), name, says: integration? })
    }

    fn numbers(self) -> impl Iterator<Item = Entry> {
        let Self { id: integration, tenant, name, says } = self;
        let numbers = says.settings().numbers.clone();
        numbers.into_iter().map(move |number| {
            let id = Id::of_file(["number", &name.to_ascii_lowercase(), &number.e164()]);
            Entry { id, tenant, integration, number }
        })
    }
}

impl Asked {
    /// Tenants of the file that a scope reaches. One whose name is another's is none: calls are known by it, and they are the other's.
    pub(super) fn tenants_of_file(&self, scope: &Scope) -> Vec<FileTenant> {
        if scope.tenant().is_some_and(|own| !own.0.is_of_file()) {
            return vec![];
        }
        let all = self.ports.file.tenants().into_iter().filter(|tenant| !tenant.is_taken);
        all.filter(|tenant| scope.reaches(TenantId::of_file(&tenant.name))).collect()
    }

    /// One of them, for who reaches it.
    pub(super) fn tenant_of_file(&self, id: TenantId) -> Option<FileTenant> {
        self.tenants_of_file(&self.by.signed_in.scope()).into_iter().find(|one| TenantId::of_file(&one.name) == id)
    }

    /// Their integrations.
    pub(super) fn integrations_of_file(&self, scope: &Scope) -> impl Iterator<Item = Integration> {
        self.tenants_of_file(scope).into_iter().filter_map(Integration::of)
    }

    /// The integration that the path names, where it is of the file and whoever asks reaches it.
    pub(super) fn integration_of_file(&self) -> Result<Option<Integration>, Problem> {
        let id = self.id()?;
        Ok(self.integrations_of_file(&self.by.signed_in.scope()).find(|one| one.id == id))
    }

    /// Their numbers.
    pub(super) fn numbers_of_file(&self, scope: &Scope) -> impl Iterator<Item = Entry> {
        self.integrations_of_file(scope).flat_map(Integration::numbers)
    }

    /// The number that the path names, where it is of the file and whoever asks reaches it.
    pub(super) fn number_of_file(&self) -> Result<Option<Entry>, Problem> {
        let id = self.id()?;
        Ok(self.numbers_of_file(&self.by.signed_in.scope()).find(|one| one.id == id))
    }

    /// Whether a path of this resource, or a query, names something of the file that whoever asks reaches.
    pub(super) fn is_of_file(&self, resource: &str) -> bool {
        let scope = self.by.signed_in.scope();
        let named = |(name, value): &(String, String)| {
            let Some(id) = value.parse().ok().filter(Id::is_of_file) else { return false };
            match (name.as_str(), resource) {
                ("tenant", _) | ("id", "tenants") => self.tenant_of_file(TenantId(id)).is_some(),
                ("integration", _) | ("id", "integrations") => {
                    self.integrations_of_file(&scope).any(|one| one.id == id)
                }
                ("id", "numbers") => self.numbers_of_file(&scope).any(|one| one.id == id),
                _ => false,
            }
        };
        self.path.iter().chain(&self.query).any(named)
    }

    /// Whether a tenant of the store has the name of one of the file, who has the calls by that name.
    pub(super) fn has_name_of_file(&self, name: &str) -> bool {
        self.ports.file.tenants().iter().any(|of_file| !of_file.is_taken && of_file.name.eq_ignore_ascii_case(name))
    }

    /// The numbers of all who are in the file: whoever asks is told at most that they cannot have one.
    pub(super) fn all_numbers_of_file(&self) -> HashSet<Number> {
        let served = self.ports.file.tenants().into_iter().filter_map(|tenant| tenant.integration);
        served.flat_map(|one| one.settings().numbers.clone()).collect()
    }
}

/// Said to anybody: of whose number it is nothing is told.
pub(super) const ALONE: &str = "is a number that whoever runs this server has given to somebody else alone";

/// What is said to who would change it.
pub(super) fn refused() -> Problem {
    Problem::new(StatusCode::CONFLICT, "it comes from the configuration's file: change it there, and send SIGHUP")
}

/// A page of what the file says and then of what the store keeps, in the order of identifiers.
pub(super) async fn page<T, K, F>(
    of_file: impl Iterator<Item = (Id, T)>,
    wanted: Page,
    kept: impl FnOnce(Page) -> F,
    show: impl FnMut(K) -> T,
) -> Result<Listed<T>, Problem>
where
    F: Future<Output = Result<Listed<K>, StoreError>>,
{
    let mut of_file: Vec<(Id, T)> = of_file.filter(|(id, _)| wanted.after.is_none_or(|after| *id > after)).collect();
    of_file.sort_by_key(|(id, _)| *id);
    let is_cut = of_file.len() > wanted.count as usize;
    of_file.truncate(wanted.count as usize);
    let (last, room) = (of_file.last().map(|(id, _)| *id), wanted.count - of_file.len() as u32);
    let mut items: Vec<T> = of_file.into_iter().map(|(_, shown)| shown).collect();
    if is_cut {
        return Ok(Listed { items, next: last });
    }
    // A page that is full by now goes on if there is anything kept at all.
    let listed = kept(Page { after: last.or(wanted.after), count: room.max(1) }).await?;
    if room == 0 {
        return Ok(Listed { items, next: last.filter(|_| !listed.items.is_empty()) });
    }
    items.extend(listed.items.into_iter().map(show));
    Ok(Listed { items, next: listed.next })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the file `f` identifiers, and `k` that are kept; read page by page.
    async fn read(f: u8, k: u8, count: u32) -> Vec<Id> {
        let of_file: Vec<Id> = (0..f).map(|n| Id::of_file(["x", &n.to_string()])).collect();
        let kept: Vec<Id> = (0..k).map(|n| Id::new(1_700_000_000_000, [n; 10])).collect();
        let (mut found, mut after) = (vec![], None);
        for _ in 0..20 {
            let asked = |page: Page| {
                let left: Vec<Id> =
                    kept.iter().copied().filter(|id| page.after.is_none_or(|last| *id > last)).collect();
                let items = left[..left.len().min(page.count as usize)].to_vec();
                let next = items.last().copied().filter(|_| left.len() > items.len());
                std::future::ready(Ok(Listed { items, next }))
            };
            let listed = page(of_file.iter().map(|id| (*id, *id)), Page { after, count }, asked, |id| id).await;
            let listed = listed.expect("it is there");
            assert!(listed.items.len() <= count as usize && (listed.next.is_none() || !listed.items.is_empty()));
            found.extend(listed.items);
            after = listed.next;
            if after.is_none() {
                return found;
            }
        }
        panic!("it does not end");
    }

    #[actix_web::test]
    async fn a_list_shows_each_once_whether_it_is_of_the_file_or_kept() {
        for (f, k) in [(0, 0), (0, 3), (3, 0), (3, 3), (1, 4), (4, 1)] {
            for count in 1..=8 {
                let found = read(f, k, count).await;
                assert_eq!(found.len(), usize::from(f + k), "{f} {k} {count}");
                assert!(found.is_sorted(), "{found:?}");
            }
        }
    }
}
