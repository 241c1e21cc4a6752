//! *Connect to your Amazon Connect account*: the instance, and a key or a role that may write what a hand-off writes.
//!
//! Invariant: a secret that is kept is never shown; *Next* leads on only from what was tested and found valid, as it is.

use actix_web::http::StatusCode;
use askama::Template;
use serde_json::{Value, json};

use super::super::Outcome;
use super::super::amazon_side::origin_of;
use super::super::answered::{status_of, text};
use super::super::frame::{Frame, shown};
use super::super::told::Told;
use super::super::visit::{Visit, led_on};
use super::{Draft, Listed, Step};
use crate::errors::CONNECTION;
use crate::problem::{Fault, Problem};
use crate::rest::Inquiry;

#[derive(Template)]
#[template(path = "wizard/account.html")]
struct AccountPage {
    frame: Frame,
    told: Option<Told>,
    steps: Vec<Listed>,
    back: String,
    instance_arn: String,
    is_by_role: bool,
    role_arn: String,
    /// Of a VPC endpoint, where there is one.
    endpoint_url: String,
    external_id: String,
    has_key: bool,
    /// What the key or role has to be allowed.
    policy: String,
    /// What the role has to trust.
    trust: String,
    tested: Option<Tested>,
    draft: Draft,
}

/// What came of the last test.
struct Tested {
    is_valid: bool,
    told: String,
    remedy: Option<String>,
    /// Its entry in what can go wrong.
    entry: Option<String>,
}

pub(super) async fn show(visit: Visit) -> Outcome {
    page(&visit, None).await
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let draft = Draft::of(visit).await?;
    let typed = |field: &str, kept: String| if visit.form.has(field) { visit.form.line(field) } else { kept };
    let instance_arn = typed("instance_arn", draft.text("connect", "instance_arn"));
    let resource =
        if instance_arn.is_empty() { "arn:aws:connect:REGION:ACCOUNT:instance/INSTANCE_ID" } else { &instance_arn };
    let external_id = external_id(&draft);
    let tested = draft.tested.is_object().then(|| Tested {
        is_valid: draft.is_valid(),
        told: text(&draft.tested, "told"),
        remedy: draft.tested["remedy"].as_str().map(str::to_owned),
        entry: draft.tested["cause"].as_str().and_then(|cause| CONNECTION.path(cause)),
    });
    let page = AccountPage {
        frame: visit.frame(),
        told: visit.told(problem),
        steps: draft.steps(Step::Account),
        back: draft.beside(Step::Account).0,
        is_by_role: match visit.form.text("by") {
            "role" => true,
            "key" => false,
            _ => !draft.text("connect", "role_arn").is_empty(),
        },
        role_arn: typed("role_arn", draft.text("connect", "role_arn")),
        endpoint_url: typed("endpoint_url", draft.text("connect", "endpoint_url")),
        has_key: draft.has_secret("connect.secret_access_key") && draft.has_secret("connect.access_key_id"),
        policy: pretty(&json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "connect:UpdateContactAttributes", "Resource": format!("{resource}/contact/*"),
        }]})),
        trust: pretty(&json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": "what whoever runs this server tells you"},
            "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
        }]})),
        instance_arn,
        external_id,
        tested,
        draft,
    };
    Ok(shown(status_of(problem), &page))
}

fn pretty(policy: &Value) -> String {
    serde_json::to_string_pretty(policy).unwrap_or_default()
}

/// Made by us and of this tenant alone, so that nobody has us act on somebody else's role.
fn external_id(draft: &Draft) -> String {
    format!("bellhop-{}", draft.tenant.id)
}

pub(super) async fn send(visit: Visit) -> Outcome {
    let came = sent(&visit).await;
    led_on(&visit, came, |visit, problem| async move { page(visit, Some(&problem)).await }).await
}

async fn sent(visit: &Visit) -> Result<String, Problem> {
    let (draft, form) = (Draft::of(visit).await?, &visit.form);
    let is_other = !form.line("access_key_id").is_empty()
        || !form.line("secret_access_key").is_empty()
        || ["instance_arn", "endpoint_url"].into_iter().any(|key| form.line(key) != draft.text("connect", key))
        || (form.text("by") == "role") == draft.text("connect", "role_arn").is_empty()
        || (form.text("by") == "role" && form.line("role_arn") != draft.text("connect", "role_arn"));
    if form.text("do") == "next" {
        if is_other || !draft.is_valid() {
            let why =
                "test the connection first: what was tested last is not valid, or is another than what stands here";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why));
        }
        return Ok(draft.beside(Step::Account).1.unwrap_or_default());
    }
    let connect = said(&draft, form)?;
    let draft = draft.says(visit, json!({"connect": connect})).await?;
    let came = visit.ask(Inquiry::post(format!("/drafts/{}/test-connection", draft.id))).await?;
    let path = draft.path(Step::Account);
    if let (Some(url), true) = (came["access_url"].as_str(), draft.settings["frame_ancestors"].is_null()) {
        // What the instance says of itself is no mistake of who sets it up: the page of the Amazon side asks for it then.
        let told = draft.says(visit, json!({"frame_ancestors": [origin_of(url)]})).await;
        drop(told);
    }
    Ok(path)
}

/// What the form says of the account. A key that is kept stays where none is typed; of a key both parts are typed, or none.
fn said(draft: &Draft, form: &super::super::form::Form) -> Result<Value, Problem> {
    let instance_arn = form.line("instance_arn");
    let endpoint_url = Some(form.line("endpoint_url")).filter(|url| !url.is_empty());
    if form.text("by") == "role" {
        let (nothing, external_id) = (Value::Null, external_id(draft));
        return Ok(json!({
            "instance_arn": instance_arn, "endpoint_url": endpoint_url, "role_arn": form.line("role_arn"), "external_id": external_id,
            "access_key_id": nothing, "secret_access_key": nothing,
        }));
    }
    let (id, secret) = (form.line("access_key_id"), form.line("secret_access_key"));
    let mut connect = json!({
        "instance_arn": instance_arn, "endpoint_url": endpoint_url, "role_arn": null, "external_id": null,
    });
    match (id.is_empty(), secret.is_empty()) {
        (true, true) if draft.has_secret("connect.secret_access_key") => {}
        (false, false) => {
            connect["access_key_id"] = id.into();
            connect["secret_access_key"] = secret.into();
        }
        _ => {
            let why = "enter both, the Access Key ID and the Access Key secret";
            let lacks = if id.is_empty() { "access_key_id" } else { "secret_access_key" };
            return Err(Problem::faults(vec![Fault::at(format!("#/settings/connect/{lacks}"), why)]));
        }
    }
    Ok(connect)
}
