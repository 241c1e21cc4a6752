//! The wizard, and the numbers of what it made.

use bellhop_tenancy::Number;
use bellhop_tenancy::store::{NewRefusal, Refusals};

use super::*;

const ARN: &str = "arn:aws:connect:eu-west-2:111122223333:instance/abc";

/// An admin of a tenant on a plan, and where its integrations are.
pub(super) async fn admin_of(house: &House, plan: &str) -> (Browser, String) {
    let mut root = house.browser_of("root", Standing::Operator).await;
    root.sends(house, "/tenants", &[("name", "acme"), ("title", "Acme"), ("plan", plan)]).await;
    let integrations = root.path.clone();
    let tenant: TenantId = integrations.split('/').nth(2).expect("a tenant").parse().expect("an id");
    let mut admin = house.browser_of("admin", of(tenant, TenantRole::Admin)).await;
    assert_eq!(admin.path, integrations.trim_end_matches("/integrations"), "the first page is the dashboard");
    admin.opens(house, &integrations).await;
    (admin, integrations)
}

/// Sends the form of the page that is shown.
async fn sends(browser: &mut Browser, house: &House, typed: &[(&str, &str)]) {
    let path = browser.path.clone();
    browser.sends(house, &path, typed).await;
}

/// The value of the first field of a name that is chosen from.
fn offered(browser: &Browser, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    let rest = browser.text.split(&field).nth(1).unwrap_or_else(|| panic!("{name} in {}", browser.text));
    rest.split('"').next().expect("a value").to_owned()
}

/// The page of the Amazon side gives all of it as code, filled in, and is there again afterwards.
async fn is_there_as_code(house: &House, browser: &mut Browser, queue: &str) {
    let page = browser.path.clone();
    for (word, file) in
        [("terraform", "bellhop.tf"), ("cloudformation", "bellhop-cloudformation.yaml"), ("shell", "bellhop.sh")]
    {
        let link = browser.links().into_iter().find(|link| link.ends_with(&format!("/deployment/{word}")));
        browser.opens(house, &link.unwrap_or_else(|| panic!("{word}: {}", browser.text))).await;
        assert_eq!(browser.status, 200, "{}", browser.text);
        assert!(browser.headers["content-disposition"].contains(file), "{:?}", browser.headers);
        for value in [queue, "sip.bellhop.example", "bellhop-Main line", "/loadAgentAppFrame.html?session_history_key"]
        {
            assert!(browser.text.contains(value), "{value}: {}", browser.text);
        }
        browser.opens(house, &page).await;
    }
}

