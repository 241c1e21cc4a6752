//! What assistants said before.

use super::*;

#[actix_web::test]
async fn an_assistant_goes_back_to_what_it_said_and_keeps_its_secrets() {
    let house = House::new().await;
    let says = |url: &str| json!({"kind": "webhook", "url": url, "secret": "s3cret-hook"});
    let made =
        house.post("admin", "/assistants", json!({"name": "bot", "settings": says("https://one.example")})).await;
    let path = format!("/assistants/{}", made.id());
    let two = json!({"name": "bot two", "settings": {"url": "https://one.example/two", "secret": "s3cret-newer"}});
    let two = house.patch("admin", &path, made.etag(), two).await;
    assert_eq!(two.status, 200, "{two:?}");
    let listed = house.get("viewer", &format!("{path}/versions")).await;
    let told =
        |version: &Value| (version["revision"].clone(), version["changed_by"].clone(), version["current"].clone());
    let all: Vec<_> = listed.body["items"].as_array().expect("a list").iter().map(told).collect();
    assert_eq!(all, [(json!(2), json!("admin"), json!(true)), (json!(1), json!("admin"), json!(false))]);
    let first = house.get("viewer", &format!("{path}/versions/1")).await;
    assert_eq!(first.body["settings"], json!({"kind": "webhook", "url": "https://one.example"}), "and no secret");
    for nothing in ["/versions/3", "/versions/0", "/versions/x"] {
        assert_eq!(house.get("viewer", &format!("{path}{nothing}")).await.status, 404, "{nothing}");
    }
    let back = format!("{path}/versions/1/restore");
    let restore =
        async |who: &str, seen: &str| house.ask(of(who, Method::POST, &back).insert_header(("If-Match", seen))).await;
    assert_eq!(restore("viewer", two.etag()).await.status, 403);
    assert_eq!(restore("admin", made.etag()).await.status, 412, "somebody was first");
    assert_eq!(house.ask(of("admin", Method::POST, &back)).await.status, 428);
    let restored = restore("admin", two.etag()).await;
    assert_eq!((restored.status, &restored.body["revision"]), (200, &json!(3)), "{restored:?}");
    assert_eq!(
        (&restored.body["name"], &restored.body["settings"]["url"]),
        (&json!("bot two"), &json!("https://one.example"))
    );
    assert_eq!(restored.body["secrets"][0]["set_at"], two.body["secrets"][0]["set_at"], "the secret that there is");
    let listed = house.get("viewer", &format!("{path}/versions")).await;
    assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(3), "nothing is lost by going back");
}

/// A version that names a secret which there is no more.
#[actix_web::test]
async fn a_version_whose_secret_is_gone_is_not_gone_back_to() {
    let house = House::new().await;
    let says = json!({"kind": "webhook", "url": "https://one.example", "secret": "s3cret-hook"});
    let made = house.post("admin", "/assistants", json!({"name": "bot", "settings": says})).await;
    let path = format!("/assistants/{}", made.id());
    let script = super::documents::SCRIPT;
    let other = json!({"settings": {"kind": "scripted", "script_text": script, "url": null, "secret": null}});
    let other = house.patch("admin", &path, made.etag(), other).await;
    assert_eq!(other.status, 200, "{other:?}");
    let back = of("admin", Method::POST, &format!("{path}/versions/1/restore"));
    let refused = house.ask(back.insert_header(("If-Match", other.etag()))).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.faults()[0].1.contains("set it"), "{refused:?}");
    assert_eq!(house.get("viewer", &path).await.body["revision"], 2, "it is as it was");
}

/// Whoever may change an assistant may not learn its secret by having it sent to a host of their own.
#[actix_web::test]
async fn a_secret_goes_to_no_other_host_than_it_was_given_for() {
    let house = House::new().await;
    let says = json!({"kind": "webhook", "url": "https://one.example/turn", "secret": "s3cret-hook"});
    let made = house.post("admin", "/assistants", json!({"name": "bot", "settings": says})).await;
    let path = format!("/assistants/{}", made.id());
    let other = json!({"settings": {"url": "https://two.example/turn"}});
    let refused = house.patch("admin", &path, made.etag(), other).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let faults = refused.faults();
    assert_eq!((faults.len(), faults[0].0.as_str()), (1, "#/settings/secret"));
    assert!(faults[0].1.contains("give it again"), "{faults:?}");
    let given = json!({"settings": {"url": "https://two.example/turn", "secret": "s3cret-two"}});
    let two = house.patch("admin", &path, made.etag(), given).await;
    assert_eq!(two.status, 200, "{two:?}");
    let back = of("admin", Method::POST, &format!("{path}/versions/1/restore"));
    let refused = house.ask(back.insert_header(("If-Match", two.etag()))).await;
    assert_eq!((refused.status, refused.faults()[0].0.as_str()), (422, "#/settings/secret"), "{refused:?}");
    assert_eq!(house.get("viewer", &path).await.body["settings"]["url"], "https://two.example/turn");
}
