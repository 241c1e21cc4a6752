//! *What can go wrong*: `docs/errors.md` as a page, to whose entries other pages link.
//!
//! Invariant: it shows the table that the file is made of, so that a link leads to an entry or is not made ([`errors::Kind::path`]).

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;

use super::Outcome;
use super::frame::{Frame, shown};
use super::visit::{Page, Visit};
use crate::errors::{self, Entry, Kind};

#[derive(Template)]
#[template(path = "errors.html")]
struct ErrorsPage {
    frame: Frame,
    kinds: Vec<ShownKind>,
}

/// Things that go wrong in one place.
struct ShownKind {
    name: &'static str,
    title: &'static str,
    about: Vec<Span>,
    entries: Vec<ShownEntry>,
}

/// Something that goes wrong.
struct ShownEntry {
    anchor: String,
    word: &'static str,
    title: &'static str,
    means: Vec<Span>,
    cause: Vec<Span>,
    remedy: Vec<Span>,
}

/// A part of a text, as it is shown.
enum Span {
    Plain(&'static str),
    Code(&'static str),
    Emphasis(&'static str),
}

/// A text of an entry in its parts: what stands between backquotes is code, what stands between asterisks is emphasized.
fn spans(text: &'static str) -> Vec<Span> {
    let mut spans = vec![];
    for (n, part) in text.split('`').enumerate() {
        if n % 2 == 1 {
            spans.push(Span::Code(part));
            continue;
        }
        let parts = part.split('*').enumerate().filter(|(_, part)| !part.is_empty());
        spans.extend(parts.map(|(n, part)| if n % 2 == 1 { Span::Emphasis(part) } else { Span::Plain(part) }));
    }
    spans
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new("/docs/errors", Role::Agent, show)]
}

async fn show(visit: Visit) -> Outcome {
    let kinds = errors::ALL.into_iter().map(ShownKind::of).collect();
    Ok(shown(StatusCode::OK, &ErrorsPage { frame: visit.frame(), kinds }))
}

impl ShownKind {
    fn of(kind: &'static Kind) -> Self {
        let entry = |entry: &'static Entry| ShownEntry {
            anchor: kind.anchor(entry.word),
            word: entry.word,
            title: entry.title,
            means: spans(entry.means),
            cause: spans(entry.cause),
            remedy: spans(entry.remedy),
        };
        Self {
            name: kind.name,
            title: kind.title,
            about: spans(kind.about),
            entries: kind.entries.iter().map(entry).collect(),
        }
    }
}
