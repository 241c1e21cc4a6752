//! What is wrong with a flow is found, each kind by a flow that has it, and the vendor's sample and what we export are judged as they should be.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::handing_over::tests::{VENDOR_SAMPLE_SHAPE, parts};
use super::super::{Action, ActionType, Condition, ErrorType, Format, Operator, VoiceConnectorType, read};
use super::*;

fn known() -> Known {
    Known {
        instance: "arn:aws:connect:us-east-1:111122223333:instance/INSTANCE".parse().ok(),
        screen_pop_url: Some(parts().screen_pop_url),
    }
}

fn told(flow: &Flow) -> Vec<(&'static str, String, String)> {
    let of = |finding: &Finding| {
        let block = finding.block.as_ref().map(|block| block.identifier.clone()).unwrap_or_default();
        (finding.code.word(), block, finding.field.clone().unwrap_or_default())
    };
    validate(flow, &known()).iter().map(of).collect()
}

#[test]
fn our_own_exports_have_no_finding() {
    for connector in VoiceConnectorType::ALL {
        let flow = Flow::handing_over_by(connector, &parts());
        for format in Format::ALL {
            let export = read(&flow.written(format).expect("written").to_string()).expect("a flow");
            assert_eq!(validate(&export, &known()), [], "{connector} {format}");
            assert_eq!(validate(&export, &Known::default()), [], "nothing has to be known of the tenant");
        }
    }
}

/// Somebody else's ARNs and page, real-time analytics, and four branches that hang up on the caller; what it says otherwise is advice.
#[test]
fn the_vendors_flow_has_the_problems_that_it_has_and_no_other() {
    let flow = read(VENDOR_SAMPLE_SHAPE).expect("a flow");
    let name_of = |identifier: &str| {
        let action = flow.action(identifier).expect("a block of the flow");
        match &action.action_type {
            ActionType::TransferParticipantToThirdParty => "transfer",
            ActionType::UpdateContactRecordingBehavior => "record",
            ActionType::UpdateContactAttributes => "attributes",
            ActionType::UpdateContactTargetQueue => "queue",
            ActionType::TransferContactToQueue => "to_queue",
            other => panic!("nothing is wrong with {other:?}"),
        }
    };
    let findings = validate(&flow, &known());
    let of = |level: Level| {
        let of_level = findings.iter().filter(move |finding| finding.level == level);
        let told = |finding: &Finding| {
            let block = finding.block.as_ref().expect("a block");
            (finding.code.word(), name_of(&block.identifier), finding.field.clone().unwrap_or_default())
        };
        let all: BTreeSet<(&str, &str, String)> = of_level.clone().map(told).collect();
        assert_eq!(all.len(), of_level.count(), "each is told once");
        all
    };
    let expected = [
        ("flow_arn_foreign", "transfer", "VoiceConnector.VoiceConnectorArn"),
        ("flow_arn_foreign", "queue", "QueueId"),
        ("flow_screen_pop_elsewhere", "attributes", "Attributes.screenPopURL"),
        ("flow_real_time_analytics", "record", ""),
        ("flow_caller_lost", "transfer", "CallFailed"),
        ("flow_caller_lost", "transfer", "ConnectionTimeLimitExceeded"),
        ("flow_caller_lost", "transfer", "NoMatchingError"),
        ("flow_caller_lost", "attributes", "NoMatchingError"),
    ];
    assert_eq!(of(Level::Problem), expected.map(|(code, block, field)| (code, block, field.to_owned())).into());
    let advice = [("flow_key_not_emptied", "transfer", ""), ("flow_queue_full_unsaid", "to_queue", "QueueAtCapacity")];
    assert_eq!(of(Level::Advice), advice.map(|(code, block, field)| (code, block, field.to_owned())).into());
    // Filled with the tenant's own, what is left is how it goes on.
    let filled = validate(&flow.clone().filled_with(&parts()), &known());
    let left: BTreeSet<&str> = filled.iter().map(|finding| finding.code.word()).collect();
    let expected = ["flow_caller_lost", "flow_key_not_emptied", "flow_queue_full_unsaid", "flow_real_time_analytics"];
    assert_eq!(left, expected.into());
}

