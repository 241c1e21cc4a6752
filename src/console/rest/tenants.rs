//! `tenants`: who there is. Operators make and delete them; each of a tenant's people sees their own. Those of the file are shown beside
//! them (`of_file.rs`).

use actix_web::http::StatusCode;
use bellhop_tenancy::access::Role;
use bellhop_tenancy::id::TenantId;
use bellhop_tenancy::settings::patch::merge;
use bellhop_tenancy::settings::{Table, Value};
use bellhop_tenancy::store::{AppliedBy, KeptTenant, NewTenant as New, TenantChange as Change, TenantState};
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::calls;
use super::fields::{self, Fields};
use super::given::Given;
use super::names;
use super::of_file;
use super::route::{Outcome, Route};
use super::shown::{Applied, time};
use crate::ports::FileTenant;
use crate::problem::{Fault, Problem};

/// Most characters of a title.
const TITLE_CHARS_MAX: usize = 200;
/// Most characters of the name of a plan.
const PLAN_CHARS_MAX: usize = 64;
/// The words of its state.
const STATES: [&str; 2] = ["active", "suspended"];

/// A tenant as it is shown.
#[derive(Serialize, ToSchema)]
struct Tenant {
    id: String,
    /// The label of its metrics; never given twice.
    name: String,
    /// What people call it.
    title: String,
    /// The name of its plan; null for one of the file, which has limits of its own there.
    plan: Option<String>,
    /// `active`, or `suspended`: its calls are refused, and everything is kept.
    state: &'static str,
    /// Whether it comes from the configuration's file of the server that is asked: it is changed there alone.
    from_file: bool,
    /// Null for one of the file.
    created_at: Option<String>,
    /// Null for one of the file.
    changed_at: Option<String>,
    /// 0 for one of the file.
    revision: i64,
    /// Which nodes serve it as it is shown; of the file, whether the one that is asked does.
    applied: Applied,
}

/// A tenant to be made.
#[derive(ToSchema)]
struct NewTenant {
    /// Letters, digits, `-` and `_`, at most 64.
    name: String,
    /// What people call it; its name if it is left out.
    #[schema(required = false, max_length = 200)]
    title: String,
    /// The name of its plan.
    plan: String,
    /// Whether it is the one of this name that was in the configuration's file, and sees the calls and conversations that are kept of it.
    #[schema(required = false, default = false)]
    takes_over_calls: bool,
}

/// What changes of a tenant; what is not named stays.
#[derive(ToSchema)]
struct TenantChange {
    /// What people call it.
    #[schema(max_length = 200)]
    title: String,
    /// The name of its plan.
    plan: String,
    /// `active` or `suspended`
    #[schema(value_type = String, example = "suspended")]
    state: TenantState,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/tenants", Role::Viewer, "Lists tenants", list).pages::<Tenant>(),
        Route::post("/tenants", Role::Operator, "Makes a tenant", add).takes::<NewTenant>().makes::<Tenant>(),
        Route::get("/tenants/{id}", Role::Viewer, "Shows a tenant", show).gives::<Tenant>(),
        Route::patch::<TenantChange, _, _>("/tenants/{id}", Role::Operator, "Changes a tenant", change)
            .gives::<Tenant>(),
        Route::delete("/tenants/{id}", Role::Operator, "Deletes a tenant with all that belongs to it", delete),
    ]
}

impl Tenant {
    fn of(kept: KeptTenant, nodes: &[AppliedBy]) -> Self {
        let KeptTenant { id, name, title, plan, state, stamp } = kept;
        Self {
            id: id.to_string(),
            name,
            title,
            plan: Some(plan),
            state: word(state),
            from_file: false,
            created_at: Some(time(stamp.created_unix_ms)),
            changed_at: Some(time(stamp.changed_unix_ms)),
            revision: stamp.revision,
            applied: Applied::of(nodes, stamp.change),
        }
    }

    fn of_file(tenant: FileTenant) -> Self {
        Self {
            id: TenantId::of_file(&tenant.name).to_string(),
            title: tenant.name.clone(),
            name: tenant.name,
            plan: None,
            state: word(TenantState::Active),
            from_file: true,
            created_at: None,
            changed_at: None,
            revision: 0,
            applied: Applied::here(tenant.integration.is_some()),
        }
    }
}

fn word(state: TenantState) -> &'static str {
    match state {
        TenantState::Active => STATES[0],
        TenantState::Suspended => STATES[1],
    }
}

