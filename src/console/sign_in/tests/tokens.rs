//! Tokens: what one may, and how long.

use super::*;

#[actix_web::test]
async fn a_token_is_shown_once_may_no_more_than_its_maker_and_makes_no_other() {
    let house = House::new();
    let own = house.kept.user("alice", of_tenant(1, TenantRole::Viewer));
    house.kept.user("mallory", of_tenant(2, TenantRole::Viewer));
    let browser = house.kept.browser(own);
    let made = house.ask(of(&browser, post("/tokens", json!({"name": "ci"})))).await;
    assert_eq!((made.status, &made.body["role"]), (201, &json!("viewer")), "{made:?}");
    assert_eq!(made.body["expires_at"], json!("2027-04-15T08:00:00Z"), "90 days");
    let token = made.body["token"].as_str().expect("shown").to_owned();
    assert_eq!(made.location, Some(at(&format!("/tokens/{}", made.body["id"].as_str().expect("an id")))));
    let listed = house.ask(of(&browser, get("/tokens"))).await.body;
    assert!(listed["items"].as_array().is_some_and(|all| all.len() == 1) && !listed.to_string().contains(&token));
    let bearer = |request: TestRequest| request.insert_header(("Authorization", format!("Bearer {token}")));
    assert_eq!(house.ask(bearer(get("/sessions"))).await.status, 200);
    assert_eq!(house.ask(bearer(post("/tokens", json!({"name": "more"})))).await.status, 403);
    assert_eq!(house.ask(bearer(TestRequest::post().uri(&at("/sign-out")))).await.status, 403);
    let ends = |path: &str, one: &Value| {
        TestRequest::delete().uri(&at(&format!("{path}/{}", one["id"].as_str().expect("an id"))))
    };
    let other = house.ask(of(&browser, post("/tokens", json!({"name": "other"})))).await.body;
    let session = house.ask(of(&browser, get("/sessions"))).await.body["items"][0].clone();
    assert_eq!(house.ask(bearer(ends("/tokens", &other))).await.status, 403, "it may be one that may less");
    assert_eq!(house.ask(bearer(ends("/sessions", &session))).await.status, 403);
    assert_eq!(house.ask(of(&browser, ends("/tokens", &other))).await.status, 204);
    assert_eq!(house.ask(bearer(ends("/tokens", &made.body))).await.status, 204, "itself");
    assert_eq!(house.ask(bearer(get("/sessions"))).await.status, 401);
}

#[actix_web::test]
async fn what_a_token_may_is_less_than_its_maker_or_the_same() {
    let house = House::new();
    let admin = house.kept.browser(house.kept.user("admin", of_tenant(1, TenantRole::Admin)));
    house.kept.user("mallory", of_tenant(2, TenantRole::Viewer));
    let operator = house.kept.browser(house.kept.user("root", Standing::Operator));
    let tenant = |n: u8| of_tenant(n, TenantRole::Agent).tenant().expect("a tenant").to_string();
    let (own, other, unknown) = (tenant(1), tenant(2), tenant(3));
    for (who, body, expected) in [
        (&admin, json!({}), Ok("admin")),
        (&admin, json!({"role": "agent"}), Ok("agent")),
        (&admin, json!({"role": "viewer", "tenant": own}), Ok("viewer")),
        (&admin, json!({"role": "operator"}), Err("#/role")),
        (&admin, json!({"role": "root"}), Err("#/role")),
        (&admin, json!({"tenant": other}), Err("#/tenant")),
        (&admin, json!({"tenant": unknown}), Err("#/tenant")),
        (&operator, json!({}), Ok("operator")),
        (&operator, json!({"tenant": own}), Ok("admin")),
        (&operator, json!({"tenant": other, "role": "viewer"}), Ok("viewer")),
        (&operator, json!({"role": "viewer"}), Err("#/tenant")),
        (&operator, json!({"role": "operator", "tenant": own}), Err("#/tenant")),
        (&operator, json!({"tenant": unknown}), Err("#/tenant")),
        (&operator, json!({"tenant": "acme"}), Err("#/tenant")),
        (&operator, json!({"days": 0}), Err("#/days")),
        (&operator, json!({"days": 366}), Err("#/days")),
        (&operator, json!({"days": 365}), Ok("operator")),
        (&operator, json!({"name": ""}), Err("#/name")),
        (&operator, json!({"name": "a\r\nb"}), Err("#/name")),
    ] {
        let mut body = body;
        let name = body["name"].as_str().unwrap_or("ci").to_owned();
        body["name"] = json!(name);
        let answer = house.ask(of(who, post("/tokens", body.clone()))).await;
        let told = match answer.status {
            201 => Ok(answer.body["role"].as_str().expect("a role").to_owned()),
            422 => Err(answer.body["errors"][0]["pointer"].as_str().expect("a place").to_owned()),
            _ => panic!("{body}: {answer:?}"),
        };
        assert_eq!(told, expected.map(str::to_owned).map_err(str::to_owned), "{body}");
    }
}

#[actix_web::test]
async fn a_token_is_over_in_time_and_dead_with_its_user() {
    let house = House::new();
    let user = house.kept.user("alice", Standing::Operator);
    let browser = house.kept.browser(user);
    let made = house.ask(of(&browser, post("/tokens", json!({"name": "ci", "days": 1})))).await;
    let token = format!("Bearer {}", made.body["token"].as_str().expect("shown"));
    let asked = || get("/sessions").insert_header(("Authorization", token.clone()));
    house.kept.pass(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(house.ask(asked()).await.status, 200, "no bound of idleness");
    house.kept.state().users[0].enabled = false;
    assert_eq!(house.ask(asked()).await.status, 401);
    house.kept.state().users[0].enabled = true;
    house.kept.pass(Duration::from_secs(1));
    assert_eq!(house.ask(asked()).await.status, 401);
    let hashes: Vec<SecretHash> = house.kept.state().credentials.iter().map(|(hash, _)| *hash).collect();
    let secret = Secret::new(token.trim_start_matches("Bearer "));
    assert!(hashes.contains(&SecretHash::of(&secret)), "what is kept is its hash");
    assert!(house.kept.state().credentials.iter().any(|(_, kept)| kept.kind == CredentialKind::Token));
}
