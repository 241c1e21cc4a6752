//! Pages as a browser without a script uses them: it follows links and sends the forms that it is shown.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::body::to_bytes;
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use actix_web::test::TestRequest;
use actix_web::web::Data;
use actix_web::{App, test};
use bellhop_adapters::storage::SqlTenants;
use bellhop_tenancy::Secret;
use bellhop_tenancy::access::{Author, CredentialKind, SecretHash, SignedIn, Standing, TenantRole};
use bellhop_tenancy::id::TenantId;
use bellhop_tenancy::store::{Invitation, Owner, Page, People, SignIns};
use serde_json::{Value, json};

use super::{Pages, table};
use crate::rest::tests::{StandIn, rest_over, store};
use crate::rest::{BySignIn, Inquiry};
use crate::sign_in::password::Cost;
use crate::sign_in::{Clock, Ports, Settings, SignIn};

mod addresses;
mod assistants;
mod calls;
mod keeping;
mod numbers;
mod seeing;
mod server;
mod setting_up;
mod settings;

const HERE: &str = "http://127.0.0.1:8080";
const PASSWORD: &str = "nobody expects this one";

/// A server.
pub(super) struct House {
    pages: Pages,
    sign_in: Data<SignIn>,
    pub(super) store: SqlTenants,
    pub(super) calls: Arc<StandIn>,
}

/// A browser: its cookie, and the page that it shows.
#[derive(Default)]
pub(super) struct Browser {
    cookie: String,
    pub(super) path: String,
    pub(super) status: u16,
    pub(super) text: String,
    headers: HashMap<String, String>,
}

impl House {
    pub(super) async fn new() -> Self {
        let (store, calls) = (store().await, Arc::new(StandIn::default()));
        let kept = Arc::new(store.clone());
        let ports = Ports { sign_ins: kept.clone(), people: kept.clone(), audit: kept, provider: None };
        let cost = Cost { memory_kib: 8, passes: 1 };
        let settings = Settings { cost, ..Settings::at(HERE).expect("an address") };
        let began = std::time::Instant::now();
        let unix_ms = || std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_millis() as i64;
        let clock = Clock { unix_ms: Box::new(unix_ms), monotonic: Box::new(move || began.elapsed()) };
        let sign_in = SignIn::new(ports, settings, clock, Box::new(|bytes| rand::fill(bytes))).expect("threads");
        let rest = rest_over(Arc::new(BySignIn), &store, &calls);
        Self { pages: Pages::new(rest), sign_in: Data::new(sign_in), store, calls }
    }

    /// What REST answers to an operator: what a page shows is made before somebody opens it.
    pub(super) async fn asks(&self, inquiry: Inquiry) -> Value {
        let by = Author { signed_in: SignedIn::on_this_machine("test"), from: "here".into() };
        self.pages.0.rest.ask(&by, inquiry).await.unwrap_or_else(|problem| panic!("{problem:?}"))
    }

    /// A tenant that has all that its integrations need, and the settings of one.
    pub(super) async fn furnished(&self, name: &str) -> (String, Value) {
        let made = json!({"name": name, "title": name, "plan": "plus"});
        let tenant = id_of(&self.asks(Inquiry::post_json("/tenants", made)).await);
        let mut settings = json!({});
        for (list, port, kind, key) in [
            ("assistants", "assistant", "scripted", Some(("script_text", include_str!("starter.yaml")))),
            ("services", "speech_to_text", "pocketsphinx", None),
            ("services", "text_to_speech", "flite", None),
        ] {
            let mut says = json!({"kind": kind});
            if list == "services" {
                says["port"] = port.into();
            }
            if let Some((key, text)) = key {
                says[key] = text.into();
            }
            let made = json!({"name": port, "settings": says});
            let made = self.asks(Inquiry::post_json(format!("/{list}?tenant={tenant}"), made)).await;
            settings[port] = json!([id_of(&made)]);
        }
        (tenant, settings)
    }

    /// An integration of such a tenant.
    pub(super) async fn integration(&self, tenant: &str, name: &str, settings: &Value) -> String {
        let made = json!({"name": name, "settings": settings});
        id_of(&self.asks(Inquiry::post_json(format!("/integrations?tenant={tenant}"), made)).await)
    }

