//! `make speech`: how well callers are understood, how long they wait, whether they are cut off, and whether they can interrupt.
//!
//! Rehearsal callers speak, with voices of people and of synthesizers, from bad places over bad lines, in whole calls over
//! loopback to the release binary with its embedded recognizer. What was understood comes from the server's own log events;
//! what the caller waited is measured in the caller's audio. The last line is one JSON object, before it a table of the
//! figures that have a target. Invariant: callers share the server's cores, and what each took is told.

#![allow(clippy::print_stdout)] // a command-line tool

mod calls;
mod capacity;
mod figures;
mod level;
mod outcome;
mod processor;
mod receiver;
mod recordings;
mod settings;
mod sounds;
mod tenants;
mod utterances;

use std::path::Path;

use anyhow::{Result, ensure};
use bellhop_bench::keep;
use clap::Parser;
use serde_json::{Map, Value, json};

use calls::place_all;
use outcome::Sentence;
use receiver::Receiver;
use settings::{Bench, SETTINGS, Setting};
use tenants::Server;
use utterances::word_errors;

/// Speaks to the server and reports what was understood and when it was answered.
#[derive(Parser)]
struct Arguments {
    /// Sentences said in each setting of synthetic voices.
    #[arg(long, default_value_t = 100)]
    utterances: usize,
    /// Calls at once.
    #[arg(long, default_value_t = 10)]
    at_once: usize,
    /// Only the settings with this in their name, like `broadband` or `interrupted`; `table` are those with a target.
    #[arg(long, default_value = "")]
    only: String,
    /// Tells each sentence that was cut off or not understood whole.
    #[arg(long)]
    misheard: bool,
}

impl Arguments {
    fn takes(&self, setting: &Setting) -> bool {
        setting.name.contains(&self.only) || (self.only == TABLE && setting.in_table)
    }
}

const TABLE: &str = "table";
const CAPACITY: &str = "calls a core carries";

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let report = run(&arguments, folder.path())?;
    keep("speech", &Value::Object(report.clone()))?;
    println!("\n{}", figures::table(&report));
    println!("{}", Value::Object(report));
    Ok(())
}

/// Which server it was: the beginning of its program's SHA-256, for it may be of another commit than these sources.
fn server_binary() -> Result<String> {
    let program = std::fs::read(std::env::current_exe()?.with_file_name("bellhop"))?;
    Ok(recordings::sha256(&program)[..16].to_owned())
}

fn tell_misheard(sentence: &Sentence<'_>) {
    let (said, heard) = (&sentence.said.words, &sentence.heard);
    if sentence.cut_off || word_errors(said, heard).0 > 0 {
        let pause = sentence.said.pause.as_ref().map_or(0, |pause| pause.milliseconds);
        let (speaker, condition) = (sentence.said.speaker, sentence.condition);
        let cut_off = if sentence.cut_off { ", cut off" } else { "" };
        println!("  {speaker}, {condition}, pause {pause} ms: \"{said}\" was heard as \"{heard}\"{cut_off}");
    }
}

fn run(arguments: &Arguments, folder: &Path) -> Result<Map<String, Value>> {
    let (receiver, at) = Receiver::open()?;
    let server = Server::start(folder, at)?;
    let mut bench = Bench::new(&server, arguments.utterances)?;
    let mut report = Map::new();
    for setting in SETTINGS.iter().filter(|setting| arguments.takes(setting)) {
        let at_once = setting.at_once.unwrap_or(arguments.at_once);
        let calls = (setting.calls)(&mut bench)?;
        let placed = place_all(calls, at_once, &server, &receiver)?;
        if arguments.misheard {
            placed
                .outcomes
                .iter()
                .flat_map(|outcome| outcome.sentences())
                .for_each(|sentence| tell_misheard(&sentence));
        }
        let mut figures = (setting.judge)(&placed.outcomes);
        figures.insert("at_once".to_owned(), json!(at_once));
        figures.insert("processor".to_owned(), placed.spent.to_json());
        println!("{:<30} {}", setting.name, Value::Object(figures.clone()));
        report.insert(setting.name.to_owned(), Value::Object(figures));
    }
    if CAPACITY.contains(&arguments.only) {
        let figures = capacity::search(&mut bench, &server, &receiver)?;
        println!("{CAPACITY:<30} {}", Value::Object(figures.clone()));
        report.insert(CAPACITY.to_owned(), Value::Object(figures));
    }
    ensure!(!report.is_empty(), "no setting has \"{}\" in its name", arguments.only);
    report.insert("targets".to_owned(), figures::against_targets(&report));
    report.insert("server".to_owned(), json!(server_binary()?));
    Ok(report)
}
