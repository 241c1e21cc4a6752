//! The Amazon side, step by step: what is entered in which console, with every value to copy.
//!
//! Invariant: what is entered here is settings of the integration like any other, judged as they are; a tick stays.

use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::{Value as Json, json};

use super::Outcome;
use super::answered::{status_of, text};
use super::copied::{Copied, address, route};
use super::frame::{Frame, file, shown};
use super::tenant::Tenant;
use super::told::Told;
use super::visit::{Page, Visit, led_on};
use crate::problem::Problem;
use crate::rest::{Inquiry, screen_pop_url};

#[derive(Template)]
#[template(path = "amazon_side.html")]
struct AmazonSidePage {
    frame: Frame,
    tenant: Tenant,
    integration: String,
    name: String,
    told: Option<Told>,
    may_change: bool,
    applied: String,
    /// Whether all nodes serve it: until then the page asks again by itself.
    is_applied: bool,
    /// The path of this page.
    here: String,
    route: Vec<Copied>,
    /// Whether the Amazon side can be written as code: it is known where calls go.
    has_code: bool,
    blocks: Vec<Block>,
    steps: Vec<Step>,
    revision: String,
    /// Whether the flow can be written: its parts are known.
    has_flow: bool,
    voice_connector_arn: String,
    /// The kinds of connector that there are, and whether it is the chosen one.
    connectors: Vec<Connector>,
    queue_arn: String,
    access_url: String,
}

/// A kind of connector.
struct Connector {
    word: &'static str,
    name: &'static str,
    is_chosen: bool,
}

/// All of them, the usual one first.
const CONNECTORS: [(&str, &str); 2] = [
    ("ChimeConnector", "a Voice Connector of the Amazon Chime SDK"),
    ("CallTransferConnector", "an external voice transfer connector of Amazon Connect"),
];

/// A step that is ticked once it is done.
struct Step {
    word: &'static str,
    name: &'static str,
    is_done: bool,
}

/// All of them, in their order.
const STEPS: [(&str, &str); 4] = [
    ("voice_connector", "The Voice Connector is created, with its inbound route"),
    ("flow", "The contact flow is saved and published"),
    ("number", "A phone number is claimed and attached to the flow"),
    (
        "approved_origins",
        "The page of the Contact Control Panel is among the approved origins, if one of your own shows it",
    ),
];

/// A block of the contact flow.
struct Block {
    name: &'static str,
    does: &'static str,
    /// What is chosen in it, in words.
    says: Vec<&'static str>,
    values: Vec<Copied>,
}