type Change = fn(&mut Flow);
/// What is told: code, block and field.
type Told = (&'static str, &'static str, &'static str);

fn at<'a>(flow: &'a mut Flow, identifier: &str) -> &'a mut Action {
    flow.actions.iter_mut().find(|action| action.identifier == identifier).expect("a block of the flow")
}

fn set(flow: &mut Flow, identifier: &str, parameter: &str, value: Value) {
    at(flow, identifier).parameters.insert(parameter.to_owned(), value);
}

fn set_connector(flow: &mut Flow, parameter: &str, value: Value) {
    at(flow, "transfer").parameters["VoiceConnector"][parameter] = value;
}

fn set_attribute(flow: &mut Flow, name: &str, value: &str) {
    at(flow, "screen_pop").parameters["Attributes"][name] = json!(value);
}

fn rename(flow: &mut Flow, from: &str, to: &str) {
    let renamed = |name: &mut String| {
        if name == from {
            to.clone_into(name);
        }
    };
    renamed(&mut flow.start);
    for action in &mut flow.actions {
        renamed(&mut action.identifier);
        action.next.as_mut().into_iter().for_each(renamed);
        action.conditions.iter_mut().for_each(|branch| renamed(&mut branch.next));
        action.errors.iter_mut().for_each(|branch| renamed(&mut branch.next));
    }
}

