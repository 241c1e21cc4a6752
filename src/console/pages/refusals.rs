//! *Refusals*: calls that were refused, and calls that broke off: what came, what was asked, what was wrong, what to change.
//!
//! Invariant: what a stranger sent is text and nothing else; numbers of nobody are shown to operators alone.

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::Value;

use super::Outcome;
use super::answered::{list_of, text};
use super::frame::{Frame, shown};
use super::mend::{Link, Mending};
use super::tenant::Tenant;
use super::visit::{Page, Visit};
use crate::errors::{ENDED, REFUSED};
use crate::problem::Problem;

/// How many refusals are on a page.
const ON_A_PAGE: u32 = 50;
/// Calls that broke off, the latest of them.
const FAILED: &str = "/calls?reason=failed&limit=100";

#[derive(Template)]
#[template(path = "refusals.html")]
struct RefusalsPage {
    frame: Frame,
    heading: String,
    /// Whose they are; none of what operators see of all.
    tenant: Option<String>,
    /// Whether those of nobody alone are shown.
    of_nobody: bool,
    refused: Vec<Refused>,
    next: Option<String>,
    failed: Vec<Failed>,
}

struct Refused {
    at: String,
    first_at: String,
    count: u64,
    number: String,
    source: String,
    transport: String,
    server_name: String,
    status: String,
    word: String,
    why: String,
    what_to_do: String,
    /// Its entry in what can go wrong.
    entry: Option<String>,
    mend: Option<Link>,
}

struct Failed {
    at: String,
    caller: String,
    number: String,
    seconds: String,
    tenant: String,
    word: String,
    why: String,
    what_to_do: String,
    details: String,
    entry: Option<String>,
    /// The call's page.
    call: Option<String>,
    mend: Option<Link>,
}

pub(super) fn pages() -> Vec<Page> {
    vec![
        Page::new("/tenants/{tenant}/refusals", Role::Viewer, of_tenant),
        Page::new("/refusals", Role::Operator, of_all),
    ]
}

fn after(visit: &Visit) -> String {
    let after: String = form_urlencoded::byte_serialize(visit.query("after").as_bytes()).collect();
    if after.is_empty() { after } else { format!("&after={after}") }
}

async fn of_tenant(visit: Visit) -> Outcome {
    let tenant = Tenant::of(&visit).await?;
    let mending = Mending::of(&visit, &tenant.id).await?;
    let of = format!("&tenant={}", tenant.id);
    let refused = visit.get(format!("/refusals?limit={ON_A_PAGE}{of}{}", after(&visit))).await?;
    let failed = visit.get(format!("{FAILED}{of}")).await?;
    let refusal = |refusal: &Value| {
        let mend = mending.refusal(&text(refusal, "reason"), &text(refusal, "number"));
        Refused::of(refusal, mend)
    };
    let failure = |failed: &Value| {
        let mend = mending.failure(&text(failed, "cause"), &text(failed, "dialled"));
        let call = format!("/tenants/{}/calls/{}", tenant.id, text(failed, "id"));
        Failed { call: Some(call), mend, ..Failed::of(failed) }
    };
    let page = RefusalsPage {
        frame: visit.frame(),
        heading: format!("Refused and failed calls of {}", tenant.title),
        of_nobody: false,
        refused: list_of(&refused).iter().map(refusal).collect(),
        next: refused["next"].as_str().map(|next| format!("/tenants/{}/refusals?after={next}", tenant.id)),
        failed: list_of(&failed).iter().map(failure).collect(),
        tenant: Some(tenant.id),
    };
    Ok(shown(StatusCode::OK, &page))
}

async fn of_all(visit: Visit) -> Outcome {
    let of_nobody = visit.query("of") == "nobody";
    let narrowed = if of_nobody { "&nobody=true" } else { "" };
    let refused = visit.get(format!("/refusals?limit={ON_A_PAGE}{narrowed}{}", after(&visit))).await?;
    let failed = if of_nobody { vec![] } else { failures_of_all(&visit).await? };
    let refusal = |refusal: &Value| {
        let tenants = refusal["tenants"].as_array().map_or(&[][..], Vec::as_slice);
        let one = match tenants {
            [] => Some(("The tenants", "/tenants".to_owned())),
            [one, ..] => one.as_str().map(|one| ("The tenant's own", format!("/tenants/{one}/refusals"))),
        };
        Refused::of(refusal, one)
    };
    let more = if of_nobody { "of=nobody&" } else { "" };
    let page = RefusalsPage {
        frame: visit.frame(),
        heading: match of_nobody {
            true => "Refused calls for numbers of nobody".to_owned(),
            false => "Refused and failed calls of all tenants".to_owned(),
        },
        tenant: None,
        of_nobody,
        refused: list_of(&refused).iter().map(refusal).collect(),
        next: refused["next"].as_str().map(|next| format!("/refusals?{more}after={next}")),
        failed,
    };
    Ok(shown(StatusCode::OK, &page))
}

async fn failures_of_all(visit: &Visit) -> Result<Vec<Failed>, Problem> {
    Ok(list_of(&visit.get(FAILED).await?).iter().map(Failed::of).collect())
}

impl Refused {
    fn of(refusal: &Value, mend: Option<Link>) -> Self {
        let word = text(refusal, "reason");
        Self {
            at: moment(refusal, "at"),
            first_at: moment(refusal, "first_at"),
            count: refusal["count"].as_u64().unwrap_or(1),
            number: text(refusal, "number"),
            source: text(refusal, "source"),
            transport: text(refusal, "transport"),
            server_name: text(refusal, "server_name"),
            status: refusal["status"].to_string(),
            entry: REFUSED.path(&word),
            why: text(refusal, "why"),
            what_to_do: text(refusal, "what_to_do"),
            word,
            mend,
        }
    }
}

impl Failed {
    fn of(failed: &Value) -> Self {
        let word = text(failed, "cause");
        Self {
            at: moment(failed, "began_at"),
            caller: text(failed, "caller"),
            number: text(failed, "dialled"),
            seconds: format!("{:.1}", failed["milliseconds"].as_f64().unwrap_or_default() / 1000.0),
            tenant: text(failed, "tenant"),
            why: text(failed, "why"),
            what_to_do: text(failed, "what_to_do"),
            details: text(failed, "failure"),
            entry: ENDED.path(&word),
            word,
            call: None,
            mend: None,
        }
    }
}

/// A time as people read it, in UTC.
pub(super) fn moment(value: &Value, key: &str) -> String {
    let at = value[key].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    at.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
