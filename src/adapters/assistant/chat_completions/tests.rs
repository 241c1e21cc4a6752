//! A language model on the telephone, with a server that answers as told.

mod cases;

use super::*;
use crate::testing::{Answer, serve};
use bellhop_dialogue::ports::{Interrupted, Part};
use std::sync::Mutex;

fn request(input: TurnInput) -> TurnRequest {
    let context = json!({"messages": [{"role": "assistant", "content": "Hello."}], "integrations": {"x": 1}});
    TurnRequest { barge_in_occurred: true, ..TurnRequest::new(1, input, context) }
}

fn settings(url: &str) -> Settings {
    let parameters = json!({"temperature": 0.2, "stream": false}).as_object().cloned().unwrap_or_default();
    Settings {
        url: format!("{url}/v1/").into(),
        model: "m-1".into(),
        api_key: Some("k3y".into()),
        prompt: "You sell bells.".into(),
        greeting: None,
        parameters,
    }
}

async fn turn(assistant: &ChatCompletions, request: TurnRequest) -> (Result<TurnReply, ServiceFailure>, Vec<String>) {
    let parts = Arc::new(Mutex::new(vec![]));
    let sink = Arc::clone(&parts);
    let take = Box::new(move |part: Part| {
        let Part::Item(item) = part else { return };
        sink.lock().expect("alone").push(item["text"].as_str().unwrap_or("?").to_owned())
    });
    let reply = assistant.turn(request, take).await;
    let parts = parts.lock().expect("alone").clone();
    (reply, parts)
}

async fn asked(
    answer: Answer,
    input: TurnInput,
    greeting: Option<&str>,
) -> (Result<TurnReply, ServiceFailure>, Vec<String>, Value) {
    let (url, requests) = serve(vec![answer]).await;
    let greeting = greeting.map(str::to_owned);
    let assistant = ChatCompletions::new(Settings { greeting, ..settings(&url) });
    let (reply, parts) = turn(&assistant, request(input)).await;
    let sent = requests.lock().expect("alone").first().cloned().unwrap_or_default();
    let body = sent.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (reply, parts, serde_json::from_str(&body).unwrap_or_default())
}

fn stream(pieces: &[Value]) -> Answer {
    let events: String = pieces.iter().map(|piece| format!("data: {}\n\n", json!({"choices": [piece]}))).collect();
    Answer::new(200, "text/event-stream", format!(": hello\n\n{events}data: [DONE]\n\n"))
}

fn says(text: &str) -> TurnInput {
    TurnInput::Speech { text: text.into(), confidence: 1.0, result: None }
}

#[tokio::test]
async fn a_completion_is_spoken_by_sentence_and_its_tools_are_carried_out() {
    let answer = stream(&[
        json!({"delta": {"role": "assistant", "content": ""}}),
        json!({"delta": {"content": "Of course I can. I will"}}),
        json!({"delta": {"content": " transfer you now."}}),
        json!({"delta": {"tool_calls": [{"index": 0, "function": {"name": "connect_to_agent", "arguments": "{\"message_to_human"}}]}}),
        json!({"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "_agent\": \"wants a bell\"}"}}]}}),
        json!({"delta": {}, "finish_reason": "tool_calls"}),
    ]);
    let (reply, parts, body) = asked(answer, says("a person please "), None).await;
    assert_eq!(parts, ["Of course I can.", "I will transfer you now."]);
    let reply = reply.expect("a reply");
    assert_eq!(reply.generic[0]["message_to_human_agent"], "wants a bell");
    let kept = reply.context["messages"].as_array().expect("messages");
    let last = kept.last().expect("kept");
    assert_eq!(last["content"], "Of course I can. I will transfer you now.");
    assert_eq!(last["tool_calls"][0]["function"]["name"], "connect_to_agent");
    assert_eq!(last["tool_calls"][0]["id"].as_str().map(str::len), Some(9));
    assert!(reply.context.get("integrations").is_none());
    assert_eq!((&body["model"], &body["stream"], &body["temperature"]), (&json!("m-1"), &json!(true), &json!(0.2)));
    assert!(body["messages"][0]["content"].as_str().is_some_and(|text| text.ends_with("You sell bells.")));
    let roles: Vec<&str> =
        body["messages"].as_array().expect("messages").iter().filter_map(|m| m["role"].as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"], "the first is the caller's");
    assert_eq!(body["messages"][3]["content"], "[The caller interrupted you.] a person please");
}

