//! What every resource has of the frame.

use actix_web::http::header::{ACCEPT, CONTENT_TYPE};

use super::*;
use crate::rest::given::Given;
use crate::rest::route::Gives;
use crate::rest::{Inquiry, idempotency};
use actix_web::http::StatusCode;
use bellhop_tenancy::store::TenantStore;

/// A route that is in the table is served, documented, and asks for its least role.
#[actix_web::test]
async fn every_route_is_reachable_documented_and_for_its_least_role() {
    let house = House::new().await;
    let document = house.get("agent", "/openapi.json").await.body;
    assert_eq!(document["openapi"], "3.1.0");
    for route in &crate::sign_in::ROUTES {
        let operation = &document["paths"][format!("{API}{}", route.path)][route.method.to_ascii_lowercase()];
        assert_eq!(operation["requestBody"].is_object(), route.takes.is_some(), "{route:?}");
        assert_eq!(operation["security"] == json!([{}]), route.least.is_none(), "{route:?}: {operation}");
    }
    let nobody = Id::new(9, [9; 10]).to_string();
    for route in house.routes() {
        let told = format!("{} {}", route.method, route.path);
        let operation = &document["paths"][format!("{API}{}", route.path)][route.method.as_str().to_ascii_lowercase()];
        assert_eq!(operation.is_object(), route.documented, "{told}");
        let stranger = house.ask(request_of(route, "nobody", &nobody)).await;
        assert_eq!(stranger.status, 401, "{told}");
        for (who, role) in WITH_ROLES {
            let answer = house.ask(request_of(route, who, &nobody)).await;
            assert_eq!(answer.status == 403, role < route.least, "{told} by {who}: {answer:?}");
            assert!(answer.status < 500 && answer.status != 401 && answer.status != 405, "{told}: {answer:?}");
            let documented = operation["responses"].get(answer.status.to_string()).is_some();
            assert!(documented || !route.documented, "{told} answers {} which is not documented", answer.status);
        }
    }
}

#[actix_web::test]
async fn what_is_not_in_the_table_is_not_there() {
    let house = House::new().await;
    assert_eq!(house.get("operator", "/nothing").await.status, 404);
    let answer = house.ask(of("operator", Method::PUT, "/plans")).await;
    assert_eq!((answer.status, answer.headers["allow"].as_str()), (405, "GET, HEAD, POST"));
    let head = house.ask(of("viewer", Method::HEAD, "/plans")).await;
    assert_eq!(head.status, 200);
}

#[actix_web::test]
async fn a_request_says_what_its_route_asks_for() {
    let house = House::new().await;
    let plan = || of("operator", Method::POST, "/plans").set_json(json!({"name": "gold", "calls": 7}));
    assert_eq!(house.ask(plan().insert_header((ACCEPT, "text/html"))).await.status, 406);
    assert_eq!(house.ask(plan().insert_header((CONTENT_TYPE, "text/plain"))).await.status, 415);
    let typeless = of("operator", Method::POST, "/plans").set_payload("{}");
    assert_eq!(house.ask(typeless).await.status, 415, "a body without its type");
    let broken = plan().set_payload("{\"name\"").insert_header((CONTENT_TYPE, "application/json"));
    assert_eq!(house.ask(broken).await.status, 400);
    let long = plan().set_payload("x".repeat(300_000)).insert_header((CONTENT_TYPE, "application/json"));
    assert_eq!(house.ask(long).await.status, 413);
    for query in ["x=1", "limit=0", "limit=201", "limit=1&limit=2", "after=x"] {
        assert_eq!(house.get("operator", &format!("/tenants?{query}")).await.status, 400, "{query}");
    }
    let unknown = house.post("operator", "/plans", json!({"name": "", "calls": 0, "cals": 1})).await;
    let pointers: Vec<String> = unknown.faults().into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!((unknown.status, pointers), (422, vec!["#/name".into(), "#/calls".into(), "#/cals".into()]));
}

