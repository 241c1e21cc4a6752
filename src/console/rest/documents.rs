//! `assistants`, `services`, `integrations` and `drafts` of these: documents of settings, each with a name.
//!
//! Invariant: what a document says is judged before it is kept, with all that it is used with (`judging.rs`), in the words that the
//! configuration's file is told; a secret goes in and never comes out: what is shown of one is where it stands and when it was set.

use bellhop_connect::InstanceArn;
use bellhop_tenancy::access::Role;
use bellhop_tenancy::settings::patch::{changed, merge};
use bellhop_tenancy::settings::{KEPT, Table, Value, led_elsewhere, names_kept};
use bellhop_tenancy::store::{Kept, KeptKind, NewDocument, NotApplied, Revision, SecretHint};
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::fields;
use super::given::Given;
use super::judging::{Good, Judging, at};
use super::of_file::{self, Integration};
use super::route::{FOR_TENANT, OF_TENANT, Outcome, Route};
use super::shown::{Applied, time};
use crate::problem::{Fault, Problem};

/// Most characters of the name of a document.
const NAME_CHARS_MAX: usize = 100;

/// A document as it is shown.
#[derive(Serialize, ToSchema)]
pub(super) struct Document {
    id: String,
    /// The tenant that it belongs to.
    tenant: String,
    /// What people call it; one of a kind has it.
    name: String,
    /// What it says, without its secrets.
    #[schema(value_type = Object)]
    settings: Table,
    /// Its secrets, without what they are.
    secrets: Vec<Secret>,
    /// What came of the last test of it as it is; null if there was none, or what was tested has changed. It is no part of the revision.
    tested: Option<Tested>,
    /// Whether it comes from the configuration's file of the server that is asked: it is changed there alone.
    from_file: bool,
    /// Null for one of the file.
    created_at: Option<String>,
    /// Null for one of the file.
    changed_at: Option<String>,
    /// 0 for one of the file.
    revision: i64,
}

/// A secret of a document.
#[derive(Serialize, ToSchema)]
pub(super) struct Secret {
    /// Where in the settings it stands.
    #[schema(example = "connect.secret_access_key")]
    path: String,
    /// The last four characters of an identifier like an access key id; null for a secret proper.
    last_four: Option<String>,
    /// Null for one that stands in the file.
    set_at: Option<String>,
}

/// What came of a test.
#[derive(Serialize, ToSchema)]
struct Tested {
    at: String,
    /// Whether calls would be served.
    good: bool,
    /// What came of it, in a sentence.
    told: String,
    /// What is the matter, by its word in `docs/errors.md`; null where nothing is.
    cause: Option<String>,
    /// What to do about it; null where nothing is to be done.
    remedy: Option<String>,
}

/// A document to be made.
#[derive(ToSchema)]
#[allow(dead_code)] // its shape is told; what is read of it stands in `NewSettings::read`
pub(super) struct NewSettings {
    /// What people call it; one of a kind has it.
    #[schema(max_length = 100)]
    name: String,
    /// What it says: the keys are those of `docs/configuration.md`.
    #[schema(value_type = Object)]
    settings: Table,
}

/// What nodes say of an integration.
#[derive(Serialize, ToSchema)]
pub(super) struct Serving {
    applied: Applied,
    /// What is the matter where it is not served as it is kept.
    not_applied: Vec<Unserved>,
}

/// What one node says.
#[derive(Serialize, ToSchema)]
struct Unserved {
    node: String,
    why: Vec<String>,
}

