//! PostgreSQL for tests: a cluster on a socket of its own folder, and a database of each test's own in it.
//!
//! One cluster serves all test processes that build into the same folder. Who comes first starts it; it ends, and its folder with
//! it, when nobody has it any more, however they ended: each process holds a lock of the system on a file, and a shell waits for
//! that file to be free. A server refuses to be root's: then it is the user's whom Debian made for it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who owns the databases of tests, and may nothing else.
const ROLE: &str = "bellhop";
/// Seconds that a cluster lives at least, so that the next test finds it.
const KEPT_SECONDS: &str = "20";
/// Seconds that a cluster may take to start.
const STARTED_WITHIN_SECONDS: &str = "60";
/// What is not needed of a database that nobody will miss.
const SETTINGS: &str = "-c fsync=off -c full_page_writes=off -c listen_addresses= -c max_connections=300 \
    -c shared_buffers=32MB -c jit=off -c log_min_messages=warning";

/// A cluster, kept for as long as this.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    /// Uid and gid of the server, if it may not be ours.
    user: Option<(u32, u32)>,
    _in_use: File,
}

impl Cluster {
    /// The cluster that all tests share.
    pub fn shared() -> Self {
        let built_in = std::env::current_exe().expect("a test has a file");
        let built_in = built_in.parent().expect("a folder").to_string_lossy().into_owned();
        let hash = built_in
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self::at(&format!("shared-{hash:016x}"))
    }

    /// One of this test's own, to be stopped and started.
    pub fn own(name: &str) -> Self {
        Self::at(&format!("{name}-{}", std::process::id()))
    }

    fn at(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("bellhop-postgres-{name}"));
        let _ = DirBuilder::new().mode(0o755).create(&folder);
        let lock = |file| {
            let file = folder.join(file);
            OpenOptions::new().create(true).truncate(false).write(true).open(file).expect("a file for a lock")
        };
        let (in_use, starting) = (lock("in-use"), lock("starting"));
        // Waits while the shell takes a cluster down that nobody had.
        in_use.lock_shared().expect("a lock");
        starting.lock().expect("a lock");
        let cluster = Self { programs: programs(), user: user(), folder, _in_use: in_use };
        if !cluster.data().join("postmaster.pid").exists() {
            cluster.make();
            cluster.start();
            cluster.watch();
        }
        cluster
    }

    /// An empty database of its own, as its URL.
    pub fn database(&self, name: &str) -> String {
        let name = format!("{}_{}", name.replace('-', "_"), std::process::id());
        // Longer names are cut by the server.
        let name = &name[name.len().saturating_sub(60)..];
        self.psql("postgres", &format!("CREATE DATABASE \"{name}\" OWNER {ROLE}"));
        self.url(name)
    }

    /// Stops the server, as a crash does.
    pub fn stop(&self) {
        self.run("pg_ctl", &["stop", "-w", "-m", "immediate"]);
    }

    /// Starts it, again.
    pub fn start(&self) {
        let options = format!("{SETTINGS} -c unix_socket_directories={}", self.data().display());
        let log = self.data().join("log").display().to_string();
        self.run("pg_ctl", &["start", "-w", "-t", STARTED_WITHIN_SECONDS, "-l", &log, "-o", &options]);
    }

    /// Carries out a statement as the one who may do everything.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        let host = self.data().display().to_string();
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h", &host, "-d", database]);
        let done = psql.args(["-c", sql]).stdin(Stdio::null()).output().expect("psql runs");
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// From then on the role of the tests is asked for this password.
    #[allow(dead_code)] // each binary uses its part
    pub fn demand_password(&self, password: &str) {
        self.psql("postgres", &format!("ALTER ROLE {ROLE} PASSWORD '{password}'"));
        let who = "local all postgres trust\nlocal all all scram-sha-256\n";
        std::fs::write(self.data().join("pg_hba.conf"), who).expect("written");
        self.psql("postgres", "SELECT pg_reload_conf()");
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}@{}/{database}", self.data().display().to_string().replace('/', "%2F"))
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn make(&self) {
        let _ = std::fs::remove_dir_all(self.data());
        DirBuilder::new().mode(0o700).create(self.data()).expect("a folder");
        if let Some((uid, gid)) = self.user {
            chown(self.data(), Some(uid), Some(gid)).expect("given away");
        }
        self.run("initdb", &["--no-sync", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]);
    }

    /// The shell that ends the server, by its process id, once nobody has the lock.
    fn watch(&self) {
        self.psql("postgres", &format!("CREATE ROLE {ROLE} LOGIN"));
        let script = "(sleep \"$2\"; exec flock -x \"$1/in-use\" sh -c '
            pid=$(head -n 1 \"$1/data/postmaster.pid\" 2>/dev/null) && kill -QUIT \"$pid\"
            n=0; while [ -n \"$pid\" ] && kill -0 \"$pid\" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
            rm -rf \"$1/data\"; case \"$1\" in *shared*) ;; *) rm -rf \"$1\" ;; esac' sh \"$1\")&";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(&self.folder).arg(KEPT_SECONDS);
        // What it leaves in the background outlives this process, and a signal to its group.
        shell.process_group(0).current_dir("/");
        let status = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "a shell watches");
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.programs.join(program));
        command.arg("-D").arg(self.data()).args(arguments).current_dir("/");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        let output = self.folder.join(format!("{program}.out"));
        let to = || File::create(&output).expect("a file");
        let status = command.stdin(Stdio::null()).stdout(to()).stderr(to()).status();
        let status = status.unwrap_or_else(|error| panic!("{program}: {error}"));
        let told = std::fs::read_to_string(&output).unwrap_or_default();
        assert!(status.success(), "{program} {arguments:?}: {status}: {told}");
    }
}

/// The folder of the newest version that Debian installed.
fn programs() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let has_all = |folder: &PathBuf| ["initdb", "pg_ctl", "psql"].iter().all(|name| folder.join(name).exists());
    let newest =
        installed.map(|version| version.path().join("bin")).filter(has_all).max_by_key(|folder| version(folder));
    newest.expect("PostgreSQL is installed: Debian's package postgresql, which `make test` installs")
}

fn version(programs: &Path) -> u32 {
    let name = programs.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or_default()
}

/// Who the server runs as when we are root.
fn user() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let said = Command::new("id").args(arguments).stderr(Stdio::null()).output().expect("id runs").stdout;
        String::from_utf8_lossy(&said).trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let of = |name| Some((id(&["-u", name])?, id(&["-g", name])?));
    of("postgres").or_else(|| of("nobody"))
}
