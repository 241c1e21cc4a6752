//! What a PostgreSQL tells on a channel (`NOTIFY`).
//!
//! Invariant: whoever hears nothing cannot tell that there was nothing: after each connection that is made anew, somebody is woken.
//! The tests are in `src/adapters/storage/tenants/tests.rs`.

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::{CONNECTED_WITHIN, Connections, Trouble, place, within};

/// A connection of its own that hears one channel.
#[derive(Debug)]
pub(crate) struct Listener(Option<PgListener>);

/// The library says goodbye by a task, and panics where there is no runtime any more: at the end of a process, whose connections end
/// with it.
impl Drop for Listener {
    fn drop(&mut self) {
        if tokio::runtime::Handle::try_current().is_err() {
            std::mem::forget(self.0.take());
        }
    }
}

impl Connections {
    /// Hears a channel, by the way to the database or by another.
    pub(in super::super) async fn listen(
        &self,
        channel: &str,
        by: Option<(&str, Option<&str>)>,
    ) -> Result<Listener, Trouble> {
        let options = match by {
            Some((url, password)) => place::options(url, password)?,
            None => self.0.options.clone(),
        };
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECTED_WITHIN);
        within(async {
            let mut listener = PgListener::connect_with(&pool.connect_lazy_with(options)).await?;
            listener.listen(channel).await?;
            Ok(Listener(Some(listener)))
        })
        .await
    }
}

impl Listener {
    /// Waits until something is told, or until something may have been missed. What waits besides is told with it.
    pub(crate) async fn told(&mut self) -> Result<(), Trouble> {
        let Some(listener) = &mut self.0 else { return Ok(()) };
        // Nothing: the connection was lost, and is made anew by the next that asks.
        listener.try_recv().await?;
        while listener.next_buffered().is_some() {}
        Ok(())
    }
}
