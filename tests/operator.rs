//! What the people who run it can rely on: the real binary's `check` and `serve`, its metrics and its pages.
//!
//! Ports are ephemeral and on loopback; every process is ended by its own handle.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use bellhop_rehearsal::connect::{AccessKey, StandIn};

#[allow(dead_code)] // each test binary uses its own part of the node
#[path = "support/node.rs"]
mod node;

use node::{INSTANCE, Node, config, folder};

fn bellhop(arguments: &[&str], at: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bellhop")).args(arguments).current_dir(at).output().expect("the binary runs")
}

fn fails(arguments: &[&str], at: &Path) -> Vec<String> {
    let output = bellhop(arguments, at);
    assert!(!output.status.success(), "{arguments:?} should fail");
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}

#[test]
fn test_connection_prints_what_came_of_it_and_exits_by_it() {
    let (connect, at) = node::stand_in();
    let folder = folder();
    let path = config(&folder, at, "counting", &tenant("other", "+18005550124", ("", "")));
    let test = |tenant: &str| bellhop(&["test-connection", "--config", "bellhop.toml", "--tenant", tenant], &folder);
    let valid = test("acme");
    let told = String::from_utf8_lossy(&valid.stdout);
    assert!(valid.status.success() && told.contains("UpdateContactAttributes") && told.contains("acme: "), "{valid:?}");
    assert_eq!(connect.written(), [], "nothing is written");
    let text = std::fs::read_to_string(&path).expect("written").replace("\"secret\"", "\"s3cret-and-wrong\"");
    std::fs::write(&path, text).expect("written");
    let invalid = test("acme");
    let told = format!("{}{}", String::from_utf8_lossy(&invalid.stdout), String::from_utf8_lossy(&invalid.stderr));
    assert!(!invalid.status.success() && told.contains("BYE without attribute"), "{told}");
    assert!(!told.contains("s3cret-and-wrong"), "{told}");
    let elsewhere = fails(&["test-connection", "--config", "bellhop.toml", "--tenant", "other"], &folder);
    assert!(elsewhere[0].contains("no section `connect`"), "{elsewhere:?}");
    let nobody = fails(&["test-connection", "--config", "bellhop.toml", "--tenant", "nobody"], &folder);
    assert!(nobody[0].contains("there is no tenant `nobody`"), "{nobody:?}");
}

/// A tenant that needs nothing from outside, with something else in its place.
fn tenant(name: &str, number: &str, change: (&str, &str)) -> String {
    format!(
        "[[tenants]]\nname = \"{name}\"\nnumbers = [\"{number}\"]\n[tenants.assistant]\nkind = \"scripted\"\n\
         script = \"script.yaml\"\n[tenants.speech_to_text]\nkind = \"counting\"\n[tenants.text_to_speech]\n\
         kind = \"flite\"\nvoice = \"slt\"\n"
    )
    .replace(change.0, change.1)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let files =
        std::fs::read_dir(folder).expect("a folder").filter_map(|file| file.ok()?.file_name().into_string().ok());
    files.collect()
}

