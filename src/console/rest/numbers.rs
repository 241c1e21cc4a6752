//! `numbers`: which integration a dialled number leads to; one by one, or all of an integration by CSV.
//!
//! Invariant: an import is previewed by the same request that carries it out (`commit=true`), which then changes all or nothing, and
//! nothing if another was first. Whatever a CSV says, no more of it is held than what a tenant may have and [`BAD_LINES_MAX`] mistakes.

use std::collections::{HashMap, HashSet};

use bellhop_tenancy::Number;
use bellhop_tenancy::access::Role;
use bellhop_tenancy::id::Id;
use bellhop_tenancy::settings::patch::merge;
use bellhop_tenancy::settings::{Table, Value};
use bellhop_tenancy::store::{KeptKind, KeptNumber, Listed, NUMBERS_MAX, NumberEntry, NumberList, Page};
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::{Asked, Body};
use super::fields::{self, Fields};
use super::given::Given;
use super::of_file::{self, ALONE, Entry};
use super::route::{FOR_TENANT, OF_TENANT, Outcome, Parameter, Route};
use super::shown::time;
use crate::problem::{Fault, Problem};

/// Most characters of what a number is for.
const DESCRIPTION_CHARS_MAX: usize = 256;
/// Most bytes of a number in a CSV, with blanks and dashes: what is longer is not repeated in a mistake.
const NUMBER_BYTES_MAX: usize = 64;
/// Bad lines that a preview tells.
const BAD_LINES_MAX: usize = 100;
/// Numbers of each sort that a preview shows.
const SHOWN_MAX: usize = 100;

const INTEGRATION: Parameter = Parameter {
    name: "integration",
    says: "The identifier of the integration whose numbers these are.",
    required: true,
};
const OF_INTEGRATION: Parameter =
    Parameter { name: "integration", says: "The identifier of an integration: its numbers alone.", required: false };
const COMMIT: Parameter = Parameter {
    name: "commit",
    says: "`true` to carry out what was previewed; without it nothing is changed.",
    required: false,
};
const SEEN: Parameter =
    Parameter { name: "seen", says: "`seen` of the preview; required with `commit=true`.", required: false };

/// A number as it is shown.
#[derive(Serialize, ToSchema)]
struct ShownNumber {
    id: String,
    tenant: String,
    /// With its plus sign.
    #[schema(example = "+18005550123")]
    number: String,
    description: String,
    /// The integration that its calls belong to.
    integration: String,
    /// Whether an operator has said that calls which name no instance are this entry's.
    confirmed: bool,
    /// When the first call to it came; null while it waits for the first call, and for one of the file.
    first_call_at: Option<String>,
    /// Whether it comes from the configuration's file of the server that is asked: it is changed there alone, and nobody else can have it.
    from_file: bool,
    /// Null for one of the file.
    created_at: Option<String>,
    /// Null for one of the file.
    changed_at: Option<String>,
    /// 0 for one of the file.
    revision: i64,
}

/// A number to be made.
#[derive(ToSchema)]
#[allow(dead_code)] // its shape is told; it is read by its fields
struct NewNumber {
    /// Digits with an optional `+`, blanks, dots, dashes and brackets.
    #[schema(example = "+1 (800) 555-0123")]
    number: String,
    #[schema(required = false, max_length = 256)]
    description: String,
    /// The identifier of an integration.
    integration: String,
}

/// An operator's word on a number.
#[derive(ToSchema)]
#[allow(dead_code)] // its shape is told; it is read by its field
struct Confirmation {
    /// Whether calls that name no instance are this entry's.
    confirmed: bool,
}

/// What an import changes, or would change.
#[derive(Serialize, ToSchema)]
struct Import {
    /// Whether it was carried out.
    committed: bool,
    /// For `seen` of the request that carries it out.
    seen: i64,
    added: Counted,
    kept: Counted,
    removed: Counted,
    bad: Vec<BadLine>,
    /// How many lines are bad; at most 100 are told.
    bad_count: usize,
}

/// Numbers, of which the first hundred are shown.
#[derive(Serialize, ToSchema)]
struct Counted {
    count: usize,
    first: Vec<String>,
}

