//! `tests/cases/replies.yaml`: what of it assistants have to do with, each case under its own name.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellhop_dialogue::ports::{
    Assistant, Interrupted, Part, PartSink, ServiceFailure, TurnInput, TurnReply, TurnRequest,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::chat_completions::{ChatCompletions, Settings};
use super::webhook::Webhook;
use crate::fallback::InOrder;
use crate::iam::Authentication;
use crate::testing::{Answer, serve};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases/replies.yaml");

fn case(name: &str) -> Value {
    let text = std::fs::read_to_string(CASES).expect("the file is there");
    let cases: Vec<Value> = serde_saphyr::from_str(&text).expect("YAML");
    cases.into_iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("no case `{name}`"))
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

fn says(text: &str) -> TurnInput {
    TurnInput::Speech { text: text.into(), confidence: 1.0, result: None }
}

fn listener() -> (PartSink, Arc<Mutex<Vec<String>>>) {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&heard);
    let parts = Box::new(move |part| {
        if let Part::Item(item) = part {
            sink.lock().expect("alone").push(item["text"].as_str().unwrap_or("?").to_owned());
        }
    });
    (parts, heard)
}

async fn webhook(answer: Answer) -> (Result<TurnReply, ServiceFailure>, Vec<String>) {
    let (url, _) = serve(vec![answer]).await;
    let webhook = Webhook::new(&url, "acme", "s3cret").expect("a URL");
    let (parts, heard) = listener();
    let reply = webhook.turn(TurnRequest::new(1, says("hi"), Value::Null), parts).await;
    let heard = heard.lock().expect("alone").clone();
    (reply, heard)
}

fn chat(url: &str) -> ChatCompletions {
    let (url, model, prompt) = (url.into(), "m".to_owned(), String::new());
    ChatCompletions::new(Settings { url, model, api_key: None, prompt, greeting: None, parameters: Default::default() })
}

#[tokio::test]
async fn half_a_reply_was_heard() {
    case("half a reply was heard");
    let whole = json!({"messages": [{"role": "user", "content": "when?"},
        {"role": "assistant", "content": "We open at nine. We close at five."}]});
    // Interrupted when it was whole, and while it was still being streamed.
    for (context, unknown_turn) in [(whole, None), (Value::Null, Some(says("when?")))] {
        let (url, requests) = serve(vec![Answer::new(200, "text/event-stream", "data: [DONE]\n\n".into())]).await;
        let interrupted = Some(Interrupted { heard: "We open at nine.".into(), unknown_turn });
        let request =
            TurnRequest { interrupted, barge_in_occurred: true, ..TurnRequest::new(2, says("and Sunday"), context) };
        let _ = chat(&url).turn(request, Box::new(|_| {})).await;
        let sent = requests.lock().expect("alone").first().cloned().expect("a request");
        assert!(sent.contains("when?") && sent.contains("We open at nine. [interrupted]"), "{sent}");
        assert!(sent.contains("and Sunday") && !sent.contains("We close at five"), "{sent}");
    }
}

#[tokio::test]
async fn deltas_that_begin_alike() {
    let case = case("deltas that begin alike");
    let partial = |text: &&str| {
        let item = json!({"response_type": "text", "text": text, "streaming_metadata": {"id": 1}});
        format!("id: 1\nevent: message\ndata: {}\n\n", json!({"partial_item": item}))
    };
    let said = case["says"].as_str().expect("what it says");
    let generic = json!([{"response_type": "text", "text": said}]);
    let pieces: String = texts(&case["watson_stream"]).iter().map(partial).collect();
    let end = format!("data: {}\n\n", json!({"final_response": {"output": {"generic": generic}}}));
    let complete = format!("data: {}\n\n", json!({"complete_item": generic[0]}));
    for body in [format!("{pieces}{complete}{end}"), format!("{pieces}{end}")] {
        let (url, _) = serve(vec![Answer::new(200, "text/event-stream", body)]).await;
        let settings = super::watson::Settings {
            url: url.into(),
            assistant: "a".into(),
            environment: Some("e".into()),
            stateful: false,
        };
        let watson = super::watson::WatsonAssistant::new(settings, Authentication::Bearer("t".into()));
        let (parts, heard) = listener();
        watson.turn(TurnRequest::new(1, says("when"), Value::Null), parts).await.expect("a reply");
        assert_eq!(heard.lock().expect("alone").join(" "), said);
    }
}

