//! The audit: a chain of lines, each with a hash over itself and the hash before it.
//!
//! Nothing takes lines away: a chain that is cut cannot be told from one that was cut by somebody. Invariant: a line that was
//! changed, taken out or put in is found, and so are lines that are missing at the end, whose number and hash the row of
//! `counters` has.

use bellhop_tenancy::access::{Author, Scope};
use bellhop_tenancy::store::{
    Answer, Audit, AuditLine, AuditWanted, ChainBroken, Listed, NewAuditLine, Page, StoreError,
};

use super::chain::{hash, read};
use super::change::{Change, Noted};
use super::rows::{listed, wanted};
use super::{SqlTenants, answer, args, bounded, within};

use std::time::Duration;

const LIST: &str = "SELECT number, id, at_unix_ms, user_id, name, made_from, action, tenant, target, fields, outcome
    FROM audit WHERE (tenant = $1 OR $1 IS NULL) AND number < $2 AND substr(action, 1, length(CAST($4 AS TEXT))) = $4
    AND (name = $5 OR $5 = '') ORDER BY number DESC LIMIT $3";
const NUMBER_OF: &str = "SELECT number FROM audit WHERE id = $1 AND (tenant = $2 OR $2 IS NULL)";
const CHAIN: &str =
    "SELECT number, id, at_unix_ms, user_id, name, made_from, action, tenant, target, fields, outcome, hash
    FROM audit WHERE number > $1 ORDER BY number LIMIT 1000";
const END: &str = "SELECT audit, audit_hash FROM counters WHERE one = 1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 4] = [LIST, NUMBER_OF, CHAIN, END];

/// The longest that reading the whole chain may take: millions of lines.
const VERIFIED_WITHIN: Duration = Duration::from_secs(600);

impl Audit for SqlTenants {
    fn audit_of<'a>(
        &'a self,
        scope: &'a Scope,
        AuditWanted { action, name }: &'a AuditWanted,
        page: Page,
    ) -> Answer<'a, Listed<AuditLine>> {
        answer(async move {
            let tenant = within(scope);
            let before = match page.after {
                None => i64::MAX,
                Some(id) => self.find(NUMBER_OF, args![&id.to_string(), tenant.as_deref()]).await?.integer(0)?,
            };
            let rows = self.fetch(LIST, args![tenant.as_deref(), before, wanted(page), action, name]).await?;
            listed(&rows, page, read, |line| line.id)
        })
    }

    fn note<'a>(&'a self, by: &'a Author, line: NewAuditLine) -> Answer<'a, ()> {
        answer(async move {
            let mut change = self.begin().await?;
            let noted = note(&mut change, by, line).await;
            self.end(change, noted).await
        })
    }

    fn verify(&self) -> Answer<'_, Result<u64, ChainBroken>> {
        Box::pin(bounded(VERIFIED_WITHIN, self.verify_chain()))
    }
}

async fn note(change: &mut Change, by: &Author, line: NewAuditLine) -> Result<(), StoreError> {
    // Whoever is of a tenant notes what is of that tenant.
    let tenant = by.signed_in.scope().tenant().or(line.tenant);
    let noted = Noted { action: &line.action, tenant, on: line.on, fields: vec![] };
    let (user, name) = (by.signed_in.user(), by.signed_in.name());
    change.note_as(user, name, &by.from, line.outcome, noted).await
}

impl SqlTenants {
    async fn verify_chain(&self) -> Result<Result<u64, ChainBroken>, StoreError> {
        // Its end first: what is added meanwhile is not looked at.
        let end = self.find(END, args![]).await?;
        let (last, last_hash) = (end.integer(0)?, end.text(1)?.to_owned());
        let (mut number, mut before) = (0, String::new());
        while number < last {
            let rows = self.fetch(CHAIN, args![number]).await?;
            if rows.is_empty() {
                return Ok(Err(ChainBroken::Missing(number + 1)));
            }
            for row in rows.iter().filter(|row| row.integer(0).is_ok_and(|number| number <= last)) {
                // A line that cannot be read is not what was written.
                let line = read(row);
                number += 1;
                if row.integer(0)? != number {
                    return Ok(Err(ChainBroken::Missing(number)));
                }
                let hash = line.map(|line| hash(&before, &line)).unwrap_or_default();
                if hash != row.text(11)? {
                    return Ok(Err(ChainBroken::Changed(number)));
                }
                before = hash;
            }
            if number < last && rows.last().is_some_and(|row| row.integer(0).is_ok_and(|number| number > last)) {
                return Ok(Err(ChainBroken::Missing(number + 1)));
            }
        }
        Ok(if before == last_hash { Ok(last.unsigned_abs()) } else { Err(ChainBroken::Changed(last)) })
    }
}
