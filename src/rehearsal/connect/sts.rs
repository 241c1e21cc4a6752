//! AssumeRole of the stand-in for STS: the query protocol, answered in XML (STS API reference, version 2011-06-15).
//!
//! Invariant: whether a role is not there, does not trust the caller, or expects another external id is answered alike.

use std::collections::BTreeMap;
use std::time::SystemTime;

use actix_web::web::Query;

use super::access::{Access, No};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(super) fn assume_role(access: &mut Access, caller: &str, body: &[u8], now: SystemTime) -> Result<String, No> {
    let invalid = |why: &str| (400, "ValidationError", why.to_owned());
    let text = std::str::from_utf8(body).map_err(|_| invalid("not UTF-8"))?;
    let form = Query::<BTreeMap<String, String>>::from_query(text).map_err(|_| invalid("not a form"))?;
    let field = |name: &str| form.get(name).map(String::as_str);
    if (field("Action"), field("Version")) != (Some("AssumeRole"), Some("2011-06-15")) {
        return Err((400, "InvalidAction", "only AssumeRole is rehearsed".to_owned()));
    }
    let plain = |text: &str, more: &str| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) || more.contains(c))
    };
    let name = field("RoleSessionName").filter(|name| (2..=64).contains(&name.len()) && plain(name, ""));
    let name = name.ok_or_else(|| invalid("RoleSessionName is missing or malformed"))?;
    let external_id = field("ExternalId");
    if external_id.is_some_and(|id| !(2..=1224).contains(&id.len()) || !plain(id, ":/")) {
        return Err(invalid("ExternalId is malformed"));
    }
    let role = field("RoleArn").ok_or_else(|| invalid("RoleArn is missing"))?;
    let Some(session) = access.assume(caller, role, external_id, name, now) else {
        let who = access.arn_of(caller);
        let why = format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {role}");
        return Err((403, "AccessDenied", why));
    };
    let ends = jiff::Timestamp::try_from(session.ends).map(|ends| ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let ends = ends.map_err(|_| invalid("the session ends beyond all time"))?;
    Ok(format!(
        "<AssumeRoleResponse xmlns=\"{NAMESPACE}\"><AssumeRoleResult><AssumedRoleUser>\
         <AssumedRoleId>AROATEST:{name}</AssumedRoleId><Arn>{role}/{name}</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
         <Expiration>{ends}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
        session.key.id, session.key.secret, session.token
    ))
}

/// A refusal.
pub(super) fn error(kind: &str, why: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{kind}</Code><Message>{why}</Message>\
         </Error><RequestId>rehearsed</RequestId></ErrorResponse>"
    )
}
