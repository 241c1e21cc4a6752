//! Whole calls through the real binary on services that speak their real protocols: stand-ins of Watson, and the webhook
//! assistant that is in the documentation.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bellhop_rehearsal::amazon_speech::{REGION, StandIn as AmazonSpeech};
use bellhop_rehearsal::caller::Line;
use bellhop_rehearsal::connect::{AccessKey, StandIn as Connect};
use bellhop_rehearsal::flow::Stop;
use bellhop_rehearsal::watson_assistant::{API_KEY, StandIn as Assistant};
use bellhop_rehearsal::watson_speech::{Misbehaviour, StandIn as Speech, TOKEN};
use bellhop_rehearsal::watson_text_to_speech::StandIn as Voice;
use bellhop_sip::hop::Transport;
use serde_json::json;

#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;

#[path = "support/pages.rs"]
#[allow(dead_code)] // what other tests need of it
mod pages;

use node::{INSTANCE, Node, config, folder, speaks, until};

/// A node whose tenant has these services instead of the embedded ones.
fn node_with(services: &str) -> Node {
    Node::with_services("", services)
}

#[test]
fn a_whole_call_on_watson_services_ends_at_an_agent() {
    let (assistant, speech, voice) = (Assistant::default(), Speech::default(), Voice::default());
    assistant.replies("", json!([{"response_type": "text", "text": "Welcome to Acme. How can I help you today?"}]));
    let transfer = json!({"response_type": "connect_to_agent", "agent_available": {"message": "One moment."},
        "transfer_info": {"target": {"amazon_connect": {"custom_data": {"topic": "loan"}}}}});
    assistant
        .replies("an agent please ", json!([{"response_type": "text", "text": "Of course I can do that."}, transfer]));
    speech.will_hear("an agent please", 0.93);
    speech.misbehave(Misbehaviour::DropInUtterance); // and the call does not notice
    let assistant_at = assistant.serve().expect("a port");
    let (speech_at, voice_at) = (speech.serve().expect("a port"), voice.serve().expect("a port"));
    let iam = format!("api_key = \"{API_KEY}\"\niam_url = \"http://{assistant_at}/identity/token\"\n");
    let node = node_with(&format!(
        "[tenants.assistant]\nkind = \"watson\"\nurl = \"http://{assistant_at}\"\nassistant_id = \"a1\"\nenvironment_id = \"e1\"\n{iam}\
         [tenants.speech_to_text]\nkind = \"watson\"\nurl = \"http://{speech_at}\"\nparameters = {{ model = \"en-US_Telephony\" }}\n{iam}\
         [tenants.text_to_speech]\nkind = \"watson\"\nurl = \"http://{voice_at}\"\nparameters = {{ voice = \"en-US_MichaelV3Voice\" }}\n{iam}"
    ));
    let (report, stop) = node.call(Transport::Udp, "c1", vec![speaks()]);
    assert!(matches!(stop, Stop::Queued { .. }), "{stop:?} {:?}", report.ended);
    assert_eq!(node.connect.attributes("c1")["topic"], "loan");
    let spoken: Vec<String> = voice.spoken().into_iter().map(|(text, _)| text).collect();
    assert_eq!(spoken, ["Welcome to Acme.", "How can I help you today?", "Of course I can do that.", "One moment."]);
    assert!(voice.spoken()[0].1.contains("voice=en-US_MichaelV3Voice"));
    assert_eq!(speech.upgrades().len(), 2, "the connection that was dropped was opened again");
    let asked = assistant.messages().pop().expect("a turn");
    let result = &asked["input"]["integrations"]["voice_telephony"]["speech_to_text_result"];
    assert_eq!(result["transaction_ids"]["x-dp-watson-tran-id"], "watson-1");
    node.wait_until_idle();
    // Nobody waits for it: it is closed once the call is over.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while assistant.sessions() != (0, 1) && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(assistant.sessions(), (0, 1), "the session is closed with the call");
    let log = std::fs::read_to_string(node.folder.join("log")).expect("a log");
    assert!(!log.contains("agent please") && !log.contains(API_KEY) && !log.contains("rehearsal-token"), "{log}");
}

