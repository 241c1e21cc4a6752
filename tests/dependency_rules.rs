//! Who may know whom: read from `cargo metadata`, told as the sentence of the rule.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[path = "dependency_rules/circles.rs"]
mod circles;

use circles::{Crate, Module};

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
    assert_only("bellhop-connect", &["hmac", "serde_json", "sha2", "thiserror"], sentence);
    let tenancy = ["ipnet", "serde", "serde_json", "sha2", "strsim", "thiserror", "uuid"];
    assert_only("bellhop-tenancy", &tenancy, sentence);
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
fn the_console_sees_ports_and_neither_actors_nor_sip_nor_media() {
    let unseen =
        ["actix", "bellhop-actors", "bellhop-adapters", "bellhop-amazon", "bellhop-sip", "bellhop-media", "sqlx"];
    let uses = dependencies()["bellhop-console"].clone();
    let seen: Vec<_> = uses
        .iter()
        .filter(|name| *name != "actix-web" && unseen.iter().any(|unseen| name.starts_with(unseen)))
        .collect();
    assert!(seen.is_empty(), "bellhop-console uses {seen:?}. REST and pages speak to ports: the server gives them.");
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

/// A call is admitted, and lives, by what it began with: who keeps tenants tells the node of them, and is asked nothing.
#[test]
fn actors_ask_no_store_of_tenants_and_read_no_records() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("actors");
    for file in rust_files(&root) {
        let text = std::fs::read_to_string(&file).expect("readable");
        for asked in ["tenancy::store", "TenantStore", "CallRecords", "CallsUnderWay", "FiledHistories"] {
            assert!(!text.contains(asked), "{}: {asked}: a database is asked of by the server alone", file.display());
        }
    }
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

/// The floors of `actors/`, the lowest first: who stands on each, and what makes it one.
const FLOORS: [(&[&str], &str); 5] = [
    (&["supervision", "drive", "metrics"], "who lives and dies, cores and counters know nobody"),
    (
        &["node", "services"],
        "what outlives a call, and what it needs of the world, knows neither calls nor their signalling",
    ),
    (
        &["signalling", "media_shard"],
        "signalling knows owners and who hears of new calls by Recipient, a shard its leg by LegEvents",
    ),
    (&["call"], "a call tells whoever made it by Recipient"),
    (&["reception"], "Reception makes calls, and nobody knows it"),
];

#[test]
fn floors_of_the_actors_look_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("actors");
    let crate_of = Crate::read(&root);
    let floor_of = |module: &Module| {
        let house = module.first()?;
        let floor = FLOORS.iter().position(|(houses, _)| houses.contains(&house.as_str()));
        Some(floor.unwrap_or_else(|| panic!("actors/{house} stands on no floor")))
    };
    let up = crate_of.edges().into_iter().filter_map(|(from, to)| {
        let (own, other) = (floor_of(&from)?, floor_of(&to)?);
        let told = || format!("{} knows {}: {}", from.join("::"), to.join("::"), FLOORS[own].1);
        (own < other).then(told)
    });
    assert_eq!(up.collect::<Vec<_>>(), Vec::<String>::new(), "a floor looks down only");
}

/// Files may know one another in one direction, but a parent module and what is inside it.
#[test]
fn no_files_know_one_another_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut told = vec![];
    for place in crates(root) {
        let circles = Crate::read(&place).circles();
        let name = place.strip_prefix(root).expect("inside").display().to_string();
        told.extend(circles.into_iter().map(|circle| format!("{name}: {circle}")));
    }
    assert_eq!(
        told,
        Vec::<String>::new(),
        "a circle of files is one file in several pieces: move what both need below both"
    );
}

/// The folders of the crates in `actors/` and `src/`.
fn crates(root: &Path) -> Vec<std::path::PathBuf> {
    let mut folders = vec![root.join("actors"), root.join("src")];
    let mut found = vec![];
    while let Some(folder) = folders.pop() {
        if folder.join("Cargo.toml").exists() {
            found.push(folder.clone());
        }
        folders
            .extend(std::fs::read_dir(&folder).expect("a folder").flatten().map(|e| e.path()).filter(|p| p.is_dir()));
    }
    assert!(found.len() > 10, "all crates: {found:?}");
    found
}

/// Whose call a line is about is said by the call's span alone, which spawned work is in too.
#[test]
fn no_log_line_of_a_call_names_it_by_hand_and_no_work_of_a_call_leaves_its_span() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    // They serve all calls of a tenant together.
    let of_no_call = ["log_webhook.rs", "storage/sql/events.rs"].map(|file| root.join("src/adapters").join(file));
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

