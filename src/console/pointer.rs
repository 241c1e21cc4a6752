//! Where something stands in a document, as a JSON pointer in the fragment of a URI (RFC 6901 section 6).
//!
//! Invariant: a pointer leads to the value that the path means, also where a key has dots, slashes or brackets in it.

use std::fmt::Write;

use bellhop_tenancy::settings::{Table, Value};

/// `sip.sources[2]` of a document as `#/sip/sources/2`.
pub(crate) fn pointer(path: &str, document: &Table) -> String {
    let (mut pointer, mut rest) = ("#".to_owned(), path);
    let mut tables = Some(document);
    let mut value: Option<&Value> = None;
    while !rest.is_empty() {
        if let Some((index, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            push(&mut pointer, index);
            value = match value {
                Some(Value::List(list)) => index.parse().ok().and_then(|index: usize| list.get(index)),
                _ => None,
            };
            rest = after;
        } else {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let key = key_of(rest, tables);
            push(&mut pointer, key);
            value = tables.and_then(|table| table.get(key));
            rest = &rest[key.len()..];
        }
        tables = match value {
            Some(Value::Table(table)) => Some(table),
            _ => None,
        };
    }
    pointer
}

/// The key that a path begins with: the longest that the document has, or what stands before the next dot or bracket.
fn key_of<'a>(path: &'a str, table: Option<&Table>) -> &'a str {
    let fits = |key: &&str| {
        !key.is_empty() && path.strip_prefix(*key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let known = table.and_then(|table| table.iter().map(|(key, _)| key).filter(fits).map(str::len).max());
    // A key that nobody knows may begin with a dot: whatever stands there, something of it is taken.
    let first = path.chars().next().map_or(0, char::len_utf8);
    let until = known.unwrap_or_else(|| path[first..].find(['.', '[']).map_or(path.len(), |at| at + first));
    &path[..until]
}

/// Appends a token: escaped as a pointer (section 3), then as a fragment.
fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    for c in token.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c if c.is_ascii_alphanumeric() || "-._!$&'()*+,;=:@?".contains(c) => pointer.push(c),
            c => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    write!(pointer, "%{byte:02X}").expect("a String takes everything");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellhop_tenancy::settings::json;

    #[test]
    fn a_path_leads_to_the_value_that_it_means() {
        let document = json::read(r#"{"a.b":{"c":[{"d":1}]},"a":{"b":2},"x/y~z":{"é %":1},"[0]":1,"":{"n":1}}"#);
        let document = document.expect("JSON");
        for (path, expected) in [
            ("", "#"),
            ("a.b.c[0].d", "#/a.b/c/0/d"),
            ("a.b", "#/a.b"),
            ("sip.sources[2]", "#/sip/sources/2"),
            ("x/y~z.é %", "#/x~1y~0z/%C3%A9%20%25"),
            ("..", "#/."),
            ("a.[", "#/a/["),
        ] {
            assert_eq!(pointer(path, &document).replace("%5B", "["), expected, "{path}");
        }
    }
}