/// One flow for each rule, with what is told of it: code, block and field.
const BROKEN: &[(Change, &[Told])] = &[
    (|flow| flow.kind = Some("customerQueue".into()), &[("flow_type", "", "")]),
    (|flow| flow.start = "nowhere".into(), &[("flow_start_missing", "", "")]),
    (
        |flow| {
            // A chain of prompts before everything else.
            for n in 0..240 {
                let next = if n == 0 { "log".to_owned() } else { format!("say {}", n - 1) };
                let say = Action::new(&format!("say {n}"), ActionType::MessageParticipant, json!({"Text": "Hello."}));
                flow.actions.push(say.then(&next).or(ErrorType::NoMatchingError, &next));
            }
            flow.start = "say 239".into();
        },
        &[("flow_too_many_blocks", "", "")],
    ),
    (
        |flow| flow.actions.push(Action::new("hangup", ActionType::DisconnectParticipant, json!({}))),
        &[("flow_identifier_taken", "hangup", "")],
    ),
    (
        |flow| rename(flow, "log", "x234567890123456789012345678901234567890123456789012"),
        &[("flow_identifier_long", "x234567890123456789012345678901234567890123456789012", "")],
    ),
    (|flow| rename(flow, "log", "a:b"), &[("flow_identifier_refused", "a:b", "")]),
    (|flow| rename(flow, "log", "constructor"), &[("flow_identifier_refused", "constructor", "")]),
    (
        |flow| at(flow, "set_queue").errors[0].next = "nowhere".into(),
        &[("flow_target_missing", "set_queue", "NoMatchingError")],
    ),
    (
        |flow| flow.actions.push(Action::new("spare", ActionType::DisconnectParticipant, json!({}))),
        &[("flow_block_unreached", "spare", "")],
    ),
    (|flow| at(flow, "say_late").next = Some("transfer".into()), &[("flow_ring", "transfer", "")]),
    (
        |flow| at(flow, "log").next = None,
        &[
            ("flow_queue_missing", "", ""),
            ("flow_transfer_missing", "", ""),
            ("flow_next_missing", "log", "Success"),
            ("flow_block_unreached", "*", ""),
        ],
    ),
    (
        |flow| at(flow, "hangup").next = Some("log".into()),
        &[("flow_ring", "*", ""), ("flow_next_refused", "hangup", ""), ("flow_hangup_unchecked", "transfer", "")],
    ),
    (
        |flow| {
            at(flow, "log").conditions.push(Condition {
                operator: Operator::Equals,
                operands: vec!["a".into()],
                next: "clear".into(),
            })
        },
        &[("flow_condition_refused", "log", "")],
    ),
    (
        |flow| {
            let check = Action::new("look", ActionType::Compare, json!({"ComparisonValue": "$.Channel"}));
            flow.actions.push(check.then("log").or(ErrorType::NoMatchingCondition, "log"));
            flow.start = "look".into();
        },
        &[("flow_condition_missing", "look", "")],
    ),
    (
        |flow| {
            let next = "screen_pop".to_owned();
            let condition =
                Condition { operator: Operator::Other("Resembles".into()), operands: vec!["a".into()], next };
            at(flow, "check").conditions.push(condition);
        },
        &[("flow_operator_unknown", "check", "condition 2")],
    ),
    (
        |flow| {
            let next = "screen_pop".to_owned();
            at(flow, "check").conditions.push(Condition {
                operator: Operator::Equals,
                operands: vec![],
                next: next.clone(),
            });
            at(flow, "check").conditions.push(Condition {
                operator: Operator::Equals,
                operands: vec![String::new()],
                next,
            });
        },
        &[("flow_operand_refused", "check", "condition 2"), ("flow_operand_refused", "check", "condition 3")],
    ),
    (
        |flow| at(flow, "log").action_type = ActionType::Other(Format::Language, "Sing".into()),
        &[("flow_type_unknown", "log", "")],
    ),
    (|flow| set(flow, "log", "Loud", json!("True")), &[("flow_parameter_unknown", "log", "Loud")]),
    (
        |flow| set_connector(flow, "Codec", json!("PCMU")),
        &[("flow_parameter_unknown", "transfer", "VoiceConnector.Codec")],
    ),
    (
        |flow| _ = at(flow, "clear").parameters.remove("TargetContact"),
        &[("flow_parameter_missing", "clear", "TargetContact")],
    ),
    (
        |flow| set(flow, "transfer", "ThirdPartyConnectionTimeLimitSeconds", json!(60)),
        &[("flow_parameter_type", "transfer", "ThirdPartyConnectionTimeLimitSeconds")],
    ),
    (
        |flow| set(flow, "clear", "Attributes", json!({"SessionHistoryKey": "", "n": 1})),
        &[("flow_parameter_type", "clear", "Attributes.n"), ("flow_key_not_emptied", "transfer", "")],
    ),
    (
        |flow| set(flow, "transfer", "ThirdPartyConnectionTimeLimitSeconds", json!("601")),
        &[("flow_parameter_value", "transfer", "ThirdPartyConnectionTimeLimitSeconds")],
    ),
    (
        |flow| set_connector(flow, "VoiceConnectorType", json!("Chime")),
        &[("flow_parameter_value", "transfer", "VoiceConnector.VoiceConnectorType")],
    ),
    (
        |flow| set(flow, "say_late", "SSML", json!("<speak>Late</speak>")),
        &[("flow_parameter_choice", "say_late", "Parameters")],
    ),
    (|flow| _ = at(flow, "say_late").parameters.remove("Text"), &[("flow_parameter_choice", "say_late", "Parameters")]),
    (|flow| at(flow, "to_queue").errors.truncate(1), &[("flow_error_missing", "to_queue", "NoMatchingError")]),
    (
        |flow| *at(flow, "check") = at(flow, "check").clone().or(ErrorType::NoMatchingError, "screen_pop"),
        &[("flow_error_refused", "check", "NoMatchingError")],
    ),
    (
        |flow| *at(flow, "log") = at(flow, "log").clone().or(ErrorType::NoMatchingError, "clear"),
        &[("flow_error_refused", "log", "NoMatchingError")],
    ),
    (
        |flow| *at(flow, "clear") = at(flow, "clear").clone().or(ErrorType::NoMatchingError, "transfer"),
        &[("flow_error_repeated", "clear", "NoMatchingError")],
    ),
    (
        |flow| set(flow, "say_late", "Text", json!("Dear $.Customr.Name, nobody answered.")),
        &[("flow_reference_unknown", "say_late", "Text")],
    ),
    (
        |flow| set(flow, "log", "FlowLoggingBehavior", json!("$.Attributes.log")),
        &[("flow_reference_refused", "log", "FlowLoggingBehavior")],
    ),
    (
        |flow| {
            let look = Action::new("look", ActionType::Compare, json!({"ComparisonValue": "Channel"}));
            flow.actions.push(look.when(Operator::Equals, "VOICE", "log").or(ErrorType::NoMatchingCondition, "log"));
            flow.start = "look".into();
        },
        &[("flow_reference_missing", "look", "ComparisonValue")],
    ),
    (
        |flow| set_attribute(flow, "note", "called from $.CustomerEndpoint.Address"),
        &[("flow_reference_in_text", "screen_pop", "Attributes.note")],
    ),
    (
        |flow| set_connector(flow, "VoiceConnectorArn", json!("abcdef")),
        &[("flow_arn_malformed", "transfer", "VoiceConnector.VoiceConnectorArn")],
    ),
    (
        |flow| set(flow, "set_queue", "QueueId", json!("arn:aws:connect:us-east-1:1111")),
        &[("flow_arn_malformed", "set_queue", "QueueId")],
    ),
    (
        |flow| set_connector(flow, "VoiceConnectorArn", json!("arn:aws:chime:eu-west-2:111122223333:vc/v")),
        &[("flow_arn_foreign", "transfer", "VoiceConnector.VoiceConnectorArn")],
    ),
    (
        |flow| {
            set(flow, "set_queue", "QueueId", json!("arn:aws:connect:us-east-1:111122223333:instance/OTHER/queue/q"))
        },
        &[("flow_arn_foreign", "set_queue", "QueueId")],
    ),
    (
        |flow| {
            let analytics = json!({"Enabled": "True", "ChannelConfiguration": {"Voice": {"AnalyticsModes": ["PostContact", "RealTime"]}}});
            let parameters = json!({"RecordingBehavior": {"RecordedParticipants": ["Agent", "Customer"]}, "AnalyticsBehavior": analytics});
            flow.actions
                .push(Action::new("record", ActionType::UpdateContactRecordingBehavior, parameters).then("log"));
            flow.start = "record".into();
        },
        &[("flow_real_time_analytics", "record", "")],
    ),
    (
        |flow| {
            let parameters = &mut at(flow, "transfer").parameters;
            parameters.remove("VoiceConnector");
            parameters.insert("ThirdPartyPhoneNumber".into(), json!("+18005550123"));
        },
        &[("flow_transfer_missing", "", "")],
    ),
    (
        |flow| {
            set(flow, "transfer", "ContinueFlowExecution", json!("False"));
            at(flow, "transfer").errors.drain(..2);
            flow.actions.retain(|action| !["say_failed", "say_late"].contains(&action.identifier.as_str()));
        },
        &[("flow_transfer_ends_flow", "transfer", "ContinueFlowExecution")],
    ),
    (
        |flow| {
            _ = at(flow, "transfer").parameters["VoiceConnector"]
                .as_object_mut()
                .map(|all| all.remove("UserToUserInformation"))
        },
        &[("flow_user_to_user", "transfer", "VoiceConnector.UserToUserInformation")],
    ),
    (
        |flow| {
            flow.actions.retain(|action| action.identifier != "clear");
            at(flow, "log").next = Some("transfer".into());
        },
        &[("flow_key_not_emptied", "transfer", "")],
    ),
    (
        |flow| {
            flow.actions.retain(|action| action.identifier != "check");
            at(flow, "transfer").next = Some("screen_pop".into());
        },
        &[("flow_hangup_unchecked", "transfer", "")],
    ),
    (|flow| at(flow, "check").conditions[0].next = "say_late".into(), &[("flow_hangup_unchecked", "transfer", "")]),
    (
        |flow| set(flow, "check", "ComparisonValue", json!("$.Attributes.sessionHistoryKey")),
        &[("flow_hangup_unchecked", "transfer", ""), ("flow_caller_lost", "check", "condition 1")],
    ),
    (
        |flow| {
            _ = at(flow, "screen_pop").parameters["Attributes"].as_object_mut().map(|all| all.remove("screenPopURL"))
        },
        &[("flow_attribute_missing", "transfer", "screenPopURL")],
    ),
    (
        |flow| set_attribute(flow, "sessionHistoryKey", "$.Attributes.sessionHistoryKey"),
        &[("flow_attribute_missing", "transfer", "sessionHistoryKey")],
    ),
    (
        |flow| {
            set_attribute(flow, "screenPopURL", "https://elsewhere.example/loadAgentAppFrame.html?session_history_key")
        },
        &[("flow_screen_pop_elsewhere", "screen_pop", "Attributes.screenPopURL")],
    ),
    (
        |flow| {
            let url = format!("{}=", parts().screen_pop_url);
            set_attribute(flow, "screenPopURL", &url);
        },
        &[("flow_screen_pop_equals_sign", "screen_pop", "Attributes.screenPopURL")],
    ),
    (
        |flow| {
            let to_flow = Action::new(
                "to_queue",
                ActionType::TransferToFlow,
                json!({"ContactFlowId": "11111111-2222-3333-4444-555555555555"}),
            );
            *at(flow, "to_queue") = to_flow.or(ErrorType::NoMatchingError, "say_full");
        },
        &[("flow_queue_missing", "", "")],
    ),
    (
        |flow| {
            at(flow, "say_late").next = Some("to_queue".into());
        },
        &[("flow_queue_unset", "to_queue", "")],
    ),
    (
        |flow| at(flow, "transfer").errors[1].next = "say_full".into(),
        &[("flow_caller_lost", "transfer", "ConnectionTimeLimitExceeded"), ("flow_block_unreached", "say_late", "")],
    ),
    (
        |flow| at(flow, "screen_pop").errors[0].next = "hangup".into(),
        &[("flow_caller_lost", "screen_pop", "NoMatchingError")],
    ),
    (|flow| at(flow, "set_queue").next = Some("hangup".into()), &[("flow_caller_lost", "set_queue", "Success")]),
    (
        |flow| at(flow, "to_queue").errors[0].next = "hangup".into(),
        &[("flow_queue_full_unsaid", "to_queue", "QueueAtCapacity")],
    ),
];

