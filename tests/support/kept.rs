//! The store of tenants beside a node: changed by another process than the one that serves, as the command line changes it.

use bellhop_adapters::secrets::MasterKeySource;
use bellhop_adapters::storage::{Database, MasterKeys, SqlTenants};
use bellhop_connect::InstanceArn;
use bellhop_tenancy::Secret;
use bellhop_tenancy::access::{Author, SignedIn};
use bellhop_tenancy::settings::{Table, json};
use bellhop_tenancy::store::*;
use tokio::runtime::Runtime;

use crate::node::{INSTANCE, Node, SCRIPT, told_by};

/// The store of a node.
pub(crate) struct KeptTenants {
    pub(crate) runtime: Runtime,
    pub(crate) store: SqlTenants,
}

/// A tenant with one integration, as it was kept.
#[derive(Clone)]
pub(crate) struct Furnished {
    pub(crate) tenant: KeptTenant,
    pub(crate) assistant: Kept,
    pub(crate) integration: Kept,
    pub(crate) number: KeptNumber,
}

pub(crate) fn operator() -> Author {
    Author { signed_in: SignedIn::on_this_machine("test"), from: "this machine".into() }
}

fn table(json: &str) -> Table {
    json::read(json).expect("JSON")
}

/// What a scripted assistant says whose agent is told a topic.
pub(crate) fn assistant(topic: &str) -> NewDocument {
    let script = SCRIPT.replace("topic: loan", &format!("topic: {topic}"));
    let document = serde_json::json!({"kind": "scripted", "script_text": script});
    document_of(KeptKind::Assistant, "script", &document.to_string())
}

pub(crate) fn document_of(kind: KeptKind, name: &str, json: &str) -> NewDocument {
    NewDocument { kind, name: name.into(), document: table(json), secrets: vec![], uses: vec![], instance: None }
}

impl KeptTenants {
    /// That of a node with a database in its folder.
    pub(crate) fn of(node: &Node) -> Self {
        let (url, key) =
            (format!("sqlite://{}", node.folder.join("bellhop.db").display()), node.folder.join("bellhop.db.key"));
        Self::open(&url, MasterKeySource::File(key))
    }

    pub(crate) fn open(url: &str, key: MasterKeySource) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let store = runtime.block_on(async {
            let database = Database::open_existing(url, None).await.expect("the server has made it");
            SqlTenants::open(database, &MasterKeys { current: key, previous: None }, None).await.expect("its key")
        });
        Self { runtime, store }
    }

    /// Does something in the store.
    pub(crate) fn does<T>(&self, work: Answer<'_, T>) -> T {
        self.runtime.block_on(work).expect("the store does it")
    }

    /// Makes a tenant whose callers are handed over with a topic.
    pub(crate) fn furnish(&self, connect: &str, name: &str, number: &str, topic: &str) -> Furnished {
        self.furnish_with(INSTANCE, connect, name, number, topic)
    }

    /// The same with another Amazon Connect instance than that of the tests.
    pub(crate) fn furnish_elsewhere(&self, connect: &str, name: &str, number: &str, topic: &str) -> Furnished {
        self.furnish_with("arn:aws:connect:eu-west-2:444455556666:instance/other", connect, name, number, topic)
    }

    fn furnish_with(&self, instance: &str, connect: &str, name: &str, number: &str, topic: &str) -> Furnished {
        let (by, store) = (operator(), &self.store);
        let new = NewTenant { name: name.into(), title: name.into(), plan: "plus".into() };
        let tenant = self.does(store.add_tenant(&by, new));
        let add = |document| self.does(store.add_document(&by, tenant.id, document));
        let assistant = add(assistant(topic));
        let hears = add(document_of(KeptKind::Service, "ears", r#"{"port": "speech_to_text", "kind": "counting"}"#));
        let speaks = add(document_of(KeptKind::Service, "voice", r#"{"port": "text_to_speech", "kind": "flite"}"#));
        let integration = add(integration(instance, connect, [&assistant, &hears, &speaks]));
        let entry = NumberEntry {
            number: bellhop_tenancy::Number::parse(number).expect("a number"),
            description: String::new(),
            integration: integration.id,
        };
        let number = self.does(store.add_number(&by, tenant.id, entry));
        Furnished { tenant, assistant, integration, number }
    }

    /// Deletes a tenant.
    pub(crate) fn delete(&self, tenant: &KeptTenant) {
        self.does(self.store.delete_tenant(&operator(), tenant.id, tenant.stamp.revision));
    }

    /// Waits until a node serves as of the newest change; what it could not apply.
    pub(crate) fn applied(&self) -> Vec<NotApplied> {
        let newest = self.does(self.store.newest_change());
        let nodes = || self.does(self.store.applied()).into_iter();
        told_by("the newest change is applied", || nodes().find(|node| node.change >= newest)).not_applied
    }
}

fn integration(instance: &str, connect: &str, parts: [&Kept; 3]) -> NewDocument {
    let [assistant, hears, speaks] = parts.map(|part| [part.id.to_string()]);
    let document = serde_json::json!({
        "assistant": assistant, "speech_to_text": hears, "text_to_speech": speaks,
        "connect": {
            "instance_arn": instance, "endpoint_url": connect,
            "access_key_id": "kept:connect.access_key_id", "secret_access_key": "kept:connect.secret_access_key",
        },
    });
    let secret = |path: &str, text: &str| (path.to_owned(), Secret::new(text));
    NewDocument {
        secrets: vec![secret("connect.access_key_id", "AKIATEST"), secret("connect.secret_access_key", "secret")],
        uses: parts.map(|part| part.id).to_vec(),
        instance: Some(instance.parse::<InstanceArn>().expect("an ARN").key()),
        ..document_of(KeptKind::Integration, "phone", &document.to_string())
    }
}
