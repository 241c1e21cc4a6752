//! `integrations/{id}/flow`: the contact flow of an integration, to be imported into Amazon Connect.

use actix_web::http::StatusCode;
use bellhop_connect::flow::{Flow, Format, Parts, VoiceConnectorType};
use bellhop_tenancy::access::Role;
use bellhop_tenancy::settings::{Table, Value};
use bellhop_tenancy::store::KeptKind;

use super::asked::Asked;
use super::given::{Given, Text};
use super::route::{Outcome, Parameter, Route};
use crate::problem::{Fault, Problem};

/// Where agents see the conversation, of `http.public_url`: without its last `=`, as the page of agents puts it there.
pub(crate) fn screen_pop_url(public_url: &str) -> String {
    format!("{public_url}/loadAgentAppFrame.html?session_history_key")
}

pub(super) fn routes() -> Vec<Route> {
    let flow = Route::get(
        "/integrations/{id}/flow",
        Role::Viewer,
        "Writes the contact flow of an integration: import it into an inbound flow",
        flow,
    );
    vec![flow.with(FORMAT).gives_text("application/json").may(StatusCode::UNPROCESSABLE_ENTITY)]
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

async fn flow(asked: Asked) -> Outcome {
    let screen_pop_url = screen_pop_url(&asked.ports.public_url);
    let format = asked.parameter::<Format>("format")?.unwrap_or(Format::Language);
    let (connector, parts) = match asked.integration_of_file()? {
        Some(of_file) => parts(&of_file.says.written().document, screen_pop_url)?,
        None => {
            let scope = asked.by.signed_in.scope();
            let kept = asked.ports.store.document(&scope, KeptKind::Integration, asked.id()?).await?;
            parts(&kept.document, screen_pop_url)?
        }
    };
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