#[tokio::test]
async fn digits_are_asked_for_and_told() {
    let call = json!({"delta": {"tool_calls": [{"index": 0, "function": {"name": "collect_digits", "arguments": "{\"count\": 4, \"secret\": true}"}}]}, "finish_reason": "tool_calls"});
    let (reply, _, body) =
        asked(stream(&[call]), TurnInput::Digits { digits: "12".into(), succeeded: true }, None).await;
    let item = &reply.expect("a reply").generic[0];
    assert_eq!(item["command_info"]["parameters"], json!({"count": 4, "mask": true}));
    assert!(body["messages"][3]["content"].as_str().is_some_and(|text| text.contains("pressed 12")));
}

#[tokio::test]
async fn a_greeting_needs_no_model_and_a_whole_completion_is_read_too() {
    let whole =
        Answer::json(200, &json!({"choices": [{"message": {"content": "Good morning."}, "finish_reason": "stop"}]}));
    let (reply, parts, _) = asked(whole, TurnInput::Start, None).await;
    assert!(reply.is_ok() && parts == ["Good morning."]);
    let (reply, parts, body) = asked(stream(&[]), TurnInput::Start, Some("Hello from Acme.")).await;
    assert_eq!(
        (reply.expect("a reply").generic[0]["text"].clone(), parts.len(), body),
        (json!("Hello from Acme."), 0, Value::Null)
    );
}

#[tokio::test]
async fn what_is_no_reply_is_a_failure() {
    for (answer, hint) in [
        (Answer::new(200, "text/event-stream", "data: {\"choices\": [{\"delta\": {\"tool_calls\": [{\"function\": {\"name\": \"connect_to_agent\", \"arguments\": \"{\\\"cus\"}}]}}]}\n\n".into()), "broke off"),
        (Answer::json(200, &json!([])), "expected `choices`"),
        (Answer::json(200, &json!({"id": 1, "reply": "x"})), "got an object with `id`, `reply`"),
        (stream(&[json!({"delta": {"reasoning": "hm"}, "finish_reason": "length"})]), "max_tokens"),
        (stream(&[json!({"delta": {}, "finish_reason": "stop"})]), "empty"),
        (Answer::json(401, &json!({})), "key"),
    ] {
        let (reply, ..) = asked(answer, says("hi"), None).await;
        let Err(ServiceFailure::Unavailable { why }) = reply else { panic!("a failure") };
        assert!(why.contains(hint), "{why}");
    }
}

/// `replies.yaml`: half a reply was heard, of one that is whole and of one that is still being made.
#[test]
fn the_next_request_holds_of_an_interrupted_reply_the_words_that_were_heard() {
    let whole = json!({"messages": [
        {"role": "user", "content": "when?"}, {"role": "assistant", "content": "We open at nine. We close at five."}]});
    let streamed = json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello."}]});
    for (context, unknown_turn) in [(whole, None), (streamed, Some(says("when?")))] {
        let interrupted = Some(Interrupted { heard: "We open at nine.".into(), unknown_turn });
        let request =
            TurnRequest { interrupted, barge_in_occurred: true, ..TurnRequest::new(4, says("and Sunday"), context) };
        let messages = History::of(&request).messages().to_vec();
        let last: Vec<&Value> = messages.iter().rev().take(3).map(|message| &message["content"]).collect();
        assert_eq!(
            last,
            ["[The caller interrupted you.] and Sunday", "We open at nine. [interrupted]", "when?"],
            "{messages:?}"
        );
    }
    // Of a reply of which nothing was heard there is nothing, and the caller's words stand together.
    let context =
        json!({"messages": [{"role": "user", "content": "when?"}, {"role": "assistant", "content": "We open."}]});
    let request =
        TurnRequest { interrupted: Some(Interrupted::default()), ..TurnRequest::new(4, says("stop"), context) };
    assert_eq!(History::of(&request).messages(), [json!({"role": "user", "content": "when?\nstop"})]);
}