/// The files below a folder of the workspace, by their path from its root, without their tests and comments of their own.
fn code_below(folder: &str) -> Vec<(std::path::PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let files = rust_files(&root.join(folder)).into_iter().filter(|file| !file.ends_with("tests.rs"));
    let read = |file: std::path::PathBuf| {
        let text = std::fs::read_to_string(&file).expect("readable");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (file.strip_prefix(root).expect("a file of the workspace").to_owned(), code.join("\n"))
    };
    files.map(read).collect()
}

/// The files of these folders that have one of these words.
fn who_says(folders: &[&str], words: &[&str]) -> Vec<String> {
    let files = folders.iter().flat_map(|folder| code_below(folder));
    let says = files.filter(|(_, code)| words.iter().any(|word| code.contains(word)));
    let mut names: Vec<String> = says.map(|(path, _)| path.display().to_string()).collect();
    names.sort();
    names
}

#[test]
fn a_metric_is_named_in_the_module_of_metrics_alone() {
    let named = who_says(&["actors", "src"], &["counter!(", "gauge!(", "histogram!("]);
    let of_module = |name: &String| name.starts_with("actors/metrics");
    assert!(!named.is_empty() && named.iter().all(of_module), "{named:?}: families stand in actors/metrics");
}

#[test]
fn the_port_that_writes_attributes_is_in_one_actor_s_hands() {
    let known = who_says(&["actors"], &["AttributeWriter", ".attributes"]);
    assert_eq!(known, ["actors/call/connect_handoff.rs", "actors/services.rs"], "everybody else can only blank");
}

#[test]
fn stand_ins_are_in_no_serving_path() {
    let known = who_says(&["src/server", "actors", "src/adapters"], &["bellhop_rehearsal"]);
    assert!(!known.is_empty() && known.iter().all(|name| name.starts_with("src/server/demo/")), "{known:?}");
}

/// Whatever a caller says comes by RTP: nobody makes words or samples of a caller's but the clock of the media.
#[test]
fn caller_audio_reaches_a_recognizer_from_the_media_clock_alone() {
    let makes = who_says(&["actors", "src/server"], &["speech_in::Input::Audio {"]);
    assert_eq!(makes, ["actors/call/leg_listeners.rs"], "a leg's listener hands the clock's batches over");
    let opens = who_says(&["actors", "src/server"], &["recognizer.open(", "RecognizerStream"]);
    assert_eq!(opens, ["actors/call/stt_stream.rs"], "SttStream alone has a recognizer");
}

#[test]
fn the_media_clock_has_no_lock_and_one_timer() {
    let locks = who_says(&["actors/media_shard", "src/media"], &["Mutex", "RwLock", "thread::sleep"]);
    assert!(locks.is_empty(), "{locks:?}");
    let clock = code_below("actors/media_shard").into_iter().map(|(_, code)| code).collect::<String>();
    assert_eq!(clock.matches("tokio::time::").count(), 1, "one clock for all legs of a thread");
    assert!(!clock.contains("do_send(") && !clock.contains("try_send("), "no packet becomes a message");
}

/// A limit is a constant with a name and a sentence, and there is one of it.
#[test]
fn a_limit_has_one_name_and_a_sentence() {
    let (mut places, mut nameless) = (BTreeMap::<String, Vec<String>>::new(), vec![]);
    let bounds =
        ["Duration::from_secs(", "Duration::from_millis(", "channel(", "set_mailbox_capacity(", "Semaphore::new("];
    // One second is a unit, and one place a hand-over.
    let units = ["Duration::from_secs(1)", "channel(1)"];
    for folder in [
        "actors",
        "src/adapters",
        "src/call",
        "src/connect",
        "src/dialogue",
        "src/media",
        "src/server",
        "src/sip",
        "src/tenancy",
    ] {
        for (path, _) in code_below(folder) {
            let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&path))
                .expect("readable");
            let stand_in = ["testing.rs", "suite.rs", "cases.rs"].iter().any(|name| path.ends_with(name));
            if stand_in || path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "demo") {
                continue;
            }
            let (mut before, mut in_constant) = ("", false);
            for line in text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines() {
                let code = line.trim_start();
                let declared = code.split_once("const ").filter(|(head, _)| head.is_empty() || head.starts_with("pub"));
                let declared = declared.and_then(|(_, rest)| rest.split_once(": "));
                in_constant |= declared.is_some() || code.starts_with("static ");
                if let Some((name, value)) =
                    declared.filter(|(name, value)| is_limit(name) && value.contains(" = ") && !value.starts_with('&'))
                {
                    places.entry(format!("{name}: {value}")).or_default().push(path.display().to_string());
                    assert!(before.starts_with("///"), "{}: {name}: a limit has a sentence", path.display());
                }
                let bounded = |bound: &&str| {
                    code.match_indices(bound).any(|(at, _)| {
                        let literal = code[at + bound.len()..].starts_with(|c: char| c.is_ascii_digit());
                        literal && !units.iter().any(|unit| code[at..].starts_with(unit))
                    })
                };
                if !code.starts_with("//") && !in_constant && bounds.iter().any(bounded) {
                    nameless.push(format!("{}: {code}", path.display()));
                }
                in_constant &= !code.ends_with(';');
                before = code;
            }
        }
    }
    assert!(nameless.is_empty(), "limits without a name: {nameless:#?}");
    let twice: Vec<_> = places.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(places.len() > 100 && twice.is_empty(), "one limit under one name in two places: {twice:#?}");
}

