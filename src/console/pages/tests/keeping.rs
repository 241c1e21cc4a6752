//! What is changed once it is set up: speech services, what an integration is called, its end, and one's own password.

use super::*;

#[actix_web::test]
async fn speech_services_are_made_tested_changed_and_deleted_on_pages() {
    let house = House::new().await;
    let (tenant, settings) = house.furnished("acme").await;
    house.integration(&tenant, "Main line", &settings).await;
    let mut admin = house.browser_of("admin", of(tenant.parse().expect("an id"), TenantRole::Admin)).await;
    let list = format!("/tenants/{tenant}/services");
    admin.opens(&house, &list).await;
    assert!(admin.status == 200 && admin.text.contains("<td>Main line</td>"), "{}", admin.text);
    let new = format!("{list}/speech-to-text");
    assert!(admin.links().contains(&new), "{:?}", admin.links());
    admin.opens(&house, &new).await;
    let bad = [("make", "worker"), ("called", "Ears"), ("url", "not an address")];
    admin.sends(&house, &new, &bad).await;
    assert!(admin.status == 422 && admin.text.contains("id=\"fault-url\""), "{}", admin.text);
    assert!(admin.text.contains("<a href=\"#url\">URL</a>"), "in people's words: {}", admin.text);
    let typed = [("make", "worker"), ("called", "Ears"), ("url", "wss://ears.example/"), ("token", "s3cret-ears")];
    admin.sends(&house, &new, &typed).await;
    assert!(admin.status == 200 && admin.path.starts_with(&format!("{list}/")), "{} {}", admin.path, admin.text);
    assert!(admin.text.contains("When it was tested: "), "{}", admin.text);
    let (one, id) = (admin.path.clone(), admin.path.rsplit('/').next().expect("an id").to_owned());
    let keeps = async |browser: &mut Browser, typed: &[(&str, &str)]| {
        let revision = browser.hidden("revision").expect("one");
        browser.sends(&house, &one, &[typed, &[("revision", &revision)]].concat()).await;
    };
    keeps(&mut admin, &[("name", "Better ears"), ("url", "wss://other.example/"), ("token", "")]).await;
    assert!(admin.status == 422 && admin.text.contains("id=\"fault-token\""), "another host: {}", admin.text);
    keeps(&mut admin, &[("name", "Better ears"), ("url", "wss://ears.example/two"), ("token", "")]).await;
    assert!(admin.status == 200 && admin.text.contains("It was not tested as it is."), "{}", admin.text);
    let kept = house.asks(Inquiry::get(format!("/services/{id}"))).await;
    assert_eq!((&kept["name"], &kept["settings"]["url"]), (&json!("Better ears"), &json!("wss://ears.example/two")));
    assert_eq!(kept["secrets"].as_array().map(Vec::len), Some(1), "the token stays");
    keeps(&mut admin, &[("do", "test"), ("name", "Better ears")]).await;
    assert!(admin.status == 200 && admin.text.contains("When it was tested: "), "{}", admin.text);
    keeps(&mut admin, &[("do", "delete")]).await;
    assert!(admin.status == 200 && admin.path == list && !admin.text.contains("ears"), "{}", admin.text);
    let used = settings["text_to_speech"][0].as_str().expect("one");
    let used = format!("{list}/{used}");
    admin.opens(&house, &used).await;
    let revision = admin.hidden("revision").expect("one");
    admin.sends(&house, &used, &[("do", "delete"), ("revision", &revision)]).await;
    assert!(admin.status == 409 && admin.text.contains("Main line"), "who uses it is told: {}", admin.text);
    let mut viewer = house.browser_of("viewer", of(tenant.parse().expect("an id"), TenantRole::Viewer)).await;
    viewer.opens(&house, &used).await;
    assert!(viewer.status == 200 && !viewer.text.contains("value=\"delete\""), "{}", viewer.text);
    viewer.opens(&house, &new).await;
    assert_eq!(viewer.status, 403);
}

