//! Plans. Invariant: one that Bellhop brings is never changed, and one that a tenant has is never deleted.

use bellhop_tenancy::access::Author;
use bellhop_tenancy::plan::Plan;
use bellhop_tenancy::store::{Answer, KeptPlan, Plans, Revision, Stamp, StoreError};
use bellhop_tenancy::tenant::why_no_name;

use super::change::{Change, Noted};
use super::checks::{self, mistake, newest_is};
use super::rows::{flag, stamp, text};
use super::{Row, SqlTenants, Trouble, answer, args, everybodys};

/// Most plans of a store.
const PLANS_MAX: u64 = 100;

pub(super) const LIST: &str = "SELECT name, calls, calls_per_second, contact_center, built_in, created_unix_ms,
    changed_unix_ms, revision, change FROM plans ORDER BY name";
const ONE: &str = "SELECT name, calls, calls_per_second, contact_center, built_in, created_unix_ms, changed_unix_ms,
    revision, change FROM plans WHERE name = $1";
const COUNT: &str = "SELECT count(*) FROM plans";
const INSERT: &str = "INSERT INTO plans (name, calls, calls_per_second, contact_center, built_in, created_unix_ms,
    changed_unix_ms, revision, change) VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8)";
const UPDATE: &str = "UPDATE plans SET calls = $2, calls_per_second = $3, contact_center = $4, changed_unix_ms = $5,
    revision = $6, change = $7 WHERE name = $1";
const TENANTS_OF: &str = "SELECT name FROM tenants WHERE plan = $1 AND deleted_unix_ms IS NULL ORDER BY name LIMIT 4";
const DELETE: &str = "DELETE FROM plans WHERE name = $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 7] = [LIST, ONE, COUNT, INSERT, UPDATE, TENANTS_OF, DELETE];

impl Plans for SqlTenants {
    fn plans(&self) -> Answer<'_, Vec<KeptPlan>> {
        answer(async { Ok(self.fetch(LIST, args![]).await?.iter().map(kept).collect::<Result<_, _>>()?) })
    }

    fn put_plan<'a>(&'a self, by: &'a Author, plan: KeptPlan, seen: Option<Revision>) -> Answer<'a, KeptPlan> {
        answer(async move {
            everybodys(by)?;
            check(&plan, seen)?;
            let mut change = self.begin().await?;
            let put = match seen {
                None => add(&mut change, by, plan).await,
                Some(seen) => alter(&mut change, by, plan, seen).await,
            };
            self.end(change, put).await
        })
    }

    fn delete_plan<'a>(&'a self, by: &'a Author, name: &'a str, seen: Revision) -> Answer<'a, ()> {
        answer(async move {
            everybodys(by)?;
            can_be(name)?;
            let mut change = self.begin().await?;
            let deleted = delete(&mut change, by, name, seen).await;
            self.end(change, deleted).await
        })
    }
}

async fn add(change: &mut Change, by: &Author, plan: KeptPlan) -> Result<KeptPlan, StoreError> {
    if change.look(ONE, args![&plan.name]).await?.is_some() {
        return Err(StoreError::Taken(format!("there is a plan `{}` already", plan.name)));
    }
    checks::room(change.count(COUNT, args![]).await?, PLANS_MAX)?;
    let stamp = change.first_stamp();
    let all = args![
        &plan.name,
        plan.calls,
        plan.calls_per_second.map(i64::from),
        i64::from(plan.contact_center),
        stamp.created_unix_ms,
        stamp.changed_unix_ms,
        stamp.revision,
        stamp.change,
    ];
    change.execute(INSERT, all).await?;
    note(change, by, "plan.add", &plan.name, vec![]).await?;
    Ok(KeptPlan { built_in: false, stamp, ..plan })
}

async fn alter(change: &mut Change, by: &Author, plan: KeptPlan, seen: Revision) -> Result<KeptPlan, StoreError> {
    let before = own(change, &plan.name, seen).await?;
    let differs = [
        ("calls", plan.calls != before.calls),
        ("calls_per_second", plan.calls_per_second != before.calls_per_second),
        ("contact_center", plan.contact_center != before.contact_center),
    ];
    let fields: Vec<String> = differs.iter().filter(|(_, is)| *is).map(|(field, _)| (*field).to_owned()).collect();
    if fields.is_empty() {
        return Ok(before);
    }
    let stamp = change.next_stamp(before.stamp);
    let Stamp { changed_unix_ms, revision, change: number, .. } = stamp;
    let (per_second, contact_center) = (plan.calls_per_second.map(i64::from), i64::from(plan.contact_center));
    let all = args![&plan.name, plan.calls, per_second, contact_center, changed_unix_ms, revision, number];
    change.execute(UPDATE, all).await?;
    note(change, by, "plan.change", &plan.name, fields).await?;
    Ok(KeptPlan { built_in: false, stamp, ..plan })
}

async fn delete(change: &mut Change, by: &Author, name: &str, seen: Revision) -> Result<(), StoreError> {
    own(change, name, seen).await?;
    let tenants = change.fetch(TENANTS_OF, args![name]).await?;
    let tenants: Vec<&str> = tenants.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    if !tenants.is_empty() {
        let more = if tenants.len() > 3 { " and others" } else { "" };
        let named = tenants.iter().take(3).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(StoreError::InUse(format!("tenants have this plan: {named}{more}: put them on another first")));
    }
    change.execute(DELETE, args![name]).await?;
    // Nodes read that it is gone.
    change.number();
    note(change, by, "plan.delete", name, vec![]).await
}

/// Whether a plan can be kept. One that is changed may be none of one's own, which is told by another.
fn check(plan: &KeptPlan, seen: Option<Revision>) -> Result<(), StoreError> {
    let KeptPlan { name, calls, calls_per_second, contact_center, .. } = plan.clone();
    let mut mistakes = Plan { name, calls, calls_per_second, contact_center }.mistakes();
    mistakes.retain(|mistake| seen.is_none() || mistake.path != "name");
    match mistakes.into_iter().next() {
        None => Ok(()),
        Some(first) => Err(mistake(&first.path, first.why)),
    }
}

/// A plan that may be changed.
async fn own(change: &mut Change, name: &str, seen: Revision) -> Result<KeptPlan, StoreError> {
    can_be(name)?;
    let before = kept(&change.find(ONE, args![name]).await?)?;
    if before.built_in {
        return Err(mistake("name", "is a plan that Bellhop brings: make one of your own"));
    }
    newest_is(before.stamp.revision, seen)?;
    Ok(before)
}

/// What no plan can be called is none, and not every database takes it for a text.
fn can_be(name: &str) -> Result<(), StoreError> {
    if why_no_name(name).is_none() { Ok(()) } else { Err(StoreError::NotFound) }
}

async fn note(
    change: &mut Change,
    by: &Author,
    action: &str,
    name: &str,
    fields: Vec<String>,
) -> Result<(), StoreError> {
    change.note(by, Noted { action, tenant: None, on: Some(name.to_owned()), fields }).await
}

/// A plan and its stamp, as [`LIST`] has them.
pub(super) fn kept(row: &Row) -> Result<KeptPlan, Trouble> {
    let count = |column| Ok::<_, Trouble>(u32::try_from(row.integer(column)?).unwrap_or(u32::MAX));
    Ok(KeptPlan {
        name: text(row, 0)?,
        calls: count(1)?,
        calls_per_second: row.optional_integer(2)?.map(|number| u32::try_from(number).unwrap_or(u32::MAX)),
        contact_center: flag(row, 3)?,
        built_in: flag(row, 4)?,
        stamp: stamp(row, 5)?,
    })
}
