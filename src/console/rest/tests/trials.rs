//! Trying out what is kept.

use super::documents::furnish;
use super::*;

#[actix_web::test]
async fn what_is_kept_is_tried_with_its_secrets_and_the_revision_is_told() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await;
    let part = |list: &str| line.body["settings"][list][0].as_str().expect("an id").to_owned();
    let post = async |path: String, body: Value| house.post("admin", &path, body).await;
    for list in ["speech_to_text", "text_to_speech"] {
        let path = format!("/services/{}/test", part(list));
        let tried = house.ask(of("admin", Method::POST, &path)).await;
        assert_eq!((tried.status, &tried.body["good"], &tried.body["told"]), (200, &json!(true), &json!("it answers")));
        assert_eq!(tried.body["revision"], 1);
        assert_eq!(house.ask(of("viewer", Method::POST, &path)).await.status, 403);
    }
    let listen = format!("/services/{}/listen", part("text_to_speech"));
    let spoken = post(listen.clone(), json!({"text": "Good day."})).await;
    assert_eq!(
        (spoken.status, spoken.headers["content-type"].as_str(), &*spoken.text),
        (200, "audio/wav", "Good day.")
    );
    assert_eq!(post(listen.clone(), json!({"text": "nothing"})).await.status, 502);
    assert_eq!(post(listen, json!({"text": "x".repeat(301)})).await.status, 422);
    let offers = house.get("admin", &format!("/services/{}/offers", part("text_to_speech"))).await;
    assert_eq!((offers.status, &offers.body["detail"]), (502, &json!("it does not answer")));
    let path = format!("/assistants/{}/try", part("assistant"));
    let began = post(path.clone(), json!({})).await;
    assert_eq!(began.body["responses"], json!([{"said": null, "assistants": 1}]), "{began:?}");
    let went_on = post(path.clone(), json!({"text": "hello", "context": {"n": 1}})).await;
    assert_eq!((&went_on.body["responses"][0]["said"], &went_on.body["context"]), (&json!("hello"), &json!({"n": 1})));
    let bad = post(path, json!({"text": "x".repeat(2_001), "what": 1})).await;
    assert_eq!((bad.status, bad.faults().len()), (422, 2), "{bad:?}");
    let path = format!("/integrations/{}/test-connection", line.id());
    let tested = house.ask(of("admin", Method::POST, &path)).await;
    assert!(
        tested.body["valid"] == true && tested.body["told"].as_str().expect("a sentence").contains("is active"),
        "{tested:?}"
    );
    assert!(!tested.text.contains("s3cret"));
    let shown = house.get("viewer", &format!("/integrations/{}", line.id())).await;
    let last = &shown.body["tested"];
    assert_eq!((&last["good"], &last["told"], &last["at"]), (&json!(true), &tested.body["told"], &tested.body["at"]));
    assert_eq!(shown.etag(), line.etag());
    for (list, good) in [("speech_to_text", true), ("assistant", true)] {
        let kind = if list == "assistant" { "assistants" } else { "services" };
        let shown = house.get("viewer", &format!("/{kind}/{}", part(list))).await;
        assert_eq!(shown.body["tested"]["good"], good, "{list}");
    }
    let named = json!({"settings": {"connect": {"secret_access_key": "s3cret-other"}}});
    let changed = house.patch("admin", &format!("/integrations/{}", line.id()), line.etag(), named).await;
    assert_eq!((changed.status, &changed.body["tested"]), (200, &Value::Null), "a test of another key");
    let line = changed;
    let audit = house.get("admin", "/audit").await.text;
    assert!(audit.contains("secrets.open") || audit.contains("open"), "{audit}");
    let without = json!({"settings": {"connect": null}});
    let changed = house.patch("admin", &format!("/integrations/{}", line.id()), line.etag(), without).await;
    assert_eq!(changed.status, 200);
    assert_eq!(house.ask(of("admin", Method::POST, &path)).await.status, 422, "there is nothing to test");
}

