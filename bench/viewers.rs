//! People who watch calls in a browser while they are held: an event stream each, and the call's page whenever something happens, as
//! `bellhop.js` asks for it.
//!
//! Invariant: what they ask goes over HTTP, as everybody's does; a person has no more streams than the server allows one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Streams of one person.
const OF_ONE_MAX: usize = 24;
const PASSWORD: &str = "nobody watches this bench";

/// Whoever is signed in.
#[derive(Debug, Clone)]
struct Session {
    cookie: String,
    csrf_token: String,
}

/// Everybody who watches.
#[derive(Debug)]
pub(crate) struct Viewers {
    ended: Arc<AtomicBool>,
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<Result<()>>>,
}

/// What they saw.
#[derive(Debug, Default)]
struct Seen {
    streams: AtomicU64,
    events: AtomicU64,
    pages: AtomicU64,
    failures: AtomicU64,
}

/// People of a server who are signed in and do not watch yet.
#[derive(Debug)]
pub(crate) struct People {
    http: SocketAddr,
    origin: String,
    sessions: Vec<Session>,
    tenant: String,
}

impl People {
    /// As many as so many streams need; `claim` is the link of the server's first start.
    pub(crate) fn sign_in(http: SocketAddr, claim: &str, viewers: usize) -> Result<Self> {
        let (origin, secret) = claim.trim().split_once("/claim#").context("a link of a first start")?;
        let mut people = Self { http, origin: origin.to_owned(), sessions: vec![], tenant: String::new() };
        people.accept(secret, "operator")?;
        for n in 1..viewers.div_ceil(OF_ONE_MAX) {
            let invited = people.post("/invitations", &json!({"login": format!("viewer {n}"), "role": "operator"}))?;
            let secret = invited["link"].as_str().and_then(|link| link.split('#').nth(1)).context("a link")?.to_owned();
            people.accept(&secret, &format!("viewer {n}"))?;
        }
        let tenants = people.get("/api/v1/tenants", 0)?;
        people.tenant = tenants["items"][0]["id"].as_str().context("a tenant")?.to_owned();
        Ok(people)
    }

    fn accept(&mut self, secret: &str, login: &str) -> Result<()> {
        let body = json!({"secret": secret, "login": login, "password": PASSWORD}).to_string();
        let origin = &self.origin;
        let (head, body) =
            ask(self.http, "POST", "/api/v1/invitations/accept", &format!("Origin: {origin}\r\n"), &body)?;
        let cookie = head.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie: "));
        let cookie = cookie.and_then(|line| line[12..].split(';').next()).context("a cookie")?.to_owned();
        let answer: Value = serde_json::from_str(&body)?;
        let csrf_token = answer["csrf_token"].as_str().context("a token")?.to_owned();
        self.sessions.push(Session { cookie, csrf_token });
        Ok(())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let Session { cookie, csrf_token } = &self.sessions[0];
        let headers = format!("Cookie: {cookie}\r\nX-CSRF-Token: {csrf_token}\r\nOrigin: {}\r\n", self.origin);
        let (head, body) = ask(self.http, "POST", &format!("/api/v1{path}"), &headers, &body.to_string())?;
        if !head.starts_with("HTTP/1.1 201") {
            bail!("{path} was answered: {head}\n{body}");
        }
        Ok(serde_json::from_str(&body)?)
    }

    fn get(&self, path: &str, who: usize) -> Result<Value> {
        let (_, body) = ask(self.http, "GET", path, &format!("Cookie: {}\r\n", self.sessions[who].cookie), "")?;
        Ok(serde_json::from_str(&body)?)
    }

    /// The sessions of the calls that are up.
    fn calls(&self) -> Result<Vec<String>> {
        let live = self.get("/api/v1/calls/live", 0)?;
        let items = live["items"].as_array().context("a list")?;
        Ok(items.iter().filter_map(|call| call["session"].as_str().map(str::to_owned)).collect())
    }

    /// So many streams, one after the other once `calls` are up, each of a call of its own as far as there are.
    pub(crate) fn watch(self, viewers: usize, calls: usize) -> Viewers {
        let (ended, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
        let (over, told) = (Arc::clone(&ended), Arc::clone(&seen));
        let begins = std::thread::spawn(move || -> Result<()> {
            let up = loop {
                let up = self.calls()?;
                if up.len() >= calls || over.load(Ordering::Relaxed) {
                    break up;
                }
                std::thread::sleep(Duration::from_millis(200));
            };
            let mut threads = vec![];
            for n in 0..viewers.min(if up.is_empty() { 0 } else { viewers }) {
                let (call, session) = (up[n % up.len()].clone(), self.sessions[n / OF_ONE_MAX].clone());
                let viewer = Viewer { http: self.http, tenant: self.tenant.clone(), call, session };
                let (over, told) = (Arc::clone(&over), Arc::clone(&told));
                threads.push(std::thread::spawn(move || {
                    if viewer.watches(&over, &told).is_err() {
                        told.failures.fetch_add(1, Ordering::Relaxed);
                    }
                }));
            }
            threads.into_iter().for_each(|thread| drop(thread.join()));
            Ok(())
        });
        Viewers { ended, seen, threads: vec![begins] }
    }
}

struct Viewer {
    http: SocketAddr,
    tenant: String,
    call: String,
    session: Session,
}

impl Viewer {
    fn watches(&self, over: &AtomicBool, seen: &Seen) -> Result<()> {
        let Self { http, tenant, call, session } = self;
        let cookie = format!("Cookie: {}\r\n", session.cookie);
        let mut stream = TcpStream::connect(http)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(
            stream,
            "GET /api/v1/calls/{call}/events?tenant={tenant} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n{cookie}\r\n"
        )?;
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        let (mut is_open, mut has_news) = (false, false);
        while !over.load(Ordering::Relaxed) {
            line.clear();
            match lines.read_line(&mut line) {
                Ok(0) => return Ok(()),
                Ok(_) if !is_open => {
                    if !line.starts_with("HTTP/1.1 200") {
                        bail!("a stream was refused: {line}");
                    }
                    is_open = true;
                    seen.streams.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) if line.starts_with("data: ") => {
                    seen.events.fetch_add(1, Ordering::Relaxed);
                    has_news = true;
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error.into()),
            }
            // Once for all that has come by now, as the page asks.
            if has_news && lines.buffer().is_empty() {
                has_news = false;
                let path = format!("/tenants/{tenant}/calls/{call}");
                let (head, _) = ask(*http, "GET", &path, &cookie, "")?;
                let good = head.starts_with("HTTP/1.1 200");
                if good { &seen.pages } else { &seen.failures }.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

impl Viewers {
    /// Sends everybody home; what they saw.
    pub(crate) fn end(self) -> Result<Value> {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow::anyhow!("a viewer panicked"))??;
        }
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let Seen { streams, events, pages, failures } = &*self.seen;
        Ok(
            json!({"streams": count(streams), "events": count(events), "pages": count(pages), "failures": count(failures)}),
        )
    }
}

/// One request by a connection of its own; its head and its body.
fn ask(at: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Result<(String, String)> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let json = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n{headers}{json}Content-Length: {length}\r\n\r\n{body}"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("an answer")?;
    Ok((head.to_owned(), body.to_owned()))
}
