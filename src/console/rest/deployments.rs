//! `integrations/{id}/deployment/…`: the Amazon side of an integration as code, to be run where somebody signs in to AWS.
//!
//! Invariant: nothing secret is in it; it asks for no key, as the integration has its own or a role.

use actix_web::http::StatusCode;
use bellhop_connect::InstanceArn;
use bellhop_connect::deployment::{Encryption, Tool, Values};
use bellhop_connect::flow::screen_pop_url;
use bellhop_tenancy::access::Role;
use bellhop_tenancy::settings::{Table, Value};
use bellhop_tenancy::store::KeptKind;

use super::asked::Asked;
use super::given::{Given, Text};
use super::route::{Outcome, Route};
use crate::problem::{Fault, Problem};

pub(super) fn routes() -> Vec<Route> {
    let route = |path, summary, tool: Tool| {
        let route = Route::get(path, Role::Viewer, summary, move |asked| deployment(asked, tool));
        route.gives_text(tool.media_type()).may(StatusCode::UNPROCESSABLE_ENTITY)
    };
    vec![
        route(
            "/integrations/{id}/deployment/terraform",
            "Writes the Amazon side of an integration as a configuration of Terraform",
            Tool::Terraform,
        ),
        route(
            "/integrations/{id}/deployment/cloudformation",
            "Writes the Amazon side of an integration as a template of CloudFormation",
            Tool::CloudFormation,
        ),
        route(
            "/integrations/{id}/deployment/shell",
            "Writes the Amazon side of an integration as a script of AWS commands",
            Tool::Shell,
        ),
    ]
}

async fn deployment(asked: Asked, tool: Tool) -> Outcome {
    let values = match asked.integration_of_file()? {
        Some(of_file) => values(&asked, of_file.name.clone(), &of_file.says.written().document)?,
        None => {
            let scope = asked.by.signed_in.scope();
            let kept = asked.ports.store.document(&scope, KeptKind::Integration, asked.id()?).await?;
            values(&asked, kept.name, &kept.document)?
        }
    };
    let (media_type, bytes) = (tool.media_type().to_owned(), tool.filled(&values).into_bytes());
    Ok(Given::text(Text { media_type, file: Some(tool.file_name()), policy: None, bytes }))
}

/// What the file is filled in with; of what is missing all is told at once.
fn values(asked: &Asked, integration: String, document: &Table) -> Result<Values, Problem> {
    let text = |section: &str, key: &str| match document.get(section) {
        Some(Value::Table(section)) => match section.get(key) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    };
    let instance_arn: Option<InstanceArn> = text("connect", "instance_arn").and_then(|arn| arn.parse().ok());
    let address = asked.ports.reached.sip_address();
    let arn = "is missing, or is none: the Amazon side is made for it";
    let host = "this server does not know what others call it: whoever runs it sets `sip.public_name`";
    match (instance_arn, address.host) {
        (Some(instance_arn), Some(sip_host)) => Ok(Values {
            integration,
            instance_arn,
            sip_host,
            sip_port: address.port,
            encryption: if address.is_encrypted { Encryption::On } else { Encryption::Off },
            screen_pop_url: screen_pop_url(&asked.ports.public_url),
            queue_arn: text("flow", "queue_arn"),
        }),
        (None, _) => Err(Problem::faults(vec![Fault::at("#/settings/connect/instance_arn", arn)])),
        (_, None) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, host)),
    }
}