#[actix_web::test]
async fn what_was_not_tried_is_no_result_and_what_cannot_be_tested_is_a_bad_one() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await;
    let service = format!("/services/{}", line.body["settings"]["speech_to_text"][0].as_str().expect("an id"));
    house.calls.is_busy.store(true, Ordering::Relaxed);
    let tried = house.ask(of("admin", Method::POST, &format!("{service}/test"))).await;
    assert_eq!((tried.status, &tried.body["detail"]), (503, &json!("this server is busy")));
    assert!(tried.headers.contains_key("retry-after"));
    assert_eq!(house.get("viewer", &service).await.body["tested"], Value::Null);
    let path = format!("/integrations/{}", line.id());
    let unusable = json!({"settings": {"connect": {"access_key_id": "unusable"}}});
    assert_eq!(house.patch("admin", &path, line.etag(), unusable).await.status, 200);
    let tested = house.ask(of("admin", Method::POST, &format!("{path}/test-connection"))).await;
    assert_eq!((tested.status, tested.faults()[0].0.as_str()), (422, "#/settings/connect/access_key_id"));
    let last = &house.get("viewer", &path).await.body["tested"];
    assert_eq!((&last["good"], &last["told"]), (&json!(false), &json!("connect.access_key_id: cannot be used here")));
}

/// One tenant's services do not answer; another's do.
#[actix_web::test]
async fn who_waits_for_slow_services_holds_up_their_own_trials_alone() {
    let house = House::new().await;
    let slow = furnish(&house, "admin", "phone").await;
    let other = furnish(&house, "stranger", "theirs").await;
    let path = |line: &Answer| {
        let assistant = line.body["settings"]["assistant"][0].as_str().expect("an id");
        format!("/assistants/{assistant}/try")
    };
    let say = |who: &str, line: &Answer, text: &str| {
        house.ask(of(who, Method::POST, &path(line)).set_json(json!({"text": text})))
    };
    let mut waiting = vec![];
    for _ in 0..4 {
        let asked = Box::pin(say("admin", &slow, "wait"));
        let began = Box::pin(house.calls.began.notified());
        match futures_util::future::select(asked, began).await {
            futures_util::future::Either::Right((_, asked)) => waiting.push(asked),
            futures_util::future::Either::Left((answer, _)) => panic!("it does not wait: {answer:?}"),
        }
    }
    assert_eq!(say("admin", &slow, "hello").await.status, 503);
    assert_eq!(say("stranger", &other, "hello").await.status, 200);
    assert_eq!(house.get("admin", "/assistants").await.status, 200, "there is room for all but trials");
    drop(waiting);
    assert_eq!(say("admin", &slow, "hello").await.status, 200);
}

#[actix_web::test]
async fn an_assistant_is_told_of_words_keys_and_silence_one_at_a_time() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await;
    let path = format!("/assistants/{}/try", line.body["settings"]["assistant"][0].as_str().expect("an id"));
    let post = async |path: String, body: Value| house.post("admin", &path, body).await;
    for (body, said) in [(json!({"digits": "1*#"}), "keys 1*#"), (json!({"silence": true}), "silence")] {
        assert_eq!(post(path.clone(), body).await.body["responses"][0]["said"], said);
    }
    for bad in [json!({"digits": "x"}), json!({"digits": "1", "silence": true}), json!({"text": "a", "digits": "1"})] {
        assert_eq!(post(path.clone(), bad.clone()).await.status, 422, "{bad}");
    }
}

/// Lines that were logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What is logged on this thread from now on, as long as the second is there.
    fn read() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let read = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
        (log, tracing::subscriber::set_default(read))
    }

    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().expect("no panic").clone();
        String::from_utf8(bytes)
            .expect("text")
            .lines()
            .filter(|line| line.contains("REST request"))
            .map(str::to_owned)
            .collect()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[actix_web::test]
async fn a_request_that_nobody_waits_for_has_its_line_too() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await;
    let (log, _reading) = Log::read();
    let path = format!("/assistants/{}/try", line.body["settings"]["assistant"][0].as_str().expect("an id"));
    let asked = Box::pin(house.post("admin", &path, json!({"text": "wait"})));
    let began = Box::pin(house.calls.began.notified());
    drop(futures_util::future::select(asked, began).await);
    let [told] = &log.lines()[..] else { panic!("{:?}", log.lines()) };
    assert!(told.contains("ended without an answer") && told.contains("/assistants/{id}/try"), "{told}");
    assert_eq!(house.get("admin", "/plans").await.status, 200);
    assert_eq!(log.lines().len(), 1, "what changes nothing has none");
}

