//! What parameters of any block name: references, and ARNs of one instance, account and Region.
//!
//! Invariant: every text of every parameter is looked at, in blocks that are not known here too.

use serde_json::Value;

use super::super::path;
use super::super::reading::shortened;
use super::super::{Action, ActionType, Flow};
use super::{Code, Findings, Known};
use crate::InstanceArn;

pub(super) fn check(flow: &Flow, known: &Known, findings: &mut Findings) {
    let home = Home::of(flow, known);
    for action in &flow.actions {
        for (name, value) in &action.parameters {
            each_text(name, value, &mut |at, text| {
                references(action, at, text, findings);
                arn(action, at, text, home.as_ref(), findings);
            });
        }
        real_time(action, findings);
    }
}

/// Tells every text in a value, with where it stands.
fn each_text(at: &str, value: &Value, tell: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => tell(at, text),
        Value::Array(list) => list.iter().for_each(|value| each_text(at, value, tell)),
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| each_text(&format!("{at}.{name}"), value, tell));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn references(action: &Action, at: &str, text: &str, findings: &mut Findings) {
    for (root, ..) in path::references(text).filter(|(root, ..)| !path::ROOTS.contains(root)) {
        findings.field(
            Code::ReferenceUnknown,
            action,
            at,
            format!("has a reference to {}, which nothing is", shortened(root)),
        );
    }
}

/// Whose flow it is.
struct Home<'a> {
    region: &'a str,
    account: &'a str,
    /// None of a flow that names no instance.
    instance_id: Option<&'a str>,
}

impl<'a> Home<'a> {
    /// The tenant's instance; where it is not known the first that the flow names, for all to be of one.
    fn of(flow: &'a Flow, known: &'a Known) -> Option<Self> {
        if let Some(InstanceArn { region, account, instance_id, .. }) = &known.instance {
            return Some(Self { region, account, instance_id: Some(instance_id) });
        }
        let mut texts = vec![];
        for action in &flow.actions {
            action.parameters.values().for_each(|value| gather(value, &mut texts));
        }
        let arns = || texts.iter().filter_map(|text| Arn::read(text).ok().flatten());
        let instance = arns().find(|arn| arn.service == "connect" && arn.instance_id().is_some());
        let first = instance.or_else(|| arns().find(|arn| !arn.account.is_empty()))?;
        Some(Self { region: first.region, account: first.account, instance_id: first.instance_id() })
    }
}

fn gather<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(list) => list.iter().for_each(|value| gather(value, texts)),
        Value::Object(object) => object.values().for_each(|value| gather(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An ARN of what flows name.
struct Arn<'a> {
    service: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Nothing of a text that is none; an error of one that should be.
    fn read(text: &'a str) -> Result<Option<Self>, ()> {
        let text = text.trim();
        if !text.starts_with("arn:") {
            return Ok(None);
        }
        let pieces: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = pieces[..] else { return Err(()) };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        // Amazon's own things, prompts of S3 for example, name neither.
        let is_whole = !["connect", "chime"].contains(&service) || (is_account && !region.is_empty());
        match partition.starts_with("aws") && !service.is_empty() && is_whole && !resource.is_empty() {
            true => Ok(Some(Self { service, region, account, resource })),
            false => Err(()),
        }
    }

    fn instance_id(&self) -> Option<&'a str> {
        let id = self.resource.strip_prefix("instance/")?.split('/').next()?;
        (self.service == "connect" && !id.is_empty()).then_some(id)
    }
}

/// What an ARN has to be in the parameters that hold one.
const SHAPES: [(&str, &str, &str); 3] = [
    ("VoiceConnector.VoiceConnectorArn", "chime", "vc/"),
    ("QueueId", "connect", "instance/"),
    ("LambdaFunctionARN", "lambda", "function:"),
];

fn arn(action: &Action, at: &str, text: &str, home: Option<&Home<'_>>, findings: &mut Findings) {
    let shape = SHAPES.iter().find(|(known, ..)| *known == at);
    let read = match (Arn::read(text), shape) {
        (Ok(Some(arn)), Some((_, service, resource)))
            if arn.service != *service || !arn.resource.starts_with(resource) =>
        {
            Err(())
        }
        // A queue may be named by its identifier alone, and anything by a reference.
        (Ok(None), Some((name, ..))) if *name != "QueueId" && path::references(text).next().is_none() => Err(()),
        (read, _) => read,
    };
    let (told, arn) = (
        shortened(text),
        match read {
            Ok(Some(arn)) => arn,
            Ok(None) => return,
            Err(()) => {
                return findings.field(Code::ArnMalformed, action, at, format!("`{}` is no such ARN", shortened(text)));
            }
        },
    );
    let Some(home) = home else { return };
    let foreign = |what: &str, own: &str| format!("`{told}` is of another {what} than {own}");
    let is_contact_centre = ["connect", "chime"].contains(&arn.service);
    if is_contact_centre && arn.account != home.account {
        return findings.field(Code::ArnForeign, action, at, foreign("account", home.account));
    }
    if !arn.region.is_empty() && arn.region != home.region {
        return findings.field(Code::ArnForeign, action, at, foreign("Region", home.region));
    }
    if let Some((id, own)) = arn.instance_id().zip(home.instance_id)
        && !id.eq_ignore_ascii_case(own)
    {
        findings.field(Code::ArnForeign, action, at, foreign("instance", own));
    }
}

/// Analytics while the call is up.
fn real_time(action: &Action, findings: &mut Findings) {
    let records = match &action.action_type {
        ActionType::UpdateContactRecordingBehavior => true,
        ActionType::Other(_, name) => name == "UpdateContactRecordingAndAnalyticsBehavior",
        _ => false,
    };
    let mut is_real_time = false;
    for (name, value) in action.parameters.iter().filter(|_| records) {
        each_text(name, value, &mut |at, text| is_real_time |= at.ends_with(".AnalyticsModes") && text == "RealTime");
    }
    if is_real_time {
        findings.block(Code::RealTimeAnalytics, action, "calls are analysed in real time");
    }
}
