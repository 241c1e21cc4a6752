//! The operations by which the Amazon side is set up: Voice Connectors, flows, numbers, approved origins, users and roles.
//!
//! Invariant: what was made is there for whoever asks next, once: the same name twice is two connectors and a refused flow or user, as
//! it is at Amazon's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::access::No;

/// How many looks at a number find it still being claimed.
const LOOKS_WHILE_CLAIMED: u32 = 1;

/// What was set up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provisioned {
    /// Voice Connectors, with their `Origination`.
    pub connectors: Vec<Value>,
    /// Contact flows, with their `Content`.
    pub flows: Vec<Value>,
    /// Phone numbers, each with its `ContactFlowId`.
    pub numbers: Vec<Value>,
    /// Origins that may show the Contact Control Panel.
    pub origins: Vec<String>,
    /// Users by their names, with their policies and access keys.
    pub users: BTreeMap<String, Value>,
    /// Roles by their names, with their policies and whom they trust.
    pub roles: BTreeMap<String, Value>,
}

/// What an operation is carried out on.
pub(super) struct Place<'a> {
    pub(super) instance_arn: String,
    pub(super) instance_id: &'a str,
    pub(super) account: &'a str,
    pub(super) region: &'a str,
}

/// The queues of the instance.
const QUEUES: [(&str, &str); 2] = [("BasicQueue", "q1"), ("Sales", "q2")];
/// The number that is free to be claimed.
pub const FREE_NUMBER: &str = "+12065550177";

impl Provisioned {
    /// Carries out an operation of Amazon Connect or of Voice Connectors.
    pub(super) fn carry_out(&mut self, name: &str, input: &Value, place: &Place<'_>) -> Result<Value, No> {
        for (member, own) in [("InstanceId", place.instance_id), ("TargetArn", place.instance_arn.as_str())] {
            if input[member].as_str().is_some_and(|named| named != own) {
                return Err(not_found("no such instance"));
            }
        }
        match name {
            "ListVoiceConnectors" => Ok(json!({ "VoiceConnectors": self.connectors })),
            "CreateVoiceConnector" => Ok(json!({ "VoiceConnector": self.create_connector(input, place) })),
            "GetVoiceConnector" => Ok(json!({ "VoiceConnector": self.connector(input)? })),
            "UpdateVoiceConnector" => {
                let connector = self.connector(input)?;
                connector["Name"] = input["Name"].clone();
                connector["RequireEncryption"] = input["RequireEncryption"].clone();
                Ok(json!({ "VoiceConnector": connector }))
            }
            "PutVoiceConnectorOrigination" => {
                self.connector(input)?["Origination"] = input["Origination"].clone();
                Ok(json!({ "Origination": input["Origination"] }))
            }
            "ListQueues" => {
                let queue = |(name, id)| json!({"Name": name, "Id": id, "Arn": format!("{}/queue/{id}", place.instance_arn), "QueueType": "STANDARD"});
                Ok(json!({ "QueueSummaryList": QUEUES.map(queue) }))
            }
            "ListContactFlows" => Ok(json!({ "ContactFlowSummaryList": self.flows })),
            "CreateContactFlow" => self.create_flow(input, place),
            "UpdateContactFlowContent" => {
                is_flow(&input["Content"])?;
                one(&mut self.flows, "Id", &input["ContactFlowId"])?["Content"] = input["Content"].clone();
                Ok(json!({}))
            }
            "ListApprovedOrigins" => Ok(json!({ "Origins": self.origins })),
            "AssociateApprovedOrigin" => {
                self.origins.push(input["Origin"].as_str().unwrap_or_default().to_owned());
                Ok(json!({}))
            }
            _ => self.number(name, input, place),
        }
    }