/// A kind of document as resources know it.
#[derive(Clone, Copy)]
pub(super) struct Sort {
    pub(super) kind: KeptKind,
    /// Its list, below the prefix.
    pub(super) path: &'static str,
    pub(super) one: &'static str,
    /// With its article.
    pub(super) words: [&'static str; 5],
}

pub(super) const ASSISTANTS: Sort = Sort {
    kind: KeptKind::Assistant,
    path: "/assistants",
    one: "/assistants/{id}",
    words: [
        "Lists assistants",
        "Makes an assistant",
        "Shows an assistant",
        "Changes an assistant",
        "Deletes an assistant that no integration uses",
    ],
};
pub(super) const SERVICES: Sort = Sort {
    kind: KeptKind::Service,
    path: "/services",
    one: "/services/{id}",
    words: [
        "Lists speech services",
        "Makes a speech service",
        "Shows a speech service",
        "Changes a speech service",
        "Deletes a speech service that no integration uses",
    ],
};
pub(super) const INTEGRATIONS: Sort = Sort {
    kind: KeptKind::Integration,
    path: "/integrations",
    one: "/integrations/{id}",
    words: [
        "Lists integrations",
        "Makes an integration",
        "Shows an integration",
        "Changes an integration",
        "Deletes an integration that has no number",
    ],
};

pub(super) const DRAFTS: Sort = Sort {
    kind: KeptKind::Draft,
    path: "/drafts",
    one: "/drafts/{id}",
    words: [
        "Lists integrations that are not complete",
        "Begins an integration: what it says is judged, what it lacks is not",
        "Shows a draft",
        "Changes a draft",
        "Deletes a draft",
    ],
};

pub(super) fn routes() -> Vec<Route> {
    let of = |sort: Sort| {
        let [lists, makes, shows, changes, deletes] = sort.words;
        [
            Route::get(sort.path, Role::Viewer, lists, move |asked| list(asked, sort))
                .pages::<Document>()
                .with(OF_TENANT),
            Route::post(sort.path, Role::Admin, makes, move |asked| add(asked, sort))
                .takes::<NewSettings>()
                .makes::<Document>()
                .with(FOR_TENANT),
            Route::get(sort.one, Role::Viewer, shows, move |asked| show(asked, sort)).gives::<Document>(),
            Route::patch::<NewSettings, _, _>(sort.one, Role::Admin, changes, move |asked| change(asked, sort))
                .gives::<Document>(),
            Route::delete(sort.one, Role::Admin, deletes, move |asked| delete(asked, sort)),
        ]
    };
    let serving = Route::get(
        "/integrations/{id}/applied",
        Role::Viewer,
        "Tells which nodes serve an integration as it is kept",
        serving,
    );
    let complete = Route::post("/drafts/{id}/complete", Role::Admin, "Makes an integration of a draft", complete);
    let more = [serving.gives::<Serving>(), complete.gives::<Document>().conditional()];
    [ASSISTANTS, SERVICES, INTEGRATIONS, DRAFTS].into_iter().flat_map(of).chain(more).collect()
}

impl Document {
    fn of(kept: Kept) -> Self {
        let secret = |SecretHint { path, last_four, set_unix_ms }: SecretHint| {
            let set_at = Some(time(set_unix_ms));
            Secret { path, last_four, set_at }
        };
        let tested = kept.tested().cloned().map(|test| Tested {
            at: time(test.at_unix_ms),
            good: test.good,
            told: test.told,
            cause: test.cause,
            remedy: test.remedy,
        });
        Self {
            tested,
            id: kept.id.to_string(),
            tenant: kept.tenant.to_string(),
            name: kept.name,
            settings: without_places(&kept.document),
            secrets: kept.secrets.into_iter().map(secret).collect(),
            from_file: false,
            created_at: Some(time(kept.stamp.created_unix_ms)),
            changed_at: Some(time(kept.stamp.changed_unix_ms)),
            revision: kept.stamp.revision,
        }
    }

    fn of_file(one: Integration) -> Self {
        let written = one.says.written();
        // They have resources of their own.
        let elsewhere = |key: &str| ["name", "numbers"].contains(&key);
        let secret = |(path, last_four): &(String, Option<String>)| {
            let (path, last_four) = (path.clone(), last_four.clone());
            Secret { path, last_four, set_at: None }
        };
        Self {
            id: one.id.to_string(),
            tenant: one.tenant.to_string(),
            settings: written
                .document
                .iter()
                .filter(|(key, _)| !elsewhere(key))
                .map(|(key, value)| (key.to_owned(), value.clone()))
                .collect(),
            secrets: written.secrets.iter().map(secret).collect(),
            name: one.name,
            tested: None,
            from_file: true,
            created_at: None,
            changed_at: None,
            revision: 0,
        }
    }

