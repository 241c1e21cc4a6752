//! What a write does to the tables, as a value: carried out at once, or kept in a spool and carried out later.
//!
//! Invariant: its times and names are settled when it is made, so that it does not matter when it is carried out.

use std::sync::LazyLock;

use bellhop_call::record::Opening;
use serde::{Deserialize, Serialize};

use super::rows::{ROWS, Text, Texts};
use super::{Database, Trouble, args};
use crate::storage::database::{Argument, Transaction};

static BEGAN: LazyLock<Texts> = LazyLock::new(|| {
    let into = "INSERT INTO calls_under_way (session, server, call, sip_call_id, tenant, caller, opening) VALUES";
    Texts::of(into, 7, " ON CONFLICT DO NOTHING")
});
static RECORDED: LazyLock<Texts> = LazyLock::new(|| {
    Texts::of("INSERT INTO recorded_calls (call, tenant, caller) VALUES", 3, " ON CONFLICT DO NOTHING")
});
static OVER: LazyLock<Texts> =
    LazyLock::new(|| Texts::of("DELETE FROM calls_under_way WHERE session IN (VALUES", 1, ")"));
static RECORD: LazyLock<Texts> = LazyLock::new(|| {
    let into = "INSERT INTO call_records
    (session, call, sip_call_id, tenant, caller, began_unix_ms, expires_unix, details, timeline) VALUES";
    Texts::of(into, 9, " ON CONFLICT DO NOTHING")
});
static EVENT: LazyLock<Texts> = LazyLock::new(|| {
    let into = "INSERT INTO log_events (id, tenant, session, caller, body, due_unix_ms, expires_unix) VALUES";
    Texts::of(into, 7, " ON CONFLICT DO NOTHING")
});
/// Another server took the call for lost meanwhile: its own knows better.
const INSTEAD: &str = "INSERT INTO call_records
    (session, call, sip_call_id, tenant, caller, began_unix_ms, expires_unix, details, timeline)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (session) DO UPDATE SET call = excluded.call,
        sip_call_id = excluded.sip_call_id, tenant = excluded.tenant, caller = excluded.caller,
        began_unix_ms = excluded.began_unix_ms, expires_unix = excluded.expires_unix, details = excluded.details,
        timeline = excluded.timeline";
const HISTORY: &str = "INSERT INTO session_histories (filed_as, tenant, json, expires_unix, reads_left)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
/// It was read already: of what is not left nothing is taken.
const READ: &str = "UPDATE session_histories SET reader = $2, read_until_unix = $3,
        reads_left = CASE WHEN reads_left > 0 THEN reads_left - 1 ELSE reads_left END
    WHERE filed_as = $1";
const LENT: &str = "INSERT INTO lent_histories (filed_as, server) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const EARNED: &str = "DELETE FROM lent_histories WHERE filed_as = $1";
const VOID: &str = "DELETE FROM session_histories WHERE filed_as = $1";
const NOTED: &str = "INSERT INTO writes_in_flight (server, tenant, contact_id, names, noted_unix, spooled_as)
    VALUES ($1, $2, $3, $4, $5, $6)";
const STRUCK: &str = "DELETE FROM writes_in_flight WHERE tenant = $1 AND id = $2";
const STRUCK_SPOOLED: &str = "DELETE FROM writes_in_flight WHERE tenant = $1 AND spooled_as = $2";
const SETTLED: &str = "DELETE FROM writes_in_flight WHERE tenant = $1 AND contact_id = $2";

/// Every text of this file.
#[cfg(test)]
pub(super) fn all() -> Vec<&'static str> {
    let of_rows = [&*BEGAN, &RECORDED, &OVER, &RECORD, &EVENT].into_iter();
    let of_one = [INSTEAD, HISTORY, READ, LENT, EARNED, VOID, NOTED, STRUCK, STRUCK_SPOOLED, SETTLED].into_iter();
    of_rows.flat_map(|texts| [texts.one.as_str(), &texts.many]).chain(of_one).collect()
}