/// What a script says whatever happens is there before anybody calls, and is asked for once.
#[test]
fn what_is_said_often_is_spoken_before_the_first_call() {
    let voice = Voice::default();
    let at = voice.serve().expect("a port");
    let node = node_with(&format!(
        "[tenants.assistant]\nkind = \"scripted\"\nscript = \"script.yaml\"\n[tenants.speech_to_text]\nkind = \"counting\"\n\
         [tenants.text_to_speech]\nkind = \"watson\"\nurl = \"http://{at}\"\ntoken = \"{TOKEN}\"\nparameters = {{ voice = \"en-US_MichaelV3Voice\" }}\n"
    ));
    let spoken = || voice.spoken().into_iter().map(|(text, _)| text).collect::<Vec<String>>();
    let fixed = ["Hello.", "Yes.", "Wait.", "Pardon?"];
    until("all of it is spoken", || fixed.iter().all(|text| spoken().iter().any(|said| said == text)));
    let (_, stop) =
        node.call(Transport::Udp, "c1", vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())]);
    assert!(matches!(stop, Stop::Queued { .. }), "{stop:?}");
    let mut spoken = spoken();
    let all = spoken.len();
    spoken.sort();
    spoken.dedup();
    assert_eq!(spoken.len(), all, "{spoken:?}");
}

#[test]
fn a_whole_call_on_amazons_speech_ends_at_an_agent() {
    let speech = AmazonSpeech::new(AccessKey { id: "AKIATEST".into(), secret: "secret".into() });
    speech.will_hear("agent please", 0.93);
    speech.will_break_off(); // and the call does not notice
    let at = speech.serve().expect("a port");
    let account = format!(
        "region = \"{REGION}\"\naccess_key_id = \"AKIATEST\"\nsecret_access_key = \"secret\"\nendpoint_url = \"http://{at}\"\n"
    );
    let node = node_with(&format!(
        "[tenants.assistant]\nkind = \"scripted\"\nscript = \"script.yaml\"\n\
         [tenants.speech_to_text]\nkind = \"transcribe\"\n{account}\
         [tenants.text_to_speech]\nkind = \"polly\"\nvoice = \"Amy\"\n{account}"
    ));
    let (report, stop) = node.call(Transport::Udp, "c1", vec![speaks()]);
    assert!(matches!(stop, Stop::Queued { .. }), "{stop:?} {:?}", report.ended);
    assert_eq!(node.connect.attributes("c1")["topic"], "loan");
    assert_eq!(speech.streams().len(), 2, "the stream that broke off was opened again");
    assert_eq!(speech.spoken()[0]["VoiceId"], "Amy");
    node.wait_until_idle();
    let log = std::fs::read_to_string(node.folder.join("log")).expect("a log");
    assert!(!log.contains("agent please") && !log.contains("\"secret\""), "{log}");
}

#[test]
fn a_watson_service_that_is_gone_ends_the_call_without_an_attribute() {
    let nowhere = "url = \"http://127.0.0.1:9\"\ntoken = \"t\"\n";
    let node = node_with(&format!(
        "[tenants.assistant]\nkind = \"watson\"\nassistant_id = \"a1\"\n{nowhere}\
         [tenants.speech_to_text]\nkind = \"counting\"\n[tenants.text_to_speech]\nkind = \"flite\"\n"
    ));
    let (_, stop) = node.call(Transport::Udp, "c1", vec![]);
    assert!(matches!(stop, Stop::Queued { .. }), "the flow takes the caller to an agent: {stop:?}");
    assert!(node.connect.attributes("c1").get("SessionHistoryKey").is_none_or(String::is_empty));
}

#[test]
fn others_take_over_from_services_that_are_gone() {
    let gone = "kind = \"watson\"\nurl = \"http://127.0.0.1:9\"\ntoken = \"t\"\n";
    let node = node_with(&format!(
        "[tenants.assistant]\n{gone}assistant_id = \"a\"\nfallback = {{ kind = \"scripted\", script = \"script.yaml\" }}\n\
         [tenants.speech_to_text]\n{gone}fallback = {{ kind = \"counting\" }}\n\
         [tenants.text_to_speech]\n{gone}fallback = {{ kind = \"flite\" }}\n"
    ));
    let lines = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())];
    let (report, stop) = node.call(Transport::Udp, "c1", lines);
    assert!(matches!(stop, Stop::Queued { .. }), "{stop:?} {:?}", report.ended);
    assert_eq!(node.connect.attributes("c1")["topic"], "loan");
    for port in ["assistant", "speech_to_text", "text_to_speech"] {
        let series = format!("bellhop_service_switches_total{{tenant=\"acme\",port=\"{port}\"}}");
        assert!(node.metric(&series) >= 1.0, "{series}");
    }
}

/// A program of the documentation, ended by its handle.
struct Program(Child, String, std::sync::mpsc::Receiver<String>);

