//! `If-Match` and `If-None-Match` (RFC 9110 section 13.1).
//!
//! Invariant: nothing is changed by who does not say which state of it they have seen: `If-Match: *` says nothing of that, and is
//! answered like none.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use bellhop_tenancy::store::Revision;

use crate::problem::Problem;

/// Most tags that a header may list.
const TAGS_MAX: usize = 16;

/// The revisions that a request means. Tags that are weak or not ours match nothing.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Vec<Revision>, Problem> {
    let missing = || {
        let why = "say which state you have seen: `If-Match` with the `ETag` of a GET; `*` says nothing of it";
        Problem::new(StatusCode::PRECONDITION_REQUIRED, why)
    };
    let text = joined(headers, &IF_MATCH)?.ok_or_else(missing)?;
    if text.trim() == "*" {
        return Err(missing());
    }
    let revision = |tag: &str| {
        let tag = tag.strip_prefix('"')?.strip_suffix('"')?;
        tag.split_once('-').map_or(tag, |(revision, _)| revision).parse().ok()
    };
    Ok(tags(&text)?.into_iter().filter_map(revision).collect())
}

/// Whether a request has seen what its answer shows.
pub(super) fn has_seen(headers: &HeaderMap, etag: &str) -> Result<bool, Problem> {
    let Some(text) = joined(headers, &IF_NONE_MATCH)? else { return Ok(false) };
    Ok(text.trim() == "*" || tags(&text)?.iter().any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag))
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Problem> {
    let texts: Result<Vec<&str>, _> = headers.get_all(name).map(|value| value.to_str()).collect();
    let texts = texts.map_err(|_| malformed())?;
    Ok((!texts.is_empty()).then(|| texts.join(",")))
}

/// The tags of a list; a comma may stand inside of one.
fn tags(text: &str) -> Result<Vec<&str>, Problem> {
    let (mut tags, mut rest) = (vec![], text.trim());
    while !rest.is_empty() {
        let weak = if rest.starts_with("W/") { 2 } else { 0 };
        let opened = rest[weak..].strip_prefix('"').ok_or_else(malformed)?;
        let end = weak + 2 + opened.find('"').ok_or_else(malformed)?;
        tags.push(&rest[..end]);
        if tags.len() > TAGS_MAX {
            return Err(malformed());
        }
        let after = rest[end..].trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start_matches([',', ' ', '\t']),
            None if after.is_empty() => after,
            None => return Err(malformed()),
        };
    }
    Ok(tags)
}

fn malformed() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        format!("the condition is no list of at most {TAGS_MAX} entity tags like `\"7\"`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_str(value).expect("a header"));
        }
        headers
    }

    #[test]
    fn a_condition_names_revisions_and_nothing_else_is_one() {
        for (values, expected) in [
            (&["\"7\""][..], Ok(vec![7])),
            (&["\"7-0a1b2c\""], Ok(vec![7])),
            (&["\"7\", \"8\""], Ok(vec![7, 8])),
            (&["\"7\"", "\"9\""], Ok(vec![7, 9])),
            (&["W/\"7\""], Ok(vec![])),
            (&["\"another, one\" , \"-1\", \"99999999999999999999\""], Ok(vec![])),
            (&[], Err(StatusCode::PRECONDITION_REQUIRED)),
            (&["*"], Err(StatusCode::PRECONDITION_REQUIRED)),
            (&["7"], Err(StatusCode::BAD_REQUEST)),
            (&["\"7"], Err(StatusCode::BAD_REQUEST)),
            (&["\"7\" \"8\""], Err(StatusCode::BAD_REQUEST)),
        ] {
            let found = if_match(&headers(IF_MATCH, values)).map_err(|problem| problem.status());
            assert_eq!(found, expected, "{values:?}");
        }
        assert!(if_match(&headers(IF_MATCH, &[&"\"1\",".repeat(17)])).is_err(), "a list is bounded");
    }

    #[test]
    fn what_was_seen_is_known_by_its_whole_tag() {
        for (value, expected) in
            [("\"7\"", true), ("W/\"7\"", true), ("*", true), ("\"8\", \"7\"", true), ("\"7-a\"", false)]
        {
            assert_eq!(has_seen(&headers(IF_NONE_MATCH, &[value]), "\"7\""), Ok(expected), "{value}");
        }
        assert_eq!(has_seen(&HeaderMap::new(), "\"7\""), Ok(false));
    }
}
