//! The real binary over real sockets: SIPp for signalling, a caller that speaks and presses for the rest.
//!
//! Ports are ephemeral and on loopback; every process is ended by its own handle.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bellhop_adapters::text_to_speech::flite::Flite;
use bellhop_call::failure::{ChildName, Fault};
use bellhop_call::line_audio::linear;
use bellhop_call::phase::PhaseName;
use bellhop_dialogue::ports::{SpeechRequest, Synthesizer};
use bellhop_media::{SAMPLE_RATE, resample};
use bellhop_rehearsal::caller::{Ended, Line};
use bellhop_rehearsal::connect::{AccessKey, Misbehaviour, Role, StandIn};
use bellhop_rehearsal::flow::{SAMPLE_PUBLIC_URL, Stop, screen_pop};
use bellhop_sip::hop::Transport;
use bellhop_sip::sdp::{Codec, Security};

#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;

use node::{INSTANCE, Node, SCRIPT, config, folder, stand_in};

fn press(keys: &str) -> Vec<Line> {
    vec![Line::AtOnce(Duration::from_millis(300)), Line::Press(keys.into())]
}

fn say(words: &str) -> Line {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let voice = Flite::open().and_then(|flite| flite.voice("rms")).expect("flite is installed: see README");
    let speech = runtime.block_on(voice.synthesize(SpeechRequest::plain(words, 8000))).expect("speech");
    Line::Say {
        words: words.into(),
        samples: resample::clip(&linear(&speech.samples), speech.sample_rate, SAMPLE_RATE),
    }
}

#[test]
fn sipp_calls_over_udp_and_tcp() {
    let node = Node::start("counting", "");
    for transport in [Transport::Udp, Transport::Tcp] {
        node.sipp("options", transport, "x", 1);
        node.sipp("unknown_number", transport, "+19995550000", 1);
        node.sipp("call_and_hang_up", transport, "+18005550123", 1);
        node.sipp("call_and_hang_up", transport, "+18005550123", 20);
    }
    node.wait_until_idle();
    assert_eq!(node.metric("bellhop_calls_ended_total{tenant=\"acme\",reason=\"caller_hung_up\"}"), 42.0);
    assert!(node.connect.written().is_empty(), "a caller who hangs up leaves no attribute");
    assert!(node.get("/readyz").starts_with("HTTP/1.1 200") && node.get("/healthz").starts_with("HTTP/1.1 200"));
}

/// A tenant without Amazon Connect, and one that wants SRTP.
const TRUNK: &str = r#"
[[tenants]]
name = "trunk"
numbers = ["+18005550199"]
[tenants.sip]
failure_target = "sip:desk@pbx.example.com"
transfer_failure_message = "Sorry."
[tenants.assistant]
kind = "scripted"
script = "trunk.yaml"
[tenants.speech_to_text]
kind = "counting"
[tenants.text_to_speech]
kind = "flite"
"#;
const TRUNK_SCRIPT: &str = "
start: greeting
steps:
  greeting:
    respond: [{response_type: text, text: Hello.}]
    expect: [{press: '0', go: refer}, {press: '1', go: hangup}]
    otherwise: greeting
  refer:
    respond:
      - response_type: connect_to_agent
        transfer_info: {target: {service_desk: {sip: {uri: 'sip:desk@pbx.example.com',
          transfer_headers: [{name: X-Topic, value: loan}]}}}}
  hangup:
    respond:
      - response_type: connect_to_agent
        transfer_info: {target: {service_desk: {sip: {uri: 'sip:desk@pbx.example.com', transfer_method: hangup}}}}
";

fn trunk_node() -> Node {
    let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
    let connect = StandIn::new(INSTANCE.parse().expect("an ARN"), key, false);
    let connect_at = connect.serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let folder = folder();
    std::fs::write(folder.join("trunk.yaml"), TRUNK_SCRIPT).expect("written");
    let path = config(&folder, connect_at, "counting", TRUNK);
    Node::serve(&path, folder, connect)
}

