//! The session of an agent at the page of a conversation: good there alone, begun and ended by our own pages alone.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::web::{self, Payload};

use super::*;
use crate::problem::Problem;
use crate::sign_in::agents::{self, AgentForm};

async fn page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let who = agents::who(&request).await?;
    Ok(HttpResponse::Ok().body(who.map_or_else(String::new, |visitor| {
        format!("{} {}", visitor.signed_in().name(), visitor.csrf_token().unwrap_or_default())
    })))
}

async fn comes(request: HttpRequest, payload: Payload) -> Result<HttpResponse, Problem> {
    let form = AgentForm::read(&request, payload).await?;
    let cookie = agents::signs_in(&request, &form).await?;
    Ok(HttpResponse::NoContent().insert_header((SET_COOKIE, cookie)).finish())
}

async fn goes(request: HttpRequest, payload: Payload) -> Result<HttpResponse, Problem> {
    let form = AgentForm::read(&request, payload).await?;
    let cookie = agents::signs_out(&request, &form).await?;
    Ok(HttpResponse::NoContent().insert_header((SET_COOKIE, cookie)).finish())
}

/// The status, the body, and the cookie without what is said of it.
async fn asked(house: &House, request: TestRequest) -> (u16, String, Option<String>) {
    let app = App::new().app_data(house.sign_in.clone()).configure(configure);
    let app = app.route("/page", web::get().to(page)).route("/in", web::post().to(comes));
    let app = test::init_service(app.route("/out", web::post().to(goes))).await;
    let peer = "127.0.0.1:4711".parse().expect("an address");
    let response = test::call_service(&app, request.peer_addr(peer).to_request()).await;
    let cookie = response.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok());
    let cookie = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
    let status = response.status().as_u16();
    (status, String::from_utf8_lossy(&test::read_body(response).await).into_owned(), cookie)
}

fn sends(path: &str, fields: &[(&str, &str)]) -> TestRequest {
    TestRequest::post().uri(path).set_form(fields)
}

fn of_our_page(request: TestRequest) -> TestRequest {
    request.insert_header(("Origin", PUBLIC_URL)).insert_header(("Sec-Fetch-Site", "same-origin"))
}

const RIGHT: [(&str, &str); 2] = [("login", "ann"), ("password", PASSWORD)];

async fn signed_in(house: &House) -> String {
    house.person("ann", of_tenant(1, TenantRole::Agent), CHEAP);
    let (status, _, cookie) = asked(house, of_our_page(sends("/in", &RIGHT))).await;
    assert_eq!(status, 204);
    cookie.expect("a cookie")
}

#[actix_web::test]
async fn a_session_of_the_agents_page_is_good_there_alone() {
    let house = House::new();
    let cookie = signed_in(&house).await;
    assert!(cookie.starts_with("__Host-bellhop-agent="), "{cookie}");
    let with = |uri: &str, cookie: &str| TestRequest::get().uri(uri).insert_header((COOKIE, cookie.to_owned()));
    assert!(asked(&house, with("/page", &cookie)).await.1.starts_with("ann "));
    assert_eq!(asked(&house, with("/page", &format!("{cookie}; {cookie}"))).await.1, "", "it came twice");
    let (_, session, _) = asked(&house, with("/api/v1/session", &cookie)).await;
    assert!(session.contains("\"signed_in\":null"), "{session}");
    assert_eq!(asked(&house, with("/api/v1/tokens", &cookie)).await.0, 401);
    // Where the browser sends the cookie of the other pages, that is good too.
    let user = house.person("bob", of_tenant(1, TenantRole::Viewer), CHEAP);
    let other = house.kept.browser(user).cookie;
    assert!(asked(&house, with("/page", &other)).await.1.starts_with("bob "));
    let over = format!("__Host-bellhop-agent={}; {other}", "A".repeat(43));
    assert!(asked(&house, with("/page", &over)).await.1.starts_with("bob "), "one that is over is none");
}

#[actix_web::test]
async fn nobody_is_signed_in_or_out_there_by_what_another_site_sends() {
    let house = House::new();
    let cookie = signed_in(&house).await;
    let sessions = house.kept.state().credentials.len();
    for (origin, site) in [
        (Some("https://evil.example"), Some("cross-site")),
        (Some("https://evil.example"), None),
        (Some("null"), Some("same-origin")),
        (Some(PUBLIC_URL), Some("cross-site")),
        (Some(PUBLIC_URL), Some("same-site")),
        (None, Some("cross-site")),
    ] {
        for path in ["/in", "/out"] {
            let token = asked(&house, TestRequest::get().uri("/page").insert_header((COOKIE, cookie.clone()))).await.1;
            let token = token.split(' ').nth(1).expect("a token").to_owned();
            let fields = [RIGHT[0], RIGHT[1], ("csrf_token", token.as_str())];
            let mut request = sends(path, &fields).insert_header((COOKIE, cookie.clone()));
            request = origin.into_iter().fold(request, |request, origin| request.insert_header(("Origin", origin)));
            request = site.into_iter().fold(request, |request, site| request.insert_header(("Sec-Fetch-Site", site)));
            assert_eq!(asked(&house, request).await.0, 403, "{path} {origin:?} {site:?}");
        }
    }
    assert_eq!(house.kept.state().credentials.len(), sessions, "none began and none ended");
}

#[actix_web::test]
async fn who_goes_shows_the_token_of_their_own_page() {
    let house = House::new();
    let cookie = signed_in(&house).await;
    let page = || TestRequest::get().uri("/page").insert_header((COOKIE, cookie.clone()));
    let (_, shown, _) = asked(&house, page()).await;
    let token = shown.split(' ').nth(1).expect("a token").to_owned();
    for wrong in ["", "AAAA", &token[1..]] {
        let request = of_our_page(sends("/out", &[("csrf_token", wrong)])).insert_header((COOKIE, cookie.clone()));
        assert_eq!(asked(&house, request).await.0, 403, "{wrong}");
    }
    assert!(asked(&house, page()).await.1.starts_with("ann "));
    let request = of_our_page(sends("/out", &[("csrf_token", &token)])).insert_header((COOKIE, cookie.clone()));
    assert_eq!(asked(&house, request).await, (204, String::new(), Some("__Host-bellhop-agent=".to_owned())));
    assert_eq!(asked(&house, page()).await.1, "");
}

#[actix_web::test]
async fn a_form_there_is_bounded_and_its_password_is_tried_within_limits() {
    let house = House::new();
    house.person("ann", of_tenant(1, TenantRole::Agent), CHEAP);
    let long = "x".repeat(9_000);
    assert_eq!(asked(&house, of_our_page(sends("/in", &[("login", &long)]))).await.0, 413);
    let json = TestRequest::post().uri("/in").set_json(json!({"login": "ann"}));
    assert_eq!(asked(&house, of_our_page(json)).await.0, 415);
    let wrong = [("login", "ann"), ("password", "wrong")];
    let mut statuses = vec![];
    for _ in 0..50 {
        statuses.push(asked(&house, of_our_page(sends("/in", &wrong))).await.0);
    }
    assert_eq!((statuses[0], statuses[49]), (401, 429), "{statuses:?}");
}
