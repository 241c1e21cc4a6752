//! Tenants of the configuration's file: shown to who reaches everybody, changed by nobody.

use bellhop_tenancy::settings::{Alone, Gathered, Section, TenantSettings, Written, json as json_document};

use actix_web::http::header::CONTENT_TYPE;
use bellhop_connect::session_history_key::SessionHistoryKey;

use super::documents::furnish;
use super::*;
use crate::ports::FileIntegration;

/// A section of the file.
struct Said {
    settings: TenantSettings,
    written: Written,
}

impl FileIntegration for Said {
    fn written(&self) -> &Written {
        &self.written
    }

    fn settings(&self) -> &TenantSettings {
        &self.settings
    }
}

/// `filed`, which is served with two numbers, and `broken`, which has mistakes.
fn with_file(house: &House) {
    let section = json!({
        "name": "filed", "numbers": ["+18005550100", "+18005550101"], "max_calls": 7,
        "assistant": {"kind": "webhook", "url": "https://bot.example/turn", "secret": "s3cret-hook"},
        "speech_to_text": {"kind": "counting"}, "text_to_speech": {"kind": "flite"},
        "flow": {
            "voice_connector_arn": "arn:aws:chime:eu-central-1:123456789012:vc/v1",
            "queue_arn": "arn:aws:connect:eu-central-1:123456789012:instance/12345678-1234-1234-1234-123456789012/queue/q",
        },
        "connect": {
            "instance_arn": "arn:aws:connect:eu-central-1:123456789012:instance/12345678-1234-1234-1234-123456789012",
            "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s3cret-key",
        },
    });
    let document = json_document::read(&section.to_string()).expect("JSON");
    let gathered = Gathered::new(&Alone);
    let section = Section::root(&document, &gathered);
    let (settings, written) = (TenantSettings::read(&section).0, section.written());
    assert_eq!(gathered.into_mistakes(), []);
    let of_file = |name: &str, integration| FileTenant { name: name.into(), integration, is_taken: false };
    let filed = of_file("filed", Some(Arc::new(Said { settings, written }) as Arc<dyn FileIntegration>));
    *house.calls.of_file.lock().expect("no panic") = vec![filed, of_file("broken", None)];
}

async fn items(house: &House, who: &str, path: &str) -> Vec<Value> {
    let listed = house.get(who, path).await;
    listed.body["items"].as_array().unwrap_or_else(|| panic!("{path}: {listed:?}")).clone()
}

#[actix_web::test]
async fn what_the_file_says_is_shown_beside_what_is_kept() {
    let house = House::new().await;
    with_file(&house);
    furnish(&house, "admin", "phone").await;
    let tenants = items(&house, "operator", "/tenants").await;
    let told: HashMap<_, _> = tenants.iter().map(|one| (one["name"].as_str().expect("a name"), one)).collect();
    assert_eq!(told.len(), 4);
    let (filed, broken) = (told["filed"], told["broken"]);
    assert_eq!((&filed["from_file"], &filed["plan"], &filed["created_at"]), (&json!(true), &Value::Null, &Value::Null));
    assert_eq!((&filed["applied"]["by"], &broken["applied"]["by"]), (&json!(1), &json!(0)), "its mistakes cost it");
    assert_eq!(told["acme"]["from_file"], false);
    let of_filed = format!("tenant={}", filed["id"].as_str().expect("an id"));

    let integrations = items(&house, "operator", &format!("/integrations?{of_filed}")).await;
    assert_eq!(items(&house, "operator", "/integrations").await.len(), 2);
    let [integration] = &integrations[..] else { panic!("{integrations:?}") };
    assert_eq!((&integration["name"], &integration["tenant"]), (&json!("filed"), &filed["id"]));
    let settings = &integration["settings"];
    assert_eq!(
        (&settings["max_calls"], &settings["name"], &settings["numbers"]),
        (&json!(7), &Value::Null, &Value::Null)
    );
    assert_eq!(settings["assistant"], json!({"kind": "webhook", "url": "https://bot.example/turn", "secret": null}));
    let paths: Vec<_> = integration["secrets"].as_array().expect("a list").iter().map(|one| &one["path"]).collect();
    assert_eq!(paths, ["assistant.secret", "connect.access_key_id", "connect.secret_access_key"]);
    assert_eq!(integration["secrets"][1]["last_four"], "MPLE");
    assert!(!json!(integrations).to_string().contains("s3cret"), "{integrations:?}");
    assert_eq!(items(&house, "operator", &format!("/assistants?{of_filed}")).await, [Value::Null; 0]);

    let numbers = items(&house, "operator", &format!("/numbers?{of_filed}")).await;
    let mut told: Vec<_> = numbers.iter().map(|one| one["number"].as_str().expect("a number")).collect();
    told.sort_unstable();
    assert_eq!(told, ["+18005550100", "+18005550101"]);
    assert!(numbers.iter().all(|one| one["integration"] == integration["id"] && one["from_file"] == true));
    for (resource, one) in
        [("tenants", filed), ("tenants", broken), ("integrations", integration), ("numbers", &numbers[0])]
    {
        let shown = house.get("operator", &format!("/{resource}/{}", one["id"].as_str().expect("an id"))).await;
        assert_eq!((shown.status, &shown.body), (200, one), "as in the list");
    }
    let path = format!("/integrations/{}", integration["id"].as_str().expect("an id"));
    assert_eq!(house.get("operator", &format!("{path}/applied")).await.body["applied"]["told"], "1 of 1 nodes");
    let tested = house.ask(of("operator", Method::POST, &format!("{path}/test-connection"))).await;
    assert_eq!((tested.status, &tested.body["valid"]), (200, &json!(true)), "{tested:?}");
    let lines = items(&house, "operator", "/audit").await;
    assert!(lines.iter().any(|line| line["on"] == integration["id"] && line["action"] == "integration.open_secrets"));
}