/// One scenario for each behaviour that a far end may show, over both transports that Debian's SIPp has.
#[test]
fn sipp_scenarios_of_every_extension_pass() {
    let node = trunk_node();
    for transport in [Transport::Udp, Transport::Tcp] {
        for scenario in [
            "hold_and_resume",
            "session_refresh_by_update",
            "session_interval_too_small",
            "reliable_ringing",
            "reliable_ringing_without_an_offer",
            "body_of_several_parts",
            "invite_without_offer",
            "key_by_info",
            "unknown_extension",
            "requests_out_of_place",
            "secure_audio_refused",
        ] {
            node.sipp(scenario, transport, "+18005550123", 1);
        }
        for scenario in ["transfer_by_refer", "transfer_by_refer_fails", "transfer_by_hangup"] {
            node.sipp(scenario, transport, "+18005550199", 1);
        }
    }
    node.wait_until_idle();
    for (reason, count) in [("transferred", 4.0), ("failed_transfer", 2.0)] {
        assert_eq!(node.metric(&format!("bellhop_calls_ended_total{{tenant=\"trunk\",reason=\"{reason}\"}}")), count);
    }
}

#[test]
fn sipp_cancels_while_it_rings() {
    // An assistant that takes the connection and never answers: it rings as long as it may.
    let never = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = never.local_addr().expect("an address");
    let slow = Node::with_services(
        "",
        &format!(
            "[tenants.assistant]\nkind = \"webhook\"\nurl = \"http://{at}\"\nsecret = \"s\"\n\
             [tenants.speech_to_text]\nkind = \"counting\"\n[tenants.text_to_speech]\nkind = \"flite\"\n"
        ),
    );
    for transport in [Transport::Udp, Transport::Tcp] {
        slow.sipp("cancel", transport, "+18005550123", 1);
    }
    slow.wait_until_idle();
    assert_eq!(slow.metric("bellhop_teardowns_total{kind=\"nothing\"}"), 2.0);
}

#[test]
fn keys_lead_to_the_agents_queue_with_the_conversation() {
    let node = Node::start("counting", "");
    for (transport, contact) in [(Transport::Udp, "c-udp"), (Transport::Tcp, "c-tcp")] {
        let (report, stop) = node.call(transport, contact, press("0"));
        assert_eq!(report.ended, Ended::ByGateway("SIP;cause=200;text=\"handed off to agent\"".into()));
        assert!(matches!(stop, Stop::Queued { .. }), "{stop:?}");
        let attributes = node.connect.attributes(contact);
        assert_eq!(attributes["topic"], "loan");
        let key = &attributes["sessionHistoryKey"];
        // As the flow and the sample page of the Contact Control Panel have it, and with an equals sign too many.
        let popped = screen_pop(&attributes).expect("the flow names the page");
        let popped = popped.strip_prefix(SAMPLE_PUBLIC_URL).expect("at the place to be replaced").to_owned();
        let address = |asked: &str| format!("/loadAgentAppFrame.html?session_history_key={asked}");
        for asked in
            [popped, address(key), address(&key[1..]), address(&format!("={key}")), address(&format!("={}", &key[1..]))]
        {
            let page = node.get(&asked);
            assert!(
                page.contains("HTTP/1.1 200") && page.contains("Caller (keys)") && page.contains("Wait."),
                "{page}"
            );
            let places = ["Wants a loan.", "<dd dir=\"auto\">loan</dd>", "Caller (keys)"].map(|text| page.find(text));
            assert!(places[0].is_some() && places.is_sorted(), "why first, then what is known: {places:?} {page}");
            let headers = page.to_ascii_lowercase();
            assert!(headers.contains("cache-control: no-store") && headers.contains("frame-ancestors 'none'"));
        }
    }
    assert!(node.get("/loadAgentApp.js").contains("window.loadAgentApp = "));
    for unknown in ["", "=", "undefined", "_nothing", "ffffffffffffffffffffffffffffffffffffffff"] {
        let page = node.get(&format!("/loadAgentAppFrame.html?session_history_key={unknown}&asked=5"));
        assert!(page.starts_with("HTTP/1.1 404") && page.contains("no conversation under this key"), "{page}");
    }
}