#[test]
fn tools_stand_in_the_history_as_they_were_called_and_the_turn_after_is_their_result() {
    let call =
        |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
    let context = |calls: Value| json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Your PIN?", "tool_calls": calls}]});
    let digits = TurnInput::Digits { digits: "1234".into(), succeeded: true };
    let request =
        TurnRequest::new(2, digits, context(json!([call("a", "collect_digits"), call("b", "connect_to_agent")])));
    let mut history = History::of(&request);
    let roles: Vec<String> =
        history.messages().iter().map(|message| message["role"].as_str().unwrap_or("?").into()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant", "tool"], "one call a message");
    assert_eq!(history.messages()[4]["tool_call_id"], "b");
    assert_eq!(history.messages()[4]["content"], "[The caller pressed 1234 on the keypad.]");
    let request = TurnRequest {
        digits_before: "12".into(),
        ..TurnRequest::new(2, says("I forgot it"), context(json!([call("a", "collect_digits")])))
    };
    let result = History::of(&request).messages()[2].clone();
    assert_eq!(
        (&result["role"], result["content"].as_str()),
        (
            &json!("tool"),
            Some("[No digits were pressed. The caller said:] [The caller pressed 12 on the keypad.] I forgot it")
        )
    );
}

#[tokio::test]
async fn the_tools_say_which_names_exist() {
    let (_, _, body) =
        asked(stream(&[json!({"delta": {"content": "Yes."}, "finish_reason": "stop"})]), says("hi"), None).await;
    let data = &body["tools"][0]["function"]["parameters"]["properties"]["custom_data"]["description"];
    assert!(data.as_str().is_some_and(|told| told.contains("letters A to Z") && told.contains("digits, - and _")));
}

#[tokio::test]
async fn a_model_without_tools_is_told_with_its_remedy() {
    let refusal = json!({"error": {"message": "gemma does not support tools"}});
    let (reply, ..) = asked(Answer::json(400, &refusal), says("hi"), None).await;
    let Err(ServiceFailure::Unavailable { why }) = reply else { panic!("a failure") };
    assert!(
        why.contains("HTTP status 400: this model has no tools") && why.contains("choose a model that has them"),
        "{why}"
    );
}

/// A stream that has said everything is read to its end: its connection serves the next turn.
#[tokio::test]
async fn the_connection_of_a_finished_stream_is_used_again() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let connections = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a client");
            *counted.lock().expect("alone") += 1;
            tokio::spawn(async move {
                let mut buffer = vec![0; 65536];
                let mut request = String::new();
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    request.push_str(&String::from_utf8_lossy(&buffer[..length]));
                    let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
                    let length = head
                        .lines()
                        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
                    if body.len() < length.unwrap_or(0) {
                        continue;
                    }
                    request.clear();
                    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
                    let first = chunk(
                        "data: {\"choices\":[{\"delta\":{\"content\":\"Yes.\"},\"finish_reason\":\"stop\"}]}\n\n",
                    );
                    let head =
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
                    stream.write_all(format!("{head}{first}").as_bytes()).await.expect("sent");
                    stream.flush().await.expect("sent");
                    tokio::task::yield_now().await;
                    let rest =
                        chunk("data: {\"choices\":[],\"usage\":{}}\n\n") + &chunk("data: [DONE]\n\n") + "0\r\n\r\n";
                    stream.write_all(rest.as_bytes()).await.expect("sent");
                }
            });
        }
    });
    let assistant = ChatCompletions::new(settings(&url));
    for n in 0..5 {
        let (reply, parts) = turn(&assistant, TurnRequest::new(n, says("hi"), Value::Null)).await;
        assert!(reply.is_ok() && parts == ["Yes."]);
    }
    assert_eq!(*connections.lock().expect("alone"), 1);
}
