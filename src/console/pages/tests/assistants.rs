//! Scripts with numbered lines, and what assistants said before.

use super::*;

#[actix_web::test]
async fn a_mistake_of_a_script_stands_at_its_line_and_the_field_leads_there() {
    let house = House::new().await;
    let (tenant, _) = house.furnished("acme").await;
    let mut root = house.browser_of("root", Standing::Operator).await;
    let page = format!("/tenants/{tenant}/assistants");
    root.opens(&house, &page).await;
    let script = "start: hi\nsteps:\n  wrong at line 3\n";
    root.sends(&house, &page, &[("make", "scripted"), ("called", "Desk"), ("script_text", script)]).await;
    assert_eq!(root.status, 422, "{}", root.text);
    for told in [
        "href=\"#script_text\"",
        "id=\"script_text\" aria-invalid=\"true\" aria-describedby=\"fault-script_text\"",
        "<li id=\"line-3\" class=\"wrong\"><code>  wrong at line 3</code><small class=\"fault\">column 3: is wrong",
        "start: hi\nsteps:",
    ] {
        assert!(root.text.contains(told), "{told}: {}", root.text);
    }
}

#[actix_web::test]
async fn an_assistant_goes_back_to_what_it_said_before_on_a_page() {
    let house = House::new().await;
    let (tenant, settings) = house.furnished("acme").await;
    let assistant = settings["assistant"][0].as_str().expect("one").to_owned();
    let mut admin = house.browser_of("admin", of(tenant.parse().expect("an id"), TenantRole::Admin)).await;
    let page = format!("/tenants/{tenant}/assistants/{assistant}");
    admin.opens(&house, &page).await;
    let revision = admin.hidden("revision").expect("one");
    let other = "start: bye\nsteps:\n  bye: {respond: [{response_type: text, text: <b>Bye</b>}], otherwise: bye}\n";
    let typed = [("name", "Desk"), ("revision", &*revision), ("script_text", other)];
    admin.sends(&house, &page, &typed).await;
    assert_eq!(admin.status, 200, "{}", admin.text);
    let versions = admin.links().into_iter().find(|link| link.ends_with("/versions")).expect("a link");
    admin.opens(&house, &versions).await;
    assert!(admin.text.contains("2 (now)") && admin.text.contains("<td>admin</td>"), "{}", admin.text);
    admin.opens(&house, &format!("{versions}?version=1")).await;
    assert!(admin.text.contains("<ins>+ start: bye</ins>"), "{}", admin.text);
    assert!(admin.text.contains("&#60;b&#62;Bye") && admin.text.contains("<del>− start: "), "{}", admin.text);
    let revision = admin.hidden("revision").expect("one");
    let path = admin.path.clone();
    admin.sends(&house, &path, &[("version", "1"), ("revision", "1")]).await;
    assert_eq!(admin.status, 412, "somebody was first: {}", admin.text);
    admin.sends(&house, &path, &[("version", "1"), ("revision", &revision)]).await;
    assert!(admin.status == 200 && admin.text.contains("3 (now)"), "{}", admin.text);
    let said = house.asks(Inquiry::get(format!("/assistants/{assistant}"))).await;
    assert_eq!(said["settings"]["script_text"], include_str!("../starter.yaml"));
    for nothing in ["9", "0"] {
        admin.opens(&house, &format!("{versions}?version={nothing}")).await;
        assert_eq!(admin.status, 404, "{nothing}");
    }
    let mut viewer = house.browser_of("viewer", of(tenant.parse().expect("an id"), TenantRole::Viewer)).await;
    viewer.opens(&house, &format!("{versions}?version=1")).await;
    assert!(viewer.status == 200 && !viewer.text.contains("Go back to version"), "{}", viewer.text);
}