/// The tenant keeps no key here: its role is assumed with the server's.
#[test]
fn a_role_hands_a_caller_over_as_a_key_does() {
    const ROLE: &str = "arn:aws:iam::111122223333:role/bellhop";
    let (connect, at) = node::stand_in();
    connect.allow(AccessKey { id: "AKIAOURS".into(), secret: "our-secret".into() }, &["sts:AssumeRole"]);
    connect.add_role(Role {
        arn: ROLE.into(),
        external_id: "bellhop-7f3a".into(),
        trusts: "AKIAOURS".into(),
        allows: vec!["connect:UpdateContactAttributes"],
        lives: Duration::from_secs(3600),
    });
    let folder = folder();
    let path = config(&folder, at, "counting", "");
    let text = std::fs::read_to_string(&path).expect("written").replace(
        "access_key_id = \"AKIATEST\"\nsecret_access_key = \"secret\"",
        &format!("role_arn = \"{ROLE}\"\nexternal_id = \"bellhop-7f3a\""),
    );
    let aws = format!(
        "[aws]\naccess_key_id = \"AKIAOURS\"\nsecret_access_key = \"our-secret\"\nsts_endpoint_url = \"http://{at}\"\n"
    );
    std::fs::write(&path, format!("{aws}{text}")).expect("written");
    let node = Node::serve(&path, folder, connect);
    let (report, stop) = node.call(Transport::Tcp, "c1", press("0"));
    assert!(matches!(stop, Stop::Queued { .. }), "{:?}: {stop:?}", report.ended);
    assert!(node.connect.attributes("c1")["SessionHistoryKey"].len() > 20);
    assert_eq!(node.connect.sessions(), ["bellhop-acme"]);
}

#[test]
fn tls_and_srtp_carry_every_codec_on_the_port_of_plain_tcp() {
    let node = Node::start("counting", "");
    let everything = [
        (Transport::Tls, Codec::Pcmu, Security::Required),
        (Transport::Tls, Codec::Opus, Security::Required),
        (Transport::Tls, Codec::G722, Security::Preferred),
        (Transport::Tcp, Codec::Pcma, Security::Off),
        (Transport::Tcp, Codec::Opus, Security::Off),
    ];
    for (n, (transport, codec, security)) in everything.into_iter().enumerate() {
        let contact = format!("c{n}");
        let (report, stop) = node.call_with(transport, &[codec], security, &contact, press("0"));
        assert_eq!(report.ended, Ended::ByGateway("SIP;cause=200;text=\"handed off to agent\"".into()), "{codec:?}");
        assert!(matches!(stop, Stop::Queued { .. }), "{codec:?}: {stop:?}");
        let loud = report.heard.iter().filter(|sample| sample.unsigned_abs() > 1000).count();
        assert!(loud > 2000, "{codec:?} over {transport}: the greeting was heard: {loud} samples");
    }
}

#[test]
fn a_recording_has_both_sides_in_step_and_none_of_a_pause() {
    let node = Node::start("counting", "[tenants.recording]\nfolder = \"recordings\"\n");
    let secret = SCRIPT.replace(
        "respond: [{response_type: text, text: Hello.}]",
        "respond: [{response_type: text, text: Hello.}, {response_type: stop_activities, activities: [{type: speech_to_text_recognition}]}]",
    );
    std::fs::write(node.folder.join("script.yaml"), secret).expect("written");
    let (path, connect) = (node.folder.join("bellhop.toml"), node.connect.clone());
    let deaf = Node::serve(&path, folder(), connect);
    for (node, contact) in [(&node, "c1"), (&deaf, "c2")] {
        let at_once = Line::AtOnce(Duration::from_millis(1500));
        let lines = vec![at_once, say("this is my secret number"), Line::AtOnce(Duration::ZERO), Line::HangUp];
        let (report, _) = node.call(Transport::Tcp, contact, lines);
        assert_eq!(report.ended, Ended::ByCaller);
        node.wait_until_idle();
    }
    let mut files: Vec<_> =
        std::fs::read_dir(node.folder.join("recordings")).expect("made").map(|f| f.expect("a file").path()).collect();
    files.sort_by_key(|path| std::fs::metadata(path).and_then(|about| about.modified()).expect("a time"));
    let loud: Vec<[usize; 2]> = files
        .iter()
        .map(|path| {
            let mut reader = hound::WavReader::open(path).expect("a whole WAV file");
            let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("a sample")).collect();
            [0, 1].map(|side| samples.iter().skip(side).step_by(2).filter(|s| s.unsigned_abs() > 1000).count())
        })
        .collect();
    assert!(loud[0][0] > 1000 && loud[0][1] > 1000, "both are heard: {loud:?}");
    assert!(loud[1][0] == 0, "the caller of the deaf assistant is not: {loud:?}");
}