#[tokio::test]
async fn the_last_line_of_a_streamed_webhook_reply() {
    let case = case("the last line of a streamed webhook reply");
    let (reply, heard) = webhook(Answer::new(200, "application/x-ndjson", texts(&case["lines"]).join("\n"))).await;
    assert_eq!(heard, ["Red or blue?"]);
    assert_eq!(reply.expect("a reply").phrases.as_deref(), Some(&["red".to_owned(), "blue".to_owned()][..]));
}

/// Refuses the connection of each try but the last, as a service that restarts does.
#[tokio::test]
async fn an_assistant_that_restarts() {
    case("an assistant that restarts");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (mut closed, mut tries) = (Some(listener), 0);
    let webhook = Webhook::new(&url, "acme", "s3cret").expect("a URL");
    let address = url.trim_start_matches("http://").to_owned();
    closed.take();
    let refused = webhook.turn(TurnRequest::new(1, says("hi"), Value::Null), Box::new(|_| {})).await;
    assert!(matches!(refused, Err(ServiceFailure::NotNow { .. })), "that passes");
    // In one turn: it is back after the first try, and the second waits.
    let in_order: InOrder<dyn Assistant> = InOrder::new(vec![("webhook", Arc::new(webhook))], Arc::new(|_, _| {}));
    let began = tokio::time::Instant::now();
    let turn = in_order.turn(TurnRequest::new(2, says("hi"), Value::Null), Box::new(|_| {}));
    let back = async {
        // The first refusal is there before this is polled twice; then somebody listens again.
        tokio::task::yield_now().await;
        let listener = loop {
            tries += 1;
            match TcpListener::bind(&address).await {
                Ok(listener) => break listener,
                Err(_) if tries < 100 => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer).await;
        let body = r#"{"output": {"generic": []}}"#;
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.expect("sent");
        std::future::pending::<()>().await;
    };
    let reply = tokio::select! { reply = turn => reply, () = back => unreachable!("it never ends") };
    reply.expect("the call lives");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_reply_of_the_wrong_shape() {
    let case = case("a reply of the wrong shape");
    let body = case["webhook_body"].as_str().expect("a body").to_owned();
    for content_type in ["application/json", "application/x-ndjson", "text/plain"] {
        let (reply, heard) = webhook(Answer::new(200, content_type, body.clone())).await;
        let why = reply.expect_err("a failure, not silence").to_string();
        assert!(why.contains("expected") && why.contains("got an empty array") && heard.is_empty(), "{why}");
    }
}

#[tokio::test]
async fn text_that_begins_with_a_byte_order_mark_events_of_several_data_lines_and_cr_line_ends() {
    case("text that begins with a byte order mark, events of several data lines, CR line ends");
    let reply = r#"{"output": {"generic": [{"response_type": "end_session"}]}}"#;
    let events = "data: {\"item\":\ndata: {\"response_type\": \"text\", \"text\": \"One.\"}}\n\n";
    for (content_type, body) in [
        ("application/json", format!("\u{feff}{reply}")),
        ("application/x-ndjson", format!("\u{feff}{reply}\r\n")),
        ("application/x-ndjson", format!("{{\"text\": \"One.\"}}\r{reply}\r")),
        ("text/event-stream", format!("\u{feff}{events}data: {reply}\n\n")),
        ("text/event-stream", format!("{events}data: {reply}\n\n").replace('\n', "\r")),
        ("text/event-stream", format!("{events}data: {reply}\n\n").replace('\n', "\r\n")),
    ] {
        let (got, heard) = webhook(Answer::new(200, content_type, body.clone())).await;
        assert_eq!(got.expect("a reply").generic.len(), 1, "{body:?}");
        assert!(heard.is_empty() || heard == ["One."], "{body:?}");
        assert_eq!(heard.is_empty(), !body.contains("One."), "{body:?}");
    }
}
