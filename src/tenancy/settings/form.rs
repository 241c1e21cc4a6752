//! A form: pairs of path and text, like `sip.sources[0]` and `192.0.2.0/24`.
//!
//! Invariant: a text is a number or a flag only where one is asked for, and an empty field was left out: a form has no
//! other way to say so. Paths come from whoever sends the form: none makes more values than there are pairs, or nests
//! them deeper than `DEPTH_MAX`.

use std::collections::BTreeMap;

use super::mistake::{Mistake, Part};
use super::value::{Table, Value};

/// How many keys and indices a path may have.
const DEPTH_MAX: usize = 16;

/// Reads a document; with the pairs that have no place in it.
pub fn read<P: AsRef<str>, T: Into<String>>(pairs: impl IntoIterator<Item = (P, T)>) -> (Table, Vec<Mistake>) {
    let (mut root, mut mistakes) = (Node::default(), vec![]);
    for (path, text) in pairs {
        let path = path.as_ref();
        let put =
            steps(path).ok_or("is not a path like `sip.sources[0]`").and_then(|steps| root.put(&steps, text.into()));
        if let Err(why) = put {
            mistakes.push(Mistake { path: path.to_owned(), part: Part::Key, why: why.to_owned() });
        }
    }
    (root.into_table("", &mut mistakes), mistakes)
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// `a.b[0]` as its steps; none if it is no path.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = vec![];
    for part in path.split('.') {
        let (key, indices) = part.split_once('[').map_or((part, None), |(key, rest)| (key, Some(rest)));
        if key.is_empty() || key.contains(']') {
            return None;
        }
        steps.push(Step::Key(key));
        for index in indices.map(|rest| rest.split('[')).into_iter().flatten() {
            steps.push(Step::Index(index.strip_suffix(']')?.parse().ok()?));
        }
    }
    (steps.len() <= DEPTH_MAX).then_some(steps)
}

/// What stands at a path while the pairs come, in any order.
enum Node {
    Field(String),
    Section(BTreeMap<String, Node>),
    List(BTreeMap<usize, Node>),
}

impl Default for Node {
    fn default() -> Self {
        Self::Section(BTreeMap::new())
    }
}

impl Node {
    fn put(&mut self, steps: &[Step<'_>], text: String) -> Result<(), &'static str> {
        const TWICE: &str = "is there twice";
        let [step, rest @ ..] = steps else { return Err(TWICE) };
        let is_new;
        let next = match (step, &mut *self) {
            (Step::Key(key), Self::Section(all)) => {
                is_new = !all.contains_key(*key);
                all.entry((*key).to_owned()).or_insert_with(|| Self::of(rest))
            }
            (Step::Index(index), Self::List(all)) => {
                is_new = !all.contains_key(index);
                all.entry(*index).or_insert_with(|| Self::of(rest))
            }
            _ => return Err("is there twice, once with something below it"),
        };
        match (rest, next) {
            ([], Self::Field(field)) if is_new => {
                *field = text;
                Ok(())
            }
            ([], _) => Err(TWICE),
            (rest, next) => next.put(rest, text),
        }
    }

    /// What can take the rest of a path.
    fn of(rest: &[Step<'_>]) -> Self {
        match rest.first() {
            None => Self::Field(String::new()),
            Some(Step::Key(_)) => Self::Section(BTreeMap::new()),
            Some(Step::Index(_)) => Self::List(BTreeMap::new()),
        }
    }

    fn into_table(self, path: &str, mistakes: &mut Vec<Mistake>) -> Table {
        let Self::Section(all) = self else { return Table::default() };
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let each = |(key, node): (String, Node)| {
            let value = node.into_value(&below(&key), mistakes);
            (key, value)
        };
        all.into_iter().map(each).collect()
    }

    fn into_value(self, path: &str, mistakes: &mut Vec<Mistake>) -> Value {
        match self {
            Self::Field(text) => Value::Field(text),
            Self::Section(_) => Value::Table(self.into_table(path, mistakes)),
            Self::List(all) => {
                let mut list = vec![];
                for (n, (index, node)) in all.into_iter().enumerate() {
                    if n != index {
                        mistakes.push(Mistake::of_value(
                            format!("{path}[{n}]"),
                            "is missing: indices begin at 0 and leave none out",
                        ));
                        break;
                    }
                    list.push(node.into_value(&format!("{path}[{index}]"), mistakes));
                }
                Value::List(list)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(&str, &str)]) -> (String, Vec<String>) {
        let (table, mistakes) = read(pairs.iter().copied());
        (super::super::json::write(&table), mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn paths_become_sections_and_lists_in_any_order() {
        let pairs =
            [("name", "acme"), ("sip.sources[1]", "b"), ("sip.user", "u"), ("sip.sources[0]", "a"), ("x[0].y", "1")];
        let json = r#"{"name":"acme","sip":{"sources":["a","b"],"user":"u"},"x":[{"y":"1"}]}"#;
        assert_eq!(told(&pairs), (json.to_owned(), vec![]));
    }

    #[test]
    fn pairs_without_a_place_are_told() {
        for (pairs, why) in [
            (&[("a", "1"), ("a", "2")][..], "a: is there twice"),
            (&[("a", "1"), ("a.b", "2")], "a.b: is there twice, once with something below it"),
            (&[("a.b", "1"), ("a", "2")], "a: is there twice"),
            (&[("a[0]", "1"), ("a.b", "2")], "a.b: is there twice, once with something below it"),
            (&[("a[0]", "1"), ("a[2]", "2")], "a[1]: is missing: indices begin at 0 and leave none out"),
            (&[("a[99999999999]", "1")], "a[0]: is missing: indices begin at 0 and leave none out"),
            (&[("", "1")], "is not a path like `sip.sources[0]`"),
            (&[("a..b", "1")], "a..b: is not a path like `sip.sources[0]`"),
            (&[("a[x]", "1")], "a[x]: is not a path like `sip.sources[0]`"),
            (&[("a[0", "1")], "a[0: is not a path like `sip.sources[0]`"),
            (&[("a]", "1")], "a]: is not a path like `sip.sources[0]`"),
        ] {
            assert_eq!(told(pairs).1, [why], "{pairs:?}");
        }
        let deep = "a.".repeat(100_000) + "a";
        assert_eq!(read([(deep.as_str(), "1")]).1.len(), 1, "depth has a limit");
    }
}
