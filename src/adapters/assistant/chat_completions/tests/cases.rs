//! `tests/cases/chat_completions.yaml`: each case under its own name; and siblings of them, from the dialects of servers.

use std::collections::BTreeSet;

use super::*;
use std::time::Duration;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/cases/chat_completions.yaml");

fn cases() -> Vec<Value> {
    let text = std::fs::read_to_string(CASES).expect("the file is there");
    serde_saphyr::from_str(&text).expect("YAML")
}

fn case(name: &str) -> Value {
    cases().into_iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("no case `{name}`"))
}

fn events<'a>(data: impl IntoIterator<Item = &'a str>) -> Answer {
    let events: String = data.into_iter().map(|line| format!("data: {line}\n\n")).collect();
    Answer::new(200, "text/event-stream", events)
}

fn answer(case: &Value) -> Answer {
    match case["body"].as_str() {
        Some(body) => Answer::new(200, "application/json", body.to_owned()),
        None => events(case["data"].as_array().expect("data").iter().filter_map(Value::as_str)),
    }
}

struct Played {
    said: String,
    reply: TurnReply,
}

impl Played {
    fn tools(&self) -> Vec<&str> {
        let name = |item: &Value| match item["response_type"].as_str() {
            Some("dtmf") => "collect_digits",
            Some("connect_to_agent") => "connect_to_agent",
            Some("end_session") => "end_session",
            _ => "?",
        };
        self.reply.generic.iter().map(name).collect()
    }
}

async fn played(answer: Answer) -> Played {
    let (url, _) = serve(vec![answer]).await;
    let (reply, parts) =
        turn(&ChatCompletions::new(settings(&url)), TurnRequest::new(1, says("hi"), Value::Null)).await;
    Played { said: parts.join(" "), reply: reply.expect("a reply") }
}

async fn is_said(name: &str) {
    let case = case(name);
    let played = played(answer(&case)).await;
    assert_eq!(played.said, case["says"].as_str().expect("what it says"));
    let last = played.reply.context["messages"].as_array().and_then(|all| all.last()).expect("kept")["content"].clone();
    assert_eq!(last, case["says"], "the history has what was said");
}

#[tokio::test]
async fn an_empty_finish_reason_is_none() {
    is_said("an empty finish_reason is none").await;
}

#[tokio::test]
async fn the_end_of_the_stream_is_an_end() {
    is_said("the end of the stream is an end").await;
}

#[tokio::test]
async fn thoughts_are_neither_spoken_nor_shown() {
    is_said("thoughts are neither spoken nor shown").await;
}

#[tokio::test]
async fn an_answer_that_is_not_streamed_though_it_was_asked_for() {
    is_said("an answer that is not streamed though it was asked for").await;
}

#[tokio::test]
async fn two_tools_under_one_index_told_apart_by_their_ids() {
    let case = case("two tools under one index, told apart by their ids");
    let played = played(answer(&case)).await;
    assert_eq!(json!(played.tools()), case["tools"]);
    assert_eq!(played.reply.generic[0]["command_info"]["parameters"]["count"], 4);
}

#[tokio::test]
async fn arguments_as_an_object() {
    let case = case("arguments as an object");
    let played = played(answer(&case)).await;
    assert_eq!(json!(played.tools()), case["tools"]);
    let item = &played.reply.generic[0];
    assert_eq!(item["transfer_info"]["target"]["amazon_connect"]["custom_data"], case["custom_data"]);
    assert_eq!(item["message_to_human_agent"], "wants a person");
}

#[tokio::test]
async fn an_error_in_the_stream_is_told_as_one() {
    let case = case("an error in the stream is told as one");
    let (url, _) = serve(vec![answer(&case)]).await;
    let (reply, parts) =
        turn(&ChatCompletions::new(settings(&url)), TurnRequest::new(1, says("hi"), Value::Null)).await;
    let failure = reply.expect_err("an error");
    assert!(failure.to_string().contains("model is overloaded") && parts.is_empty());
    assert!(matches!(failure, ServiceFailure::NotNow { .. }), "it is asked again, then the fallback");
}

