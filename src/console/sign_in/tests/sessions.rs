//! Sessions: how one begins, is listed, held up and ended.

use super::*;

#[actix_web::test]
async fn a_sign_in_begins_a_session_of_a_new_secret_and_ends_the_one_before() {
    let house = House::new();
    let user = house.person("alice", of_tenant(1, TenantRole::Admin), CHEAP);
    let planted = house.kept.browser(user);
    let body = json!({"login": "alice", "password": PASSWORD});
    let answer = house.ask(post("/sign-in", body).insert_header((COOKIE, planted.cookie.clone()))).await;
    let browser = signed_in(&answer);
    assert_ne!(browser.cookie, planted.cookie);
    assert!(browser.cookie.starts_with("__Host-bellhop="), "{}", browser.cookie);
    assert_eq!(house.ask(of(&planted, get("/sessions"))).await.status, 401);
    let shown = house.ask(of(&browser, get("/session"))).await;
    assert_eq!(shown.body, answer.body);
    let who = &shown.body["signed_in"];
    assert_eq!((&who["login"], &who["role"], &who["by_token"]), (&json!("alice"), &json!("admin"), &json!(false)));
    assert_eq!((&who["tenant"]["name"], &shown.body["ways"]), (&json!("acme"), &json!([{"kind": "password"}])));
    let secret = browser.cookie.split('=').nth(1).expect("a value");
    assert!(!answer.body.to_string().contains(secret), "the cookie alone has it");
}

#[actix_web::test]
async fn whoever_is_nobody_learns_how_to_become_somebody() {
    let house = House::new();
    let over = get("/session").insert_header((COOKIE, format!("__Host-bellhop={}", "A".repeat(43))));
    for request in [get("/session"), over, get("/session").insert_header((COOKIE, "__Host-bellhop=x"))] {
        let shown = house.ask(request).await;
        assert_eq!(shown.status, 200);
        assert_eq!(shown.body, json!({"signed_in": null, "csrf_token": null, "ways": [{"kind": "password"}]}));
    }
    let wrong = get("/session").insert_header(("Authorization", "Bearer x"));
    assert_eq!(house.ask(wrong).await.status, 401, "a program is told that its token is wrong");
    let token = house.kept.token(house.kept.user("ci", Standing::Operator));
    let shown = house.ask(get("/session").insert_header(("Authorization", format!("Bearer {token}")))).await;
    assert_eq!((&shown.body["signed_in"]["by_token"], &shown.body["csrf_token"]), (&json!(true), &Value::Null));
}

