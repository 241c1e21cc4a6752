//! Signing in by a password, and changing it.

use super::*;

/// The answers to a known name and to an unknown one are the same, and so is the work.
#[actix_web::test]
async fn a_wrong_password_and_an_unknown_name_are_the_same_work_and_the_same_words() {
    let house = House::new();
    house.person("alice", Standing::Operator, CHEAP);
    house.kept.user("by provider", Standing::Operator);
    let disabled = house.person("gone", Standing::Operator, CHEAP);
    house.kept.state().users.iter_mut().filter(|user| user.id == disabled).for_each(|user| user.enabled = false);
    let mut told = vec![];
    for login in ["alice", "nobody", "by provider", "gone", "", "\0", &"x".repeat(4_000)] {
        let password = if login == "alice" { "nobody expects that" } else { PASSWORD };
        let before = house.sign_in.hashing.computed();
        let answer = house.sign_in(login, password).await;
        assert_eq!((answer.status, house.sign_in.hashing.computed() - before), (401, 1), "{login}");
        told.push(answer.body.to_string());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    let notes = std::mem::take(&mut house.kept.state().notes);
    assert!(notes.len() == 7 && notes.iter().all(|(_, from, good)| from == "127.0.0.1" && !good));
    let good = house.sign_in("ALICE", PASSWORD).await;
    assert_eq!(good.status, 200, "{good:?}");
    assert_eq!(house.kept.state().notes, [("ALICE".to_owned(), "127.0.0.1".to_owned(), true)]);
}

#[actix_web::test]
async fn a_password_is_tried_so_often_from_one_address_and_for_one_login() {
    let house = House::new();
    house.person("alice", Standing::Operator, CHEAP);
    let try_from = async |address: &str, login: &str| {
        house.ask_from(address, post("/sign-in", json!({"login": login, "password": PASSWORD}))).await
    };
    for n in 0..20 {
        assert_eq!(try_from("127.0.0.1", &format!("nobody {n}")).await.status, 401);
    }
    let (noted, computed) = (house.kept.state().notes.len(), house.sign_in.hashing.computed());
    let refused = try_from("127.0.0.1", "alice").await;
    assert_eq!((refused.status, refused.retry_after.as_deref()), (429, Some("5")));
    assert_eq!((house.kept.state().notes.len(), house.sign_in.hashing.computed()), (noted, computed), "no work");
    // Other addresses, and one login.
    for n in 2..12 {
        assert_eq!(try_from(&format!("127.0.0.{n}"), "alice").await.status, 200, "{n}");
    }
    assert_eq!(try_from("127.0.0.12", "alice").await.status, 429);
    house.kept.pass(Duration::from_secs(30));
    assert_eq!(try_from("127.0.0.12", "alice").await.status, 200);
}

#[actix_web::test]
async fn no_password_is_taken_where_others_could_read_it_or_of_another_site() {
    let house = House::new();
    house.person("alice", Standing::Operator, CHEAP);
    let body = || post("/sign-in", json!({"login": "alice", "password": PASSWORD}));
    let invitation = || post("/invitations/accept", json!({"secret": "x", "password": PASSWORD}));
    for request in [body(), invitation(), body().insert_header(("X-Forwarded-Proto", "https"))] {
        let answer = house.ask_from("203.0.113.9", request).await;
        assert_eq!(answer.status, 403);
        assert!(answer.body["detail"].as_str().expect("a sentence").contains("http.behind"));
    }
    for (name, value) in [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site"), ("Origin", "null")] {
        assert_eq!(house.ask(body().insert_header((name, value))).await.status, 403, "{name}: {value}");
        assert_eq!(house.ask(invitation().insert_header((name, value))).await.status, 403, "{name}: {value}");
    }
    assert_eq!(house.sign_in.hashing.computed(), 0);
    assert_eq!(house.ask(body().insert_header(("Origin", PUBLIC_URL))).await.status, 200);
}

#[actix_web::test]
async fn a_password_whose_hash_is_weak_is_hashed_anew_and_no_session_ends() {
    let house = House::new();
    let user = house.person("alice", Standing::Operator, Cost { memory_kib: 8, passes: 1 });
    let kept = Kept::new();
    let mut settings = crate::sign_in::Settings::at(PUBLIC_URL).expect("an address");
    settings.cost = Cost { memory_kib: 16, passes: 2 };
    let sign_in = SignIn::new(house.kept.ports(), settings, kept.clock(), kept.random()).expect("threads");
    let house = House { sign_in: Data::new(sign_in), ..house };
    let other = house.kept.browser(user);
    let phc = |house: &House| house.kept.state().users[0].phc.clone().expect("a password");
    let before = phc(&house);
    assert_eq!(house.sign_in("alice", PASSWORD).await.status, 200);
    let after = phc(&house);
    assert!(before.contains("m=8,t=1") && after.contains("m=16,t=2"), "{after}");
    assert_eq!(house.sign_in("alice", PASSWORD).await.status, 200);
    assert_eq!(phc(&house), after, "once");
    assert_eq!(house.ask(of(&other, get("/sessions"))).await.status, 200);
}

#[actix_web::test]
async fn a_changed_password_ends_the_other_sessions() {
    let house = House::new();
    let user = house.person("alice", of_tenant(1, TenantRole::Agent), CHEAP);
    let (browser, other) = (house.kept.browser(user), house.kept.browser(user));
    let token = house.kept.token(user);
    let change = |current: &str, new: &str| {
        let body = json!({"current_password": current, "password": new});
        of(&browser, TestRequest::put().uri(&at("/session/password")).set_json(body))
    };
    let by_token =
        TestRequest::put().uri(&at("/session/password")).insert_header(("Authorization", format!("Bearer {token}")));
    let body = json!({"current_password": PASSWORD, "password": "another sentence"});
    assert_eq!(house.ask(by_token.set_json(body)).await.status, 403, "a token is no person");
    let wrong = house.ask(change("nobody expects that", "another sentence")).await;
    assert_eq!((wrong.status, &wrong.body["errors"][0]["pointer"]), (422, &json!("#/current_password")));
    assert_eq!(house.kept.state().notes.last().map(|note| note.2), Some(false));
    let weak = house.ask(change(PASSWORD, "password1234")).await;
    assert_eq!((weak.status, &weak.body["errors"][0]["pointer"]), (422, &json!("#/password")));
    assert_eq!(house.ask(of(&other, get("/sessions"))).await.status, 200);
    assert_eq!(house.ask(change(PASSWORD, "another sentence")).await.status, 204);
    assert_eq!(house.ask(of(&other, get("/sessions"))).await.status, 401);
    assert_eq!(house.ask(of(&browser, get("/sessions"))).await.status, 200);
    assert_eq!(house.sign_in("alice", PASSWORD).await.status, 401);
    assert_eq!(house.sign_in("alice", "another sentence").await.status, 200);
    let by_provider = house.kept.browser(house.kept.user("carol", Standing::Operator));
    let body = json!({"current_password": "x", "password": "another sentence"});
    let none = of(&by_provider, TestRequest::put().uri(&at("/session/password")).set_json(body));
    assert_eq!(house.ask(none).await.status, 409);
}
