//! A document by itself: a tenant that no file of many tenants holds.
//!
//! Invariant: what is kept of a document is what was written, without defaults; reading it again says the same.

use super::gathered::{Gathered, Mark, Surroundings};
use super::mistake::Mistake;
use super::section::Section;
use super::tenant::TenantSettings;
use super::value::{Table, Value};
use crate::secret::Secret;

/// What came of reading a document.
#[derive(Debug)]
pub struct Reading {
    /// What was good. What was not is left out, or is the default.
    pub settings: TenantSettings,
    /// What was not, by paths of the document.
    pub mistakes: Vec<Mistake>,
    /// Tells whether another reading says the same.
    pub mark: Mark,
    /// The document as it is kept: the fields of a form as what they were read as.
    pub document: Table,
    /// The paths of the secrets that stand in it.
    pub secrets: Vec<String>,
    /// A sentence for each name in it that is no longer the name.
    pub deprecated: Vec<String>,
}

/// A document without its secrets.
#[derive(Debug)]
pub struct SetApart {
    /// The document; where a secret stood, it names the secret's place: `kept:` and the path.
    pub document: Table,
    /// The secrets by their paths.
    pub secrets: Vec<(String, Secret)>,
}

/// A tenant's section of a file, for whoever may look at it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Written {
    /// Itself, with nothing where a secret stood.
    pub document: Table,
    /// The paths of the secrets that stand in it, each with [what may be shown](shown_of) of it.
    pub secrets: Vec<(String, Option<String>)>,
}

/// Keys whose values are secret and say who somebody is: their ends may be shown.
const IDENTIFIERS: [&str; 1] = ["access_key_id"];
/// What is shorter would be given away by its end.
const IDENTIFIER_MIN: usize = 16;

/// The last four characters of an identifier like an access key id, by the path of its key; none of a secret proper.
pub fn shown_of(path: &str, secret: &Secret) -> Option<String> {
    let last = path.rsplit('.').next().unwrap_or_default();
    let text = secret.expose();
    let shown = IDENTIFIERS.contains(&last) && text.len() >= IDENTIFIER_MIN && text.is_ascii();
    shown.then(|| text[text.len() - 4..].to_owned())
}

/// What the place of a secret that was set apart begins with. Whoever keeps secrets says in its [`Surroundings`] that
/// such a text refers to one; elsewhere it is a secret like any other.
pub const KEPT: &str = "kept:";

impl Reading {
    /// Reads a document.
    pub fn of(document: &Table, around: &dyn Surroundings) -> Self {
        let gathered = Gathered::new(around);
        let (settings, mark) = TenantSettings::read(&Section::root(document, &gathered));
        let (secrets, deprecated) = (gathered.literal_secrets(), gathered.take_deprecated());
        let document = gathered.settle(document);
        Self { settings, mark, document, secrets, deprecated, mistakes: gathered.into_mistakes() }
    }

    /// The document for whoever keeps secrets in another place than settings. One with mistakes has none: what was not
    /// understood may hide a secret.
    pub fn set_apart(self) -> Result<SetApart, Vec<Mistake>> {
        if !self.mistakes.is_empty() {
            return Err(self.mistakes);
        }
        Ok(SetApart::of(self.document, self.secrets))
    }
}

impl SetApart {
    /// Sets apart the secrets that stand at these paths of a document.
    pub(super) fn of(mut document: Table, paths: Vec<String>) -> Self {
        let mut secrets = vec![];
        for path in paths {
            if let Some(Value::Text(text)) = document.at_mut(&path) {
                let secret = std::mem::replace(text, format!("{KEPT}{path}"));
                secrets.push((path, Secret::new(secret)));
            }
        }
        Self { document, secrets }
    }
}

/// Every mistake of a document.
pub fn validate(document: &Table, around: &dyn Surroundings) -> Vec<Mistake> {
    Reading::of(document, around).mistakes
}
