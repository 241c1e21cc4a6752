//! Examples of responses and turns: read by the readers that calls use.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;

use bellhop_adapters::assistant::webhook::{Webhook, sign};
use bellhop_dialogue::ports::{Assistant, TurnInput, TurnReply, TurnRequest};
use bellhop_dialogue::response::{self, Response};
use serde_json::{Value, json};

use super::pages::fields_of;
use super::{Folder, WHOLE, json_of};

const PAGE: &str = include_str!("../../docs/response-types.md");

/// The items of `docs/response-types.md`, each with its place.
fn examples() -> Vec<(String, Value)> {
    let items = json_of("docs/response-types.md").into_iter().flat_map(|(place, value)| {
        let of_message = value.pointer("/output/generic").and_then(Value::as_array).cloned();
        let items = of_message.or_else(|| value.as_array().cloned()).unwrap_or_else(|| vec![value]);
        items.into_iter().map(move |item| (place.clone(), item)).collect::<Vec<_>>()
    });
    items.collect()
}

/// A row of the page's table: `` `dtmf` / `collect` ``, and what it says.
fn rows() -> Vec<(String, String)> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `")).filter_map(|line| {
        let mut cells = line.split('|').skip(1).map(|cell| cell.trim().to_owned());
        Some((cells.next()?, cells.next()?))
    });
    rows.collect()
}

fn row_of(item: &Value) -> String {
    let name = item["response_type"].as_str().unwrap_or_default();
    let command = item.pointer("/command_info/type").or_else(|| item.pointer("/user_defined/vgwAction/command"));
    match command.and_then(Value::as_str) {
        Some(command) => format!("`{name}` / `{command}`"),
        None => format!("`{name}`"),
    }
}

#[test]
fn every_response_type_and_command_has_an_example_that_is_read_as_its_row_says() {
    let examples = examples();
    for (row, says) in rows() {
        let of_row: Vec<_> = examples.iter().filter(|(_, item)| row_of(item) == row).collect();
        assert!(!of_row.is_empty(), "{row} has no example");
        for (place, item) in of_row {
            let (read, refused) = response::read(std::slice::from_ref(item));
            let refused: Vec<&str> = refused.iter().map(|refused| refused.name).collect();
            assert!(refused.is_empty(), "{place}: {refused:?} count for nothing");
            let skipped = matches!(read[..], [Response::Unsupported { .. }]);
            let is_skipped = says.starts_with("skipped") || says.ends_with("is skipped");
            assert_eq!(skipped, is_skipped, "{place}: {item} beside “{says}”");
        }
    }
}

#[test]
fn every_command_of_older_assistants_has_an_example_that_is_read() {
    let paragraph = PAGE.split("\n\n").find(|text| text.starts_with("Commands of the older")).expect("a paragraph");
    let paragraph = paragraph.replace('\n', " ");
    let (_, list) = paragraph.split_once("are carried out").expect("a list");
    let (list, _) = list.split_once(". `").expect("what is skipped");
    let whole = |end: &str| (format!("`Enable`/`Disable{end}`"), format!("`Enable{end}`, `Disable{end}`"));
    let list = ["SpeechBargeIn", "DTMFBargeIn"]
        .map(whole)
        .iter()
        .fold(list.to_owned(), |list, (short, long)| list.replace(short, long));
    let named = list.split('`').skip(1).step_by(2).map(|name| format!("vgwAct{}", name.trim_start_matches("vgwAct")));
    let named: BTreeSet<String> = named.collect();
    let mut shown = BTreeSet::new();
    for (place, message) in json_of("docs/response-types.md") {
        let reply = TurnReply::from_message(message);
        let (read, refused) = response::read_legacy(&reply.legacy);
        assert!(refused.is_empty(), "{place}");
        let unread = read.iter().any(|response| matches!(response, Response::Unsupported { .. }));
        assert!(!unread, "{place}: {}", reply.legacy);
        let one = reply.legacy.get("vgwAction").into_iter();
        let all = one.chain(reply.legacy["vgwActionSequence"].as_array().into_iter().flatten());
        shown.extend(all.filter_map(|action| Some(action["command"].as_str()?.to_owned())));
    }
    assert_eq!(shown, named);
}

