//! `flow`: what the contact flow on Amazon's side is made of, and how far it has been set up there. No call asks for it.
//!
//! Invariant: an ARN here has the shape of its kind; a queue is of the instance that `connect` names.

use super::section::Section;

/// What a contact flow is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowSettings {
    /// `voice_connector_arn`
    pub voice_connector_arn: Option<String>,
    /// `voice_connector_type`, by the name of the flow language: one of [`VOICE_CONNECTOR_TYPES`]
    pub voice_connector_type: Option<&'static str>,
    /// `queue_arn`
    pub queue_arn: Option<String>,
    /// `done`: the steps that somebody has ticked.
    pub done: Vec<String>,
}

/// Which kind of connector leads to us: one of the Amazon Chime SDK, the usual, or an external voice transfer connector.
pub const VOICE_CONNECTOR_TYPES: [&str; 2] = ["ChimeConnector", "CallTransferConnector"];
/// Most characters of the name of a step.
const STEP_CHARS_MAX: usize = 40;

pub(super) fn read(section: &Section<'_>) -> FlowSettings {
    let settings = FlowSettings {
        voice_connector_arn: read_arn(section, "voice_connector_arn", &["chime"], "vc/"),
        voice_connector_type: section
            .choice("voice_connector_type", &VOICE_CONNECTOR_TYPES)
            .and_then(|chosen| VOICE_CONNECTOR_TYPES.get(chosen).copied()),
        queue_arn: read_arn(section, "queue_arn", &["connect"], "instance/").filter(|arn| is_queue(section, arn)),
        done: section.list("done", step).unwrap_or_default(),
    };
    section.finish();
    settings
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE` of one of these services.
fn read_arn(section: &Section<'_>, key: &str, services: &[&str], resource: &str) -> Option<String> {
    let text = section.text(key)?;
    let pieces: Vec<&str> = text.splitn(6, ':').collect();
    let good = match pieces[..] {
        ["arn", partition, service, region, account, named] => {
            partition.starts_with("aws")
                && services.contains(&service)
                && !region.is_empty()
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
                && named.strip_prefix(resource).is_some_and(|rest| !rest.is_empty())
                && text.bytes().all(|b| b.is_ascii_graphic())
        }
        _ => false,
    };
    if !good {
        let service = services[0];
        section.mistake(key, &format!("`{text}` is not like \"arn:aws:{service}:REGION:ACCOUNT:{resource}…\""));
    }
    good.then_some(text)
}

fn is_queue(section: &Section<'_>, arn: &str) -> bool {
    let good = arn.split_once("/queue/").is_some_and(|(_, id)| !id.is_empty());
    if !good {
        section.mistake("queue_arn", &format!("`{arn}` is not that of a queue: it ends in /queue/ and the queue's id"));
    }
    good
}

fn step(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match plain && (1..=STEP_CHARS_MAX).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is not the name of a step: lower case letters and _, at most {STEP_CHARS_MAX}")),
    }
}

/// A queue is one of the instance that hand-offs go to.
pub(super) fn tell_of_instance(section: &Section<'_>, flow: &FlowSettings, instance_arn: Option<&str>) {
    let Some((queue, instance)) = flow.queue_arn.as_deref().zip(instance_arn.filter(|arn| !arn.is_empty())) else {
        return;
    };
    if queue.split("/queue/").next() != Some(instance) {
        section.mistake("flow.queue_arn", "is a queue of another instance than `connect.instance_arn`");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Alone, json, validate};

    fn told(flow: &str) -> Vec<String> {
        let connect = r#""connect": {"instance_arn": "arn:aws:connect:eu-west-2:111122223333:instance/a"}"#;
        let document = json::read(&format!("{{{connect}, \"flow\": {flow}}}")).expect("JSON");
        let mistakes = validate(&document, &Alone).into_iter();
        mistakes.filter(|mistake| mistake.path.starts_with("flow")).map(|mistake| mistake.to_string()).collect()
    }

    #[test]
    fn what_a_flow_is_made_of_has_the_shape_of_its_kind() {
        let queue = "arn:aws:connect:eu-west-2:111122223333:instance/a/queue/q";
        let connector = "arn:aws:chime:eu-west-2:111122223333:vc/abc";
        let good = format!(
            r#"{{"voice_connector_arn": "{connector}", "voice_connector_type": "CallTransferConnector", "queue_arn": "{queue}", "done": ["voice_connector"]}}"#
        );
        assert_eq!(told(&good), [""; 0]);
        for (flow, path) in [
            (format!(r#"{{"voice_connector_arn": "{queue}"}}"#), "flow.voice_connector_arn: `arn:aws:connect"),
            (r#"{"voice_connector_arn": "abc"}"#.to_owned(), "flow.voice_connector_arn: `abc` is not like"),
            (r#"{"queue_arn": "arn:aws:connect:eu-west-2:111122223333:instance/a"}"#.to_owned(), "flow.queue_arn: "),
            (format!(r#"{{"queue_arn": "{}"}}"#, queue.replace("/a/", "/b/")), "flow.queue_arn: is a queue of another"),
            (r#"{"voice_connector_type": "Chime"}"#.to_owned(), "flow.voice_connector_type: "),
            (r#"{"done": ["Two Words"]}"#.to_owned(), "flow.done[0]: `Two Words` is not"),
            (r#"{"other": 1}"#.to_owned(), "flow.other: "),
        ] {
            let told = told(&flow);
            assert!(told.len() == 1 && told[0].starts_with(path), "{flow}: {told:?}");
        }
    }
}