/// The network, or the patience of who asked, ended before the answer came.
#[actix_web::test]
async fn a_request_with_a_key_is_settled_though_whoever_asked_went_away() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await;
    let (log, _reading) = Log::read();
    let path = format!("/assistants/{}/try", line.body["settings"]["assistant"][0].as_str().expect("an id"));
    let say = || {
        of("admin", Method::POST, &path).set_json(json!({"text": "wait"})).insert_header(("Idempotency-Key", "\"k\""))
    };
    let asked = Box::pin(house.ask(say()));
    let began = Box::pin(house.calls.began.notified());
    let gone = futures_util::future::select(asked, began).await;
    assert!(matches!(gone, futures_util::future::Either::Right(_)), "no answer came yet");
    drop(gone);
    let early = house.ask(say()).await;
    assert_eq!(early.status, 409, "it is under way: {early:?}");
    house.calls.goes_on.notify_one();
    for _ in 0..10_000 {
        let again = house.ask(say()).await;
        if again.status != 409 {
            assert_eq!((again.status, &again.body["responses"][0]["said"]), (200, &json!("wait")), "{again:?}");
            let lines = log.lines();
            let done = lines.iter().filter(|line| line.contains("status=200")).count();
            assert_eq!(done, 2, "the first, which nobody waited for, and the last: {lines:?}");
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("what became of it is never known");
}

#[actix_web::test]
async fn a_connection_is_tried_before_it_is_kept_and_nothing_of_it_is_kept() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await;
    let path = format!("/integrations/{}/try-connection", line.id());
    let connect = |id: &str, secret: &str| {
        json!({"connect": {
            "instance_arn": "arn:aws:connect:eu-west-2:111122223333:instance/abd",
            "access_key_id": id, "secret_access_key": secret,
        }})
    };
    let post = async |who: &str, body: Value| house.post(who, &path, body).await;
    let tried = post("admin", connect("AKIAIOSFODNN7EXAMPLE", "s3cret-key")).await;
    assert_eq!((tried.status, &tried.body["valid"]), (200, &json!(true)), "{tried:?}");
    assert!(!tried.text.contains("s3cret"), "{tried:?}");
    assert_eq!(post("viewer", connect("AKIAIOSFODNN7EXAMPLE", "s3cret-key")).await.status, 403);
    for (body, place) in [
        (json!({}), "#/connect"),
        (json!({"connect": "x"}), "#/connect"),
        (json!({"connect": {"instance_arn": "arn", "access_key_id": "A"}}), "#/connect/secret_access_key"),
        (connect("kept:connect.access_key_id", "s3cret-key"), "#/connect/access_key_id"),
        (connect("unusable", "s3cret-key"), "#/connect/access_key_id"),
        (json!({"connect": {}, "language": "de"}), "#/language"),
    ] {
        let refused = post("admin", body).await;
        assert_eq!((refused.status, refused.faults()[0].0.as_str()), (422, place), "{refused:?}");
    }
    let after = house.get("viewer", &format!("/integrations/{}", line.id())).await;
    assert_eq!(after.body, line.body, "nothing of it is kept");
}

#[actix_web::test]
async fn who_is_told_of_calls_is_sent_a_test_event() {
    let house = House::new().await;
    let line = furnish(&house, "admin", "phone").await;
    let path = format!("/integrations/{}", line.id());
    let test = async |who: &str| house.ask(of(who, Method::POST, &format!("{path}/test-log-webhook"))).await;
    let nobody = test("admin").await;
    assert_eq!((nobody.status, nobody.faults()[0].0.as_str()), (422, "#/settings/records/webhook"), "{nobody:?}");
    let webhook =
        |secret: &str| json!({"settings": {"records": {"webhook": {"url": "https://log.example", "secret": secret}}}});
    let good = house.patch("admin", &path, line.etag(), webhook("s3cret-log")).await;
    let tried = test("admin").await;
    assert_eq!((&tried.body["good"], &tried.body["told"]), (&json!(true), &json!("it answered 200")), "{tried:?}");
    assert_eq!(test("viewer").await.status, 403);
    house.patch("admin", &path, good.etag(), webhook("s3cret-other")).await;
    let tried = test("admin").await;
    assert_eq!((&tried.body["good"], &tried.body["told"]), (&json!(false), &json!("it answered 401")), "{tried:?}");
}