#[actix_web::test]
async fn an_integration_is_set_up_from_nothing_with_a_bad_key_and_a_good_one() {
    let house = House::new().await;
    let (mut browser, integrations) = admin_of(&house, "plus").await;
    assert_eq!(browser.path, integrations);
    browser.opens(&house, &format!("{integrations}/new")).await;
    sends(&mut browser, &house, &[("kind", "contact_center"), ("name", "Main line")]).await;
    assert!(browser.path.ends_with("/phone"), "{} {}", browser.path, browser.text);
    sends(&mut browser, &house, &[("do", "next"), ("language", "en-US")]).await;
    assert!(browser.status == 422 && browser.text.contains("choose an assistant"), "{}", browser.text);
    let broken = [("make", "scripted"), ("called", "Desk"), ("script_text", "start: nowhere\nsteps: {}\n")];
    sends(&mut browser, &house, &broken).await;
    assert!(browser.status == 200 || browser.text.contains("start: nowhere"), "what was typed is shown again");
    let script = include_str!("../starter.yaml");
    sends(&mut browser, &house, &[("make", "scripted"), ("called", "Front desk"), ("script_text", script)]).await;
    assert_eq!(browser.status, 200, "{}", browser.text);
    let assistant = offered(&browser, "assistant");
    sends(&mut browser, &house, &[("do", "next"), ("language", "en-US"), ("assistant", &assistant)]).await;
    assert!(browser.path.ends_with("/account"), "{} {}", browser.path, browser.text);

    let account = browser.path.clone();
    connects(&house, &mut browser).await;
    sends(&mut browser, &house, &[]).await;
    speaks_and_hears(&house, &mut browser).await;

    assert!(browser.path.ends_with("/amazon"), "{} {}", browser.path, browser.text);
    assert!(browser.text.contains("value=\"https://acme.my.connect.aws\""), "as the instance told: {}", browser.text);
    let made = browser.path.clone();
    browser.sends(&house, &account.replace("account", "text-to-speech"), &[("do", "next"), ("service", "x")]).await;
    assert_eq!(browser.path, made, "the second press of Save leads to what the first has made");
    let page = format!("{HERE}/loadAgentAppFrame.html?session_history_key");
    assert!(browser.text.contains(&format!("value=\"{page}\"")), "without its last sign: {}", browser.text);
    assert!(browser.links().iter().any(|link| link.ends_with("/numbers")));
    let queue: &'static str = format!("{}/queue/q", ARN.replace("abc", "abd")).leak();
    let revision: &'static str = browser.hidden("revision").expect("one").leak();
    let keeps = |queue: &'static str| {
        let url = "https://acme.my.connect.aws/ccp-v2/";
        vec![("revision", revision), ("voice_connector", "done"), ("queue_arn", queue), ("access_url", url)]
    };
    sends(&mut browser, &house, &keeps("arn:aws:connect:eu-west-2:111122223333:instance/other/queue/q")).await;
    assert!(browser.status == 422 && browser.text.contains("is a queue of another instance"), "{}", browser.text);
    sends(&mut browser, &house, &keeps(queue)).await;
    assert!(
        browser.status == 200 && browser.text.contains("value=\"https://acme.my.connect.aws\""),
        "{}",
        browser.text
    );
    assert!(browser.text.contains("name=\"voice_connector\" value=\"done\" checked"), "a tick stays: {}", browser.text);
    is_there_as_code(&house, &mut browser, queue).await;
    sends(&mut browser, &house, &keeps("")).await;
    assert!(browser.status == 412 && browser.text.contains("changed since"), "an older tab: {}", browser.text);
    browser.opens(&house, &format!("{integrations}/new")).await;
    sends(&mut browser, &house, &[("kind", "contact_center"), ("name", "Main line")]).await;
    assert!(browser.status == 409 && browser.text.contains("is called `Main line` already"), "{}", browser.text);
    browser.opens(&house, &integrations).await;
    assert!(browser.text.contains("Main line") && browser.text.contains("without a number"), "{}", browser.text);
    browser.opens(&house, &account).await;
    assert_eq!(browser.status, 404, "it is no draft any more");
    checks_a_flow(&house, &mut browser, &made).await;
}

/// A flow of the vendor's shape is looked at, and what is none is told by its place; both stay in the form.
async fn checks_a_flow(house: &House, browser: &mut Browser, amazon: &str) {
    browser.opens(house, amazon).await;
    let page = &*amazon.replace("/amazon", "/flow/check");
    assert!(browser.links().iter().any(|link| link == page), "{:?}", browser.links());
    let flow = include_str!("../../../../tests/golden/flows/vendor_sample_shape_legacy.json");
    browser.sends(house, page, &[("flow", flow)]).await;
    assert_eq!((browser.status, browser.path.as_str()), (200, page), "{}", browser.text);
    for told in [
        "Problems of this flow: 8; it could be better in 2 ways",
        "flow_caller_lost",
        "Transfer to phone number",
        "<code>CallFailed</code>",
    ] {
        assert!(browser.text.contains(told), "{told}: {}", browser.text);
    }
    browser.sends(house, page, &[("flow", "{\n\"Version\": <b>")]).await;
    assert!(browser.status == 422 && browser.text.contains("see line 2, column 12"), "{}", browser.text);
    assert!(browser.text.contains("&#60;b&#62;</textarea>"), "what was pasted is shown again: {}", browser.text);
    browser.sends(house, page, &[("flow", " ")]).await;
    assert!(browser.status == 422 && browser.text.contains("Paste a flow"), "{}", browser.text);
}

