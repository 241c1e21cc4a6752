//! `make bench`: N calls held with RTP both ways, ours and the reference floor in the same run.
//!
//! The generator and the floor are the C programs in `bench/reference/`, compiled here; the server is the release binary
//! in a process of its own, pinned to a core where there are two. CPU comes from `/proc/PID/stat` differences over the held
//! window. Every leg of ours runs its whole speech path: jitter buffer, concealment, voice activity, 16 kHz to a counting
//! recognizer, paced playout. The last line is one JSON object. Loopback only.

#![allow(clippy::print_stdout)] // a command-line tool

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use bellhop_bench::{Process, keep, pinned};
use clap::Parser;
use serde_json::{Value, json};

mod tenant_services;
mod tls_bridge;
mod viewers;

use tenant_services::{NUMBERS, StandIns, Used};
use viewers::{People, Viewers};

/// Holds calls with RTP both ways and reports what they cost.
#[derive(Parser, Clone)]
struct Arguments {
    /// Calls held at once.
    #[arg(long, default_value_t = 200)]
    calls: u32,
    /// Seconds they are held and measured.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// New calls per second while it fills up.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// No audio: calls come, are acknowledged and end at once; what is measured is a call's signalling.
    #[arg(long)]
    signalling: bool,
    /// Which services the tenants use.
    #[arg(long, value_enum, default_value_t = Used::Embedded)]
    services: Used,
    /// Seconds from one turn of a call to the next, with services that understand.
    #[arg(long, default_value_t = 10)]
    turn_seconds: u32,
    /// SIP by TLS and audio by SRTP.
    #[arg(long)]
    secure: bool,
    /// Streams of what happens in calls that are open over HTTP while the calls are held, by people who also load the calls' pages.
    #[arg(long, default_value_t = 0)]
    viewers: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let own = tempfile::tempdir()?;
    let folder = own.path();
    let line = if arguments.signalling { signalling(&arguments, folder) } else { run(&arguments, folder) }?;
    keep("load", &serde_json::from_str(&line)?)?;
    println!("{line}");
    Ok(())
}

fn run(arguments: &Arguments, folder: &Path) -> Result<String> {
    compile("floord", &[], folder)?;
    compile("mediauac", if arguments.secure { &["-DSRTP", "-lm", "-lcrypto"] } else { &["-lm"] }, folder)?;
    println!("floor: {} calls, a socket per call, decode + 16 kHz + energy + encode …", arguments.calls);
    let (floor_port, floor) = floor(folder)?;
    let plain = Arguments { secure: false, ..arguments.clone() };
    let at_floor = generate(&plain, folder, floor_port, floor.id())?;
    drop(floor);

    println!("bellhop: {} calls, the whole speech path …", arguments.calls);
    let certificate = tenant_services::certify(folder)?;
    let with_services = arguments.services != Used::Embedded;
    let stand_ins = with_services.then(|| StandIns::start(certificate, arguments.turn_seconds)).transpose()?;
    let mut server = serve(arguments, folder, stand_ins.as_ref())?;
    let (sip, http) = server.addresses()?;
    let sip_port = match arguments.secure {
        true => tls_bridge::start(sip, &folder.join("services.crt"))?,
        false => sip.port(),
    };
    // One call before all, so that the announcement is made: what a tenant's first caller waits for is not what is measured.
    let first = Arguments { calls: NUMBERS.len() as u32, seconds: 1, rate: 1, ..arguments.clone() };
    generate(&first, folder, sip_port, server.id())?;
    let before = metric(http, "bellhop_recognizer_samples_total")?;
    let viewers = watch(arguments, folder, http)?;
    let ours = generate(arguments, folder, sip_port, server.id())?;
    let watched = viewers.map(Viewers::end).transpose()?;
    let text = metrics(http)?;
    let heard = metric(http, "bellhop_recognizer_samples_total")? - before;
    let received = series(&text, "bellhop_rtp_packets_total{direction=\"received\"}");
    let sent = ours["rtp"]["sent"].as_f64().unwrap_or_default();
    println!(
        "samples: the generator sent {:.0}, the recognizers counted {heard:.0}; packets received {received:.0}",
        sent * 160.0
    );
    drop(server);
    let services = stand_ins.map(StandIns::end).transpose()?;
    println!("bellhop: {ours}");
    println!("floor:   {at_floor}");

    let mut report = figures(arguments, &ours, &at_floor);
    let more = [
        ("samples_counted", json!(heard)),
        ("watched", json!(watched)),
        ("sealed", ours["srtp"].clone()),
        ("services", json!(services)),
        ("waits_ms", tenant_services::waits(&text)),
    ];
    more.into_iter().for_each(|(name, figure)| report[name] = figure);
    Ok(report.to_string())
}

