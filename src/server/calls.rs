//! `bellhop calls`: what calls are doing and what became of them.
//!
//! Invariant: nothing is changed but by `forget`, which says what it deleted.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bellhop_adapters::storage::sqlite::{Database, KeptCall};
use bellhop_dialogue::call_record::Event;
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::Value;

use crate::config::Config;
use crate::live::{self, Line};

/// `bellhop calls …`
#[derive(Debug, Subcommand)]
pub enum Calls {
    /// Follow calls as they happen, on the machine of the server: ladder, words, turns, timings, levels.
    Tail {
        /// The server's configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Only this call, as named in the log.
        call: Option<String>,
        /// Lines of JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Show a call that is over: its session, its name in the log, or its SIP Call-ID.
    Show {
        /// The server's configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Which call.
        call: String,
        /// The call detail record as JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// List the latest calls.
    List {
        /// The server's configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Only those of this tenant.
        #[arg(long)]
        tenant: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 20)]
        count: u32,
    },
    /// Delete everything that is kept of a caller: records, conversations, recordings, events that wait.
    Forget {
        /// The server's configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The caller's number.
        caller: String,
        /// Only with this tenant.
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Does it.
pub async fn run(command: Calls) -> anyhow::Result<()> {
    match command {
        Calls::Tail { config, call, json } => tail(&config, call.as_deref(), json).await,
        Calls::Show { config, call, json } => {
            let database = open(&config).await?.1;
            let found = database.records().find(&call).await?;
            let Some(kept) = found else {
                bail!("no call is kept under `{call}`: `bellhop calls list` tells which are, `keep_days` for how long");
            };
            if json {
                let details: Value = serde_json::from_str(&kept.details).context("the record is damaged")?;
                print(&serde_json::to_string_pretty(&details)?);
                return Ok(());
            }
            story(&kept)?.iter().for_each(|line| print(line));
            Ok(())
        }
        Calls::List { config, tenant, count } => {
            let database = open(&config).await?.1;
            for kept in database.records().latest(tenant.as_deref(), count).await? {
                print(&summary(&kept));
            }
            Ok(())
        }
        Calls::Forget { config, caller, tenant } => {
            let (settings, database) = open(&config).await?;
            let gone = database.records().forget(&caller, tenant.as_deref()).await?;
            let folders =
                settings.tenants.iter().filter(|one| tenant.as_ref().is_none_or(|name| *name == one.tenant.name));
            let recordings: usize = folders
                .filter_map(|one| one.recordings.as_deref())
                .map(|folder| delete_recordings(folder, &gone.calls))
                .sum();
            print(&format!(
                "deleted: {} call records, {} conversations, {recordings} recordings",
                gone.calls.len(),
                gone.histories
            ));
            Ok(())
        }
    }
}

async fn open(path: &Path) -> anyhow::Result<(Config, Database)> {
    let config = Config::read(path)?;
    let database = Database::open_existing(&config.storage.url).await?;
    Ok((config, database))
}

async fn tail(path: &Path, call: Option<&str>, json: bool) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    let socket =
        live::beside(&config.storage.url).context("a server whose database is in memory cannot be followed")?;
    let show = |text: &str| {
        let Ok(line) = serde_json::from_str::<Line>(text) else {
            print(text); // how many lines were missed
            return true;
        };
        if call.is_none_or(|wanted| wanted == line.call) {
            print(&if json { text.to_owned() } else { format!("{} {}", line.call, told(&line.event)) });
        }
        true
    };
    live::follow(&socket, show).await.with_context(|| {
        format!("no server answers at {}: it must run on this machine, for the same user", socket.display())
    })
}

/// One event.
fn told(event: &Event) -> String {
    let at = event.at_ms as f64 / 1000.0;
    format!("{at:9.3}  {:<10}  {}", event.what.subject(), event.what.told())
}

/// A call in a line.
fn summary(kept: &KeptCall) -> String {
    let details: Value = serde_json::from_str(&kept.details).unwrap_or_default();
    let began = Timestamp::from_millisecond(kept.began_unix_ms).unwrap_or_default();
    let turns = details.pointer("/assistant_interaction_summaries/0/turns").and_then(Value::as_array);
    format!(
        "{}  {}  {:<16}  {:<19}  {:>7.1} s  {:>3} turns  {}",
        began.strftime("%Y-%m-%d %H:%M:%S"),
        kept.call,
        kept.tenant,
        details.pointer("/call/end_reason").and_then(Value::as_str).unwrap_or("?"),
        details.pointer("/call/milliseconds_elapsed").and_then(Value::as_f64).unwrap_or_default() / 1000.0,
        turns.map_or(0, Vec::len),
        kept.session,
    )
}

/// A call from beginning to end, then what each turn took.
fn story(kept: &KeptCall) -> anyhow::Result<Vec<String>> {
    let timeline: Vec<Event> = serde_json::from_str(&kept.timeline).context("the timeline is damaged")?;
    let details: Value = serde_json::from_str(&kept.details).context("the record is damaged")?;
    let mut lines = vec![summary(kept), String::new()];
    lines.extend(timeline.iter().map(told));
    let turns = details.pointer("/assistant_interaction_summaries/0/turns").and_then(Value::as_array);
    lines.extend([
        String::new(),
        "turn  request                          speech  assistant  synthesis  first audio  (ms)".into(),
    ]);
    for (n, turn) in turns.into_iter().flatten().enumerate() {
        let ms = |name: &str| turn["latency"][name].as_u64().map_or_else(|| "-".to_owned(), |ms| ms.to_string());
        lines.push(format!(
            "{n:>4}  {:<31}  {:>6}  {:>9}  {:>9}  {:>11}",
            turn["request"]["type"].as_str().unwrap_or("?"),
            ms("speech_milliseconds"),
            ms("assistant_milliseconds"),
            ms("synthesis_milliseconds"),
            ms("first_audio_milliseconds"),
        ));
    }
    if let Some(network) = details.get("realtime_transport_network_summary") {
        lines.push(String::new());
        for way in ["inbound_stream", "outbound_stream"] {
            let of = |name: &str| network[way][name].as_u64().map_or_else(|| "-".to_owned(), |n| n.to_string());
            lines.push(format!(
                "{way}: {} packets, {} lost, jitter {} ms on average, {} ms at most",
                of("packets_transmitted"),
                of("packets_lost"),
                of("average_jitter"),
                of("maximum_jitter"),
            ));
        }
    }
    Ok(lines)
}

/// Recordings end in the call's name.
fn delete_recordings(folder: &Path, calls: &[String]) -> usize {
    let Ok(files) = std::fs::read_dir(folder) else { return 0 };
    let is_of = |name: &str| calls.iter().any(|call| name.ends_with(&format!("-{call}.wav")));
    let paths = files.filter_map(|file| Some(file.ok()?.path()));
    let theirs = paths.filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_of));
    theirs.filter(|path| std::fs::remove_file(path).is_ok()).count()
}

#[allow(clippy::print_stdout)] // the answer to the command
fn print(line: &str) {
    use std::io::Write;
    // Who reads no further, like `head`, ends it.
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}