/// A line that cannot be read.
#[derive(Serialize, ToSchema)]
struct BadLine {
    /// From 1.
    line: u64,
    why: String,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/numbers", Role::Viewer, "Lists numbers", list)
            .pages::<ShownNumber>()
            .with(OF_TENANT)
            .with(OF_INTEGRATION),
        Route::post("/numbers", Role::Admin, "Makes a number", add)
            .takes::<NewNumber>()
            .makes::<ShownNumber>()
            .with(FOR_TENANT),
        Route::post("/numbers/import", Role::Admin, "Replaces all numbers of an integration by those of a CSV", import)
            .takes_csv()
            .gives::<Import>()
            .with(INTEGRATION)
            .with(COMMIT)
            .with(SEEN)
            .may(actix_web::http::StatusCode::PRECONDITION_FAILED),
        Route::get("/numbers/disputed", Role::Operator, "Lists numbers that several entries have", disputed)
            .pages::<ShownNumber>(),
        Route::get("/numbers/{id}", Role::Viewer, "Shows a number", show).gives::<ShownNumber>(),
        Route::patch::<NewNumber, _, _>("/numbers/{id}", Role::Admin, "Changes a number", change)
            .gives::<ShownNumber>(),
        Route::delete("/numbers/{id}", Role::Admin, "Deletes a number", delete),
        Route::post("/numbers/{id}/confirm", Role::Operator, "Says whose calls are that name no instance", confirm)
            .takes::<Confirmation>()
            .gives::<ShownNumber>()
            .conditional(),
    ]
}

impl ShownNumber {
    fn of(kept: KeptNumber) -> Self {
        let NumberEntry { number, description, integration } = kept.entry;
        Self {
            id: kept.id.to_string(),
            tenant: kept.tenant.to_string(),
            number: number.e164(),
            description,
            integration: integration.to_string(),
            confirmed: kept.confirmed,
            first_call_at: kept.first_call_unix_ms.map(time),
            from_file: false,
            created_at: Some(time(kept.stamp.created_unix_ms)),
            changed_at: Some(time(kept.stamp.changed_unix_ms)),
            revision: kept.stamp.revision,
        }
    }

    fn of_file(entry: Entry) -> Self {
        Self {
            id: entry.id.to_string(),
            tenant: entry.tenant.to_string(),
            number: entry.number.e164(),
            description: String::new(),
            integration: entry.integration.to_string(),
            confirmed: true,
            first_call_at: None,
            from_file: true,
            created_at: None,
            changed_at: None,
            revision: 0,
        }
    }

    fn given(kept: KeptNumber) -> Given {
        let revision = kept.stamp.revision;
        Given::one(&Self::of(kept)).tagged(revision)
    }
}

fn read_entry(document: &Table) -> Result<NumberEntry, Problem> {
    let read = |fields: &Fields<'_>| {
        let number = fields.meant("number", |text| Number::parse(text).map_err(|error| error.to_string()));
        let description = fields.line_or_none("description", DESCRIPTION_CHARS_MAX);
        (number, description, fields.parsed::<Id>("integration"))
    };
    match fields::read(document, read)? {
        (Some(number), description, Some(integration)) => Ok(NumberEntry { number, description, integration }),
        _ => Err(Problem::internal()),
    }
}

fn may_be_had(asked: &Asked, entry: &NumberEntry) -> Result<(), Problem> {
    match asked.all_numbers_of_file().contains(&entry.number) {
        true => Err(Problem::faults(vec![Fault::at("#/number", ALONE)])),
        false => Ok(()),
    }
}

fn said(entry: &NumberEntry) -> Table {
    let integration = entry.integration.to_string();
    let all =
        [("number", entry.number.e164()), ("description", entry.description.clone()), ("integration", integration)];
    all.map(|(key, text)| (key.to_owned(), Value::Text(text))).into_iter().collect()
}

async fn list(asked: Asked) -> Outcome {
    let (scope, of) = (asked.scope().await?, asked.parameter::<Id>("integration")?);
    let is_wanted = |entry: &Entry| of.is_none_or(|of| entry.integration == of);
    let of_file = asked.numbers_of_file(&scope).filter(is_wanted);
    let of_file = of_file.map(|entry| (entry.id, ShownNumber::of_file(entry)));
    let kept = async |page| match of {
        None => asked.ports.store.numbers(&scope, page).await,
        Some(of) if of.is_of_file() => Ok(Listed { items: vec![], next: None }),
        Some(of) => Ok(part(asked.ports.store.numbers_of(&scope, of).await?.0, page)),
    };
    let listed = of_file::page(of_file, asked.page()?, kept, ShownNumber::of).await?;
    Ok(Given::page(listed, |shown| shown))
}

