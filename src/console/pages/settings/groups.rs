//! Fields that say who somebody is: blank once they are kept, and entered all together or not at all.
//!
//! Invariant: whoever changes one of a group enters all of it again, so no secret that is kept goes to a place that was entered later; a
//! connection to Amazon Connect is tested with what was entered before it takes the place of the one that is kept.

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};

use super::super::answered::text;
use super::super::form::Form;
use super::super::tabs::Group;
use super::super::visit::Visit;
use super::field::at;
use crate::problem::{Fault, Problem};
use crate::rest::Inquiry;

/// A group as it is shown.
pub(super) struct ShownGroup {
    group: Group,
    /// What is kept, in sentences.
    pub(super) kept: Vec<String>,
    /// Whether something is kept that can be taken away.
    pub(super) can_go: bool,
    /// Whether the account is that of a role.
    pub(super) is_by_role: bool,
    /// What was typed of what is no secret.
    typed: Vec<(&'static str, String)>,
    /// Names of headers that were typed.
    pub(super) headers: Vec<String>,
}

/// Where the headers of a log webhook stand.
const HEADERS: &str = "records.webhook.headers";
/// The fields of a header.
const HEADER: [&str; 2] = ["header.name", "header.value"];
/// Fields for headers that are shown blank.
const HEADERS_SHOWN: usize = 3;

impl ShownGroup {
    pub(super) fn of(group: Group, integration: &Value, typed: Option<&Form>) -> Self {
        let (settings, shown) = (&integration["settings"], |path: &str| typed.map_or("", |form| form.text(path)));
        let open = [
            "connect.instance_arn",
            "connect.role_arn",
            "connect.endpoint_url",
            "sip.user",
            "sip.realm",
            "records.webhook.url",
        ];
        let mut headers: Vec<String> = typed.map(|form| form.all(HEADER[0])).unwrap_or_default();
        headers.resize(headers.len().max(HEADERS_SHOWN), String::new());
        let is_kept_by_role = at(settings, "connect.role_arn").is_string();
        Self {
            group,
            kept: kept(group, integration),
            can_go: group != Group::Account && !at(settings, group.section()).is_null(),
            is_by_role: typed.map_or(is_kept_by_role, |form| form.text("by") == "role"),
            typed: open.into_iter().map(|path| (path, shown(path).to_owned())).collect(),
            headers,
        }
    }

    pub(super) fn is_account(&self) -> bool {
        self.group == Group::Account
    }

    pub(super) fn is_login(&self) -> bool {
        self.group == Group::Login
    }

    pub(super) fn typed(&self, path: &str) -> &str {
        self.typed.iter().find(|(known, _)| *known == path).map_or("", |(_, text)| text)
    }
}

impl Group {
    /// What is there if the group is.
    fn section(self) -> &'static str {
        match self {
            Self::Account => "connect",
            Self::Login => "sip.user",
            Self::LogWebhook => "records.webhook",
        }
    }
}

/// The names of the headers that are kept.
fn headers_of(integration: &Value) -> Vec<String> {
    let secrets = integration["secrets"].as_array().into_iter().flatten();
    let prefix = format!("{HEADERS}.");
    secrets.filter_map(|secret| Some(secret["path"].as_str()?.strip_prefix(&prefix)?.to_owned())).collect()
}

/// What is kept of a group, without its secrets.
fn kept(group: Group, integration: &Value) -> Vec<String> {
    let said = |path: &str| at(&integration["settings"], path).as_str().unwrap_or_default().to_owned();
    let or_none = |told: String, path: &str, none: &str| if said(path).is_empty() { none.to_owned() } else { told };
    match group {
        Group::Account => {
            let secrets = integration["secrets"].as_array().into_iter().flatten();
            let mut key = secrets.filter(|secret| secret["path"] == "connect.access_key_id");
            let last = key.next().map(|secret| text(secret, "last_four")).unwrap_or_default();
            let role = said("connect.role_arn");
            let who = if role.is_empty() {
                format!("An access key whose ID ends in {last}.")
            } else {
                format!("The role {role}.")
            };
            let tested = text(&integration["tested"], "told");
            let tested =
                if tested.is_empty() { "Not tested as it is.".to_owned() } else { format!("Tested: {tested}.") };
            let endpoint = Some(said("connect.endpoint_url")).filter(|url| !url.is_empty());
            let endpoint = endpoint.map(|url| format!("It is asked at {url}."));
            let instance = format!("The instance {}.", said("connect.instance_arn"));
            [Some(instance), endpoint, Some(who), Some(tested)].into_iter().flatten().collect()
        }
        Group::Login => {
            let told = format!("Calls have to log in as the user {}.", said("sip.user"));
            vec![or_none(told, "sip.user", "Calls need no login.")]
        }
        Group::LogWebhook => {
            let told = format!("Events go to {}.", said("records.webhook.url"));
            let headers = headers_of(integration);
            let headers = (!headers.is_empty()).then(|| format!("Headers of your own: {}.", headers.join(", ")));
            let told = or_none(told, "records.webhook.url", "Nobody is told of calls.");
            [Some(told), headers].into_iter().flatten().collect()
        }
    }
}

