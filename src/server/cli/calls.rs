//! `bellhop calls`: what calls are doing, what became of them, and how to end one.
//!
//! Invariants: nothing is changed but by `forget`, which says what it deleted, and `hang-up`; only `[storage]`,
//! `operations.socket` and the folders of recordings are read of the configuration, and no secret but the password of the database.

mod places;
mod story;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bellhop_adapters::recording;
use bellhop_adapters::storage::Store;
use bellhop_call::ports::Wanted;
use bellhop_call::record::EndReason;
use bellhop_tenancy::secret::Secret;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::live::{self, Answer, Command, Line, Refused, RefusedLine};
use crate::terminal::{complain, print};
use crate::wiring::store;
use places::Places;
use story::{listed, story, summary_json, told};

/// How often a server that has ended is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
    List(List),
    /// Hang a call up that is under way, on the machine of the server: its session, its name in the log, or its SIP Call-ID.
    HangUp {
        /// The server's configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Which call.
        call: String,
    },
    /// List the latest calls that were refused by the running server, on its machine: from where, what for, and why.
    Refused {
        /// The server's configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Lines of JSON instead of text.
        #[arg(long)]
        json: bool,
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

/// `bellhop calls list`
#[derive(Debug, Args)]
pub struct List {
    /// The server's configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Only those of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only those from this number.
    #[arg(long)]
    from: Option<String>,
    /// Only those that ended so: assistant_transfer, assistant_hangup, caller_hangup, failed.
    #[arg(long, value_parser = EndReason::ALL.map(EndReason::label))]
    ended: Option<String>,
    /// Only those that began then or later: 2026-11-26, 2026-11-26T12:00, with or without a zone, or 2h for two hours ago.
    #[arg(long, value_parser = moment)]
    since: Option<Timestamp>,
    /// Only those that began before.
    #[arg(long, value_parser = moment)]
    until: Option<Timestamp>,
    /// Most calls that are listed, the newest first.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Lines of JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Does it.
pub async fn run(command: Calls) -> anyhow::Result<()> {
    match command {
        Calls::Tail { config, call, json } => tail(&config, call.as_deref(), json).await,
        Calls::Show { config, call, json } => show(&config, &call, json).await,
        Calls::List(list) => list.print().await,
        Calls::HangUp { config, call } => hang_up(&config, &call).await,
        Calls::Refused { config, json } => refused(&config, json).await,
        Calls::Forget { config, caller, tenant } => forget(&config, &caller, tenant.as_deref()).await,
    }
}

async fn open(path: &Path) -> anyhow::Result<(Places, Arc<dyn Store>)> {
    let places = Places::read(path)?;
    let password = places.password()?;
    let store = store::open_existing(&places.database, password.as_ref().map(Secret::expose)).await?;
    Ok((places, store))
}

async fn show(config: &Path, call: &str, json: bool) -> anyhow::Result<()> {
    let store = open(config).await?.1;
    let Some(kept) = store.find_call(call).await? else {
        bail!("no call is kept under `{call}`: `bellhop calls list` tells which are, `keep_days` for how long");
    };
    if json {
        let details: Value = serde_json::from_str(&kept.details).context("the record is damaged")?;
        serde_json::to_string_pretty(&details)?.lines().for_each(print);
        return Ok(());
    }
    story(&kept)?.iter().for_each(|line| print(line));
    Ok(())
}

impl List {
    async fn print(self) -> anyhow::Result<()> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            bail!("--since is not before --until: nothing could be between them");
        }
        let (places, store) = open(&self.config).await?;
        let wanted = Wanted {
            tenant: self.tenant.clone(),
            caller: self.from,
            reason: self.ended,
            from_unix_ms: self.since.map(Timestamp::as_millisecond),
            until_unix_ms: self.until.map(Timestamp::as_millisecond),
            ..Wanted::default()
        };
        let calls = store.latest(&wanted, self.count).await?;
        if self.json {
            calls.iter().for_each(|call| print(&summary_json(call)));
        } else {
            listed(&calls).iter().for_each(|line| print(line));
        }
        if let Some(unknown) = self.tenant.as_deref().filter(|_| calls.is_empty()).and_then(|name| places.unknown(name))
        {
            complain(&unknown);
        }
        Ok(())
    }
}

/// A time as people write it: what has no zone is in this terminal's.
fn moment(text: &str) -> Result<Timestamp, String> {
    let here = |at: jiff::civil::DateTime| at.to_zoned(TimeZone::system()).map(|at| at.timestamp());
    let ago = |span: jiff::Span| jiff::Zoned::now().checked_sub(span.abs()).map(|at| at.timestamp());
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let local = text.parse::<jiff::civil::DateTime>().and_then(here);
    local.or_else(|_| text.parse::<jiff::Span>().and_then(ago)).map_err(|_| {
        "is no time like 2026-11-26, 2026-11-26T12:00, 2026-11-26T12:00:00Z, or 2h for two hours ago".to_owned()
    })
}

