//! Who may know whom: read from `cargo metadata`, told as the sentence of the rule.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const PURE: [&str; 6] =
    ["bellhop-sip", "bellhop-media", "bellhop-dialogue", "bellhop-connect", "bellhop-tenancy", "bellhop-call"];

/// The direct, non-development dependencies of every package of this workspace.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let names = |package: &Value| {
        let list = package["dependencies"].as_array().cloned().unwrap_or_default();
        let normal = list.into_iter().filter(|dependency| dependency["kind"].is_null());
        normal.filter_map(|dependency| dependency["name"].as_str().map(str::to_owned)).collect()
    };
    packages.iter().map(|package| (package["name"].as_str().unwrap_or_default().to_owned(), names(package))).collect()
}

fn assert_only(of: &str, allowed: &[&str], sentence: &str) {
    let all = dependencies();
    let stray: Vec<&String> = all[of].iter().filter(|name| !allowed.contains(&name.as_str())).collect();
    assert!(stray.is_empty(), "{of} uses {stray:?}. {sentence}");
}

fn assert_none(of: &str, forbidden: &[&str], sentence: &str) {
    let all = dependencies();
    let seen: Vec<&String> = all[of].iter().filter(|name| forbidden.iter().any(|f| name.starts_with(f))).collect();
    assert!(seen.is_empty(), "{of} uses {seen:?}. {sentence}");
}

#[test]
fn pure_crates_know_no_runtime_and_not_each_other() {
    let sentence = "Pure crates use std, bytes, thiserror, serde where JSON or a document of settings is the subject, and the codecs, ciphers, calendars and parsers they wrap.";
    let sip = ["base64", "bytes", "hmac", "ipnet", "md-5", "rsip", "sha2", "thiserror"];
    assert_only("bellhop-sip", &sip, sentence);
    let codecs = ["audiopus", "ezk-g722", "rtcp-types", "rtp-rs", "webrtc-vad"];
    let ciphers = ["aes", "aes-gcm", "hmac", "sha1"];
    assert_only("bellhop-media", &[&codecs[..], &ciphers, &["thiserror"]].concat(), sentence);
    assert_only("bellhop-dialogue", &["regex", "serde", "serde_json", "thiserror"], sentence);
    assert_only("bellhop-connect", &["serde_json", "thiserror"], sentence);
    assert_only("bellhop-tenancy", &["ipnet", "serde", "serde_json", "strsim", "thiserror"], sentence);
}

#[test]
fn a_call_stands_on_the_pure_ground_and_nothing_of_it_knows_the_call() {
    let ground = ["bellhop-sip", "bellhop-media", "bellhop-dialogue", "bellhop-connect", "bellhop-tenancy"];
    let sentence = "A call knows conversation, hand-off, tenant and the words of SIP and media, and no runtime.";
    assert_only("bellhop-call", &[&ground[..], &["jiff", "serde", "serde_json", "thiserror"]].concat(), sentence);
    for below in ground {
        assert_none(below, &["bellhop-call"], "What a call stands on does not know it.");
    }
}

#[test]
fn adapters_know_no_actors() {
    for adapters in ["bellhop-adapters", "bellhop-amazon-connect", "bellhop-amazon-speech"] {
        assert_none(
            adapters,
            &["actix", "bellhop-actors"],
            "Adapters serve ports; who lives and dies is not their business.",
        );
    }
}

#[test]
fn actors_know_no_adapters_and_no_json() {
    let sentence = "Actors drive cores and speak through ports.";
    assert_none(
        "bellhop-actors",
        &["bellhop-adapters", "bellhop-amazon", "aws", "serde_json", "actix-web", "sqlx"],
        sentence,
    );
}

#[test]
fn only_actors_server_tests_and_stand_ins_know_actix() {
    let mut known: Vec<String> = dependencies()
        .into_iter()
        .filter(|(_, uses)| uses.iter().any(|name| name == "actix"))
        .map(|(name, _)| name)
        .collect();
    known.sort();
    assert_eq!(
        known,
        ["bellhop", "bellhop-actors", "bellhop-tests"],
        "actix is the actors' alone; the server starts them."
    );
}

/// No file of a pure crate reads the clock, the environment, files or the network.
#[test]
fn pure_crates_never_look_around() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("src");
    for name in PURE.map(|package| package.trim_start_matches("bellhop-")) {
        for file in rust_files(&root.join(name)) {
            let text = std::fs::read_to_string(&file).expect("readable");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            if file.ends_with("tests.rs") {
                continue;
            }
            for forbidden in
                ["Instant::now", "SystemTime::now", "std::env", "std::fs", "UdpSocket", "TcpStream", "thread::sleep"]
            {
                assert!(
                    !code.contains(forbidden),
                    "{}: {forbidden}: time, files and sockets are arguments",
                    file.display()
                );
            }
        }
    }
}

/// What a report means where a call is stands in `src/call/lifecycle.rs`.
#[test]
fn the_supervisor_names_no_state_and_its_children_do_not_know_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("actors/call");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("readable");
    let supervisor = read("supervisor.rs");
    for name in ["PhaseName::", "State::"] {
        assert!(
            !supervisor.contains(name),
            "supervisor.rs: {name}: it hands reports to the core and carries out orders"
        );
    }
    for child in ["sip_dialog", "jitter_buffer", "stt_stream", "tts_playback", "turn_loop", "connect_handoff", "band"] {
        let known = read(&format!("{child}.rs")).contains("supervisor");
        assert!(!known, "{child}.rs knows the supervisor: children report to a Recipient");
    }
}