/// One change of the tables. It never prints itself: it holds what callers say.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::storage) enum Deed {
    /// A call is up.
    Began {
        /// Whose it is.
        server: String,
        /// What is known of it.
        opening: Box<Opening>,
    },
    /// It has a recording.
    Recorded { call: String, tenant: String, caller: String },
    /// It is up no more.
    Over { session: String },
    /// Its record.
    Record {
        session: String,
        call: String,
        sip_call_id: String,
        tenant: String,
        caller: String,
        began_unix_ms: i64,
        expires_unix: i64,
        details: String,
        timeline: String,
    },
    /// An event waits for its receiver.
    Event {
        id: String,
        tenant: String,
        session: String,
        caller: String,
        body: String,
        due_unix_ms: i64,
        expires_unix: i64,
    },
    /// A history is stored, and perhaps its key given away by a server.
    History {
        filed_as: String,
        tenant: String,
        json: String,
        expires_unix: i64,
        lent_by: Option<String>,
        /// How often it may be read; a spool of a former program knows no limits.
        #[serde(default)]
        reads: Option<u32>,
    },
    /// It was read, until then, by a reader as it is kept.
    Read { filed_as: String, reader: String, until_unix: i64 },
    /// What the key was given away for has come about.
    Earned { filed_as: String },
    /// The key opens nothing any more.
    Void { filed_as: String },
    /// A contact is written to.
    Noted { server: String, tenant: String, contact_id: String, names: String, noted_unix: i64 },
    /// Nothing was written of what a note says.
    Struck { tenant: String, id: i64 },
    /// The same for a note that came by a spool.
    StruckSpooled { tenant: String, spooled_as: String },
    /// What a contact holds is known.
    Settled { tenant: String, contact_id: String },
}

/// A write that was kept in a spool.
pub(in crate::storage) struct Kept {
    /// Its number there.
    pub(in crate::storage) id: i64,
    /// What it does.
    pub(in crate::storage) deeds: Vec<Deed>,
    /// The bytes that it takes there.
    pub(in crate::storage) bytes: u64,
}

impl Deed {
    /// The session whose call it writes as up, or as up no more.
    pub(in crate::storage) fn up_or_over(&self) -> Option<&str> {
        match self {
            Self::Began { opening, .. } => Some(&opening.session),
            Self::Over { session } => Some(session),
            _ => None,
        }
    }

    /// Does it as a part of a transaction.
    pub(in crate::storage) async fn carry_out(&self, transaction: &mut Transaction) -> Result<(), Trouble> {
        self.carry_out_as(transaction, None).await
    }

    /// The same for what came by a spool, in which it has a name.
    pub(in crate::storage) async fn carry_out_as(
        &self,
        transaction: &mut Transaction,
        spooled_as: Option<&str>,
    ) -> Result<(), Trouble> {
        if let Self::History { filed_as, lent_by: Some(server), .. } = self {
            transaction.execute(LENT, args![filed_as, server]).await?;
        }
        let whole = self.whole();
        let (text, arguments) = self.statement(&whole, spooled_as);
        transaction.execute(text.one(), &arguments).await?;
        Ok(())
    }

