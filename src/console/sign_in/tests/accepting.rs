//! Accepting an invitation.

use super::*;

pub(super) async fn invited(house: &House, login: &str, standing: Standing) -> String {
    let link = claim::Link::fresh(PUBLIC_URL, &house.kept.random());
    let by = bellhop_tenancy::access::Author {
        signed_in: bellhop_tenancy::access::SignedIn::on_this_machine("test"),
        from: "this machine".to_owned(),
    };
    let invitation = Invitation { login: login.to_owned(), standing, hash: link.hash, expires_unix_ms: BEGIN + 60_000 };
    house.kept.invite(&by, invitation).await.expect("kept");
    link.url.expose().split('#').nth(1).expect("a secret").to_owned()
}

#[actix_web::test]
async fn an_invitation_makes_one_user_once_and_signs_them_in() {
    let house = House::new();
    let secret = invited(&house, "operator", Standing::Operator).await;
    let accept = |login: Option<&str>, password: &str| {
        let body = json!({"secret": secret, "login": login, "password": password});
        house.ask(post("/invitations/accept", body))
    };
    for (login, password, pointers) in [
        (Some("root"), "short", vec!["#/password"]),
        (Some(""), PASSWORD, vec!["#/login"]),
        (Some("a\nb"), "password1234", vec!["#/login", "#/password"]),
        (Some(" root"), PASSWORD, vec!["#/login"]),
        (Some(PASSWORD), PASSWORD, vec!["#/password"]),
    ] {
        let refused = accept(login, password).await;
        let told: Vec<_> =
            refused.body["errors"].as_array().expect("faults").iter().map(|fault| &fault["pointer"]).collect();
        assert_eq!(
            (refused.status, told),
            (422, pointers.iter().map(|at| json!(at)).collect::<Vec<_>>().iter().collect())
        );
    }
    assert_eq!(house.sign_in.hashing.computed(), 0);
    let made = accept(None, PASSWORD).await;
    assert_eq!((made.status, &made.body["signed_in"]["login"]), (201, &json!("operator")), "{made:?}");
    assert_eq!(house.ask(of(&signed_in(&made), get("/sessions"))).await.status, 200);
    let again = accept(Some("another"), PASSWORD).await;
    assert_eq!((again.status, house.kept.state().users.len()), (404, 1));
    assert_eq!(house.sign_in("operator", PASSWORD).await.status, 200);
}

#[actix_web::test]
async fn of_an_invitation_that_is_none_nothing_is_told() {
    let house = House::new();
    house.kept.user("taken", Standing::Operator);
    let secret = invited(&house, "taken", Standing::Operator).await;
    let accept = async |secret: &str| {
        house.ask(post("/invitations/accept", json!({"secret": secret, "password": PASSWORD}))).await
    };
    assert_eq!(accept(&secret).await.status, 409, "the login is another's: they choose one");
    house.kept.pass(Duration::from_secs(60));
    let answers = [accept(&secret).await, accept(&"A".repeat(43)).await, accept("x").await, accept("").await];
    assert!(answers.iter().all(|answer| answer.status == 404 && answer.body == answers[0].body), "{answers:?}");
    assert_eq!(house.kept.state().notes.iter().filter(|(login, _, good)| login.is_empty() && !good).count(), 4);
    // Tries are limited: five were made, and two came back in a minute.
    let more = [accept("x").await.status, accept("x").await.status, accept("x").await.status];
    assert_eq!(more, [404; 3]);
    let mut last = accept("x").await;
    for _ in 0..10 {
        last = accept("x").await;
    }
    assert_eq!((last.status, last.retry_after.as_deref()), (429, Some("30")));
}

#[actix_web::test]
async fn of_two_who_accept_at_once_one_becomes_a_user() {
    let house = House::new();
    let secret = invited(&house, "operator", Standing::Operator).await;
    let accept = |login: &'static str| {
        house.ask(post("/invitations/accept", json!({"secret": secret, "login": login, "password": PASSWORD})))
    };
    let (one, other) = futures_util::future::join(accept("one"), accept("other")).await;
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!((statuses, house.kept.state().users.len()), ([201, 404], 1));
}
