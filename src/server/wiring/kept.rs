//! The integrations of the store of tenants, as a node is to serve them: put together, judged, and their services opened.
//!
//! Invariant: what is judged, and in which words, is the same as for a tenant of the configuration's file; who has a mistake is
//! not applied, and costs nobody else. Slow: it belongs on a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bellhop_adapters::reach::Reach;
use bellhop_tenancy::id::Id;
use bellhop_tenancy::integration::{OwnNumber, Right};
use bellhop_tenancy::plan::Plan;
use bellhop_tenancy::settings::{
    Beside, Composed, ComposedReading, KeptSecrets, Mistake, RecordsWebhook, TenantSettings,
};
use bellhop_tenancy::store::{Everything, KeptIntegration, KeptNumber, KeptPlan, KeptTenant, TenantState};
use bellhop_tenancy::tenant::Limits;

use super::changing::Found;
use super::judging::Running;
use super::tenants::{Origin, Ready};
use crate::config::Mark;
use crate::engines::{EngineMistake, Purpose, Shared, TenantEngines, Whose};
use crate::records;

/// What the store says.
#[derive(Default)]
pub(super) struct KeptFound {
    pub(super) found: Vec<Found>,
    /// The mistakes of each integration that has some, as lines, by what it is served as.
    pub(super) bad: BTreeMap<String, Vec<String>>,
    /// The identifier of each, by what it is served as.
    pub(super) ids: BTreeMap<String, Id>,
    /// What each tenant may have, by name.
    pub(super) limits: BTreeMap<String, Limits>,
}

/// What is served of it, and what it is judged by.
pub(super) struct Around {
    /// Mark and numbers of each integration of the store that is served.
    pub(super) before: BTreeMap<String, (Mark, Vec<OwnNumber>)>,
    /// The names of the file's tenants, in lower case.
    pub(super) of_file: BTreeSet<String>,
    pub(super) running: Running,
}

/// What is said of an engine that broke down.
const BROKEN: &str = "a service could not be opened: its thread panicked, as the log tells";

/// Reads everything, and opens what is other than before.
pub(super) fn read(everything: &Everything, around: &Around, shared: &mut Shared) -> KeptFound {
    shared.look_again();
    let mut all = KeptFound::default();
    let mut webhooks: BTreeMap<&str, RecordsWebhook> = BTreeMap::new();
    for tenant in everything.tenants.iter().filter(|tenant| tenant.state == TenantState::Active) {
        let Some(plan) = everything.plans.iter().find(|plan| plan.name == tenant.plan).map(KeptPlan::plan) else {
            continue;
        };
        all.limits.insert(tenant.name.clone(), plan.limits());
        for kept in everything.integrations.iter().filter(|kept| kept.tenant == tenant.id) {
            let id = served_as(tenant, kept.integration.id);
            all.ids.insert(id.clone(), kept.integration.id);
            let numbers = numbers(&kept.numbers);
            let is_same = |mark| around.before.get(&id).is_some_and(|before| *before == (mark, numbers.clone()));
            let judged = match around.of_file.contains(&tenant.name.to_ascii_lowercase()) {
                true => Err(vec![format!("the configuration's file has a tenant `{}` too", tenant.name)]),
                false => judge((tenant, &plan, kept), &around.running, is_same, &mut webhooks),
            };
            let found = match judged {
                Ok(judged) if is_same(judged.read.mark) => Ok(Found::Same(id.clone())),
                Ok(judged) => {
                    let opened = AssertUnwindSafe(|| open(&id, judged, kept, numbers, shared));
                    catch_unwind(opened).unwrap_or_else(|_| Err(vec![BROKEN.to_owned()]))
                }
                Err(why) => Err(why),
            };
            all.found.push(found.unwrap_or_else(|why| {
                all.bad.insert(id.clone(), why);
                Found::Bad(id)
            }));
        }
    }
    all
}

/// What an integration of the store is served as: no tenant's name has a slash.
fn served_as(tenant: &KeptTenant, integration: Id) -> String {
    format!("{}/{integration}", tenant.name)
}

fn numbers(kept: &[KeptNumber]) -> Vec<OwnNumber> {
    let right = |confirmed| if confirmed { Right::Confirmed } else { Right::Claimed };
    kept.iter().map(|kept| OwnNumber { number: kept.entry.number.clone(), right: right(kept.confirmed) }).collect()
}

/// An integration that is good as far as documents tell.
struct Judged {
    composed: Composed,
    read: ComposedReading,
    /// How far its URLs may lead.
    reach: Reach,
}

fn judge<'a>(
    (tenant, plan, kept): (&'a KeptTenant, &Plan, &KeptIntegration),
    running: &Running,
    is_same: impl Fn(Mark) -> bool,
    webhooks: &mut BTreeMap<&'a str, RecordsWebhook>,
) -> Result<Judged, Vec<String>> {
    let numbers: Vec<_> = kept.numbers.iter().map(|number| number.entry.number.clone()).collect();
    let (calls, calls_per_second) = (plan.calls, plan.calls_per_second);
    let beside = Beside { tenant: &tenant.name, numbers: &numbers, calls, calls_per_second };
    let composed = Composed::new(&beside, (kept.integration.id, &kept.integration.document), |kind, id| {
        kept.parts.get(&id)?.as_part(kind)
    });
    let read = composed.judged(&KeptSecrets(&kept.secrets), |read| {
        // What is served was good, and what a node judges by stays as it is until it ends.
        let mut mistakes = if is_same(read.mark) { vec![] } else { running.judge(&read.settings) };
        mistakes.extend(plan.judge(&read.settings).err());
        mistakes.extend(one_receiver(&tenant.name, &read.settings, webhooks).err());
        mistakes
    });
    match read.mistakes.is_empty() {
        true => Ok(Judged { composed, read, reach: running.reach }),
        false => Err(read.mistakes.iter().map(|(of, mistake)| told(kept, *of, mistake)).collect()),
    }
}

