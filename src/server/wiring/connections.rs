//! From what a document says of Amazon Connect to the connection that is opened and tested.
//!
//! Invariant: what keeps a connection from being one is told by its path with every reading, in the same words whoever
//! asks; a role is assumed with the key that its document names, or with the node's.

use bellhop_adapters::reach::Reach;
use bellhop_connect::Connection;
use bellhop_connect::arn::MalformedArn;
use bellhop_connect::connection::{AccessKey, AssumedRole, Identity, session_name};
use bellhop_tenancy::settings::{AwsKey, ConnectCredentials, ConnectSettings, Mistake};

use crate::config::Aws;
use crate::engines::Whose;

/// The connection of a tenant to its instance; none where its calls come from elsewhere. Every mistake is told by its path.
pub(crate) fn connection(Whose { settings, reach }: Whose<'_>, node: &Aws) -> Result<Option<Connection>, Vec<Mistake>> {
    let Some(connect) = &settings.connect else { return Ok(None) };
    let malformed = |error: MalformedArn| vec![Mistake::of_value("connect.instance_arn", error.to_string())];
    let instance = connect.instance_arn.parse().map_err(malformed)?;
    let identity = identity(connect, &settings.name, node)?;
    let private_networks = reach == Reach::Everywhere;
    Ok(Some(Connection { instance, identity, endpoint_url: connect.endpoint_url.clone(), private_networks }))
}

/// Who we are to it.
pub(super) fn identity(connect: &ConnectSettings, tenant: &str, node: &Aws) -> Result<Identity, Vec<Mistake>> {
    let (role_arn, external_id, caller) = match &connect.credentials {
        ConnectCredentials::Keys(key) => return Ok(Identity::Key(access_key(key))),
        ConnectCredentials::Role { role_arn, external_id, caller } => (role_arn, external_id, caller),
    };
    let mut mistakes = vec![];
    // One that is missing has been told with the reading.
    let arn = role_arn.parse().map_err(|error: bellhop_connect::arn::MalformedRoleArn| {
        if !role_arn.is_empty() {
            mistakes.push(Mistake::of_value("connect.role_arn", error.to_string()));
        }
    });
    let caller = caller.as_ref().or(node.key.as_ref());
    if caller.is_none() {
        let why = "a key must assume it: add aws.access_key_id and aws.secret_access_key for the whole server, or connect.access_key_id and connect.secret_access_key for this tenant";
        mistakes.push(Mistake::of_value("connect.role_arn", why));
    }
    let (Ok(arn), Some(caller)) = (arn, caller) else { return Err(mistakes) };
    Ok(Identity::Role(AssumedRole {
        arn,
        external_id: external_id.clone(),
        session_name: session_name(tenant),
        caller: access_key(caller),
        sts_region: node.region.clone(),
        sts_endpoint_url: node.sts_endpoint_url.clone(),
    }))
}

fn access_key(key: &AwsKey) -> AccessKey {
    AccessKey { id: key.access_key_id.expose().to_owned(), secret: key.secret_access_key.expose().to_owned() }
}
