//! Docs do what they say: every sample and every command of README.md and docs/ is run, or held against what runs.
//!
//! | block | what is done with it |
//! |---|---|
//! | `toml` | `bellhop check`, a part of a tenant within a whole file, with the files it names beside it |
//! | `yaml` | `bellhop check` of a tenant with that script |
//! | `json` | parsed; responses by their reader and by `check`, requests and answers by the program that speaks them |
//! | `sh` | subcommands, flags and targets are there; those of the README are run on loopback |
//! | `html` | what it names is served |
//!
//! A block in any other language fails until there is a rule for it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

#[path = "docs/commands.rs"]
mod commands;
#[path = "support/pages.rs"]
mod pages;
#[path = "docs/responses.rs"]
mod responses;

use pages::{Block, blocks, blocks_in, code_in, pages, top};

/// A folder of one test's own, gone with it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let this = Self(tempfile::tempdir().expect("a folder"));
        this.write("key.pem", &made.signing_key.serialize_pem());
        this.write("certificate.pem", &made.cert.pem());
        this.write("acme.yaml", include_str!("../src/server/demo/demo.yaml"));
        this
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    fn bellhop(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellhop"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        // Whatever secret a page takes from the environment is there.
        for name in secrets() {
            command.env(name, "s3cret");
        }
        command
    }

    /// Says what `bellhop check` does of a configuration.
    fn check(&self, place: &str, toml: &str) {
        self.write("bellhop.toml", toml);
        let output = self.bellhop(&["check", "--config", "bellhop.toml"]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{place}: {told}\n{toml}");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// The names behind `env:` on all pages.
fn secrets() -> BTreeSet<String> {
    let texts = pages().into_iter().map(|(_, text)| text).collect::<String>();
    texts.split("\"env:").skip(1).filter_map(|rest| Some(rest.split('"').next()?.to_owned())).collect()
}

/// A whole configuration, to which a page's sample is a part.
const WHOLE: &str = r#"
[sip]
listen = ["tcp+tls:127.0.0.1:0 from 127.0.0.0/8"]
[sip.tls]
certificate = "certificate.pem"
key = "key.pem"
[http]
listen = "127.0.0.1:0"
[storage]
url = "sqlite://bellhop.db"
[[tenants]]
name = "acme"
numbers = ["+18005550123"]
[tenants.assistant]
kind = "scripted"
script = "acme.yaml"
[tenants.speech_to_text]
kind = "counting"
[tenants.text_to_speech]
kind = "flite"
"#;

/// A sample as a whole file: itself, or what it says of a tenant in place of [`WHOLE`]'s.
fn whole(sample: &str) -> String {
    let mut part: toml::Table = sample.parse().unwrap_or_else(|error| panic!("{error}\n{sample}"));
    if part.get("tenants").is_some_and(toml::Value::is_array) {
        return sample.to_owned();
    }
    let mut whole: toml::Table = WHOLE.parse().expect("good");
    let tenant = part.remove("tenants").unwrap_or_else(|| toml::Table::new().into());
    merge(whole["tenants"][0].as_table_mut().expect("a table"), tenant.as_table().expect("a table"));
    merge(&mut whole, &part);
    toml::to_string(&whole).expect("a table")
}

/// Sections are gone through; of a service (`kind`) all is new.
fn merge(into: &mut toml::Table, from: &toml::Table) {
    for (key, value) in from {
        match (into.get_mut(key).and_then(toml::Value::as_table_mut), value.as_table()) {
            (Some(into), Some(from)) if !from.contains_key("kind") => merge(into, from),
            _ => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

/// Files that a sample takes from elsewhere are in the folder.
fn with_files(folder: &Folder, toml: &str) -> String {
    folder.write("secret", "s3cret");
    let parts: Vec<&str> = toml.split("\"file:").collect();
    let rest = parts[1..].iter().map(|part| {
        let end = part.find('"').expect("a closed text");
        format!("\"file:{}{}", folder.0.path().join("secret").display(), &part[end..])
    });
    parts[0].to_owned() + &rest.collect::<String>()
}

#[test]
fn every_block_has_a_rule() {
    let known = ["", "toml", "yaml", "json", "sh", "html"];
    for block in blocks() {
        assert!(known.contains(&block.language.as_str()), "{}: no rule for `{}`", block.place(), block.language);
    }
}

#[test]
fn every_toml_sample_passes_check() {
    let folder = Folder::new();
    for block in blocks_in("toml") {
        folder.check(&block.place(), &with_files(&folder, &whole(&block.text)));
    }
}

/// In running text: `sip.listen = [...]`, and of a tenant `media.suppress_silence = true`.
#[test]
fn every_setting_in_running_text_passes_check() {
    let folder = Folder::new();
    let node =
        ["sip.listen", "sip.tls", "sip.advertise", "sip.max_calls", "sip.drain", "media.ports", "http.", "storage."];
    let mut checked = 0;
    for (page, text) in pages() {
        for code in code_in(&text) {
            let name = code.split(" = ").next().unwrap_or_default();
            let dotted = name.contains('.') && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.');
            if !dotted || !code.contains(" = ") {
                continue;
            }
            let of_node = name.starts_with("tenants.") || node.iter().any(|key| name.starts_with(key));
            let setting = if of_node { code.clone() } else { format!("tenants.{code}") };
            folder.check(&format!("{page}: {code}"), &whole(&setting));
            checked += 1;
        }
    }
    assert!(checked >= 3, "{checked} settings were found");
}

#[test]
fn every_yaml_sample_is_a_whole_script() {
    let folder = Folder::new();
    for block in blocks_in("yaml") {
        folder.write("acme.yaml", &block.text);
        folder.check(&block.place(), WHOLE);
    }
}

fn parsed(block: &Block) -> Value {
    serde_json::from_str(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.place()))
}

fn json_of(page: &str) -> Vec<(String, Value)> {
    let of_page = blocks_in("json").into_iter().filter(|block| block.page == page);
    of_page.map(|block| (block.place(), parsed(&block))).collect()
}

#[test]
fn every_json_sample_is_json() {
    blocks_in("json").iter().for_each(|block| drop(parsed(block)));
}

/// A page that takes a secret from the environment and ships a program: both know it by one name.
#[test]
fn a_secret_has_one_name_on_the_page_and_in_its_program() {
    let mut held = 0;
    for (page, text) in pages() {
        let programs = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let programs: Vec<&str> = programs.filter(|file| file.ends_with(".py") || file.ends_with(".ts")).collect();
        for name in text.split("\"env:").skip(1).filter_map(|rest| rest.split('"').next()) {
            for program in &programs {
                let code = std::fs::read_to_string(top().join("docs").join(program)).expect("the page's program");
                assert!(code.contains(name), "{page} says {name}, {program} does not");
                held += 1;
            }
        }
    }
    assert!(held >= 4, "{held} were compared");
}

/// Code in running text is typed as it stands there: nothing in it is escaped for the sake of some other text.
#[test]
fn no_code_in_running_text_has_escaped_quotes() {
    for (page, text) in pages() {
        let escaped: Vec<String> = code_in(&text).into_iter().filter(|code| code.contains("\\\"")).collect();
        assert!(escaped.is_empty(), "{page}: {escaped:?}");
    }
}

/// What is missing is told in one place, which is read when something is added.
#[test]
fn what_is_not_here_yet_stands_in_the_readme_alone() {
    for (page, text) in pages() {
        let line = text.lines().find(|line| {
            let line = line.to_lowercase();
            (line.contains(" not ") && line.contains(" yet") || line.contains("for now"))
                && !line.starts_with("### what is not here")
        });
        assert!(line.is_none(), "{page}: {line:?}");
    }
}

/// Every link to a file leads to one, and every path of a code span that looks like one of ours.
#[test]
fn every_file_that_a_page_names_is_there() {
    for (page, text) in pages() {
        let folder = top().join(&page).parent().expect("a folder").to_owned();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(|link| folder.join(link));
        let rooms = ["src/", "actors/", "tests/", "bench/", "docs/"];
        let code = code_in(&text).into_iter().filter(|code| rooms.iter().any(|room| code.starts_with(room)));
        let code = code.filter(|code| !code.contains([' ', '*', '{', '…'])).map(|code| top().join(code));
        let outside = |path: &PathBuf| path.to_string_lossy().contains("://");
        for path in links.chain(code).filter(|path| !outside(path)) {
            let file = path.to_string_lossy().split('#').next().unwrap_or_default().to_owned();
            assert!(Path::new(&file).exists(), "{page} names {file}");
        }
    }
}