#[test]
fn each_rule_tells_what_breaks_it_and_nothing_else() {
    let mut wrong = vec![];
    for (change, expected) in BROKEN {
        let mut flow = Flow::handing_over(&parts());
        change(&mut flow);
        let told = told(&flow);
        let is = |(code, block, field): &(&str, String, String), (of, at, what): &(&str, &str, &str)| {
            of == code && (*at == "*" || at == block) && what == field
        };
        let all_expected = told.iter().all(|one| expected.iter().any(|other| is(one, other)));
        let all_told = expected.iter().all(|other| told.iter().any(|one| is(one, other)));
        if !(all_expected && all_told) {
            wrong.push((expected, told));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn there_is_a_broken_flow_for_every_code() {
    let broken: BTreeSet<&str> =
        BROKEN.iter().flat_map(|(_, expected)| expected.iter().map(|(code, ..)| *code)).collect();
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.word()).collect();
    assert_eq!(broken, all);
}

#[test]
fn a_key_that_is_still_there_when_a_contact_comes_again_is_a_problem() {
    let mut flow = Flow::handing_over(&parts());
    // Whoever presses on is carried to the assistant again, past the block that empties the key.
    at(&mut flow, "screen_pop").next = Some("again".into());
    let look = Action::new("again", ActionType::Compare, json!({"ComparisonValue": "$.Attributes.again"}));
    flow.actions.push(look.when(Operator::Equals, "yes", "transfer").or(ErrorType::NoMatchingCondition, "set_queue"));
    let of = |finding: &Finding| (finding.code, finding.level);
    let findings: Vec<_> = validate(&flow, &known()).iter().map(of).collect();
    assert_eq!(findings, [(Code::KeyNotEmptied, Level::Problem)]);
}

#[test]
fn all_that_a_flow_names_is_of_one_instance_where_the_tenants_is_not_known() {
    let mut flow = Flow::handing_over(&parts());
    set_connector(&mut flow, "VoiceConnectorArn", json!("arn:aws:chime:us-east-1:444455556666:vc/v"));
    let findings = validate(&flow, &Known::default());
    let told = "problem [flow_arn_foreign] block transfer (Transfer to phone number), VoiceConnector.VoiceConnectorArn: \
                `arn:aws:chime:us-east-1:444455556666:vc/v` is of another account than 111122223333; enter what is your own: the flow names somebody else's";
    assert_eq!(findings.iter().map(ToString::to_string).collect::<Vec<_>>(), [told]);
}

#[test]
fn what_is_wrong_everywhere_is_told_in_bounds_and_in_the_order_of_the_blocks() {
    let blocks: Vec<Value> =
        (0..1000).map(|n| json!({"Identifier": format!("{n}:"), "Type": "MessageParticipant"})).collect();
    let file = json!({"Version": "2019-10-30", "StartAction": "0:", "Actions": blocks});
    let findings = validate(&read(&file.to_string()).expect("a flow"), &Known::default());
    assert_eq!(findings.len(), FINDINGS_MAX);
    let places =
        findings.iter().filter_map(|finding| finding.block.as_ref()?.identifier.trim_end_matches(':').parse().ok());
    assert!(places.collect::<Vec<u32>>().is_sorted());
}