#[test]
fn another_certificate_serves_from_the_next_connection_on_and_a_bad_one_never() {
    let node = Node::start("counting", "");
    let old = std::fs::read(node.folder.join("certificate.pem")).expect("there");
    let reload = |node: &Node| {
        let pid = nix::unistd::Pid::from_raw(node.process.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).expect("signalled");
    };
    let says = |node: &Node, text: &str| {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let log = node.folder.join("log");
        while !std::fs::read_to_string(&log).unwrap_or_default().contains(text) {
            assert!(std::time::Instant::now() < deadline, "the log does not say: {text}");
            std::thread::yield_now();
        }
    };
    std::fs::write(node.folder.join("key.pem"), "not a key").expect("written");
    reload(&node);
    says(&node, "the TLS certificate is bad");
    let (report, _) = node.call_with(Transport::Tls, &[Codec::Pcmu], Security::Required, "c1", press("9"));
    assert!(matches!(report.ended, Ended::ByGateway(_)), "the old one goes on: {:?}", report.ended);
    node::write_certificate(&node.folder);
    reload(&node);
    says(&node, "has been read anew");
    let (report, _) = node.call_with(Transport::Tls, &[Codec::Pcmu], Security::Required, "c2", press("9"));
    assert!(matches!(report.ended, Ended::ByGateway(_)), "the new one serves: {:?}", report.ended);
    assert_ne!(old, std::fs::read(node.folder.join("certificate.pem")).expect("there"));
}

#[test]
fn the_end_of_a_conversation_disconnects_the_flow() {
    let node = Node::start("counting", "");
    let (report, stop) = node.call(Transport::Tcp, "c1", press("9"));
    assert_eq!(report.ended, Ended::ByGateway("SIP;cause=200;text=\"conversation ended\"".into()));
    assert_eq!((stop, node.connect.attributes("c1")["SessionHistoryKey"].as_str()), (Stop::Disconnected, "hangup"));
}

#[test]
fn a_refused_hand_off_is_a_bye_without_a_key_and_the_flow_still_finds_an_agent() {
    let node = Node::start("counting", "");
    node.connect.misbehave(Misbehaviour::Refuse(429, "TooManyRequestsException"));
    let (_, stop) = node.call(Transport::Tcp, "c1", press("0"));
    assert!(node.connect.attributes("c1").contains_key("SessionHistoryKey"), "429 is tried again: {stop:?}");
    node.connect.misbehave(Misbehaviour::Refuse(403, "AccessDeniedException"));
    let (report, stop) = node.call(Transport::Tcp, "c2", press("0"));
    assert_eq!(report.ended, Ended::ByGateway("SIP;cause=500;text=\"hand-off refused\"".into()));
    assert!(matches!(stop, Stop::Queued { .. }));
    assert!(node.connect.attributes("c2").get("SessionHistoryKey").is_none_or(String::is_empty));
}

#[test]
fn an_unreachable_amazon_connect_is_a_warning_and_its_hand_offs_end_without_attribute() {
    let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
    let nowhere = StandIn::new(INSTANCE.parse().expect("an ARN"), key, false);
    let folder = folder();
    let path = config(&folder, SocketAddr::from(([127, 0, 0, 1], 9)), "counting", "");
    let node = Node::serve(&path, folder, nowhere);
    let (report, stop) = node.call(Transport::Udp, "c1", press("0"));
    assert_eq!(report.ended, Ended::ByGateway("SIP;cause=500;text=\"hand-off refused\"".into()));
    assert!(matches!(stop, Stop::Queued { .. }));
    // It may be told before the server says that it serves.
    let log =
        ["log-of-start", "log"].map(|name| std::fs::read_to_string(node.folder.join(name)).expect("a log")).concat();
    let warning = log.lines().find(|line| line.contains("Amazon Connect cannot be reached"));
    assert!(warning.is_some_and(|line| line.contains("\"tenant\":\"acme\"")), "{log}");
}