/// The account, by keys that are not whole, cannot be used, and are good, and then of another instance; and the address to copy.
async fn connects(house: &House, browser: &mut Browser) {
    let account = browser.path.clone();
    let key = |secret: &'static str| {
        vec![
            ("do", "test"),
            ("by", "key"),
            ("instance_arn", ARN),
            ("access_key_id", "AKIAIOSFODNN7EXAMPLE"),
            ("secret_access_key", secret),
        ]
    };
    sends(browser, house, &key("")).await;
    assert!(browser.status == 422 && browser.text.contains("enter both"), "{}", browser.text);
    sends(browser, house, &[("do", "next"), ("by", "key"), ("instance_arn", ARN)]).await;
    assert!(browser.status == 422 && browser.text.contains("test the connection first"), "{}", browser.text);
    let unusable = [("access_key_id", "unusable"), ("secret_access_key", "s3cret-key")];
    let unusable: Vec<_> = key("").into_iter().take(3).chain(unusable).collect();
    sends(browser, house, &unusable).await;
    assert!(browser.status == 422 && browser.text.contains("cannot be used here"), "{}", browser.text);
    browser.opens(house, &account).await;
    assert!(browser.text.contains("Invalid") && browser.text.contains("enter each again"), "{}", browser.text);
    sends(browser, house, &key("s3cret-key")).await;
    assert!(browser.status == 200 && browser.text.contains("<strong>Valid</strong>"), "{}", browser.text);
    assert!(browser.text.contains(&format!("{ARN}/contact/*")), "the policy is filled in");
    // A change takes it away.
    let other = ARN.replace("abc", "abd");
    sends(browser, house, &[("do", "next"), ("by", "key"), ("instance_arn", &*other)]).await;
    assert!(
        browser.status == 422 && browser.text.contains(&other),
        "what was typed is not passed over: {}",
        browser.text
    );
    let moved =
        [("do", "test"), ("by", "key"), ("instance_arn", &*other), ("access_key_id", ""), ("secret_access_key", "")];
    sends(browser, house, &moved).await;
    assert!(browser.text.contains(&other) && browser.text.contains("kept"), "{}", browser.text);
    sends(browser, house, &[("do", "next"), ("by", "key"), ("instance_arn", &*other)]).await;
    assert!(browser.path.ends_with("/sip-address"), "{} {}", browser.path, browser.text);
    for value in ["sip.bellhop.example", "5061", "TCP"] {
        assert!(browser.text.contains(&format!("value=\"{value}\"")), "{value}");
    }
}

/// The last two steps, with Back in between.
async fn speaks_and_hears(house: &House, browser: &mut Browser) {
    assert!(browser.path.ends_with("/speech-to-text"), "{} {}", browser.path, browser.text);
    let made = [("make", "watson"), ("called", "Ears"), ("url", "https://user:pw@ears.example"), ("api_key", "s3cret")];
    sends(browser, house, &made).await;
    assert!(browser.status == 422 && browser.text.contains("names a user"), "{}", browser.text);
    assert!(browser.text.contains("value=\"Ears\""), "what was typed is there, but for secrets: {}", browser.text);
    sends(browser, house, &[("make", "pocketsphinx"), ("called", "Ears")]).await;
    assert!(browser.status == 200 && browser.text.contains("it answers"), "it was tried: {}", browser.text);
    let ears = offered(browser, "service");
    sends(browser, house, &[("do", "next"), ("service", &ears)]).await;
    assert!(browser.path.ends_with("/text-to-speech"), "{} {}", browser.path, browser.text);
    sends(browser, house, &[("do", "next")]).await;
    assert!(browser.status == 422 && browser.text.contains("choose a service"), "{}", browser.text);
    sends(browser, house, &[("make", "flite"), ("called", "Voice")]).await;
    assert!(browser.text.contains("it does not answer"), "the offers are not told, and it is said: {}", browser.text);
    let (voice, last) = (offered(browser, "service"), browser.path.clone());
    browser.sends(house, &format!("{last}/listen"), &[("sentence", "Good day.")]).await;
    assert_eq!((browser.status, browser.text.as_str()), (200, "Good day."));
    browser.opens(house, &last).await;
    let back = last.replace("text-to-speech", "speech-to-text");
    browser.opens(house, &back).await;
    assert!(browser.text.contains("checked"), "nothing is lost by going back: {}", browser.text);
    browser.opens(house, &last).await;
    assert!(
        browser.text.contains("Show the voices") && !browser.text.contains("it does not answer"),
        "nobody is asked"
    );
    sends(browser, house, &[("do", "next"), ("service", &voice)]).await;
}