#[actix_web::test]
async fn a_session_is_listed_ended_from_another_and_ended_by_signing_out() {
    let house = House::new();
    let (alice, bob) = (of_tenant(1, TenantRole::Viewer), of_tenant(1, TenantRole::Admin));
    let (alice, bob) = (house.kept.user("alice", alice), house.kept.user("bob", bob));
    let mallory = house.kept.user("mallory", of_tenant(2, TenantRole::Admin));
    let [one, two, admin, stranger] = [alice, alice, bob, mallory].map(|user| house.kept.browser(user));
    let listed = house.ask(of(&one, get("/sessions"))).await.body;
    let items = listed["items"].as_array().expect("items").clone();
    assert_eq!(items.iter().map(|item| item["current"].as_bool()).collect::<Vec<_>>(), [Some(true), Some(false)]);
    assert_eq!((&items[0]["from"], &items[0]["created_at"]), (&json!("192.0.2.1"), &json!("2027-01-15T08:00:00Z")));
    assert!(!listed.to_string().contains(one.cookie.split('=').nth(1).expect("a value")));
    let end = |id: &Value| TestRequest::delete().uri(&at(&format!("/sessions/{}", id.as_str().expect("an id"))));
    assert_eq!(house.ask(of(&stranger, end(&items[1]["id"]))).await.status, 404);
    let (mine, theirs) =
        (house.ask(of(&admin, get("/sessions"))).await, house.ask(of(&one, get("/sessions?everybody=true"))).await);
    assert_eq!((mine.body["items"].as_array().map(Vec::len), theirs.status), (Some(1), 403));
    let all = house.ask(of(&admin, get("/sessions?everybody=true&limit=2"))).await.body;
    let next = all["next"].as_str().expect("more");
    let rest = house.ask(of(&admin, get(&format!("/sessions?everybody=true&after={next}")))).await.body;
    assert_eq!((all["items"].as_array().map(Vec::len), rest["items"].as_array().map(Vec::len)), (Some(2), Some(1)));
    assert_eq!(house.ask(of(&one, end(&rest["items"][0]["id"]))).await.status, 404, "a viewer ends their own alone");
    assert_eq!(house.ask(of(&one, end(&items[1]["id"]))).await.status, 204);
    assert_eq!(house.ask(of(&two, get("/sessions"))).await.status, 401);
    let out = house.ask(of(&one, TestRequest::post().uri(&at("/sign-out")))).await;
    assert_eq!((out.status, out.cookie.as_deref()), (204, Some("__Host-bellhop=")));
    assert_eq!(house.ask(of(&one, get("/sessions"))).await.status, 401);
    let own = house.ask(of(&admin, end(&rest["items"][0]["id"]))).await;
    assert_eq!((own.status, own.cookie.as_deref()), (204, Some("__Host-bellhop=")), "one's own goes with its cookie");
    for bad in
        ["/sessions?limit=0", "/sessions?limit=201", "/sessions?after=x", "/sessions?x=1", "/sessions?limit=1&limit=2"]
    {
        assert_eq!(house.ask(of(&stranger, get(bad))).await.status, 400, "{bad}");
    }
    assert_eq!(house.ask(of(&stranger, TestRequest::delete().uri(&at("/sessions/%ff")))).await.status, 404);
}

#[actix_web::test]
async fn what_a_browser_calls_itself_is_kept_in_bounds_and_splits_no_header() {
    let house = House::new();
    house.person("alice", Standing::Operator, CHEAP);
    let long = [b"\xff".as_slice(), "é".repeat(500).as_bytes()].concat();
    let name = actix_web::http::header::HeaderValue::from_bytes(&long).expect("bytes");
    let body = json!({"login": "alice", "password": PASSWORD});
    let answer = house.ask(post("/sign-in", body).insert_header(("User-Agent", name))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(house.kept.state().credentials[0].1.name.chars().count(), 200);
}

#[actix_web::test]
async fn strangers_and_those_who_are_known_are_each_held_up_by_themselves() {
    let house = House::new();
    let [one, two] = ["alice", "bob"].map(|login| house.kept.browser(house.kept.user(login, Standing::Operator)));
    let stranger = async || house.ask(get("/sessions")).await.status;
    for _ in 0..60 {
        assert_eq!(stranger().await, 401);
    }
    assert_eq!(stranger().await, 429);
    for _ in 0..300 {
        assert_eq!(house.ask(of(&one, get("/session"))).await.status, 200);
    }
    let held_up = house.ask(of(&one, get("/session"))).await;
    assert_eq!((held_up.status, held_up.retry_after.as_deref()), (429, Some("1")));
    assert_eq!(house.ask(of(&two, get("/session"))).await.status, 200);
    house.kept.pass(Duration::from_secs(1));
    assert_eq!((stranger().await, house.ask(of(&one, get("/session"))).await.status), (401, 200));
    // Whoever invents secrets makes no more work than the limit of their address.
    let lookups = house.kept.state().lookups;
    for n in 0..1_500 {
        let invented = format!("__Host-bellhop={n:04}{}", "A".repeat(39));
        house.ask_from("127.0.0.9", get("/sessions").insert_header((COOKIE, invented))).await;
    }
    assert_eq!(house.kept.state().lookups - lookups, 1_000);
}
