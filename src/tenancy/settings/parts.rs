//! A tenant's document in parts: assistants and services by themselves, and the integration that names them.
//!
//! An integration's document is a tenant's without name, numbers and limits, which stand elsewhere; its `assistant`,
//! `speech_to_text` and `text_to_speech` are lists of identifiers, the preferred first. Put together ([`Composed`]) it is read
//! by the reader of every other document. Invariant: a mistake is told of the part that it stands in, by its path there, in the
//! words of that reader.

use std::collections::BTreeMap;

use super::document::{KEPT, Reading, SetApart};
use super::gathered::{Gathered, Mark, Surroundings};
use super::mistake::Mistake;
use super::section::Section;
use super::services::{self, PORT, PORTS};
use super::tenant::TenantSettings;
use super::value::{Table, Value};
use crate::id::Id;
use crate::number::Number;
use crate::secret::Secret;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// What stands in the section `assistant`.
    Assistant,
    /// What stands in `speech_to_text` or `text_to_speech`; its key `port` says in which.
    Service,
}

impl PartKind {
    /// Of what a section of an integration lists.
    fn of_section(section: &str) -> Self {
        if section == ASSISTANT { Self::Assistant } else { Self::Service }
    }

    /// The section of an integration that lists a part of this kind which says this; none for a service that does not say its port.
    pub fn section(self, part: &Table) -> Option<&str> {
        match (self, part.get(PORT)) {
            (Self::Assistant, _) => Some(ASSISTANT),
            (Self::Service, Some(Value::Text(port))) => Some(port),
            (Self::Service, _) => None,
        }
    }
}

/// What came of reading a part by itself.
#[derive(Debug)]
pub struct PartReading {
    /// Every mistake, by its path in the part.
    pub mistakes: Vec<Mistake>,
    document: Table,
    secrets: Vec<String>,
}

/// Reads a part by itself. What only its integration tells (its language) is judged there.
pub fn read_part(kind: PartKind, document: &Table, around: &dyn Surroundings) -> PartReading {
    let gathered = Gathered::new(around);
    let section = Section::root(document, &gathered);
    match kind {
        PartKind::Assistant => services::read_assistant_alone(&section),
        PartKind::Service => services::read_service_alone(&section, "en-US"),
    }
    let secrets = gathered.literal_secrets();
    PartReading { document: gathered.settle(document), secrets, mistakes: gathered.into_mistakes() }
}

impl PartReading {
    /// The part without its secrets, as it is kept. One with mistakes has none: what was not understood may hide a secret.
    pub fn set_apart(self) -> Result<SetApart, Vec<Mistake>> {
        if self.mistakes.is_empty() { Ok(SetApart::of(self.document, self.secrets)) } else { Err(self.mistakes) }
    }
}

/// An integration with the parts that it names, as one document.
#[derive(Debug)]
pub struct Composed {
    document: Table,
    integration: Id,
    /// Without what was put into it.
    own: Table,
    parts: Vec<Part>,
    /// Of the lists of identifiers.
    mistakes: Vec<Mistake>,
}

/// A part and where it was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    section: &'static str,
    rank: usize,
    id: Id,
}

/// What stands beside an integration in its tenant's document.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// The tenant's name.
    pub tenant: &'a str,
    /// The integration's numbers; none while it waits for one.
    pub numbers: &'a [Number],
    /// Calls at once, as the plan says.
    pub calls: u32,
    /// Calls that may begin in a second; none for any number.
    pub calls_per_second: Option<u32>,
}

impl Beside<'_> {
    fn stand_in(&self, document: &mut Table) {
        let whole = |number: u32| Value::Whole { written: number.to_string(), number: Some(number.into()) };
        document.set("name", Value::Text(self.tenant.to_owned()));
        document.set("max_calls", whole(self.calls));
        if let Some(calls) = self.calls_per_second {
            document.set("max_calls_per_second", whole(calls));
        }
        if !self.numbers.is_empty() {
            document
                .set("numbers", Value::List(self.numbers.iter().map(|number| Value::Text(number.e164())).collect()));
        }
    }
}

/// What came of reading it.
#[derive(Debug)]
pub struct ComposedReading {
    /// What was good.
    pub settings: TenantSettings,
    /// Tells whether another reading says the same.
    pub mark: Mark,
    /// What was not: by the document that it stands in, and its path there.
    pub mistakes: Vec<(Id, Mistake)>,
    own: Table,
    secrets: Vec<String>,
}

/// The section of a tenant's document that is its assistant.
const ASSISTANT: &str = "assistant";
/// The sections that are lists of identifiers in an integration.
const LISTS: [&str; 3] = [ASSISTANT, PORTS[0], PORTS[1]];
/// Keys of a tenant's document that stand elsewhere than in an integration, and where.
const ELSEWHERE: [(&str, &str); 4] = [
    ("name", "is the tenant's name: leave it out"),
    ("numbers", "stand by themselves, each with its integration: leave them out"),
    ("max_calls", "is the plan's to say: leave it out"),
    ("max_calls_per_second", "is the plan's to say: leave it out"),
];
/// Most parts that one list names.
const RANKED_MAX: usize = 8;

