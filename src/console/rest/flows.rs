//! `integrations/{id}/flow`: the contact flow of an integration, to be imported into Amazon Connect, and what is wrong with any other.
//!
//! Invariant: a flow that is checked is kept nowhere.

use actix_web::http::StatusCode;
use bellhop_connect::flow::check::Level;
use bellhop_connect::flow::{self, Finding, Flow, Format, Known, Parts, VoiceConnectorType, screen_pop_url};
use bellhop_tenancy::access::Role;
use bellhop_tenancy::settings::{Table, Value, json};
use bellhop_tenancy::store::KeptKind;
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::asked::Asked;
use super::given::{Given, Text};
use super::route::{Outcome, Parameter, Route};
use crate::problem::{Fault, Problem};

/// What a check of a flow found.
#[derive(Serialize, ToSchema)]
struct CheckedFlow {
    /// Whether nothing is a problem; advice is none.
    good: bool,
    /// All that was found, in the order of the blocks: 500 at most.
    findings: Vec<Found>,
}

/// Something that is wrong with a flow.
#[derive(Serialize, ToSchema)]
struct Found {
    /// A word for it that stays the same.
    code: &'static str,
    /// `problem` or `advice`
    level: &'static str,
    /// The identifier of the block; null of what is wrong with the whole flow.
    block: Option<String>,
    /// What Amazon Connect's console calls such a block.
    block_name: Option<String>,
    /// The parameter or branch of the block.
    field: Option<String>,
    /// What is wrong with it.
    told: String,
    /// What to do about it.
    remedy: &'static str,
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Self {
        let remedy = finding.remedy();
        let Finding { code, level, block, field, told } = finding;
        let (block, block_name) = block.map(|block| (block.identifier, block.name)).unzip();
        Self { code: code.word(), level: level.word(), block, block_name, field, told, remedy }
    }
}

/// A contact flow, as it is exported or imported.
struct ContactFlow;

impl PartialSchema for ContactFlow {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::Object(ObjectBuilder::new().build()))
    }
}

impl ToSchema for ContactFlow {}

pub(super) fn routes() -> Vec<Route> {
    let flow = Route::get(
        "/integrations/{id}/flow",
        Role::Viewer,
        "Writes the contact flow of an integration: import it into an inbound flow",
        written,
    );
    let check = Route::post(
        "/integrations/{id}/flow/check",
        Role::Viewer,
        "Tells everything that is wrong with a contact flow, of either format, for an integration",
        check,
    );
    vec![
        flow.with(FORMAT).gives_text("application/json").may(StatusCode::UNPROCESSABLE_ENTITY),
        check.takes::<ContactFlow>().gives::<CheckedFlow>().tries(),
    ]
}

/// What an integration says, of the store or of the file.
async fn document(asked: &Asked) -> Result<Table, Problem> {
    if let Some(of_file) = asked.integration_of_file()? {
        return Ok(of_file.says.written().document.clone());
    }
    let scope = asked.by.signed_in.scope();
    Ok(asked.ports.store.document(&scope, KeptKind::Integration, asked.id()?).await?.document)
}

async fn check(asked: Asked) -> Outcome {
    let document = document(&asked).await?;
    let instance = match document.get("connect") {
        Some(Value::Table(connect)) => match connect.get("instance_arn") {
            Some(Value::Text(arn)) => arn.parse().ok(),
            _ => None,
        },
        _ => None,
    };
    let known = Known { instance, screen_pop_url: Some(screen_pop_url(&asked.ports.public_url)) };
    let read = flow::read(&json::write(&asked.document())).map_err(|unreadable| {
        let block = unreadable.block.map(|block| format!("of block {block} ")).unwrap_or_default();
        Problem::faults(vec![Fault::at(format!("#{}", unreadable.pointer), format!("{block}{}", unreadable.what))])
    })?;
    let findings: Vec<Finding> = flow::validate(&read, &known);
    let good = findings.iter().all(|finding| finding.level != Level::Problem);
    Ok(Given::one(&CheckedFlow { good, findings: findings.into_iter().map(Found::from).collect() }))
}

/// `?format=` of a flow.
const FORMAT: Parameter = Parameter {
    name: "format",
    says: "`2019-10-30`, which it is if it is left out: what the API, Terraform, CloudFormation and today's consoles take; or `legacy`: what older consoles export.",
    required: false,
};

fn file_name(format: Format) -> &'static str {
    match format {
        Format::Language => "bellhop-flow.json",
        Format::Legacy => "bellhop-flow-legacy.json",
    }
}

async fn written(asked: Asked) -> Outcome {
    let screen_pop_url = screen_pop_url(&asked.ports.public_url);
    let format = asked.parameter::<Format>("format")?.unwrap_or(Format::Language);
    let (connector, parts) = parts(&document(&asked).await?, screen_pop_url)?;
    let flow = Flow::handing_over_by(connector, &parts).written(format).map_err(|_| Problem::internal())?;
    let bytes = serde_json::to_vec_pretty(&flow).map_err(|_| Problem::internal())?;
    let media_type = "application/json".to_owned();
    Ok(Given::text(Text { media_type, file: Some(file_name(format)), policy: None, bytes }))
}

/// What the flow is made of; every part that is missing is told at once.
fn parts(document: &Table, screen_pop_url: String) -> Result<(VoiceConnectorType, Parts), Problem> {
    let part = |key: &str| match document.get("flow") {
        Some(Value::Table(flow)) => match flow.get(key) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    let (connector, queue) = (part("voice_connector_arn"), part("queue_arn"));
    let missing = |key: &str, is: &Option<String>| {
        let at = format!("#/settings/flow/{key}");
        is.is_none().then(|| Fault::at(at, "is missing: the flow is made with it"))
    };
    let faults = [missing("voice_connector_arn", &connector), missing("queue_arn", &queue)];
    match connector.zip(queue) {
        Some((voice_connector_arn, queue_arn)) => {
            let connector = part("voice_connector_type").and_then(|word| word.parse().ok()).unwrap_or_default();
            Ok((connector, Parts { voice_connector_arn, queue_arn, screen_pop_url }))
        }
        None => Err(Problem::faults(faults.into_iter().flatten().collect())),
    }
}
