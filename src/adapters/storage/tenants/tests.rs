//! What every store of tenants promises, on SQLite and on PostgreSQL: each promise takes the home of a store as its argument.
//!
//! A promise that is left out of `promises!` is dead code, which `make lint` refuses.

mod chain;
mod documents;
mod feed;
mod isolation;
mod numbers;
mod people;
mod sealed;
mod strangers;
mod tenants;
mod versions;

use bellhop_tenancy::Secret;
use bellhop_tenancy::access::{Credential, CredentialKind, Role, SecretHash, SignedIn, Standing, TenantRole};
use bellhop_tenancy::id::TenantId;
use bellhop_tenancy::settings::{Table, json};
use bellhop_tenancy::store::*;
use sqlx::{Executor, Row as _};

use super::*;
use crate::secrets::MasterKeySource;
use crate::storage::places::{Folder, Tables};

/// Where a store keeps what it has; empty at first, and gone with this.
pub(super) trait Home {
    fn new(name: &str) -> Self;

    /// Opens the database as one more process.
    async fn database(&self) -> Database;

    /// The folder of its keys.
    fn keys(&self) -> &Folder;

    /// Carries out what no program of ours would.
    async fn run(&self, sql: &str);

    /// The one number that a text finds.
    async fn count(&self, sql: &str) -> i64;

    fn master_keys(&self) -> MasterKeys {
        MasterKeys { current: MasterKeySource::Beside(self.keys().file(".key")), previous: None }
    }

    async fn store(&self) -> SqlTenants {
        SqlTenants::open(self.database().await, &self.master_keys(), None).await.expect("opens")
    }
}

pub(super) struct Sqlite(Folder);

pub(super) struct Postgres(Tables, Folder);

impl Home for Sqlite {
    fn new(name: &str) -> Self {
        Self(Folder::new(&format!("tenants-{name}")))
    }

    async fn database(&self) -> Database {
        Database::open(&self.0.url(), None).await.expect("opens")
    }

    fn keys(&self) -> &Folder {
        &self.0
    }

    async fn run(&self, sql: &str) {
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
        script.execute(&mut self.0.stranger().await).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    }

    async fn count(&self, sql: &str) -> i64 {
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&mut self.0.stranger().await).await;
        row.and_then(|row| row.try_get(0)).unwrap_or_else(|why| panic!("{sql}: {why}"))
    }
}

impl Home for Postgres {
    fn new(name: &str) -> Self {
        Self(Tables::new(&format!("tenants-{name}")), Folder::new(&format!("tenants-keys-{name}")))
    }

    async fn database(&self) -> Database {
        Database::open(&self.0.url, None).await.expect("opens")
    }

    fn keys(&self) -> &Folder {
        &self.1
    }

    async fn run(&self, sql: &str) {
        let script = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
        script.execute(&mut self.0.stranger().await).await.unwrap_or_else(|why| panic!("{sql}: {why}"));
    }

    async fn count(&self, sql: &str) -> i64 {
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&mut self.0.stranger().await).await;
        row.and_then(|row| row.try_get(0)).unwrap_or_else(|why| panic!("{sql}: {why}"))
    }
}

/// Makes a test of each promise, on both.
macro_rules! promises {
    ($($promise:ident)+) => {
        mod sqlite { $(
            #[tokio::test]
            async fn $promise() {
                super::$promise(&<super::super::Sqlite as super::super::Home>::new(stringify!($promise))).await;
            }
        )+ }
        mod postgres { $(
            #[tokio::test]
            async fn $promise() {
                super::$promise(&<super::super::Postgres as super::super::Home>::new(stringify!($promise))).await;
            }
        )+ }
    };
}
pub(super) use promises;

const FROM: &str = "192.0.2.7";
const FIRST: Page = Page { after: None, count: 200 };
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

fn operator() -> Author {
    Author { signed_in: SignedIn::on_this_machine("test"), from: FROM.into() }
}

/// Somebody who is signed in as a user.
fn author(user: Id, name: &str, standing: Standing, kind: CredentialKind) -> Author {
    let secret = Secret::new("shown");
    let (hash, expires_unix_ms) = (SecretHash::of(&secret), i64::MAX);
    let credential = Credential { id: new_id(), kind, hash, user, name: name.into(), standing, expires_unix_ms };
    Author { signed_in: credential.admit(&secret, 0).expect("its secret"), from: FROM.into() }
}

fn hash(of: &str) -> SecretHash {
    SecretHash::of(&Secret::new(of))
}

fn table(json: &str) -> Table {
    json::read(json).expect("JSON")
}

fn document(kind: KeptKind, name: &str, json: &str) -> NewDocument {
    NewDocument { kind, name: name.into(), document: table(json), secrets: vec![], uses: vec![], instance: None }
}

fn secret(path: &str, text: &str) -> (String, Secret) {
    (path.to_owned(), Secret::new(text))
}

fn number(text: &str) -> bellhop_tenancy::Number {
    bellhop_tenancy::Number::parse(text).expect("a number")
}

fn entry(of: &str, integration: Id) -> NumberEntry {
    NumberEntry { number: number(of), description: "front desk".into(), integration }
}

