//! Assistants, services and integrations: documents of settings.
//!
//! Every store promises: no secret stands in a document that is kept; each is sealed by itself under its path, and comes out again only for
//! who serves calls or asks the service itself ([`super::ChangeFeed`]).

use crate::Secret;
use crate::access::{Author, Scope};
use crate::id::{Id, TenantId};
use crate::settings::{PartKind, Table, json};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Answer, Listed, Page, Revision, Stamp};

/// The section of an integration that its test looks at.
const CONNECT: &str = "connect";

/// What a document is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeptKind {
    /// The section `assistant` of a tenant's document.
    Assistant,
    /// Its section `speech_to_text` or `text_to_speech`; the key `port` says which.
    Service,
    /// The rest of it, with the identifiers of its assistants and services.
    Integration,
    /// An integration as far as somebody has said it: nobody serves it, and it uses nothing.
    Draft,
}

impl KeptKind {
    /// What an integration may name in a list; nothing for an integration, whole or not.
    pub fn part(self) -> Option<PartKind> {
        match self {
            Self::Assistant => Some(PartKind::Assistant),
            Self::Service => Some(PartKind::Service),
            Self::Integration | Self::Draft => None,
        }
    }
}

/// A document as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Names it.
    pub id: Id,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is of.
    pub kind: KeptKind,
    /// What people call it; one of a kind has it, in a tenant.
    pub name: String,
    /// What it says, without its secrets: where one stood, `kept:` and its path.
    pub document: Table,
    /// Its secrets, without what they are.
    pub secrets: Vec<SecretHint>,
    /// What came of its last test; it may have been of what the document said before.
    pub last_test: Option<LastTest>,
    /// When, and which revision.
    pub stamp: Stamp,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastTest {
    /// [`Kept::fingerprint`] of what was tested.
    pub fingerprint: String,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: i64,
    /// Whether calls would be served.
    pub good: bool,
    /// What came of it, in a sentence.
    pub told: String,
    /// What is the matter, by its word; none if nothing is, or if a program kept it that had no words.
    pub cause: Option<String>,
    /// What to do about it, if anything is to be done.
    pub remedy: Option<String>,
}

impl Kept {
    /// What it is called among others, with its kind.
    pub fn called(&self) -> String {
        let sort = match self.kind {
            KeptKind::Assistant => "assistant",
            KeptKind::Service => "service",
            KeptKind::Integration => "integration",
            KeptKind::Draft => "draft",
        };
        format!("{sort} `{}`", self.name)
    }

    /// What came of the last test of it as it is.
    pub fn tested(&self) -> Option<&LastTest> {
        self.last_test.as_ref().filter(|test| test.fingerprint == self.fingerprint())
    }

    /// Of what a test looks at: of an integration, whole or not, its section `connect`, of others all; with the times at which secrets were set. SHA-256 in
    /// hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let looked_at = |key: &str| self.kind.part().is_some() || key == CONNECT;
        let document: Table = self
            .document
            .iter()
            .filter(|(key, _)| looked_at(key))
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect();
        let mut hash = Sha256::new();
        hash.update(json::write(&document));
        for SecretHint { path, set_unix_ms, .. } in &self.secrets {
            if looked_at(path.split('.').next().unwrap_or_default()) {
                hash.update(format!("\n{path} {set_unix_ms}"));
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What it says, if it is a part of this kind.
    pub fn as_part(&self, kind: PartKind) -> Option<&Table> {
        (self.kind.part() == Some(kind)).then_some(&self.document)
    }
}

/// What may be shown of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretHint {
    /// Where in the document it stands.
    pub path: String,
    /// The last four characters of an identifier like an access key id; none of a secret proper.
    pub last_four: Option<String>,
    /// When it was set, in milliseconds since 1970.
    pub set_unix_ms: i64,
}

/// A document to be kept.
#[derive(Debug, Clone)]
pub struct NewDocument {
    /// What it is of.
    pub kind: KeptKind,
    /// What people call it.
    pub name: String,
    /// What it says; where a secret stood, `kept:` and its path.
    pub document: Table,
    /// The secrets that are new, by their paths. One that the document names and that is not among them stays as it is; one
    /// that it does not name is deleted.
    pub secrets: Vec<(String, Secret)>,
    /// Identifiers of documents that it names: an integration's assistants and services.
    pub uses: Vec<Id>,
    /// Of an integration its Amazon Connect instance, as `account/region/instance`; none where calls come from elsewhere. Its
    /// numbers are one's own together with it.
    pub instance: Option<String>,
}

/// Keeps documents.
pub trait Documents: Send + Sync {
    /// Those of a kind that the scope reaches.
    fn documents<'a>(&'a self, scope: &'a Scope, kind: KeptKind, page: Page) -> Answer<'a, Listed<Kept>>;

    /// One of them.
    fn document<'a>(&'a self, scope: &'a Scope, kind: KeptKind, id: Id) -> Answer<'a, Kept>;

    /// Makes one of a tenant.
    fn add_document<'a>(&'a self, by: &'a Author, tenant: TenantId, document: NewDocument) -> Answer<'a, Kept>;

    /// Changes one whose revision is this; `changed` names the fields that are other than before, for the audit.
    fn change_document<'a>(
        &'a self,
        by: &'a Author,
        id: Id,
        seen: Revision,
        document: NewDocument,
        changed: Vec<String>,
    ) -> Answer<'a, Kept>;

    /// Makes an integration of a draft whose revision is this: it keeps identifier, secrets and test.
    fn complete_draft<'a>(
        &'a self,
        by: &'a Author,
        id: Id,
        seen: Revision,
        integration: NewDocument,
    ) -> Answer<'a, Kept>;

    /// Deletes one that nothing uses.
    fn delete_document<'a>(&'a self, by: &'a Author, kind: KeptKind, id: Id, seen: Revision) -> Answer<'a, ()>;

    /// Keeps what came of a test of one, if it is of what the document says and began after the last that is kept; no revision and no
    /// change is made of it.
    fn keep_test<'a>(&'a self, by: &'a Author, kind: KeptKind, id: Id, test: LastTest) -> Answer<'a, ()>;

    /// The secrets of one, opened: for who asks its service on behalf of the author, which the audit is told.
    fn open_secrets<'a>(&'a self, by: &'a Author, kind: KeptKind, id: Id) -> Answer<'a, Vec<(String, Secret)>>;
}