/// Keys, files, scripts and voices of all tenants: each mistake once, with its line, and nothing is made on the way.
#[test]
fn check_tells_everything_in_one_pass_and_creates_nothing() {
    let folder = folder();
    config(&folder, SocketAddr::from(([127, 0, 0, 1], 9)), "counting", "");
    std::fs::write(folder.join("bad.yaml"), "start: a\nsteps:\n  a: {otherwise: b, silense: a}\n").expect("written");
    let text = "[storage]\nurl = \"sqlite://nowhere/b.db\"\n[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n".to_owned()
        + &tenant("good", "+18005550100", ("", ""))
        + &tenant("keys", "+18005550101", ("voice =", "vioce ="))
        + &tenant("script", "+18005550102", ("script.yaml", "bad.yaml"))
        + &tenant("again", "+18005550103", ("script.yaml", "bad.yaml"))
        + &tenant("file", "+18005550104", ("script.yaml", "missing.yaml"))
        + &tenant("folder", "+18005550105", ("script.yaml", "."))
        + &tenant("voice", "+18005550106", ("\"slt\"", "\"stl\""))
        + &tenant("both", "call me", ("\"slt\"", "\"nobody\""))
        + &tenant(
            "recorder",
            "+18005550108",
            ("[tenants.assistant]", "[tenants.recording]\nfolder = \"rec\"\n[tenants.assistant]"),
        );
    std::fs::write(folder.join("all.toml"), &text).expect("written");
    let before = names(&folder);
    let told = fails(&["check", "--config", "all.toml"], &folder);
    let expected = [
        "all.toml:2:7: storage.url: the database's folder nowhere is not there: make it, or name another",
        "all.toml:26:1: tenants.keys.text_to_speech.vioce: is not a known key: did you mean `voice`?",
        "all.toml:54:10: tenants.file.assistant.script: the file missing.yaml is not there",
        "all.toml:65:10: tenants.folder.assistant.script: the file . is a folder where a file is expected",
        "all.toml:81:9: tenants.voice.text_to_speech.voice: flite has no voice `stl`: ",
        "all.toml:84:12: tenants.both.numbers: `call me` is not a telephone number",
        "all.toml:92:9: tenants.both.text_to_speech.voice: flite has no voice `nobody`: ",
        "bad.yaml:3:18: `otherwise` names the step `b`, which is not there",
        "bad.yaml:3:21: step `a` has no `silense`: did you mean `silence`?",
        "bellhop: mistakes: 9; nothing was started",
    ];
    assert_eq!(told.len(), expected.len(), "each once, and no followers: {told:#?}");
    for line in expected {
        assert!(told.iter().any(|told| told.starts_with(line)), "{line} in {told:#?}");
    }
    assert_eq!(names(&folder), before, "nothing is created");
    // From elsewhere it says the same: paths start at the file's folder.
    let path = folder.join("all.toml");
    let from_elsewhere = fails(&["check", "--config", path.to_str().expect("text")], Path::new("/"));
    assert_eq!(from_elsewhere.len(), told.len(), "{from_elsewhere:#?}");
    std::fs::write(
        folder.join("good.toml"),
        text.replace("nowhere/", "").split("[[tenants]]").take(2).collect::<Vec<_>>().join("[[tenants]]"),
    )
    .expect("written");
    let before = names(&folder);
    let good = bellhop(&["check", "--config", "good.toml"], &folder);
    assert!(good.status.success(), "{good:?}");
    assert_eq!(names(&folder), before, "nothing is created");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn bad_tenants_are_skipped_if_the_operator_allows_it_and_not_otherwise() {
    let stand_in = StandIn::new(
        INSTANCE.parse().expect("an ARN"),
        AccessKey { id: "AKIATEST".into(), secret: "secret".into() },
        false,
    );
    let connect = stand_in.serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let folder = folder();
    let path = config(&folder, connect, "counting", "");
    let strict = std::fs::read_to_string(&path).expect("written")
        + &tenant("script", "+18005550102", ("script.yaml", "missing.yaml"))
        + &tenant("number", "+18005550123", ("", ""))
        + &tenant("fine", "+18005550104", ("", ""));
    std::fs::write(&path, &strict).expect("written");
    let named = path.to_str().expect("text").to_owned();
    let told = fails(&["serve", "--config", &named], &folder);
    assert!(told.len() == 3 && told[2] == "bellhop: mistakes: 2; nothing was started", "{told:#?}");
    let lenient = format!("{strict}[serve]\nskip_bad_tenants = true\n");
    std::fs::write(&path, &lenient).expect("written");
    assert_eq!(fails(&["check", "--config", &named], &folder).len(), 3, "check stays strict");

    let node = Node::serve(&path, folder, stand_in);
    let ready = node.get("/readyz");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    for line in ["not served: tenant script, mistakes: 1", "not served: tenant number, mistakes: 1"] {
        assert!(ready.contains(line), "{ready}");
    }
    for (tenant, skipped) in [("script", 1.0), ("number", 1.0), ("acme", 0.0), ("fine", 0.0)] {
        assert_eq!(node.metric(&format!("bellhop_tenant_skipped{{tenant=\"{tenant}\"}}")), skipped, "{tenant}");
    }
    assert!(node.metric("bellhop_calls_offered_total{tenant=\"script\"}").is_nan(), "it is not there at all");
    let again = lenient.replace("127.0.0.1:0\"\n[storage]", &format!("{}\"\n[storage]", node.http));
    // The server's own mistakes cost everybody.
    let own = node.folder.join("own.toml");
    std::fs::write(&own, again + "[media]\n").expect("written");
    assert!(fails(&["serve", "--config", own.to_str().expect("text")], &node.folder)[0].contains("not TOML"));
}

#[test]
fn a_taken_port_is_one_sentence_and_touches_nothing() {
    let folder = folder();
    let path = config(&folder, SocketAddr::from(([127, 0, 0, 1], 9)), "counting", "");
    let held = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = held.local_addr().expect("bound");
    let text = std::fs::read_to_string(&path).expect("written");
    for (key, with) in [
        ("http.listen", text.replace("[http]\nlisten = \"127.0.0.1:0\"", &format!("[http]\nlisten = \"{taken}\""))),
        ("metrics.listen", format!("{text}[metrics]\nlisten = \"{taken}\"\n")),
        ("sip.listen", text.replace("tcp+tls:127.0.0.1:0", &format!("tcp+tls:{taken}"))),
    ] {
        std::fs::write(&path, with).expect("written");
        let told = fails(&["serve", "--config", path.to_str().expect("text")], &folder);
        let last = told.last().expect("a sentence");
        assert!(last.starts_with(&format!("bellhop: {key}: ")) && last.contains("cannot be bound: "), "{told:#?}");
        assert!(!told.iter().any(|line| line.contains("panic")), "{told:#?}");
        assert!(!folder.join("bellhop.db").exists(), "a second server changes nothing");
    }
    // TEST-NET-1: an address of no machine.
    std::fs::write(&path, text.replace("bind = \"127.0.0.1\"", "bind = \"192.0.2.7\"")).expect("written");
    let told = fails(&["serve", "--config", path.to_str().expect("text")], &folder);
    assert!(
        told.last().is_some_and(|line| line.starts_with("bellhop: media.bind: 192.0.2.7 cannot be bound: ")),
        "{told:#?}"
    );
    assert!(!folder.join("bellhop.db").exists(), "a server that cannot send audio changes nothing");
    let told = fails(&["demo", "--once", "--http", &taken.to_string()], &folder);
    assert!(told.last().is_some_and(|line| line.contains(&format!("--http: {taken} cannot be bound"))), "{told:#?}");
    let told = fails(&["demo", "--once", "--sip", &taken.to_string()], &folder);
    assert!(
        told.last().is_some_and(|line| line.contains(&taken.to_string()) && line.contains("cannot be bound")),
        "{told:#?}"
    );
    let _ = std::fs::remove_dir_all(folder);
}

/// Whoever looks after calls mistypes too: what cannot be meant is told, and nothing of the file but its places.
#[test]
fn calls_tells_what_cannot_be_meant() {
    let folder = folder();
    let path = config(&folder, SocketAddr::from(([127, 0, 0, 1], 9)), "counting", "");
    let named = path.to_str().expect("text").to_owned();
    let told = fails(&["calls", "list", "--config", &named], &folder);
    assert!(
        told.len() == 1
            && told[0].ends_with("it is not there: a server makes it when it first starts with this configuration"),
        "{told:#?}"
    );
    std::fs::write(folder.join("bellhop.db"), "").expect("written");
    let list = |more: &[&str]| {
        let arguments = [&["calls", "list", "--config", &named], more].concat();
        let output = bellhop(&arguments, &folder);
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(list(&[]), (true, String::new()));
    let (good, told) = list(&["--tenant", "acne"]);
    assert!(good && told.contains("the file has no tenant `acne`: did you mean `acme`?"), "{told}");
    for (more, why) in [
        (["--ended", "hangup"].as_slice(), "assistant_transfer, assistant_hangup, caller_hangup, failed"),
        (&["--count", "0"], "0 is not in 1.."),
        (&["--since", "2026-11-26", "--until", "2026-11-25"], "--since is not before --until"),
    ] {
        let (good, told) = list(more);
        assert!(!good && told.contains(why), "{more:?}: {told}");
    }
    let forgot = bellhop(&["calls", "forget", "--config", &named, "+15550100", "--tenant", "acne"], &folder);
    assert!(String::from_utf8_lossy(&forgot.stderr).contains("the file has no tenant `acne`"), "{forgot:?}");
    std::fs::write(&path, "[storage]\nurl = \"sqlite://b.db\"\npassword = \"hunter2\n").expect("written");
    for command in ["list", "refused", "tail"] {
        let told = fails(&["calls", command, "--config", &named], &folder).join("\n");
        assert!(told.contains(":3:20: not TOML: ") && !told.contains("hunter2"), "{told}");
    }
    let _ = std::fs::remove_dir_all(folder);
}

fn ask(at: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(at).expect("HTTP is served");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: bellhop\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn pages_answer_head_and_refuse_what_they_do_not_do() {
    let node = Node::start("counting", "");
    for path in ["/healthz", "/readyz", "/metrics", "/loadAgentAppFrame.html"] {
        let (got, head) = (ask(node.http, "GET", path), ask(node.http, "HEAD", path));
        assert_eq!(head.lines().next(), got.lines().next(), "{path}");
        assert!(head.ends_with("\r\n\r\n") && !head.contains("404 Not Found\r\n\r\n"), "no body: {head}");
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let refused = ask(node.http, method, path);
            assert!(refused.starts_with("HTTP/1.1 405"), "{method} {path}: {refused}");
            assert!(refused.to_ascii_lowercase().contains("allow: get, head"), "{refused}");
        }
    }
    assert!(ask(node.http, "GET", "/nothing").starts_with("HTTP/1.1 404"));
    // An address that was put together wrongly gets the page that every unknown key gets.
    for query in ["?session_history_key=a&session_history_key=b", "?session_history_key=%ff", "?=&&=x", ""] {
        let page = ask(node.http, "GET", &format!("/loadAgentAppFrame.html{query}"));
        assert!(
            page.starts_with("HTTP/1.1 404") && page.contains("The conversation is not here yet"),
            "{query}: {page}"
        );
    }
}

#[test]
fn metrics_are_all_there_from_the_start_and_fit_what_they_measure() {
    let node = Node::start("counting", "[metrics]\nlisten = \"127.0.0.1:0\"\n");
    assert!(node.get("/metrics").starts_with("HTTP/1.1 404"), "they have a listener of their own");
    let log = std::fs::read_to_string(node.folder.join("bellhop.toml")).expect("the file");
    assert!(log.contains("[metrics]"));
    let told = node.metrics.expect("the server says where its metrics are");
    let text = ask(told, "GET", "/metrics");
    for (family, within) in [
        ("bellhop_call_setup_seconds", "0.25"),
        ("bellhop_call_duration_seconds", "14400"),
        ("bellhop_first_audio_seconds", "0.3"),
        ("bellhop_assistant_seconds", "2"),
        ("bellhop_speech_to_text_seconds", "0.5"),
        ("bellhop_text_to_speech_seconds", "0.5"),
        ("bellhop_handoff_seconds", "1"),
        ("bellhop_call_mean_opinion_score", "3.5"),
        ("bellhop_call_packet_loss_ratio", "0.01"),
        ("bellhop_call_jitter_seconds", "0.03"),
        ("bellhop_call_round_trip_seconds", "0.15"),
    ] {
        assert!(text.contains(&format!("# TYPE {family} histogram")), "{family} in {text}");
        assert!(text.contains(&format!("# HELP {family} ")), "{family} is described");
        assert!(
            text.contains(&format!("{family}_bucket{{tenant=\"acme\",le=\"{within}\"}} 0")),
            "{family} at {within}"
        );
        assert!(text.contains(&format!("{family}_count{{tenant=\"acme\"}} 0")), "{family}");
    }
    let value = |series: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{series} in {text}"))
    };
    assert_eq!(value("bellhop_build_info{version=\""), 1.0);
    assert_eq!((value("bellhop_calls_limit "), value("bellhop_rtp_ports ")), (50.0, 50.0));
    assert_eq!(value("bellhop_tenant_calls_limit{tenant=\"acme\"}"), 100.0);
    assert_eq!((value("bellhop_draining "), value("bellhop_tenant_skipped{tenant=\"acme\"}")), (0.0, 0.0));
    assert!(value("bellhop_tls_certificate_expiry_timestamp_seconds ") > 1.7e9);
    assert_eq!(value("bellhop_log_events_waiting{tenant=\"acme\"}"), 0.0);
    assert_eq!(value("bellhop_log_events_oldest_seconds{tenant=\"acme\"}"), 0.0);
    for (port, service) in [("assistant", "scripted"), ("speech_to_text", "counting"), ("text_to_speech", "flite")] {
        let series = format!("bellhop_service_at_rest{{tenant=\"acme\",port=\"{port}\",service=\"{service}\"}}");
        assert_eq!(value(&series), 0.0);
    }
    assert!(value("process_resident_memory_bytes ") > 1e6 && value("process_open_fds ") > 3.0);
    assert!(value("process_max_fds ") > 0.0 && value("process_start_time_seconds ") > 1.7e9);
}
