//! A lock that a connection holds for as long as it lives.
//!
//! Invariant: who lost the connection knows that the lock is lost before doing anything in its name: it asks the server.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::{Connection, Connections, Trouble, args, within};

/// How long the lock of somebody who is just going is waited for.
const TAKEN_AFTER: Duration = Duration::from_millis(500);
/// The longest that the server may take to say that the connection lives.
const STANDS_WITHIN: Duration = Duration::from_secs(2);

const WAIT_FOR: &str = "SELECT set_config('lock_timeout', $1, false)";
const LOCK: &str = "SELECT pg_advisory_lock($1)";

/// The lock; given up when this is dropped, and by the server when the connection or this process is gone.
#[derive(Debug)]
pub(crate) struct SessionLock(PgConnection);

impl Connections {
    /// Takes a lock, unless somebody else has it.
    pub(in super::super) async fn session_lock(&self, number: i64) -> Result<Option<SessionLock>, Trouble> {
        let mut connection = self.alone().await?;
        let wait = TAKEN_AFTER.as_millis().to_string();
        let locked = within(async {
            Connection::Postgres(&mut connection).fetch(WAIT_FOR, args![&wait]).await?;
            Ok(Connection::Postgres(&mut connection).fetch(LOCK, args![number]).await?)
        });
        match locked.await {
            Ok(_) => Ok(Some(SessionLock(connection))),
            Err(why) if why.is_locked() => Ok(None),
            Err(why) => Err(why),
        }
    }
}

impl SessionLock {
    /// Whether it is still held, as the server says.
    pub(crate) async fn stands(&mut self) -> bool {
        matches!(tokio::time::timeout(STANDS_WITHIN, self.0.ping()).await, Ok(Ok(())))
    }
}