impl TenantChange {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            title: fields.line("title", TITLE_CHARS_MAX),
            plan: fields.line("plan", PLAN_CHARS_MAX),
            state: match fields.choice("state", &STATES) {
                Some(1) => TenantState::Suspended,
                _ => TenantState::Active,
            },
        }
    }

    fn of(kept: &KeptTenant) -> Table {
        let texts = [("title", kept.title.as_str()), ("plan", &kept.plan), ("state", word(kept.state))];
        texts.map(|(key, text)| (key.to_owned(), Value::Text(text.to_owned()))).into_iter().collect()
    }
}

async fn given(asked: &Asked, kept: KeptTenant) -> Outcome {
    let nodes = asked.ports.store.applied().await?;
    let revision = kept.stamp.revision;
    Ok(Given::one(&Tenant::of(kept, &nodes)).tagged_with_all(revision))
}

async fn list(asked: Asked) -> Outcome {
    let (scope, nodes) = (asked.by.signed_in.scope(), asked.ports.store.applied().await?);
    let of_file = asked.tenants_of_file(&scope).into_iter();
    let of_file = of_file.map(|one| (TenantId::of_file(&one.name).0, Tenant::of_file(one)));
    let kept = |page| asked.ports.store.tenants(&scope, page);
    let listed = of_file::page(of_file, asked.page()?, kept, |kept| Tenant::of(kept, &nodes)).await?;
    Ok(Given::page(listed, |shown| shown))
}

async fn show(asked: Asked) -> Outcome {
    if let Some(of_file) = asked.tenant_of_file(TenantId(asked.id()?)) {
        return Ok(Given::one(&Tenant::of_file(of_file)));
    }
    let kept = asked.ports.store.tenant(&asked.by.signed_in.scope(), TenantId(asked.id()?)).await?;
    given(&asked, kept).await
}

async fn add(asked: Asked) -> Outcome {
    let read = |fields: &Fields<'_>| NewTenant {
        name: names::read(fields, "name"),
        title: fields.line_or_none("title", TITLE_CHARS_MAX),
        plan: fields.line("plan", PLAN_CHARS_MAX),
        takes_over_calls: fields.flag("takes_over_calls", false),
    };
    let NewTenant { name, title, plan, takes_over_calls } = fields::read(&asked.document(), read)?;
    if asked.has_name_of_file(&name) {
        let why = "the configuration's file has a tenant of this name: take another";
        return Err(Problem::new(StatusCode::CONFLICT, why));
    }
    if !takes_over_calls && is_known(&asked, &name).await? {
        let why = format!(
            "calls or what came of them are kept of a tenant `{name}` that was in the configuration's file: say that it is the same, which sees them, or take another name"
        );
        return Err(Problem::faults(vec![Fault::at("#/takes_over_calls", why)]));
    }
    let title = if title.trim().is_empty() { name.clone() } else { title };
    let kept = asked.ports.store.add_tenant(&asked.by, New { name, title, plan }).await?;
    let nodes = asked.ports.store.applied().await?;
    let (id, revision) = (kept.id, kept.stamp.revision);
    Ok(Given::made("/tenants", id, &Tenant::of(kept, &nodes)).tagged_with_all(revision))
}

/// Whether anything of a tenant of this name is kept: one of the database has its name for ever, one that was in a file leaves it behind.
async fn is_known(asked: &Asked, name: &str) -> Result<bool, Problem> {
    asked.ports.records.knows(name).await.map_err(|error| calls::unavailable(&error))
}

async fn change(asked: Asked) -> Outcome {
    let (store, id) = (&asked.ports.store, TenantId(asked.id()?));
    let kept = store.tenant(&asked.by.signed_in.scope(), id).await?;
    let seen = asked.expect(kept.stamp.revision)?;
    let says = fields::read(&merge(&TenantChange::of(&kept), &asked.document()), TenantChange::read)?;
    let change = Change {
        title: (says.title != kept.title).then_some(says.title),
        plan: (says.plan != kept.plan).then_some(says.plan),
        state: (says.state != kept.state).then_some(says.state),
    };
    let kept = store.change_tenant(&asked.by, id, seen, change).await?;
    given(&asked, kept).await
}

async fn delete(asked: Asked) -> Outcome {
    let (store, id) = (&asked.ports.store, TenantId(asked.id()?));
    let kept = store.tenant(&asked.by.signed_in.scope(), id).await?;
    let seen = asked.expect(kept.stamp.revision)?;
    store.delete_tenant(&asked.by, id, seen).await?;
    Ok(Given::done())
}
