//! Where calls are sent to, and what a recognizer has of its own, as the wizard asks it.

use bellhop_tenancy::store::{AppliedBy, ChangeFeed, NodeSays};

use super::*;

async fn draft_of(house: &House, settings: Value) -> (String, Browser, String) {
    let (tenant, _) = house.furnished("acme").await;
    let made = json!({"name": "Line", "settings": settings});
    let draft = id_of(&house.asks(Inquiry::post_json(format!("/drafts?tenant={tenant}"), made)).await);
    let admin = house.browser_of("admin", of(tenant.parse().expect("an id"), TenantRole::Admin)).await;
    (tenant.clone(), admin, format!("/tenants/{tenant}/drafts/{draft}"))
}

#[actix_web::test]
async fn each_server_has_a_row_to_copy_and_a_name_of_ones_own_takes_their_place() {
    let house = House::new().await;
    let (_, mut browser, draft) = draft_of(&house, json!({})).await;
    let node = async |name: &str, host: &str| {
        let says = NodeSays { sip_host: Some(host.into()), sip_port: 5061, ..NodeSays::default() };
        let applied = AppliedBy { node: name.into(), change: 1, not_applied: vec![], says };
        house.store.note_applied(applied).await.expect("noted");
    };
    node("a:1", "one.example").await;
    browser.opens(&house, &format!("{draft}/sip-address")).await;
    assert!(!browser.text.contains("A route for each server"), "one place: {}", browser.text);
    node("b:1", "two.example").await;
    browser.opens(&house, &format!("{draft}/sip-address")).await;
    for host in ["one.example", "two.example"] {
        assert!(browser.text.contains(&format!("value=\"{host}\" readonly")), "{host}: {}", browser.text);
    }
    let patch = json!({"settings": {"sip": {"server_name": "acme.example"}}});
    let path = format!("/drafts/{}", draft.rsplit('/').next().expect("an id"));
    house.asks(Inquiry::patch(path, 1, patch)).await;
    browser.opens(&house, &format!("{draft}/sip-address")).await;
    assert!(
        browser.text.contains("value=\"acme.example\"") && !browser.text.contains("two.example"),
        "{}",
        browser.text
    );
}

#[actix_web::test]
async fn a_custom_model_must_be_hosted_where_the_service_is() {
    let house = House::new().await;
    let (tenant, mut browser, draft) = draft_of(&house, json!({})).await;
    let url = "https://api.eu-de.speech-to-text.watson.cloud.ibm.com/instances/1";
    let made = json!({"name": "W", "settings": {
        "port": "speech_to_text", "kind": "watson", "url": url, "api_key": "s3cret-ears",
    }});
    let service = id_of(&house.asks(Inquiry::post_json(format!("/services?tenant={tenant}"), made)).await);
    let step = format!("{draft}/speech-to-text");
    browser.opens(&house, &step).await;
    assert!(browser.text.contains("can be chosen once a service"), "{}", browser.text);
    browser.sends(&house, &step, &[("do", "select"), ("service", &service)]).await;
    assert!(browser.text.contains("Custom language model"), "{}", browser.text);
    let sends = async |browser: &mut Browser, model: &str| {
        let typed = [("do", "next"), ("service", &*service), ("custom_of", &*service), ("custom_model", model)];
        browser.sends(&house, &step, &[&typed[..], &[("grammar", "digits")]].concat()).await;
    };
    let elsewhere = "https://api.us-south.speech-to-text.watson.cloud.ibm.com/v1/customizations/74f4";
    sends(&mut browser, elsewhere).await;
    assert!(browser.status == 422 && browser.text.contains("must be hosted where the service is"), "{}", browser.text);
    assert!(browser.text.contains("id=\"fault-custom_model\"") && browser.text.contains(elsewhere), "{}", browser.text);
    sends(&mut browser, &elsewhere.replace("us-south", "eu-de")).await;
    assert!(browser.path.ends_with("/text-to-speech"), "{} {}", browser.path, browser.text);
    let kept = house.asks(Inquiry::get(format!("/services/{service}"))).await;
    let parameters = json!({"language_customization_id": "74f4", "grammar_name": "digits"});
    assert_eq!(kept["settings"]["parameters"], parameters);
}
