//! Numbers, one by one and by CSV.

use actix_web::http::header::CONTENT_TYPE;

use super::documents::furnish;
use super::*;

async fn import(house: &House, who: &str, query: &str, csv: impl Into<actix_web::web::Bytes>) -> Answer {
    let request = of(who, Method::POST, &format!("/numbers/import?{query}"));
    house.ask(request.set_payload(csv).insert_header((CONTENT_TYPE, "text/csv"))).await
}

#[actix_web::test]
async fn a_number_is_made_changed_confirmed_and_deleted() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await.id();
    let body = json!({"number": "+1 (800) 555-0123", "description": "front desk", "integration": line});
    let made = house.post("admin", "/numbers", body.clone()).await;
    assert_eq!((made.status, &made.body["number"]), (201, &json!("+18005550123")));
    assert_eq!((&made.body["first_call_at"], &made.body["confirmed"]), (&Value::Null, &json!(false)));
    assert_eq!(house.post("admin", "/numbers", body).await.status, 409, "it is there");
    let path = format!("/numbers/{}", made.id());
    let changed = house.patch("admin", &path, made.etag(), json!({"description": "night"})).await;
    assert_eq!((changed.status, &changed.body["description"]), (200, &json!("night")));
    let long =
        house.patch("admin", &path, changed.etag(), json!({"description": "x".repeat(257), "number": "12"})).await;
    let pointers: Vec<String> = long.faults().into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!((long.status, pointers), (422, vec!["#/number".into(), "#/description".into()]));
    let confirm = |who| {
        let request = of(who, Method::POST, &format!("{path}/confirm")).insert_header(("If-Match", changed.etag()));
        request.set_json(json!({"confirmed": true}))
    };
    assert_eq!(house.ask(confirm("admin")).await.status, 403, "an operator's word alone counts");
    let confirmed = house.ask(confirm("operator")).await;
    assert_eq!((confirmed.status, &confirmed.body["confirmed"]), (200, &json!(true)));
    assert_eq!(house.delete("admin", &path, confirmed.etag()).await.status, 204);
    let theirs = furnish(&house, "stranger", "theirs").await.id();
    let refused = house.post("admin", "/numbers", json!({"number": "+18005550124", "integration": theirs})).await;
    assert_eq!((refused.status, refused.faults()[0].0.as_str()), (422, "#/integration"), "{refused:?}");
}

#[actix_web::test]
async fn a_list_is_previewed_and_then_replaces_all_or_nothing() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await.id();
    let query = format!("integration={line}");
    let first = import(&house, "admin", &query, "number,description\n+18005550100,front\n+18005550101\n").await;
    assert_eq!(
        (first.status, &first.body["committed"], &first.body["added"]["count"]),
        (200, &json!(false), &json!(2))
    );
    assert_eq!(house.get("viewer", "/numbers").await.body["items"], json!([]), "a preview changes nothing");
    let commit = |seen: &Value| format!("{query}&commit=true&seen={seen}");
    let list = "+18005550100,front\n+18005550101\n";
    let done = import(&house, "admin", &commit(&first.body["seen"]), list).await;
    assert_eq!((done.status, &done.body["committed"]), (200, &json!(true)), "{done:?}");
    let newer = "+18005550101,kept\n\"+1 800 555 0102\",new\n";
    let stale = import(&house, "admin", &commit(&first.body["seen"]), newer).await;
    assert_eq!(stale.status, 412, "{stale:?}");
    let preview = import(&house, "admin", &query, newer).await.body;
    let told = ["added", "kept", "removed"].map(|sort| preview[sort]["first"].clone());
    assert_eq!(told, [json!(["+18005550102"]), json!(["+18005550101"]), json!(["+18005550100"])]);
    let bad = "+18005550101\n12,x\n+18005550101,again\n+18005550103,a,b\n";
    let preview = import(&house, "admin", &query, bad).await.body;
    let lines: Vec<i64> =
        preview["bad"].as_array().expect("lines").iter().filter_map(|bad| bad["line"].as_i64()).collect();
    assert_eq!((lines, &preview["bad_count"]), (vec![2, 3, 4], &json!(3)), "{preview}");
    let refused = import(&house, "admin", &commit(&preview["seen"]), bad).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body["detail"].as_str().expect("a sentence").contains("line 2"), "{refused:?}");
    assert_eq!(
        house.get("viewer", "/numbers").await.body["items"].as_array().map(Vec::len),
        Some(2),
        "nothing changed"
    );
    let no_text = import(&house, "admin", &query, &b"\xff\xfe\n"[..]).await.body;
    assert_eq!(no_text["bad_count"], json!(1), "{no_text}");
    let unseen = import(&house, "admin", &format!("{query}&commit=true"), newer).await;
    assert_eq!(unseen.status, 400, "it was not previewed");
    assert_eq!(import(&house, "stranger", &query, newer).await.status, 404);
}
