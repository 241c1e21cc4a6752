//! Whether settings could be served, with all that they would be served with.
//!
//! Invariant: an integration is judged whole, with its parts, its plan and what the server knows; of a draft what it says and not what it lacks; a
//! part is judged by itself, and in every integration that uses it. A mistake has the words of the one reader, and its place in the body where it stands there.
//! What computes for as long as somebody's script or patterns want does so apart from the thread that answers everybody, few at once and of each
//! tenant one.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::block;
use bellhop_connect::InstanceArn;
use bellhop_tenancy::Number;
use bellhop_tenancy::access::Scope;
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::plan::Plan;
use bellhop_tenancy::settings::{
    Beside, Composed, ComposedReading, ConnectCredentials, Mistake, PartKind, SetApart, Table, TenantSettings,
    Unopened, read_part,
};
use bellhop_tenancy::store::{Kept, KeptKind, KeptTenant, PAGE_MAX, Page};

use super::asked::Asked;
use crate::pointer::pointer;
use crate::problem::{Fault, Problem};
use crate::shares::{Turn, Turns};

/// Requests at once that judge.
const JUDGED_AT_ONCE: usize = 2;

static TURNS: Turns<TenantId> = Turns::of(JUDGED_AT_ONCE);

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

/// What is good, and may be kept.
pub(super) struct Good {
    pub(super) apart: SetApart,
    /// The documents that it names.
    pub(super) uses: Vec<Id>,
    /// The Amazon Connect instance of an integration, if it has one.
    pub(super) instance: Option<InstanceArn>,
}

