//! The settings of an integration: a tab for each group of them, and which assistant and services it uses.
//!
//! Invariant: what is set here is settings of the integration like any other, judged as they are; what was typed is shown again until it is
//! kept, but for secrets.

mod field;
mod groups;
mod services;
mod whole;

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::{Value, json};

use super::Outcome;
use super::answered::{status_of, text};
use super::frame::{Frame, shown};
use super::tabs::{Group, TABS, Tab};
use super::tenant::Tenant;
use super::told::Told;
use super::visit::{Page, Visit, led_on};
use crate::problem::Problem;
use crate::rest::Inquiry;
use field::{Control, Shown};
use groups::ShownGroup;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    told: Option<Told>,
    of: Of,
    title: &'static str,
    help: &'static str,
    fields: Vec<Shown>,
    group: Option<ShownGroup>,
    /// What came of the test event that was sent just now, and whether it arrived.
    tried: Option<(bool, String)>,
}

/// Whose settings these are, and what stands around every tab of them.
struct Of {
    integration: String,
    tenant: String,
    name: String,
    revision: String,
    may_change: bool,
    from_file: bool,
    is_connect: bool,
    tabs: Vec<Link>,
}

/// A tab to go to.
struct Link {
    name: &'static str,
    path: String,
    is_here: bool,
}

pub(super) fn pages() -> Vec<Page> {
    let tab = |tab: &'static Tab| {
        Page::new(tab.path, Role::Viewer, move |visit| async move { page(&visit, tab, None, None).await })
            .sends(move |visit| send(visit, tab))
    };
    let first = Page::new("/tenants/{tenant}/integrations/{integration}/settings", Role::Viewer, first);
    TABS.iter().map(tab).chain([first]).chain(services::pages()).chain(whole::pages()).collect()
}

/// To the first tab.
async fn first(visit: Visit) -> Outcome {
    let own = Tenant::of(&visit).await?.own(&visit, "integration").await?;
    let of = Of::read(&visit, &own);
    let first = of.tabs.first().map(|link| link.path.clone()).unwrap_or_default();
    Ok(visit.see_other(&first))
}

impl Of {
    fn read(visit: &Visit, integration: &Value) -> Self {
        let from_file = integration["from_file"] == true;
        let is_connect = integration["settings"]["connect"].is_object();
        let (tenant, id) = (text(integration, "tenant"), text(integration, "id"));
        let link = |name: &'static str, pattern: &str| {
            let path = pattern.replace("{tenant}", &tenant).replace("{integration}", &id);
            Link { name, is_here: visit.path_below_root() == path, path }
        };
        // What a file says of assistant and services is no list of documents.
        let [services, whole] = [(services::NAME, services::PATH), (whole::NAME, whole::PATH)]
            .map(|(name, path)| (!from_file).then(|| link(name, path)));
        let tabs = TABS.iter().filter(|tab| is_connect || tab.group != Some(Group::Account));
        let tabs = services.into_iter().chain(tabs.map(|tab| link(tab.name, tab.path))).chain(whole).collect();
        Self {
            name: text(integration, "name"),
            revision: integration["revision"].to_string(),
            may_change: visit.may(Role::Admin) && !from_file,
            integration: id,
            tenant,
            from_file,
            is_connect,
            tabs,
        }
    }

    /// Whoever was second sees what they typed, and sends it over what the first has kept.
    fn again(mut self, visit: &Visit, problem: Option<&Problem>) -> Self {
        if problem.is_some_and(|problem| problem.status() != StatusCode::PRECONDITION_FAILED) {
            self.revision = visit.form.line("revision");
        }
        self
    }
}

/// The integration that the path names, if it stands in the database: one of the file lists no documents, and is changed there.
async fn of_database(visit: &Visit) -> Result<Value, Problem> {
    let own = Tenant::of(visit).await?.own(visit, "integration").await?;
    if own["from_file"] == true { Err(Problem::not_found()) } else { Ok(own) }
}

async fn page(visit: &Visit, tab: &'static Tab, problem: Option<&Problem>, tried: Option<(bool, String)>) -> Outcome {
    let integration = Tenant::of(visit).await?.own(visit, "integration").await?;
    let typed = problem.map(|_| &visit.form);
    let page = SettingsPage {
        frame: visit.frame(),
        told: visit.told(problem),
        of: Of::read(visit, &integration).again(visit, problem),
        title: tab.name,
        help: tab.help,
        fields: tab.fields.iter().map(|field| Shown::of(field, &integration["settings"], typed)).collect(),
        group: tab.group.map(|group| ShownGroup::of(group, &integration, typed)),
        tried,
    };
    Ok(shown(status_of(problem), &page))
}

async fn send(visit: Visit, tab: &'static Tab) -> Outcome {
    if visit.form.text("do") == "try" && tab.group == Some(Group::LogWebhook) {
        return try_log_webhook(&visit, tab).await;
    }
    let came = sent(&visit, tab).await;
    led_on(&visit, came, |visit, problem| async move { page(visit, tab, Some(&problem), None).await }).await
}

/// A test event to who is told of calls, as it is kept.
async fn try_log_webhook(visit: &Visit, tab: &'static Tab) -> Outcome {
    let integration = Tenant::of(visit).await?.own(visit, "integration").await?;
    let path = format!("/integrations/{}/test-log-webhook", text(&integration, "id"));
    match visit.ask(Inquiry::post(path)).await {
        Ok(tried) => page(visit, tab, None, Some((tried["good"] == true, text(&tried, "told")))).await,
        Err(problem) if problem.status().is_client_error() => page(visit, tab, Some(&problem), None).await,
        Err(problem) => Err(problem),
    }
}

async fn sent(visit: &Visit, tab: &Tab) -> Result<String, Problem> {
    let integration = Tenant::of(visit).await?.own(visit, "integration").await?;
    let (settings, form) = (&integration["settings"], &visit.form);
    let entered = match tab.group {
        Some(group) => groups::entered(visit, group, &integration).await?,
        None => None,
    };
    let mut patch = json!({});
    let goes = form.has("take_away") && tab.group == Some(Group::LogWebhook);
    // Who is told of no call is told of no event.
    if !goes {
        tab.fields.iter().for_each(|field| field::typed(field, settings, form, &mut patch));
    }
    if let Some(entered) = &entered {
        join(&mut patch, entered);
    }
    let path = format!("/integrations/{}", text(&integration, "id"));
    let revision = form.line("revision").parse().unwrap_or_default();
    visit.ask(Inquiry::patch(path.clone(), revision, json!({"settings": patch}))).await?;
    if entered.is_some() && tab.group == Some(Group::Account) {
        // It was tried as it is now: should this not come to an end, the page says that it was not tested.
        let tested = visit.ask(Inquiry::post(format!("{path}/test-connection"))).await;
        drop(tested);
    }
    Ok(visit.kept())
}

/// Puts a patch into another.
fn join(patch: &mut Value, more: &Value) {
    match (patch, more) {
        (Value::Object(patch), Value::Object(more)) => {
            for (key, value) in more {
                join(patch.entry(key.clone()).or_insert_with(|| json!({})), value);
            }
        }
        (patch, more) => *patch = more.clone(),
    }
}
