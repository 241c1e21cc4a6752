//! Calls in lists: which are wanted, and what a list shows of each.
//!
//! Invariant: a list holds no words of a conversation.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::KeptCall;

/// Which calls are wanted; `None` stands for all.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of this tenant.
    pub tenant: Option<String>,
    /// From this number, in whatever way it is written.
    pub caller: Option<String>,
    /// From this number or to it, in whatever way it is written.
    pub number: Option<String>,
    /// That ended so: `end_reason` of the call detail record, or `call.ending`.
    pub reason: Option<String>,
    /// That began at this time or later, in milliseconds since 1970.
    pub from_unix_ms: Option<i64>,
    /// That began before this time.
    pub until_unix_ms: Option<i64>,
    /// That lasted longer.
    pub longer_than: Option<Duration>,
    /// Of whose ending somebody knows words.
    pub words: Option<WantedWords>,
    /// What comes after a call, by when it began and its session, in a list that has the newest first.
    pub after: Option<(i64, String)>,
}

/// Words of why calls ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedWords {
    /// They stand in `failure_details`, in whatever case.
    pub text: String,
    /// Or the call ended in one of these ways (`call.ending`).
    pub endings: Vec<&'static str>,
}

/// What a list shows of a record.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ListedCall {
    /// `global_session_id`
    pub session: String,
    /// The name in the log.
    pub call: String,
    /// The name of the tenant.
    pub tenant: String,
    /// The caller's number, as the record has it.
    pub caller: String,
    /// The number that was dialled.
    pub dialled: String,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: i64,
    /// How long it lasted.
    pub milliseconds: u64,
    /// `end_reason`
    pub reason: String,
    /// `call.ending`; of records from before there was one `end_reason`.
    pub ending: String,
    /// `failure_details`
    pub failure: Option<String>,
    /// How many turns it had.
    pub turns: u64,
}

impl ListedCall {
    /// Of a whole record; what is not in it is empty.
    pub fn of(kept: &KeptCall) -> Self {
        let details: Value = serde_json::from_str(&kept.details).unwrap_or_default();
        let text = |at: &str| details.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let reason = text("/call/end_reason").unwrap_or_default();
        let turns = details.pointer("/assistant_interaction_summaries/0/turns").and_then(Value::as_array);
        Self {
            session: kept.session.clone(),
            call: kept.call.clone(),
            tenant: kept.tenant.clone(),
            caller: kept.caller.clone(),
            dialled: text("/primary_phone_number").unwrap_or_default(),
            began_unix_ms: kept.began_unix_ms,
            milliseconds: details.pointer("/call/milliseconds_elapsed").and_then(Value::as_u64).unwrap_or_default(),
            ending: text("/call/ending").unwrap_or_else(|| reason.clone()),
            reason,
            failure: text("/failure_details"),
            turns: turns.map_or(0, |turns| turns.len() as u64),
        }
    }
}

/// It never shows who called.
impl fmt::Debug for ListedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListedCall({})", self.session)
    }
}
