//! The real binary on a disk that fills up, and on a database that is locked.
//!
//! The full disk is a tmpfs of two megabytes in a mount namespace of its own, which takes root, as CI has it (or a user
//! namespace, where the system allows those). Where neither is to be had the limit of a file's size (`RLIMIT_FSIZE`) stands in
//! for it: every write fails all the same, and the test says so. The lock is another process's open transaction.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use bellhop_rehearsal::caller::{Ended, Line};
use bellhop_rehearsal::connect::{AccessKey, StandIn};
use bellhop_rehearsal::flow::Stop;
use bellhop_sip::hop::Transport;

#[path = "support/node.rs"]
#[allow(dead_code)] // each binary uses its part
mod node;

use node::{INSTANCE, Node, config, folder};

fn press(keys: &str) -> Vec<Line> {
    vec![Line::AtOnce(Duration::from_millis(300)), Line::Press(keys.into())]
}

const HANDED_OFF: &str = "SIP;cause=200;text=\"handed off to agent\"";

/// Where the database lies, and a way to fill it and to make place again.
enum Disk {
    /// A process that holds a mount namespace with a tmpfs in it.
    Small { holder: Child, at: PathBuf, enter: &'static [&'static str] },
    /// Files may not grow.
    Limited { server: Option<u32> },
}

impl Disk {
    fn new(at: &Path) -> Self {
        std::fs::create_dir_all(at).expect("a folder");
        let ways: [(&[&str], &'static [&'static str]); 2] = [
            (&["--mount"], &["--mount"]),
            (&["--mount", "--user", "--map-root-user"], &["--preserve-credentials", "--user", "--mount"]),
        ];
        for (by, enter) in ways {
            let script = "mount -t tmpfs -o size=2m bellhop \"$1\" && echo mounted && exec cat";
            let mut holder = Command::new("unshare")
                .args(by)
                .args(["sh", "-c", script, "sh"])
                .arg(at)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("util-linux is installed");
            let mut said = String::new();
            let _ = BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut said);
            if said == "mounted\n" {
                return Self::Small { holder, at: at.to_owned(), enter };
            }
            let _ = holder.kill();
            let _ = holder.wait();
        }
        #[allow(clippy::print_stderr)] // what was tested is part of the result
        {
            eprintln!("nothing can be mounted here: a limit of the files' size stands in for a full disk");
        }
        Self::Limited { server: None }
    }

    /// A server on this disk.
    fn serve(&mut self, path: &Path, folder: PathBuf, connect: StandIn) -> Node {
        let bellhop = env!("CARGO_BIN_EXE_bellhop");
        match self {
            Self::Small { holder, enter, .. } => {
                let mut command = Command::new("nsenter");
                command.args(*enter).args(["--target", &holder.id().to_string()]);
                command.arg("--wd=/").arg(bellhop);
                Node::serve_by(command, path, folder, connect)
            }
            Self::Limited { server } => {
                // What is ignored stays ignored by who is started: a write fails instead of killing.
                let mut command = Command::new("sh");
                command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", bellhop]);
                let node = Node::serve_by(command, path, folder, connect);
                *server = Some(node.process.id());
                node
            }
        }
    }

    /// No byte more.
    fn fill(&self) {
        match self {
            Self::Small { holder, at, .. } => {
                let file = std::fs::File::create(Self::seen_from_here(holder, at).join("fill"));
                let mut file = file.expect("there is place for a name");
                while file.write_all(&[1; 512]).is_ok() {}
            }
            Self::Limited { server } => limit(server.expect("it is served"), "1:unlimited"),
        }
    }

    /// Place again.
    fn free(&self) {
        match self {
            Self::Small { holder, at, .. } => {
                std::fs::remove_file(Self::seen_from_here(holder, at).join("fill")).expect("there");
            }
            Self::Limited { server } => limit(server.expect("it is served"), "unlimited:unlimited"),
        }
    }

    fn seen_from_here(holder: &Child, at: &Path) -> PathBuf {
        let inside = at.strip_prefix("/").expect("an absolute path");
        PathBuf::from(format!("/proc/{}/root", holder.id())).join(inside)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Small { holder, .. } = self {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

fn limit(process: u32, limits: &str) {
    let done = Command::new("prlimit").args(["--pid", &process.to_string(), &format!("--fsize={limits}")]).status();
    assert!(done.expect("util-linux is installed").success());
}

/// An open transaction of another process, closed with this.
struct Lock(Child, Option<ChildStdin>);

impl Lock {
    fn on(database: &Path) -> Self {
        let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
            c.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.read()";
        let mut python = Command::new("python3");
        python.args(["-c", script]).arg(database).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = python.spawn().expect("python3 is installed: see README");
        let mut said = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut said).expect("it speaks");
        assert_eq!(said, "locked\n");
        let hold = process.stdin.take();
        Self(process, hold)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.1.take());
        let _ = self.0.wait();
    }
}

