//! *Phone number*: the numbers of an integration, one by one or by a list that replaces all of them.
//!
//! Invariant: a list changes nothing before it was looked at: what is sent is shown with its bad lines first, and carried out by a second
//! press of a button, if nobody was first.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::{Value, json};

use super::Outcome;
use super::answered::{list_of, status_of, text};
use super::frame::{Frame, shown};
use super::tenant::Tenant;
use super::told::Told;
use super::visit::{Page, Visit, led_on};
use crate::problem::Problem;
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "numbers.html")]
struct NumbersPage {
    frame: Frame,
    told: Option<Told>,
    tenant: Tenant,
    name: String,
    may_change: bool,
    is_connect: bool,
    /// The path of this page.
    here: String,
    numbers: Vec<Number>,
    has_more: bool,
    /// What was typed.
    number: String,
    description: String,
    rows: String,
    preview: Option<Preview>,
}

struct Number {
    id: String,
    revision: String,
    number: String,
    description: String,
    state: &'static str,
    /// Whether the page asks again by itself: of those that wait, the first few.
    is_watched: bool,
    /// The last call to one that waits, if it was refused: when and from where, why, and what to do.
    refused: Option<[String; 3]>,
}

const WAITING: &str = "waiting for the first call";

/// Most numbers that a page watches.
const WATCHED_MAX: usize = 3;

/// What a list would change.
struct Preview {
    seen: String,
    told: Vec<String>,
    bad: Vec<String>,
    more_bad: u64,
}

pub(super) fn pages() -> Vec<Page> {
    vec![Page::new("/tenants/{tenant}/integrations/{integration}/numbers", Role::Viewer, show).sends(send)]
}

async fn show(visit: Visit) -> Outcome {
    page(&visit, None, None).await
}

async fn page(visit: &Visit, problem: Option<&Problem>, preview: Option<Preview>) -> Outcome {
    let tenant = Tenant::of(visit).await?;
    let integration = tenant.own(visit, "integration").await?;
    let of = text(&integration, "id");
    let listed = visit.get(format!("/numbers?tenant={}&integration={of}&limit=200", tenant.id)).await?;
    let own = list_of(&listed).iter();
    let (form, is_sent) = (&visit.form, problem.is_some());
    let typed = |field: &str| if is_sent { form.text(field).to_owned() } else { String::new() };
    let refusals = visit.get(format!("/refusals?tenant={}&limit=100", tenant.id)).await?;
    let mut numbers: Vec<Number> = own.map(|number| Number::of(number, list_of(&refusals))).collect();
    numbers
        .iter_mut()
        .filter(|number| number.is_watched)
        .skip(WATCHED_MAX)
        .for_each(|number| number.is_watched = false);
    let page = NumbersPage {
        here: visit.path_below_root(),
        frame: visit.frame(),
        told: visit.told(problem),
        is_connect: integration["settings"]["connect"].is_object(),
        may_change: visit.may(Role::Admin) && !tenant.from_file,
        numbers,
        has_more: listed["next"].is_string(),
        number: typed("number"),
        description: typed("description"),
        rows: if is_sent || preview.is_some() { form.text("rows").to_owned() } else { String::new() },
        name: text(&integration, "name"),
        preview,
        tenant,
    };
    Ok(shown(status_of(problem), &page))
}

impl Number {
    fn of(number: &Value, refusals: &[Value]) -> Self {
        let state = match (number["from_file"] == true, number["first_call_at"].is_string()) {
            (true, _) => "from the file",
            (_, true) => "working",
            (_, false) => WAITING,
        };
        let last = refusals.iter().find(|refusal| refusal["number"] == number["number"]);
        let refused = last.filter(|_| state == WAITING).map(|refusal| {
            let came = format!("A call from {} at {} was refused", text(refusal, "source"), text(refusal, "at"));
            [came, text(refusal, "why"), text(refusal, "what_to_do")]
        });
        Self {
            refused,
            id: text(number, "id"),
            revision: number["revision"].to_string(),
            number: text(number, "number"),
            description: text(number, "description"),
            is_watched: state == WAITING,
            state,
        }
    }
}

impl Preview {
    fn of(import: &Value) -> Self {
        let counted = |key: &str, word: &str| {
            let first: Vec<&str> =
                import[key]["first"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let named = if first.is_empty() { String::new() } else { format!(": {}", first.join(", ")) };
            format!("{} {word}{named}", import[key]["count"])
        };
        let bad = import["bad"].as_array().into_iter().flatten();
        let bad: Vec<String> = bad.map(|line| format!("line {} {}", line["line"], text(line, "why"))).collect();
        Self {
            seen: import["seen"].to_string(),
            told: vec![counted("added", "are added"), counted("kept", "stay"), counted("removed", "are removed")],
            more_bad: import["bad_count"].as_u64().unwrap_or_default().saturating_sub(bad.len() as u64),
            bad,
        }
    }
}

async fn send(visit: Visit) -> Outcome {
    let own = Tenant::of(&visit).await?.own(&visit, "integration").await?;
    let form = &visit.form;
    let here = visit.path_below_root();
    let integration = visit.name("integration").to_owned();
    let import = |more: &str| {
        Inquiry::post_csv(
            format!("/numbers/import?integration={integration}{more}"),
            form.text("rows").as_bytes().to_vec(),
        )
    };
    let sent = match form.text("do") {
        "preview" => match visit.ask(import("")).await {
            Ok(previewed) => return page(&visit, None, Some(Preview::of(&previewed))).await,
            Err(problem) => Err(problem),
        },
        "replace" => {
            let seen: i64 = form.line("seen").parse().unwrap_or_default();
            visit.ask(import(&format!("&commit=true&seen={seen}"))).await
        }
        "delete" if visit.get(format!("/numbers/{}", form.line("id"))).await?["integration"] != own["id"] => {
            Err(Problem::not_found())
        }
        "delete" => {
            let seen = form.line("revision").parse().unwrap_or_default();
            visit.ask(Inquiry::delete(format!("/numbers/{}", form.line("id")), seen)).await
        }
        _ => {
            let body = json!({
                "number": form.line("number"), "description": form.line("description"), "integration": integration,
            });
            visit.ask(Inquiry::post_json(format!("/numbers?tenant={}", visit.name("tenant")), body)).await
        }
    };
    let sent = sent.map(|_| here);
    led_on(&visit, sent, |visit, problem| async move { page(visit, Some(&problem), None).await }).await
}