    fn given(kept: Kept) -> Given {
        let revision = kept.stamp.revision;
        Given::one(&Self::of(kept)).tagged(revision)
    }
}

/// A document without the texts that say where a secret is kept.
pub(super) fn without_places(document: &Table) -> Table {
    fn shown(value: &Value) -> Option<Value> {
        match value {
            Value::Text(text) if text.starts_with(KEPT) => None,
            Value::Table(table) => Some(Value::Table(without_places(table))),
            Value::List(list) => Some(Value::List(list.iter().filter_map(shown).collect())),
            other => Some(other.clone()),
        }
    }
    document.iter().filter_map(|(key, value)| Some((key.to_owned(), shown(value)?))).collect()
}

/// Name and settings of a body.
pub(super) struct Said {
    pub(super) name: String,
    pub(super) settings: Table,
}

impl Said {
    /// Every mistake of the body itself is told at once.
    fn read(body: &Table) -> Result<Self, Problem> {
        let settings = match body.get("settings") {
            Some(Value::Table(table)) => Ok(table.clone()),
            Some(_) => Err("is not a section of settings"),
            None => Err("is missing: the settings, with the keys of a tenant's section in a configuration"),
        };
        let settings = settings.map_err(|why| Problem::faults(vec![Fault::at("#/settings", why)]))?;
        let rest: Table = body
            .iter()
            .filter(|(key, _)| *key != "settings")
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect();
        let name = fields::read(&rest, |fields| fields.line("name", NAME_CHARS_MAX))?;
        Ok(Self { name, settings })
    }
}

/// Nobody but the store says where secrets are kept.
fn names_no_place(body: &Table) -> Result<(), Problem> {
    let why = "says where the server keeps a secret, which the server alone does: leave the field out to keep the secret, or give it";
    match names_kept(body) {
        Some(path) => Err(Problem::faults(vec![Fault::at(crate::pointer::pointer(&path, body), why)])),
        None => Ok(()),
    }
}

async fn list(asked: Asked, sort: Sort) -> Outcome {
    let scope = asked.scope().await?;
    let of_file = asked.integrations_of_file(&scope).filter(|_| sort.kind == KeptKind::Integration);
    let of_file = of_file.map(|one| (one.id, Document::of_file(one)));
    let kept = |page| asked.ports.store.documents(&scope, sort.kind, page);
    let listed = of_file::page(of_file, asked.page()?, kept, Document::of).await?;
    Ok(Given::page(listed, |shown| shown))
}

pub(super) async fn find(asked: &Asked, sort: Sort) -> Result<Kept, Problem> {
    Ok(asked.ports.store.document(&asked.by.signed_in.scope(), sort.kind, asked.id()?).await?)
}

async fn show(asked: Asked, sort: Sort) -> Outcome {
    match asked.integration_of_file()?.filter(|_| sort.kind == KeptKind::Integration) {
        Some(of_file) => Ok(Given::one(&Document::of_file(of_file))),
        None => find(&asked, sort).await.map(Document::given),
    }
}

async fn add(asked: Asked, sort: Sort) -> Outcome {
    let tenant = asked.tenant_for_new().await?;
    let body = asked.document();
    names_no_place(&body)?;
    let said = Said::read(&body)?;
    let judging = Judging::of(&asked, tenant).await?;
    let new = new_document(sort, said.name, judging.judge(sort.kind, None, &said.settings).await?);
    let kept = asked.ports.store.add_document(&asked.by, tenant, new).await?;
    let (id, revision) = (kept.id, kept.stamp.revision);
    Ok(Given::made(sort.path, id, &Document::of(kept)).tagged(revision))
}

async fn change(asked: Asked, sort: Sort) -> Outcome {
    let kept = find(&asked, sort).await?;
    let seen = asked.expect(kept.stamp.revision)?;
    let patch = asked.document();
    names_no_place(&patch)?;
    let before: Table = [
        ("name".to_owned(), Value::Text(kept.name.clone())),
        ("settings".to_owned(), Value::Table(kept.document.clone())),
    ]
    .into_iter()
    .collect();
    let said = Said::read(&merge(&before, &patch))?;
    put(&asked, sort, (kept, seen), said).await
}

/// Has a document say something else, if that may be.
pub(super) async fn put(asked: &Asked, sort: Sort, (kept, seen): (Kept, Revision), said: Said) -> Outcome {
    let judging = Judging::of(asked, kept.tenant).await?;
    let good = judging.judge(sort.kind, Some(kept.id), &said.settings).await?;
    let elsewhere = led_elsewhere(&kept.document, &said.settings);
    if !elsewhere.is_empty() {
        return Err(Problem::faults(elsewhere.iter().map(|mistake| at(mistake, &said.settings)).collect()));
    }
    let mut fields: Vec<String> =
        changed(&kept.document, &good.apart.document).into_iter().map(|path| format!("settings.{path}")).collect();
    let set_anew = good.apart.secrets.iter().map(|(path, _)| format!("settings.{path}"));
    fields.extend(set_anew.filter(|path| !fields.contains(path)).collect::<Vec<_>>());
    if said.name != kept.name {
        fields.push("name".to_owned());
    }
    let new = new_document(sort, said.name, good);
    let changed = asked.ports.store.change_document(&asked.by, kept.id, seen, new, fields).await?;
    Ok(Document::given(changed))
}

fn new_document(sort: Sort, name: String, Good { apart, uses, instance }: Good) -> NewDocument {
    let instance = instance.as_ref().map(InstanceArn::key);
    NewDocument { kind: sort.kind, name, document: apart.document, secrets: apart.secrets, uses, instance }
}

/// What a draft says becomes an integration, whole, or stays as it is.
async fn complete(asked: Asked) -> Outcome {
    let kept = find(&asked, DRAFTS).await?;
    let seen = asked.expect(kept.stamp.revision)?;
    let judging = Judging::of(&asked, kept.tenant).await?;
    // No number leads to it yet.
    let good = judging.judge(KeptKind::Integration, None, &kept.document).await?;
    let new = new_document(INTEGRATIONS, kept.name, good);
    let made = asked.ports.store.complete_draft(&asked.by, kept.id, seen, new).await?;
    Ok(Document::given(made))
}

async fn delete(asked: Asked, sort: Sort) -> Outcome {
    let kept = find(&asked, sort).await?;
    let seen = asked.expect(kept.stamp.revision)?;
    asked.ports.store.delete_document(&asked.by, sort.kind, kept.id, seen).await?;
    Ok(Given::done())
}

async fn serving(asked: Asked) -> Outcome {
    if asked.integration_of_file()?.is_some() {
        return Ok(Given::one(&Serving { applied: Applied::here(true), not_applied: vec![] }));
    }
    let kept = find(&asked, INTEGRATIONS).await?;
    // Its parts and numbers change too: who has the newest of everything has all of them.
    let newest = asked.ports.store.newest_change().await?;
    let nodes = asked.ports.store.applied().await?;
    let is_of = |not: &&NotApplied| not.integration == kept.id;
    let unserved = nodes.iter().flat_map(|node| {
        let not_applied = node.not_applied.iter().filter(is_of);
        not_applied.map(|not| Unserved { node: node.node.clone(), why: not.why.clone() })
    });
    let not_applied: Vec<Unserved> = unserved.collect();
    Ok(Given::one(&Serving { applied: Applied::of(&nodes, newest), not_applied }))
}