async fn disputed(asked: Asked) -> Outcome {
    let listed = asked.ports.store.disputed(&asked.scope().await?, asked.page()?).await?;
    Ok(Given::page(listed, ShownNumber::of))
}

/// A page of all numbers of an integration.
fn part(mut all: Vec<KeptNumber>, page: Page) -> Listed<KeptNumber> {
    all.retain(|number| page.after.is_none_or(|after| number.id > after));
    all.sort_by_key(|number| number.id);
    let has_more = all.len() > page.count as usize;
    all.truncate(page.count as usize);
    let next = all.last().filter(|_| has_more).map(|last| last.id);
    Listed { items: all, next }
}

async fn find(asked: &Asked) -> Result<KeptNumber, Problem> {
    Ok(asked.ports.store.number(&asked.by.signed_in.scope(), asked.id()?).await?)
}

async fn show(asked: Asked) -> Outcome {
    match asked.number_of_file()? {
        Some(of_file) => Ok(Given::one(&ShownNumber::of_file(of_file))),
        None => find(&asked).await.map(ShownNumber::given),
    }
}

async fn add(asked: Asked) -> Outcome {
    let tenant = asked.tenant_for_new().await?;
    let entry = read_entry(&asked.document())?;
    may_be_had(&asked, &entry)?;
    let kept = asked.ports.store.add_number(&asked.by, tenant, entry).await?;
    let (id, revision) = (kept.id, kept.stamp.revision);
    Ok(Given::made("/numbers", id, &ShownNumber::of(kept)).tagged(revision))
}

async fn change(asked: Asked) -> Outcome {
    let kept = find(&asked).await?;
    let seen = asked.expect(kept.stamp.revision)?;
    let entry = read_entry(&merge(&said(&kept.entry), &asked.document()))?;
    may_be_had(&asked, &entry)?;
    let changed = asked.ports.store.change_number(&asked.by, kept.id, seen, entry).await?;
    Ok(ShownNumber::given(changed))
}

async fn delete(asked: Asked) -> Outcome {
    let kept = find(&asked).await?;
    let seen = asked.expect(kept.stamp.revision)?;
    asked.ports.store.delete_number(&asked.by, kept.id, seen).await?;
    Ok(Given::done())
}

async fn confirm(asked: Asked) -> Outcome {
    let kept = find(&asked).await?;
    let seen = asked.expect(kept.stamp.revision)?;
    let confirmed = fields::read(&asked.document(), |fields| fields.required_flag("confirmed"))?.unwrap_or_default();
    let changed = asked.ports.store.confirm_number(&asked.by, kept.id, seen, confirmed).await?;
    Ok(ShownNumber::given(changed))
}

async fn import(mut asked: Asked) -> Outcome {
    let integration: Id =
        asked.parameter("integration")?.ok_or_else(|| Problem::parameter("integration", "is missing"))?;
    let scope = asked.by.signed_in.scope();
    let tenant = asked.ports.store.document(&scope, KeptKind::Integration, integration).await?.tenant;
    let (before, seen) = asked.ports.store.numbers_of(&scope, integration).await?;
    let Body::Csv(bytes) = std::mem::take(&mut asked.body) else { return Err(Problem::internal()) };
    // Megabytes take a while to read: not on a thread that others wait for.
    let of_file = asked.all_numbers_of_file();
    let read = actix_web::web::block(move || Lines::read(&bytes, &of_file)).await;
    let Lines { numbers, bad, bad_count } = read.map_err(|_| Problem::internal())?;
    let known: HashSet<&Number> = before.iter().map(|kept| &kept.entry.number).collect();
    let wanted: HashSet<&Number> = numbers.iter().map(|(number, _)| number).collect();
    let mut import = Import {
        committed: false,
        seen,
        added: Counted::of(numbers.iter().map(|(number, _)| number).filter(|number| !known.contains(number))),
        kept: Counted::of(numbers.iter().map(|(number, _)| number).filter(|number| known.contains(number))),
        removed: Counted::of(before.iter().map(|kept| &kept.entry.number).filter(|number| !wanted.contains(number))),
        bad,
        bad_count,
    };
    let commits = asked.parameter::<bool>("commit")?.unwrap_or_default();
    let seen_before = asked.parameter::<i64>("seen")?;
    if !commits {
        return Ok(Given::one(&import));
    }
    if import.bad_count > 0 {
        let why = format!(
            "{} lines cannot be read, the first is line {}: {}",
            import.bad_count, import.bad[0].line, import.bad[0].why
        );
        return Err(Problem::new(actix_web::http::StatusCode::UNPROCESSABLE_ENTITY, why));
    }
    let seen_change = seen_before.ok_or_else(|| Problem::parameter("seen", "is missing: it is told by the preview"))?;
    let list = NumberList { integration, numbers, seen_change };
    asked.ports.store.replace_numbers(&asked.by, tenant, list).await?;
    import.committed = true;
    Ok(Given::one(&import))
}

