//! An answer as those who answer make it.
//!
//! Invariant: an entity tag names one representation: where a representation shows more than its resource (what nodes have applied),
//! the tag has a mark of it beside the revision, and `If-Match` asks for the revision alone (`conditions.rs`).

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use bellhop_tenancy::id::Id;
use bellhop_tenancy::store::{Listed, Revision};
use futures_util::stream::LocalBoxStream;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// An answer that all went well.
pub(super) struct Given {
    /// Its status.
    pub status: StatusCode,
    /// The tag of what it shows.
    pub etag: Option<String>,
    /// Where what was made stands, below `/api/v1`.
    pub location: Option<String>,
    /// What it says.
    pub body: Said,
}

/// What an answer says.
pub(super) enum Said {
    /// Nothing.
    Nothing,
    /// JSON.
    Json(String),
    /// Something else.
    Text(Text),
    /// A part of something, or all of it, as it is read.
    Part(Part),
    /// What comes from now on: `text/event-stream`.
    Events(LocalBoxStream<'static, Result<Bytes, actix_web::Error>>),
}

/// Something that is no JSON.
pub(super) struct Text {
    /// Its media type.
    pub media_type: String,
    /// What a browser calls the file that it keeps it in; none if it shows it.
    pub file: Option<&'static str>,
    /// What it may load (`Content-Security-Policy`); nothing if nothing is said.
    pub policy: Option<&'static str>,
    /// Itself.
    pub bytes: Vec<u8>,
}

/// A part of something that is no JSON and may be long.
pub(super) struct Part {
    /// Its media type.
    pub media_type: &'static str,
    /// The bytes of the whole.
    pub of: u64,
    /// From the first byte that was asked for to behind the last; none if no part was asked for.
    pub wanted: Option<(u64, u64)>,
    /// Itself.
    pub pieces: LocalBoxStream<'static, Result<Bytes, actix_web::Error>>,
}

/// One page of a list, as it is written.
#[derive(Serialize)]
struct ListBody<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl Given {
    /// Something.
    pub(super) fn one(body: &impl Serialize) -> Self {
        Self { status: StatusCode::OK, etag: None, location: None, body: Said::Json(json(body)) }
    }

    /// Something that was made and stands under an address from now on.
    pub(super) fn made(place: &str, id: impl std::fmt::Display, body: &impl Serialize) -> Self {
        Self { status: StatusCode::CREATED, location: Some(format!("{place}/{id}")), ..Self::one(body) }
    }

    /// A page of a list.
    pub(super) fn page<T, B: Serialize>(listed: Listed<T>, show: impl FnMut(T) -> B) -> Self {
        let next = listed.next.map(|id: Id| id.to_string());
        Self::list(listed.items.into_iter().map(show).collect(), next)
    }

    /// A list, and after what it goes on.
    pub(super) fn list<B: Serialize>(items: Vec<B>, next: Option<String>) -> Self {
        Self::one(&ListBody { items, next })
    }

    /// Nothing but that it was done.
    pub(super) fn done() -> Self {
        Self { status: StatusCode::NO_CONTENT, etag: None, location: None, body: Said::Nothing }
    }

    /// Something that is no JSON.
    pub(super) fn text(text: Text) -> Self {
        Self { status: StatusCode::OK, etag: None, location: None, body: Said::Text(text) }
    }

    /// A part of something.
    pub(super) fn part(part: Part) -> Self {
        let status = if part.wanted.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        Self { status, etag: None, location: None, body: Said::Part(part) }
    }

    /// It stands elsewhere, below `/api/v1`.
    pub(super) fn elsewhere(place: &str) -> Self {
        Self { status: StatusCode::TEMPORARY_REDIRECT, location: Some(place.to_owned()), ..Self::done() }
    }

    /// What comes from now on.
    pub(super) fn events(events: LocalBoxStream<'static, Result<Bytes, actix_web::Error>>) -> Self {
        Self { status: StatusCode::OK, etag: None, location: None, body: Said::Events(events) }
    }

    /// It shows a revision, and nothing else that changes.
    pub(super) fn tagged(mut self, revision: Revision) -> Self {
        self.etag = Some(format!("\"{revision}\""));
        self
    }

    /// It shows a revision, and more that changes by itself.
    pub(super) fn tagged_with_all(mut self, revision: Revision) -> Self {
        let Said::Json(text) = &self.body else { return self };
        let mark: String = Sha256::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        self.etag = Some(format!("\"{revision}-{mark}\""));
        self
    }
}

fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("keys are texts, and values are of JSON's kinds")
}