    /// Somebody who is invited: the secret of their link.
    pub(super) async fn invites(&self, login: &str, standing: Standing) -> String {
        let secret: String = format!("{:A<43}", login.replace(' ', ""));
        let hash = SecretHash::of(&Secret::new(&*secret));
        let by = Author { signed_in: SignedIn::on_this_machine("test"), from: "here".into() };
        let new = Invitation { login: login.into(), standing, hash, expires_unix_ms: i64::MAX };
        self.store.invite(&by, new).await.expect("invited");
        secret
    }

    pub(super) async fn ends_all_sessions(&self) {
        let by = Author { signed_in: SignedIn::on_this_machine("test"), from: "here".into() };
        let page = Page { after: None, count: 100 };
        let all = self.store.credentials(&by, CredentialKind::Session, Owner::Anybody, page).await.expect("a list");
        for session in all.items {
            self.store.end_session(session.id).await.expect("ended");
        }
    }

    /// Somebody signed in by an invitation.
    pub(super) async fn browser_of(&self, login: &str, standing: Standing) -> Browser {
        let secret = self.invites(login, standing).await;
        let mut browser = Browser::default();
        browser.opens(self, "/claim").await;
        browser.sends(self, "/claim", &[("secret", &secret), ("login", ""), ("password", PASSWORD)]).await;
        assert!(!browser.cookie.is_empty(), "{}", browser.text);
        browser
    }
}

impl Browser {
    pub(super) async fn opens(&mut self, house: &House, path: &str) {
        self.asks(house, TestRequest::get().uri(path)).await;
    }