/// Every family is described, and every known series is there from the start.
#[test]
fn metrics_are_described_and_zero_from_the_start() {
    let node = Node::start("counting", "");
    let text = node.get("/metrics");
    let families: std::collections::BTreeSet<&str> = text
        .lines()
        .filter(|line| line.starts_with("bellhop_"))
        .map(|line| line.split(['{', ' ']).next().unwrap_or_default())
        .map(|name| name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count"))
        .collect();
    for family in &families {
        assert!(text.contains(&format!("# HELP {family} ")), "{family} is not described");
    }
    for series in [
        "bellhop_calls_active{tenant=\"acme\"} 0",
        "bellhop_calls_ended_total{tenant=\"acme\",reason=\"handed_off\"} 0",
        "bellhop_handoffs_total{tenant=\"acme\",result=\"committed\"} 0",
        "bellhop_sip_responses_total{status=\"503\"} 0",
        "bellhop_rtp_packets_dropped_total{reason=\"late\"} 0",
    ] {
        assert!(text.contains(series), "{series} in {text}");
    }
    assert!(families.len() >= 18, "{families:?}");
}

/// No text path from caller to recognizer: what is understood came through RTP, and what is not in the script is not.
#[test]
fn speech_is_understood_and_a_foreign_phrase_is_not() {
    let node = Node::start("pocketsphinx", "");
    let lines = vec![say("purple elephants dance on the moon"), say("I want to speak to an agent")];
    let (_, stop) = node.call(Transport::Udp, "c1", lines);
    assert!(matches!(stop, Stop::Queued { .. }), "{stop:?}");
    let key = node.connect.attributes("c1")["SessionHistoryKey"].clone();
    let page = node.get(&format!("/loadAgentAppFrame.html?session_history_key={key}"));
    let (pardon, agent) = (page.find("Pardon?"), page.find("I want to speak to an agent"));
    assert!(pardon.is_some() && pardon < agent, "{page}");
}

/// A recording of a person, of the Debian package pocketsphinx-testdata: 16 kHz, 16 bits, as in the air.
fn recorded(file: &str, words: &str) -> Line {
    let path = std::path::Path::new("/usr/share/pocketsphinx/test/data").join(file);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; install the Debian package pocketsphinx-testdata (`make test` does)", path.display())
    });
    let header = if bytes.starts_with(b"RIFF") { 44 } else { 0 };
    let samples: Vec<i16> =
        bytes[header..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    Line::Say { words: words.into(), samples: resample::clip(&samples, 16_000, SAMPLE_RATE) }
}

/// Three people, ten sentences expected, and one that is not: each gets its own answer, and the turn ends by what was said.
#[test]
fn human_voices_reach_the_right_answers() {
    const HUMAN_SCRIPT: &str = "
start: greeting
steps:
  greeting:
    respond: [{response_type: text, text: Hello.}]
    expect: &all
      - {say: [go forward ten meters], go: forward}
      - {say: [two nine three four zero], go: digits}
      - {say: [eight of spades four of clubs seven of hearts], go: agent}
      - {say: [ten of clubs, four queen of clubs, seven of clubs, five five, front center, rear left, four of clubs], go: other}
    otherwise: not_understood
  forward: {respond: [{response_type: text, text: Moving.}], expect: *all, otherwise: not_understood}
  digits: {respond: [{response_type: text, text: Noted.}], expect: *all, otherwise: not_understood}
  other: {respond: [{response_type: text, text: Something else.}], expect: *all, otherwise: not_understood}
  not_understood: {respond: [{response_type: text, text: Pardon?}], expect: *all, otherwise: not_understood}
  agent: {respond: [{response_type: connect_to_agent, message_to_human_agent: Plays cards.}]}
";
    let (connect, connect_at) = stand_in();
    let folder = folder();
    let path = config(&folder, connect_at, "pocketsphinx", "");
    std::fs::write(folder.join("script.yaml"), HUMAN_SCRIPT).expect("written");
    let node = Node::serve(&path, folder, connect);
    let lines = vec![
        recorded("something.raw", "go somewhere and do something"),
        recorded("goforward.raw", "go forward ten meters"),
        recorded("tidigits/dhd.2934z.raw", "two nine three four zero"),
        recorded("cards/005.wav", "eight of spades four of clubs seven of hearts"),
    ];
    let (_, stop) = node.call(Transport::Udp, "c1", lines);
    assert!(matches!(stop, Stop::Queued { .. }), "{stop:?}");
    let key = node.connect.attributes("c1")["SessionHistoryKey"].clone();
    let page = node.get(&format!("/loadAgentAppFrame.html?session_history_key={key}"));
    let heard =
        ["Pardon?", "go forward ten meters", "Moving.", "two nine three four zero", "Noted.", "eight of spades"]
            .map(|text| page.find(text));
    assert!(heard.iter().all(Option::is_some) && heard.is_sorted(), "{heard:?} {page}");
}

