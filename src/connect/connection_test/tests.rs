//! Every answer means what it should.

use std::time::Duration;

use super::*;
use crate::connection::{AccessKey, AssumedRole, session_name};

fn by_key() -> Connection {
    let instance = "arn:aws:connect:eu-west-2:111122223333:instance/abc".parse().expect("an ARN");
    let key = AccessKey { id: "AKIATEST".to_owned(), secret: "s3cret".to_owned() };
    Connection { instance, identity: Identity::Key(key), endpoint_url: None, private_networks: false }
}

fn by_role() -> Connection {
    let role = AssumedRole {
        arn: "arn:aws:iam::111122223333:role/bellhop".parse().expect("an ARN"),
        external_id: "bellhop-7f3a".to_owned(),
        session_name: session_name("acme"),
        caller: AccessKey { id: "AKIAOURS".to_owned(), secret: "s3cret".to_owned() },
        sts_region: None,
        sts_endpoint_url: None,
    };
    Connection { identity: Identity::Role(role), ..by_key() }
}

fn refused(status: u16, code: &str, message: &str, clock_ahead_s: Option<i64>) -> Answer {
    Answer::Refused(Refusal { status, code: code.to_owned(), message: message.to_owned(), clock_ahead_s })
}

const EXPIRED: &str =
    "Signature expired: 20261127T080000Z is now earlier than 20261127T081500Z (20261127T082000Z - 5 min.)";
const EARLY: &str =
    "Signature not yet current: 20261127T083000Z is still later than 20261127T082500Z (20261127T082000Z + 5 min.)";

#[test]
fn every_answer_to_a_write_has_its_cause() {
    for (status, code, message, ahead, label) in [
        (403, "UnrecognizedClientException", "", Some(0), "key_unknown"),
        (403, "InvalidClientTokenId", "", None, "key_unknown"),
        (
            403,
            "InvalidSignatureException",
            "The request signature we calculated does not match",
            Some(2),
            "secret_wrong",
        ),
        (403, "SignatureDoesNotMatch", "The request signature we calculated does not match", None, "secret_wrong"),
        (403, "InvalidSignatureException", EXPIRED, Some(-1200), "clock_off"),
        (403, "SignatureDoesNotMatch", EARLY, None, "clock_off"),
        (
            403,
            "InvalidSignatureException",
            "The request signature we calculated does not match",
            Some(301),
            "clock_off",
        ),
        (400, "RequestExpired", "", Some(-400), "clock_off"),
        (403, "AccessDeniedException", "", None, "denied"),
        (400, "InvalidActiveRegionException", "", None, "not_in_this_region"),
        (429, "TooManyRequestsException", "", None, "throttled"),
        (400, "ThrottlingException", "", None, "throttled"),
        (429, "", "", None, "throttled"),
        (404, "UnknownOperationException", "", None, "unexpected"),
        (404, "", "", None, "unexpected"),
        (500, "InternalServiceException", "", None, "unexpected"),
    ] {
        let cause = updated(&by_key(), &refused(status, code, message, ahead)).expect("refused");
        assert_eq!(cause.label(), label, "{status} {code} {message}");
        assert!(!cause.to_string().is_empty() && !cause.remedy().is_empty());
    }
}

#[test]
fn a_contact_that_is_not_found_is_leave_to_write() {
    for allowed in [
        Answer::Done,
        refused(404, "ResourceNotFoundException", "", None),
        refused(410, "ContactNotFoundException", "", None),
    ] {
        assert_eq!(updated(&by_key(), &allowed), None, "{allowed}");
    }
}

