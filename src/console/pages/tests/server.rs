//! What an operator sees of the server itself.

use bellhop_tenancy::store::{AppliedBy, ChangeFeed, NodeSays};

use super::*;

#[actix_web::test]
async fn an_operator_sees_servers_and_drains_this_one_and_nobody_else_does() {
    let house = House::new().await;
    let says =
        NodeSays { version: "1.2.3".into(), calls: 7, sip_host: Some("sip.example".into()), ..NodeSays::default() };
    let node = AppliedBy { node: "this:1".into(), change: 9, not_applied: vec![], says };
    house.store.note_applied(node).await.expect("noted");
    let mut root = house.browser_of("root", Standing::Operator).await;
    assert!(root.links().contains(&"/server".to_owned()), "{:?}", root.links());
    root.opens(&house, "/server").await;
    for told in ["this:1 (this one)", "takes calls", "<td>7</td>", "1.2.3", "sip.example"] {
        assert!(root.text.contains(told), "{told}: {}", root.text);
    }
    root.sends(&house, "/server", &[("do", "drain")]).await;
    assert_eq!((root.status, root.path.as_str()), (200, "/server"));
    let audit = house.asks(Inquiry::get("/audit?action=node.drain")).await;
    assert_eq!(audit["items"][0]["name"], "root", "{audit}");
    let (tenant, _) = house.furnished("acme").await;
    let mut admin = house.browser_of("admin", of(tenant.parse().expect("an id"), TenantRole::Admin)).await;
    for page in ["/server", "/server/plans", "/server/users", "/server/numbers", "/server/audit"] {
        admin.opens(&house, page).await;
        assert_eq!(admin.status, 403, "{page}");
    }
}

#[actix_web::test]
async fn a_plan_is_made_changed_and_deleted_on_a_page() {
    let house = House::new().await;
    let mut root = house.browser_of("root", Standing::Operator).await;
    root.opens(&house, "/server/plans").await;
    assert!(root.text.contains("enterprise") && root.text.contains("It is always there."), "{}", root.text);
    let make = |calls: &'static str| [("do", "make"), ("name", "gold"), ("calls", calls), ("calls_per_second", "")];
    root.sends(&house, "/server/plans", &make("none")).await;
    assert!(root.status == 422 && root.text.contains("id=\"fault-calls\"") && root.text.contains("value=\"none\""));
    root.sends(&house, "/server/plans", &make("10")).await;
    assert!(root.status == 200 && root.text.contains("<td>10</td>"), "{}", root.text);
    root.opens(&house, "/server/plans?change=gold").await;
    let typed = [("do", "change"), ("name", "gold"), ("revision", "1"), ("calls", "20"), ("contact_center", "on")];
    root.sends(&house, "/server/plans", &typed).await;
    assert!(root.status == 200 && root.text.contains("<td>20</td>"), "{}", root.text);
    root.sends(&house, "/server/plans", &typed).await;
    assert!(root.status == 412 && root.text.contains("name=\"revision\" value=\"2\""), "second: {}", root.text);
    root.sends(&house, "/server/plans", &[("do", "delete"), ("name", "gold"), ("revision", "2")]).await;
    assert!(root.status == 200 && !root.text.contains("gold"), "{}", root.text);
}

#[actix_web::test]
async fn an_operator_invites_another_and_disables_them() {
    let house = House::new().await;
    let mut root = house.browser_of("root", Standing::Operator).await;
    root.opens(&house, "/server/users").await;
    root.sends(&house, "/server/users", &[("do", "invite"), ("login", "")]).await;
    assert!(root.status == 422 && root.text.contains("id=\"fault-login\""), "{}", root.text);
    root.sends(&house, "/server/users", &[("do", "invite"), ("login", "ann")]).await;
    let link = root.text.split("id=\"link\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a link");
    let link = plain(link);
    let mut ann = Browser::default();
    ann.opens(&house, "/claim").await;
    ann.sends(&house, "/claim", &[("secret", &link), ("login", ""), ("password", PASSWORD)]).await;
    assert_eq!(ann.path, "/tenants");
    root.opens(&house, "/server/users").await;
    assert!(!root.text.contains("claim#"), "it is shown once");
    let row = root.text.split("<th scope=\"row\">ann").nth(1).expect("a row").to_owned();
    let row = Browser { text: row, ..Browser::default() };
    let (id, revision) = (row.hidden("id").expect("one"), row.hidden("revision").expect("one"));
    root.sends(&house, "/server/users", &[("do", "disable"), ("id", &id), ("revision", &revision)]).await;
    assert_eq!(root.status, 200, "{}", root.text);
    ann.opens(&house, "/tenants").await;
    assert_eq!(ann.path, "/sign-in");
}