async fn tail(path: &Path, call: Option<&str>, json: bool) -> anyhow::Result<()> {
    let socket = Places::read(path)?.socket()?;
    let mut show = |text: &str| {
        let Ok(line) = serde_json::from_str::<Line>(text) else {
            match serde_json::from_str::<RefusedLine>(text) {
                Ok(line) if call.is_none() && !json => print(&format!("refused {}", told_of_refused(&line.refused))),
                Ok(_) if call.is_some() => {}
                _ => print(text), // how many lines were missed
            }
            return true;
        };
        if call.is_none_or(|wanted| wanted == line.call) {
            print(&if json { text.to_owned() } else { format!("{} {}", line.call, told(&line.event)) });
        }
        true
    };
    live::follow(&socket, &mut show).await.with_context(|| no_server(&socket))?;
    // Servers are restarted: who follows calls goes on with the next one.
    complain("the server has ended: waiting for the next (Ctrl-C ends)");
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let _ = live::follow(&socket, &mut show).await;
    }
}

fn no_server(socket: &Path) -> String {
    format!("no server answers at {}: it must run on this machine, for the same user", socket.display())
}

async fn hang_up(path: &Path, name: &str) -> anyhow::Result<()> {
    let (places, store) = open(path).await?;
    let socket = places.socket()?;
    // A call may not be written down yet; its name in the log is known all the same.
    let call = store.under_way(name).await?.map_or_else(|| name.to_owned(), |call| call.call);
    match live::order(&socket, &Command::HangUp(call.clone())).await.with_context(|| no_server(&socket))? {
        Answer::HungUp => print(&format!("{call}: hung up")),
        Answer::NoSuchCall | Answer::Refused(_) => bail!("no call is up under `{name}`"),
    }
    Ok(())
}

async fn refused(path: &Path, json: bool) -> anyhow::Result<()> {
    let socket = Places::read(path)?.socket()?;
    let answer = live::order(&socket, &Command::Refused).await.with_context(|| no_server(&socket))?;
    let Answer::Refused(calls) = answer else { bail!("the server that answers is of another version") };
    if calls.is_empty() && !json {
        print("no call was refused since the server started");
    }
    for call in &calls {
        print(&if json { serde_json::to_string(call)? } else { told_of_refused(call) });
    }
    Ok(())
}

/// A refused call in a line.
fn told_of_refused(call: &Refused) -> String {
    let at = Timestamp::from_millisecond(call.at_unix_ms).unwrap_or_default().to_zoned(TimeZone::system());
    let tenants = if call.tenants.is_empty() { "nobody".to_owned() } else { call.tenants.join(" or ") };
    let sent_as_text = call.sent_as_text.as_ref().map(|told| format!("; {told}")).unwrap_or_default();
    format!(
        "{}  {} {}  {} {} of {tenants}: {}{sent_as_text}; Call-ID {}",
        at.strftime("%Y-%m-%d %H:%M:%S %Z"),
        call.source,
        call.transport,
        call.status,
        call.dialled,
        call.why,
        call.sip_call_id
    )
}

async fn forget(path: &Path, caller: &str, tenant: Option<&str>) -> anyhow::Result<()> {
    let (places, store) = open(path).await?;
    let calls = store.calls_of(caller, tenant).await?;
    let known = store.known_calls().await?;
    let (mut recordings, mut unknown) = (0, 0);
    for (name, folder) in places.recordings.iter().filter(|(name, _)| tenant.is_none_or(|tenant| tenant == name)) {
        let listed = match recording::list(folder) {
            Ok(listed) => listed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", folder.display())),
        };
        for (recorded, file) in listed.into_iter().filter(|(recorded, _)| recorded.tenant == *name) {
            if calls.contains(&recorded.call) {
                // The records last: they alone know which recordings are the caller's.
                std::fs::remove_file(&file)
                    .with_context(|| format!("{} cannot be deleted; the records are still there", file.display()))?;
                recordings += 1;
            } else if !known.contains(&recorded.call) {
                unknown += 1;
            }
        }
    }
    let gone = store.forget(caller, tenant).await?;
    print(&format!(
        "deleted: {} call records, {} conversations, {recordings} recordings, {} events",
        gone.records, gone.histories, gone.events
    ));
    if let Some(no_tenant) = tenant.and_then(|tenant| places.unknown(tenant)) {
        complain(&no_tenant);
    }
    if unknown > 0 {
        complain(&format!("{unknown} recordings are of calls that nobody remembers: whose they are is not known"));
    }
    if !gone.log_emptied {
        complain("the write-ahead log could not be emptied while the server reads it: it is within ten minutes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(moment("2026-11-26T12:00:00Z").expect("a time").as_second(), 1_795_694_400);
        let day = moment("2026-11-26").expect("a day");
        assert!((day.as_second() - 1_795_651_200).abs() <= 14 * 3600, "midnight here");
        let ago = Timestamp::now().as_second() - moment("2h").expect("a span").as_second();
        assert!((7199..7300).contains(&ago), "{ago}");
        assert!(moment("yesterday").is_err());
    }
}