fn connect() -> (StandIn, SocketAddr) {
    let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
    let connect = StandIn::new(INSTANCE.parse().expect("an ARN"), key, false);
    let at = connect.serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    (connect, at)
}

/// Calls, asks for an agent, and returns the key that the contact has then, if any.
fn hand_off(node: &Node, contact: &str) -> Option<String> {
    let (report, stop) = node.call(Transport::Udp, contact, press("0"));
    assert!(matches!(stop, Stop::Queued { .. }), "{contact}: whatever happens the caller reaches an agent: {stop:?}");
    let attributes = node.connect.attributes(contact);
    let key = attributes.get("SessionHistoryKey").filter(|key| !key.is_empty()).cloned();
    assert_eq!(report.ended == Ended::ByGateway(HANDED_OFF.into()), key.is_some(), "{contact}: {:?}", report.ended);
    assert_eq!(
        attributes.get("topic").is_some_and(|topic| !topic.is_empty()),
        key.is_some(),
        "{contact}: {attributes:?}"
    );
    key
}

fn shows(node: &Node, key: &str) -> bool {
    let page = node.get(&format!("/loadAgentAppFrame.html?session_history_key={key}"));
    page.starts_with("HTTP/1.1 200") && page.contains("Wait.")
}

#[test]
fn after_a_full_disk_every_key_leads_to_a_conversation_and_while_it_is_full_there_is_none() {
    let folder = folder();
    let (connect, connect_at) = connect();
    let path = config(&folder, connect_at, "counting", "");
    let mut disk = Disk::new(&folder.join("disk"));
    let text = std::fs::read_to_string(&path).expect("written");
    std::fs::write(&path, text.replace("/bellhop.db", "/disk/bellhop.db")).expect("written");
    let mut node = disk.serve(&path, folder, connect.clone());
    let before = hand_off(&node, "before").expect("there is place");
    assert!(shows(&node, &before));

    disk.fill();
    assert_eq!(hand_off(&node, "full"), None);
    assert!(node.get("/readyz").starts_with("HTTP/1.1 503"), "calls had better go elsewhere");
    assert_eq!(hand_off(&node, "still-full"), None);
    assert!(shows(&node, &before), "what is there can be read");

    disk.free();
    let ready = Instant::now() + Duration::from_secs(20);
    while !node.get("/readyz").starts_with("HTTP/1.1 200") && Instant::now() < ready {
        std::thread::yield_now();
    }
    let after = ["after-1", "after-2", "after-3"].map(|contact| hand_off(&node, contact).expect("there is place"));
    assert!(after.iter().all(|key| shows(&node, key)), "a key whose conversation is nowhere");
    // What the page shows is committed: the process may die.
    node.process.kill().expect("SIGKILL");
    node.process.wait().expect("dead");
    let again = disk.serve(&path, node::folder(), connect);
    assert!(after.iter().chain([&before]).all(|key| shows(&again, key)), "a key whose conversation is nowhere");
}

#[test]
fn a_locked_database_costs_the_key_and_nothing_else() {
    let mut node = Node::start("counting", "");
    assert!(hand_off(&node, "before").is_some());
    let lock = Lock::on(&node.folder.join("bellhop.db"));
    assert_eq!(hand_off(&node, "locked"), None);
    drop(lock);
    let after = hand_off(&node, "after").expect("it is free");
    assert!(shows(&node, &after));
    // And it keeps nobody from leaving.
    let _lock = Lock::on(&node.folder.join("bellhop.db"));
    hand_off(&node, "locked-again");
    node.wait_until_idle();
    let pid = nix::unistd::Pid::from_raw(node.process.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("signalled");
    let limit = Instant::now() + Duration::from_secs(10);
    while Instant::now() < limit {
        if let Some(status) = node.process.try_wait().expect("ours") {
            assert!(status.success());
            return;
        }
        std::thread::yield_now();
    }
    panic!("the database is locked, and the server does not end");
}
