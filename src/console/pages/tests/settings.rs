//! The settings of an integration, tab by tab.

use super::*;

const ARN: &str = "arn:aws:connect:eu-west-2:111122223333:instance/abc";

/// An integration of a tenant, and who sets it up; the path of its settings.
async fn settings_of(house: &House, more: Value) -> (Browser, String, String) {
    let (tenant, mut settings) = house.furnished("acme").await;
    for (key, value) in more.as_object().expect("sections") {
        settings[key] = value.clone();
    }
    let integration = house.integration(&tenant, "Main line", &settings).await;
    let admin = house.browser_of("admin", of(tenant.parse().expect("an id"), TenantRole::Admin)).await;
    (admin, format!("/tenants/{tenant}/integrations/{integration}/settings"), integration)
}

fn connect() -> Value {
    json!({"connect": {
        "instance_arn": ARN, "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s3cret-key",
    }})
}

/// Sends what is typed into the tab that is shown, with all that it shows.
async fn keeps(browser: &mut Browser, house: &House, typed: &[(&str, &str)]) {
    let (path, revision) = (browser.path.clone(), browser.hidden("revision").expect("one"));
    let all: Vec<_> = [("do", "keep"), ("revision", &*revision)].into_iter().chain(typed.iter().copied()).collect();
    browser.sends(house, &path, &all).await;
}

#[actix_web::test]
async fn every_tab_is_reached_from_the_integrations_and_a_mistake_is_tied_to_its_field() {
    let house = House::new().await;
    let (mut browser, settings, integration) = settings_of(&house, connect()).await;
    let integrations = settings.split(&format!("/{integration}")).next().expect("a list").to_owned();
    browser.opens(&house, &integrations).await;
    assert!(browser.links().contains(&settings), "{:?}", browser.links());
    browser.opens(&house, &settings).await;
    let tabs: Vec<String> = browser.links().into_iter().filter(|link| link.starts_with(&settings)).collect();
    assert_eq!(tabs.len(), 10, "{tabs:?}");
    for tab in &tabs {
        browser.opens(&house, tab).await;
        assert!(browser.status == 200 && browser.text.contains("aria-current=\"page\""), "{tab}: {}", browser.text);
    }
    browser.opens(&house, &format!("{settings}/advanced")).await;
    for told in ["At most 150 characters.", "As usual: On", "value=\"required\"", "Call transfer to an agent failed."] {
        assert!(browser.text.contains(told), "{told}: {}", browser.text);
    }
    let (long, message) = ("x".repeat(151), "sip.transfer_failure_message");
    keeps(&mut browser, &house, &[(message, &long), ("sip.transfer_targets", "pbx.example.com\n+44 20")]).await;
    assert_eq!(browser.status, 422, "{}", browser.text);
    for tied in [
        &format!("href=\"#{message}\""),
        &format!("id=\"{message}\" aria-invalid=\"true\" aria-describedby=\"help-{message} fault-{message}\""),
        &format!("id=\"fault-{message}\">is longer than 150 characters"),
        &long,
        "pbx.example.com\n+44 20",
    ] {
        assert!(browser.text.contains(tied), "{tied}: {}", browser.text);
    }
    keeps(&mut browser, &house, &[(message, "Sorry."), ("disconnect_on_transfer_failure", "false")]).await;
    assert!(browser.status == 200 && browser.text.contains("It is kept."), "{}", browser.text);
    let kept = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await;
    assert_eq!(kept["settings"]["sip"], json!({"transfer_failure_message": "Sorry."}));
    assert_eq!(kept["settings"]["disconnect_on_transfer_failure"], false);
    keeps(&mut browser, &house, &[(&format!("{message}.nothing"), "on")]).await;
    let kept = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await;
    assert_eq!(kept["settings"]["sip"], json!({"transfer_failure_message": ""}), "silence");
    assert!(kept["settings"].get("disconnect_on_transfer_failure").is_none(), "as usual again");
    browser.opens(&house, &format!("{settings}/advanced")).await;
    keeps(&mut browser, &house, &[(message, ""), (&format!("{message}.nothing"), "on")]).await;
    let after = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await;
    assert_eq!(after["settings"], kept["settings"], "what is left as it is stays");
}