#[test]
fn every_step_of_the_demo_that_listens_offers_eight_alternatives() {
    let script = include_str!("../src/server/demo/demo.yaml");
    let script = bellhop_adapters::assistant::scripted::Script::parse(script).expect("the demo's script is good");
    let alternatives = script.alternatives();
    assert!(!alternatives.is_empty() && alternatives.values().all(|count| *count >= 8), "{alternatives:?}");
}

#[test]
fn killing_the_server_loses_no_finished_conversation() {
    let mut node = Node::start("counting", "");
    node.call(Transport::Tcp, "c1", press("0"));
    let key = node.connect.attributes("c1")["SessionHistoryKey"].clone();
    node.process.kill().expect("SIGKILL");
    node.process.wait().expect("dead");
    let again = Node::serve(&node.folder.join("bellhop.toml"), folder(), node.connect.clone());
    let page = again.get(&format!("/loadAgentAppFrame.html?session_history_key={key}"));
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("Wait."), "{page}");
}

#[test]
fn a_terminated_server_lets_its_call_finish() {
    let mut node = Node::start("counting", "");
    let pid = nix::unistd::Pid::from_raw(node.process.id() as i32);
    let (report, stop) = std::thread::scope(|scope| {
        // As soon as the call is up; its caller presses a key only later.
        scope.spawn(|| {
            while node.metric("bellhop_calls_active{") != 1.0 {
                std::thread::yield_now();
            }
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("signalled");
        });
        let lines = vec![Line::AtOnce(Duration::from_millis(1500)), Line::Press("0".into())];
        node.call(Transport::Udp, "c1", lines)
    });
    assert!(matches!(stop, Stop::Queued { .. }), "{:?}", report.ended);
    assert!(node.process.wait().expect("it ends").success());
}

/// Reads a connection until its text contains all of `until`, or nothing has come for a while.
fn read_until(stream: &mut TcpStream, until: &[&str]) -> String {
    stream.set_read_timeout(Some(Duration::from_millis(1500))).expect("a limit");
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !until.iter().all(|wanted| text.contains(wanted)) || until.is_empty() {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return text,
            Ok(length) => text.push_str(&String::from_utf8_lossy(&buffer[..length])),
        }
    }
    text
}