#[actix_web::test]
async fn a_plan_without_a_contact_center_says_so_and_offers_a_trunk() {
    let house = House::new().await;
    let (mut browser, integrations) = admin_of(&house, "trial").await;
    browser.opens(&house, &format!("{integrations}/new")).await;
    assert!(browser.text.contains("The plan `trial` has no contact center"), "{}", browser.text);
    sends(&mut browser, &house, &[("kind", "sip_trunk"), ("name", "Trunk")]).await;
    assert!(browser.path.ends_with("/phone") && !browser.text.contains("Amazon Connect account"), "{}", browser.text);
    let delete = browser.links().into_iter().find(|link| link.ends_with("/delete")).expect("a way out");
    browser.opens(&house, &delete).await;
    sends(&mut browser, &house, &[("do", "delete")]).await;
    assert!(browser.path == integrations && !browser.text.contains("Trunk"), "{}", browser.text);
}

#[actix_web::test]
async fn numbers_are_added_one_by_one_and_replaced_after_a_look() {
    let house = House::new().await;
    let (mut browser, integrations) = admin_of(&house, "plus").await;
    browser.opens(&house, &format!("{integrations}/new")).await;
    sends(&mut browser, &house, &[("kind", "sip_trunk"), ("name", "Trunk")]).await;
    let script = include_str!("../starter.yaml");
    sends(&mut browser, &house, &[("make", "scripted"), ("called", "Desk"), ("script_text", script)]).await;
    let assistant = offered(&browser, "assistant");
    sends(&mut browser, &house, &[("do", "next"), ("language", "en-US"), ("assistant", &assistant)]).await;
    sends(&mut browser, &house, &[("do", "next")]).await;
    speaks_and_hears(&house, &mut browser).await;
    let numbers = browser.path.clone();
    assert!(numbers.ends_with("/numbers"), "{numbers} {}", browser.text);
    sends(&mut browser, &house, &[("do", "add"), ("number", "12"), ("description", "Main")]).await;
    assert!(browser.status == 422 && browser.text.contains("value=\"12\""), "{}", browser.text);
    sends(&mut browser, &house, &[("do", "add"), ("number", "+1 (800) 555-0123"), ("description", "Main")]).await;
    assert!(browser.text.contains("+18005550123") && browser.text.contains("waiting for the first call"));
    let refusal = NewRefusal {
        tenants: vec![integrations.split('/').nth(2).expect("a tenant").parse().expect("an id")],
        at_unix_ms: 1_764_158_400_000,
        number: Number::parse("+18005550123").ok(),
        source: "192.0.2.7".into(),
        transport: "TLS".into(),
        server_name: None,
        status: 403,
        reason: "elsewhere".into(),
    };
    house.store.note_refusals(vec![refusal]).await.expect("noted");
    browser.opens(&house, &numbers).await;
    let told = "A call from 192.0.2.7 at 2025-11-26T12:00:00Z was refused: it is elsewhere. do nothing.";
    assert!(browser.text.contains(told), "{}", browser.text);
    let rows = "number,description\n+18005550124,Sales\n1\n+18005550124,again\n";
    sends(&mut browser, &house, &[("do", "preview"), ("rows", rows)]).await;
    assert!(
        browser.text.contains("line 3 ") && browser.text.contains("line 4 has the number of line 2"),
        "{}",
        browser.text
    );
    assert!(browser.text.contains("1 are removed: +18005550123") && !browser.text.contains("Replace all</button>"));
    let rows = "+18005550124,Sales\n";
    sends(&mut browser, &house, &[("do", "preview"), ("rows", rows)]).await;
    let seen = browser.hidden("seen").expect("it can be carried out");
    sends(&mut browser, &house, &[("do", "replace"), ("rows", rows), ("seen", &seen)]).await;
    assert!(browser.text.contains("+18005550124") && !browser.text.contains("+18005550123"), "{}", browser.text);
    sends(&mut browser, &house, &[("do", "replace"), ("rows", rows), ("seen", "0")]).await;
    assert_eq!(browser.status, 412, "somebody was first: {}", browser.text);
    let (id, revision) = (browser.hidden("id").expect("one"), browser.hidden("revision").expect("one"));
    sends(&mut browser, &house, &[("do", "delete"), ("id", &id), ("revision", &revision)]).await;
    assert!(browser.text.contains("There is none"), "{}", browser.text);
}