/// Whether a constant's name is that of a limit.
fn is_limit(name: &str) -> bool {
    let ends =
        ["_MAX", "_MIN", "_WITHIN", "_AFTER", "_EVERY", "_AT_ONCE", "_TIMEOUT", "_MAILBOX", "_BYTES", "_WAITING"];
    ends.iter().any(|end| name.ends_with(end))
        || ["PAUSE", "DEADLINE", "QUEUE", "TRIES", "MAILBOX", "TIMEOUT"].contains(&name)
}

/// What `make lint` refuses: without its ban each of these would be back some day.
#[test]
fn what_must_not_be_called_is_banned() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let banned = |folder: &str| std::fs::read_to_string(root.join(folder).join(".clippy.toml")).expect("bans");
    let actors = banned("actors");
    for name in
        ["std::time::Instant::now", "tokio::time::Instant::now", "AsyncContext::wait", "ContextFutureSpawner::wait"]
    {
        assert!(actors.contains(name), "actors/.clippy.toml does not ban {name}");
    }
    for name in ["tokio::spawn", "tokio::task::spawn", "tokio::task::spawn_blocking"] {
        assert!(
            banned("src/adapters").contains(&format!("\"{name}\"")),
            "src/adapters/.clippy.toml does not ban {name}"
        );
    }
    for package in PURE.map(|package| package.trim_start_matches("bellhop-")) {
        for name in ["Instant::now", "SystemTime::now", "env::var", "File::open", "UdpSocket::bind", "thread::sleep"] {
            let bans = banned(&format!("src/{package}"));
            assert!(bans.contains(name), "src/{package}/.clippy.toml does not ban {name}");
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
    let node = ["mod", "node", "reader", "serving", "sip", "tls"].map(|name| format!("src/server/config/{name}.rs"));
    let sentence = "Keys of a tenant's document are read in src/tenancy/settings/ alone, so that every format knows the same: server/config reads those of the node.";
    assert_eq!(readers, node.map(std::path::PathBuf::from), "{sentence}");
    let config = std::fs::read_to_string(root.join("src/server/config/mod.rs")).expect("readable");
    assert_eq!(config.matches("sections(\"tenants\", OR_PAGES).iter().map(Tenant::read)").count(), 1, "{sentence}");
    let reads =
        config.split("fn read(section: &Section<'_>) -> Self {").nth(1).and_then(|rest| rest.split("\n    }").next());
    let reads = reads.expect("who reads a tenant's section");
    let whole = ["TenantSettings::read(section)", "section.written()", "section.index()"];
    assert!(whole.iter().all(|part| reads.contains(part)) && reads.matches("section.").count() == 2, "{sentence}");
}

#[test]
fn pages_ask_rest_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let sentence =
        "A page asks REST on behalf of its reader: what it shows and changes is what they may see and change.";
    let mut asks = 0;
    for file in rust_files(&root.join("src/console/pages")) {
        if file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("readable");
        for named in ["bellhop_tenancy::store", "crate::ports", "bellhop_call", "bellhop_connect", "TenantStore"] {
            assert!(!text.contains(named), "{}: {named}. {sentence}", file.display());
        }
        asks += text.matches(".rest.ask(").count();
    }
    assert_eq!(asks, 1, "there is one way, `Visit::ask`. {sentence}");
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
            if ["sqlite", "sqlx", "sqlstore"].iter().any(|name| code.contains(name)) {
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
