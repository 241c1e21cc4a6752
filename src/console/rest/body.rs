//! The body of a request, read in bounded time into bounded space.
//!
//! Invariant: a mistake in the text of a body quotes none of its values; what is read holds no NUL, which no database keeps, and is
//! nested no deeper than [`DEPTH_MAX`].

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{BytesMut, Payload};
use bellhop_tenancy::settings::{Table, Value, json};
use futures_util::StreamExt;

use crate::problem::Problem;

/// Most bytes of a JSON body: a document with prompts and word lists is far below.
pub(super) const JSON_BYTES_MAX: usize = 256 * 1024;
/// Most bytes of a CSV: all numbers that a tenant may have, with what they are for.
pub(super) const CSV_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long a body may take to come.
pub(super) const BODY_WITHIN: Duration = Duration::from_secs(20);
/// How deep a body may be nested.
pub(super) const DEPTH_MAX: usize = 24;

/// All of a body.
pub(super) async fn read(payload: &mut Payload, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let all = async {
        let mut all = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body broke off"))?;
            if all.len() + chunk.len() > bytes_max {
                return Err(too_large(bytes_max));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.to_vec())
    };
    let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, format!("a body comes within {} s", BODY_WITHIN.as_secs()));
    tokio::time::timeout(BODY_WITHIN, all).await.unwrap_or_else(|_| Err(late()))
}

/// What is told of a body that has more bytes than it may.
pub(super) fn too_large(bytes_max: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has {bytes_max} bytes at most here"))
}

/// The document of a JSON body.
pub(super) fn document(bytes: &[u8]) -> Result<Table, Problem> {
    let malformed = |why: String| Problem::new(StatusCode::BAD_REQUEST, why);
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("the body is not UTF-8".to_owned()))?;
    let table = json::read(text).map_err(|mistake| malformed(format!("the body {}", mistake.why)))?;
    within_bounds(&table, DEPTH_MAX).map_err(|why| malformed(why.to_owned()))?;
    Ok(table)
}

fn within_bounds(table: &Table, deeper: usize) -> Result<(), &'static str> {
    if deeper == 0 {
        return Err("the body is nested too deep");
    }
    for (key, value) in table.iter() {
        has_no_nul(key)?;
        value_within_bounds(value, deeper - 1)?;
    }
    Ok(())
}

fn value_within_bounds(value: &Value, deeper: usize) -> Result<(), &'static str> {
    match value {
        Value::Text(text) => has_no_nul(text),
        Value::Table(table) => within_bounds(table, deeper),
        Value::List(_) if deeper == 0 => Err("the body is nested too deep"),
        Value::List(list) => list.iter().try_for_each(|value| value_within_bounds(value, deeper - 1)),
        _ => Ok(()),
    }
}

fn has_no_nul(text: &str) -> Result<(), &'static str> {
    if text.contains('\0') { Err("a text of the body has a NUL in it") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bodies_are_told_without_a_word_of_theirs() {
        let deep = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        for body in [
            &b"\xff\xfe{}"[..],
            b"",
            b"null",
            br#"["s3cret"]"#,
            br#"{"a":"s3cret"#,
            br#"{"a":"\ud800 s3cret"}"#,
            br#"{"a":"s3cret\u0000"}"#,
            br#"{"s3cret\u0000":1}"#,
            br#"{"a":{"b":["s3cret\u0000"]}}"#,
            br#"{"a":1e999}"#,
            br#"{"a":NaN}"#,
            br#"{"a":1}{"b":"s3cret"}"#,
            deep(25).as_bytes(),
            deep(100_000).as_bytes(),
            format!(r#"{{"a":{}1{}}}"#, "[".repeat(30), "]".repeat(30)).as_bytes(),
        ] {
            let problem = document(body).expect_err("refused");
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
            assert!(!format!("{problem:?}").contains("s3cret"), "{problem:?}");
        }
        for good in [deep(24), r#"{"__proto__":{"a":1},"n":123456789012345678901234567890}"#.to_owned()] {
            assert!(document(good.as_bytes()).is_ok(), "{good}");
        }
    }
}
