//! A real provider of OpenID Connect on loopback, and the browser of somebody who is signed in there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where it sends browsers back to, below [`PUBLIC_URL`].
pub(crate) const CALLBACK: &str = "/api/v1/sign-in/openid-connect/callback";
/// `http.public_url` of the node: no test follows it.
pub(crate) const PUBLIC_URL: &str = "http://127.0.0.1:0";

/// The provider; it ends with this.
pub(crate) struct Provider {
    process: Child,
    pub(crate) at: SocketAddr,
}

/// What the provider told a browser.
struct Told {
    location: String,
    cookies: BTreeMap<String, String>,
}

/// Where `make test` puts its packages.
fn packages() -> PathBuf {
    let built = std::env::current_exe().expect("a test has a file");
    let folder = built.ancestors().nth(3).expect("the folder that cargo builds into").join("identity_provider");
    assert!(folder.join("node_modules").exists(), "{} is not there: `make test` installs it", folder.display());
    folder
}

impl Provider {
    pub(crate) fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/identity_provider/server.mjs");
        let mut process = Command::new("node")
            .arg(script)
            .arg(packages())
            .arg(format!("{PUBLIC_URL}{CALLBACK}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let port = lines.next().and_then(Result::ok).and_then(|line| line.parse().ok()).expect("a port");
        // What it says further is read, so that it is not ended by saying it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, at: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.at)
    }

    /// What is wrong with the tokens that it gives from now on.
    pub(crate) fn fault(&self, is: &str) {
        self.ask("POST", &format!("/fault?is={}", is.replace(' ', "%20")), "", &BTreeMap::new());
    }

    fn ask(&self, method: &str, path: &str, account: &str, cookies: &BTreeMap<String, String>) -> Told {
        let cookie: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut stream = TcpStream::connect(self.at).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {}\r\nX-Account: {account}\r\n\r\n",
            self.at,
            cookie.join("; ")
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let lines = || text.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
        let of = move |wanted: &'static str| {
            lines().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.to_owned())
        };
        let pair = |line: String| {
            let (name, value) = line.split(';').next()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        Told {
            location: of("location").next().unwrap_or_default(),
            cookies: of("set-cookie").filter_map(pair).collect(),
        }
    }

    /// What a browser brings back of an account that it signs in to there, or that it refuses to tell of.
    pub(crate) fn visited(&self, location: &str, account: &str) -> String {
        let mut cookies = BTreeMap::new();
        let mut at = location.to_owned();
        for _ in 0..10 {
            if let Some(query) = at.strip_prefix(&format!("{PUBLIC_URL}{CALLBACK}?")) {
                return query.to_owned();
            }
            let path = at.strip_prefix(&self.issuer()).unwrap_or(&at).to_owned();
            let told = self.ask("GET", &path, account, &cookies);
            cookies.extend(told.cookies);
            at = told.location;
            assert!(!at.is_empty(), "it goes on from {path}");
        }
        panic!("it never comes back from {location}");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