/// The floors of `actors/`: each looks down only.
#[test]
fn floors_of_the_actors_look_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("actors");
    for (floor, above, sentence) in [
        ("node", &["signalling", "media_shard", "call", "reception"][..], "the node outlives whoever uses it"),
        ("signalling", &["call", "reception"], "signalling knows owners by their recipients"),
    ] {
        let files = rust_files(&root.join(floor));
        assert!(!files.is_empty(), "no floor {floor}");
        for file in files {
            let text = std::fs::read_to_string(&file).expect("readable");
            for above in above {
                assert!(!text.contains(&format!("crate::{above}::")), "{}: {above}: {sentence}", file.display());
            }
        }
    }
}

/// Whose call a line is about is said by the call's span alone, which spawned work is in too.
#[test]
fn no_log_line_of_a_call_names_it_by_hand_and_no_work_of_a_call_leaves_its_span() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    // They serve all calls of a tenant together.
    let of_no_call = ["log_webhook.rs", "storage/sqlite/events.rs"].map(|file| root.join("src/adapters").join(file));
    let mut macros = 0;
    for folder in ["actors/call", "src/adapters", "src/server/engines.rs"] {
        let path = root.join(folder);
        let files = if path.is_dir() { rust_files(&path) } else { vec![path] };
        for file in files.into_iter().filter(|file| !of_no_call.contains(file) && !file.ends_with("tests.rs")) {
            let text = std::fs::read_to_string(&file).expect("readable");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for fields in log_fields(code) {
                macros += 1;
                for field in fields.split(',').map(|field| field.split('=').next().unwrap_or_default()) {
                    let name = field.trim().trim_start_matches(['%', '?']);
                    let by_hand = ["call", "tenant", "sip_call_id"].contains(&name);
                    assert!(!by_hand, "{}: `{name}` of a log line: it stands in the call's span", file.display());
                }
            }
            if folder == "actors/call" {
                for spawn in ["actix::spawn(", "actix_rt::spawn(", "tokio::spawn(", "tokio::task::spawn"] {
                    assert!(!code.contains(spawn), "{}: {spawn}: use crate::supervision::task", file.display());
                }
            }
        }
    }
    assert!(macros > 30, "log lines are recognised: {macros}");
}

/// What stands before the text of each log line of a file: its fields.
fn log_fields(code: &str) -> impl Iterator<Item = &str> {
    let levels = ["error", "warn", "info", "debug", "trace"].map(|level| format!("tracing::{level}!("));
    code.match_indices("tracing::").filter_map(move |(at, _)| {
        let line = &code[at..];
        let begin = levels.iter().find(|level| line.starts_with(level.as_str()))?.len();
        let end = line[begin..].find('"')?;
        Some(&line[begin..begin + end])
    })
}

#[test]
fn the_server_matches_on_no_protocol() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("src/server");
    for file in rust_files(&root) {
        let text = std::fs::read_to_string(&file).expect("readable");
        for forbidden in ["Method::", "Response::Text", "StatusCode(", "sdp::"] {
            assert!(
                !text.contains(forbidden),
                "{}: {forbidden}: protocol logic lives in src/sip and src/dialogue",
                file.display()
            );
        }
    }
}

#[test]
fn the_keys_of_a_tenants_document_are_read_in_settings_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut readers = vec![];
    for file in ["src", "actors", "bench"].iter().flat_map(|folder| rust_files(&root.join(folder))) {
        let place = file.strip_prefix(root).expect("a file of the workspace");
        let reads = std::fs::read_to_string(&file).expect("readable").contains("Section<'_>");
        if reads && !place.starts_with("src/tenancy/settings") && !place.ends_with("tests.rs") {
            readers.push(place.to_owned());
        }
    }
    readers.sort();
    let node = ["mod", "node", "reader", "serving", "sip"].map(|name| format!("src/server/config/{name}.rs"));
    let sentence = "Keys of a tenant's document are read in src/tenancy/settings/ alone, so that every format knows the same: server/config reads those of the node.";
    assert_eq!(readers, node.map(std::path::PathBuf::from), "{sentence}");
    let config = std::fs::read_to_string(root.join("src/server/config/mod.rs")).expect("readable");
    assert_eq!(config.matches("sections(\"tenants\").iter().map(Tenant::read)").count(), 1, "{sentence}");
    let reads =
        config.split("fn read(section: &Section<'_>) -> Self {").nth(1).and_then(|rest| rest.split("\n    }").next());
    let reads = reads.expect("who reads a tenant's section");
    assert!(reads.contains("TenantSettings::read(section)") && reads.matches("section.").count() == 1, "{sentence}");
}

#[test]
fn a_database_is_named_in_wiring_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut named = vec![];
    for folder in ["src", "actors", "bench"] {
        for file in rust_files(&root.join(folder)) {
            let place = file.strip_prefix(root).expect("a file of the workspace");
            if place.starts_with("src/adapters/storage") || place.ends_with("tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&file).expect("readable");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = outside_texts(code).to_ascii_lowercase();
            if ["sqlite", "sqlx"].iter().any(|name| code.contains(name)) {
                named.push(place.to_owned());
            }
        }
    }
    let sentence = "Whoever uses a store takes ports: `Arc<dyn …>` of bellhop_call::ports and bellhop_connect::ports.";
    assert_eq!(named, [Path::new("src/server/wiring/store.rs")], "{sentence}");
}

/// What is neither in a comment of its own nor in quotes: an URL may begin with `sqlite:`.
fn outside_texts(code: &str) -> String {
    let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    lines.join("\n").replace("\\\"", "").replace("'\"'", "").split('"').step_by(2).collect()
}

fn rust_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = vec![];
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
