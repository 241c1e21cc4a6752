//! Names of one release ago: they are read, and told as deprecated.

use super::section::Section;
use super::value::Value;

impl<'a> Section<'a> {
    /// A section that may be missing, also under the name it had one release ago, which is told as deprecated.
    pub fn renamed_section(&self, key: &str, old: &str) -> Option<Section<'a>> {
        if self.has(key) || !self.has(old) {
            return self.optional_section(key);
        }
        self.deprecate(&format!("`[{}]`", self.path_of(old)), &format!("`[{key}]`"));
        self.optional_section(old)
    }

    /// A choice where some words have changed since the last release: `(old, new)`; an old one is told as deprecated.
    pub fn renamed_choice(&self, key: &str, choices: &[&str], renamed: &[(&str, &str)]) -> Option<usize> {
        let Some(Value::Text(written) | Value::Field(written)) = self.get(key) else {
            return self.choice(key, choices);
        };
        let Some((old, new)) = renamed.iter().find(|(old, _)| old == written) else { return self.choice(key, choices) };
        self.deprecate(&format!("{}: `{old}`", self.path_of(key)), &format!("`{new}`"));
        choices.iter().position(|choice| choice == new)
    }

    /// Notes that an old name was used: it is read by this release and not by the next.
    fn deprecate(&self, old: &str, new: &str) {
        self.gathered.deprecate(format!("{old} is now called {new}: the next release knows the new name alone"));
    }
}
