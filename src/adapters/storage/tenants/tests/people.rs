//! Users, invitations, sessions and tokens.

use bellhop_tenancy::access::{SESSION_IDLE_MAX, ShownBy};

use super::*;

promises! {
    an_invitation_makes_one_user
    the_last_operator_stays
    who_may_not_sign_in_is_signed_out
    a_new_password_ends_the_other_sessions
    a_token_is_never_more_than_its_user
    sessions_and_tokens_have_bounds
    a_session_that_nobody_shows_is_over
    who_signs_in_by_a_provider_is_known_by_what_it_says
}

fn session_of(user: Id, of: &str) -> NewSession {
    let expires_unix_ms = unix_now_ms() + DAY_MS;
    NewSession { user, hash: hash(of), name: "Browser\n/1".into(), from: FROM.into(), expires_unix_ms }
}

pub(super) async fn an_invitation_makes_one_user(home: &impl Home) {
    let (one, two, by) = (home.store().await, home.store().await, operator());
    let expires_unix_ms = unix_now_ms() + DAY_MS;
    assert!(!one.has_operator().await.expect("answers"));
    for n in 0..10 {
        let secret = hash(&format!("secret {n}"));
        let new = Invitation { login: "boss".into(), standing: Standing::Operator, hash: secret, expires_unix_ms };
        one.invite(&by, new).await.expect("invited");
        assert!(one.has_operator().await.expect("answers"), "one is coming");
        let user =
            |who: &str| NewUser { login: format!("{who}{n}"), password_phc: Some("$argon2id$x".into()), open_id: None };
        let (a, b) = tokio::join!(one.accept(&secret, user("a"), FROM), two.accept(&secret, user("b"), FROM));
        match (a, b) {
            (Ok(_), Err(StoreError::NotFound)) | (Err(StoreError::NotFound), Ok(_)) => {}
            both => panic!("{both:?}"),
        }
    }
    let users = one.users(&by.signed_in.scope(), FIRST).await.expect("answers").items;
    assert_eq!(users.len(), 10);
    // One that is over, taken back, or of somebody who is there already, makes nobody.
    let new = |name: &str, expires_unix_ms| Invitation {
        login: name.into(),
        standing: Standing::Operator,
        hash: hash(name),
        expires_unix_ms,
    };
    let user = |login: &str| NewUser { login: login.into(), password_phc: Some("x".into()), open_id: None };
    one.invite(&by, new("late", 1)).await.expect("invited");
    assert!(not_found(one.accept(&hash("late"), user("late"), FROM).await));
    let kept = one.invite(&by, new("back", expires_unix_ms)).await.expect("invited");
    one.revoke_invitation(&by, kept.id).await.expect("taken back");
    assert!(not_found(one.accept(&hash("back"), user("back"), FROM).await));
    one.invite(&by, new("again", expires_unix_ms)).await.expect("invited");
    let login = users[0].login.to_uppercase();
    assert_eq!(
        told(one.accept(&hash("again"), user(&login), FROM).await),
        format!("there is a user `{login}` already")
    );
    assert!(one.invitation(&hash("again"), unix_now_ms()).await.expect("answers").is_some(), "it was not used up");
    let nothing = NewUser { login: "nobody".into(), password_phc: None, open_id: None };
    assert_eq!(
        told(one.accept(&hash("again"), nothing, FROM).await),
        "`password` is missing, and nobody else says who this is"
    );
}

pub(super) async fn the_last_operator_stays(home: &impl Home) {
    let (one, two, by) = (home.store().await, home.store().await, operator());
    let a = user(&one, "a", Standing::Operator).await;
    let last = "this is the last operator who may sign in: make another first";
    let disable = UserChange { enabled: Some(false), ..UserChange::default() };
    assert_eq!(told(one.change_user(&by, a.id, 1, disable.clone()).await), last);
    assert_eq!(told(one.delete_user(&by, a.id, 1).await), last);
    let b = user(&one, "b", Standing::Operator).await;
    let (first, second) = tokio::join!(one.delete_user(&by, a.id, 1), two.change_user(&by, b.id, 1, disable));
    match (first, second) {
        (Ok(()), Err(StoreError::InUse(_))) | (Err(StoreError::InUse(_)), Ok(_)) => {}
        both => panic!("{both:?}"),
    }
    assert!(one.has_operator().await.expect("answers"));
    let down = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    let left = one.users(&by.signed_in.scope(), FIRST).await.expect("answers").items.remove(0);
    assert_eq!(
        told(one.change_user(&by, left.id, left.stamp.revision, down).await),
        "`role` of an operator cannot be another: they belong to no tenant"
    );
}