#[tokio::test]
async fn markdown_and_emoji_are_not_read_out() {
    let case = case("markdown and emoji are not read out");
    let played = played(answer(&case)).await;
    let bare = |text: &str| text.replace('.', "");
    assert_eq!(bare(&played.said), bare(case["spoken"].as_str().expect("what is spoken")));
}

/// A token every 300 ms for 12 s, of text and of thoughts: it is alive all the while, and heard early.
#[tokio::test(start_paused = true)]
async fn a_slow_model_whose_tokens_flow_is_alive() {
    let parts: Arc<Mutex<Vec<(u128, Part)>>> = Arc::default();
    let (sink, began) = (Arc::clone(&parts), Instant::now());
    let sink = Box::new(move |part| sink.lock().expect("alone").push((began.elapsed().as_millis(), part)));
    let mut completion = completion::Completion::new(sink, false, "hi".into());
    for n in 0..80u32 {
        let delta = if n < 40 { json!({"reasoning_content": "hm "}) } else { json!({"content": format!("word{n} ")}) };
        let next = Instant::now() + Duration::from_millis(300);
        while let Some(at) = completion.spoken.deadline().filter(|at| *at < next) {
            tokio::time::sleep_until(at).await;
            completion.spoken.hurry(at);
        }
        tokio::time::sleep_until(next).await;
        completion.take(&json!({"choices": [{"index": 0, "delta": delta}]}), next);
    }
    completion.finish(true, Instant::now()).expect("complete");
    let parts = parts.lock().expect("alone");
    let gaps = parts.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(gaps.max() <= Some(600), "a sign of life every 600 ms");
    let first = parts.iter().find(|(_, part)| matches!(part, Part::Item(_))).expect("words").0;
    assert!(first <= 12_000 + 300 + 1500, "first words after {first} ms");
    let said: Vec<String> = parts
        .iter()
        .filter_map(|(_, part)| match part {
            Part::Item(item) => item["text"].as_str().map(str::to_owned),
            Part::Progress => None,
        })
        .collect();
    let all: Vec<String> = (40..80).map(|n| format!("word{n}")).collect();
    assert_eq!(said.join(" "), all.join(" "));
}

/// A server that refuses roles out of turn, through a greeting and forty turns of all sorts.
#[test]
fn a_template_that_wants_user_and_assistant_in_turn() {
    let mut context = Value::Null;
    let mut interrupted = None;
    for number in 0..41u32 {
        let input = match number % 8 {
            _ if number == 0 => TurnInput::Start,
            1 | 5 => says("words"),
            2 => TurnInput::Digits { digits: "1234".into(), succeeded: true },
            3 => TurnInput::PostResponseTimeout,
            4 => TurnInput::NotUnderstood,
            6 => TurnInput::CallTransferFailed,
            _ => says("more words"),
        };
        let request =
            TurnRequest { interrupted: interrupted.take(), ..TurnRequest::new(number, input, context.clone()) };
        let mut history = History::of(&request);
        check_roles(history.messages());
        let called = |name: &str| {
            let mut completion = completion::Completion::new(Box::new(|_| {}), false, String::new());
            let call = json!({"choices": [{"delta": {"tool_calls": [{"id": "", "function": {"name": name, "arguments": "{}"}}]}}]});
            completion.take(&call, Instant::now());
            completion.finish(true, Instant::now()).expect("a call").calls
        };
        match number % 8 {
            _ if number == 0 => history.answer("Hello from Acme.", &[]),
            1 | 2 => history.answer("Your number, please.", &called("collect_digits")),
            5 => history.answer("", &called("connect_to_agent")),
            6 => history.answer("I am sorry.", &[called("collect_digits"), called("end_session")].concat()),
            _ => history.answer("Of course.", &[]),
        }
        interrupted = match number % 5 {
            3 => Some(Interrupted { heard: "Of".into(), unknown_turn: None }),
            4 => Some(Interrupted::default()),
            _ => None,
        };
        context = history.context();
    }
    assert!(context["messages"].as_array().is_some_and(|all| all.len() <= MESSAGES_MAX));
}

