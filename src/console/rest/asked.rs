//! A request as those who answer see it: read, bounded, and of somebody who may.
//!
//! Invariant: whose things an answer is about comes of [`Asked::scope`] and [`Asked::tenant_for_new`] alone: a tenant that somebody does
//! not reach is not there, whether it exists or not.

use std::str::FromStr;
use std::sync::Arc;

use actix_web::http::StatusCode;
use bellhop_tenancy::access::{Author, Scope};
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::settings::Table;
use bellhop_tenancy::store::{PAGE_MAX, Page, Revision};

use super::shown::Moment;
use super::{Ports, Presence};
use crate::problem::Problem;

/// How many are on a page if nobody says.
const PAGE_USUAL: u32 = 50;
/// Most characters of a parameter of a query.
const PARAMETER_CHARS_MAX: usize = 256;

/// A request.
pub(super) struct Asked {
    /// What it is answered with.
    pub ports: Arc<Ports>,
    /// Who asks.
    pub by: Author,
    /// When it came, in milliseconds since 1970.
    pub at_unix_ms: i64,
    /// The parameters of its path.
    pub path: Vec<(String, String)>,
    /// Those of its query.
    pub query: Vec<(String, String)>,
    /// The states that it means, where it has to say so.
    pub seen: Vec<Revision>,
    /// What it says.
    pub body: Body,
    /// The number of the last event that a reader knows (`Last-Event-ID`).
    pub last_event: Option<u64>,
    /// Which part is wanted (`Range`), as it stands there.
    pub range: Option<String>,
    /// Tells later whether who asks is still signed in; nothing where nobody reads on.
    pub presence: Option<Box<dyn Presence>>,
}

/// What a request says.
#[derive(Default)]
pub(super) enum Body {
    /// Nothing.
    #[default]
    Nothing,
    /// A document, or a merge patch.
    Json(Table),
    /// Rows.
    Csv(Vec<u8>),
}

impl Asked {
    /// A parameter of the path.
    pub(super) fn name(&self, name: &str) -> Result<&str, Problem> {
        let found = self.path.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty() && !value.contains(char::is_control)).ok_or_else(Problem::not_found)
    }

    /// An identifier in the path; what is none names nothing.
    pub(super) fn id(&self) -> Result<Id, Problem> {
        self.name("id")?.parse().map_err(|_| Problem::not_found())
    }

    /// A parameter of the query.
    pub(super) fn parameter<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        self.parameter_text(name)
            .map(|text| text.parse().map_err(|error: T::Err| Problem::parameter(name, error.to_string())))
            .transpose()
    }

    /// A time, in milliseconds since 1970.
    pub(super) fn moment(&self, name: &str) -> Result<Option<i64>, Problem> {
        Ok(self.parameter::<Moment>(name)?.map(|Moment(at)| at))
    }

    /// The same as it stands there.
    pub(super) fn parameter_text(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Which page is wanted.
    pub(super) fn page(&self) -> Result<Page, Problem> {
        Ok(Page { after: self.cursor::<Id>()?, count: self.limit()? })
    }

    /// How many at most.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        match self.parameter_text("limit").map(str::parse::<u32>) {
            None => Ok(PAGE_USUAL),
            Some(Ok(count)) if (1..=PAGE_MAX).contains(&count) => Ok(count),
            Some(_) => Err(Problem::parameter("limit", format!("is not a whole number from 1 to {PAGE_MAX}"))),
        }
    }

    /// After what to go on.
    pub(super) fn cursor<T: FromStr>(&self) -> Result<Option<T>, Problem> {
        let read = |text: &str| text.parse().map_err(|_| Problem::parameter("after", "is not `next` of a page before"));
        self.parameter_text("after").map(read).transpose()
    }

    /// Whose things it is about: everything that its author reaches, or of that the one tenant that it names.
    pub(super) async fn scope(&self) -> Result<Scope, Problem> {
        let scope = self.by.signed_in.scope();
        let Some(text) = self.parameter_text("tenant") else { return Ok(scope) };
        let tenant: TenantId = text.parse().map_err(|_| Problem::not_found())?;
        let narrowed = scope.narrowed(tenant).ok_or_else(Problem::not_found)?;
        if self.tenant_of_file(tenant).is_none() {
            self.ports.store.tenant(&narrowed, tenant).await?;
        }
        Ok(narrowed)
    }

    /// The tenant that something is made for: of an operator the one that the request names.
    pub(super) async fn tenant_for_new(&self) -> Result<TenantId, Problem> {
        let scope = self.scope().await?;
        scope.tenant().ok_or_else(|| Problem::parameter("tenant", "is missing: an operator says for which tenant"))
    }

    /// Whether what stands in the store is what the request means; its revision for the store to look at again.
    pub(super) fn expect(&self, newest: Revision) -> Result<Revision, Problem> {
        if self.seen.contains(&newest) { Ok(newest) } else { Err(Problem::changed(newest)) }
    }

    /// The document or merge patch that it says.
    pub(super) fn document(&self) -> Table {
        match &self.body {
            Body::Json(table) => table.clone(),
            Body::Nothing | Body::Csv(_) => Table::default(),
        }
    }
}

/// The parameters of a query, each known and there once.
pub(super) fn read_query<'a>(
    query: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Result<Vec<(String, String)>, Problem> {
    let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the query cannot be read"))?
        .into_inner();
    for (at, (name, value)) in pairs.iter().enumerate() {
        if !known.clone().any(|known| known == name) {
            let known: Vec<_> = known.map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                format!("the query has a parameter that is not known: there are {known}"),
            ));
        }
        if pairs[..at].iter().any(|(before, _)| before == name) {
            return Err(Problem::parameter(name, "is there twice"));
        }
        if value.contains(char::is_control) || value.chars().count() > PARAMETER_CHARS_MAX {
            return Err(Problem::parameter(name, format!("is no line of at most {PARAMETER_CHARS_MAX} characters")));
        }
    }
    Ok(pairs)
}