    fn number(&mut self, name: &str, input: &Value, place: &Place<'_>) -> Result<Value, No> {
        match name {
            "ListPhoneNumbersV2" => Ok(json!({ "ListPhoneNumbersSummaryList": self.numbers })),
            "SearchAvailablePhoneNumbers" => {
                let is_free = self.numbers.iter().all(|number| number["PhoneNumber"] != FREE_NUMBER);
                let is_there = input["PhoneNumberCountryCode"] == "US" && input["PhoneNumberType"] == "DID" && is_free;
                let numbers: Vec<Value> = is_there.then(|| json!({ "PhoneNumber": FREE_NUMBER })).into_iter().collect();
                Ok(json!({ "AvailableNumbersList": numbers }))
            }
            "ClaimPhoneNumber" => {
                let id = format!("number-{}", self.numbers.len());
                let arn = format!("arn:aws:connect:{}:{}:phone-number/{id}", place.region, place.account);
                self.numbers.push(json!({
                    "PhoneNumberId": id, "PhoneNumberArn": arn, "PhoneNumber": input["PhoneNumber"],
                    "PhoneNumberDescription": input["PhoneNumberDescription"], "Looks": 0,
                }));
                Ok(json!({ "PhoneNumberId": id, "PhoneNumberArn": arn }))
            }
            "DescribePhoneNumber" => {
                let number = one(&mut self.numbers, "PhoneNumberId", &input["PhoneNumberId"])?;
                let looks = number["Looks"].as_u64().unwrap_or_default();
                number["Looks"] = json!(looks + 1);
                let status = if looks < u64::from(LOOKS_WHILE_CLAIMED) { "IN_PROGRESS" } else { "CLAIMED" };
                let mut summary = number.clone();
                summary["PhoneNumberStatus"] = json!({ "Status": status });
                Ok(json!({ "ClaimedPhoneNumberSummary": summary }))
            }
            "AssociatePhoneNumberContactFlow" => {
                one(&mut self.flows, "Id", &input["ContactFlowId"])?;
                let number = one(&mut self.numbers, "PhoneNumberId", &input["PhoneNumberId"])?;
                number["ContactFlowId"] = input["ContactFlowId"].clone();
                Ok(json!({}))
            }
            _ => Err((501, "NotImplemented", format!("{name} is not rehearsed"))),
        }
    }

    fn create_connector(&mut self, input: &Value, place: &Place<'_>) -> Value {
        // As ids of connectors are: 21 letters and digits.
        let id = format!("connector{:012}", self.connectors.len());
        let arn = format!("arn:aws:chime:{}:{}:vc/{id}", place.region, place.account);
        let mut connector = input.clone();
        connector["VoiceConnectorId"] = json!(id);
        connector["VoiceConnectorArn"] = json!(arn);
        self.connectors.push(connector.clone());
        connector
    }

    fn connector(&mut self, input: &Value) -> Result<&mut Value, No> {
        one(&mut self.connectors, "VoiceConnectorId", &input["VoiceConnectorId"])
    }

    fn create_flow(&mut self, input: &Value, place: &Place<'_>) -> Result<Value, No> {
        is_flow(&input["Content"])?;
        if self.flows.iter().any(|flow| flow["Name"] == input["Name"]) {
            return Err((409, "DuplicateResourceException", "a flow has this name".to_owned()));
        }
        let id = format!("flow-{}", self.flows.len());
        let arn = format!("{}/contact-flow/{id}", place.instance_arn);
        let mut flow = input.clone();
        flow["Id"] = json!(id);
        flow["Arn"] = json!(arn);
        self.flows.push(flow);
        Ok(json!({ "ContactFlowId": id, "ContactFlowArn": arn }))
    }
}

fn not_found(why: &str) -> No {
    (404, "ResourceNotFoundException", why.to_owned())
}

/// The one of a list that has this.
fn one<'a>(all: &'a mut [Value], member: &str, id: &Value) -> Result<&'a mut Value, No> {
    all.iter_mut().find(|one| one[member] == *id).ok_or_else(|| not_found("no such thing"))
}

/// A flow is one that the interpreter can begin, without a mark that was not filled in.
fn is_flow(content: &Value) -> Result<(), No> {
    let text = content.as_str().unwrap_or_default();
    let began = crate::flow::Flow::begin(text, BTreeMap::new());
    match began {
        Ok(_) if !text.contains("_ARN@") && !text.contains("@SCREEN_POP_URL@") => Ok(()),
        _ => Err((400, "InvalidContactFlowException", "the flow cannot be read".to_owned())),
    }
}