/// As strict templates check: user and assistant in turn (calls and their results apart), and each call with its result.
fn check_roles(messages: &[Value]) {
    let roles: Vec<&str> = messages.iter().filter_map(|message| message["role"].as_str()).collect();
    assert_eq!(roles.first(), Some(&"user"), "{roles:?}");
    let in_turn = roles.iter().enumerate().all(|(n, role)| (*role == "assistant") == (n % 2 == 1));
    assert!(in_turn, "{roles:?}");
    let plain: Vec<&str> = messages
        .iter()
        .filter(|message| {
            message["role"] == "user" || (message["role"] == "assistant" && message.get("tool_calls").is_none())
        })
        .filter_map(|message| message["role"].as_str())
        .collect();
    assert!(plain.windows(2).all(|pair| pair[0] != pair[1]), "{roles:?}");
    for pair in messages.windows(2) {
        let called = pair[0].pointer("/tool_calls/0/id");
        assert_eq!(called, pair[1].get("tool_call_id"), "{roles:?}");
        assert!(pair[0]["tool_calls"].as_array().is_none_or(|calls| calls.len() == 1));
    }
}

#[test]
fn every_case_of_the_file_has_its_test() {
    let tested: BTreeSet<&str> = [
        "an empty finish_reason is none",
        "the end of the stream is an end",
        "thoughts are neither spoken nor shown",
        "two tools under one index, told apart by their ids",
        "arguments as an object",
        "a slow model whose tokens flow is alive",
        "an error in the stream is told as one",
        "an answer that is not streamed though it was asked for",
        "markdown and emoji are not read out",
        "a template that wants user and assistant in turn",
    ]
    .into();
    let cases = cases();
    let names: BTreeSet<&str> = cases.iter().filter_map(|case| case["name"].as_str()).collect();
    assert_eq!(names, tested);
}

// Siblings.

