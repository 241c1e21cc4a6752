//! Calls that began and have no record yet.
//!
//! Invariant: a call of a server that is no more is found here by the next one, and gets its record from it: none is up in
//! silence for ever.

use bellhop_call::ports::{Answer, CallsUnderWay, UnderWay};
use bellhop_call::record::Opening;
use bellhop_dialogue::call_facts::CallFacts;
use sqlx::Row;

use super::connections::Transaction;
use super::{Database, Trouble, answer};

impl Database {
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
}

impl CallsUnderWay for Database {
    fn under_way<'a>(&'a self, name: &'a str) -> Answer<'a, Option<UnderWay>> {
        answer(async move {
            let query = "SELECT session, call, sip_call_id, tenant, caller, opening FROM calls_under_way
                WHERE session = ?1 OR call = ?1 OR sip_call_id = ?1 ORDER BY rowid DESC LIMIT 1";
            let row = sqlx::query(query).bind(name).fetch_optional(&self.connections.readers()).await?;
            Ok(row.as_ref().map(read).transpose()?)
        })
    }

    fn calls_left_behind(&self) -> Answer<'_, Vec<UnderWay>> {
        answer(async {
            let query =
                "SELECT session, call, sip_call_id, tenant, caller, opening FROM calls_under_way WHERE server <> ?";
            let rows = sqlx::query(query).bind(&*self.server).fetch_all(&self.connections.readers()).await?;
            Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
        })
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