/// What the generator found of both, side by side.
fn figures(arguments: &Arguments, ours: &Value, at_floor: &Value) -> Value {
    let cost = |figures: &Value| figures["cpu_per_call_pct"].as_f64().unwrap_or(f64::NAN);
    json!({
        "calls": arguments.calls,
        "seconds": arguments.seconds,
        "answered": ours["ok"],
        "refused": ours["codes"],
        "cpu_percent_per_call": cost(ours),
        "floor_percent_per_call": cost(at_floor),
        "ratio": (cost(ours) / cost(at_floor) * 100.0).round() / 100.0,
        "lost": ours["rtp"]["seq_lost"],
        "gap_p99_ms": ours["gap_ms"]["p99"],
        "gap_max_ms": ours["gap_ms"]["max"],
        "setup_p50_ms": ours["setup_ms"]["p50"],
        "setup_p99_ms": ours["setup_ms"]["p99"],
        "memory_kib_per_call": ours["rss_per_call_kb"],
        "samples_sent": ours["rtp"]["sent"].as_f64().unwrap_or_default() * 160.0,
    })
}

/// Calls without audio, as many a second as asked for: the server's whole cost of one, start to end, beside that of a proxy
/// that answers 200 and keeps nothing.
fn signalling(arguments: &Arguments, folder: &Path) -> Result<String> {
    println!("kamailio: {} calls, 200 to everything, nothing kept …", arguments.calls);
    let reference_port = free_port()?;
    let mut kamailio = Command::new("kamailio");
    kamailio.args(["-DD", "-E", "-l", &format!("udp:127.0.0.1:{reference_port}"), "-f"]);
    kamailio.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/kamailio.cfg"));
    kamailio.arg("-w").arg(folder).arg("-Y").arg(folder);
    let reference = Process::start(&mut kamailio, 0)?;
    std::thread::sleep(std::time::Duration::from_secs(1)); // it says nothing when it is ready
    let before = family_cpu_ms(reference.id())?;
    call_without_audio(arguments.calls, arguments.rate, reference_port, folder)?;
    let at_reference = (family_cpu_ms(reference.id())? - before) / f64::from(arguments.calls);
    drop(reference);

    println!("bellhop: {} calls, all their actors, a leg and a greeting …", arguments.calls);
    let mut server = serve(arguments, folder, None)?;
    let (sip, _) = server.addresses()?;
    call_without_audio(1, 1, sip.port(), folder)?; // so that the announcement is made
    let before = cpu_ms(server.id())?;
    call_without_audio(arguments.calls, arguments.rate, sip.port(), folder)?;
    let ours = (cpu_ms(server.id())? - before) / f64::from(arguments.calls);
    let (median, slow) = set_up_times(folder)?;
    let rounded = |figure: f64| (figure * 1000.0).round() / 1000.0;
    let report = json!({
        "calls": arguments.calls,
        "calls_per_second": arguments.rate,
        "cpu_ms_per_call": rounded(ours),
        "kamailio_cpu_ms_per_call": rounded(at_reference),
        "ratio": (ours / at_reference * 100.0).round() / 100.0,
        "setup_p50_ms": median,
        "setup_p99_ms": slow,
    });
    Ok(report.to_string())
}

/// SIPp calls, is answered and says BYE after 20 ms; every call has to go well.
fn call_without_audio(calls: u32, rate: u32, port: u16, folder: &Path) -> Result<()> {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/signalling.xml");
    let mut sipp = pinned(Path::new("sipp"), 1);
    sipp.arg(format!("127.0.0.1:{port}")).arg("-sf").arg(scenario).args(["-s", "+18005550123", "-i", "127.0.0.1"]);
    sipp.args(["-nostdin", "-m", &calls.to_string(), "-r", &rate.to_string()]);
    sipp.args(["-trace_rtt", "-rtt_freq", "1", "-timeout", "300", "-timeout_error"]);
    let output = sipp.current_dir(folder).stdin(Stdio::null()).output().context("SIPp is needed")?;
    if !output.status.success() {
        bail!("calls failed: {}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(())
}

/// From INVITE to 200: the median and the slowest of a hundred, from what SIPp wrote down.
fn set_up_times(folder: &Path) -> Result<(f64, f64)> {
    let files = std::fs::read_dir(folder)?.filter_map(|file| Some(file.ok()?.path()));
    let times = files.filter(|path| path.to_string_lossy().ends_with("_rtt.csv"));
    let last = times.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    let file = last.context("SIPp wrote its times")?;
    let text = std::fs::read_to_string(file)?;
    let mut times: Vec<f64> = text.lines().filter_map(|line| line.split(';').nth(1)?.parse().ok()).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    Ok((at(0.5), at(0.99)))
}

/// User and system time of a process so far, in milliseconds.
fn cpu_ms(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) * 10.0) // a tick is 10 ms
}

