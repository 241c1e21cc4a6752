//! What the tenants of a load test use: the embedded engines, or services that real tenants have, by the stand-ins of `services/`.
//!
//! Invariant: the stand-ins run on the generator's core, and speak TLS with a certificate of this run alone.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use bellhop_bench::pinned;
use clap::ValueEnum;
use serde_json::{Value, json};

/// The numbers of the two tenants.
pub(crate) const NUMBERS: [&str; 2] = ["+18005550123", "+18005550124"];

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Used {
    /// Counting recognizer, scripted assistant, flite, a database in memory.
    Embedded,
    /// Recognizers by WebSocket, the rest as with `embedded`.
    Recognizer,
    /// Recognizers by WebSocket, and over HTTPS the synthesizer, the assistant and the log webhook; a database on disk.
    All,
}

/// A certificate for `localhost` and its key, as files.
pub(crate) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
}

/// Makes one for this run.
pub(crate) fn certify(folder: &Path) -> Result<Certificate> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let (certificate, key) = (folder.join("services.crt"), folder.join("services.key"));
    std::fs::write(&certificate, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    Ok(Certificate { certificate, key })
}

/// The stand-ins, while they run.
pub(crate) struct StandIns {
    process: Child,
    output: BufReader<ChildStdout>,
    ports: Value,
    certificate: PathBuf,
}

impl StandIns {
    /// Starts them with a certificate.
    pub(crate) fn start(Certificate { certificate, key }: Certificate, turn_seconds: u32) -> Result<Self> {
        let mut command = pinned(&std::env::current_exe()?.with_file_name("services"), 1);
        command.arg("--certificate").arg(&certificate).arg("--key").arg(&key);
        command.args(["--turn-seconds", &turn_seconds.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("the stand-ins of services cannot be started")?;
        let mut output = BufReader::new(process.stdout.take().context("its output is piped")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let ports = serde_json::from_str(&line).context("the stand-ins say where they listen")?;
        Ok(Self { process, output, ports, certificate })
    }

    /// Ends them; what they were asked.
    pub(crate) fn end(mut self) -> Result<Value> {
        drop(self.process.stdin.take());
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    /// The server that trusts them.
    pub(crate) fn trusted_by(&self, server: &Command) -> Command {
        let mut command = Command::new("env");
        command.arg(format!("SSL_CERT_FILE={}", self.certificate.display()));
        command.arg(server.get_program()).args(server.get_args());
        command
    }

    /// Where one of their ports is.
    fn url(&self, scheme: &str, port: &str) -> String {
        format!("{scheme}://localhost:{}", self.ports[port])
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What callers waited from the words that were understood to the first audio of the answer, in milliseconds: the bounds of a histogram.
pub(crate) fn waits(metrics: &str) -> Value {
    const NAME: &str = "bellhop_first_audio_seconds";
    let mut buckets: Vec<(f64, f64)> = vec![];
    let (mut seconds, mut answers) = (0.0, 0.0);
    for line in metrics.lines().filter(|line| line.starts_with(NAME)) {
        let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).unwrap_or_default();
        let bound = line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()?.parse::<f64>().ok());
        match bound {
            Some(bound) => match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += value,
                None => buckets.push((bound, value)),
            },
            None if line.starts_with("bellhop_first_audio_seconds_sum") => seconds += value,
            None if line.starts_with("bellhop_first_audio_seconds_count") => answers += value,
            None => {}
        }
    }
    let below =
        |share: f64| buckets.iter().find(|(_, count)| *count >= answers * share).map(|(bound, _)| bound * 1000.0);
    let mean = (answers > 0.0).then(|| (seconds / answers * 10_000.0).round() / 10.0);
    json!({"answers": answers, "mean": mean, "p50_below": below(0.5), "p99_below": below(0.99)})
}

/// The sections of the tenants, and of the database.
pub(crate) fn settings(folder: &Path, used: Used, stand_ins: Option<&StandIns>, calls_max: u32) -> String {
    let database =
        if used == Used::All { format!("sqlite://{}/bench.db", folder.display()) } else { "sqlite::memory:".into() };
    let mut text = format!("[storage]\nurl = \"{database}\"\n");
    let tenants = if used == Used::Embedded { 1 } else { NUMBERS.len() };
    for (n, number) in NUMBERS.iter().enumerate().take(tenants) {
        text += &format!(
            "[[tenants]]\nname = \"bench{n}\"\nnumbers = [\"{number}\"]\nmax_calls = {calls_max}\n\
             [tenants.connect]\ninstance_arn = \"arn:aws:connect:us-east-1:111122223333:instance/bench\"\n\
             access_key_id = \"none\"\nsecret_access_key = \"none\"\nendpoint_url = \"http://127.0.0.1:9\"\n"
        );
        text += &match (stand_ins, n) {
            (None, _) => "[tenants.speech_to_text]\nkind = \"counting\"\n".to_owned(),
            (Some(stand_ins), 0) => format!(
                "[tenants.speech_to_text]\nkind = \"watson\"\nurl = \"{}\"\ntoken = \"t0ken\"\n",
                stand_ins.url("https", "websocket")
            ),
            (Some(stand_ins), _) => format!(
                "[tenants.speech_to_text]\nkind = \"worker\"\nurl = \"{}\"\ntoken = \"t0ken\"\n",
                stand_ins.url("wss", "websocket")
            ),
        };
        text += &match stand_ins.filter(|_| used == Used::All) {
            // The generator's tones never end: what a recognizer understands is what interrupts.
            Some(stand_ins) => format!(
                "[tenants.conversation]\npost_response_timeout_ms = 60000\nbarge_in_on = \"interim_result\"\n\
                 [tenants.assistant]\nkind = \"webhook\"\nurl = \"{url}/assistant\"\nsecret = \"s3cret\"\n\
                 [tenants.text_to_speech]\nkind = \"watson\"\nurl = \"{url}\"\ntoken = \"t0ken\"\n\
                 [tenants.records.webhook]\nurl = \"{url}/log\"\nsecret = \"s3cret\"\n\
                 events = [\"cdr_logged\", \"message_logged\"]\n",
                url = stand_ins.url("https", "http")
            ),
            None => "[tenants.conversation]\npost_response_timeout_ms = 100\n\
                 [tenants.assistant]\nkind = \"scripted\"\nscript = \"hold.yaml\"\n\
                 [tenants.text_to_speech]\nkind = \"flite\"\nvoice = \"kal\"\n"
                .to_owned(),
        };
    }
    text
}
