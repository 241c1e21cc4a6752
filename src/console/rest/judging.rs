//! Whether settings could be served, with all that they would be served with.
//!
//! Invariant: an integration is judged whole, with its parts, its plan and what the server knows; a part is judged by itself, and in
//! every integration that uses it. A mistake has the words of the one reader, and its place in the body where it stands there.

use std::collections::BTreeMap;

use bellhop_connect::InstanceArn;
use bellhop_tenancy::Number;
use bellhop_tenancy::access::Scope;
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::plan::Plan;
use bellhop_tenancy::settings::{Beside, Composed, Mistake, PartKind, SetApart, Table, Unopened, Value, read_part};
use bellhop_tenancy::store::{Kept, KeptKind, KeptTenant, PAGE_MAX, Page};

use super::asked::Asked;
use super::shown::section_of;
use crate::pointer::pointer;
use crate::problem::{Fault, Problem};

/// A tenant with all of its documents.
pub(super) struct Judging<'a> {
    asked: &'a Asked,
    tenant: KeptTenant,
    plan: Plan,
    /// Assistants and services.
    parts: BTreeMap<Id, Kept>,
    integrations: Vec<Kept>,
    scope: Scope,
}

/// The instance that an integration names.
pub(super) fn instance_of(document: &Table) -> Option<InstanceArn> {
    match document.get("connect") {
        Some(Value::Table(connect)) => match connect.get("instance_arn") {
            Some(Value::Text(arn)) => arn.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

impl<'a> Judging<'a> {
    /// Of a tenant that whoever asks reaches.
    pub(super) async fn of(asked: &'a Asked, tenant: TenantId) -> Result<Self, Problem> {
        let store = &asked.ports.store;
        let scope = asked.by.signed_in.scope().narrowed(tenant).ok_or_else(Problem::not_found)?;
        let tenant = store.tenant(&scope, tenant).await?;
        let plan = store.plans().await?.into_iter().find(|plan| plan.name == tenant.plan);
        let plan = plan.ok_or_else(Problem::internal)?;
        let plan = Plan {
            name: plan.name,
            calls: plan.calls,
            calls_per_second: plan.calls_per_second,
            contact_center: plan.contact_center,
        };
        let (mut parts, mut integrations) = (BTreeMap::new(), vec![]);
        for kind in [KeptKind::Assistant, KeptKind::Service, KeptKind::Integration] {
            let mut after = None;
            loop {
                let page = store.documents(&scope, kind, Page { after, count: PAGE_MAX }).await?;
                match kind {
                    KeptKind::Integration => integrations.extend(page.items),
                    _ => parts.extend(page.items.into_iter().map(|kept| (kept.id, kept))),
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(Self { asked, tenant, plan, parts, integrations, scope })
    }

    /// Judges settings that are to be kept, those of a document that there is or of a new one; without its secrets, and with what it
    /// uses.
    pub(super) async fn judge(
        &self,
        kind: KeptKind,
        id: Option<Id>,
        settings: &Table,
    ) -> Result<(SetApart, Vec<Id>), Problem> {
        match kind {
            KeptKind::Integration => self.integration(id, settings).await,
            KeptKind::Assistant => self.part(PartKind::Assistant, kind, id, settings),
            KeptKind::Service => self.part(PartKind::Service, kind, id, settings),
        }
    }

    async fn integration(&self, id: Option<Id>, settings: &Table) -> Result<(SetApart, Vec<Id>), Problem> {
        let numbers = match id {
            Some(id) => self.asked.ports.store.numbers_of(&self.scope, id).await?.0,
            None => vec![],
        };
        let numbers: Vec<Number> = numbers.into_iter().map(|kept| kept.entry.number).collect();
        // A document that is new has no name yet, and is none of its parts.
        let id = id.unwrap_or(self.tenant.id.0);
        let composed = self.composed(id, settings, &numbers, None);
        let mistakes = self.mistakes(&composed);
        if mistakes.is_empty() {
            let uses = composed.parts().collect();
            let apart = composed.read(&Unopened).set_apart();
            return apart.map(|apart| (apart, uses)).map_err(|_| Problem::internal());
        }
        let fault = |(of, mistake): (Id, Mistake)| match self.parts.get(&of) {
            Some(part) if of != id => Fault::at("#/settings", format!("{}: {mistake}", called(part))),
            _ => at(&mistake, settings),
        };
        Err(Problem::faults(mistakes.into_iter().map(fault).collect()))
    }

    fn part(
        &self,
        part: PartKind,
        kind: KeptKind,
        id: Option<Id>,
        settings: &Table,
    ) -> Result<(SetApart, Vec<Id>), Problem> {
        let apart = read_part(part, settings, &Unopened).set_apart();
        let told =
            |mistakes: Vec<Mistake>| Problem::faults(mistakes.iter().map(|mistake| at(mistake, settings)).collect());
        let apart = apart.map_err(told)?;
        let (section, own) = (section_of(kind, settings), id.unwrap_or_else(|| Id::new(0, [0; 10])));
        let alone: Table = [(section, Value::List(vec![Value::Text(own.to_string())]))].into_iter().collect();
        let alone = self.mistakes(&self.composed(self.tenant.id.0, &alone, &[], Some((own, kind, settings))));
        let mut faults: Vec<Fault> =
            alone.iter().filter(|(of, _)| *of == own).map(|(_, mistake)| at(mistake, settings)).collect();
        let Some(id) = id.filter(|_| faults.is_empty()) else {
            return if faults.is_empty() { Ok((apart, vec![])) } else { Err(Problem::faults(faults)) };
        };
        for integration in self.integrations.iter().filter(|kept| uses(&kept.document, id)) {
            let before = self.mistakes(&self.composed(integration.id, &integration.document, &[], None));
            let composed = self.composed(integration.id, &integration.document, &[], Some((id, kind, settings)));
            // What was wrong before is not this change's.
            for (of, mistake) in self.mistakes(&composed).into_iter().filter(|one| !before.contains(one)) {
                faults.push(match of == id {
                    true => at(&mistake, settings),
                    false => Fault::at("#/settings", format!("in the integration `{}`: {mistake}", integration.name)),
                });
            }
        }
        if faults.is_empty() { Ok((apart, vec![])) } else { Err(Problem::faults(faults)) }
    }

    /// An integration with its parts, of which one may say something else than what is kept.
    fn composed(
        &self,
        id: Id,
        settings: &Table,
        numbers: &[Number],
        instead: Option<(Id, KeptKind, &Table)>,
    ) -> Composed {
        let (calls, calls_per_second) = (self.plan.calls, self.plan.calls_per_second);
        let beside = Beside { tenant: &self.tenant.name, numbers, calls, calls_per_second };
        Composed::new(&beside, (id, settings), |section, wanted| {
            let kind = if section == "assistant" { KeptKind::Assistant } else { KeptKind::Service };
            match instead {
                Some((of, is, document)) if of == wanted => (is == kind).then_some(document),
                _ => self.parts.get(&wanted).filter(|part| part.kind == kind).map(|part| &part.document),
            }
        })
    }

    fn mistakes(&self, composed: &Composed) -> Vec<(Id, Mistake)> {
        let mut read = composed.read(&Unopened);
        let mut mistakes = std::mem::take(&mut read.mistakes);
        let mut further = self.asked.ports.judge.judge(&read.settings);
        further.extend(self.plan.judge(&read.settings).err());
        mistakes.extend(further.into_iter().map(|mistake| composed.whose(mistake)));
        mistakes
    }
}

/// A mistake of settings, by its place in the body.
fn at(mistake: &Mistake, settings: &Table) -> Fault {
    let pointer = pointer(&mistake.path, settings);
    Fault::at(format!("#/settings{}", pointer.trim_start_matches('#')), &mistake.why)
}

fn called(part: &Kept) -> String {
    let sort = if part.kind == KeptKind::Assistant { "assistant" } else { "service" };
    format!("the {sort} `{}`", part.name)
}

/// Whether an integration names a document in one of its lists.
fn uses(integration: &Table, id: Id) -> bool {
    let id = id.to_string();
    integration.iter().any(|(_, value)| match value {
        Value::List(list) => list.iter().any(|value| matches!(value, Value::Text(text) if *text == id)),
        _ => false,
    })
}
