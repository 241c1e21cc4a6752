//! What calls leave, while the database answers and while it is away.
//!
//! Invariant: what is read is what the database has: while that is away, nothing is told as not there. Nobody is forgotten while
//! something of theirs may wait in the spool.

use std::collections::HashSet;

use bellhop_call::figures::{Figures, WantedFigures};
use bellhop_call::ports::{
    Answer, CallRecords, CallsUnderWay, Change, Entry, Forgotten, KeptCall, ListedCall, LogEvents, RecordWriter,
    Retention, Swept, UnderWay, Usage, Waiting, Wanted, WantedUsage, Written,
};

use super::SpooledStore;
use crate::storage::database::{Trouble, within};
use crate::storage::sql::answer;

impl RecordWriter for SpooledStore {
    fn write<'a>(&'a self, entries: &'a [Entry]) -> Answer<'a, Written> {
        if entries.is_empty() {
            return Box::pin(std::future::ready(Ok(Written::default())));
        }
        answer(async move {
            let primary = &self.0.primary;
            // Its time begins when it does, which may be after others' turn.
            let direct = async { within(primary.database().again(|| primary.write_all(entries))).await };
            let deeds = || entries.iter().map(|entry| primary.deeds_of(entry).0).collect();
            let mut written = self.write_or_keep(direct, deeds, |_| Written::default()).await?;
            let told = std::mem::take(&mut *self.0.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            written.waiting.extend(told.waiting);
            written.dropped.extend(told.dropped);
            Ok(written)
        })
    }
}

impl CallRecords for SpooledStore {
    fn find_call<'a>(&'a self, name: &'a str) -> Answer<'a, Option<KeptCall>> {
        self.0.primary.find_call(name)
    }

    fn latest<'a>(&'a self, wanted: &'a Wanted, count: u32) -> Answer<'a, Vec<ListedCall>> {
        self.0.primary.latest(wanted, count)
    }

    fn usage<'a>(&'a self, wanted: &'a WantedUsage, count: u32) -> Answer<'a, Vec<Usage>> {
        self.0.primary.usage(wanted, count)
    }

    fn figures<'a>(&'a self, wanted: &'a WantedFigures) -> Answer<'a, Figures> {
        self.0.primary.figures(wanted)
    }

    fn knows<'a>(&'a self, tenant: &'a str) -> Answer<'a, bool> {
        self.0.primary.knows(tenant)
    }

    fn up<'a>(&'a self, tenant: &'a str, count: u32) -> Answer<'a, Vec<UnderWay>> {
        self.0.primary.up(tenant, count)
    }
}

impl CallsUnderWay for SpooledStore {
    fn under_way<'a>(&'a self, name: &'a str) -> Answer<'a, Option<UnderWay>> {
        self.0.primary.under_way(name)
    }

    fn calls_left_behind(&self) -> Answer<'_, Vec<UnderWay>> {
        self.0.primary.calls_left_behind()
    }
}

impl LogEvents for SpooledStore {
    fn due<'a>(&'a self, tenant: &'a str, now_ms: i64, count: u32) -> Answer<'a, Vec<Waiting>> {
        self.0.primary.due(tenant, now_ms, count)
    }

    fn next_due<'a>(&'a self, tenant: &'a str) -> Answer<'a, Option<i64>> {
        self.0.primary.next_due(tenant)
    }

    fn backlog(&self) -> Answer<'_, Vec<(String, u64, i64)>> {
        self.0.primary.backlog()
    }

    fn settle<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, ()> {
        self.0.primary.settle(changes)
    }
}

impl Retention for SpooledStore {
    fn calls_of<'a>(&'a self, caller: &'a str, tenant: Option<&'a str>) -> Answer<'a, Vec<String>> {
        self.0.primary.calls_of(caller, tenant)
    }

    fn forget<'a>(&'a self, caller: &'a str, tenant: Option<&'a str>) -> Answer<'a, Forgotten> {
        if self.0.is_away() {
            return answer(std::future::ready(Err(Trouble::Spooled)));
        }
        // Nobody knows here whose they are.
        self.0.recent.forget_all();
        self.0.primary.forget(caller, tenant)
    }

    fn known_calls(&self) -> Answer<'_, HashSet<String>> {
        self.0.primary.known_calls()
    }

    fn recorded(&self) -> Answer<'_, Vec<String>> {
        self.0.primary.recorded()
    }

    fn recordings_gone<'a>(&'a self, calls: &'a [String]) -> Answer<'a, ()> {
        self.0.primary.recordings_gone(calls)
    }

    fn sweep(&self) -> Answer<'_, Swept> {
        self.0.primary.sweep()
    }
}
