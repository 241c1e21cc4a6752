//! The Amazon side as code: the three files of `deploy/aws/`, and each filled in with what one integration is reached by.
//!
//! Invariant: what is downloaded is the file of `deploy/aws/` with values in it and nothing else: the flow in both is written by
//! [`super::flow`] (`tests/deployment.rs` holds them against each other), and a value is a literal of its language, whatever it holds.

mod literal;

use serde_json::{Value, json};

use crate::InstanceArn;
use crate::flow::{Flow, Parts, language};

/// What makes the Amazon side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Terraform, and what reads its language.
    Terraform,
    /// A stack of CloudFormation, and the two commands that it lacks.
    CloudFormation,
    /// A script of `aws` commands.
    Shell,
}

/// Whether a Voice Connector calls by TLS with SRTP, or in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS and SRTP.
    On,
    /// SIP and RTP in the clear.
    Off,
}

/// What a file is filled in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    /// What the integration is called; things of Amazon's are called after it.
    pub integration: String,
    /// The tenant's instance.
    pub instance_arn: InstanceArn,
    /// The name at which we take calls.
    pub sip_host: String,
    /// The port, over TCP.
    pub sip_port: u16,
    /// Whether calls come encrypted.
    pub encryption: Encryption,
    /// The agents' page up to `session_history_key`, without `=`.
    pub screen_pop_url: String,
    /// The queue of the agents, where it is known.
    pub queue_arn: Option<String>,
}

/// Longest name of what is made.
const NAME_CHARS_MAX: usize = 50;
/// What stands in the flow of a file where the file puts a value of its own.
const CONNECTOR: &str = "@VOICE_CONNECTOR_ARN@";
const QUEUE: &str = "@QUEUE_ARN@";
const SCREEN_POP: &str = "@SCREEN_POP_URL@";
/// The first line of a flow in a file begins so, and its last is this.
const FLOW_BEGINS: &str = "{\"Version\":";
const FLOW_ENDS: &str = "]}";

impl Tool {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Terraform, Self::CloudFormation, Self::Shell];

    /// As addresses name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::CloudFormation => "cloudformation",
            Self::Shell => "shell",
        }
    }

    /// The one that is called so.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.word() == word)
    }

    /// What its file is called, filled in.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Terraform => "bellhop.tf",
            Self::CloudFormation => "bellhop-cloudformation.yaml",
            Self::Shell => "bellhop.sh",
        }
    }

    /// What kind of file that is.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Terraform => "text/plain",
            Self::CloudFormation => "application/yaml",
            Self::Shell => "text/x-shellscript",
        }
    }

    /// Its file in `deploy/aws/`.
    pub fn file(self) -> &'static str {
        match self {
            Self::Terraform => include_str!("../../deploy/aws/bellhop.tf"),
            Self::CloudFormation => include_str!("../../deploy/aws/cloudformation.yaml"),
            Self::Shell => include_str!("../../deploy/aws/bellhop.sh"),
        }
    }

    /// Its file with today's flow, for whoever fills it in himself.
    pub fn blank(self) -> String {
        let flow = self.flow();
        let (mut written, mut is_flow) = (String::new(), false);
        for line in self.file().lines() {
            let indent = &line[..line.len() - line.trim_start().len()];
            if line.trim_start().starts_with(FLOW_BEGINS) {
                is_flow = true;
                flow.iter().for_each(|line| written.push_str(&format!("{indent}{line}\n")));
            }
            if !is_flow {
                written.push_str(line);
                written.push('\n');
            }
            is_flow &= line.trim_start() != FLOW_ENDS;
        }
        written
    }

    /// Its file with the values of an integration, which has a key or a role already.
    pub fn filled(self, values: &Values) -> String {
        let Values { sip_host, sip_port, encryption, screen_pop_url, queue_arn, .. } = values;
        let encrypted = json!(*encryption == Encryption::On);
        let all = [
            ("name", json!(values.name())),
            ("instance_arn", json!(values.instance_arn.to_string())),
            ("sip_host", json!(sip_host)),
            ("sip_port", json!(sip_port)),
            ("encrypted", encrypted),
            ("screen_pop_url", json!(screen_pop_url)),
            ("queue_arn", queue_arn.as_ref().map_or(Value::Null, |arn| json!(arn))),
            ("access", json!("none")),
        ];
        let known = all.into_iter().filter(|(_, value)| !value.is_null());
        known.fold(self.blank(), |text, (variable, value)| match self {
            Self::Terraform => {
                let head = format!("variable \"{variable}\" {{");
                let block = Block { head, indent: "  ", follows: "  type ", default: "  default     = " };
                block.with_default(&text, &literal::terraform(&value))
            }
            Self::CloudFormation => {
                let head = format!("  {}:", in_capitals(variable));
                let block = Block { head, indent: "    ", follows: "    Type: ", default: "    Default: " };
                block.with_default(&text, &literal::yaml(&value))
            }
            Self::Shell => with_line(&text, &format!("{variable}="), &literal::shell(&value)),
        })
    }

    /// The flow, a line for each action, as it stands in its file.
    fn flow(self) -> Vec<String> {
        let put = |line: &String| {
            let marks = [CONNECTOR, QUEUE, SCREEN_POP].into_iter().zip(self.expressions());
            marks.fold(self.escaped(line), |line, (mark, value)| line.replace(&format!("\"{mark}\""), value))
        };
        flow_lines().iter().map(put).collect()
    }

    /// What stands in its file for the connector, the queue and the agents' page, with the quotes around it.
    fn expressions(self) -> [&'static str; 3] {
        match self {
            Self::Terraform => [
                "${jsonencode(aws_chime_voice_connector.bellhop.arn)}",
                "${jsonencode(data.aws_connect_queue.agents.arn)}",
                "${jsonencode(var.screen_pop_url)}",
            ],
            Self::CloudFormation => {
                ["\"${VoiceConnector.VoiceConnectorArn}\"", "\"${QueueArn}\"", "\"${ScreenPopUrl}\""]
            }
            Self::Shell => ["\"@VOICE_CONNECTOR_ARN@\"", "\"@QUEUE_ARN@\"", "\"@SCREEN_POP_URL@\""],
        }
    }

    /// A line in which nothing is evaluated.
    fn escaped(self, line: &str) -> String {
        match self {
            Self::Terraform => line.replace("${", "$${").replace("%{", "%%{"),
            Self::CloudFormation => line.replace("${", "${!"),
            Self::Shell => line.to_owned(),
        }
    }
}