pub(super) async fn who_may_not_sign_in_is_signed_out(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let session = store.add_session(session_of(a.user.id, "cookie")).await.expect("signed in");
    let now = unix_now_ms();
    let found =
        store.credential(CredentialKind::Session, &hash("cookie"), now, ShownBy::Somebody).await.expect("answers");
    let found = found.expect("signed in");
    assert_eq!((found.id, found.user, found.standing), (session, a.user.id, a.user.standing));
    assert!(
        store
            .credential(CredentialKind::Token, &hash("cookie"), now, ShownBy::Somebody)
            .await
            .expect("answers")
            .is_none()
    );
    let listed = store.credentials(&a.admin, CredentialKind::Session, Owner::Own, FIRST).await.expect("answers");
    assert_eq!((&*listed.items[0].name, &*listed.items[0].from), ("Browser/1", FROM));
    let off = UserChange { enabled: Some(false), ..UserChange::default() };
    let off = store.change_user(&operator(), a.user.id, 1, off).await.expect("changed");
    assert_eq!((off.enabled, off.stamp.revision), (false, 2));
    let on = UserChange { enabled: Some(true), ..UserChange::default() };
    assert!(store.password("BOSS@acme").await.expect("answers").is_none());
    assert!(not_found(store.add_session(session_of(a.user.id, "other")).await));
    store.change_user(&operator(), a.user.id, 2, on).await.expect("changed");
    assert!(store.password(" BOSS@acme").await.expect("answers").is_some());
    for (kind, secret) in [(CredentialKind::Session, "cookie"), (CredentialKind::Token, "token acme")] {
        assert!(
            store.credential(kind, &hash(secret), now, ShownBy::Somebody).await.expect("answers").is_none(),
            "{secret} is gone for good"
        );
    }
}

pub(super) async fn a_new_password_ends_the_other_sessions(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let own = store.add_session(session_of(a.user.id, "own")).await.expect("signed in");
    store.add_session(session_of(a.user.id, "other")).await.expect("signed in");
    let phc = async || store.password("boss@acme").await.expect("answers").expect("there").phc;
    store.keep_rehashed(a.user.id, "$argon2id$x", "newer").await.expect("kept");
    store.keep_rehashed(a.user.id, "$argon2id$x", "late").await.expect("nothing");
    assert_eq!(phc().await, "newer");
    store.set_password(a.user.id, "set", Some(own)).await.expect("set");
    assert_eq!(phc().await, "set");
    let now = unix_now_ms();
    for (secret, is_there) in [("own", true), ("other", false)] {
        let found =
            store.credential(CredentialKind::Session, &hash(secret), now, ShownBy::Somebody).await.expect("answers");
        assert_eq!(found.is_some(), is_there, "{secret}");
    }
    let line = store.audit(&a.scope(), FIRST).await.expect("answers").items.remove(0);
    assert_eq!(
        (&*line.action, &line.fields[..], line.user),
        ("user.change", &["password".to_owned()][..], Some(a.user.id))
    );
    store.set_password(a.user.id, "set", None).await.expect("set");
    assert!(
        store
            .credential(CredentialKind::Session, &hash("own"), now, ShownBy::Somebody)
            .await
            .expect("answers")
            .is_none()
    );
    let session = store.add_session(session_of(a.user.id, "own again")).await.expect("signed in");
    store.end_session(session).await.expect("ended");
    assert!(
        store
            .credential(CredentialKind::Session, &hash("own again"), now, ShownBy::Somebody)
            .await
            .expect("answers")
            .is_none()
    );
    assert!(not_found(store.set_password(new_id(), "x", None).await));
}

pub(super) async fn a_token_is_never_more_than_its_user(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    let now = unix_now_ms();
    let role = async || {
        let found = store
            .credential(CredentialKind::Token, &hash("token acme"), now, ShownBy::Somebody)
            .await
            .expect("answers");
        found.map(|found| found.standing.role())
    };
    assert_eq!(role().await, Some(Role::Admin));
    let down = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    store.change_user(&operator(), a.user.id, 1, down).await.expect("changed");
    assert_eq!(role().await, Some(Role::Viewer));
    let by_token = author(a.user.id, "ci", a.user.standing, CredentialKind::Token);
    let new = NewToken { name: "x".into(), standing: a.token.standing, hash: hash("x"), expires_unix_ms: i64::MAX };
    let why = "`token` is made by a user who is signed in, and by no token";
    assert_eq!(told(store.add_token(&by_token, new.clone()).await), why);
    assert_eq!(told(store.add_token(&operator(), new).await), why, "who is on the machine is no user");
    store.revoke(&a.admin, CredentialKind::Token, Owner::Own, a.token.id).await.expect("revoked");
    assert_eq!(role().await, None);
    assert!(not_found(store.revoke(&a.admin, CredentialKind::Token, Owner::Own, a.token.id).await));
    let of_nobody = store.credentials(&operator(), CredentialKind::Token, Owner::Own, FIRST).await;
    assert!(not_found(of_nobody));
}

