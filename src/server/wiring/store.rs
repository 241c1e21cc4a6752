//! Which store an URL names: the one place that knows.

use std::sync::Arc;

use bellhop_adapters::storage::{CannotOpen, CannotUnlock, ListenOn, SpooledStore, SqlStore, SqlTenants, Store};
use bellhop_tenancy::secret::Secret;
use bellhop_tenancy::store::TenantStore;

use crate::config::Storage;

/// What is kept in a database, opened.
pub(crate) struct Opened {
    /// What calls leave.
    pub(crate) calls: Arc<dyn Store>,
    /// What is kept of tenants.
    pub(crate) tenants: Arc<dyn TenantStore>,
}

/// Why the stores of a server cannot be opened: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotServe {
    #[error(transparent)]
    Database(#[from] CannotOpen),
    #[error(transparent)]
    Keys(#[from] CannotUnlock),
}

/// Opens or creates the stores of a server.
pub(crate) async fn open(storage: &Storage) -> Result<Opened, CannotServe> {
    let password = storage.password.as_ref().map(Secret::expose);
    let calls = SqlStore::open(&storage.url, password).await?;
    let tenants = Arc::new(tenants_of(&calls, storage).await?);
    let calls: Arc<dyn Store> = match &storage.spool {
        Some(spool) => Arc::new(SpooledStore::open(calls, spool).await?),
        None => Arc::new(calls),
    };
    Ok(Opened { calls, tenants })
}

/// Opens a server's store; one that is not there is an error.
pub(crate) async fn open_existing(url: &str, password: Option<&str>) -> Result<Arc<dyn Store>, CannotOpen> {
    Ok(Arc::new(SqlStore::open_existing(url, password).await?))
}

/// Opens what a server keeps of tenants, for a command beside it; a database that is not there is an error.
pub(crate) async fn open_tenants(storage: &Storage) -> Result<SqlTenants, CannotServe> {
    let password = storage.password.as_ref().map(Secret::expose);
    tenants_of(&SqlStore::open_existing(&storage.url, password).await?, storage).await
}

async fn tenants_of(store: &SqlStore, storage: &Storage) -> Result<SqlTenants, CannotServe> {
    let listen_on = storage.listen_url.as_deref();
    let listen_on = listen_on.map(|url| ListenOn { url: Secret::new(url), password: storage.password.clone() });
    Ok(SqlTenants::open(store.database().clone(), &storage.master_keys, listen_on).await?)
}
