//! Which store an URL names: the one place that knows.

use std::sync::Arc;

use bellhop_adapters::storage::{CannotOpen, SqlStore, Store};
use bellhop_tenancy::secret::Secret;

use crate::config::Storage;

/// Opens or creates the store of a server.
pub(crate) async fn open(storage: &Storage) -> Result<Arc<dyn Store>, CannotOpen> {
    let password = storage.password.as_ref().map(Secret::expose);
    Ok(Arc::new(SqlStore::open(&storage.url, password).await?))
}

/// Opens a server's store; one that is not there is an error.
pub(crate) async fn open_existing(url: &str, password: Option<&str>) -> Result<Arc<dyn Store>, CannotOpen> {
    Ok(Arc::new(SqlStore::open_existing(url, password).await?))
}