#[actix_web::test]
async fn nothing_is_changed_by_who_has_not_seen_what_it_is() {
    let house = House::new().await;
    let made = house.post("operator", "/plans", json!({"name": "gold", "calls": 7})).await;
    assert_eq!((made.status, made.headers["location"].as_str()), (201, "/api/v1/plans/gold"));
    let same = of("viewer", Method::GET, "/plans/gold").insert_header(("If-None-Match", made.etag()));
    assert_eq!(house.ask(same).await.status, 304);
    let blind = of("operator", Method::DELETE, "/plans/gold");
    assert_eq!(house.ask(blind).await.status, 428);
    let changed = house.patch("operator", "/plans/gold", made.etag(), json!({"calls": 9})).await;
    assert_eq!(
        (changed.status, &changed.body["calls"], &changed.body["contact_center"]),
        (200, &json!(9), &json!(false))
    );
    let late = house.patch("operator", "/plans/gold", made.etag(), json!({"calls": 10})).await;
    assert_eq!(late.status, 412, "somebody was first");
    assert_eq!(house.delete("operator", "/plans/gold", changed.etag()).await.status, 204);
    assert_eq!(house.get("operator", "/plans/gold").await.status, 404);
    let built_in = house.get("operator", "/plans/plus").await;
    assert!([409, 422].contains(&house.delete("operator", "/plans/plus", built_in.etag()).await.status));
}

#[actix_web::test]
async fn a_request_with_a_key_is_carried_out_once() {
    let house = House::new().await;
    let post = |key: &str, name: &str| {
        let body = json!({"name": name, "plan": "trial"});
        of("operator", Method::POST, "/tenants").set_json(body).insert_header(("Idempotency-Key", key))
    };
    let (first, again) = (house.ask(post("\"k1\"", "gold")).await, house.ask(post("\"k1\"", "gold")).await);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(
        (first.id(), first.etag(), &first.headers["location"]),
        (again.id(), again.etag(), &again.headers["location"])
    );
    assert_eq!(house.ask(post("\"k1\"", "silver")).await.status, 422, "another request under its key");
    let refused = house.ask(post("\"k2\"", "gold")).await;
    assert_eq!(refused.status, 409, "the name is taken");
    assert_eq!(house.ask(post("\"k2\"", "silver")).await.status, 201, "what was refused may be sent anew");
    let (one, two) = (house.ask(post("\"k3\"", "same")), house.ask(post("\"k3\"", "same")));
    let (one, two) = futures_util::join!(one, two);
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert!(statuses == [201, 201] || statuses == [201, 409], "{statuses:?}");
}

/// Pages ask so: the same answers as by HTTP, for the same people.
#[actix_web::test]
async fn what_is_asked_without_a_socket_is_answered_like_a_request() {
    let house = House::new().await;
    let nobody = Id::new(9, [9; 10]).to_string();
    for route in house
        .routes()
        .iter()
        .filter(|route| route.documented && !matches!(route.gives, Gives::Text(_) | Gives::Parts(_)))
    {
        let request = request_of(route, "viewer", &nobody);
        let (of_http, told) = (house.ask(request).await, format!("{} {}", route.method, route.path));
        let target = request_of(route, "viewer", &nobody).to_request().uri().to_string();
        let target = target.strip_prefix(API).expect("below it");
        let inquiry = match (&route.method, route.takes) {
            (&Method::GET, _) => Inquiry::get(target),
            (&Method::DELETE, _) => Inquiry::delete(target, 1),
            (&Method::PATCH, _) => Inquiry::patch(target, 1, json!({})),
            (_, Takes::Json(_)) => Inquiry::post_json(target, json!({})),
            (_, Takes::Csv) => Inquiry::post_csv(target, vec![]),
            _ => Inquiry::post(target),
        };
        let asked = house.rest.ask(&house.viewer, inquiry).await;
        match asked {
            Ok(body) => assert_eq!((of_http.status / 100, &body), (2, &of_http.body), "{told}"),
            Err(problem) => assert_eq!(
                (problem.status().as_u16(), problem.detail()),
                (of_http.status, of_http.body["detail"].as_str().expect("a sentence")),
                "{told}"
            ),
        }
    }
    let unknown = house.rest.ask(&house.viewer, Inquiry::get("/nothing")).await.expect_err("not there");
    assert_eq!(unknown.status(), 404);
    let import = house.rest.ask(&house.viewer, Inquiry::get("/calls/live")).await.expect("it is no call named so");
    assert_eq!(import["items"], json!([]));
}