/// What was entered of a group as a patch; nothing if nothing was.
pub(super) async fn entered(visit: &Visit, group: Group, integration: &Value) -> Result<Option<Value>, Problem> {
    let form = &visit.form;
    if form.has("take_away") {
        return Ok(Some(taken_away(group)));
    }
    let by_role = form.text("by") == "role";
    let needed: &[&str] = match (group, by_role) {
        (Group::Account, true) => &["connect.instance_arn", "connect.role_arn"],
        (Group::Account, false) => &["connect.instance_arn", "connect.access_key_id", "connect.secret_access_key"],
        (Group::Login, _) => &["sip.user", "sip.password"],
        (Group::LogWebhook, _) => &["records.webhook.url", "records.webhook.secret"],
    };
    let is_typed = |path: &&str| !form.line(path).is_empty();
    let has_headers = form.all(HEADER[0]).iter().chain(&form.all(HEADER[1])).any(|text| !text.trim().is_empty());
    let is_given = group.paths().iter().any(&is_typed) || group == Group::LogWebhook && has_headers;
    if !is_given {
        return Ok(None);
    }
    let lacks: Vec<Fault> = needed
        .iter()
        .filter(|path| !is_typed(path))
        .map(|path| Fault::at(pointer(path), "is entered too: these belong together, and what was kept is not shown"))
        .collect();
    if !lacks.is_empty() {
        return Err(Problem::faults(lacks));
    }
    Ok(Some(match group {
        Group::Account => json!({"connect": account(visit, by_role, integration).await?}),
        Group::Login => {
            let realm = Some(form.line("sip.realm")).filter(|realm| !realm.is_empty());
            json!({"sip": {"user": form.line("sip.user"), "password": form.text("sip.password"), "realm": realm}})
        }
        Group::LogWebhook => {
            let (url, secret) = (form.line("records.webhook.url"), form.text("records.webhook.secret"));
            json!({"records": {"webhook": {"url": url, "secret": secret, "headers": headers(form, integration)?}}})
        }
    }))
}

fn taken_away(group: Group) -> Value {
    match group {
        Group::Account => json!({}),
        Group::Login => json!({"sip": {"user": null, "password": null, "realm": null}}),
        Group::LogWebhook => json!({"records": {"webhook": null}}),
    }
}

fn pointer(path: &str) -> String {
    format!("#/settings/{}", path.replace('.', "/"))
}

/// Those that are kept go: their values were for another place. Of those that were typed each has a name and a value.
fn headers(form: &Form, integration: &Value) -> Result<Value, Problem> {
    let mut headers: Map<String, Value> = headers_of(integration).into_iter().map(|name| (name, Value::Null)).collect();
    for (name, value) in form.all(HEADER[0]).iter().zip(form.all(HEADER[1])) {
        match (name.trim(), value.trim()) {
            ("", "") => {}
            ("", _) | (_, "") => {
                let why = "a header has a name and a value: enter both, or none of them";
                return Err(Problem::faults(vec![Fault::at("#/header.name", why)]));
            }
            (name, value) => {
                headers.insert(name.to_owned(), value.into());
            }
        }
    }
    Ok(if headers.is_empty() { Value::Null } else { Value::Object(headers) })
}

/// The section `connect` as it was entered, if hand-offs would be let through with it.
async fn account(visit: &Visit, by_role: bool, integration: &Value) -> Result<Value, Problem> {
    let (form, id) = (&visit.form, text(integration, "id"));
    let mut connect = json!({"instance_arn": form.line("connect.instance_arn")});
    let given: Vec<(&str, Value)> = match by_role {
        true => vec![
            ("role_arn", form.line("connect.role_arn").into()),
            // Made by us and of this tenant alone, so that nobody has us act on somebody else's role.
            ("external_id", format!("bellhop-{}", text(integration, "tenant")).into()),
        ],
        false => vec![
            ("access_key_id", form.line("connect.access_key_id").into()),
            ("secret_access_key", form.line("connect.secret_access_key").into()),
        ],
    };
    let endpoint = form.line("connect.endpoint_url");
    given.into_iter().for_each(|(key, value)| connect[key] = value);
    if !endpoint.is_empty() {
        connect["endpoint_url"] = endpoint.into();
    }
    let body = json!({"connect": connect});
    let tried = visit.ask(Inquiry::post_json(format!("/integrations/{id}/try-connection"), body)).await?;
    if tried["valid"] != true {
        let told = text(&tried, "told");
        let remedy = tried["remedy"].as_str().unwrap_or("check your credentials and enter each again");
        let why = format!("it was tried and is not kept: {}: {remedy}", told.trim_start_matches("invalid: "));
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("Invalid: {why}")));
    }
    // What is not said of it is taken away.
    for key in ["access_key_id", "secret_access_key", "role_arn", "external_id", "endpoint_url"] {
        if connect[key].is_null() {
            connect[key] = Value::Null;
        }
    }
    Ok(connect)
}