/// A tenant with one of everything.
struct Furnished {
    tenant: KeptTenant,
    admin: Author,
    user: KeptUser,
    assistant: Kept,
    service: Kept,
    integration: Kept,
    number: KeptNumber,
    invitation: KeptInvitation,
    token: KeptCredential,
}

impl Furnished {
    fn scope(&self) -> Scope {
        self.admin.signed_in.scope()
    }
}

async fn tenant(store: &SqlTenants, name: &str) -> KeptTenant {
    let new = NewTenant { name: name.into(), title: format!("The {name}"), plan: "plus".into() };
    store.add_tenant(&operator(), new).await.expect("added")
}

/// A user by way of an invitation.
async fn user(store: &SqlTenants, login: &str, standing: Standing) -> KeptUser {
    let expires_unix_ms = unix_now_ms() + DAY_MS;
    let invitation = Invitation { login: login.into(), standing, hash: hash(login), expires_unix_ms };
    store.invite(&operator(), invitation).await.expect("invited");
    let new = NewUser { login: login.into(), password_phc: Some("$argon2id$x".into()), open_id: None };
    store.accept(&hash(login), new, FROM).await.expect("accepted")
}

async fn furnish(store: &SqlTenants, name: &str, own_number: &str) -> Furnished {
    let tenant = tenant(store, name).await;
    let standing = Standing::OfTenant(tenant.id, TenantRole::Admin);
    let user = user(store, &format!("boss@{name}"), standing).await;
    let admin = author(user.id, &user.login, standing, CredentialKind::Session);
    let mut new = document(KeptKind::Assistant, "helper", r#"{"kind": "webhook", "secret": "kept:secret"}"#);
    new.secrets = vec![secret("secret", &format!("s3cret of {name}"))];
    let assistant = store.add_document(&admin, tenant.id, new).await.expect("added");
    let new = document(KeptKind::Service, "voice", r#"{"port": "text_to_speech", "kind": "flite"}"#);
    let service = store.add_document(&admin, tenant.id, new).await.expect("added");
    let json = r#"{"connect": {"access_key_id": "kept:connect.access_key_id"}, "language": "en-US"}"#;
    let mut new = document(KeptKind::Integration, "main", json);
    new.secrets = vec![secret("connect.access_key_id", &format!("AKIAIOSFODNN7{name:X>8}"))];
    new.uses = vec![assistant.id, service.id];
    let integration = store.add_document(&admin, tenant.id, new).await.expect("added");
    let number = store.add_number(&admin, tenant.id, entry(own_number, integration.id)).await.expect("added");
    let expires_unix_ms = unix_now_ms() + DAY_MS;
    let new =
        Invitation { login: format!("new@{name}"), standing, hash: hash(&format!("new {name}")), expires_unix_ms };
    let invitation = store.invite(&admin, new).await.expect("invited");
    let new = NewToken { name: "ci".into(), standing, hash: hash(&format!("token {name}")), expires_unix_ms };
    let token = store.add_token(&admin, new).await.expect("added");
    Furnished { tenant, admin, user, assistant, service, integration, number, invitation, token }
}

fn not_found<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound))
}

fn changed<T>(result: Result<T, StoreError>) -> Option<Revision> {
    match result {
        Err(StoreError::Changed { newest }) => Some(newest),
        _ => None,
    }
}

/// Why somebody was refused.
fn told<T>(result: Result<T, StoreError>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(why) => why.to_string(),
    }
}

fn every_text() -> Vec<&'static str> {
    let lists: [&[&'static str]; 23] = [
        &audit::ALL,
        &super::chain::ALL,
        &change::ALL,
        &credentials::ALL,
        &super::documents::ALL,
        &entries::ALL,
        &everything::ALL,
        &super::feed::ALL,
        &integrations::ALL,
        &invitations::ALL,
        &keys::ALL,
        &nodes::ALL,
        &number_lists::all(),
        &super::numbers::ALL,
        &super::people::ALL,
        &plans::ALL,
        &refusals::ALL,
        &requests::ALL,
        &rotation::ALL,
        &super::sealed::ALL,
        &sign_in::ALL,
        &users::ALL,
        &super::versions::ALL,
    ];
    lists.into_iter().flatten().copied().chain(super::tenant::all()).collect()
}

#[tokio::test]
async fn every_text_is_understood_by_both() {
    let (sqlite, postgres) = (Sqlite::new("prepared"), Postgres::new("prepared"));
    let _ = (sqlite.store().await, postgres.store().await);
    let (mut of_sqlite, mut of_postgres) = (sqlite.0.stranger().await, postgres.0.stranger().await);
    for sql in every_text() {
        let (a, b) = (sqlx::SqlStr::from_static(sql), sqlx::SqlStr::from_static(sql));
        if let Err(why) = (&mut of_sqlite).prepare(a).await {
            panic!("SQLite: {sql}: {why}");
        }
        if let Err(why) = (&mut of_postgres).prepare(b).await {
            panic!("PostgreSQL: {sql}: {why}");
        }
    }
}
