//! The Amazon side of an integration as code.

use super::documents::furnish;
use super::*;

const KINDS: [(&str, &str, &str); 3] = [
    ("terraform", "text/plain", "bellhop.tf"),
    ("cloudformation", "application/yaml", "bellhop-cloudformation.yaml"),
    ("shell", "text/x-shellscript", "bellhop.sh"),
];

#[actix_web::test]
async fn the_amazon_side_is_written_as_code_with_what_an_integration_says() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await;
    let path = format!("/integrations/{}", line.id());
    let of_queue = "arn:aws:connect:eu-west-2:111122223333:instance/abc/queue/q1";
    for (kind, media_type, file) in KINDS {
        let code = house.get("viewer", &format!("{path}/deployment/{kind}")).await;
        assert_eq!(code.status, 200, "{code:?}");
        assert!(code.headers["content-type"].starts_with(media_type), "{:?}", code.headers);
        assert!(code.headers["content-disposition"].contains(file), "{:?}", code.headers);
        for value in
            ["sip.bellhop.example", "instance/abc", "bellhop-phone", "https://bellhop.example/loadAgentAppFrame"]
        {
            assert!(code.text.contains(value), "{value}: {}", code.text);
        }
        assert!(!code.text.contains("s3cret") && !code.text.contains("AKIA") && !code.text.contains(of_queue));
    }
    let flow = json!({"settings": {"flow": {"queue_arn": of_queue}}});
    assert_eq!(house.patch("admin", &path, line.etag(), flow).await.status, 200);
    for (kind, ..) in KINDS {
        let code = house.get("viewer", &format!("{path}/deployment/{kind}")).await;
        assert!(code.text.contains(of_queue), "{}", code.text);
    }
    assert_eq!(house.get("viewer", &format!("{path}/deployment/pulumi")).await.status, 404);
    assert_eq!(house.get("agent", &format!("{path}/deployment/shell")).await.status, 403);
}

/// A trunk has no Amazon side.
#[actix_web::test]
async fn an_integration_without_an_instance_is_told_what_it_lacks() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await;
    let path = format!("/integrations/{}", line.id());
    let without = house.patch("admin", &path, line.etag(), json!({"settings": {"connect": null}})).await;
    assert_eq!(without.status, 200, "{without:?}");
    let told = house.get("viewer", &format!("{path}/deployment/terraform")).await;
    assert_eq!((told.status, told.faults()[0].0.as_str()), (422, "#/settings/connect/instance_arn"), "{told:?}");
}
