//! What the programs of this folder share: the server in a process of its own, and where figures are kept.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A process that is ended by its own handle: asked first, so that it ends those it started.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a program on a core, its log piped.
    pub fn start(command: &mut Command, core: usize) -> Result<Self> {
        let program = PathBuf::from(command.get_program());
        let mut all = pinned(&program, core);
        all.args(command.get_args());
        Self::of(&mut all)
    }

    /// The server of this build with a configuration; on `core`, or on all of them.
    pub fn serve(config: &Path, core: Option<usize>) -> Result<Self> {
        let binary = std::env::current_exe()?.with_file_name("bellhop");
        let mut command = Command::new(binary);
        command.args(["serve", "--config"]).arg(config);
        match core {
            Some(core) => Self::start(&mut command, core),
            None => Self::of(&mut command),
        }
    }

    fn of(command: &mut Command) -> Result<Self> {
        let started = command.stderr(Stdio::piped()).spawn();
        started.map(Self).with_context(|| format!("{} cannot be started", command.get_program().display()))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Reads the server's log until it serves: where SIP and HTTP are.
    pub fn addresses(&mut self) -> Result<(SocketAddr, SocketAddr)> {
        let mut lines = BufReader::new(self.0.stderr.take().context("its log is piped")?).lines();
        let mut sip = None;
        loop {
            let line = lines.next().context("the server ended")??;
            let log: Value = serde_json::from_str(&line).unwrap_or_default();
            let address = log["address"].as_str().and_then(|text| text.parse().ok());
            match (log["message"].as_str(), address) {
                (Some("SIP is heard"), Some(address)) => sip = Some(address),
                (Some("serving"), Some(http)) => {
                    std::thread::spawn(move || lines.for_each(drop));
                    return Ok((sip.context("SIP is heard before it serves")?, http));
                }
                _ if line.starts_with("bellhop: ") => bail!("{line}"),
                _ => {}
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.id() as i32), nix::sys::signal::Signal::SIGTERM);
        for _ in 0..20 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A quiet core for the server and the other for the generator, where there are two.
pub fn pinned(program: &Path, core: usize) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if cores < 2 {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// Adds figures to `bench/results/{name}.jsonl` with date, commit, command and machine.
pub fn keep(name: &str, figures: &Value) -> Result<()> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let entry = json!({
        "date": said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
        "commit": said("git", &["rev-parse", "--short", "HEAD"]),
        "command": std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        "machine": format!("{} × {}", std::thread::available_parallelism().map_or(1, std::num::NonZero::get), model.trim_start_matches([' ', '\t', ':'])),
        "figures": figures,
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("results/{name}.jsonl"));
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{entry}")?;
    Ok(())
}