/// Events of a tenant go to one receiver: its integrations may not name several.
fn one_receiver<'a>(
    tenant: &'a str,
    settings: &TenantSettings,
    webhooks: &mut BTreeMap<&'a str, RecordsWebhook>,
) -> Result<(), Mistake> {
    let Some(webhook) = &settings.records.webhook else { return Ok(()) };
    let first = webhooks.entry(tenant).or_insert_with(|| webhook.clone());
    let same = (&first.url, &first.secret, &first.headers) == (&webhook.url, &webhook.secret, &webhook.headers);
    let why = "is another receiver than that of an integration of this tenant: all name the same, or one names one";
    if same { Ok(()) } else { Err(Mistake::of_value("records.webhook", why)) }
}

fn open(
    id: &str,
    Judged { composed, read, reach }: Judged,
    kept: &KeptIntegration,
    numbers: Vec<OwnNumber>,
    shared: &mut Shared,
) -> Result<Found, Vec<String>> {
    let (settings, mark) = (read.settings, read.mark);
    let whose = Whose { settings: &settings, reach };
    let (engines, mistakes) = TenantEngines::open(shared, whose, Purpose::Serve);
    let line = |mistake: EngineMistake| match mistake {
        EngineMistake::Of(mistake) => {
            let (of, mistake) = composed.whose(mistake);
            told(kept, of, &mistake)
        }
        EngineMistake::Within { file, why, .. } => format!("{}: {why}", file.display()),
    };
    let mut mistakes: Vec<String> = mistakes.into_iter().map(line).collect();
    let receiver = records::receiver(whose).unwrap_or_else(|mistake| {
        mistakes.push(mistake.to_string());
        None
    });
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let (name, origin, written, numbers) = (id.to_owned(), Origin::Store, Arc::default(), Some(numbers));
    Ok(Found::Newer(Box::new(Ready { name, settings, mark, origin, written, numbers, engines, receiver })))
}

/// A mistake as a line: of a part with what the part is called.
fn told(kept: &KeptIntegration, of: Id, mistake: &Mistake) -> String {
    match kept.parts.get(&of) {
        Some(part) => format!("{}: {mistake}", part.called()),
        None => mistake.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use bellhop_adapters::secrets::MasterKeySource;
    use bellhop_adapters::storage::{Database, MasterKeys, SqlTenants};
    use bellhop_tenancy::access::{Author, SignedIn};
    use bellhop_tenancy::settings::{Table, json};
    use bellhop_tenancy::store::{ChangeFeed, Documents, KeptKind, NewDocument, NewTenant, Tenants};

    use super::*;
    use crate::config::Reading;

    fn table(json: &str) -> Table {
        json::read(json).expect("JSON")
    }

    /// A tenant's integration whose recognizer is in a private network.
    async fn everything() -> Everything {
        let database = Database::open("sqlite::memory:", None).await.expect("in memory");
        let keys = MasterKeys { current: MasterKeySource::Memory, previous: None };
        let store = SqlTenants::open(database, &keys, None).await.expect("opens");
        let by = Author { signed_in: SignedIn::on_this_machine("test"), from: "here".into() };
        let tenant = NewTenant { name: "acme".into(), title: "Acme".into(), plan: "plus".into() };
        let tenant = store.add_tenant(&by, tenant).await.expect("added").id;
        let add = async |kind, document, uses| {
            let name = "it".into();
            let new = NewDocument { kind, name, document, secrets: vec![], uses, instance: None };
            store.add_document(&by, tenant, new).await.expect("added").id
        };
        let service = r#"{"port": "speech_to_text", "kind": "watson", "url": "https://10.0.0.1/", "api_key": "k"}"#;
        let service = add(KeptKind::Service, table(service), vec![]).await;
        let line = format!(r#"{{"speech_to_text": ["{service}"]}}"#);
        add(KeptKind::Integration, table(&line), vec![service]).await;
        store.everything(&by.signed_in).await.expect("answers")
    }

    /// Each change has all integrations of everybody read: those that are served as they are cost no more than that.
    #[actix_rt::test]
    async fn what_is_served_as_it_is_is_not_judged_again() {
        let everything = everything().await;
        let (tenant, kept) = (&everything.tenants[0], &everything.integrations[0]);
        let plan = everything.plans.iter().find(|plan| plan.name == "plus").expect("built in").plan();
        let running = Running::of(&Reading::of("", std::path::Path::new("b.toml")).expect("a file").config);
        let told = |is_same: bool| {
            let judged = judge((tenant, &plan, kept), &running, |_| is_same, &mut BTreeMap::new());
            let mistakes = judged.err().unwrap_or_default();
            mistakes.iter().any(|line| line.contains("10.0.0.1"))
        };
        assert!(told(false));
        assert!(!told(true));
    }
}
