//! Users and invitations.

use bellhop_tenancy::store::{NewUser, SignIns};

use super::*;

/// Somebody who accepted an invitation.
pub(super) async fn join(house: &House, login: &str, role: &str, tenant: Option<TenantId>) -> Answer {
    let mut body = json!({"login": login, "role": role});
    if let Some(tenant) = tenant {
        body["tenant"] = json!(tenant.to_string());
    }
    let invited = house.post("operator", "/invitations", body).await;
    assert_eq!(invited.status, 201, "{invited:?}");
    let secret = invited.body["link"].as_str().expect("a link").split_once('#').expect("behind the #").1.to_owned();
    let user = NewUser { login: login.into(), password_phc: Some("$argon2id$x".into()), open_id: None };
    house.store.accept(&SecretHash::of(&Secret::new(secret)), user, "192.0.2.1").await.expect("accepted");
    invited
}

#[actix_web::test]
async fn an_invitation_is_shown_once_and_gives_no_more_than_who_invites() {
    let house = House::new().await;
    let made = house.post("admin", "/invitations", json!({"login": "ann", "role": "viewer"})).await;
    assert_eq!((made.status, &made.body["tenant"]), (201, &json!(house.acme.to_string())));
    assert!(made.body["link"].as_str().is_some_and(|link| link.starts_with("https://bellhop.example/claim#")));
    let listed = house.get("admin", "/invitations").await;
    assert!(listed.body["items"][0]["login"] == "ann" && !listed.text.contains("claim#"), "{listed:?}");
    for (body, pointer) in [
        (json!({"login": "x", "role": "operator"}), "#/role"),
        (json!({"login": "x", "role": "boss"}), "#/role"),
        (json!({"login": "x", "role": "viewer", "tenant": house.other.to_string()}), "#/tenant"),
        (json!({"login": "", "role": "viewer"}), "#/login"),
        (json!({"login": "x", "role": "viewer", "days": 31}), "#/days"),
    ] {
        let refused = house.post("admin", "/invitations", body).await;
        assert_eq!((refused.status, refused.faults()[0].0.as_str()), (422, pointer), "{refused:?}");
    }
    let misfit = house.post("operator", "/invitations", json!({"login": "x", "role": "viewer"})).await;
    assert_eq!((misfit.status, misfit.faults()[0].0.as_str()), (422, "#/tenant"));
    let by_token = house.post("program", "/invitations", json!({"login": "x", "role": "viewer"})).await;
    assert_eq!(by_token.status, 403, "a token makes nobody");
    let path = format!("/invitations/{}", made.id());
    assert_eq!(house.ask(of("stranger", Method::DELETE, &path)).await.status, 404);
    assert_eq!(house.ask(of("admin", Method::DELETE, &path)).await.status, 204);
}

#[actix_web::test]
async fn a_user_is_changed_within_what_their_tenant_has() {
    let house = House::new().await;
    join(&house, "ann", "viewer", Some(house.acme)).await;
    let ann = house.get("admin", "/users").await.body["items"][0].clone();
    assert_eq!((&ann["login"], &ann["role"], &ann["has_password"]), (&json!("ann"), &json!("viewer"), &json!(true)));
    let path = format!("/users/{}", ann["id"].as_str().expect("an id"));
    let shown = house.get("admin", &path).await;
    let changed = house.patch("admin", &path, shown.etag(), json!({"role": "admin", "enabled": false})).await;
    assert_eq!(
        (changed.status, &changed.body["role"], &changed.body["enabled"]),
        (200, &json!("admin"), &json!(false))
    );
    let more = house.patch("admin", &path, changed.etag(), json!({"role": "operator"})).await;
    assert!([403, 409, 422].contains(&more.status), "{more:?}");
    assert_eq!(house.get("stranger", &path).await.status, 404);
    assert_eq!(house.patch("program", &path, changed.etag(), json!({"enabled": true})).await.status, 403);
    assert_eq!(house.delete("admin", &path, changed.etag()).await.status, 204);
}

#[actix_web::test]
async fn the_last_operator_stays() {
    let house = House::new().await;
    join(&house, "root", "operator", None).await;
    let users = house.get("operator", "/users").await.body;
    let root =
        users["items"].as_array().expect("items").iter().find(|user| user["login"] == "root").expect("root").clone();
    let path = format!("/users/{}", root["id"].as_str().expect("an id"));
    let shown = house.get("operator", &path).await;
    assert_eq!(house.delete("operator", &path, shown.etag()).await.status, 409);
    assert_eq!(house.patch("operator", &path, shown.etag(), json!({"enabled": false})).await.status, 409);
    assert_eq!(house.get("admin", &path).await.status, 404, "an operator is of no tenant");
}