/// Calls, records and conversations know a tenant by its name.
#[actix_web::test]
async fn a_name_is_one_tenants_and_a_number_of_the_file_is_nobody_elses() {
    let house = House::new().await;
    with_file(&house);
    let line = furnish(&house, "admin", "phone").await;
    let made = house.post("operator", "/tenants", json!({"name": "Filed", "plan": "plus"})).await;
    assert_eq!(made.status, 409, "{made:?}");
    let number = house.post("admin", "/numbers", json!({"number": "+18005550100", "integration": line.id()})).await;
    assert_eq!((number.status, number.faults()[0].0.as_str()), (422, "#/number"));
    assert!(!number.text.contains("filed"), "whose it is concerns nobody: {number:?}");
    let import = format!("/numbers/import?integration={}", line.id());
    let rows = of("admin", Method::POST, &import).set_payload("+18005550199\n+18005550101\n");
    let previewed = house.ask(rows.insert_header((CONTENT_TYPE, "text/csv"))).await;
    assert_eq!((&previewed.body["bad_count"], &previewed.body["bad"][0]["line"]), (&json!(1), &json!(2)));
    // The file came to have a name that the store has for long.
    house.calls.of_file.lock().expect("no panic").push(FileTenant {
        name: "ACME".into(),
        integration: None,
        is_taken: false,
    });
    *house.calls.up.lock().expect("no panic") = vec![LiveCall { call: "c".into(), tenant: "acme".into(), facts: None }];
    let key = SessionHistoryKey::from_random([7; 20]).filed_as().expose().to_owned();
    for path in ["/calls", "/calls/live", "/calls/c", "/calls/c/events", "/usage", &format!("/session-history/{key}")] {
        assert_eq!(house.get("admin", path).await.status, 403, "{path}");
    }
    assert_eq!(house.ask(of("admin", Method::POST, "/calls/c/hang-up")).await.status, 403);
    assert_eq!(house.get("stranger", "/calls/live").await.status, 200);
    house.calls.of_file.lock().expect("no panic").last_mut().expect("there").is_taken = true;
    assert_eq!(house.get("admin", "/calls/live").await.body["items"].as_array().map(Vec::len), Some(1), "it is theirs");
    let listed = items(&house, "operator", "/tenants").await;
    assert!(!listed.iter().any(|one| one["name"] == "ACME"), "it has nothing, and none of theirs: {listed:?}");
    let of_refused = format!("/calls/live?tenant={}", TenantId::of_file("ACME"));
    assert_eq!(house.get("operator", &of_refused).await.status, 404);
}