    /// Does all of them as a part of a transaction, those that are alike together; each call's in their order.
    pub(in crate::storage) async fn carry_out_all(
        mut deeds: Vec<Self>,
        transaction: &mut Transaction,
    ) -> Result<(), Trouble> {
        deeds.sort_by_key(Self::rank);
        for alike in deeds.chunk_by(|one, other| one.rank() == other.rank()) {
            let (many, rest) = alike.as_chunks::<ROWS>();
            for rows in many {
                let wholes = rows.each_ref().map(Self::whole);
                let statements = rows.iter().zip(&wholes).map(|(deed, whole)| deed.statement(whole, None));
                let statements: Vec<(Text, Vec<Argument<'_>>)> = statements.collect();
                let [(Text::Rows(texts), _), ..] = statements[..] else {
                    Self::one_by_one(rows, transaction).await?;
                    continue;
                };
                let arguments: Vec<Argument<'_>> = statements.into_iter().flat_map(|(_, row)| row).collect();
                transaction.execute(&texts.many, &arguments).await?;
            }
            Self::one_by_one(rest, transaction).await?;
        }
        Ok(())
    }

    async fn one_by_one(deeds: &[Self], transaction: &mut Transaction) -> Result<(), Trouble> {
        for deed in deeds {
            deed.carry_out(transaction).await?;
        }
        Ok(())
    }

    /// Those of a lower rank are done first: a call is up before it is up no more.
    fn rank(&self) -> u8 {
        match self {
            Self::Began { .. } => 0,
            Self::Recorded { .. } => 1,
            Self::Over { .. } => 2,
            Self::Record { .. } => 3,
            Self::Event { .. } => 4,
            _ => 5,
        }
    }

    /// What of it is written as one text.
    fn whole(&self) -> String {
        match self {
            Self::Began { opening, .. } => serde_json::to_string(opening).expect("an opening is plain data"),
            _ => String::new(),
        }
    }

    /// What it says to the database; `whole` is [`Deed::whole`].
    fn statement<'a>(&'a self, whole: &'a str, spooled_as: Option<&'a str>) -> (Text, Vec<Argument<'a>>) {
        match self {
            Self::Began { server, opening } => {
                let (session, call, facts) = (&opening.session, &opening.call, &opening.facts);
                let names = args![session, server, call, &facts.sip_call_id, &opening.tenant, &facts.caller, whole];
                (Text::Rows(&BEGAN), names.to_vec())
            }
            Self::Recorded { call, tenant, caller } => (Text::Rows(&RECORDED), args![call, tenant, caller].to_vec()),
            Self::Over { session } => (Text::Rows(&OVER), args![session].to_vec()),
            Self::Record {
                session,
                call,
                sip_call_id,
                tenant,
                caller,
                began_unix_ms: began,
                expires_unix: expires,
                details,
                timeline,
            } => {
                // A row that is replaced is counted no second time.
                let text = if spooled_as.is_some() { Text::One(INSTEAD) } else { Text::Rows(&RECORD) };
                let row = args![session, call, sip_call_id, tenant, caller, *began, *expires, details, timeline];
                (text, row.to_vec())
            }
            Self::Event { id, tenant, session, caller, body, due_unix_ms, expires_unix } => {
                let row = args![id, tenant, session, caller, body, *due_unix_ms, *expires_unix];
                (Text::Rows(&EVENT), row.to_vec())
            }
            Self::History { filed_as, tenant, json, expires_unix, reads, .. } => {
                let row = args![filed_as, tenant, json, *expires_unix, reads.map(i64::from)];
                (Text::One(HISTORY), row.to_vec())
            }
            Self::Read { filed_as, reader, until_unix } => {
                (Text::One(READ), args![filed_as, reader, *until_unix].to_vec())
            }
            Self::Earned { filed_as } => (Text::One(EARNED), args![filed_as].to_vec()),
            Self::Void { filed_as } => (Text::One(VOID), args![filed_as].to_vec()),
            Self::Noted { server, tenant, contact_id, names, noted_unix } => {
                let row = args![server, tenant, contact_id, names, *noted_unix, spooled_as];
                (Text::One(NOTED), row.to_vec())
            }
            Self::Struck { tenant, id } => (Text::One(STRUCK), args![tenant, *id].to_vec()),
            Self::StruckSpooled { tenant, spooled_as } => {
                (Text::One(STRUCK_SPOOLED), args![tenant, spooled_as].to_vec())
            }
            Self::Settled { tenant, contact_id } => (Text::One(SETTLED), args![tenant, contact_id].to_vec()),
        }
    }

    /// Does it in a transaction of its own.
    pub(in crate::storage) async fn alone(&self, database: &Database) -> Result<(), Trouble> {
        let mut transaction = database.begin().await?;
        self.carry_out(&mut transaction).await?;
        transaction.commit().await
    }

    /// The tenant whose receiver waits for it.
    pub(in crate::storage) fn told_to(&self) -> Option<&str> {
        match self {
            Self::Event { tenant, .. } => Some(tenant),
            _ => None,
        }
    }
}