#[tokio::test]
async fn dialects_of_servers_say_the_same() {
    for (who, data) in [
        (
            "Azure: filters first, null content, usage last",
            vec![
                r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#,
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"refusal":null},"finish_reason":null}]}"#,
                r#"{"choices":[{"index":0,"delta":{"content":"We open at nine."},"finish_reason":null}]}"#,
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
                r#"{"choices":[],"usage":{"total_tokens":9}}"#,
                "[DONE]",
                "[DONE]",
            ],
        ),
        (
            "parts, with thoughts among them",
            vec![
                r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}}]}"#,
                r#"{"choices":[{"delta":{"content":[{"type":"text","text":"We open "},{"type":"text","text":"at nine."}]}}]}"#,
                "[DONE]",
            ],
        ),
        (
            "another choice beside",
            vec![
                r#"{"choices":[{"index":1,"delta":{"content":"No."}},{"index":0,"delta":{"content":"We open at nine."}}]}"#,
                "[DONE]",
            ],
        ),
        (
            "a refusal is spoken",
            vec![r#"{"choices":[{"delta":{"refusal":"We open at nine."},"finish_reason":"stop"}]}"#],
        ),
        ("no mark at the end", vec![r#"{"choices":[{"index":0,"delta":{"content":"We open at nine."}}]}"#]),
        (
            "thoughts without the mark that opens them",
            vec![
                r#"{"choices":[{"delta":{"content":"hm</think>\n\n"}}]}"#,
                r#"{"choices":[{"delta":{"content":"We open at nine."},"finish_reason":"stop"}]}"#,
            ],
        ),
        (
            "reasoning",
            vec![
                r#"{"choices":[{"delta":{"reasoning":"The caller asks."}}]}"#,
                r#"{"choices":[{"delta":{"content":"We open at nine.","reasoning":null},"finish_reason":"eos"}]}"#,
            ],
        ),
    ] {
        assert_eq!(played(events(data)).await.said, "We open at nine.", "{who}");
    }
    let comments = ": OPENROUTER PROCESSING\n\n: ping\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"We open at nine.\"}}]}\r\n\r\ndata: [DONE]\r\n\r\n";
    assert_eq!(played(Answer::new(200, "text/plain", comments.into())).await.said, "We open at nine.");
}

#[tokio::test]
async fn dialects_of_tool_calls_are_the_same_calls() {
    let call = |call: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{call}]}}}}]}}"#);
    let (collect, end) = ("collect_digits", "end_session");
    for (who, data) in [
        (
            "Gemini: no ids, one index",
            vec![
                call(r#"{"index":0,"id":"","function":{"name":"collect_digits","arguments":"{\"count\":4}"}}"#),
                call(r#"{"index":0,"id":"","function":{"name":"end_session","arguments":"{}"}}"#),
            ],
        ),
        (
            "neither ids nor indexes",
            vec![call(
                r#"{"function":{"name":"collect_digits","arguments":"{\"count\":4}"}},{"function":{"name":"end_session","arguments":""}}"#,
            )],
        ),
        (
            "id and name with every piece",
            vec![
                call(r#"{"index":0,"id":"a","function":{"name":"collect_digits","arguments":"{\"cou"}}"#),
                call(r#"{"index":0,"id":"a","function":{"name":"collect_digits","arguments":"nt\":4}"}}"#),
                call(r#"{"index":1,"id":"b","function":{"name":"end_session","arguments":"{}"}}"#),
            ],
        ),
        (
            "a fresh id with every piece",
            vec![
                call(r#"{"index":0,"id":"a","function":{"name":"collect_digits"}}"#),
                call(r#"{"index":0,"id":"x","function":{"name":null,"arguments":"{\"count\":"}}"#),
                call(r#"{"index":0,"id":"y","function":{"arguments":"4}"}}"#),
                call(r#"{"index":1,"id":"b","function":{"name":"end_session","arguments":"{}"}}"#),
            ],
        ),
        (
            "pieces without an index",
            vec![
                call(r#"{"id":"a","function":{"name":"collect_digits","arguments":""}}"#),
                call(r#"{"function":{"arguments":"{\"count\":4}"}}"#),
                call(r#"{"id":"b","function":{"name":"end_session","arguments":"{}"}}"#),
            ],
        ),
        (
            "interleaved",
            vec![
                call(r#"{"index":0,"id":"a","function":{"name":"collect_digits","arguments":""}},{"index":1,"id":"b","function":{"name":"end_session","arguments":"{"}}"#),
                call(r#"{"index":0,"function":{"arguments":"{\"count\":4}"}},{"index":1,"function":{"arguments":"}"}}"#),
            ],
        ),
        (
            "the text of an object in a text",
            vec![
                call(r#"{"index":0,"id":"a","function":{"name":"collect_digits","arguments":"\"{\\\"count\\\":4}\""}}"#),
                call(r#"{"index":1,"id":"b","function":{"name":"end_session","arguments":null}}"#),
            ],
        ),
        (
            "written out",
            vec![
                r#"{"choices":[{"delta":{"content":"<tool_call>{\"name\":\"collect_digits\",\"arguments\":{\"count\":4}}</tool_call>"}}]}"#.to_owned(),
                r#"{"choices":[{"delta":{"content":"<tool_call>{\"name\":\"end_session\",\"arguments\":{}}</tool_call>"}}]}"#.to_owned(),
            ],
        ),
    ] {
        let played = played(events(data.iter().map(String::as_str).chain(["[DONE]"]))).await;
        assert_eq!((played.tools(), played.said.as_str()), (vec![collect, end], ""), "{who}");
        assert_eq!(played.reply.generic[0]["command_info"]["parameters"]["count"], 4, "{who}");
    }
    let older = r#"{"choices":[{"message":{"content":null,"function_call":{"name":"end_session","arguments":"{}"}},"finish_reason":"function_call"}]}"#;
    assert_eq!(played(Answer::new(200, "application/json", older.into())).await.tools(), [end]);
}

#[tokio::test]
async fn a_model_that_never_ends_is_cut_off_and_counts() {
    let piece = format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "and so on, ".repeat(50));
    let played = played(events(std::iter::repeat_n(piece.as_str(), 200))).await;
    assert!(played.said.len() > 10_000 && played.said.len() <= CONTENT_MAX, "{}", played.said.len());
}