/// What load balancers do: the ACK takes another connection; messages come in pieces, and several in one.
#[test]
fn an_ack_may_come_by_another_connection_and_messages_in_any_segments() {
    let node = Node::start("counting", "");
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 39998 RTP/AVP 0\r\n";
    let message = |method: &str, number: u32, tag: &str, body: &str| {
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:+18005550123@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5999;branch=z9hG4bK{method}{number}\r\nMax-Forwards: 70\r\nFrom: <sip:+12065550100@127.0.0.1>;tag=far\r\nTo: <sip:+18005550123@127.0.0.1>{tag}\r\nCall-ID: two-connections\r\nCSeq: {number} {method}\r\nContact: <sip:10.0.0.1>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let mut first = TcpStream::connect(node.tcp).expect("TCP");
    first.set_nodelay(true).expect("no delay");
    for piece in message("INVITE", 1, "", sdp).as_bytes().chunks(97) {
        first.write_all(piece).expect("sent");
    }
    let answer = read_until(&mut first, &["SIP/2.0 200 OK", "m=audio"]);
    let tag = answer
        .split("200 OK")
        .nth(1)
        .and_then(|rest| rest.split("To: ").nth(1)?.split(";tag=").nth(1)?.split("\r\n").next());
    let tag = format!(";tag={}", tag.expect("a tag of ours"));
    let mut second = TcpStream::connect(node.tcp).expect("TCP");
    let ping_and_three = "\r\n\r\n".to_owned()
        + &message("ACK", 1, &tag, "")
        + &message("OPTIONS", 2, &tag, "")
        + &message("OPTIONS", 3, &tag, "");
    second.write_all(ping_and_three.as_bytes()).expect("sent");
    let both = read_until(&mut second, &["CSeq: 2 OPTIONS", "CSeq: 3 OPTIONS"]);
    assert!(both.starts_with("\r\n") && both.matches("SIP/2.0 200 OK").count() == 2, "{both}");
    let repeated = read_until(&mut first, &[]);
    assert!(!repeated.contains("200 OK"), "the ACK stopped the repetition of the 200: {repeated}");
    second.write_all(message("BYE", 4, &tag, "").as_bytes()).expect("sent");
    assert!(read_until(&mut second, &["CSeq: 4 BYE"]).contains("SIP/2.0 200 OK"));
}

fn fails(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bellhop")).args(arguments).output().expect("the binary runs");
    assert!(!output.status.success(), "{arguments:?} should fail");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_broken_stops_the_start_with_one_clear_sentence() {
    let folder = folder();
    let connect = SocketAddr::from(([127, 0, 0, 1], 9));
    let good = config(&folder, connect, "counting", "");
    let text = std::fs::read_to_string(&good).expect("written");
    let broken = folder.join("broken.toml");
    let path = broken.to_str().expect("text");
    let with = |from: &str, to: &str| std::fs::write(&broken, text.replace(from, to)).expect("written");

    with("kind = \"flite\"", "kind = \"flite\"\nvoice = \"nobody\"");
    assert!(
        fails(&["check", "--config", path]).contains("tenants.acme.text_to_speech.voice: flite has no voice `nobody`")
    );
    with("script.yaml", "missing.yaml");
    assert!(fails(&["serve", "--config", path]).contains("tenants.acme.assistant.script: "));
    with("kind = \"flite\"", "kind = \"siri\"");
    assert!(
        fails(&["serve", "--config", path])
            .contains("tenants.acme.text_to_speech.kind: `siri` is none of flite, espeak")
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, _held) = taken.expect("a port");
    with("tcp+tls:127.0.0.1:0", &format!("tcp+tls:{address}"));
    assert!(fails(&["serve", "--config", path]).contains(&format!("sip.listen: tcp+tls {address} cannot be bound")));
    with("key.pem", "certificate.pem");
    let said = fails(&["check", "--config", path]);
    assert!(said.contains("sip.tls.key: the file ") && said.contains("holds no private key"), "{said}");
    with("listen = \"127.0.0.1:0\"", &format!("listen = \"{address}\""));
    assert!(fails(&["serve", "--config", path]).contains(&format!("http.listen: {address} cannot be bound")));
    with("sqlite://", "sqlite:///nowhere");
    assert!(fails(&["serve", "--config", path]).contains("storage.url: the database's folder"));
    assert!(fails(&["serve", "--config", "/nowhere.toml"]).contains("/nowhere.toml: the file is not there"));
    with("kind = \"flite\"", "kind = \"espeak\"\nvoice = \"en-us\"");
    let output = Command::new(env!("CARGO_BIN_EXE_bellhop")).args(["check", "--config", path]).env("PATH", "").output();
    let said = String::from_utf8_lossy(&output.expect("runs").stderr).into_owned();
    assert!(said.contains("apt-get install espeak-ng"), "a missing package is named: {said}");
    let _ = std::fs::remove_dir_all(folder);
}

/// One cell per child and phase of the failure matrix against the real binary; the kinds of death take turns.
#[test]
fn the_failure_matrix_holds_for_the_real_binary() {
    let kinds = [Fault::Panic, Fault::Error];
    let cells: Vec<(ChildName, PhaseName, Fault)> = ChildName::ALL
        .into_iter()
        .flat_map(|child| PhaseName::LIVE.into_iter().map(move |phase| (child, phase)))
        .enumerate()
        .map(|(n, (child, phase))| (child, phase, kinds[n % kinds.len()]))
        .collect();
    let next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((child, phase, fault)) = cells.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    one_cell(*child, *phase, *fault);
                }
            });
        }
    });
}

