//! Signing in by an identity provider.

use super::accepting::invited;
use super::*;
use crate::sign_in::stand_in_provider::{ISSUER, code};

const CALLBACK: &str = "/sign-in/openid-connect/callback";

/// A browser that was sent to the provider.
struct Sent {
    cookie: String,
    state: String,
    nonce: String,
}

async fn sent(house: &House, wanted: Value) -> Sent {
    let answer = house.ask(post("/sign-in/openid-connect", wanted)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let location = answer.body["location"].as_str().expect("a place").to_owned();
    assert!(location.ends_with(&format!("&redirect_uri={PUBLIC_URL}{}", at(CALLBACK))), "{location}");
    let parameter = |name: &str| {
        let query = location.split_once('?').expect("a query").1;
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.expect(name).to_owned()
    };
    let cookie = answer.cookies.first().expect("a cookie").clone();
    assert!(cookie.starts_with("__Host-bellhop-authorization="), "{cookie}");
    Sent { state: parameter("state"), nonce: parameter("nonce"), cookie }
}

async fn back(house: &House, cookie: &str, query: &str) -> Answer {
    house.ask(get(&format!("{CALLBACK}?{query}")).insert_header((COOKIE, cookie.to_owned()))).await
}

fn known(house: &House, login: &str, subject: &str) -> Id {
    let id = house.kept.user(login, Standing::Operator);
    let open_id = Some((ISSUER.to_owned(), subject.to_owned()));
    house.kept.state().users.iter_mut().filter(|user| user.id == id).for_each(|user| user.open_id = open_id.clone());
    id
}

#[actix_web::test]
async fn whom_the_provider_names_is_signed_in_once_and_goes_where_they_wanted_to() {
    let house = House::with_provider();
    known(&house, "ann", "42");
    let browser = sent(&house, json!({"return_to": "/calls?of=today"})).await;
    let query = format!("state={}&code={}&session_state=x&iss={ISSUER}", browser.state, code("42", &browser.nonce));
    let answer = back(&house, &browser.cookie, &query).await;
    assert_eq!((answer.status, answer.location.as_deref()), (303, Some("https://bellhop.example/calls?of=today")));
    let [session, taken_back] = &answer.cookies[..] else { panic!("{:?}", answer.cookies) };
    assert_eq!(taken_back, "__Host-bellhop-authorization=");
    let who = house.ask(get("/session").insert_header((COOKIE, session.clone()))).await;
    assert_eq!(who.body["signed_in"]["login"], json!("ann"));
    let ways = json!([{"kind": "password"}, {"kind": "open_id_connect", "name": "Example ID"}]);
    assert_eq!(who.body["ways"], ways);
    assert_eq!(house.kept.state().notes, [("ann".to_owned(), "127.0.0.1".to_owned(), true)]);
    // The code is used; whoever saw both it and the cookie gets nothing by them.
    let again = back(&house, &browser.cookie, &query).await;
    assert_eq!((again.status, again.cookies.len()), (401, 1));
    let there = sent(&house, json!({})).await;
    let query = format!("state={}&code={}", there.state, code("42", &there.nonce));
    let answer = back(&house, &there.cookie, &query).await;
    assert_eq!(answer.location.as_deref(), Some("https://bellhop.example/"));
}

#[actix_web::test]
async fn what_comes_back_wrong_signs_nobody_in() {
    let house = House::with_provider();
    known(&house, "ann", "42");
    let disabled = known(&house, "gone", "43");
    house.kept.state().users.iter_mut().filter(|user| user.id == disabled).for_each(|user| user.enabled = false);
    let other = sent(&house, json!({})).await;
    for (what, status) in [
        (Box::new(|b: &Sent| format!("code={}", code("42", &b.nonce))) as Box<dyn Fn(&Sent) -> String>, 400),
        (Box::new(|b: &Sent| format!("state=&code={}", code("42", &b.nonce))), 400),
        (Box::new(|b: &Sent| format!("state={}&code={}", other.state, code("42", &b.nonce))), 400),
        (Box::new(|b: &Sent| format!("state={0}&state={0}&code={1}", b.state, code("42", &b.nonce))), 400),
        (Box::new(|b: &Sent| format!("state={}&code={}", b.state, code("42", &other.nonce))), 401),
        (Box::new(|b: &Sent| format!("state={}&code={}&iss=https://evil.example", b.state, code("42", &b.nonce))), 401),
        (Box::new(|b: &Sent| format!("state={}&error=access_denied", b.state)), 401),
        (Box::new(|b: &Sent| format!("state={}", b.state)), 401),
        (Box::new(|b: &Sent| format!("state={}&code=", b.state)), 401),
        (Box::new(|b: &Sent| format!("state={}&code={}", b.state, code("44", &b.nonce))), 403),
        (Box::new(|b: &Sent| format!("state={}&code={}", b.state, code("43", &b.nonce))), 403),
        (Box::new(|b: &Sent| format!("state={}&code=away", b.state)), 503),
    ] {
        let browser = sent(&house, json!({})).await;
        let (query, before) = (what(&browser), house.kept.state().notes.len());
        let answer = back(&house, &browser.cookie, &query).await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        assert!(!answer.cookies.iter().any(|cookie| cookie.starts_with("__Host-bellhop=")), "{query}");
        assert_eq!(answer.cookies.len(), usize::from(![400, 503].contains(&status)), "the sign-in is over: {query}");
        let noted = house.kept.state().notes.len() - before;
        assert_eq!(noted, usize::from([401, 403].contains(&status)), "{query}");
        if query.contains(&code("43", &browser.nonce)) {
            let note = house.kept.state().notes.last().cloned();
            assert_eq!(note, Some(("gone".to_owned(), "127.0.0.1".to_owned(), false)), "whose account it was");
        }
        house.kept.pass(Duration::from_secs(10));
    }
    let another = back(&house, &other.cookie, &format!("state={}", other.state)).await;
    assert_eq!(another.status, 401, "one that others tried to end is not over");
    let nobody = house.ask(get(&format!("{CALLBACK}?state={}&code=x", other.state))).await;
    assert_eq!(nobody.status, 400, "in another browser");
}

#[actix_web::test]
async fn an_invitation_is_accepted_by_the_provider_and_nobody_becomes_a_user_without_one() {
    let house = House::with_provider();
    let secret = invited(&house, "operator", Standing::Operator).await;
    for (wanted, status, pointer) in [
        (json!({"invitation": "E".repeat(43)}), 404, None),
        (json!({"invitation": secret, "login": " ann"}), 422, Some("#/login")),
        (json!({"login": "ann"}), 422, Some("#/login")),
        (json!({"return_to": "//evil.example"}), 422, Some("#/return_to")),
    ] {
        let answer = house.ask(post("/sign-in/openid-connect", wanted)).await;
        let told = answer.body["errors"][0]["pointer"].as_str();
        assert_eq!((answer.status, told), (status, pointer), "{answer:?}");
    }
    let (one, other) = (
        sent(&house, json!({"invitation": secret, "login": "ann"})).await,
        sent(&house, json!({"invitation": secret, "login": "bob"})).await,
    );
    let query =
        |browser: &Sent, subject: &str| format!("state={}&code={}", browser.state, code(subject, &browser.nonce));
    let made = back(&house, &one.cookie, &query(&one, "42")).await;
    assert_eq!(made.status, 303, "{made:?}");
    assert_eq!(back(&house, &other.cookie, &query(&other, "43")).await.status, 404, "it was used");
    let users: Vec<_> =
        house.kept.state().users.iter().map(|user| (user.login.clone(), user.open_id.clone())).collect();
    assert_eq!(users, [("ann".to_owned(), Some((ISSUER.to_owned(), "42".to_owned())))]);
    let again = sent(&house, json!({})).await;
    assert_eq!(back(&house, &again.cookie, &query(&again, "42")).await.status, 303);
}

/// Ten who are behind one address accept ten invitations: beginning is the one try of each.
#[actix_web::test]
async fn an_invitation_that_is_accepted_by_the_provider_is_one_try() {
    let house = House::with_provider();
    let mut browsers = vec![];
    for n in 0..10 {
        let secret = invited(&house, &format!("user {n}"), Standing::Operator).await;
        browsers.push(sent(&house, json!({"invitation": secret})).await);
    }
    for (n, browser) in browsers.iter().enumerate() {
        let query = format!("state={}&code={}", browser.state, code(&n.to_string(), &browser.nonce));
        let made = back(&house, &browser.cookie, &query).await;
        assert_eq!(made.status, 303, "{n}: {made:?}");
    }
}

#[actix_web::test]
async fn a_sign_in_is_begun_by_our_own_pages_in_private_and_not_too_often() {
    let house = House::with_provider();
    let begin = || post("/sign-in/openid-connect", json!({}));
    assert_eq!(house.ask_from("203.0.113.9", begin()).await.status, 403);
    assert_eq!(house.ask_from("203.0.113.9", get(&format!("{CALLBACK}?state=x"))).await.status, 403);
    assert_eq!(house.ask(begin().insert_header(("Origin", "https://evil.example"))).await.status, 403);
    for _ in 0..40 {
        assert_eq!(house.ask(begin()).await.status, 200);
    }
    let refused = house.ask(begin()).await;
    assert_eq!((refused.status, refused.retry_after.as_deref()), (429, Some("2")));
    assert_eq!(house.ask(get(&format!("{CALLBACK}?state=x"))).await.status, 429);
}

#[actix_web::test]
async fn a_server_without_a_provider_offers_none() {
    let house = House::new();
    assert_eq!(house.ask(post("/sign-in/openid-connect", json!({}))).await.status, 404);
    assert_eq!(house.ask(get(&format!("{CALLBACK}?state=x"))).await.status, 404);
    assert_eq!(house.ask(get("/session")).await.body["ways"], json!([{"kind": "password"}]));
}
