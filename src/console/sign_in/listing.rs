//! Lists of sessions and tokens: which page is asked for, and how it is shown.
//!
//! Invariant: whoever asks for everybody's looks after everybody that they get.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Query;
use bellhop_tenancy::access::Role;
use bellhop_tenancy::store::{self, Owner, PAGE_MAX, Page};
use serde::{Deserialize, Serialize};

use super::visitor::Visitor;
use crate::problem::Problem;

/// Those of a page if nobody says how many.
const PAGE_USUAL: u32 = 50;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    after: Option<String>,
    limit: Option<u32>,
    everybody: bool,
}

/// A page of a list.
#[derive(Serialize)]
pub(super) struct List<T> {
    items: Vec<T>,
    /// What to go on `after`; none at the end.
    next: Option<String>,
}

impl Asked {
    /// What the query of a request says.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let unreadable = |_| {
            let detail = "the query has a parameter that is unknown, twice there, or of another type: `after`, `limit` and `everybody` may be given";
            Problem::new(StatusCode::BAD_REQUEST, detail)
        };
        Query::from_query(request.query_string()).map(Query::into_inner).map_err(unreadable)
    }

    pub(super) fn page(&self) -> Result<Page, Problem> {
        let after = self.after.as_deref().map(str::parse).transpose();
        let after = after.map_err(|error| Problem::parameter("after", format!("{error}")))?;
        let count = self.limit.unwrap_or(PAGE_USUAL);
        if !(1..=PAGE_MAX).contains(&count) {
            return Err(Problem::parameter("limit", format!("is not between 1 and {PAGE_MAX}")));
        }
        Ok(Page { after, count })
    }

    pub(super) fn owner(&self, visitor: &Visitor) -> Result<Owner, Problem> {
        match (self.everybody, visitor.role() >= Role::Admin) {
            (false, _) => Ok(Owner::Own),
            (true, true) => Ok(Owner::Anybody),
            (true, false) => Err(Problem::forbidden("only an admin or an operator sees those of others")),
        }
    }
}

impl<T> List<T> {
    pub(super) fn of<K>(listed: store::Listed<K>, show: impl FnMut(K) -> T) -> Self {
        let next = listed.next.map(|id| id.to_string());
        Self { items: listed.items.into_iter().map(show).collect(), next }
    }
}

/// A time as RFC 3339 writes it.
pub(super) fn time(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string()
}