/// The thread that carries the calls ends, with its media shard: teardowns from outside, and the next call finds another.
#[test]
fn a_media_shard_that_dies_ends_its_calls_and_is_replaced() {
    let node = Node::start(
        "counting",
        "[fault_injection]\nchild = \"jitter_buffer\"\nphase = \"talking\"\nfault = \"kill_shard\"\n",
    );
    for contact in ["c1", "c2", "c3"] {
        let (report, stop) = node.call_with(Transport::Tls, &[Codec::Pcmu], Security::Required, contact, press("0"));
        assert!(matches!(report.ended, Ended::ByGateway(_)), "{:?}", report.ended);
        assert!(matches!(stop, Stop::Queued { .. }), "{stop:?}");
        assert!(node.connect.attributes(contact).get("SessionHistoryKey").is_none_or(String::is_empty));
    }
    node.wait_until_idle();
    assert_eq!(node.metric("bellhop_teardowns_total{kind=\"bye\"}"), 3.0);
    assert_eq!(node.metric("bellhop_farewells_total{kind=\"bye\"}"), 3.0, "the name it had one release ago");
    assert_eq!(node.metric("bellhop_calls_active{"), 0.0);
}

/// A thread that truly blocks: only the watchdog can tell; the caller is sent a BYE, and the node says it is not ready.
#[test]
fn a_blocked_thread_ends_in_a_teardown_from_outside() {
    one_cell(ChildName::TurnLoop, PhaseName::Talking, Fault::BlockThread);
}

fn one_cell(child: ChildName, phase: PhaseName, fault: Fault) {
    let what = format!("{child} dies of {} while {}", fault.label(), phase.label());
    let injected = format!(
        "[fault_injection]\nchild = \"{child}\"\nphase = \"{}\"\nfault = \"{}\"\n",
        phase.label(),
        fault.label()
    );
    let node = Node::start("counting", &injected);
    // Half of the cells over TLS with SRTP: the promise is the same.
    let secure = (child as usize + phase as usize).is_multiple_of(2);
    let (transport, security) =
        if secure { (Transport::Tls, Security::Required) } else { (Transport::Udp, Security::Off) };
    let (report, stop) = node.call_with(transport, &[Codec::Pcmu], security, "c1", press("0"));
    let was_ended = matches!(report.ended, Ended::ByGateway(_) | Ended::Refused(_));
    assert!(was_ended, "{what}: {:?}", report.ended);
    let key = node.connect.attributes("c1").get("SessionHistoryKey").cloned().unwrap_or_default();
    let handed_off = report.ended == Ended::ByGateway("SIP;cause=200;text=\"handed off to agent\"".into());
    assert_eq!(!key.is_empty(), handed_off || phase == PhaseName::HandedOff, "{what}: {:?}", report.ended);
    assert!(matches!(stop, Stop::Queued { .. }), "{what}: the caller reaches an agent: {stop:?}");
    let teardowns: f64 = ["reject", "answer_then_bye", "bye_once_acked", "bye", "nothing"]
        .iter()
        .map(|kind| node.metric(&format!("bellhop_teardowns_total{{kind=\"{kind}\"}}")))
        .sum();
    assert_eq!(teardowns, 1.0, "{what}");
    if fault == Fault::BlockThread {
        let ready = node.get("/readyz");
        assert!(ready.contains("a call's thread is stuck"), "{what}: {ready}");
    } else {
        node.wait_until_idle();
        assert_eq!(node.metric("bellhop_calls_active{"), 0.0, "{what}");
    }
}
