//! What is another tenant's is not there: by the table of routes.

use bellhop_connect::session_history_key::SessionHistoryKey;
use bellhop_tenancy::store::{Page, People};

use super::documents::furnish;
use super::people::join;
use super::*;

/// Something of `other` for each resource that names things; a resource that is not known here turns the test red.
async fn thing_of_other(house: &House, route: &Route) -> String {
    let scope = SignedIn::on_this_machine("test").scope().narrowed(house.other).expect("it reaches all");
    let first = Page { after: None, count: 1 };
    let of_document = |kind| async move {
        use bellhop_tenancy::store::Documents;
        house.store.documents(&scope, kind, first).await.expect("a list").items[0].id.to_string()
    };
    use bellhop_tenancy::store::KeptKind::{Assistant, Draft, Integration, Service};
    match route.path.split('/').nth(1).expect("a resource") {
        "tenants" => house.other.to_string(),
        "assistants" => of_document(Assistant).await,
        "services" => of_document(Service).await,
        "integrations" => of_document(Integration).await,
        "drafts" => of_document(Draft).await,
        // Of numbers that is named which theirs is: one number, or the integration whose they are.
        "numbers" if !route.path.contains('{') => of_document(Integration).await,
        "numbers" => house.get("stranger", "/numbers").await.body["items"][0]["id"].as_str().expect("an id").to_owned(),
        "users" => house.store.users(&scope, first).await.expect("a list").items[0].id.to_string(),
        "invitations" => house.store.invitations(&scope, first).await.expect("a list").items[0].id.to_string(),
        "calls" => "c2".to_owned(),
        "session-history" => SessionHistoryKey::from_random([7; 20]).filed_as().expose().to_owned(),
        resource => panic!("say what of `{resource}` belongs to somebody: {}", route.path),
    }
}

/// Each route that names something is asked for a thing of `other` by everybody of `acme`, and for one of nobody: the answers are
/// one.
#[actix_web::test]
async fn what_is_anothers_is_answered_like_what_never_was() {
    let house = House::new().await;
    let line = furnish(&house, "stranger", "theirs").await.id();
    assert_eq!(
        house.post("stranger", "/numbers", json!({"number": "+18005550199", "integration": line})).await.status,
        201
    );
    assert_eq!(house.post("stranger", "/drafts", json!({"name": "theirs", "settings": {}})).await.status, 201);
    join(&house, "their admin", "admin", Some(house.other)).await;
    assert_eq!(house.post("stranger", "/invitations", json!({"login": "x", "role": "viewer"})).await.status, 201);
    *house.calls.up.lock().expect("no panic") =
        vec![LiveCall { call: "c2".into(), tenant: "other".into(), facts: None }];
    let key = SessionHistoryKey::from_random([7; 20]).filed_as();
    let history = History { tenant: "other".into(), json: "{\"turns\":[]}".into() };
    house.calls.conversations.lock().expect("no panic").push((key, history));
    // Plans and the pages of the reference are everybody's.
    let is_everybodys = |route: &Route| route.path.starts_with("/plans") || route.path.starts_with("/docs");
    let names = |route: &Route| route.path.contains('{') || route.query.iter().any(|parameter| parameter.required);
    for route in house.routes().iter().filter(|route| names(route) && !is_everybodys(route)) {
        let nobodys = match route.path.contains("{key}") {
            true => SessionHistoryKey::from_random([9; 20]).filed_as().expose().to_owned(),
            false => Id::new(9, [9; 10]).to_string(),
        };
        let thing = thing_of_other(&house, route).await;
        for who in ["admin", "viewer", "agent", "program"] {
            let told = format!("{} {} by {who}", route.method, route.path);
            let theirs = house.ask(request_of(route, who, &thing)).await;
            let nothing = house.ask(request_of(route, who, &nobodys)).await;
            assert_eq!((theirs.status, &theirs.body), (nothing.status, &nothing.body), "{told}");
            let role = WITH_ROLES.iter().find(|(name, _)| *name == who).map_or(Role::Admin, |(_, role)| *role);
            let refused = role < route.least || (route.in_person && who == "program");
            assert_eq!(theirs.status, if refused { 403 } else { 404 }, "{told}: {theirs:?}");
        }
    }
    let still = house.get("stranger", "/numbers").await.body;
    assert_eq!(still["items"].as_array().map(Vec::len), Some(1), "nobody has touched it");
}

/// Each list and each making that names a tenant is asked for `other` by people of `acme`.
#[actix_web::test]
async fn a_tenant_that_somebody_does_not_reach_is_not_there() {
    let house = House::new().await;
    furnish(&house, "stranger", "theirs").await;
    let nobodys = Id::new(9, [9; 10]).to_string();
    for route in house.routes().iter().filter(|route| route.query.iter().any(|parameter| parameter.name == "tenant")) {
        let path = request_of(route, "admin", &nobodys).to_request().uri().to_string();
        let sign = if path.contains('?') { '&' } else { '?' };
        for tenant in [&house.other.to_string(), &nobodys] {
            let asked = request_of(route, "admin", &nobodys).uri(&format!("{path}{sign}tenant={tenant}"));
            assert_eq!(house.ask(asked).await.status, 404, "{} {}", route.method, route.path);
        }
    }
    for list in house.routes().iter().filter(|route| route.method == Method::GET && !route.path.contains('{')) {
        if let Some(items) = house.ask(request_of(list, "admin", &nobodys)).await.body["items"].as_array() {
            assert!(items.iter().all(|item| item["tenant"] != house.other.to_string()), "{}: {items:?}", list.path);
        }
    }
    assert_eq!(house.get("viewer", "/tenants").await.body["items"].as_array().map(Vec::len), Some(1));
}