#[actix_web::test]
async fn calls_of_a_tenant_of_the_file_are_found_by_its_identifier() {
    let house = House::new().await;
    with_file(&house);
    *house.calls.up.lock().expect("no panic") = ["filed", "acme"]
        .map(|tenant| LiveCall { call: format!("call of {tenant}"), tenant: tenant.into(), facts: None })
        .to_vec();
    let found = items(&house, "operator", &format!("/calls/live?tenant={}", TenantId::of_file("filed"))).await;
    assert_eq!(found.iter().map(|one| &one["id"]).collect::<Vec<_>>(), ["call of filed"]);
    let nobody = house.get("operator", &format!("/calls/live?tenant={}", TenantId::of_file("no such"))).await;
    assert_eq!(nobody.status, 404);
    for list in ["/usage", "/refusals", "/audit", "/users", "/invitations", "/services"] {
        assert_eq!(items(&house, "operator", &format!("{list}?tenant={}", TenantId::of_file("filed"))).await.len(), 0);
    }
}

/// Each route that changes something and names a thing: 409 for operators, as if there was nothing for everybody else.
#[actix_web::test]
async fn nothing_of_the_file_is_changed_and_nobody_else_sees_it() {
    let house = House::new().await;
    with_file(&house);
    let number = Id::of_file(["number", "filed", "+18005550100"]).to_string();
    let integration = Id::of_file(["integration", "filed"]).to_string();
    let tenant = TenantId::of_file("filed").to_string();
    let nobodys = Id::of_file(["nobody"]).to_string();
    for route in house.routes() {
        let thing = match route.path.split('/').nth(1).expect("a resource") {
            "tenants" => &tenant,
            "integrations" => &integration,
            "numbers" if route.path.contains("{id}") => &number,
            "numbers" => &integration,
            _ => continue,
        };
        let names = route.path.contains('{') || route.query.iter().any(|parameter| parameter.required);
        if !names {
            continue;
        }
        let told = format!("{} {}", route.method, route.path);
        let is_read = route.method == Method::GET || route.path.ends_with("/test-connection");
        let asked = house.ask(request_of(route, "operator", thing)).await;
        if route.conditional {
            let blind = house.ask(blind_request_of(route, "operator", thing)).await;
            assert_eq!(blind.status, 409, "{told}: there is no state to name");
        }
        // A flow of somebody's own is looked at; the one that is sent here is none.
        let is_looked_at = route.path.ends_with("/flow/check");
        let expected = if is_read {
            200
        } else if is_looked_at {
            422
        } else {
            409
        };
        assert_eq!(asked.status, expected, "{told}: {asked:?}");
        if asked.status == 409 {
            assert!(asked.body["detail"].as_str().expect("told").contains("configuration's file"), "{asked:?}");
        }
        for who in ["admin", "viewer", "program"] {
            let theirs = house.ask(request_of(route, who, thing)).await;
            let nothing = house.ask(request_of(route, who, &nobodys)).await;
            assert_eq!((theirs.status, &theirs.body), (nothing.status, &nothing.body), "{told} by {who}");
        }
    }
    let is_for_tenant = |route: &&Route| route.query.iter().any(|parameter| parameter.name == "tenant");
    // Its calls end like everybody's: that is no change of what the file says.
    let is_said = |route: &&Route| !route.method.is_safe() && !route.path.starts_with("/calls");
    for route in house.routes().iter().filter(is_for_tenant).filter(is_said) {
        let path = request_of(route, "operator", &nobodys).to_request().uri().to_string();
        let made = house.ask(request_of(route, "operator", &nobodys).uri(&format!("{path}?tenant={tenant}"))).await;
        assert_eq!(made.status, 409, "{} {}: {made:?}", route.method, route.path);
    }
    for list in ["/tenants", "/integrations", "/numbers"] {
        assert!(items(&house, "admin", list).await.iter().all(|one| one["from_file"] == false), "{list}");
    }
}

/// Records know a tenant by its name: whoever gets a name that somebody has had sees that one's calls if an operator says so.
#[actix_web::test]
async fn a_name_that_calls_are_kept_of_is_given_to_who_is_said_to_be_the_same() {
    let house = House::new().await;
    *house.calls.over.lock().expect("no panic") = vec![super::calls::kept("s1", "former", 5_000)];
    let named = |name: &str| json!({"name": name, "plan": "plus"});
    assert_eq!(house.post("operator", "/tenants", named("newcomer")).await.status, 201);
    let refused = house.post("operator", "/tenants", named("former")).await;
    assert_eq!((refused.status, refused.faults()[0].0.as_str()), (422, "#/takes_over_calls"), "{refused:?}");
    let mut same = named("former");
    same["takes_over_calls"] = json!(true);
    assert_eq!(house.post("operator", "/tenants", same).await.status, 201);
}