impl Composed {
    /// A part as the only one of an integration that says nothing else: what an integration lacks is a mistake of `nobody`.
    pub fn alone(beside: &Beside<'_>, nobody: Id, kind: PartKind, (id, part): (Id, &Table)) -> Self {
        let listed = Value::List(vec![Value::Text(id.to_string())]);
        let document = kind.section(part).map(|section| (section.to_owned(), listed)).into_iter().collect();
        Self::new(beside, (nobody, &document), |_, wanted| (wanted == id).then_some(part))
    }

    /// Puts an integration together. `part` finds a document of a kind that it may name in a list.
    pub fn new<'a>(
        beside: &Beside<'_>,
        (integration, document): (Id, &Table),
        part: impl Fn(PartKind, Id) -> Option<&'a Table>,
    ) -> Self {
        let (mut mistakes, mut parts) = (vec![], vec![]);
        let mut whole = document.clone();
        rename_kept(&mut whole, integration);
        for (key, why) in ELSEWHERE {
            if whole.take(key).is_some() {
                mistakes.push(Mistake::of_value(key, why));
            }
        }
        for section in LISTS {
            let Some(listed) = whole.take(section) else { continue };
            let found = find(section, &listed, &part, &mut mistakes);
            parts.extend(found.iter().enumerate().map(|(rank, (id, _))| Part { section, rank, id: *id }));
            if let Some(chain) = chain(&found) {
                whole.set(section, Value::Table(chain));
            }
        }
        beside.stand_in(&mut whole);
        Self { document: whole, integration, own: document.clone(), parts, mistakes }
    }

    /// Reads it.
    pub fn read(&self, around: &dyn Surroundings) -> ComposedReading {
        let reading = Reading::of(&self.document, around);
        let told_of_list =
            |mistake: &Mistake| self.mistakes.iter().any(|of_list| in_list(&of_list.path, &mistake.path));
        let of_lists = self.mistakes.iter().map(|mistake| (self.integration, mistake.clone()));
        let read = reading.mistakes.into_iter().filter(|mistake| mistake.path != "numbers" && !told_of_list(mistake));
        let mistakes = of_lists.chain(read.map(|mistake| self.whose(mistake))).collect();
        let secrets = reading.secrets.into_iter().filter(|path| self.part_at(path).is_none()).collect();
        ComposedReading { settings: reading.settings, mark: reading.mark, mistakes, own: self.own.clone(), secrets }
    }

    /// Reads it, and has what was read judged by what others know of it, each mistake by its path in the whole.
    pub fn judged(
        &self,
        around: &dyn Surroundings,
        others: impl FnOnce(&ComposedReading) -> Vec<Mistake>,
    ) -> ComposedReading {
        let mut reading = self.read(around);
        let further = others(&reading);
        reading.mistakes.extend(further.into_iter().map(|mistake| self.whose(mistake)));
        reading
    }

    /// The documents that it names.
    pub fn parts(&self) -> impl Iterator<Item = Id> {
        self.parts.iter().map(|part| part.id)
    }

    /// The document that a mistake of the whole stands in, with its path there.
    pub fn whose(&self, mistake: Mistake) -> (Id, Mistake) {
        match self.part_at(&mistake.path) {
            Some((part, path)) => (part.id, Mistake { path: path.to_owned(), ..mistake }),
            None => (self.integration, mistake),
        }
    }

    /// The part that a path leads into, and the path within it.
    fn part_at<'a>(&self, path: &'a str) -> Option<(Part, &'a str)> {
        let section = LISTS.into_iter().find(|section| path == *section || path.starts_with(&format!("{section}.")))?;
        let mut rest = path[section.len()..].trim_start_matches('.');
        let mut rank = 0;
        while let Some(after) = rest.strip_prefix("fallback").filter(|after| after.is_empty() || after.starts_with('.'))
        {
            (rank, rest) = (rank + 1, after.trim_start_matches('.'));
        }
        let part = self.parts.iter().find(|part| part.section == section && part.rank == rank)?;
        Some((*part, rest))
    }
}

impl ComposedReading {
    /// Without mistakes that somebody does not mind.
    pub fn forgiving(mut self, forgiven: impl Fn(&Mistake) -> bool) -> Self {
        self.mistakes.retain(|(_, mistake)| !forgiven(mistake));
        self
    }

    /// The integration's own document without its secrets, as it is kept.
    pub fn set_apart(self) -> Result<SetApart, Vec<(Id, Mistake)>> {
        if self.mistakes.is_empty() { Ok(SetApart::of(self.own, self.secrets)) } else { Err(self.mistakes) }
    }
}

/// Whether a mistake of a list makes another of the same list needless.
fn in_list(list: &str, other: &str) -> bool {
    list.split('[').next() == Some(other)
}