impl Program {
    fn start(mut command: Command) -> Self {
        command.env("BELLHOP_SECRET", "s3cret").env("BELLHOP_LOG_SECRET", "s3cret").env("WORKER_TOKEN", "s3cret");
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it is installed");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let line = lines.next().expect("it says where it listens");
        let url = line.split_whitespace().last().expect("a URL").to_owned();
        let (told, lines_told) = std::sync::mpsc::channel();
        std::thread::spawn(move || lines.for_each(|line| drop(told.send(line))));
        Self(child, url, lines_told)
    }

    /// The next line it prints, as JSON.
    fn says(&self) -> serde_json::Value {
        let line = self.2.recv_timeout(Duration::from_secs(30)).expect("it says something");
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_documented_webhook_assistant_hands_a_caller_over() {
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/webhook/assistant.py")).arg("0");
    let program = Program::start(python);
    let services = |secret: &str| {
        format!(
            "[tenants.assistant]\nkind = \"webhook\"\nurl = \"{}\"\nsecret = \"{secret}\"\n\
             [tenants.speech_to_text]\nkind = \"counting\"\n[tenants.text_to_speech]\nkind = \"flite\"\n",
            program.1
        )
    };
    let node = node_with(&services("s3cret"));
    let lines = vec![Line::AtOnce(Duration::from_millis(300)), Line::Press("0".into())];
    let (report, stop) = node.call(Transport::Udp, "c1", lines);
    assert!(matches!(stop, Stop::Queued { .. }), "{stop:?} {:?}", report.ended);
    assert_eq!(node.connect.attributes("c1")["turns"], "2", "what it keeps came back to it");
    // With the wrong secret nothing is answered, and the caller goes on to an agent without a key.
    let node = node_with(&services("wrong"));
    node.call(Transport::Udp, "c2", vec![]);
    assert!(node.connect.attributes("c2").get("SessionHistoryKey").is_none_or(String::is_empty));
}

#[test]
fn the_documented_worker_understands_a_caller() {
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/worker/worker.py")).args([
        "0",
        "--hears",
        "agent please",
    ]);
    let program = Program::start(python);
    let node = node_with(&format!(
        "[tenants.assistant]\nkind = \"scripted\"\nscript = \"script.yaml\"\n\
         [tenants.speech_to_text]\nkind = \"worker\"\nurl = \"{}\"\ntoken = \"s3cret\"\n[tenants.text_to_speech]\nkind = \"flite\"\n",
        program.1
    ));
    let (report, stop) = node.call(Transport::Udp, "c1", vec![speaks()]);
    assert!(matches!(stop, Stop::Queued { .. }), "{stop:?} {:?}", report.ended);
    assert_eq!(node.connect.attributes("c1")["topic"], "loan");
}

