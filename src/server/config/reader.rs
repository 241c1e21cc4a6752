//! Makes a document of TOML: what is written, where it stands, and what it speaks of on this machine.
//!
//! What is judged, and in which words, is `src/tenancy/settings/`. Invariant: every value of the file is in the document, with
//! its digits as they were written, and every mistake of the document gets its line and column.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bellhop_call::failure::{ChildName, Fault};
use bellhop_call::fault_injection::FaultInjection;
use bellhop_call::phase::PhaseName;
use bellhop_tenancy::secret::Secret;
use bellhop_tenancy::settings::Mark;
pub(super) use bellhop_tenancy::settings::{Gathered, Part, Section, Surroundings, Table, Value};
use toml::de::{DeTable, DeValue};

use super::files::{SECRET_MAX, TEXT_MAX, read_text};
use super::mistakes::Mistakes;
use super::places::Places;

/// The folder of the file, and the environment.
pub(super) struct BesideFile(PathBuf);

impl BesideFile {
    pub(super) fn of(file: &Path) -> Self {
        Self(file.parent().unwrap_or(Path::new("")).to_owned())
    }
}

impl Surroundings for BesideFile {
    fn secret_at(&self, place: &str) -> Result<String, String> {
        let one_line = |text: String| text.trim_start_matches('\u{feff}').trim().to_owned();
        match place.split_once(':') {
            Some(("file", path)) => read_text(&self.path(path.trim()), SECRET_MAX).map(one_line),
            Some((_, name)) => std::env::var(name.trim()).map(one_line).map_err(|error| match error {
                std::env::VarError::NotPresent => "is not set in the environment".to_owned(),
                std::env::VarError::NotUnicode(_) => "is not UTF-8 text".to_owned(),
            }),
            None => Err("names nothing".to_owned()),
        }
    }

    fn path(&self, written: &str) -> PathBuf {
        self.0.join(written)
    }

    fn text_at(&self, path: &Path) -> Option<String> {
        read_text(path, TEXT_MAX).ok()
    }
}

/// What is written as a secret in a file: itself, or what stands at the place that it names.
pub(crate) fn secret_beside(file: &Path, written: &str) -> Result<Secret, String> {
    let around = BesideFile::of(file);
    match around.refers(written.trim()) {
        true => around.secret_at(written.trim()).map(Secret::new),
        false => Ok(Secret::new(written)),
    }
}

/// The mistakes of a document at their places in the file.
pub(super) fn placed(gathered: Gathered<'_>, places: &Places) -> Mistakes {
    let place = |mistake: bellhop_tenancy::settings::Mistake| match mistake.part {
        Part::Key => places.mistake_in_key(&mistake.path, mistake.why),
        Part::Value => places.mistake(&mistake.path, mistake.why),
    };
    gathered.into_mistakes().into_iter().map(place).collect()
}

/// What a table says.
pub(super) fn document(table: &DeTable<'_>) -> Table {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), said(value.get_ref()))).collect()
}

fn said(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Whole {
            written: number.to_string(),
            number: i128::from_str_radix(number.as_str(), number.radix()).ok(),
        },
        DeValue::Float(number) => Value::Fraction(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(array) => Value::List(array.iter().map(|element| said(element.get_ref())).collect()),
        DeValue::Table(table) => Value::Table(document(table)),
    }
}

/// The keys of a document that belong to no tenant, by path, each with its mark.
pub(super) fn marks_of_node(document: &Table) -> BTreeMap<String, Mark> {
    let mut marks = BTreeMap::new();
    let node = document.iter().filter(|(key, _)| *key != "tenants");
    node.for_each(|(key, value)| mark_leaves(key, value, &mut marks));
    marks
}

fn mark_leaves(path: &str, value: &Value, marks: &mut BTreeMap<String, Mark>) {
    if let Value::Table(table) = value {
        return table.iter().for_each(|(key, value)| mark_leaves(&format!("{path}.{key}"), value, marks));
    }
    marks.insert(path.to_owned(), Mark::of(value));
}

/// `[fault_injection]`: child, phase and fault of a fault to inject.
pub(super) fn fault_injection(section: &Section<'_>) -> Option<FaultInjection> {
    let children = ChildName::ALL.map(ChildName::label);
    let phases = PhaseName::ALL.map(PhaseName::label);
    let faults = Fault::ALL.map(Fault::label);
    let child = section.required_choice("child", &children);
    let phase = match section.has("phase") {
        true => section.renamed_choice("phase", &phases, &[("quieting", "quiescing")]),
        false => section.required_choice("phase", &phases),
    };
    let fault = section.required_choice("fault", &faults);
    section.finish();
    Some(FaultInjection { child: ChildName::ALL[child?], phase: PhaseName::ALL[phase?], fault: Fault::ALL[fault?] })
}

#[cfg(test)]
mod tests;
