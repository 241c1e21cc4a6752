//! Assistants, services and integrations.

use super::*;

pub(super) const SCRIPT: &str =
    "start: hi\nsteps:\n  hi: {respond: [{response_type: text, text: Hi.}], otherwise: hi}\n";
const INSTANCE: &str = "arn:aws:connect:eu-west-2:111122223333:instance/abc";

/// An integration with its parts: its answer.
pub(super) async fn furnish(house: &House, who: &str, name: &str) -> Answer {
    let (assistant, services) = parts(house, who, name).await;
    let settings = json!({
        "assistant": [assistant], "speech_to_text": [services[0]], "text_to_speech": [services[1]],
        "connect": {"instance_arn": INSTANCE, "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s3cret-key"},
    });
    let made = house.post(who, "/integrations", json!({"name": name, "settings": settings})).await;
    assert_eq!(made.status, 201, "{made:?}");
    made
}

async fn parts(house: &House, who: &str, name: &str) -> (String, [String; 2]) {
    let settings = json!({"kind": "scripted", "script_text": SCRIPT});
    let assistant = house.post(who, "/assistants", json!({"name": name, "settings": settings})).await;
    assert_eq!(assistant.status, 201, "{assistant:?}");
    let mut services = vec![];
    for (port, kind) in [("speech_to_text", "counting"), ("text_to_speech", "flite")] {
        let body = json!({"name": format!("{name} {port}"), "settings": {"port": port, "kind": kind}});
        services.push(house.post(who, "/services", body).await.id());
    }
    (assistant.id(), [services[0].clone(), services[1].clone()])
}

#[actix_web::test]
async fn a_secret_goes_in_and_never_comes_out() {
    let house = House::new().await;
    let made = furnish(&house, "admin", "phone").await;
    let path = format!("/integrations/{}", made.id());
    let shown = house.get("viewer", &path).await;
    assert!(!shown.text.contains("s3cret") && !shown.text.contains("kept:"), "{}", shown.text);
    let hints = shown.body["secrets"].as_array().expect("hints");
    let told: Vec<(&str, &Value)> =
        hints.iter().map(|hint| (hint["path"].as_str().expect("a path"), &hint["last_four"])).collect();
    assert_eq!(told, [("connect.access_key_id", &json!("MPLE")), ("connect.secret_access_key", &Value::Null)]);
    let renamed = house.patch("admin", &path, shown.etag(), json!({"name": "line"})).await;
    assert_eq!((renamed.status, renamed.body["secrets"].as_array().map(Vec::len)), (200, Some(2)), "{renamed:?}");
    let place = json!({"settings": {"connect": {"secret_access_key": "kept:connect.access_key_id"}}});
    let refused = house.patch("admin", &path, renamed.etag(), place).await;
    assert_eq!((refused.status, refused.faults()[0].0.as_str()), (422, "#/settings/connect/secret_access_key"));
    let file = json!({"settings": {"connect": {"secret_access_key": "file:/etc/shadow"}}});
    let refused = house.patch("admin", &path, renamed.etag(), file).await;
    assert!(refused.status == 422 && refused.faults()[0].1.contains("a place on the server"), "{refused:?}");
    let newer = json!({"settings": {"connect": {"secret_access_key": "n3wer-key"}}});
    let changed = house.patch("admin", &path, renamed.etag(), newer).await;
    assert!(changed.status == 200 && !changed.text.contains("n3wer"), "{changed:?}");
    let without = json!({"settings": {"connect": null}});
    let changed = house.patch("admin", &path, changed.etag(), without).await;
    assert_eq!((changed.status, &changed.body["secrets"]), (200, &json!([])), "{changed:?}");
}