#[actix_web::test]
async fn an_integration_is_called_otherwise_and_deleted_by_who_types_its_name() {
    let house = House::new().await;
    let (tenant, settings) = house.furnished("acme").await;
    let integration = house.integration(&tenant, "Main line", &settings).await;
    let mut admin = house.browser_of("admin", of(tenant.parse().expect("an id"), TenantRole::Admin)).await;
    let page = format!("/tenants/{tenant}/integrations/{integration}/settings/name");
    admin.opens(&house, &page).await;
    let sends = async |browser: &mut Browser, typed: &[(&str, &str)]| {
        let revision = browser.hidden("revision").expect("one");
        browser.sends(&house, &page, &[typed, &[("revision", &revision)]].concat()).await;
    };
    sends(&mut admin, &[("do", "keep"), ("name", "")]).await;
    assert!(admin.status == 422 && admin.text.contains("id=\"fault-name\""), "{}", admin.text);
    sends(&mut admin, &[("do", "keep"), ("name", "Front line")]).await;
    assert!(admin.status == 200 && admin.text.contains("Settings of Front line"), "{}", admin.text);
    sends(&mut admin, &[("do", "delete"), ("sure", "Main line")]).await;
    assert!(admin.status == 422 && admin.text.contains("id=\"fault-sure\""), "{}", admin.text);
    sends(&mut admin, &[("do", "delete"), ("sure", "Front line")]).await;
    assert!(admin.status == 200 && admin.path.ends_with("/integrations"), "{} {}", admin.path, admin.text);
    assert!(!admin.text.contains("Front line"), "{}", admin.text);
    admin.opens(&house, &page).await;
    assert_eq!(admin.status, 404);
}

#[actix_web::test]
async fn whoever_has_a_password_changes_it_on_a_page() {
    let house = House::new().await;
    let mut browser = house.browser_of("root", Standing::Operator).await;
    assert!(browser.links().contains(&"/password".to_owned()), "{:?}", browser.links());
    browser.opens(&house, "/password").await;
    let newer = "a longer one that nobody has";
    for (current, password, field) in [("wrong", newer, "current_password"), (PASSWORD, "short", "password")] {
        browser.sends(&house, "/password", &[("current_password", current), ("password", password)]).await;
        assert!(browser.status == 422 && browser.text.contains(&format!("id=\"fault-{field}\"")), "{}", browser.text);
        assert!(!browser.text.contains(&format!("value=\"{password}\"")), "nothing of it is shown");
    }
    browser.sends(&house, "/password", &[("current_password", PASSWORD), ("password", newer)]).await;
    assert!(browser.status == 200 && browser.text.contains("It is kept."), "{}", browser.text);
    browser.sends(&house, "/sign-out", &[]).await;
    browser.opens(&house, "/password").await;
    assert_eq!((browser.path.as_str(), browser.hidden("return_to").as_deref()), ("/sign-in", Some("/password")));
    for (password, status) in [(PASSWORD, 401), (newer, 200)] {
        let typed = [("login", "root"), ("password", password), ("return_to", "/tenants")];
        browser.sends(&house, "/sign-in", &typed).await;
        assert_eq!(browser.status, status, "{}", browser.text);
    }
    let mut stranger = Browser::default();
    stranger.sends(&house, "/password", &[("current_password", newer), ("password", PASSWORD)]).await;
    assert_eq!(stranger.status, 401);
}

/// Who comes back later goes on where they were, and not at the beginning.
#[actix_web::test]
async fn a_draft_goes_on_at_the_first_step_that_is_not_done() {
    let house = House::new().await;
    let (tenant, settings) = house.furnished("acme").await;
    let draft = json!({"name": "Line", "settings": {"assistant": settings["assistant"], "connect": {}}});
    let draft = id_of(&house.asks(Inquiry::post_json(format!("/drafts?tenant={tenant}"), draft)).await);
    let mut admin = house.browser_of("admin", of(tenant.parse().expect("an id"), TenantRole::Admin)).await;
    admin.opens(&house, &format!("/tenants/{tenant}/integrations")).await;
    let account = format!("/tenants/{tenant}/drafts/{draft}/account");
    assert!(admin.links().contains(&account), "{:?}", admin.links());
    admin.opens(&house, &account).await;
    let endpoint = [("endpoint_url", "https://vpce-1.connect.eu-west-2.vpce.amazonaws.com")];
    let key = [("access_key_id", "AKIAIOSFODNN7EXAMPLE"), ("secret_access_key", "s3cret-key")];
    let arn = [("instance_arn", "arn:aws:connect:eu-west-2:111122223333:instance/abc"), ("by", "key"), ("do", "test")];
    admin.sends(&house, &account, &[&endpoint[..], &key, &arn].concat()).await;
    assert!(admin.status == 200 && admin.text.contains(endpoint[0].1), "{}", admin.text);
    let kept = house.asks(Inquiry::get(format!("/drafts/{draft}"))).await;
    assert_eq!(kept["settings"]["connect"]["endpoint_url"], endpoint[0].1);
    let blank = [("endpoint_url", "https://elsewhere.example"), ("access_key_id", ""), ("secret_access_key", "")];
    admin.sends(&house, &account, &[&blank[..], &arn].concat()).await;
    assert!(admin.status == 422 && admin.text.contains("id=\"fault-secret_access_key\""), "{}", admin.text);
}
