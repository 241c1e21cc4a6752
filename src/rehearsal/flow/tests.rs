//! The flows that pages give to be imported, in both formats, carried out by the interpreter with each outcome of a call.

use bellhop_connect::flow::{self as graph, Format, Parts};

use super::*;

const QUEUE: &str = "arn:aws:connect:us-east-1:111122223333:instance/i/queue/q";

/// The flow that pages give to be imported, in a format.
fn exported(format: Format) -> String {
    let parts = Parts {
        voice_connector_arn: "arn:aws:chime:us-east-1:111122223333:vc/v".into(),
        queue_arn: QUEUE.into(),
        screen_pop_url: graph::screen_pop_url(SAMPLE_PUBLIC_URL),
    };
    graph::Flow::handing_over(&parts).written(format).expect("written").to_string()
}

fn system() -> BTreeMap<String, String> {
    let system = [("$.InstanceARN", "arn:i"), ("$.ContactId", "c1"), ("$.CustomerEndpoint.Address", "+12065550100")];
    system.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// A contact in each flow there is, up to its transfer.
fn begin() -> [Flow; 3] {
    [SAMPLE.to_owned(), exported(Format::Language), exported(Format::Legacy)].map(|json| {
        let mut flow = Flow::begin(&json, system()).expect("good");
        let stop = flow.run().expect("runs");
        assert_eq!(stop, Stop::Transferring { user_to_user: "arn:i".into() });
        flow
    })
}

/// A contact in a small flow of these actions.
fn small(actions: &str) -> Flow {
    let json = format!(r#"{{"Version": "2019-10-30", "StartAction": "a", "Actions": [{actions}]}}"#);
    Flow::begin(&json, system()).expect("good")
}

const END: &str = r#"{"Identifier": "end", "Type": "DisconnectParticipant", "Parameters": {}, "Transitions": {}}"#;

/// What becomes of a contact: with which attributes beside, by which outcome, with which queues.
struct Case {
    name: &'static str,
    attributes: &'static [(&'static str, &'static str)],
    outcome: TransferOutcome,
    queues: Queues,
    /// Where the contact comes to.
    queued: bool,
    /// How many sentences the caller hears.
    sentences: usize,
    /// The key that the agent's page is opened with.
    popped: Option<&'static str>,
}

#[test]
fn eight_outcomes_end_as_they_should_in_both_exports() {
    use TransferOutcome::{CallFailed, Error, Success, Timeout};
    let room = Queues::HaveRoom;
    let case = |name, attributes, outcome, queued, sentences, popped| Case {
        name,
        attributes,
        outcome,
        queues: room,
        queued,
        sentences,
        popped,
    };
    // As much as leaves room for the key and for nothing else.
    let note: &'static str = "x".repeat(BYTES_MAX - 60).leak();
    let refused: &'static [(&str, &str)] = vec![("SessionHistoryKey", "_abc"), ("note", note)].leak();
    let full = Case {
        queues: Queues::AreFull,
        ..case("queue full", &[("SessionHistoryKey", "_abc")], Success, false, 1, Some("abc"))
    };
    let cases = [
        case("key", &[("SessionHistoryKey", "_abc")], Success, true, 0, Some("abc")),
        case("hangup", &[("SessionHistoryKey", "hangup")], Success, false, 0, None),
        case("no key", &[], Success, true, 0, None),
        case("call failed", &[], CallFailed, true, 1, None),
        case("timeout", &[], Timeout, true, 1, None),
        case("error", &[], Error, true, 1, None),
        full,
        case("attributes refused", refused, Success, true, 0, None),
    ];
    for format in Format::ALL {
        for case in &cases {
            let mut flow = Flow::begin(&exported(format), system()).expect("good");
            assert!(matches!(flow.run(), Ok(Stop::Transferring { .. })), "{}", case.name);
            flow.queues = case.queues;
            flow.attributes
                .extend(case.attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            let stop = flow.transferred(case.outcome).expect("runs");
            let expected = if case.queued { Stop::Queued { queue: QUEUE.into() } } else { Stop::Disconnected };
            assert_eq!((stop, flow.said.len()), (expected, case.sentences), "{} {format}", case.name);
            let url = |key: &str| format!("{SAMPLE_PUBLIC_URL}/loadAgentAppFrame.html?session_history_key={key}");
            assert_eq!(screen_pop(&flow.attributes), case.popped.map(url), "{} {format}", case.name);
        }
    }
}

#[test]
fn a_reference_inside_a_text_is_text_but_where_it_is_said() {
    let inside = r#"{\"i\":\"$.InstanceARN\",\"ic\":\"$.InitialContactId\"}"#;
    let json = SAMPLE.replace("\"$.InstanceARN\"", &format!("\"{inside}\""));
    assert_ne!(json, SAMPLE);
    let stop = Flow::begin(&json, system()).expect("good").run();
    let literal = r#"{"i":"$.InstanceARN","ic":"$.InitialContactId"}"#;
    assert_eq!(stop, Ok(Stop::Transferring { user_to_user: literal.into() }));

    let say = r#"{"Identifier": "a", "Type": "MessageParticipant", "Parameters": {"Text": "You call from $.CustomerEndpoint.Address, $.Attributes.name."},
        "Transitions": {"NextAction": "end", "Errors": [{"ErrorType": "NoMatchingError", "NextAction": "end"}]}}"#;
    let mut flow = small(&format!("{say}, {END}"));
    assert_eq!(flow.run(), Ok(Stop::Disconnected));
    assert_eq!(flow.said, ["You call from +12065550100, ."], "what nobody has set is nothing");
}

#[test]
fn the_agent_is_shown_the_page_that_the_flow_names() {
    for mut flow in begin() {
        assert_eq!(screen_pop(&flow.attributes), None);
        flow.attributes.insert("SessionHistoryKey".into(), "_abc".into());
        assert!(matches!(flow.transferred(TransferOutcome::Success), Ok(Stop::Queued { .. })));
        let page = format!("{SAMPLE_PUBLIC_URL}/loadAgentAppFrame.html?session_history_key=abc");
        assert_eq!(screen_pop(&flow.attributes), Some(page));
        assert_eq!(flow.attributes["sessionHistoryKey"], "_abc");
    }
}

/// Every error branch of every action before the queue, one at a time: an agent is asked for.
#[test]
fn whatever_fails_before_the_queue_leads_to_the_queue() {
    for format in Format::ALL {
        let read = graph::read(&exported(format)).expect("a flow");
        let is_before = |name: &&graph::Action| !matches!(name.does(), Ok(Does::TransferToQueue));
        for action in read.actions.iter().filter(is_before) {
            for branch in &action.errors {
                let mut flow = Flow::begin(&exported(format), system()).expect("good");
                flow.fails(&action.identifier, branch.error.clone());
                // A transfer that fails never waits; what is before it fails on the way to it, what is behind it after it.
                let stop = match flow.run() {
                    Ok(Stop::Transferring { .. }) => flow.transferred(TransferOutcome::Success),
                    other => other,
                };
                let told = format!("{} {:?} {:?}", action.identifier, branch.error, flow.path);
                // Nobody chose a queue if that failed, and without one Amazon Connect takes nobody.
                match action.does() {
                    Ok(Does::SetQueue(_)) => assert_eq!(stop, Ok(Stop::Disconnected), "{told}"),
                    _ => assert!(matches!(stop, Ok(Stop::Queued { .. })), "{told}"),
                }
            }
        }
    }
}

#[test]
fn attributes_are_set_all_or_none() {
    let set = |attributes: &str| {
        let set = format!(
            r#"{{"Identifier": "a", "Type": "UpdateContactAttributes", "Parameters": {{"Attributes": {attributes}, "TargetContact": "Current"}},
            "Transitions": {{"NextAction": "end", "Errors": [{{"ErrorType": "NoMatchingError", "NextAction": "wrong"}}]}}}}"#
        );
        let mut flow = small(&format!("{set}, {END}, {}", END.replace("end", "wrong")));
        assert_eq!(flow.run(), Ok(Stop::Disconnected));
        (flow.path[1].clone(), flow.attributes.len())
    };
    let (most, more) = ("x".repeat(BYTES_MAX - 1), "x".repeat(BYTES_MAX));
    assert_eq!(set(&format!(r#"{{"n": "{most}"}}"#)), ("end".into(), 1));
    assert_eq!(set(&format!(r#"{{"a": "1", "n": "{more}"}}"#)), ("wrong".into(), 0));
    assert_eq!(set(r#"{"a": "1", "b c": "2"}"#), ("wrong".into(), 0), "a name has no blank");
}

#[test]
fn a_contact_ends_with_the_call_where_the_flow_does_not_go_on() {
    let json = SAMPLE.replace("\"ContinueFlowExecution\": \"True\"", "\"ContinueFlowExecution\": \"False\"");
    let mut flow = Flow::begin(&json, system()).expect("good");
    assert!(matches!(flow.run(), Ok(Stop::Transferring { .. })));
    assert_eq!(flow.transferred(TransferOutcome::Success), Ok(Stop::Disconnected));
}

#[test]
fn what_amazon_connect_would_not_run_is_not_run_here() {
    for (json, told) in [
        (SAMPLE.replace("\"$.InstanceARN\"", "\"$.Instance\""), "nothing is a $.Instance"),
        (SAMPLE.replace("\"60\"", "60").replace("\"True\"", "true"), "ContinueFlowExecution is not a text"),
        (SAMPLE.replace("\"NextAction\": \"clear\"", "\"NextAction\": \"log\""), "runs in a ring"),
        (SAMPLE.replace("UpdateFlowLoggingBehavior", "Sing"), "action type Sing is not rehearsed"),
        (SAMPLE.replace("\"StartAction\": \"log\"", "\"StartAction\": \"x\""), "no action x"),
        ("[]".to_owned(), "the flow is not an object"),
    ] {
        let refused = Flow::begin(&json, system()).and_then(|mut flow| flow.run()).expect_err(told);
        assert!(refused.to_string().contains(told), "{refused}");
    }
}