#[test]
fn an_instance_that_may_not_be_described_is_no_fault() {
    let seen = |answer: Answer, status| described(&by_key(), &answer, status);
    assert_eq!(seen(Answer::Done, Some("ACTIVE")), Ok(InstanceSeen::Active));
    assert_eq!(seen(refused(403, "AccessDeniedException", "", None), None), Ok(InstanceSeen::NotAllowed));
    let throttled = seen(refused(429, "TooManyRequestsException", "", None), None);
    assert_eq!(throttled, Ok(InstanceSeen::NotAnswered(Cause::Throttled)));
    let unknown = seen(refused(404, "ResourceNotFoundException", "", None), None).expect_err("not there");
    assert_eq!(unknown.to_string(), "account 111122223333 has no instance abc in eu-west-2");
    let failed = seen(Answer::Done, Some("CREATION_FAILED")).expect_err("not active");
    assert_eq!(failed.to_string(), "the instance is CREATION_FAILED, not ACTIVE");
}

#[test]
fn whoever_is_denied_gets_the_statement_to_paste() {
    let denied = updated(&by_key(), &refused(403, "AccessDeniedException", "", None)).expect("denied");
    let statement = r#"{"Effect": "Allow", "Action": "connect:UpdateContactAttributes", "Resource": "arn:aws:connect:eu-west-2:111122223333:instance/abc/contact/*"}"#;
    assert!(denied.remedy().contains(statement), "{}", denied.remedy());
}

#[test]
fn a_refused_role_gets_its_trust_policy_with_the_external_id_and_our_account() {
    let message =
        "User: arn:aws:iam::999988887777:user/bellhop is not authorized to perform: sts:AssumeRole on resource: x";
    let cause = not_assumed(&by_role(), &refused(403, "AccessDenied", message, None));
    assert_eq!(cause.label(), "role_refused");
    let remedy = cause.remedy();
    let policy = remedy.split_once("trust policy: ").and_then(|(_, rest)| rest.split_once(". The")).expect("there").0;
    let policy: serde_json::Value = serde_json::from_str(policy).expect("JSON");
    let statement = &policy["Statement"][0];
    assert_eq!(statement["Condition"]["StringEquals"]["sts:ExternalId"], "bellhop-7f3a");
    assert_eq!(statement["Principal"]["AWS"], "arn:aws:iam::999988887777:root");
    let silent = not_assumed(&by_role(), &refused(403, "AccessDenied", "no", None));
    assert!(silent.remedy().contains("arn:aws:iam::BELLHOP_ACCOUNT:root"), "who we are was not told");
}

#[test]
fn a_clock_is_ahead_or_behind() {
    let told = |ahead_s| Cause::ClockOff { ahead_s }.to_string();
    assert_eq!(told(Some(400)), "this server's clock is 400 s ahead of Amazon's");
    assert_eq!(told(Some(-1200)), "this server's clock is 1200 s behind Amazon's");
    assert_eq!(told(None), "this server's clock is off by more than 300 s");
}

#[test]
fn whoever_is_not_reached_is_named_without_what_may_be_a_password() {
    let nobody = Answer::Nothing(Unreached::NoAnswer { within: Duration::from_secs(4) });
    let told = |connection: &Connection, action| cause::of(connection, action, &nobody).to_string();
    let update = Action::UpdateContactAttributes;
    assert_eq!(told(&by_key(), update), "Amazon Connect in eu-west-2 did not answer within 4 s");
    assert_eq!(told(&by_role(), Action::AssumeRole), "STS in eu-west-2 did not answer within 4 s");
    let url = Some("https://user:pw@connect.example:8443/path".to_owned());
    let elsewhere = Connection { endpoint_url: url, ..by_key() };
    assert_eq!(told(&elsewhere, update), "connect.example:8443 did not answer within 4 s");
}

#[test]
fn no_text_of_a_stranger_s_is_shown() {
    let odd = refused(418, "Teapot<script>", "s3cret words", None);
    let cause = updated(&by_key(), &odd).expect("refused");
    assert_eq!(cause.to_string(), "Amazon answered 418 Teapot");
    assert!(!format!("{odd:?} {odd} {cause:?} {}", cause.remedy()).contains("s3cret"));
}