/// An operator may see both tenants; a path that mixes them leads nowhere.
#[actix_web::test]
async fn what_belongs_to_one_tenant_is_not_found_below_another() {
    let house = House::new().await;
    let (mut browser, integrations) = admin_of(&house, "plus").await;
    let assistants = integrations.replace("integrations", "assistants");
    browser.opens(&house, &assistants).await;
    let made = [("make", "webhook"), ("called", "Bot"), ("url", "https://bot.example/turn"), ("secret", "s3cret-hook")];
    sends(&mut browser, &house, &made).await;
    let mut paths = vec![browser.path.clone(), format!("{}/try", browser.path)];
    for (name, is_draft) in [("Trunk", false), ("Another", true)] {
        browser.opens(&house, &format!("{integrations}/new")).await;
        sends(&mut browser, &house, &[("kind", "sip_trunk"), ("name", name)]).await;
        if is_draft {
            paths.push(browser.path.clone());
            continue;
        }
        let assistant = offered(&browser, "assistant");
        sends(&mut browser, &house, &[("do", "next"), ("language", "en-US"), ("assistant", &assistant)]).await;
        sends(&mut browser, &house, &[("do", "next")]).await;
        speaks_and_hears(&house, &mut browser).await;
        paths.push(browser.path.clone());
    }
    let mut root = house.browser_of("op", Standing::Operator).await;
    root.sends(&house, "/tenants", &[("name", "gold"), ("title", "Gold"), ("plan", "plus")]).await;
    let (own, other) = (integrations.split('/').nth(2), root.path.split('/').nth(2));
    let (own, other) = (own.expect("a tenant").to_owned(), other.expect("a tenant").to_owned());
    for path in paths {
        root.opens(&house, &path).await;
        assert_eq!(root.status, 200, "{path}: {}", root.text);
        let mixed = path.replace(&own, &other);
        root.opens(&house, &mixed).await;
        assert_eq!(root.status, 404, "{mixed}: {}", root.text);
        sends(&mut root, &house, &[("do", "add"), ("number", "+18005550123"), ("revision", "1")]).await;
        assert_eq!(root.status, 404, "{mixed}: {}", root.text);
    }
}