/// A script of all examples: what the scripted assistant's own checks say of them.
#[test]
fn every_example_of_a_response_passes_check_in_a_script() {
    let folder = Folder::new();
    let served = examples().into_iter().filter(|(_, item)| {
        let row = rows().into_iter().find(|(row, _)| *row == row_of(item));
        row.is_some_and(|(_, says)| !says.starts_with("skipped") && !says.ends_with("is skipped"))
    });
    for (place, item) in served {
        // JSON is YAML.
        let listens = json!({"say": ["good morning"], "go": "ask"});
        let begins =
            json!({"respond": [{"response_type": "text", "text": "Hello."}], "expect": [listens], "otherwise": "more"});
        let goes_on = json!({"respond": [{"response_type": "text", "text": "Go on."}], "then": "begin"});
        // Nothing follows what hangs up, and only one command asks for a turn at once.
        let asks = match &item {
            item if item["response_type"] == "end_session" => json!({"respond": [item]}),
            item if item.to_string().contains("vgwActForceNoInputTurn") => {
                json!({"respond": [item], "meanwhile": "more"})
            }
            item => json!({"respond": [item], "expect": [listens], "otherwise": "more"}),
        };
        let script = json!({"start": "begin", "steps": {"begin": begins, "ask": asks, "more": goes_on}});
        folder.write("acme.yaml", &script.to_string());
        folder.check(&place, WHOLE);
    }
}

/// A server for one request: what it got, body last, once it has answered.
fn answers_once(answer: String) -> (SocketAddr, std::thread::JoinHandle<(String, String)>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let served = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a request");
        let mut stream = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let mut line = String::new();
            assert!(stream.read_line(&mut line).expect("a line") > 0, "a whole request");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("a body");
        let head_of_answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            answer.len()
        );
        stream.get_mut().write_all((head_of_answer + &answer).as_bytes()).expect("answered");
        (head, String::from_utf8(body).expect("text"))
    });
    (address, served)
}

#[tokio::test]
async fn the_webhooks_request_and_answer_are_what_is_sent_and_understood() {
    let samples = json_of("docs/webhook-assistant.md");
    let [(_, request), (place, answer)] = &samples[..] else { panic!("a request and an answer") };
    let (address, served) = answers_once(answer.to_string());
    let result = request.pointer("/input/integrations/voice_telephony/speech_to_text_result").cloned();
    let text = request["input"]["text"].as_str().expect("words").to_owned();
    let context = json!({"integrations": {"channel": {}, "voice_telephony": {"sip_call_id": "call"}}});
    let input = TurnInput::Speech { text, confidence: 0.91, result };
    let webhook = Webhook::new(format!("http://{address}/"), "acme", "key").expect("a URL");
    let reply = webhook.turn(TurnRequest::new(3, input, context), Box::new(drop)).await.expect(place);
    assert_eq!(json!(reply.generic), answer["output"]["generic"]);
    assert_eq!(reply.context["whatever"], answer["context"]["whatever"]);
    let phrases = reply.phrases.as_deref().map(|phrases| phrases.iter().map(|phrase| phrase.to_string()).collect());
    assert_eq!(phrases.map(|phrases: Vec<String>| json!(phrases)), Some(answer["phrases"].clone()));
    let (head, body) = served.join().expect("served");
    let sent: Value = serde_json::from_str(&body).expect("JSON");
    let (told, is) = (fields_of(request), fields_of(&sent));
    let missing: Vec<_> = told.difference(&is).collect();
    assert!(missing.is_empty(), "the page tells of {missing:?}, which are not sent: {sent}");
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name)).expect(name);
        line.split_once(": ").expect("a header").1.to_owned()
    };
    let signature = sign(b"key", &header("x-bellhop-timestamp"), body.as_bytes());
    assert_eq!(header("x-bellhop-signature"), signature);
    let page = include_str!("../../docs/webhook-assistant.md");
    assert!(page.contains(&sign(b"key", "1", b"{}")), "the page's own example of a signature");
}
