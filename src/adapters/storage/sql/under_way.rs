//! Calls that began and have no record yet.
//!
//! Invariant: a call of a server that is no more is found here by the next one, and gets its record from it: none is up in
//! silence for ever.

use bellhop_call::ports::{Answer, CallsUnderWay, UnderWay};
use bellhop_call::record::Opening;
use bellhop_dialogue::call_facts::CallFacts;

use super::servers::{lease, left_behind};
use super::{SqlStore, Trouble, answer, args};
use crate::storage::database::Row;

const FIND: &str = "SELECT session, call, sip_call_id, tenant, caller, opening FROM calls_under_way
    WHERE session = $1 OR call = $1 OR sip_call_id = $1 ORDER BY rowid DESC LIMIT 1";
const LEFT_BEHIND: &str =
    concat!("SELECT session, call, sip_call_id, tenant, caller, opening FROM calls_under_way WHERE ", left_behind!());

const UP: &str = "SELECT session, call, sip_call_id, tenant, caller, opening FROM calls_under_way
    WHERE tenant = $1 ORDER BY rowid DESC LIMIT $2";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 3] = [FIND, LEFT_BEHIND, UP];

impl CallsUnderWay for SqlStore {
    fn under_way<'a>(&'a self, name: &'a str) -> Answer<'a, Option<UnderWay>> {
        answer(async move {
            let row = self.database.fetch_optional(FIND, args![name]).await?;
            row.as_ref().map(read).transpose()
        })
    }

    fn calls_left_behind(&self) -> Answer<'_, Vec<UnderWay>> {
        answer(async {
            let rows = self.database.fetch(LEFT_BEHIND, args![&*self.server, lease()]).await?;
            rows.iter().map(read).collect()
        })
    }
}

impl SqlStore {
    /// Those of a tenant, the latest first.
    pub(super) async fn up_of(&self, tenant: &str, count: u32) -> Result<Vec<UnderWay>, Trouble> {
        self.database.fetch(UP, args![tenant, count]).await?.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<UnderWay, Trouble> {
    let text = |column| row.text(column).map(str::to_owned);
    let (session, call) = (text(0)?, text(1)?);
    let opening = serde_json::from_str(row.text(5)?);
    // One that another version wrote: what the columns tell is enough for a record.
    let opening = opening.unwrap_or(Opening {
        session: session.clone(),
        call: call.clone(),
        tenant: text(3)?,
        facts: CallFacts { sip_call_id: text(2)?, caller: text(4)?, ..CallFacts::default() }.into(),
        ..Opening::default()
    });
    Ok(UnderWay { session, call, opening })
}