#[actix_web::test]
async fn numbers_lists_and_boxes_are_kept_as_what_they_are_and_somebody_who_was_second_loses_nothing() {
    let house = House::new().await;
    let (mut browser, settings, integration) = settings_of(&house, json!({})).await;
    browser.opens(&house, &format!("{settings}/records")).await;
    keeps(&mut browser, &house, &[("records.keep_days", "many")]).await;
    assert!(browser.status == 422 && browser.text.contains("fault-records.keep_days"), "{}", browser.text);
    assert!(browser.text.contains("value=\"many\""), "{}", browser.text);
    keeps(&mut browser, &house, &[("records.keep_days", "7"), ("conversation.redact", "a+\nb+")]).await;
    let older = browser.hidden("revision").expect("one");
    let kept = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await;
    assert_eq!(kept["settings"]["records"], json!({"keep_days": 7}));
    assert_eq!(kept["settings"]["conversation"], json!({"redact": ["a+", "b+"]}));
    browser.opens(&house, &format!("{settings}/conversation")).await;
    keeps(&mut browser, &house, &[("language", "en-GB"), ("conversation.confidence_threshold", "0.3")]).await;
    assert_eq!(browser.status, 200, "{}", browser.text);
    let path = format!("{settings}/records");
    let typed = [("do", "keep"), ("revision", &*older), ("records.keep_days", "9"), ("conversation.redact", "a+\nb+")];
    browser.sends(&house, &path, &typed).await;
    assert!(browser.status == 412 && browser.text.contains("value=\"9\""), "{}", browser.text);
    keeps(&mut browser, &house, &[("records.keep_days", "9"), ("conversation.redact", "a+\nb+")]).await;
    let kept = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await;
    assert_eq!(kept["settings"]["records"]["keep_days"], 9, "and is sent over what the first has kept");
    let conversation = &kept["settings"]["conversation"];
    assert_eq!(*conversation, json!({"redact": ["a+", "b+"], "confidence_threshold": 0.3}));
}

#[actix_web::test]
async fn an_account_is_entered_whole_and_tried_before_it_is_kept() {
    let house = House::new().await;
    let (mut browser, settings, integration) = settings_of(&house, connect()).await;
    browser.opens(&house, &format!("{settings}/account")).await;
    assert!(browser.text.contains("ends in MPLE") && browser.text.contains("Not tested as it is"), "{}", browser.text);
    let other = ARN.replace("abc", "abd");
    let blank = [("connect.access_key_id", ""), ("connect.secret_access_key", ""), ("connect.role_arn", "")];
    let alone: Vec<_> = [("by", "key"), ("connect.instance_arn", &*other)].into_iter().chain(blank).collect();
    keeps(&mut browser, &house, &alone).await;
    assert!(browser.status == 422 && browser.text.contains(&other), "{}", browser.text);
    for field in ["connect.access_key_id", "connect.secret_access_key"] {
        let told = format!("id=\"fault-{field}\">is entered too: these belong together");
        assert!(browser.text.contains(&told), "{told}: {}", browser.text);
    }
    assert!(!browser.text.contains("fault-connect.role_arn"), "{}", browser.text);
    let key = |id: &'static str| {
        vec![("by", "key"), ("connect.access_key_id", id), ("connect.secret_access_key", "s3cret-key")]
    };
    for (id, told) in [("refused", "Invalid: it was tried and is not kept"), ("unusable", "cannot be used here")] {
        let typed: Vec<_> = key(id).into_iter().chain([("connect.instance_arn", &*other)]).collect();
        keeps(&mut browser, &house, &typed).await;
        assert!(browser.status == 422 && browser.text.contains(told), "{id}: {}", browser.text);
        let kept = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await;
        assert_eq!(kept["settings"]["connect"]["instance_arn"], ARN, "what was tried and is bad takes no place");
    }
    let typed: Vec<_> = key("AKIAIOSFODNN7EXAMPLF").into_iter().chain([("connect.instance_arn", &*other)]).collect();
    keeps(&mut browser, &house, &typed).await;
    assert!(browser.status == 200 && browser.text.contains("It is kept."), "{}", browser.text);
    assert!(browser.text.contains(&other) && browser.text.contains("MPLF") && browser.text.contains("Tested: "));
    assert!(browser.text.contains("name=\"connect.access_key_id\" value=\"\""), "blank: {}", browser.text);
    let role = [("by", "role"), ("connect.instance_arn", ARN), ("connect.role_arn", "")];
    keeps(&mut browser, &house, &role).await;
    assert!(browser.status == 422 && browser.text.contains("id=\"fault-connect.role_arn\""), "{}", browser.text);
    // Nothing typed, nothing changed.
    let before = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await;
    keeps(&mut browser, &house, &[("by", "key")]).await;
    let after = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await;
    assert_eq!((browser.status, &after["settings"]), (200, &before["settings"]));
}

