//! *Calls*: those that are up and those that are over, in one list.
//!
//! Invariant: what the filter says stays as one goes to older calls; a page's title names nobody.

mod moments;
mod one;
mod pictures;
mod spans;

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;
use form_urlencoded::Serializer;
use serde_json::Value;

use super::Outcome;
use super::answered::{list_of, status_of, text};
use super::frame::{Frame, shown};
use super::tenant::Tenant;
use super::told::Told;
use super::visit::{Page, Visit};
use crate::problem::Problem;
use moments::{length, moment};

/// How many are on a page.
const PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "calls/list.html")]
struct CallsPage {
    frame: Frame,
    told: Option<Told>,
    tenant: Tenant,
    filter: Filter,
    endings: [(&'static str, &'static str); 5],
    /// This page with its filter; it asks again by itself while it shows the newest calls.
    here: String,
    is_first: bool,
    lines: Vec<Line>,
    /// Where older ones are.
    older: Option<String>,
}

/// Ways to end, as the record has them, and what people call them.
const ENDINGS: [(&str, &str); 5] = [
    ("", "in any way"),
    ("assistant_transfer", "handed over or transferred"),
    ("assistant_hangup", "by the assistant"),
    ("caller_hangup", "by the caller"),
    ("failed", "failed, or was ended by the server"),
];

/// What calls are looked for by, as it was typed.
struct Filter {
    number: String,
    reason: String,
    from: String,
    until: String,
    longer_than: String,
    words: String,
}

/// A call in the list.
struct Line {
    /// Where it is shown; nothing while it begins.
    path: Option<String>,
    /// Tells it from others in the page.
    id: String,
    is_up: bool,
    began: String,
    caller: String,
    dialled: String,
    length: String,
    why: String,
    details: String,
}

pub(super) fn pages() -> Vec<Page> {
    let mut pages = vec![Page::new("/tenants/{tenant}/calls", Role::Viewer, list)];
    pages.extend(one::pages());
    pages
}

impl Filter {
    fn of(visit: &Visit) -> Self {
        let field = |name: &str| visit.query(name).trim().to_owned();
        Self {
            number: field("number"),
            reason: field("reason"),
            from: field("from"),
            until: field("until"),
            longer_than: field("longer_than"),
            words: field("words"),
        }
    }

    fn fields(&self) -> [(&'static str, &str); 6] {
        [
            ("number", &self.number),
            ("reason", &self.reason),
            ("from", &self.from),
            ("until", &self.until),
            ("longer_than", &self.longer_than),
            ("words", &self.words),
        ]
    }

    /// As a query, of those that say something and are among these.
    fn query(&self, among: &[&str], as_written: impl Fn(&str, &str) -> String) -> String {
        let mut query = Serializer::new(String::new());
        for (name, text) in self.fields().into_iter().filter(|(name, text)| among.contains(name) && !text.is_empty()) {
            query.append_pair(name, &as_written(name, text));
        }
        query.finish()
    }

    /// That of a page.
    fn of_page(&self) -> String {
        let all = self.fields().map(|(name, _)| name);
        self.query(&all, |_, text| text.to_owned())
    }

    /// That of REST.
    fn of_rest(&self, among: &[&str]) -> String {
        self.query(among, |name, text| if ["from", "until"].contains(&name) { in_utc(text) } else { text.to_owned() })
    }
}

/// A time as a field of a browser gives it, in UTC as REST takes it; what is none is left for REST to refuse.
fn in_utc(text: &str) -> String {
    match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

/// What is to be known of a failure beside its sentence; nothing where the record has the ending's label alone.
fn failure(ended: &Value) -> String {
    if ended["failure"] == ended["ending"] { String::new() } else { text(ended, "failure") }
}

async fn list(visit: Visit) -> Outcome {
    let (tenant, filter) = (Tenant::of(&visit).await?, Filter::of(&visit));
    match found(&visit, &tenant, &filter).await {
        Ok((lines, older)) => page(&visit, tenant, filter, None, (lines, older)),
        Err(problem) if problem.status() == StatusCode::BAD_REQUEST => {
            page(&visit, tenant, filter, Some(&problem), (vec![], None))
        }
        Err(problem) => Err(problem),
    }
}

/// The calls that the filter lets through, and after what older ones come.
async fn found(visit: &Visit, tenant: &Tenant, filter: &Filter) -> Result<(Vec<Line>, Option<String>), Problem> {
    let after: String = form_urlencoded::byte_serialize(visit.query("after").as_bytes()).collect();
    let after = if after.is_empty() { after } else { format!("&after={after}") };
    let of_all = filter.of_rest(&filter.fields().map(|(name, _)| name));
    let over = visit.get(format!("/calls?tenant={}&limit={PAGE}{after}&{of_all}", tenant.id)).await?;
    let mut lines = vec![];
    // How a call ends that is up is not known.
    if after.is_empty() && filter.reason.is_empty() && filter.words.is_empty() {
        let of_live = filter.of_rest(&["number", "from", "until", "longer_than"]);
        let up = visit.get(format!("/calls/live?tenant={}&{of_live}", tenant.id)).await?;
        lines.extend(list_of(&up).iter().map(|call| Line::up(tenant, call)));
    }
    // One that ended between both questions is shown as what it is by now.
    lines.retain(|line| !list_of(&over).iter().any(|call| call["id"] == line.id.as_str()));
    lines.extend(list_of(&over).iter().map(|call| Line::over(tenant, call)));
    Ok((lines, over["next"].as_str().map(str::to_owned)))
}

fn page(
    visit: &Visit,
    tenant: Tenant,
    filter: Filter,
    problem: Option<&Problem>,
    (lines, older): (Vec<Line>, Option<String>),
) -> Outcome {
    let (path, query) = (visit.path_below_root(), filter.of_page());
    let with = |query: &str| if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
    let older = older.map(|after| {
        let after: String = form_urlencoded::byte_serialize(after.as_bytes()).collect();
        with(format!("{query}&after={after}").trim_start_matches('&'))
    });
    let page = CallsPage {
        frame: visit.frame(),
        told: problem.map(Told::from),
        tenant,
        endings: ENDINGS,
        here: with(&query),
        is_first: visit.query("after").is_empty() && problem.is_none(),
        filter,
        lines,
        older,
    };
    Ok(shown(status_of(problem), &page))
}

impl Line {
    fn up(tenant: &Tenant, call: &Value) -> Self {
        let session = call["session"].as_str();
        Self {
            path: session.map(|session| format!("/tenants/{}/calls/{session}", tenant.id)),
            id: session.map_or_else(|| text(call, "id"), str::to_owned),
            is_up: true,
            began: moment(&text(call, "began_at")),
            caller: text(call, "caller"),
            dialled: text(call, "dialled"),
            length: String::new(),
            why: String::new(),
            details: String::new(),
        }
    }

    fn over(tenant: &Tenant, call: &Value) -> Self {
        Self {
            path: Some(format!("/tenants/{}/calls/{}", tenant.id, text(call, "id"))),
            id: text(call, "id"),
            is_up: false,
            began: moment(&text(call, "began_at")),
            caller: text(call, "caller"),
            dialled: text(call, "dialled"),
            length: length(call["milliseconds"].as_u64().unwrap_or_default()),
            why: text(call, "why"),
            details: failure(call),
        }
    }
}
