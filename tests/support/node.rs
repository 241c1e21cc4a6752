//! The real binary as a node: a process with its files, its log and its Amazon Connect.
//!
//! Invariant: ports are ephemeral and on loopback, and the process ends with its handle.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bellhop_rehearsal::caller::{self, CallPlan, CallReport, Conditions, Ended, Line};
use bellhop_rehearsal::connect::{AccessKey, StandIn};
use bellhop_rehearsal::flow::{Stop, TransferOutcome};
use bellhop_sip::hop::Transport;
use bellhop_sip::sdp::{Codec, Security};

pub(crate) const INSTANCE: &str = "arn:aws:connect:eu-west-2:111122223333:instance/abc";
pub(crate) const SCRIPT: &str = "
start: greeting
steps:
  greeting:
    respond: [{response_type: text, text: Hello.}]
    expect: &menu
      - say: [I want to speak to an agent, let me talk to a person, agent please, connect me to somebody,
              I need help from a human, can I speak to someone, operator please, I want a real person]
        press: '0'
        go: agent
      - {press: '9', go: goodbye}
    otherwise: not_understood
  agent:
    respond:
      - {response_type: text, text: Yes.}
      - response_type: connect_to_agent
        message_to_human_agent: Wants a loan.
        transfer_info: {target: {amazon_connect: {custom_data: {topic: loan}}}}
        agent_available: {message: Wait.}
  goodbye: {respond: [{response_type: end_session}]}
  not_understood: {respond: [{response_type: text, text: Pardon?}], expect: *menu, otherwise: not_understood}
";

/// A server process with its files and its Amazon Connect.
pub(crate) struct Node {
    pub(crate) process: Child,
    pub(crate) folder: PathBuf,
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) http: SocketAddr,
    /// Where the metrics are, if they are apart.
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) connect: StandIn,
}

static NODES: AtomicU32 = AtomicU32::new(0);

pub(crate) fn folder() -> PathBuf {
    NODES.fetch_add(1, Ordering::Relaxed);
    // A failed test leaves its folder behind to be looked at, and a name by the process may come again.
    tempfile::Builder::new().prefix("bellhop-e2e-").tempdir().expect("a folder").keep()
}

pub(crate) fn config(folder: &Path, connect: SocketAddr, recognizer: &str, extra: &str) -> PathBuf {
    std::fs::write(folder.join("script.yaml"), SCRIPT).expect("written");
    let first_port = 20_000 + ((std::process::id() * 7 + NODES.load(Ordering::Relaxed)) % 400) * 100;
    write_certificate(folder);
    let text = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0 from 127.0.0.0/8\", \"tcp+tls:127.0.0.1:0 from 127.0.0.0/8\"]\ndrain_seconds = 5\n[sip.tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n[media]\nports = \"{first_port}-{}\"\nbind = \"127.0.0.1\"\n[http]\nlisten = \"127.0.0.1:0\"\n[egress]\nprivate_networks = true\n[storage]\nurl = \"sqlite://{}\"\n[[tenants]]\nname = \"acme\"\nnumbers = [\"+18005550123\"]\n[tenants.connect]\ninstance_arn = \"{INSTANCE}\"\naccess_key_id = \"AKIATEST\"\nsecret_access_key = \"secret\"\nendpoint_url = \"http://{connect}\"\n[tenants.assistant]\nkind = \"scripted\"\nscript = \"script.yaml\"\n[tenants.speech_to_text]\nkind = \"{recognizer}\"\n[tenants.text_to_speech]\nkind = \"flite\"\n{extra}",
        first_port + 99,
        folder.join("bellhop.db").display(),
    );
    let path = folder.join("bellhop.toml");
    std::fs::write(&path, text).expect("written");
    path
}

/// A configuration with ports for ten times as many calls: a pair of them rests after its call.
pub(crate) fn with_many_ports(text: &str) -> String {
    let first = text.split("ports = \"").nth(1).and_then(|rest| rest.split('-').next()).expect("a range");
    let first: u16 = first.parse().expect("a port");
    text.replace(&format!("\"{first}-{}\"", first + 99), &format!("\"{first}-{}\"", first + 999))
}

/// A configuration with another database.
pub(crate) fn on_database(text: &str, url: &str) -> String {
    let before = text.lines().find(|line| line.starts_with("url = ")).expect("a database");
    text.replace(before, &format!("url = \"{url}\""))
}

/// A certificate for `localhost`, of its own making.
pub(crate) fn write_certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    std::fs::write(folder.join("certificate.pem"), made.cert.pem()).expect("written");
}

/// An Amazon Connect of its own, and where it is.
pub(crate) fn stand_in() -> (StandIn, SocketAddr) {
    let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
    let connect = StandIn::new(INSTANCE.parse().expect("an ARN"), key, false);
    let connect_at = connect.serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    (connect, connect_at)
}

/// Waits until something is so; `what` is said if it never is.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    told_by(what, || is_so().then_some(()));
}

/// Waits until something is told.
pub(crate) fn told_by<T>(what: &str, mut told: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(told) = told() {
            return told;
        }
        assert!(Instant::now() < limit, "it never came: {what}");
        std::thread::yield_now();
    }
}