#[actix_web::test]
async fn who_is_told_of_calls_is_entered_whole_and_sent_a_test_event() {
    let house = House::new().await;
    let (mut browser, settings, integration) = settings_of(&house, json!({})).await;
    browser.opens(&house, &format!("{settings}/log-webhook")).await;
    assert!(browser.text.contains("Nobody is told of calls") && !browser.text.contains("Send a test event</button>"));
    let (url, secret) = ("records.webhook.url", "records.webhook.secret");
    keeps(&mut browser, &house, &[(url, "https://log.example"), (secret, "")]).await;
    assert!(browser.status == 422 && browser.text.contains(&format!("id=\"fault-{secret}\"")), "{}", browser.text);
    let header = [("header.name", "X-Key"), ("header.value", "")];
    let typed: Vec<_> = [(url, "https://log.example"), (secret, "s3cret-log")].into_iter().chain(header).collect();
    keeps(&mut browser, &house, &typed).await;
    assert!(browser.status == 422 && browser.text.contains("id=\"fault-header.name\""), "{}", browser.text);
    let header =
        [("header.name", "X-Key"), ("header.value", "s3cret-header"), ("records.webhook.events", "cdr_logged")];
    let typed: Vec<_> = [(url, "https://log.example"), (secret, "s3cret-log")].into_iter().chain(header).collect();
    keeps(&mut browser, &house, &typed).await;
    assert!(browser.status == 200 && browser.text.contains("Events go to https://log.example"), "{}", browser.text);
    assert!(browser.text.contains("Headers of your own: X-Key"), "{}", browser.text);
    let path = browser.path.clone();
    browser.sends(&house, &path, &[("do", "try")]).await;
    assert!(browser.status == 200 && browser.text.contains("it answered 200"), "{}", browser.text);
    // Another place gets neither the secret nor the header that are kept.
    keeps(&mut browser, &house, &[(url, "https://evil.example"), ("records.webhook.events", "cdr_logged")]).await;
    assert_eq!(browser.status, 422, "{}", browser.text);
    let typed = [(url, "https://two.example"), (secret, "s3cret-other"), ("records.webhook.events", "cdr_logged")];
    keeps(&mut browser, &house, &typed).await;
    let kept = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await;
    let paths: Vec<&Value> = kept["secrets"].as_array().expect("hints").iter().map(|hint| &hint["path"]).collect();
    assert_eq!(paths, [&json!("records.webhook.secret")], "the header is gone: {kept}");
    browser.sends(&house, &path, &[("do", "try")]).await;
    assert!(browser.text.contains("it answered 401"), "{}", browser.text);
    keeps(&mut browser, &house, &[("take_away", "on"), ("records.webhook.events", "cdr_logged")]).await;
    assert!(browser.status == 200 && browser.text.contains("Nobody is told of calls"), "{}", browser.text);
}

