//! What a PostgreSQL tells on a channel (`NOTIFY`).
//!
//! Invariant: whoever hears nothing cannot tell that there was nothing: after each connection that is made anew, somebody is woken.
//! The tests are in `src/adapters/storage/tenants/tests.rs`.

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::{CONNECTED_WITHIN, Connections, Trouble, place, within};

/// A connection of its own that hears one channel.
#[derive(Debug)]
pub(crate) struct Listener(PgListener);

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
            Ok(Listener(listener))
        })
        .await
    }
}

impl Listener {
    /// Waits until something is told, or until something may have been missed. What waits besides is told with it.
    pub(crate) async fn told(&mut self) -> Result<(), Trouble> {
        // Nothing: the connection was lost, and is made anew by the next that asks.
        self.0.try_recv().await?;
        while self.0.next_buffered().is_some() {}
        Ok(())
    }
}
