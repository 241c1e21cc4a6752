//! Commands of the pages: they are there with their flags, and those of the README are run on loopback.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::pages::{blocks, blocks_in, code_in, pages, top};
use super::{Folder, with_files};

/// The commands of a page: of its `sh` blocks, its running text, and its tables below `` `bellhop calls …` ``.
fn commands() -> Vec<(String, String)> {
    let mut commands = vec![];
    for block in blocks_in("sh") {
        let lines = block.text.lines().map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
        commands.extend(lines.filter(|line| !line.is_empty()).map(|line| (block.place(), line)));
    }
    for (page, text) in pages() {
        let starts = ["make ", "bellhop ", "python3 ", "npx ", "pip "];
        let spans = code_in(&text).into_iter().filter(|code| starts.iter().any(|start| code.starts_with(start)));
        commands.extend(spans.map(|code| (page.clone(), code)));
        let mut above: Option<String> = None;
        for line in text.lines() {
            let Some(first) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) else {
                above = above.filter(|_| line.starts_with('|'));
                continue;
            };
            match (first.strip_suffix(" …"), &above) {
                (Some(prefix), _) => above = Some(prefix.to_owned()),
                (None, Some(prefix)) => commands.push((page.clone(), format!("{prefix} {first}"))),
                (None, None) => {}
            }
        }
    }
    commands
}

/// What `--help` says of a subcommand; none if there is no such one.
fn help(words: &[&str]) -> Option<String> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_bellhop")).args(words).arg("--help").output().expect("the binary runs");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn every_command_is_there_with_its_flags() {
    let makefile = include_str!("../../Makefile");
    let mut seen = BTreeSet::new();
    for (place, command) in commands() {
        let words: Vec<&str> = command.split([' ', '[', ']']).filter(|word| !word.is_empty()).collect();
        seen.insert(words[0].to_owned());
        match words[0] {
            "make" => {
                for word in &words[1..] {
                    match word.split_once('=') {
                        Some((name, value)) => {
                            let used = ["$(", "$(if $(", "$(or $("].iter().any(|open| {
                                makefile.contains(&format!("{open}{name})"))
                                    || makefile.contains(&format!("{open}{name},"))
                            });
                            assert!(used, "{place}: `{command}`: no target looks at {name}");
                            let scenario = top().join(format!("tests/sipp/{value}.xml"));
                            assert!(name != "SCENARIO" || value == "name" || scenario.exists(), "{place}: {value}");
                        }
                        None => {
                            assert!(makefile.contains(&format!("\n{word}:")), "{place}: `{command}`: no target {word}")
                        }
                    }
                }
            }
            "bellhop" => {
                let sub: Vec<&str> = words[1..]
                    .iter()
                    .take_while(|word| {
                        word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !word.starts_with("--")
                    })
                    .copied()
                    .collect();
                let help = help(&sub).unwrap_or_else(|| panic!("{place}: `{command}`: there is no such command"));
                for flag in words.iter().filter(|word| word.starts_with("--")) {
                    assert!(help.contains(flag), "{place}: `{command}`: {flag} is not in\n{help}");
                }
            }
            "python3" | "npx" => {
                let file = words.iter().find(|word| word.ends_with(".py") || word.ends_with(".ts")).expect("a program");
                let there = ["docs/webhook", "docs/worker"].iter().any(|folder| top().join(folder).join(file).exists());
                assert!(there, "{place}: `{command}`: no program {file}");
            }
            "pip" => assert!(command == "pip install vosk", "{place}: `{command}`"),
            other => panic!("{place}: no rule for `{other}` of `{command}`"),
        }
    }
    assert!(["make", "bellhop", "python3", "npx"].iter().all(|command| seen.contains(*command)), "{seen:?}");
}

/// A process of ours, ended by its handle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).expect("HTTP is served");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bellhop\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