/// A file of the Amazon side as code: REST's word for it, its media type and its name.
type Kind = (&'static str, &'static str, &'static str);

/// All of them, with the paths of their downloads.
const CODE: [(&str, Kind); 3] = [
    ("/tenants/{tenant}/integrations/{integration}/deployment/terraform", ("terraform", "text/plain", "bellhop.tf")),
    (
        "/tenants/{tenant}/integrations/{integration}/deployment/cloudformation",
        ("cloudformation", "application/yaml", "bellhop-cloudformation.yaml"),
    ),
    ("/tenants/{tenant}/integrations/{integration}/deployment/shell", ("shell", "text/x-shellscript", "bellhop.sh")),
];

pub(super) fn pages() -> Vec<Page> {
    let own = [
        Page::new("/tenants/{tenant}/integrations/{integration}/amazon", Role::Viewer, show).sends(send),
        Page::new("/tenants/{tenant}/integrations/{integration}/flow", Role::Viewer, download),
    ];
    own.into_iter()
        .chain(CODE.map(|(path, kind)| Page::new(path, Role::Viewer, move |visit| code(visit, kind))))
        .collect()
}

/// The flow as a file, to be imported.
async fn download(visit: Visit) -> Outcome {
    let tenant = Tenant::of(&visit).await?;
    let integration = integration_of(&visit, &tenant).await?;
    let of = format!("/integrations/{}/flow", text(&integration, "id"));
    let (target, name) = match visit.query("format") {
        "" => (of, "bellhop-flow.json"),
        _ => (format!("{of}?format=legacy"), "bellhop-flow-legacy.json"),
    };
    Ok(file(visit.fetch(Inquiry::get(target)).await?, "application/json", name))
}

/// All that the page says, as code, as a file.
async fn code(visit: Visit, (word, media_type, name): Kind) -> Outcome {
    let tenant = Tenant::of(&visit).await?;
    let integration = integration_of(&visit, &tenant).await?;
    let path = format!("/integrations/{}/deployment/{word}", text(&integration, "id"));
    Ok(file(visit.fetch(Inquiry::get(path)).await?, media_type, name))
}

async fn show(visit: Visit) -> Outcome {
    page(&visit, None).await
}

/// The integration that the path names, if calls come to it from Amazon Connect.
async fn integration_of(visit: &Visit, tenant: &Tenant) -> Result<Json, Problem> {
    let integration = tenant.own(visit, "integration").await?;
    if integration["settings"]["connect"].is_object() { Ok(integration) } else { Err(Problem::not_found()) }
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let tenant = Tenant::of(visit).await?;
    let integration = integration_of(visit, &tenant).await?;
    let (settings, form) = (&integration["settings"], &visit.form);
    let typed = |field: &str, kept: &Json| match problem.is_some() {
        true => form.line(field),
        false => kept.as_str().unwrap_or_default().to_owned(),
    };
    let is_done = |word: &str| match problem.is_some() {
        true => form.has(word),
        false => settings["flow"]["done"].as_array().is_some_and(|done| done.iter().any(|one| one == word)),
    };
    let step = |(word, name): (&'static str, &'static str)| Step { word, name, is_done: is_done(word) };
    let kind = typed("voice_connector_type", &settings["flow"]["voice_connector_type"]);
    let usual = |word: &str| kind.is_empty() && word == CONNECTORS[0].0;
    let connector = |(word, name)| Connector { word, name, is_chosen: kind == word || usual(word) };
    let serving = visit.get(format!("/integrations/{}/applied", text(&integration, "id"))).await?;
    let address = address(visit, settings["sip"]["server_name"].as_str().unwrap_or_default()).await?;
    let page = AmazonSidePage {
        has_code: address["host"].is_string(),
        frame: visit.frame(),
        told: visit.told(problem),
        may_change: visit.may(Role::Admin) && !tenant.from_file,
        applied: text(&serving["applied"], "told"),
        is_applied: serving["applied"]["by"] == serving["applied"]["of"],
        here: visit.path_below_root(),
        integration: text(&integration, "id"),
        name: text(&integration, "name"),
        route: route(&address),
        blocks: blocks(&screen_pop_url(visit.public_url())),
        revision: integration["revision"].to_string(),
        has_flow: settings["flow"]["voice_connector_arn"].is_string() && settings["flow"]["queue_arn"].is_string(),
        steps: STEPS.into_iter().map(step).collect(),
        voice_connector_arn: typed("voice_connector_arn", &settings["flow"]["voice_connector_arn"]),
        connectors: CONNECTORS.into_iter().map(connector).collect(),
        queue_arn: typed("queue_arn", &settings["flow"]["queue_arn"]),
        access_url: typed("access_url", &settings["frame_ancestors"][0]),
        tenant,
    };
    Ok(shown(status_of(problem), &page))
}

async fn send(visit: Visit) -> Outcome {
    let came = sent(&visit).await;
    led_on(&visit, came, |visit, problem| async move { page(visit, Some(&problem)).await }).await
}

async fn sent(visit: &Visit) -> Result<String, Problem> {
    let tenant = Tenant::of(visit).await?;
    let integration = integration_of(visit, &tenant).await?;
    let said = |field: &str| Some(visit.form.line(field)).filter(|text| !text.is_empty());
    let done: Vec<&str> = STEPS.into_iter().map(|(word, _)| word).filter(|word| visit.form.has(word)).collect();
    let origin = said("access_url").map(|url| origin_of(&url).to_owned());
    let texts = |value: &Json| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let (kept, is_ours) = (&integration["settings"], |word: &str| STEPS.into_iter().any(|(known, _)| known == word));
    let others = texts(&kept["flow"]["done"]).into_iter().filter(|word| !is_ours(word));
    let done: Vec<String> = done.into_iter().map(str::to_owned).chain(others).collect();
    // The first is shown; what stands behind it stays.
    let ancestors: Vec<String> =
        origin.into_iter().chain(texts(&kept["frame_ancestors"]).into_iter().skip(1)).collect();
    let settings = json!({
        "flow": {
            "voice_connector_arn": said("voice_connector_arn"),
            "voice_connector_type": said("voice_connector_type").filter(|word| word != CONNECTORS[0].0), "queue_arn": said("queue_arn"),
            "done": (!done.is_empty()).then_some(done),
        },
        "frame_ancestors": (!ancestors.is_empty()).then_some(ancestors),
    });
    let revision = visit.form.line("revision").parse().unwrap_or_default();
    let path = format!("/integrations/{}", text(&integration, "id"));
    visit.ask(Inquiry::patch(path, revision, json!({"settings": settings}))).await?;
    Ok(visit.kept())
}

/// A path of the console is no origin: what is pasted is cut to what is one.
pub(super) fn origin_of(url: &str) -> &str {
    url.match_indices('/').nth(2).map_or(url, |(at, _)| &url[..at])
}

/// The blocks of a flow in their order.
fn blocks(screen_pop_url: &str) -> Vec<Block> {
    let value = |id, name, value: &str| Copied { id, name, value: value.to_owned() };
    let key = "$.Attributes.SessionHistoryKey";
    vec![
        Block {
            name: "Transfer to phone number",
            does: "It connects the caller to the assistant",
            says: vec![
                "Transfer via: Voice Connector; Voice Connector ARN: Set manually, the ARN that the Chime console shows of yours",
                "To User: Use attribute, Type System, Attribute Dialed Number",
                "From User: Use attribute, Type System, Attribute Customer Number",
                "User to User Information (UUI): Use attribute, Type System, Attribute Instance ARN",
                "Set timeout: 60 seconds; Resume flow after disconnect: Yes",
            ],
            values: vec![],
        },
        Block {
            name: "Check contact attributes",
            does: "It tells whether the caller wants an agent",
            says: vec!["Attribute to check: Type User Defined; Condition: Contains"],
            values: vec![value("check", "Attribute", key), value("contains", "Contains", "hangup")],
        },
        Block {
            name: "Disconnect",
            does: "It ends the contact, where the condition is met",
            says: vec![],
            values: vec![],
        },
        Block {
            name: "Set contact attributes",
            does: "It has the agent's screen open the conversation, where it is not met",
            says: vec![
                "Two attributes of the type User Defined: the first by Use text, the second by Use attribute, User Defined",
            ],
            values: vec![
                value("pop", "screenPopURL", screen_pop_url),
                value("session-history-key", "sessionHistoryKey", key),
            ],
        },
        Block {
            name: "Set working queue, then Transfer to queue",
            does: "They carry the caller to an agent; every failure of the blocks above leads here too, so that nobody is lost",
            says: vec!["Choose the queue that your agents work on"],
            values: vec![],
        },
    ]
}