impl Values {
    /// What things of Amazon's are called: by letters that each of its services takes.
    pub fn name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || " _.-".contains(c) { c } else { '-' };
        format!("bellhop-{}", self.integration.trim()).chars().map(plain).take(NAME_CHARS_MAX).collect()
    }
}

/// The flow with marks for what each file puts in.
fn flow_lines() -> Vec<String> {
    let parts = Parts {
        voice_connector_arn: CONNECTOR.to_owned(),
        queue_arn: QUEUE.to_owned(),
        screen_pop_url: SCREEN_POP.to_owned(),
    };
    let flow = language::written(&Flow::handing_over(&parts));
    let actions = flow["Actions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let head = format!(
        "{FLOW_BEGINS}{},\"StartAction\":{},\"Metadata\":{},",
        flow["Version"], flow["StartAction"], flow["Metadata"]
    );
    let comma = |n: usize| if n + 1 < actions.len() { "," } else { "" };
    let actions = actions.iter().enumerate().map(|(n, action)| format!("{action}{}", comma(n)));
    [head, "\"Actions\":[".to_owned()].into_iter().chain(actions).chain([FLOW_ENDS.to_owned()]).collect()
}

/// What declares a variable.
struct Block {
    /// Its first line.
    head: String,
    /// How its other lines begin.
    indent: &'static str,
    /// How the line begins behind which its default stands.
    follows: &'static str,
    /// How the line of its default begins.
    default: &'static str,
}

impl Block {
    /// A text in which the variable has this default, in place of another.
    fn with_default(&self, text: &str, value: &str) -> String {
        let (mut written, mut place) = (String::new(), Place::Before);
        for line in text.lines() {
            place = match place {
                Place::Before if line == self.head => Place::Head,
                Place::Head => Place::Inside,
                Place::Inside if !line.is_empty() && !line.starts_with(self.indent) => Place::Behind,
                other => other,
            };
            if place == Place::Inside && line.starts_with(self.default) {
                continue;
            }
            written.push_str(line);
            written.push('\n');
            if place == Place::Inside && line.starts_with(self.follows) {
                written.push_str(&format!("{}{value}\n", self.default));
            }
        }
        written
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    Head,
    Inside,
    Behind,
}

/// A text whose first line that begins so is this.
fn with_line(text: &str, begins: &str, value: &str) -> String {
    let (mut written, mut is_there) = (String::new(), false);
    for line in text.lines() {
        match !is_there && line.starts_with(begins) {
            true => written.push_str(&format!("{begins}{value}")),
            false => written.push_str(line),
        }
        is_there |= line.starts_with(begins);
        written.push('\n');
    }
    written
}

/// `sip_host` as `SipHost`.
fn in_capitals(variable: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    variable.split('_').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values {
            integration: "Größe \"A\" ${x}\n$(b)".into(),
            instance_arn: "arn:aws:connect:eu-west-2:111122223333:instance/i1".parse().expect("an ARN"),
            sip_host: "sip.bellhop.example".into(),
            sip_port: 5071,
            encryption: Encryption::Off,
            screen_pop_url: "https://bellhop.example/loadAgentAppFrame.html?session_history_key".into(),
            queue_arn: Some("arn:aws:connect:eu-west-2:111122223333:instance/i1/queue/q1".into()),
        }
    }

    #[test]
    fn a_name_is_one_that_every_service_takes() {
        assert_eq!(values().name(), "bellhop-Gr--e -A- --x----b-");
        assert_eq!(Values { integration: "x".repeat(200), ..values() }.name().len(), NAME_CHARS_MAX);
    }

    /// What stands there before is gone, so that no value is there twice.
    #[test]
    fn every_value_is_in_each_file_and_once() {
        let filled = Tool::ALL.map(|tool| tool.filled(&values()));
        let port = ["  default     = 5071\n", "    Default: 5071\n", "\nsip_port='5071'\n"];
        let access = ["  default     = \"none\"\n", "    Default: \"none\"\n", "\naccess='none'\n"];
        let queue = values().queue_arn.expect("it has one");
        for (n, text) in filled.iter().enumerate() {
            for told in [port[n], access[n], &queue, "sip.bellhop.example", "bellhop-Gr--e -A- --x----b-"] {
                assert_eq!(text.matches(told).count(), 1, "{told}\n{text}");
            }
            assert!(!text.contains("5061"), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_left_to_whoever_runs_it() {
        let unknown = Values { queue_arn: None, ..values() };
        for tool in Tool::ALL {
            assert!(!tool.filled(&unknown).contains("queue/q1"));
        }
        assert!(Tool::Shell.filled(&unknown).contains("\nqueue_arn=${BELLHOP_QUEUE_ARN-}\n"));
    }

    #[test]
    fn a_tool_is_known_by_its_word() {
        assert!(Tool::ALL.into_iter().all(|tool| Tool::named(tool.word()) == Some(tool)));
        assert_eq!(Tool::named("Shell"), None);
    }
}