impl Counted {
    fn of<'a>(numbers: impl Iterator<Item = &'a Number>) -> Self {
        let all: Vec<&Number> = numbers.collect();
        Self { count: all.len(), first: all.into_iter().take(SHOWN_MAX).map(Number::e164).collect() }
    }
}

/// What the lines of a CSV say.
#[derive(Default)]
struct Lines {
    /// Each with what it is for.
    numbers: Vec<(Number, String)>,
    /// The first of those that are bad.
    bad: Vec<BadLine>,
    bad_count: usize,
}

impl Lines {
    /// A number in each, and behind a comma what it is for; a first line `number,description` is a head.
    fn read(bytes: &[u8], of_file: &HashSet<Number>) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(bytes);
        let (mut lines, mut first_lines) = (Self::default(), HashMap::new());
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    lines.is_bad(line, "is no CSV in UTF-8".to_owned());
                    continue;
                }
            };
            let line = record.position().map_or(0, csv::Position::line);
            if line == 1 && record.get(0).is_some_and(|head| head.eq_ignore_ascii_case("number")) {
                continue;
            }
            let (number, description) = match read_line(&record) {
                Ok(read) => read,
                Err(why) => {
                    lines.is_bad(line, why);
                    continue;
                }
            };
            if of_file.contains(&number) {
                lines.is_bad(line, ALONE.to_owned());
            } else if let Some(first) = first_lines.get(&number) {
                lines.is_bad(line, format!("has the number of line {first}"));
            } else if lines.numbers.len() as u64 >= NUMBERS_MAX {
                lines.is_bad(line, format!("is one more than the {NUMBERS_MAX} numbers that a tenant may have"));
            } else {
                first_lines.insert(number.clone(), line);
                lines.numbers.push((number, description));
            }
        }
        lines
    }

    fn is_bad(&mut self, line: u64, why: String) {
        self.bad_count += 1;
        if self.bad.len() < BAD_LINES_MAX {
            self.bad.push(BadLine { line, why });
        }
    }
}

fn read_line(record: &csv::StringRecord) -> Result<(Number, String), String> {
    if record.len() > 2 {
        return Err(format!("has {} fields: a number, and what it is for", record.len()));
    }
    let number = record.get(0).unwrap_or_default();
    if number.len() > NUMBER_BYTES_MAX {
        return Err(format!("has a number of more than {NUMBER_BYTES_MAX} bytes"));
    }
    let number = Number::parse(number).map_err(|error| error.to_string())?;
    let description = record.get(1).unwrap_or_default();
    if description.chars().count() > DESCRIPTION_CHARS_MAX || description.contains(char::is_control) {
        return Err(format!("has a description that is no line of at most {DESCRIPTION_CHARS_MAX} characters"));
    }
    Ok((number, description.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_a_list_is_held_than_may_be_kept_or_is_told() {
        let all_bad = Lines::read("1\n".repeat(200_000).as_bytes(), &HashSet::new());
        assert_eq!((all_bad.bad_count, all_bad.bad.len(), all_bad.numbers.len()), (200_000, BAD_LINES_MAX, 0));
        let many: String = (0..=NUMBERS_MAX).map(|n| format!("1{n:07}\n")).collect();
        let many = Lines::read(many.as_bytes(), &HashSet::new());
        assert_eq!((many.numbers.len() as u64, many.bad_count), (NUMBERS_MAX, 1));
        assert_eq!(many.bad[0].line, NUMBERS_MAX + 1);
        let long = Lines::read("9".repeat(1_000_000).as_bytes(), &HashSet::new());
        assert!(long.bad_count == 1 && long.bad[0].why.len() < 100, "it is not repeated");
    }
}
