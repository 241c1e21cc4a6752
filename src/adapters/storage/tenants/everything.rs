//! Everything that is served, as it was at one moment, with its secrets opened.
//!
//! Invariant: a secret that does not open is told with its integration, and costs no other anything.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bellhop_tenancy::Secret;
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{
    Everything, Kept, KeptIntegration, KeptKind, KeptNumber, KeptPlan, KeptTenant, StoreError,
};
use futures_util::{StreamExt, stream};

use super::rows::{optional_text, parsed, text};
use super::{SqlTenants, args, documents, entries, plans, tenant};
use crate::secrets::{DataKey, Place};

/// Data keys that are unwrapped at once: a command is a process.
const UNWRAPPED_AT_ONCE: usize = 8;

const CHANGE: &str = "SELECT change FROM counters WHERE one = 1";
const TENANTS: &str =
    "SELECT id, name, title, plan, state, created_unix_ms, changed_unix_ms, revision, change, data_key
    FROM tenants WHERE deleted_unix_ms IS NULL ORDER BY id";
const DOCUMENTS: &str = "SELECT id, tenant, kind, name, document, created_unix_ms, changed_unix_ms, revision, change
    FROM documents ORDER BY id";
const USES: &str = "SELECT document, uses FROM document_uses";
const SECRETS: &str = "SELECT owner, path, tenant, sealed, last_four, set_unix_ms FROM secrets ORDER BY owner, path";
const NUMBERS: &str =
    "SELECT id, tenant, number, description, integration, confirmed, first_call_unix_ms, created_unix_ms,
    changed_unix_ms, revision, change FROM numbers ORDER BY id";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 6] = [CHANGE, TENANTS, DOCUMENTS, USES, SECRETS, NUMBERS];

/// What was read, before any secret is opened: that may ask a command, and no transaction waits for one.
struct Read {
    change: i64,
    plans: Vec<KeptPlan>,
    tenants: Vec<KeptTenant>,
    wrapped: Vec<(TenantId, String)>,
    documents: BTreeMap<Id, Kept>,
    uses: BTreeMap<Id, BTreeSet<Id>>,
    sealed: BTreeMap<Id, Vec<Sealed>>,
    numbers: BTreeMap<Id, Vec<KeptNumber>>,
}

struct Sealed {
    tenant: TenantId,
    path: String,
    text: String,
}

type Keys = HashMap<TenantId, Result<Arc<DataKey>, String>>;

impl SqlTenants {
    pub(super) async fn read_everything(&self) -> Result<Everything, StoreError> {
        let read = self.read_rows().await?;
        let with_secrets: HashSet<TenantId> = read.sealed.values().flatten().map(|sealed| sealed.tenant).collect();
        self.0.keys.keep_only(&read.tenants.iter().map(|tenant| tenant.id).collect());
        let wrapped = read.wrapped.iter().filter(|(tenant, _)| with_secrets.contains(tenant));
        let unwrapped = wrapped.map(|(tenant, wrapped)| async move {
            (*tenant, self.0.keys.unwrap(*tenant, wrapped).await.map_err(|why| why.to_string()))
        });
        let keys: Keys =
            stream::iter(unwrapped.collect::<Vec<_>>()).buffer_unordered(UNWRAPPED_AT_ONCE).collect().await;
        Ok(read.opened(&keys))
    }

    async fn read_rows(&self) -> Result<Read, StoreError> {
        let mut snapshot = self.0.database.snapshot().await?;
        let change = snapshot.fetch(CHANGE, args![]).await?;
        let change = change.first().ok_or(StoreError::NotFound)?.integer(0)?;
        let rows = snapshot.fetch(plans::LIST, args![]).await?;
        let plans = rows.iter().map(plans::kept).collect::<Result<_, _>>()?;
        let (mut tenants, mut wrapped) = (vec![], vec![]);
        for row in snapshot.fetch(TENANTS, args![]).await? {
            let kept = tenant::kept(&row)?;
            wrapped.extend(optional_text(&row, 9)?.map(|text| (kept.id, text)));
            tenants.push(kept);
        }
        let mut documents = BTreeMap::new();
        for row in snapshot.fetch(DOCUMENTS, args![]).await? {
            let kept = documents::kept(&row)?;
            documents.insert(kept.id, kept);
        }
        let mut uses = BTreeMap::<Id, BTreeSet<Id>>::new();
        for row in snapshot.fetch(USES, args![]).await? {
            uses.entry(parsed(&row, 0)?).or_default().insert(parsed(&row, 1)?);
        }
        let mut sealed = BTreeMap::<Id, Vec<Sealed>>::new();
        for row in snapshot.fetch(SECRETS, args![]).await? {
            let owner: Id = parsed(&row, 0)?;
            let one = Sealed { tenant: parsed(&row, 2)?, path: text(&row, 1)?, text: text(&row, 3)? };
            sealed.entry(owner).or_default().push(one);
            if let Some(document) = documents.get_mut(&owner) {
                let hint = bellhop_tenancy::store::SecretHint {
                    path: text(&row, 1)?,
                    last_four: optional_text(&row, 4)?,
                    set_unix_ms: row.integer(5)?,
                };
                document.secrets.push(hint);
            }
        }
        let mut numbers = BTreeMap::<Id, Vec<KeptNumber>>::new();
        for row in snapshot.fetch(NUMBERS, args![]).await? {
            let kept = entries::kept(&row)?;
            numbers.entry(kept.entry.integration).or_default().push(kept);
        }
        snapshot.end().await?;
        Ok(Read { change, plans, tenants, wrapped, documents, uses, sealed, numbers })
    }
}

impl Read {
    fn opened(mut self, keys: &Keys) -> Everything {
        let integrations: Vec<Kept> =
            self.documents.values().filter(|kept| kept.kind == KeptKind::Integration).cloned().collect();
        let integrations = integrations.into_iter().map(|integration| {
            let uses = self.uses.remove(&integration.id).unwrap_or_default();
            let parts: BTreeMap<Id, Kept> =
                uses.iter().filter_map(|id| Some((*id, self.documents.get(id)?.clone()))).collect();
            let mut secrets = BTreeMap::new();
            for owner in parts.keys().chain([&integration.id]) {
                for sealed in self.sealed.get(owner).into_iter().flatten() {
                    secrets.insert((*owner, sealed.path.clone()), sealed.open(*owner, integration.tenant, keys));
                }
            }
            let numbers = self.numbers.remove(&integration.id).unwrap_or_default();
            KeptIntegration { tenant: integration.tenant, integration, parts, secrets, numbers }
        });
        let integrations = integrations.collect();
        Everything { change: self.change, plans: self.plans, tenants: self.tenants, integrations }
    }
}

impl Sealed {
    /// The tenant is that of the integration, whatever a row says of itself.
    fn open(&self, owner: Id, tenant: TenantId, keys: &Keys) -> Result<Secret, String> {
        let key = keys.get(&tenant).ok_or("its tenant has no data key")?.as_ref().map_err(Clone::clone)?;
        key.open(&Place { tenant, owner, path: &self.path }, &self.text).map_err(|why| why.to_string())
    }
}
