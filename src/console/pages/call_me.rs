//! *Call me*: dial now, and watch the call arrive, or what became of it.
//!
//! Invariant: the page asks again by itself for [`WATCHED_FOR`] at most, and while nothing has come to an end; a moment in its address that is
//! older begins anew.

use std::time::{Duration, SystemTime};

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;
use jiff::Timestamp;
use serde_json::Value;

use super::Outcome;
use super::answered::{list_of, text};
use super::frame::{Frame, shown};
use super::mend::{Link, Mending};
use super::refusals::moment;
use super::tenant::Tenant;
use super::visit::{Page, Visit};
use crate::errors::{ENDED, REFUSED};

/// How long a page asks again by itself.
const WATCHED_FOR: Duration = Duration::from_secs(300);
/// Numbers that are shown to be dialled.
const NUMBERS_SHOWN: u32 = 20;

#[derive(Template)]
#[template(path = "call_me.html")]
struct CallMePage {
    frame: Frame,
    tenant: Tenant,
    numbers: Vec<Number>,
    /// Where the watch begins.
    begin: String,
    watch: Option<Watch>,
}

/// A number to dial.
struct Number {
    number: String,
    description: String,
}

/// What is watched.
struct Watch {
    since: String,
    /// This page again, while it asks by itself.
    again: Option<String>,
    arrivals: Vec<Arrival>,
}

/// Something that came.
struct Arrival {
    /// Its place, so that a link keeps the focus when the page asks again.
    n: usize,
    at: String,
    told: String,
    /// Whether it is under way.
    is_up: bool,
    is_good: bool,
    why: String,
    what_to_do: String,
    word: String,
    entry: Option<String>,
    /// The call's page.
    call: Option<String>,
    mend: Option<Link>,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new("/tenants/{tenant}/refusals/call-me", Role::Viewer, show)]
}

fn now_unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

async fn show(visit: Visit) -> Outcome {
    let tenant = Tenant::of(&visit).await?;
    let listed = visit.get(format!("/numbers?tenant={}&limit={NUMBERS_SHOWN}", tenant.id)).await?;
    let number = |one: &Value| Number { number: text(one, "number"), description: text(one, "description") };
    let (now, here) = (now_unix_ms(), visit.path_below_root());
    if !visit.query("dial").is_empty() {
        return Ok(visit.see_other(&format!("{here}?since={now}")));
    }
    let watched = i64::try_from(WATCHED_FOR.as_millis()).unwrap_or(i64::MAX);
    // What is no moment of the last minutes is no watch: nobody waits for a call of last week.
    let since = visit.query("since").parse::<i64>().ok().filter(|since| (0..=2 * watched).contains(&(now - since)));
    let watch = match since {
        None => None,
        Some(since) => {
            let arrivals = arrivals(&visit, &tenant, since).await?;
            let is_over = arrivals.iter().any(|arrival| !arrival.is_up);
            let is_watched = !is_over && now - since < watched;
            Some(Watch { since: told_at(since), again: is_watched.then(|| format!("{here}?since={since}")), arrivals })
        }
    };
    let page = CallMePage {
        frame: visit.frame(),
        numbers: list_of(&listed).iter().map(number).collect(),
        begin: format!("{here}?dial=now"),
        watch,
        tenant,
    };
    Ok(shown(StatusCode::OK, &page))
}

fn told_at(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).unwrap_or_default().strftime("%H:%M:%S").to_string()
}

async fn arrivals(visit: &Visit, tenant: &Tenant, since: i64) -> Result<Vec<Arrival>, crate::problem::Problem> {
    let at = Timestamp::from_millisecond(since).unwrap_or_default();
    let came = visit.get(format!("/arrivals?tenant={}&since={at}", tenant.id)).await?;
    if list_of(&came).is_empty() {
        return Ok(vec![]);
    }
    let mending = Mending::of(visit, &tenant.id).await?;
    Ok(list_of(&came).iter().enumerate().map(|(n, came)| Arrival::of(n, came, tenant, &mending)).collect())
}

impl Arrival {
    fn of(n: usize, came: &Value, tenant: &Tenant, mending: &Mending) -> Self {
        let (number, word, state) = (text(came, "number"), text(came, "reason"), text(came, "state"));
        let to = if number.is_empty() { "to no number".to_owned() } else { format!("to {number}") };
        let is_failed = state == "over" && !["caller_hung_up", "assistant_ended", "handed_off"].contains(&&*word);
        let (told, mend) = match state.as_str() {
            "refused" => {
                let source = text(came, "source");
                (format!("A call {to} came from {source} and was refused"), mending.refusal(&word, &number))
            }
            "up" => (format!("A call of {} {to} is up", text(came, "caller")), None),
            _ => {
                let mend = is_failed.then(|| mending.failure(&word, &number)).flatten();
                (format!("A call of {} {to} came, and is over", text(came, "caller")), mend)
            }
        };
        let is_refused = state == "refused";
        Self {
            n,
            at: moment(came, "at"),
            told,
            is_up: state == "up",
            is_good: !is_refused && !is_failed,
            why: text(came, "why"),
            what_to_do: if is_refused || is_failed { text(came, "what_to_do") } else { String::new() },
            entry: if is_refused { REFUSED.path(&word) } else { ENDED.path(&word) },
            call: came["call"].as_str().map(|call| format!("/tenants/{}/calls/{call}", tenant.id)),
            word,
            mend,
        }
    }
}