/// The same of a process and of those it started.
fn family_cpu_ms(pid: u32) -> Result<f64> {
    let started = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let children = started.split_whitespace().filter_map(|child| child.parse().ok());
    children.map(cpu_ms).try_fold(cpu_ms(pid)?, |sum, child| Ok(sum + child?))
}

fn compile(program: &str, libraries: &[&str], folder: &Path) -> Result<()> {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference");
    let built = Command::new("gcc")
        .args(["-O2", "-w", "-o"])
        .arg(folder.join(program))
        .arg(reference.join(format!("{program}.c")))
        .args(libraries)
        .status()
        .context("gcc is needed for the reference programs")?;
    if !built.success() {
        bail!("the reference program {program} does not compile");
    }
    Ok(())
}

/// Runs the generator against a port and returns its figures.
fn generate(arguments: &Arguments, folder: &Path, port: u16, pid: u32) -> Result<Value> {
    let local = free_port()?;
    let output = pinned(&folder.join("mediauac"), 1)
        .args(["-t", &format!("127.0.0.1:{port}"), "-L", &local.to_string(), "-R", "32000"])
        .args([
            "-n",
            &arguments.calls.to_string(),
            "-r",
            &arguments.rate.to_string(),
            "-d",
            &arguments.seconds.to_string(),
        ])
        .args(["-u", &dialled(arguments), "-p", &pid.to_string(), "-S", "6"])
        .args(arguments.secure.then_some("-K"))
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap_or_default()).with_context(|| format!("the generator said: {text}"))
}

fn serve(arguments: &Arguments, folder: &Path, stand_ins: Option<&StandIns>) -> Result<Process> {
    // A reply that ends the call cannot be cut off by the generator's tones: it is spoken for the whole window.
    let sentences = "All our agents are busy. Please hold the line. ".repeat(10);
    let text = format!("      - {{response_type: text, text: \"{sentences}\"}}\n");
    let script = format!(
        "start: hold\nsteps:\n  hold:\n    respond:\n{}      - {{response_type: end_session}}\n",
        text.repeat(6)
    );
    std::fs::write(folder.join("hold.yaml"), script)?;
    let limit = arguments.calls + 10;
    let (listen, tls) = match arguments.secure {
        true => ("tls:127.0.0.1:0", "[sip.tls]\ncertificate = \"services.crt\"\nkey = \"services.key\"\n"),
        false => ("udp:127.0.0.1:0", ""),
    };
    let mut config = format!(
        "[sip]\nlisten = [\"{listen}\"]\nmax_calls = {limit}\n{tls}[media]\nports = \"40000-{}\"\nbind = \"127.0.0.1\"\nshards = 1\n[http]\nlisten = \"127.0.0.1:0\"\n",
        40_000 + limit * 2 + 400
    );
    config += &tenant_services::settings(folder, arguments.services, stand_ins, limit);
    let path = folder.join("bench.toml");
    std::fs::write(&path, config)?;
    let Some(stand_ins) = stand_ins else { return Process::serve(&path, Some(0)) };
    let mut server = Command::new(std::env::current_exe()?.with_file_name("bellhop"));
    server.args(["serve", "--config"]).arg(&path);
    Process::start(&mut stand_ins.trusted_by(&server), 0)
}

/// The floor, and the port of its SIP.
fn floor(folder: &Path) -> Result<(u16, Process)> {
    let floor_port = free_port()?;
    let floor = Process::start(
        Command::new(folder.join("floord")).args([
            "-p",
            &floor_port.to_string(),
            "-m",
            "tick",
            "-s",
            "percall",
            "-c",
            "2",
        ]),
        0,
    )?;
    Ok((floor_port, floor))
}

/// Those who will watch once the calls are up, if somebody does.
fn watch(arguments: &Arguments, folder: &Path, http: SocketAddr) -> Result<Option<Viewers>> {
    if arguments.viewers == 0 {
        return Ok(None);
    }
    let claim = std::fs::read_to_string(folder.join("operator-claim")).context("the link of the first start")?;
    let people = People::sign_in(http, &claim, arguments.viewers)?;
    println!("viewers: {} will watch …", arguments.viewers);
    Ok(Some(people.watch(arguments.viewers, arguments.calls as usize)))
}

fn metrics(http: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(http)?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn metric(http: SocketAddr, name: &str) -> Result<f64> {
    Ok(series(&metrics(http)?, name))
}

fn series(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}

/// Whom the generator calls, in turn.
fn dialled(arguments: &Arguments) -> String {
    if arguments.services == Used::Embedded { NUMBERS[0].to_owned() } else { NUMBERS.join(",") }
}

fn free_port() -> Result<u16> {
    Ok(std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port())
}