#[actix_web::test]
async fn a_number_that_two_have_is_confirmed_and_the_audit_is_found_in() {
    let house = House::new().await;
    let mut numbers = vec![];
    for (name, instance) in [("acme", "abc"), ("bravo", "abd")] {
        let (tenant, mut settings) = house.furnished(name).await;
        settings["connect"] = json!({
            "instance_arn": format!("arn:aws:connect:eu-west-2:111122223333:instance/{instance}"),
            "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s3cret-key",
        });
        let integration = house.integration(&tenant, "Line", &settings).await;
        let new = json!({"number": "+18005550123", "integration": integration});
        numbers.push(id_of(&house.asks(Inquiry::post_json(format!("/numbers?tenant={tenant}"), new)).await));
    }
    let mut root = house.browser_of("root", Standing::Operator).await;
    root.opens(&house, "/server/numbers").await;
    assert_eq!(root.text.matches("<th scope=\"row\">+18005550123").count(), 2, "{}", root.text);
    root.sends(&house, "/server/numbers", &[("do", "confirm"), ("id", &numbers[0]), ("revision", "1")]).await;
    assert!(root.status == 200 && root.text.matches("Take it back").count() == 1, "{}", root.text);
    root.sends(&house, "/server/numbers", &[("do", "confirm"), ("id", &numbers[0]), ("revision", "1")]).await;
    assert_eq!(root.status, 412, "{}", root.text);
    root.opens(&house, "/server/audit?action=number.&name=root&tenant=").await;
    assert!(root.text.contains("number.confirm") && !root.text.contains("<td>number.add</td>"), "{}", root.text);
    assert!(root.text.contains("name=\"action\" value=\"number.\""), "{}", root.text);
    root.opens(&house, "/server/audit?action=%3Cscript%3E").await;
    assert!(root.status == 200 && root.text.contains("There is nothing of that"), "{}", root.text);
}

#[actix_web::test]
async fn a_tenant_gets_another_plan_is_suspended_and_deleted_by_its_name() {
    let house = House::new().await;
    let (tenant, _) = house.furnished("acme").await;
    let mut root = house.browser_of("root", Standing::Operator).await;
    let page = format!("/server/tenants/{tenant}");
    root.opens(&house, "/tenants").await;
    assert!(root.links().contains(&page), "{:?}", root.links());
    root.opens(&house, &page).await;
    let revision = root.hidden("revision").expect("one");
    let bad = [("do", "keep"), ("revision", &*revision), ("title", "Acme"), ("plan", "none"), ("state", "active")];
    root.sends(&house, &page, &bad).await;
    assert!(root.status == 422 && root.text.contains("id=\"fault-plan\""), "{}", root.text);
    let keep = [("do", "keep"), ("revision", &*revision), ("title", "Acme"), ("plan", "trial"), ("state", "suspended")];
    root.sends(&house, &page, &keep).await;
    assert!(root.status == 200 && root.text.contains("value=\"suspended\" checked"), "{}", root.text);
    root.sends(&house, &page, &keep).await;
    assert!(root.status == 412 && root.text.contains("name=\"revision\" value=\"2\""), "second: {}", root.text);
    for (named, status) in [("", 422), ("acme ltd", 422), ("acme", 200)] {
        root.sends(&house, &page, &[("do", "delete"), ("revision", "2"), ("named", named)]).await;
        assert_eq!(root.status, status, "{named}: {}", root.text);
    }
    assert!(root.path == "/tenants" && root.text.contains("There are none yet"), "{}", root.text);
    root.opens(&house, &page).await;
    assert_eq!(root.status, 404);
}