impl<'a> Judging<'a> {
    /// Of a tenant that whoever asks reaches.
    pub(super) async fn of(asked: &'a Asked, tenant: TenantId) -> Result<Self, Problem> {
        let store = &asked.ports.store;
        let scope = asked.by.signed_in.scope().narrowed(tenant).ok_or_else(Problem::not_found)?;
        let tenant = store.tenant(&scope, tenant).await?;
        let plan = store.plans().await?.into_iter().find(|plan| plan.name == tenant.plan);
        let plan = plan.ok_or_else(Problem::internal)?.plan();
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

    /// Judges settings that are to be kept, those of a document of this kind that there is or of a new one.
    pub(super) async fn judge(&self, kind: KeptKind, id: Option<Id>, settings: &Table) -> Result<Good, Problem> {
        let turn = Arc::new(TURNS.turn(self.tenant.id).await);
        match (kind.part(), kind) {
            (Some(part), _) => self.part(&turn, part, id, settings).await,
            (None, KeptKind::Draft) => {
                let Good { apart, .. } =
                    self.integration(&turn, None, settings, |mistake| !settings.says(&mistake.path)).await?;
                Ok(Good { apart, uses: vec![], instance: None })
            }
            (None, _) => self.integration(&turn, id, settings, |_| false).await,
        }
    }

    async fn integration(
        &self,
        turn: &Arc<Turn<'static>>,
        id: Option<Id>,
        settings: &Table,
        forgiven: impl Fn(&Mistake) -> bool,
    ) -> Result<Good, Problem> {
        let numbers = match id {
            Some(id) => self.asked.ports.store.numbers_of(&self.scope, id).await?.0,
            None => vec![],
        };
        let numbers: Vec<Number> = numbers.into_iter().map(|kept| kept.entry.number).collect();
        let composed = Composed::new(&self.beside(&numbers), (id.unwrap_or(nobody()), settings), |kind, id| {
            self.parts.get(&id)?.as_part(kind)
        });
        let (composed, read) = self.judged(turn, composed).await?;
        let read = read.forgiving(forgiven);
        self.external_id_is_own(&read.settings)?;
        let instance = read.settings.connect.as_ref().and_then(|connect| connect.instance_arn.parse().ok());
        let fault = |(of, mistake): (Id, Mistake)| match self.parts.get(&of) {
            Some(part) => Fault::at("#/settings", format!("{}: {mistake}", part.called())),
            None => at(&mistake, settings),
        };
        match read.set_apart() {
            Ok(apart) => Ok(Good { apart, uses: composed.parts().collect(), instance }),
            Err(mistakes) => Err(Problem::faults(mistakes.into_iter().map(fault).collect())),
        }
    }

    /// An external id is made by us, one for each tenant: whoever could choose it could have us assume another's role (AWS, *The confused deputy
    /// problem*).
    fn external_id_is_own(&self, settings: &TenantSettings) -> Result<(), Problem> {
        let credentials = settings.connect.as_ref().map(|connect| &connect.credentials);
        let Some(ConnectCredentials::Role { external_id, .. }) = credentials else { return Ok(()) };
        let own = format!("bellhop-{}", self.tenant.id);
        match external_id.is_empty() || *external_id == own {
            true => Ok(()),
            false => {
                let why = format!("is not this tenant's, which is `{own}`: have the role trust that one");
                Err(Problem::faults(vec![Fault::at("#/settings/connect/external_id", why)]))
            }
        }
    }

    async fn part(
        &self,
        turn: &Arc<Turn<'static>>,
        kind: PartKind,
        id: Option<Id>,
        settings: &Table,
    ) -> Result<Good, Problem> {
        let faults = |mistakes: Vec<Mistake>| mistakes.iter().map(|mistake| at(mistake, settings)).collect();
        let apart = read_part(kind, settings, &Unopened).set_apart();
        let apart = apart.map_err(|mistakes| Problem::faults(faults(mistakes)))?;
        let own = id.unwrap_or(self.tenant.id.0);
        let alone = Composed::alone(&self.beside(&[]), nobody(), kind, (own, settings));
        let of_own = self.judged(turn, alone).await?.1.mistakes.into_iter().filter(|(of, _)| *of == own);
        let mut all: Vec<Fault> = faults(of_own.map(|(_, mistake)| mistake).collect());
        if let (Some(id), true) = (id, all.is_empty()) {
            for integration in &self.integrations {
                all.extend(self.within(turn, integration, kind, (id, settings)).await?);
            }
        }
        if all.is_empty() { Ok(Good { apart, uses: vec![], instance: None }) } else { Err(Problem::faults(all)) }
    }

    /// What is wrong with an integration once a part says something else, and was not before.
    async fn within(
        &self,
        turn: &Arc<Turn<'static>>,
        integration: &Kept,
        kind: PartKind,
        (id, settings): (Id, &Table),
    ) -> Result<Vec<Fault>, Problem> {
        let (beside, whole) = (self.beside(&[]), (integration.id, &integration.document));
        let before = Composed::new(&beside, whole, |kind, id| self.parts.get(&id)?.as_part(kind));
        if !before.parts().any(|part| part == id) {
            return Ok(vec![]);
        }
        let after = Composed::new(&beside, whole, |asked, wanted| match wanted == id {
            true => (asked == kind).then_some(settings),
            false => self.parts.get(&wanted)?.as_part(asked),
        });
        let after = self.judged(turn, after).await?.1.mistakes;
        if after.is_empty() {
            return Ok(vec![]);
        }
        let before = self.judged(turn, before).await?.1.mistakes;
        let newer = after.into_iter().filter(|mistake| !before.contains(mistake));
        let fault = |(of, mistake): (Id, Mistake)| match of == id {
            true => at(&mistake, settings),
            false => Fault::at("#/settings", format!("in the {}: {mistake}", integration.called())),
        };
        Ok(newer.map(fault).collect())
    }

    fn beside<'b>(&'b self, numbers: &'b [Number]) -> Beside<'b> {
        let (calls, calls_per_second) = (self.plan.calls, self.plan.calls_per_second);
        Beside { tenant: &self.tenant.name, numbers, calls, calls_per_second }
    }

    async fn judged(
        &self,
        turn: &Arc<Turn<'static>>,
        composed: Composed,
    ) -> Result<(Composed, ComposedReading), Problem> {
        let (judge, plan) = (Arc::clone(&self.asked.ports.judge), self.plan.clone());
        // It goes on where nobody waits for it any more.
        let turn = Arc::clone(turn);
        let judged = block(move || {
            let _turn = turn;
            let read = composed.judged(&Unopened, |read| {
                let mut mistakes = judge.judge(&read.settings);
                mistakes.extend(plan.judge(&read.settings).err());
                mistakes
            });
            (composed, read)
        });
        judged.await.map_err(|_| Problem::internal())
    }
}

/// A mistake of settings, by its place in the body.
pub(super) fn at(mistake: &Mistake, settings: &Table) -> Fault {
    let pointer = pointer(&mistake.path, settings);
    Fault::at(format!("#/settings{}", pointer.trim_start_matches('#')), &mistake.why)
}

/// What no document is called.
fn nobody() -> Id {
    Id::new(0, [0; 10])
}