/// What somebody sets up step by step, with a night between two.
#[actix_web::test]
async fn a_draft_is_judged_by_what_it_says_and_completed_whole_or_not_at_all() {
    let house = House::new().await;
    let (assistant, services) = parts(&house, "admin", "phone").await;
    let draft = house.post("admin", "/drafts", json!({"name": "line", "settings": {}})).await;
    assert_eq!(draft.status, 201, "{draft:?}");
    let path = format!("/drafts/{}", draft.id());
    let bad = json!({"settings": {"sip": {"sources": ["x"]}, "connect": {}, "assistant": ["nobody"], "nam": 1}});
    let refused = house.patch("admin", &path, draft.etag(), bad).await;
    let mut pointers: Vec<_> = refused.faults().into_iter().map(|(pointer, _)| pointer).collect();
    pointers.sort();
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_eq!(pointers, ["#/settings/assistant/0", "#/settings/nam", "#/settings/sip/sources/0"]);
    let connect = json!({"instance_arn": INSTANCE, "access_key_id": "AKIAIOSFODNN7EXAMPLE"});
    let said = json!({"settings": {"assistant": [assistant], "connect": connect}});
    let half = house.patch("admin", &path, draft.etag(), said).await;
    assert_eq!((half.status, &half.body["secrets"][0]["last_four"]), (200, &json!("MPLE")), "{half:?}");
    assert_eq!(house.get("admin", "/integrations").await.body["items"], json!([]), "it is none");
    let complete = async |seen: &str| {
        let asked = of("admin", Method::POST, &format!("{path}/complete")).insert_header(("If-Match", seen));
        house.ask(asked).await
    };
    let lacks = complete(half.etag()).await;
    assert!(lacks.status == 422 && lacks.text.contains("secret_access_key"), "{lacks:?}");
    assert!(lacks.text.contains("text_to_speech"), "everything that it lacks is told at once: {lacks:?}");
    let key = json!({"settings": {"connect": {"secret_access_key": "s3cret-key"}, "speech_to_text": [services[0]], "text_to_speech": [services[1]]}});
    let whole = house.patch("admin", &path, half.etag(), key).await;
    assert_eq!(whole.status, 200, "{whole:?}");
    let tested = house.ask(of("admin", Method::POST, &format!("{path}/test-connection"))).await;
    assert_eq!((tested.status, &tested.body["valid"]), (200, &json!(true)), "{tested:?}");
    assert_eq!(complete(half.etag()).await.status, 412, "somebody else was first");
    let made = complete(whole.etag()).await;
    assert_eq!((made.status, made.id()), (200, draft.id()), "{made:?}");
    let shown = house.get("viewer", &format!("/integrations/{}", made.id())).await;
    assert_eq!((&shown.body["tested"]["good"], &shown.body["name"]), (&json!(true), &json!("line")), "{shown:?}");
    assert!(!shown.text.contains("s3cret"));
    assert_eq!(house.get("admin", &path).await.status, 404, "it is a draft no more");
    assert_eq!(complete(whole.etag()).await.status, 404);
}

/// Who could choose it could have us assume a role that trusts us for somebody else.
#[actix_web::test]
async fn an_external_id_is_the_tenants_own() {
    let house = House::new().await;
    let by_role = |external_id: String| {
        let connect = json!({"instance_arn": INSTANCE, "role_arn": "arn:aws:iam::111122223333:role/r", "external_id": external_id});
        json!({"name": "line", "settings": {"connect": connect}})
    };
    let stolen = house.post("admin", "/drafts", by_role(format!("bellhop-{}", house.other))).await;
    assert_eq!((stolen.status, stolen.faults()[0].0.as_str()), (422, "#/settings/connect/external_id"), "{stolen:?}");
    assert_eq!(house.post("admin", "/drafts", by_role("chosen".into())).await.status, 422);
    assert_eq!(house.post("admin", "/drafts", by_role(format!("bellhop-{}", house.acme))).await.status, 201);
}

/// What REST promises of a name is what the store takes.
#[actix_web::test]
async fn a_name_is_as_long_as_it_is_promised_to_be() {
    let house = House::new().await;
    let document = house.get("admin", "/openapi.json").await.body;
    let most = &document["components"]["schemas"]["NewSettings"]["properties"]["name"]["maxLength"];
    let most = most.as_u64().expect("it is told") as usize;
    let named = |length: usize| json!({"name": "é".repeat(length), "settings": {}});
    assert_eq!(house.post("admin", "/drafts", named(most)).await.status, 201);
    let longer = house.post("admin", "/drafts", named(most + 1)).await;
    assert_eq!((longer.status, longer.faults()[0].0.as_str()), (422, "#/name"), "{longer:?}");
}