    /// Sends a form of the page that is shown: what it holds that nobody types, and what is typed.
    pub(super) async fn sends(&mut self, house: &House, path: &str, typed: &[(&str, &str)]) {
        let mut fields: Vec<(String, String)> = vec![];
        if let Some(token) = self.hidden("csrf_token") {
            fields.push(("csrf_token".into(), token));
        }
        fields.extend(typed.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = TestRequest::post().uri(path).set_payload(body);
        let request = request.insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"));
        self.asks(house, request.insert_header(("Origin", HERE)).insert_header(("Sec-Fetch-Site", "same-origin")))
            .await;
    }

    /// The value of a hidden field of the page.
    pub(super) fn hidden(&self, name: &str) -> Option<String> {
        let field = format!("type=\"hidden\" name=\"{name}\" value=\"");
        let rest = self.text.split(&field).nth(1)?;
        Some(plain(rest.split('"').next()?))
    }

    /// Where the links of the page lead.
    pub(super) fn links(&self) -> Vec<String> {
        self.text.split("href=\"").skip(1).filter_map(|rest| Some(plain(rest.split('"').next()?))).collect()
    }

    async fn asks(&mut self, house: &House, request: TestRequest) {
        let mut next = Some(request);
        for _ in 0..5 {
            let Some(request) = next.take() else { return };
            next = self.goes(house, request).await;
        }
        panic!("it is sent around: {}", self.path);
    }

    /// Shows what is answered, or where it leads.
    async fn goes(&mut self, house: &House, request: TestRequest) -> Option<TestRequest> {
        let (pages, sign_in) = (house.pages.clone(), house.sign_in.clone());
        let app = App::new().app_data(sign_in).configure(|config| pages.configure(config));
        let app = test::init_service(app).await;
        let request = request.peer_addr("127.0.0.1:4711".parse().expect("an address"));
        let request =
            if self.cookie.is_empty() { request } else { request.insert_header((COOKIE, self.cookie.clone())) };
        let request = request.to_request();
        self.path = request.path().to_owned();
        let response = test::call_service(&app, request).await;
        self.status = response.status().as_u16();
        let headers = response.headers().iter();
        self.headers =
            headers.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect();
        if let Some(line) = response.headers().get(SET_COOKIE) {
            let pair = line.to_str().expect("text").split(';').next().unwrap_or_default();
            self.cookie = if pair.ends_with('=') { String::new() } else { pair.to_owned() };
        }
        if self.status == 303 {
            let location = self.headers["location"].clone();
            return Some(TestRequest::get().uri(&location));
        }
        let body = to_bytes(response.into_body()).await.expect("a body");
        self.text = String::from_utf8(body.to_vec()).expect("text");
        if self.headers.get("content-type").is_some_and(|media_type| media_type.starts_with("text/html")) {
            assert!(self.headers["content-security-policy"].starts_with("default-src 'none'"), "{}", self.path);
            assert!(self.headers["content-security-policy"].contains("frame-ancestors 'none'"));
            assert_eq!(
                (&*self.headers["cache-control"], &*self.headers["x-content-type-options"]),
                ("no-store", "nosniff")
            );
            assert!(!self.text.contains("s3cret"), "{}", self.text);
            for inline in ["<script>", " onclick=", " style=", "javascript:"] {
                assert!(!self.text.contains(inline), "{} has {inline}", self.path);
            }
        }
        None
    }
}

/// The identifier of what REST shows.
pub(super) fn id_of(shown: &Value) -> String {
    shown["id"].as_str().expect("an identifier").to_owned()
}

/// What a browser makes of the references in an attribute.
fn plain(text: &str) -> String {
    text.replace("&#34;", "\"").replace("&#60;", "<").replace("&#62;", ">").replace("&#39;", "'").replace("&#38;", "&")
}

fn of(tenant: TenantId, role: TenantRole) -> Standing {
    Standing::OfTenant(tenant, role)
}

/// No page of the table is for who is not signed in, or not allowed to.
#[actix_web::test]
async fn whoever_is_not_signed_in_sees_the_sign_in_and_comes_back() {
    let house = House::new().await;
    let mut part = Browser::default();
    part.asks(&house, TestRequest::get().uri("/tenants?x=1").insert_header(("HX-Request", "true"))).await;
    assert_eq!((part.status, part.headers["hx-redirect"].as_str()), (401, "/sign-in?return_to=%2Ftenants%3Fx%3D1"));
    for page in table() {
        let path = page.path.replace("{tenant}", "x").replace("{draft}", "y").replace("{integration}", "z");
        let path = path.replace("{assistant}", "a").replace("{call}", "c").replace("{service}", "s");
        let mut nobody = Browser::default();
        nobody.opens(&house, &path).await;
        assert_eq!((nobody.status, nobody.path.as_str()), (200, "/sign-in"), "{path}");
        assert_eq!(nobody.hidden("return_to").as_deref(), Some(path.as_str()));
    }
    let mut nobody = Browser::default();
    for elsewhere in ["//evil.example", "https://evil.example", "/\\evil.example", "/sign-in?return_to=x"] {
        let asked: String = form_urlencoded::byte_serialize(elsewhere.as_bytes()).collect();
        nobody.opens(&house, &format!("/sign-in?return_to={asked}")).await;
        assert_eq!(nobody.hidden("return_to").as_deref(), Some("/"), "{elsewhere}");
    }
}

#[actix_web::test]
async fn somebody_signs_in_and_out_and_a_wrong_password_says_so() {
    let house = House::new().await;
    let mut browser = house.browser_of("root", Standing::Operator).await;
    assert_eq!(browser.path, "/tenants");
    browser.sends(&house, "/sign-out", &[]).await;
    assert_eq!((browser.path.as_str(), browser.cookie.as_str()), ("/sign-in", ""));
    browser.opens(&house, "/tenants").await;
    let sign_in = async |browser: &mut Browser, password: &str| {
        browser
            .sends(&house, "/sign-in", &[("login", "root"), ("password", password), ("return_to", "/tenants")])
            .await;
    };
    sign_in(&mut browser, "wrong").await;
    assert!(browser.status == 401 && browser.text.contains("the login or the password is wrong"), "{}", browser.text);
    assert!(browser.text.contains("value=\"root\""), "nothing but the password is typed again");
    sign_in(&mut browser, PASSWORD).await;
    assert_eq!((browser.status, browser.path.as_str()), (200, "/tenants"));
    let mut again = Browser::default();
    again.opens(&house, "/claim").await;
    let used = house.invites("root", Standing::Operator).await;
    let link = format!("{HERE}/claim#{used}");
    again.sends(&house, "/claim", &[("secret", &link), ("login", "two"), ("password", "short")]).await;
    assert!(again.status == 422 && again.text.contains("password") && again.text.contains(&used), "{}", again.text);
    again.sends(&house, "/claim", &[("secret", &link), ("login", "two"), ("password", PASSWORD)]).await;
    assert_eq!(again.path, "/tenants");
    let mut late = Browser::default();
    late.sends(&house, "/claim", &[("secret", &link), ("login", "three"), ("password", PASSWORD)]).await;
    assert!(late.status == 404 && late.text.contains("was used"), "{}", late.text);
}

/// What another site has a browser send is not taken, whoever is signed in.
#[actix_web::test]
async fn what_another_site_sends_is_refused() {
    let house = House::new().await;
    let mut browser = house.browser_of("root", Standing::Operator).await;
    let token = browser.hidden("csrf_token").expect("a token");
    for (origin, site, token, status) in [
        (HERE, "same-origin", token.as_str(), 200),
        ("https://evil.example", "cross-site", token.as_str(), 403),
        (HERE, "cross-site", token.as_str(), 403),
        (HERE, "same-origin", "", 403),
        (HERE, "same-origin", "AAAA", 403),
    ] {
        let body = format!("csrf_token={token}&name=n{status}{}&plan=plus", token.len());
        let request = TestRequest::post().uri("/tenants").set_payload(body);
        let request = request.insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"));
        browser.asks(&house, request.insert_header(("Origin", origin)).insert_header(("Sec-Fetch-Site", site))).await;
        assert_eq!(browser.status, status, "{origin} {site} {token}: {}", browser.text);
    }
    // A newer token of the same browser: a person sends it again.
    assert!(browser.text.contains("Send what I typed"), "{}", browser.text);
    assert_eq!(browser.hidden("name").as_deref(), Some("n4034"));
    let out = TestRequest::post().uri("/sign-out").set_payload("x=1");
    let out = out.insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"));
    browser
        .asks(
            &house,
            out.insert_header(("Origin", "https://evil.example")).insert_header(("Sec-Fetch-Site", "cross-site")),
        )
        .await;
    assert!(
        browser.status == 403 && !browser.headers.contains_key("set-cookie"),
        "nobody is signed out by another site"
    );
    browser.opens(&house, "/tenants/x%26y/integrations").await;
    assert_eq!(browser.status, 404, "what is no identifier names nothing");
    browser.opens(&house, "/tenants/x%0d%0aX-Evil:%201").await;
    assert!(browser.status == 404 && browser.text.contains("There is no such page"), "{}", browser.text);
    let put = TestRequest::default().method(Method::PUT).uri("/tenants");
    browser.asks(&house, put).await;
    assert_eq!(browser.status, 405);
    let json = TestRequest::post().uri("/tenants").set_json(serde_json::json!({}));
    browser.asks(&house, json.insert_header(("Origin", HERE)).insert_header(("Sec-Fetch-Site", "same-origin"))).await;
    assert_eq!(browser.status, 415);
}

/// The session ends while somebody types.
#[actix_web::test]
async fn nothing_that_was_typed_is_lost_when_the_session_ends() {
    let house = House::new().await;
    let mut browser = house.browser_of("root", Standing::Operator).await;
    browser.opens(&house, "/tenants").await;
    house.ends_all_sessions().await;
    let typed = [("name", "gold"), ("title", "Gold & \"Sons\""), ("plan", "plus")];
    browser.sends(&house, "/tenants", &typed).await;
    assert!(browser.status == 401 && browser.text.contains("what you typed is kept"), "{}", browser.text);
    let resume = browser.hidden("resume").expect("it is kept in the page");
    browser.sends(&house, "/sign-in", &[("login", "root"), ("password", "wrong"), ("resume", &resume)]).await;
    assert_eq!(browser.hidden("resume").as_deref(), Some(resume.as_str()), "a wrong password loses nothing");
    browser.sends(&house, "/sign-in", &[("login", "root"), ("password", PASSWORD), ("resume", &resume)]).await;
    assert!(browser.status == 200 && browser.text.contains("Send what I typed"), "{}", browser.text);
    for (name, text) in typed {
        assert_eq!(browser.hidden(name).as_deref(), Some(text));
    }
    browser.sends(&house, "/tenants", &typed).await;
    assert!(browser.status == 200 && browser.path.ends_with("/integrations"), "{} {}", browser.path, browser.text);
    assert!(browser.text.contains("Gold &#38; &#34;Sons&#34;"), "{}", browser.text);
}

/// Opens whatever links lead to from the first page, each once; the paths of what was opened.
async fn follows(house: &House, browser: &mut Browser) -> Vec<String> {
    let (mut seen, mut waiting) = (vec![], vec!["/".to_owned()]);
    while let Some(path) = waiting.pop() {
        if seen.contains(&path) || !path.starts_with('/') {
            continue;
        }
        browser.opens(house, &path).await;
        assert_eq!(browser.status, 200, "{path} {}", browser.text);
        if !path.starts_with("/assets/") {
            waiting.extend(browser.links());
        }
        seen.push(path);
    }
    seen
}

/// Links lead to pages that are there; nobody is led to what they may not open.
#[actix_web::test]
async fn every_link_of_every_page_leads_somewhere() {
    let house = House::new().await;
    let mut root = house.browser_of("root", Standing::Operator).await;
    root.sends(&house, "/tenants", &[("name", "acme"), ("title", "<script>alert(1)</script>"), ("plan", "plus")]).await;
    assert!(root.text.contains("&#60;script&#62;alert(1)") && root.status == 200, "{}", root.text);
    let tenant: TenantId = root.path.split('/').nth(2).expect("a tenant").parse().expect("an id");
    for (login, standing) in [
        ("op", Standing::Operator),
        ("admin", of(tenant, TenantRole::Admin)),
        ("viewer", of(tenant, TenantRole::Viewer)),
    ] {
        let mut browser = house.browser_of(login, standing).await;
        let seen = follows(&house, &mut browser).await;
        assert!(seen.len() >= 4, "{login}: {seen:?}");
    }
    let mut agent = house.browser_of("agent", of(tenant, TenantRole::Agent)).await;
    assert!(agent.status == 403 && agent.text.contains("opened by the contact flow"), "{}", agent.text);
    agent.opens(&house, &format!("/tenants/{tenant}/integrations")).await;
    assert_eq!(agent.status, 403);
}

/// No page is for who knows its address alone.
#[actix_web::test]
async fn every_page_is_reached_by_links_from_the_first() {
    let house = House::new().await;
    let (tenant, mut settings) = house.furnished("acme").await;
    let instance = "arn:aws:connect:eu-west-2:111122223333:instance/abc";
    settings["connect"] = json!({
        "instance_arn": instance, "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s3cret-key",
    });
    let connector = "arn:aws:chime:eu-west-2:111122223333:vc/abc";
    settings["flow"] = json!({"voice_connector_arn": connector, "queue_arn": format!("{instance}/queue/q")});
    house.integration(&tenant, "Main line", &settings).await;
    let draft = json!({"name": "Draft", "settings": {"connect": {}}});
    house.asks(Inquiry::post_json(format!("/drafts?tenant={tenant}"), draft)).await;
    *house.calls.over.lock().expect("no panic") = vec![calls::over(calls::OVER, "acme")];
    let mut root = house.browser_of("root", Standing::Operator).await;
    let seen = follows(&house, &mut root).await;
    // A form leads there, and whoever comes without it goes back.
    let by_form = ["/tenants/{tenant}/drafts/{draft}/text-to-speech/listen"];
    for page in table().iter().filter(|page| !by_form.contains(&page.path)) {
        let fits = |path: &String| {
            let path = path.split(['?', '#']).next().unwrap_or_default();
            let (parts, wanted): (Vec<_>, Vec<_>) = (path.split('/').collect(), page.path.split('/').collect());
            let same = |(part, wanted): (&&str, &&str)| wanted.starts_with('{') && !part.is_empty() || part == wanted;
            parts.len() == wanted.len() && parts.iter().zip(&wanted).all(same)
        };
        assert!(seen.iter().any(fits), "no link leads to {}: {seen:#?}", page.path);
    }
}