/// `bellhop calls …` with the configuration of a node.
fn calls(node: &Node, arguments: &[&str]) -> String {
    let (command, rest) = arguments.split_first().expect("a command");
    let output = Command::new(env!("CARGO_BIN_EXE_bellhop"))
        .args(["calls", command, "--config"])
        .arg(node.folder.join("bellhop.toml"))
        .args(rest)
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn records_outlive_the_server_reach_the_documented_receiver_and_are_forgotten() {
    let services = |url: &str| {
        format!(
            "[tenants.assistant]\nkind = \"scripted\"\nscript = \"script.yaml\"\n\
             [tenants.speech_to_text]\nkind = \"counting\"\n[tenants.text_to_speech]\nkind = \"flite\"\n\
             [tenants.recording]\nfolder = \"recordings\"\n\
             [tenants.records.webhook]\nurl = \"{url}\"\nsecret = \"s3cret\"\n\
             events = [\"cdr_logged\", \"message_logged\"]\n"
        )
    };
    let mut node = node_with(&services("http://127.0.0.1:9"));
    let mut tail = Command::new(env!("CARGO_BIN_EXE_bellhop"))
        .args(["calls", "tail", "--config"])
        .arg(node.folder.join("bellhop.toml"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut followed = BufReader::new(tail.stdout.take().expect("piped")).lines().map_while(Result::ok);
    // Two turns, the second of them the hand-off.
    let lines = vec![Line::AtOnce(Duration::from_millis(600)), Line::Press("0".into())];
    let (_, stop) = node.call(Transport::Udp, "c1", lines);
    assert!(matches!(stop, Stop::Queued { .. }), "{stop:?}");
    node.wait_until_idle();
    let seen = followed.find(|line| line.contains("ended: assistant_transfer")).expect("it is followed to its end");
    drop(tail.kill());
    drop(tail.wait());
    let name = seen.split_whitespace().next().expect("the call's name").to_owned();
    let waits = "bellhop_log_events_total{tenant=\"acme\",result=\"postponed\"}";
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while node.metric(waits) < 3.0 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    // The server dies without a word; another comes up on what it left.
    drop(node.process.kill());
    drop(node.process.wait());
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/webhook/log_receiver.py")).arg("0");
    let receiver = Program::start(python);
    let path = node.folder.join("bellhop.toml");
    let text = std::fs::read_to_string(&path).expect("written");
    std::fs::write(&path, text.replace("http://127.0.0.1:9\"", &format!("{}\"", receiver.1))).expect("written");
    let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
    let connect = Connect::new(INSTANCE.parse().expect("an ARN"), key, false);
    let again = Node::serve(&path, node.folder.clone(), connect);
    let mut events: Vec<_> = (0..3).map(|_| receiver.says()).collect();
    events.sort_by_key(|event| event["event"]["id"].as_str().map(str::to_owned));
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"]["name"].as_str()).collect();
    assert_eq!(names, ["cdr_logged", "message_logged", "message_logged"]);
    let record = &events[0]["payload"];
    assert_eq!(record["call"]["end_reason"], "assistant_transfer");
    assert!(record["realtime_transport_network_summary"]["inbound_stream"]["packets_transmitted"].as_u64() > Some(20));
    assert_eq!(events[2]["payload"]["request"]["input"]["text"], "0");
    // The samples of docs/log-webhook.md name what is sent.
    let samples = pages::blocks_in("json").into_iter().filter(|block| block.page == "docs/log-webhook.md");
    let samples: Vec<serde_json::Value> =
        samples.map(|block| serde_json::from_str(&block.text).expect("JSON")).collect();
    let [event, message] = &samples[..] else { panic!("an event and a message") };
    for (sample, sent) in [(event, &events[0]), (message, &events[2]["payload"])] {
        let missing: Vec<String> = pages::fields_of(sample).difference(&pages::fields_of(sent)).cloned().collect();
        assert!(missing.is_empty(), "the page tells of {missing:?}: {sent}");
    }
    let session = record["global_session_id"].as_str().expect("a session");

    assert!(calls(&again, &["list"]).contains(session));
    for id in [session, &name] {
        let told = calls(&again, &["show", id]);
        for part in ["<- INVITE", "-> 200 INVITE", "assistant: Hello.", "turn 1 asked: dtmf", "inbound_stream:"] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }
    let json: serde_json::Value = serde_json::from_str(&calls(&again, &["show", session, "--json"])).expect("JSON");
    assert_eq!(json, *record);
    assert!(std::fs::read_dir(node.folder.join("recordings")).expect("a folder").count() == 1);
    let gone = calls(&again, &["forget", "+1 206 555 0100"]);
    assert!(gone.starts_with("deleted: 1 call records, 1 conversations, 1 recordings, "), "{gone}");
    assert_eq!(calls(&again, &["list", "--json"]), "");
}

#[test]
fn what_services_offer_is_listed_by_themselves() {
    let folder = folder();
    let voice = Voice::default();
    let at = voice.serve().expect("a port");
    let path = config(&folder, at, "counting", "");
    let text = std::fs::read_to_string(&path).expect("written");
    let watson =
        format!("kind = \"watson\"\nurl = \"http://{at}\"\ntoken = \"t\"\nfallback = {{ kind = \"espeak\" }}\n");
    std::fs::write(&path, text.replace("kind = \"flite\"\n", &watson)).expect("written");
    let voices = |tenant: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
        command.args(["voices", "--tenant", tenant, "--config"]).arg(&path).output().expect("the binary runs")
    };
    let told = String::from_utf8_lossy(&voices("acme").stdout).into_owned();
    let has = |parts: &[&str]| told.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(has(&["speech_to_text", "counting", "no choice"]), "{told}");
    assert!(has(&["watson", "en-US_MichaelV3Voice", "en-US", "male"]), "{told}");
    assert!(has(&["espeak", "de"]), "{told}");
    let mut old = Command::new(env!("CARGO_BIN_EXE_bellhop"));
    let old = old.args(["offers", "--tenant", "acme", "--config"]).arg(&path).output().expect("the binary runs");
    assert_eq!(String::from_utf8_lossy(&old.stdout), told, "the name it had one release ago");
    assert!(String::from_utf8_lossy(&old.stderr).contains("is now called `bellhop voices`"));
    let refused = voices("nobody");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no tenant `nobody`: acme"));
    std::fs::remove_dir_all(folder).expect("gone");
}