#[actix_web::test]
async fn the_flow_of_an_integration_is_written_once_its_parts_are_known() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await;
    let (path, flow) = (format!("/integrations/{}", line.id()), format!("/integrations/{}/flow", line.id()));
    let lacks = house.get("viewer", &flow).await;
    let pointers: Vec<_> = lacks.faults().into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(pointers, ["#/settings/flow/voice_connector_arn", "#/settings/flow/queue_arn"], "{lacks:?}");
    let queue = format!("{INSTANCE}/queue/q1");
    let parts = json!({"voice_connector_arn": "arn:aws:chime:eu-west-2:111122223333:vc/v1", "queue_arn": queue});
    let told = house.patch("admin", &path, line.etag(), json!({"settings": {"flow": parts}})).await;
    assert_eq!(told.status, 200, "{told:?}");
    let written = house.get("viewer", &flow).await;
    assert_eq!((written.status, &written.body["Version"]), (200, &json!("2019-10-30")), "{written:?}");
    assert!(written.text.contains("\"arn:aws:chime:eu-west-2:111122223333:vc/v1\"") && written.text.contains(&queue));
    assert!(written.text.contains("https://bellhop.example/loadAgentAppFrame.html?session_history_key\""));
    assert!(written.headers["content-disposition"].contains("bellhop-flow.json"));
    let legacy = house.get("viewer", &format!("{flow}?format=legacy")).await;
    assert_eq!(
        (legacy.status, &legacy.body["version"], &legacy.body["type"]),
        (200, &json!("1"), &json!("contactFlow"))
    );
    assert!(legacy.text.contains(&queue) && legacy.headers["content-disposition"].contains("bellhop-flow-legacy.json"));
    assert_eq!(house.get("viewer", &format!("{flow}?format=yaml")).await.status, 400);
    let other = json!({"settings": {"flow": {"voice_connector_type": "CallTransferConnector"}}});
    assert_eq!(house.patch("admin", &path, told.etag(), other).await.status, 200);
    assert!(house.get("viewer", &flow).await.text.contains("\"CallTransferConnector\""));
}

#[actix_web::test]
async fn a_flow_is_checked_for_an_integration_and_kept_nowhere() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await;
    let path = format!("/integrations/{}/flow/check", line.id());
    let theirs: Value =
        serde_json::from_str(include_str!("../../../../tests/golden/flows/vendor_sample_shape_legacy.json"))
            .expect("JSON");
    let checked = house.post("viewer", &path, theirs.clone()).await;
    let findings = checked.body["findings"].as_array().expect("a list");
    assert_eq!((checked.status, &checked.body["good"]), (200, &json!(false)), "{checked:?}");
    let lost: Vec<_> = findings.iter().filter(|found| found["code"] == "flow_caller_lost").collect();
    assert_eq!(lost.len(), 4, "{findings:?}");
    assert_eq!((&lost[0]["block_name"], &lost[0]["field"]), (&json!("Transfer to phone number"), &json!("CallFailed")));
    assert!(lost[0]["remedy"].as_str().is_some_and(|remedy| remedy.contains("queue")), "{lost:?}");
    assert!(
        findings.iter().any(|found| found["code"] == "flow_arn_foreign"),
        "the instance of the integration is known"
    );
    let queue = format!("{INSTANCE}/queue/q1");
    let parts = json!({"voice_connector_arn": "arn:aws:chime:eu-west-2:111122223333:vc/v1", "queue_arn": queue});
    let integration = format!("/integrations/{}", line.id());
    let told = house.patch("admin", &integration, line.etag(), json!({"settings": {"flow": parts}})).await;
    assert_eq!(told.status, 200, "{told:?}");
    for format in ["2019-10-30", "legacy"] {
        let own = house.get("viewer", &format!("/integrations/{}/flow?format={format}", line.id())).await;
        let checked = house.post("viewer", &path, own.body).await;
        assert_eq!(checked.body, json!({"good": true, "findings": []}), "{format}");
    }
    let mut broken = theirs;
    broken["modules"][2]["branches"] = json!(7);
    let refused = house.post("viewer", &path, broken).await;
    assert_eq!((refused.status, refused.faults()[0].0.as_str()), (422, "#/modules/2/branches"), "{refused:?}");
    assert_eq!(house.post("viewer", &path, json!({})).await.status, 422);
}

#[actix_web::test]
async fn mistakes_are_told_at_once_by_pointer_and_in_the_words_of_the_file() {
    let house = House::new().await;
    let (assistant, services) = parts(&house, "admin", "phone").await;
    let bad = json!({
        "assistant": [assistant], "speech_to_text": [services[1]], "text_to_speech": ["nobody"],
        "nam": 1, "max_calls": 7, "sip": {"sources": ["x"], "failure_target": "sip:a@b"},
    });
    let refused = house.post("admin", "/integrations", json!({"name": "x", "settings": bad})).await;
    let faults = refused.faults();
    let at =
        |pointer: &str| faults.iter().find(|(at, _)| at == pointer).map(|(_, why)| why.as_str()).unwrap_or_default();
    assert_eq!(refused.status, 422);
    assert_eq!(at("#/settings/max_calls"), "is the plan's to say: leave it out");
    assert_eq!(at("#/settings/speech_to_text/0"), "is a service of another port than speech_to_text");
    assert_eq!(at("#/settings/text_to_speech/0"), "`nobody` is no service of this tenant");
    assert_eq!(at("#/settings/sip/failure_target"), "goes nowhere here");
    assert!(at("#/settings/nam").starts_with("is not a known key"), "{faults:?}");
    let kind = house
        .post("admin", "/services", json!({"name": "y", "settings": {"port": "text_to_speech", "kind": "siri"}}))
        .await;
    assert_eq!((kind.status, kind.faults()[0].0.as_str()), (422, "#/settings/kind"));
    let none = house.post("admin", "/services", json!({"name": "y"})).await;
    assert_eq!((none.status, none.faults()[0].0.as_str()), (422, "#/settings"));
    let twice = house
        .post("admin", "/assistants", json!({"name": "phone", "settings": {"kind": "scripted", "script_text": SCRIPT}}))
        .await;
    assert_eq!(twice.status, 409, "{twice:?}");
}

