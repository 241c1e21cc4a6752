//! REST asked by the pages of the same server: the same routes with the same roles, rooms and words, and no socket between.
//!
//! Invariant: a page shows and changes what REST lets its reader see and change, as it goes no other way to the store.

use actix_web::http::Method;
use bellhop_tenancy::access::Author;
use bellhop_tenancy::store::Revision;
use serde_json::Value;

use super::Rest;
use super::asked::{Asked, Body, read_query};
use super::door::{ANSWER_WITHIN, House, Line, entered, not_of_file, tried, unix_now_ms, within};
use super::given::Said;
use super::{answers, body};
use crate::problem::Problem;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Inquiry {
    method: Method,
    /// Path and query, below [`crate::API`].
    target: String,
    seen: Option<Revision>,
    says: Says,
}

#[derive(Debug, Clone)]
enum Says {
    Nothing,
    Json(Value),
    Csv(Vec<u8>),
}

impl Inquiry {
    fn new(method: Method, target: impl Into<String>, says: Says) -> Self {
        Self { method, target: target.into(), seen: None, says }
    }

    /// Reads.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new(Method::GET, target, Says::Nothing)
    }

    /// Does something.
    pub fn post(target: impl Into<String>) -> Self {
        Self::new(Method::POST, target, Says::Nothing)
    }

    /// Makes something, or does something with what is said.
    pub fn post_json(target: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, target, Says::Json(body))
    }

    /// The same with rows.
    pub fn post_csv(target: impl Into<String>, rows: Vec<u8>) -> Self {
        Self::new(Method::POST, target, Says::Csv(rows))
    }

    /// Changes something by a merge patch.
    pub fn patch(target: impl Into<String>, seen: Revision, patch: Value) -> Self {
        Self { seen: Some(seen), ..Self::new(Method::PATCH, target, Says::Json(patch)) }
    }

    /// What it is asked of is meant as it is in this revision.
    pub fn of_revision(self, seen: Revision) -> Self {
        Self { seen: Some(seen), ..self }
    }

    /// Deletes something.
    pub fn delete(target: impl Into<String>, seen: Revision) -> Self {
        Self { seen: Some(seen), ..Self::new(Method::DELETE, target, Says::Nothing) }
    }
}

impl Rest {
    /// Asks on behalf of somebody; what is answered, as JSON.
    pub async fn ask(&self, by: &Author, inquiry: Inquiry) -> Result<Value, Problem> {
        match self.said(by, inquiry).await? {
            Said::Nothing => Ok(Value::Null),
            Said::Json(text) => serde_json::from_str(&text).map_err(|_| Problem::internal()),
            Said::Text(_) | Said::Part(_) | Said::Events(_) => Err(Problem::internal()),
        }
    }

    /// The same of what is no JSON: its bytes.
    pub async fn fetch(&self, by: &Author, inquiry: Inquiry) -> Result<Vec<u8>, Problem> {
        match self.said(by, inquiry).await? {
            Said::Text(text) => Ok(text.bytes),
            Said::Nothing | Said::Json(_) | Said::Part(_) | Said::Events(_) => Err(Problem::internal()),
        }
    }

    async fn said(&self, by: &Author, inquiry: Inquiry) -> Result<Said, Problem> {
        let Inquiry { method, target, seen, says } = inquiry;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let (at, path) = self.0.found(&method, path).ok_or_else(Problem::not_found)?;
        let route = &self.0.routes[at];
        let line = Line::of(route, Some(by), &answers::request_id());
        let read = || {
            let of_request = entered(&self.0, route, by)?;
            let query = read_query(query, route.query.iter().map(|parameter| parameter.name))?;
            let (ports, seen) = (self.0.ports.clone(), seen.into_iter().collect());
            let (whom, by, body, at_unix_ms) = (by, by.clone(), said(says)?, unix_now_ms());
            let (last_event, range, presence) = (None, None, None);
            let asked = Asked { ports, by, at_unix_ms, path, query, seen, body, last_event, range, presence };
            Ok((not_of_file(route, asked)?, (of_request, tried(&self.0, route, whom)?)))
        };
        let (asked, _room) = match read() {
            Ok(read) => read,
            Err(problem) => return line.ends(Err(problem)).map(|_| Said::Nothing),
        };
        line.ends(within(ANSWER_WITHIN, (route.answerer)(asked)).await).map(|given| given.body)
    }
}

fn said(says: Says) -> Result<Body, Problem> {
    Ok(match says {
        Says::Nothing => Body::Nothing,
        Says::Json(value) => {
            let text = value.to_string();
            if text.len() > body::JSON_BYTES_MAX {
                return Err(body::too_large(body::JSON_BYTES_MAX));
            }
            Body::Json(body::document(text.as_bytes())?)
        }
        Says::Csv(rows) if rows.len() > body::CSV_BYTES_MAX => return Err(body::too_large(body::CSV_BYTES_MAX)),
        Says::Csv(rows) => Body::Csv(rows),
    })
}

impl House {
    /// The route of a path, and what the path names; what is written out comes before what is named.
    fn found(&self, method: &Method, path: &str) -> Option<(usize, Vec<(String, String)>)> {
        let parts: Vec<&str> = path.split('/').collect();
        let named = |pattern: &str| {
            let pattern: Vec<&str> = pattern.split('/').collect();
            let mut names = vec![];
            for (wanted, part) in pattern.iter().zip(&parts) {
                match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) => names.push((name.to_owned(), (*part).to_owned())),
                    None if wanted == part => {}
                    None => return None,
                }
            }
            (pattern.len() == parts.len()).then_some(names)
        };
        let all = self.routes.iter().enumerate().filter(|(_, route)| route.method == *method);
        all.filter_map(|(at, route)| Some((at, named(route.path)?))).min_by_key(|(_, names)| names.len())
    }
}