pub(super) async fn sessions_and_tokens_have_bounds(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    for n in 0..25 {
        store.add_session(session_of(a.user.id, &format!("session {n}"))).await.expect("signed in");
    }
    let sessions =
        store.credentials(&a.admin, CredentialKind::Session, Owner::Own, FIRST).await.expect("answers").items;
    assert_eq!(sessions.len(), 20);
    let last = store
        .credential(CredentialKind::Session, &hash("session 24"), unix_now_ms(), ShownBy::Somebody)
        .await
        .expect("answers");
    assert!(last.is_some(), "the oldest ended");
    let token = |n: u32| NewToken {
        name: format!("t{n}"),
        standing: a.user.standing,
        hash: hash(&format!("t{n}")),
        expires_unix_ms: unix_now_ms() + DAY_MS,
    };
    for n in 1..100 {
        store.add_token(&a.admin, token(n)).await.expect("added");
    }
    assert_eq!(told(store.add_token(&a.admin, token(100)).await), "there are 100 of these, and no more may be");
}

pub(super) async fn a_session_that_nobody_shows_is_over(home: &impl Home) {
    let store = home.store().await;
    let a = furnish(&store, "acme", "+18005550101").await;
    store.add_session(session_of(a.user.id, "cookie")).await.expect("signed in");
    let idle = SESSION_IDLE_MAX.as_millis() as i64;
    let began = unix_now_ms();
    let is_there = async |secret: &str, kind, at| {
        store.credential(kind, &hash(secret), at, ShownBy::Somebody).await.expect("answers").is_some()
    };
    // Shown in time it goes on; the time is kept to a minute.
    assert!(is_there("cookie", CredentialKind::Session, began + idle - 60_000).await);
    assert!(is_there("cookie", CredentialKind::Session, began + idle + 60_000).await);
    let seen = began + idle + 60_000;
    assert!(!is_there("cookie", CredentialKind::Session, seen + idle).await);
    // What a page asks by itself is answered, and keeps nothing alive.
    let by_itself = store.credential(CredentialKind::Session, &hash("cookie"), seen + idle - 1, ShownBy::Itself).await;
    assert!(by_itself.expect("answers").is_some());
    assert!(!is_there("cookie", CredentialKind::Session, seen + idle).await);
    assert!(is_there("token acme", CredentialKind::Token, began + DAY_MS / 2).await, "a token has no such end");
    assert!(!is_there("token acme", CredentialKind::Token, began + 2 * DAY_MS).await, "but that of its time");
}

pub(super) async fn who_signs_in_by_a_provider_is_known_by_what_it_says(home: &impl Home) {
    let (store, by) = (home.store().await, operator());
    let expires_unix_ms = unix_now_ms() + DAY_MS;
    let invite = async |name: &str, subject: &str| {
        let new = Invitation { login: name.into(), standing: Standing::Operator, hash: hash(name), expires_unix_ms };
        store.invite(&by, new).await.expect("invited");
        let open_id = Some(("https://id.example".to_owned(), subject.to_owned()));
        store.accept(&hash(name), NewUser { login: name.into(), password_phc: None, open_id }, FROM).await
    };
    let made = invite("a", "42").await.expect("accepted");
    let way = SignInWay::OpenId { issuer: "https://id.example".into(), subject: "42".into() };
    assert_eq!(made.ways, [way]);
    let found = store.open_id_user("https://id.example", "42").await.expect("answers");
    assert_eq!(found, Some(made.clone()));
    assert_eq!(store.open_id_user("https://id.example", "43").await.expect("answers"), None);
    assert_eq!(told(invite("b", "42").await), "whom the provider names is a user already");
    let listed = store.users(&by.signed_in.scope(), FIRST).await.expect("answers").items;
    assert_eq!((listed.len(), &listed[0]), (1, &made));
    invite("c", "44").await.expect("an operator who stays");
    let off = UserChange { enabled: Some(false), ..UserChange::default() };
    store.change_user(&by, made.id, made.stamp.revision, off).await.expect("changed");
    let found =
        store.open_id_user("https://id.example", "42").await.expect("answers").expect("it is known whose it is");
    assert!(!found.enabled);
}