/// The documents that a list of identifiers names.
fn find<'a>(
    section: &'static str,
    listed: &Value,
    part: &impl Fn(PartKind, Id) -> Option<&'a Table>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<(Id, Table)> {
    let Value::List(all) = listed else {
        mistakes.push(Mistake::of_value(section, "is not a list of identifiers, the preferred first"));
        return vec![];
    };
    if all.is_empty() || all.len() > RANKED_MAX {
        let why = format!("has to name one at least, and {RANKED_MAX} at most");
        mistakes.push(Mistake::of_value(section, why));
        return vec![];
    }
    let kind = PartKind::of_section(section);
    let mut found: Vec<(Id, Table)> = vec![];
    for (n, text) in all.iter().enumerate() {
        let at = format!("{section}[{n}]");
        let Value::Text(text) = text else {
            mistakes.push(Mistake::of_value(at, "is not an identifier"));
            continue;
        };
        let known = text.parse::<Id>().ok().and_then(|id| Some((id, part(kind, id)?.clone())));
        let Some((id, mut document)) = known else {
            let sort = match kind {
                PartKind::Assistant => "assistant",
                PartKind::Service => "service",
            };
            mistakes.push(Mistake::of_value(at, format!("`{text}` is no {sort} of this tenant")));
            continue;
        };
        if kind == PartKind::Service && document.take(PORT) != Some(Value::Text(section.to_owned())) {
            mistakes.push(Mistake::of_value(at, format!("is a service of another port than {section}")));
            continue;
        }
        if found.iter().any(|(known, _)| *known == id) {
            mistakes.push(Mistake::of_value(at, "is in the list twice"));
            continue;
        }
        rename_kept(&mut document, id);
        found.push((id, document));
    }
    found
}

/// Each takes over from the one before it.
fn chain(found: &[(Id, Table)]) -> Option<Table> {
    found.iter().rev().fold(None, |next, (_, document)| {
        let mut document = document.clone();
        // A fallback of its own is nobody's: the list says who takes over.
        document.take("fallback");
        if let Some(next) = next {
            document.set("fallback", Value::Table(next));
        }
        Some(document)
    })
}

/// The places of kept secrets with whose they are.
fn rename_kept(document: &mut Table, owner: Id) {
    for path in kept_places(document) {
        if let Some(Value::Text(text)) = document.at_mut(&path)
            && let Some(of) = text.strip_prefix(KEPT)
        {
            *text = format!("{KEPT}{owner}/{of}");
        }
    }
}

/// The path of a text that says where a secret is kept: nobody but a store writes such a one.
pub fn names_kept(document: &Table) -> Option<String> {
    kept_places(document).into_iter().next()
}

fn kept_places(document: &Table) -> Vec<String> {
    fn look(path: String, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Text(text) | Value::Field(text) if text.trim_start().starts_with(KEPT) => found.push(path),
            Value::Table(table) => table.iter().for_each(|(key, value)| look(format!("{path}.{key}"), value, found)),
            Value::List(list) => {
                list.iter().enumerate().for_each(|(n, value)| look(format!("{path}[{n}]"), value, found));
            }
            _ => {}
        }
    }
    let mut found = vec![];
    document.iter().for_each(|(key, value)| look(key.to_owned(), value, &mut found));
    found
}

/// What kept documents speak of: secrets that a store has opened, by document and path; nothing of the machine.
#[derive(Debug)]
pub struct KeptSecrets<'a>(pub &'a BTreeMap<(Id, String), Result<Secret, String>>);

/// The same for who judges documents and needs no secret of theirs: each is there.
#[derive(Debug, Clone, Copy)]
pub struct Unopened;

/// A place of the operator's machine is not for who has no file there.
const NOT_YOURS: &str = "is a place on the server, which its operator's file alone may name: give the secret itself";

impl Surroundings for KeptSecrets<'_> {
    fn refers(&self, text: &str) -> bool {
        Unopened.refers(text)
    }

    fn secret_at(&self, place: &str) -> Result<String, String> {
        let Some(kept) = place.strip_prefix(KEPT) else { return Err(NOT_YOURS.to_owned()) };
        let at = kept.split_once('/').and_then(|(owner, path)| Some((owner.parse::<Id>().ok()?, path.to_owned())));
        match at.and_then(|at| self.0.get(&at)) {
            Some(Ok(secret)) => Ok(secret.expose().to_owned()),
            Some(Err(why)) => Err(why.clone()),
            None => Err("is not kept any more: set it again".to_owned()),
        }
    }

    fn has_files(&self) -> bool {
        false
    }
}

impl Surroundings for Unopened {
    fn refers(&self, text: &str) -> bool {
        [KEPT, "env:", "file:"].iter().any(|place| text.starts_with(place))
    }

    fn secret_at(&self, place: &str) -> Result<String, String> {
        if place.starts_with(KEPT) { Ok("kept".to_owned()) } else { Err(NOT_YOURS.to_owned()) }
    }

    fn has_files(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