/// The README's configuration is served, with its addresses on loopback; what pages say is there is there.
#[test]
fn the_readme_runs() {
    let folder = Folder::new();
    let sample = blocks_in("toml").into_iter().find(|block| block.page == "README.md").expect("a sample").text;
    folder.check("README.md", &with_files(&folder, &sample));
    let listen = sample.lines().find(|line| line.starts_with("listen = [")).expect("a listener");
    let loopback = sample
        .replace(listen, "listen = [\"tcp+tls:127.0.0.1:0 from 127.0.0.0/8\"]")
        .replace("listen = \"127.0.0.1:8080\"", "listen = \"127.0.0.1:0\"");
    assert!(loopback.matches("127.0.0.1:0").count() == 2, "{loopback}");
    folder.write("bellhop.toml", &with_files(&folder, &loopback));
    let mut command = folder.command(&["serve", "--config", "bellhop.toml"]);
    let mut server = Running(command.env("RUST_LOG", "info").stderr(Stdio::piped()).spawn().expect("the binary runs"));
    let mut lines = BufReader::new(server.0.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let serving = lines.find(|line| line.contains("\"serving\"")).expect("it serves");
    let http = serving.split("\"address\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
    let http: SocketAddr = http.parse().expect("an address");
    std::thread::spawn(move || lines.for_each(drop));
    let mut asked = BTreeSet::new();
    for (page, text) in pages() {
        let served = code_in(&text).into_iter().filter_map(|code| Some(code.strip_prefix("GET /")?.to_owned()));
        for path in served.filter(|path| !path.contains("{")) {
            let answer = get(http, &format!("/{path}"));
            let is_page = path.starts_with("loadAgentAppFrame.html");
            let good = if is_page {
                answer.contains("The conversation is not here yet")
            } else {
                answer.starts_with("HTTP/1.1 200")
            };
            assert!(good, "{page}: GET /{path}: {answer}");
            asked.insert(path.split('?').next().unwrap_or_default().to_owned());
        }
    }
    for path in ["healthz", "readyz", "metrics", "loadAgentAppFrame.html"] {
        assert!(asked.contains(path), "no page tells of /{path}");
    }
    for block in blocks_in("html") {
        let scripts: Vec<&str> = block
            .text
            .split("src=\"https://bellhop.example")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(!scripts.is_empty(), "{}", block.place());
        for path in scripts {
            assert!(get(http, path).contains("window.loadAgentApp ="), "{}: {path}", block.place());
        }
    }
    for arguments in [
        &["calls", "list", "--config", "bellhop.toml"][..],
        &["calls", "forget", "+12065550100", "--config", "bellhop.toml"],
    ] {
        let output = folder.bellhop(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    kill(Pid::from_raw(server.0.id() as i32), Signal::SIGTERM).expect("it runs");
    assert!(server.0.wait().expect("it ends").success());
}

/// The demo prints what the README shows, and every scenario of `make sipp` passes beside it.
#[test]
fn the_demo_tells_what_the_readme_shows_and_every_sipp_scenario_passes_beside_it() {
    let folder = Folder::new();
    let mut demo =
        Running(folder.command(&["demo", "--once"]).stdout(Stdio::piped()).spawn().expect("the binary runs"));
    let mut lines = BufReader::new(demo.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let mut told = lines.by_ref().find(|line| line.contains("server up")).expect("it serves");
    let sip = told.split("SIP ").nth(1).and_then(|rest| rest.split(',').next()).expect("an address").to_owned();
    let rest = std::thread::spawn(move || lines.map(|line| line + "\n").collect::<String>());
    let scenarios =
        std::fs::read_dir(top().join("tests/sipp")).expect("a folder").filter_map(|file| Some(file.ok()?.path()));
    let scenarios: BTreeSet<String> = scenarios
        .filter(|file| file.extension().is_some_and(|extension| extension == "xml"))
        .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()))
        .collect();
    assert!(scenarios.len() >= 16, "{scenarios:?}");
    for scenario in &scenarios {
        let output = Command::new("make")
            .args(["-s", "sipp", "TRANSPORT=tcp", &format!("SCENARIO={scenario}"), &format!("SIP={sip}")])
            .current_dir(top())
            .stdin(Stdio::null())
            .output()
            .expect("make is installed");
        let tail = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{scenario}: {tail}");
    }
    told += &rest.join().expect("read to its end");
    assert!(demo.0.wait().expect("it ends").success(), "{told}");
    let shown = blocks().into_iter().filter(|block| block.page == "README.md" && block.language.is_empty());
    let shown = shown.map(|block| block.text).find(|text| text.contains("INVITE sip:")).expect("what the demo prints");
    let same = |text: &str| -> Vec<String> { text.lines().map(without_what_differs).collect() };
    let (shown, told) = (same(&shown), same(&told));
    // Not in order: what the caller and what the server sees are told by two threads.
    for line in shown.iter().filter(|line| *line != "…") {
        let is_told = told.iter().any(|told| told.starts_with(line.as_str()));
        assert!(is_told, "the README shows “{line}”, the demo tells:\n{}", told.join("\n"));
    }
}

/// What the README says of a demo that goes on: whoever opens the link that it prints may set up a line of their own.
#[test]
fn a_demo_that_goes_on_has_pages_and_says_how_to_become_their_operator() {
    let folder = Folder::new();
    let pages = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let arguments = ["demo", "--sip", "127.0.0.1:0", "--http", &pages.to_string()];
    let mut demo = Running(folder.command(&arguments).stdout(Stdio::piped()).spawn().expect("the binary runs"));
    let mut lines = BufReader::new(demo.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let told = lines.by_ref().find(|line| line.contains("become the operator: ")).expect("it says so");
    let link = told.rsplit(' ').next().expect("a link");
    let path = link.strip_prefix(&format!("http://{pages}")).unwrap_or_else(|| panic!("{told}"));
    let (path, secret) = path.split_once('#').unwrap_or_else(|| panic!("{told}"));
    assert!(secret.len() > 20, "{told}");
    let page = get(pages, path);
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<form"), "{page}");
    kill(Pid::from_raw(demo.0.id() as i32), Signal::SIGTERM).expect("it runs");
    let rest: Vec<String> = lines.collect();
    assert!(demo.0.wait().expect("it ends").success(), "{rest:?}");
}

/// A line of the demo without its time, ports, and all of a key but its beginning.
fn without_what_differs(line: &str) -> String {
    let line = line.trim();
    let line = line.split_once(" s  ").filter(|(time, _)| time.parse::<f32>().is_ok()).map_or(line, |(_, rest)| rest);
    let mut kept = String::new();
    for (n, part) in line.split("127.0.0.1:").enumerate() {
        if n > 0 {
            kept.push_str("127.0.0.1:");
        }
        kept.push_str(part.trim_start_matches(|c: char| n > 0 && c.is_ascii_digit()));
    }
    let key =
        ["SessionHistoryKey = _", "session_history_key="].iter().find_map(|name| Some(kept.find(name)? + name.len()));
    kept[..key.unwrap_or(kept.len())].trim_end().to_owned()
}

/// Where cargo builds is where the targets look, whichever way it was said.
#[test]
fn make_looks_where_cargo_builds() {
    for (behind, environment) in [(true, false), (false, true)] {
        let mut make = Command::new("make");
        make.args(["-n", "demo", "ONCE=1"]).current_dir(top()).env_remove("CARGO_TARGET_DIR").env_remove("MAKEFLAGS");
        if behind {
            make.arg("CARGO_TARGET_DIR=/tmp/elsewhere");
        }
        if environment {
            make.env("CARGO_TARGET_DIR", "/tmp/elsewhere");
        }
        let output = make.output().expect("make runs");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains("\"/tmp/elsewhere\"/debug/bellhop demo --once"), "{told}");
    }
}