#[actix_web::test]
async fn a_login_is_set_kept_and_taken_away() {
    let house = House::new().await;
    let (mut browser, settings, integration) = settings_of(&house, json!({})).await;
    browser.opens(&house, &format!("{settings}/advanced")).await;
    keeps(&mut browser, &house, &[("sip.user", "trunk"), ("sip.password", "")]).await;
    assert!(browser.status == 422 && browser.text.contains("id=\"fault-sip.password\""), "{}", browser.text);
    keeps(&mut browser, &house, &[("sip.user", "trunk"), ("sip.password", "s3cret-trunk")]).await;
    assert!(browser.status == 200 && browser.text.contains("log in as the user trunk"), "{}", browser.text);
    keeps(&mut browser, &house, &[("take_away", "on")]).await;
    assert!(browser.status == 200 && browser.text.contains("Calls need no login"), "{}", browser.text);
    let kept = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await;
    assert_eq!((&kept["secrets"], &kept["settings"]["sip"]), (&json!([]), &json!({})), "{kept}");
}

#[actix_web::test]
async fn services_are_listed_in_order_and_a_second_takes_over() {
    let house = House::new().await;
    let (mut browser, settings, integration) = settings_of(&house, json!({})).await;
    let tenant = settings.split('/').nth(2).expect("a tenant").to_owned();
    let made = json!({"name": "second", "settings": {"port": "text_to_speech", "kind": "espeak"}});
    let second = id_of(&house.asks(Inquiry::post_json(format!("/services?tenant={tenant}"), made)).await);
    let kept = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await["settings"].clone();
    let first = |list: &str| kept[list][0].as_str().expect("one").to_owned();
    let (assistant, ears, voice) = (first("assistant"), first("speech_to_text"), first("text_to_speech"));
    browser.opens(&house, &format!("{settings}/services")).await;
    let (a, e) = (("assistant", &*assistant), ("speech_to_text", &*ears));
    let voices = |one, two| [("text_to_speech", one), ("text_to_speech", two), ("text_to_speech", "")];
    let typed: Vec<_> = [a, e].into_iter().chain(voices(&*voice, &*voice)).collect();
    keeps(&mut browser, &house, &typed).await;
    assert!(browser.status == 422 && browser.text.contains("is in the list twice"), "{}", browser.text);
    assert!(browser.text.contains("id=\"fault-text_to_speech\""), "{}", browser.text);
    let typed: Vec<_> = [a, e].into_iter().chain(voices(&*second, &*voice)).collect();
    keeps(&mut browser, &house, &typed).await;
    assert!(browser.status == 200 && browser.text.contains("number 3"), "{}", browser.text);
    let kept = house.asks(Inquiry::get(format!("/integrations/{integration}"))).await;
    assert_eq!(kept["settings"]["text_to_speech"], json!([second, voice]));
    keeps(&mut browser, &house, &[a, e]).await;
    assert!(browser.status == 422 && browser.text.contains("has to name one at least"), "{}", browser.text);
}

#[actix_web::test]
async fn a_viewer_sees_settings_and_changes_none() {
    let house = House::new().await;
    let (_, settings, _) = settings_of(&house, json!({})).await;
    let tenant: TenantId = settings.split('/').nth(2).expect("a tenant").parse().expect("an id");
    let mut viewer = house.browser_of("viewer", of(tenant, TenantRole::Viewer)).await;
    viewer.opens(&house, &format!("{settings}/records")).await;
    assert!(viewer.status == 200 && viewer.text.contains("<fieldset disabled>"), "{}", viewer.text);
    assert!(!viewer.text.contains("value=\"keep\""), "{}", viewer.text);
    keeps(&mut viewer, &house, &[("records.keep_days", "1")]).await;
    assert_eq!(viewer.status, 403);
}