/// A database that is away when it should say that it has written may have written.
#[actix_web::test]
async fn what_failed_may_have_been_done_and_is_not_carried_out_again() {
    let store: Arc<dyn TenantStore> = Arc::new(House::new().await.store);
    let by = Author { signed_in: SignedIn::on_this_machine("test"), from: "here".into() };
    let post = || Route::post("/x", Role::Admin, "x", |_| async { Ok(Given::done()) });
    for (status, route, again) in [
        (503, post(), Some(409)),
        (500, post(), Some(409)),
        (409, post(), None),
        (422, post(), None),
        (502, post().tries(), None),
        (503, post().tries(), None),
    ] {
        let key = format!("{status} {}", route.is_trial);
        let request = idempotency::request(&by, "POST /x", &key, &[], 1);
        let status = StatusCode::from_u16(status).expect("a status");
        let failed = std::future::ready(Err(Problem::new(status, "x")));
        let first = idempotency::once(&store, &by, &route, &request, failed).await.err().expect("it failed");
        assert_eq!(first.status(), status);
        let second = idempotency::once(&store, &by, &route, &request, std::future::ready(Ok(Given::done()))).await;
        assert_eq!(second.err().map(|problem| problem.status().as_u16()), again, "{key}");
    }
}

#[actix_web::test]
async fn a_tenant_is_made_changed_suspended_and_deleted() {
    let house = House::new().await;
    let made = house.post("operator", "/tenants", json!({"name": "gold", "plan": "trial"})).await;
    assert_eq!((made.status, &made.body["title"], &made.body["state"]), (201, &json!("gold"), &json!("active")));
    let path = format!("/tenants/{}", made.id());
    let changed =
        house.patch("operator", &path, made.etag(), json!({"state": "suspended", "title": "Gold & Co"})).await;
    assert_eq!(
        (changed.status, &changed.body["state"], &changed.body["plan"]),
        (200, &json!("suspended"), &json!("trial"))
    );
    let wrong = house.patch("operator", &path, changed.etag(), json!({"plan": "no-such", "state": "away"})).await;
    assert_eq!((wrong.status, wrong.faults().len()), (422, 1), "{wrong:?}");
    let wrong = house.patch("operator", &path, changed.etag(), json!({"plan": "no-such"})).await;
    assert_eq!((wrong.status, wrong.faults()[0].0.as_str()), (422, "#/plan"), "{wrong:?}");
    assert_eq!(house.delete("operator", &path, changed.etag()).await.status, 204);
    assert_eq!(house.get("operator", &path).await.status, 404);
    let again = house.post("operator", "/tenants", json!({"name": "gold", "plan": "trial"})).await;
    assert_eq!(again.status, 409, "a name is never given twice");
}

#[actix_web::test]
async fn a_list_goes_on_where_its_page_ends() {
    let house = House::new().await;
    let mut names = vec!["acme".to_owned(), "other".to_owned()];
    for n in 0..5 {
        let name = format!("t{n}");
        assert_eq!(house.post("operator", "/tenants", json!({"name": name, "plan": "trial"})).await.status, 201);
        names.push(name);
    }
    let (mut found, mut after) = (vec![], String::new());
    loop {
        let page = house.get("operator", &format!("/tenants?limit=3{after}")).await.body;
        found.extend(
            page["items"]
                .as_array()
                .expect("items")
                .iter()
                .map(|item| item["name"].as_str().expect("a name").to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    // Two that are made in one millisecond stand in either order.
    found.sort();
    assert_eq!(found, names);
}

#[actix_web::test]
async fn the_pages_of_the_reference_load_nothing_from_elsewhere() {
    let house = House::new().await;
    assert_eq!(house.get("agent", "/docs").await.status, 307);
    let page = house.get("agent", "/docs/index.html").await;
    assert!(page.status == 200 && page.text.contains("swagger-ui"), "{page:?}");
    assert!(!page.text.contains("https://") && !page.text.contains("http://"), "{}", page.text);
    assert!(page.headers["content-security-policy"].starts_with("default-src 'none'"));
    assert_eq!(house.get("agent", "/docs/no-such-file.js").await.status, 404);
}