#[actix_web::test]
async fn a_part_is_judged_with_each_integration_that_uses_it_and_stays_while_one_does() {
    let house = House::new().await;
    let integration = furnish(&house, "admin", "phone").await;
    let speaks = integration.body["settings"]["text_to_speech"][0].as_str().expect("an id").to_owned();
    let path = format!("/services/{speaks}");
    let service = house.get("admin", &path).await;
    let moved = json!({"settings": {"port": "speech_to_text", "kind": "counting"}});
    let refused = house.patch("admin", &path, service.etag(), moved).await;
    assert!(refused.status == 422 && refused.faults()[0].1.contains("in the integration `phone`"), "{refused:?}");
    let used = house.delete("admin", &path, service.etag()).await;
    assert_eq!(used.status, 409, "{used:?}");
    let line = format!("/integrations/{}", integration.id());
    assert_eq!(house.delete("admin", &line, integration.etag()).await.status, 204);
    assert_eq!(house.delete("admin", &path, service.etag()).await.status, 204);
}

#[actix_web::test]
async fn nothing_of_anothers_is_used_and_a_plan_without_contact_center_hands_nothing_over() {
    let house = House::new().await;
    let (assistant, services) = parts(&house, "stranger", "theirs").await;
    let settings = json!({"assistant": [assistant], "speech_to_text": [services[0]], "text_to_speech": [services[1]]});
    let refused = house.post("admin", "/integrations", json!({"name": "x", "settings": settings})).await;
    assert_eq!((refused.status, refused.faults().len()), (422, 3), "{refused:?}");
    let for_them = house.post("admin", &format!("/integrations?tenant={}", house.other), json!({})).await;
    assert_eq!(for_them.status, 404);
    let unnamed = house.post("operator", "/assistants", json!({"name": "x", "settings": {}})).await;
    assert_eq!(unnamed.status, 400, "an operator says for whom");
    let tenant = house.get("operator", &format!("/tenants/{}", house.acme)).await;
    let path = format!("/tenants/{}", house.acme);
    assert_eq!(house.patch("operator", &path, tenant.etag(), json!({"plan": "trial"})).await.status, 200);
    let (assistant, services) = parts(&house, "admin", "phone").await;
    let settings = json!({
        "assistant": [assistant], "speech_to_text": [services[0]], "text_to_speech": [services[1]],
        "connect": {"instance_arn": INSTANCE, "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s3cret-key"},
    });
    let refused = house.post("admin", "/integrations", json!({"name": "x", "settings": settings})).await;
    assert!(refused.status == 422 && refused.faults()[0].1.contains("has no contact center"), "{refused:?}");
}

#[actix_web::test]
async fn which_nodes_serve_an_integration_is_told() {
    use bellhop_tenancy::store::{AppliedBy, ChangeFeed, NodeSays, NotApplied};
    let house = House::new().await;
    let made = furnish(&house, "admin", "phone").await;
    let path = format!("/integrations/{}/applied", made.id());
    let change = house.store.newest_change().await.expect("a number");
    let node = |node: &str, change, why: &[&str]| {
        let integration = made.id().parse().expect("an id");
        let not = NotApplied { integration, why: why.iter().map(|why| (*why).to_owned()).collect() };
        let not_applied = if why.is_empty() { vec![] } else { vec![not] };
        AppliedBy { node: node.into(), change, not_applied, says: NodeSays::default() }
    };
    for applied in [node("a", change, &[]), node("b", change, &["no voice"]), node("c", change - 1, &[])] {
        house.store.note_applied(applied).await.expect("noted");
    }
    let told = house.get("viewer", &path).await.body;
    assert_eq!(told["applied"]["told"], "2 of 3 nodes");
    assert_eq!(told["not_applied"], json!([{"node": "b", "why": ["no voice"]}]));
}
