//! Calls that began and have no record yet.
//!
//! Invariant: a call of a server that is no more is found here by the next one, and gets its record from it: none is up in
//! silence for ever.

use bellhop_call::record::Opening;
use bellhop_dialogue::call_facts::CallFacts;
use sqlx::Row;

use super::Trouble;
use super::connections::Transaction;
use super::records::SqliteRecords;

/// A call that is up, or was when its server died.
#[derive(Clone, PartialEq)]
pub struct UnderWay {
    /// `global_session_id`
    pub session: String,
    /// The name in the log.
    pub call: String,
    /// What is known of it.
    pub opening: Opening,
}

/// It never shows who calls.
impl std::fmt::Debug for UnderWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UnderWay({})", self.session)
    }
}

impl SqliteRecords {
    pub(super) async fn began(&self, transaction: &mut Transaction, opening: &Opening) -> Result<(), Trouble> {
        let query =
            "INSERT OR IGNORE INTO calls_under_way (session, server, call, sip_call_id, tenant, caller, opening)
            VALUES (?, ?, ?, ?, ?, ?, ?)";
        let insert = sqlx::query(query)
            .bind(&opening.session)
            .bind(&*self.server)
            .bind(&opening.call)
            .bind(&opening.facts.sip_call_id)
            .bind(&opening.tenant)
            .bind(&opening.facts.caller)
            .bind(serde_json::to_string(opening).expect("an opening is plain data"));
        insert.execute(transaction.connection()).await?;
        Ok(())
    }

    /// Calls that another process began and never closed. Only for who is alone on the database.
    pub async fn left_behind(&self) -> Result<Vec<UnderWay>, sqlx::Error> {
        let query = "SELECT session, call, sip_call_id, tenant, caller, opening FROM calls_under_way WHERE server <> ?";
        let rows = sqlx::query(query).bind(&*self.server).fetch_all(&self.connections.readers()).await?;
        rows.iter().map(read).collect()
    }

    /// A call that is up, by its session, its name in the log, or its SIP `Call-ID`.
    pub async fn under_way(&self, name: &str) -> Result<Option<UnderWay>, sqlx::Error> {
        let query = "SELECT session, call, sip_call_id, tenant, caller, opening FROM calls_under_way
            WHERE session = ?1 OR call = ?1 OR sip_call_id = ?1 ORDER BY rowid DESC LIMIT 1";
        let row = sqlx::query(query).bind(name).fetch_optional(&self.connections.readers()).await?;
        row.as_ref().map(read).transpose()
    }
}

fn read(row: &sqlx::sqlite::SqliteRow) -> Result<UnderWay, sqlx::Error> {
    let (session, call): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let opening = serde_json::from_str(row.try_get(5)?);
    // One that another version wrote: what the columns tell is enough for a record.
    let opening = opening.unwrap_or(Opening {
        session: session.clone(),
        call: call.clone(),
        tenant: row.try_get(3)?,
        facts: CallFacts { sip_call_id: row.try_get(2)?, caller: row.try_get(4)?, ..CallFacts::default() },
        ..Opening::default()
    });
    Ok(UnderWay { session, call, opening })
}