#[actix_web::test]
async fn an_assistant_is_changed_with_its_secret_kept_and_talked_to_in_text() {
    let house = House::new().await;
    let (mut browser, integrations) = admin_of(&house, "plus").await;
    let assistants = integrations.replace("integrations", "assistants");
    browser.opens(&house, &assistants).await;
    let made = [("make", "webhook"), ("called", "Bot"), ("url", "https://bot.example/turn"), ("secret", "s3cret-hook")];
    sends(&mut browser, &house, &made).await;
    assert!(browser.status == 200 && browser.text.contains("value=\"https://bot.example/turn\""), "{}", browser.text);
    let revision = browser.hidden("revision").expect("one");
    let changed = [("name", "Bot two"), ("url", "https://bot.example/two"), ("secret", ""), ("revision", &revision)];
    sends(&mut browser, &house, &changed).await;
    assert!(browser.status == 200 && browser.text.contains("Bot two"), "the secret stays: {}", browser.text);
    assert!(browser.text.contains("It is kept."), "{}", browser.text);
    sends(&mut browser, &house, &changed).await;
    assert!(browser.status == 412 && browser.text.contains("changed since"), "somebody was first: {}", browser.text);
    let page = browser.path.clone();
    browser.opens(&house, &format!("{page}/try")).await;
    sends(&mut browser, &house, &[("do", "begin")]).await;
    assert!(browser.text.contains("(the call begins)") && browser.text.contains("assistants"), "{}", browser.text);
    for (typed, shown) in [
        (vec![("do", "say"), ("text", "hello <b>")], "hello &#60;b&#62;"),
        (vec![("do", "keys"), ("keys", "12#")], "(keys 12#)"),
        (vec![("do", "silence")], "(silence)"),
    ] {
        let (turns, context) = (browser.hidden("turns").expect("kept"), browser.hidden("context").expect("kept"));
        let typed: Vec<_> = typed.into_iter().chain([("turns", &*turns), ("context", &*context)]).collect();
        sends(&mut browser, &house, &typed).await;
        assert!(browser.status == 200 && browser.text.contains(shown), "{shown}: {}", browser.text);
    }
    assert!(browser.text.contains("(the call begins)"), "what was said before stays: {}", browser.text);
    sends(&mut browser, &house, &[("do", "keys"), ("keys", "x"), ("turns", "broken"), ("context", "broken")]).await;
    assert_eq!(browser.status, 422, "{}", browser.text);
    browser.opens(&house, &page).await;
    let revision = browser.hidden("revision").expect("one");
    sends(&mut browser, &house, &[("do", "delete"), ("revision", &revision)]).await;
    assert!(browser.path == assistants && browser.text.contains("There is none"), "{}", browser.text);
}

#[actix_web::test]
async fn somebody_is_invited_disabled_and_deleted_on_a_page() {
    let house = House::new().await;
    let (mut browser, integrations) = admin_of(&house, "plus").await;
    let people = integrations.replace("integrations", "people");
    browser.opens(&house, &people).await;
    sends(&mut browser, &house, &[("do", "invite"), ("login", "ann"), ("role", "operator")]).await;
    assert!(browser.status == 422 && browser.text.contains("more than you are"), "{}", browser.text);
    sends(&mut browser, &house, &[("do", "invite"), ("login", "ann"), ("role", "viewer")]).await;
    let link =
        browser.text.split("id=\"link\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a link");
    let link = plain(link);
    browser.opens(&house, &people).await;
    assert!(
        browser.text.contains("Good until") && !browser.text.contains("claim#"),
        "it is shown once: {}",
        browser.text
    );
    let mut ann = Browser::default();
    ann.opens(&house, "/claim").await;
    ann.sends(&house, "/claim", &[("secret", &link), ("login", ""), ("password", PASSWORD)]).await;
    let is_at_the_dashboard = format!("{}/integrations", ann.path) == integrations;
    assert!(is_at_the_dashboard && !ann.text.contains("People</a>"), "{} {}", ann.path, ann.text);
    ann.opens(&house, &people).await;
    assert_eq!(ann.status, 403);
    browser.opens(&house, &people).await;
    let of = |browser: &Browser, name: &str| {
        let row = browser.text.split("<th scope=\"row\">ann").nth(1).expect("a row").to_owned();
        Browser { text: row, ..Browser::default() }.hidden(name).expect("a field")
    };
    for what in ["disable", "enable", "delete"] {
        let (id, revision) = (of(&browser, "id"), of(&browser, "revision"));
        sends(&mut browser, &house, &[("do", what), ("id", &id), ("revision", &revision)]).await;
        assert_eq!(browser.status, 200, "{what}: {}", browser.text);
        ann.opens(&house, &integrations).await;
        assert_eq!(ann.path, "/sign-in", "whoever may not sign in is signed out: {what}");
    }
    assert!(!browser.text.contains("<th scope=\"row\">ann"), "{}", browser.text);
}