impl Node {
    /// One whose tenant has these services instead of the embedded ones; `before` stands before all of its configuration.
    pub(crate) fn with_services(before: &str, services: &str) -> Self {
        let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
        let connect = StandIn::new(INSTANCE.parse().expect("an ARN"), key, false);
        let connect_at = connect.serve("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let folder = folder();
        let path = config(&folder, connect_at, "counting", "");
        let text = std::fs::read_to_string(&path).expect("written");
        let (head, _) = text.split_once("[tenants.assistant]").expect("services");
        std::fs::write(&path, format!("{before}{head}{services}")).expect("written");
        Self::serve(&path, folder, connect)
    }

    pub(crate) fn start(recognizer: &str, extra: &str) -> Self {
        let (connect, connect_at) = stand_in();
        let folder = folder();
        let path = config(&folder, connect_at, recognizer, extra);
        Self::serve(&path, folder, connect)
    }

    pub(crate) fn serve(path: &Path, folder: PathBuf, connect: StandIn) -> Self {
        Self::serve_by(Command::new(env!("CARGO_BIN_EXE_bellhop")), path, folder, connect)
    }

    /// One whose configuration is changed before it reads it, and the URL of its Amazon Connect.
    pub(crate) fn changed(change: impl FnOnce(String) -> String) -> (Self, String) {
        let (connect, connect_at) = stand_in();
        let folder = folder();
        let path = config(&folder, connect_at, "counting", "");
        let text = std::fs::read_to_string(&path).expect("written");
        std::fs::write(&path, change(text)).expect("written");
        (Self::serve(&path, folder, connect), format!("http://{connect_at}"))
    }

    /// The same; nobody reads its log once it serves.
    pub(crate) fn start_without_a_reader_of_its_log(recognizer: &str) -> Self {
        let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
        let connect = StandIn::new(INSTANCE.parse().expect("an ARN"), key, false);
        let connect_at = connect.serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let folder = folder();
        let path = config(&folder, connect_at, recognizer, "");
        Self::begin(Command::new(env!("CARGO_BIN_EXE_bellhop")), &path, folder, connect).0
    }

    /// The same by a command that becomes the server, given its arguments.
    pub(crate) fn serve_by(command: Command, path: &Path, folder: PathBuf, connect: StandIn) -> Self {
        let (node, lines) = Self::begin(command, path, folder, connect);
        // The rest of the log is read so that the pipe never fills; a failing test shows it.
        let log = node.folder.join("log");
        std::thread::spawn(move || {
            let mut file = std::fs::File::create(log).expect("a log file");
            for line in lines.map_while(Result::ok) {
                let _ = writeln!(file, "{line}");
            }
        });
        node
    }

    /// Starts the server and reads its log until it serves.
    fn begin(
        mut command: Command,
        path: &Path,
        folder: PathBuf,
        connect: StandIn,
    ) -> (Self, Lines<BufReader<ChildStderr>>) {
        let mut process = command
            .args(["serve", "--config"])
            .arg(path)
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines();
        let (mut udp, mut tcp, mut http, mut metrics) = (None, None, None, None);
        let mut start = std::fs::File::create(folder.join("log-of-start")).expect("a log file");
        while http.is_none() {
            let line = lines.next().expect("the server says where it listens").expect("text");
            writeln!(start, "{line}").expect("written");
            let address = |key: &str| {
                let rest = line.split(&format!("\"{key}\":\"")).nth(1)?;
                rest.split('"').next()?.parse::<SocketAddr>().ok()
            };
            match () {
                () if line.contains("SIP is heard") && line.contains("\"udp\"") => udp = address("address"),
                () if line.contains("SIP is heard") => tcp = address("address"),
                () if line.contains("metrics are told") => metrics = address("address"),
                () if line.contains("\"serving\"") => http = address("address"),
                () => {}
            }
        }
        let (udp, tcp, http) = (udp.expect("UDP"), tcp.expect("TCP"), http.expect("HTTP"));
        (Self { process, folder, udp, tcp, http, metrics, connect }, lines)
    }

    pub(crate) fn get(&self, path: &str) -> String {
        self.try_get(path).expect("an answer")
    }

    fn try_get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.http)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: bellhop\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The value of a metric's series, by the beginning of its line.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics");
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(f64::NAN)
    }

    /// The same without TLS.
    pub(crate) fn start_without_tls(recognizer: &str) -> Self {
        let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
        let connect = StandIn::new(INSTANCE.parse().expect("an ARN"), key, false);
        let connect_at = connect.serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let folder = folder();
        let path = config(&folder, connect_at, recognizer, "");
        let text = std::fs::read_to_string(&path).expect("written").replace("tcp+tls:", "tcp:");
        let (head, rest) = text.split_once("[sip.tls]").expect("a section");
        let (_, rest) = rest.split_once("[media]").expect("the next section");
        std::fs::write(&path, format!("{head}[media]{rest}")).expect("written");
        Self::serve(&path, folder, connect)
    }

    /// Waits until a metric's series, summed over its labels, has a value. Who asks in the moment in which a process runs again
    /// that stood still may be turned away: the clock of the HTTP server ticks twice a second, and by it the request is late.
    pub(crate) fn wait_for(&self, family: &str, value: f64) {
        let sum = || {
            let Ok(text) = self.try_get("/metrics") else { return f64::NEG_INFINITY };
            let of_family =
                |line: &&str| line.starts_with(&format!("{family}{{")) || line.starts_with(&format!("{family} "));
            text.lines().filter(of_family).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
        };
        until(&format!("{family} of {value}"), || sum() >= value);
    }

    pub(crate) fn wait_until_idle(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.metric("bellhop_calls_active{") != 0.0 && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }

    pub(crate) fn sipp(&self, scenario: &str, transport: Transport, number: &str, calls: u32) {
        let target = if transport == Transport::Udp { self.udp } else { self.tcp };
        self.sipp_at(target, scenario, transport, number, calls);
    }

    /// The same against somebody in front of the node.
    pub(crate) fn sipp_at(&self, target: SocketAddr, scenario: &str, transport: Transport, number: &str, calls: u32) {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/sipp/{scenario}.xml"));
        // Debian's SIPp has no TLS.
        let kind = if transport == Transport::Udp { "u1" } else { "t1" };
        let output = Command::new("sipp")
            .arg(target.to_string())
            .arg("-sf")
            .arg(&scenario)
            .args(["-s", number, "-t", kind, "-i", "127.0.0.1", "-nostdin", "-timeout", "60", "-timeout_error"])
            .args(["-m", &calls.to_string(), "-l", &calls.to_string(), "-r", &calls.to_string()])
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .expect("sipp is installed: see README");
        let tail = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(output.status.success(), "{} over {transport}: {tail}\n{log}", scenario.display());
    }

    /// A call through the contact flow, from its transfer to where the flow went; G.711 in the clear.
    pub(crate) fn call(&self, transport: Transport, contact: &str, lines: Vec<Line>) -> (CallReport, Stop) {
        self.call_with(transport, &[Codec::Pcmu, Codec::Pcma], Security::Off, contact, lines)
    }

    /// The same with other audio.
    pub(crate) fn call_with(
        &self,
        transport: Transport,
        codecs: &[Codec],
        security: Security,
        contact: &str,
        lines: Vec<Line>,
    ) -> (CallReport, Stop) {
        let stop = self.connect.contact_arrives(contact, "+12065550100", "+18005550123").expect("the flow runs");
        let Stop::Transferring { user_to_user } = stop else { panic!("{stop:?}") };
        let plan = CallPlan {
            codecs: codecs.to_vec(),
            security,
            certificate: std::fs::read(self.folder.join("certificate.pem")).ok(),
            server_name: "localhost".to_owned(),
            server: if transport == Transport::Udp { self.udp } else { self.tcp },
            transport,
            dialled: "+18005550123".into(),
            caller: "+12065550100".into(),
            headers: self.connect.headers(contact, &user_to_user),
            lines,
            conditions: Conditions::default(),
            limit: Duration::from_secs(60),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let report = runtime.block_on(caller::place(plan, |_, _| {})).expect("the call is placed");
        let outcome = if matches!(report.ended, Ended::Refused(_)) {
            TransferOutcome::CallFailed
        } else {
            TransferOutcome::Success
        };
        let stop = self.connect.call_over(contact, outcome).expect("the flow runs on");
        (report, stop)
    }

    /// Begins a call on a thread of its own: its server will not live to end it.
    pub(crate) fn begin_call(&self, contact: &str, lines: Vec<Line>) {
        let stop = self.connect.contact_arrives(contact, "+12065550100", "+18005550123").expect("the flow runs");
        let Stop::Transferring { user_to_user } = stop else { panic!("{stop:?}") };
        let hex: String = user_to_user.bytes().map(|byte| format!("{byte:02x}")).collect();
        let plan = CallPlan {
            codecs: vec![Codec::Pcmu],
            security: Security::Off,
            certificate: None,
            server_name: "localhost".to_owned(),
            server: self.udp,
            transport: Transport::Udp,
            dialled: "+18005550123".into(),
            caller: "+12065550100".into(),
            headers: vec![
                ("User-to-User".into(), format!("{hex};encoding=hex")),
                ("X-Amzn-ConnectInitialContactId".into(), contact.into()),
            ],
            lines,
            conditions: Conditions::default(),
            limit: Duration::from_secs(60),
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let _ = runtime.block_on(caller::place(plan, |_, _| {}));
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// What a caller's voice is to the stand-ins: loud for 600 ms.
pub(crate) fn speaks() -> Line {
    let samples =
        (0..4800).map(|n| ((f64::from(n) * 0.35).sin() * 9000.0 * (0.6 + 0.4 * (f64::from(n) * 0.003).sin())) as i16);
    let harmonics: Vec<i16> =
        samples.enumerate().map(|(n, s)| s / 2 + ((n as f64 * 0.094).sin() * 6000.0) as i16).collect();
    Line::Say { words: "loud".into(), samples: harmonics }
}
