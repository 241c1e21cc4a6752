//! Changes of a document: JSON Merge Patch (RFC 7396), and what is other in two documents.
//!
//! Invariant: what a patch does not name stays as it is; `null` takes a key out.

use super::value::{Table, Value};

/// A document after a patch (RFC 7396 section 2).
pub fn merge(document: &Table, patch: &Table) -> Table {
    let mut merged = document.clone();
    for (key, said) in patch.iter() {
        match said {
            Value::Nothing => {
                merged.take(key);
            }
            Value::Table(patch) => {
                let within = match merged.get(key) {
                    Some(Value::Table(table)) => merge(table, patch),
                    _ => merge(&Table::default(), patch),
                };
                merged.set(key, Value::Table(within));
            }
            other => merged.set(key, other.clone()),
        }
    }
    merged
}

/// The paths of what is other in one of two documents, or in one of them alone: `sip.sources`; a list is one thing.
pub fn changed(before: &Table, after: &Table) -> Vec<String> {
    let mut paths = vec![];
    compare("", before, after, &mut paths);
    paths
}

fn compare(path: &str, before: &Table, after: &Table, paths: &mut Vec<String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let nothing = Table::default();
    let gone = before.iter().filter(|(key, _)| after.get(key).is_none()).map(|(key, _)| key);
    for key in after.iter().map(|(key, _)| key).chain(gone) {
        match (before.get(key), after.get(key)) {
            (Some(Value::Table(before)), Some(Value::Table(after))) => compare(&below(key), before, after, paths),
            (None, Some(Value::Table(after))) => compare(&below(key), &nothing, after, paths),
            (Some(Value::Table(before)), None) => compare(&below(key), before, &nothing, paths),
            (before, after) if before == after => {}
            _ => paths.push(below(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn merged(document: &str, patch: &str) -> String {
        json::write(&merge(&json::read(document).expect("JSON"), &json::read(patch).expect("JSON")))
    }

    /// Those of RFC 7396 appendix A whose document and patch are objects.
    #[test]
    fn documents_are_patched_as_the_rfc_shows() {
        for (document, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(merged(document, patch), result, "{document} + {patch}");
        }
    }

    #[test]
    fn what_is_other_is_named_by_its_path() {
        let of =
            |before: &str, after: &str| changed(&json::read(before).expect("JSON"), &json::read(after).expect("JSON"));
        assert_eq!(of(r#"{"a":1,"s":{"b":1,"c":[1]}}"#, r#"{"a":1,"s":{"b":2,"c":[1]}}"#), ["s.b"]);
        assert_eq!(of(r#"{"a":1,"s":{"b":1}}"#, r#"{"t":{"u":1}}"#), ["t.u", "a", "s.b"]);
        assert_eq!(of(r#"{"c":[1]}"#, r#"{"c":[1,2]}"#), ["c"]);
        assert_eq!(of("{}", "{}"), [""; 0]);
    }
}
