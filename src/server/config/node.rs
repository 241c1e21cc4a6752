//! What the file says of this node: `[media]`, `[http]`, `[serve]`, `[storage]`, `[operations]`,
//! `[sounds]`, `[aws]`.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellhop_actors::node::refused::Numbers;
use bellhop_adapters::openid_connect::OpenIdConnectConfig;
use bellhop_adapters::reach::Reach;
use bellhop_adapters::secrets::MasterKeySource;
use bellhop_adapters::storage::{self, MasterKeys};
use bellhop_tenancy::networks;
use bellhop_tenancy::secret::Secret;
use bellhop_tenancy::settings::AwsKey;
use ipnet::IpNet;

use super::reader::Section;
use super::tls::{Tls, read_tls};

/// `[media]`
#[derive(Debug, Clone)]
pub struct Media {
    /// `ports`: first and last.
    pub ports: (u16, u16),
    /// `advertise`
    pub advertise: Option<IpAddr>,
    /// `bind`
    pub bind: IpAddr,
    /// `shards`
    pub shards: usize,
}

impl Media {
    /// How many calls the ports are enough for: each takes an even one and the next.
    pub fn pairs(&self) -> usize {
        (self.ports.0..self.ports.1).filter(|port| port % 2 == 0).count()
    }
}

/// `[http]`
#[derive(Debug, Clone)]
pub struct Http {
    /// `listen`
    pub listen: SocketAddr,
    /// `public_url`, without a slash at its end.
    pub public_url: String,
    /// `[http.tls]`
    pub tls: Option<Tls>,
    /// `behind`: proxies that are believed in what they say of who asks.
    pub behind: Vec<IpNet>,
    /// `[http.openid_connect]`
    pub openid_connect: Option<OpenIdConnectConfig>,
}

/// `[serve]`
#[derive(Debug, Clone)]
pub struct Serve {
    /// `skip_bad_tenants`: whether the good ones are served when another has a mistake.
    pub skip_bad_tenants: bool,
    /// `numbers`: how much of the number that a refused call dialled is shown in the log and by `bellhop calls refused`.
    pub numbers: Numbers,
}

/// `[egress]`: what this server asks because tenants of the database say so.
#[derive(Debug, Clone)]
pub struct Egress {
    /// `private_networks`: whether their URLs may lead there.
    pub private_networks: bool,
}

/// `[sounds]`
#[derive(Debug, Clone)]
pub struct Sounds {
    /// `private_networks`: whether assistants may name sounds there.
    pub private_networks: bool,
}

/// How far what others than the operator name may lead.
pub(crate) fn reach(private_networks: bool) -> Reach {
    if private_networks { Reach::Everywhere } else { Reach::Internet }
}

/// `[storage]`
#[derive(Debug, Clone)]
pub struct Storage {
    /// `url`; a relative path in it starts at the file's folder.
    pub url: String,
    /// `password` of a database that asks for one.
    pub password: Option<Secret>,
    /// `listen_url`: where a PostgreSQL behind a pooler tells of changes.
    pub listen_url: Option<String>,
    /// `spool`: the file of what is written while a PostgreSQL is away; none beside a file.
    pub spool: Option<PathBuf>,
    /// `master_key` and `previous_master_key`
    pub master_keys: MasterKeys,
    /// `history_hours`
    pub time_to_live: Duration,
}

/// `[aws]`: who this server is at AWS, where tenants have it assume roles of theirs.
#[derive(Debug, Clone, Default)]
pub struct Aws {
    /// `access_key_id` and `secret_access_key`
    pub key: Option<AwsKey>,
    /// `region`: whose STS is asked, in place of that of each instance.
    pub region: Option<String>,
    /// `sts_endpoint_url`
    pub sts_endpoint_url: Option<String>,
}

/// `[operations]`
#[derive(Debug, Clone)]
pub struct Operations {
    /// `socket`: where `bellhop calls` reaches the server, if not beside the database.
    pub socket: Option<PathBuf>,
    /// `listen`: where health and metrics are told, and the key that says so; else they are beside the agent's page.
    pub listen: Option<(&'static str, SocketAddr)>,
}

impl Operations {
    /// What `operations.listen` was called before.
    pub(super) const OLD_LISTEN: &str = "metrics.listen";
}

const HTTP: [&str; 2] = ["http://", "https://"];

pub(super) fn read_media(section: &Section<'_>) -> Media {
    let text = section.text("ports").unwrap_or_else(|| "20000-29999".to_owned());
    let ports =
        text.split_once('-').and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?)));
    let ports = ports.filter(|(first, last): &(u16, u16)| *first >= 1024 && first < last);
    if ports.is_none() {
        section.mistake("ports", &format!("`{text}` is not a range like \"20000-29999\", from 1024 to 65535"));
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let media = Media {
        ports: ports.unwrap_or((20_000, 29_999)),
        advertise: read_reachable(section),
        bind: section.parsed("bind", "an IP address like \"0.0.0.0\"").unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        shards: section.number("shards", 1..=256).unwrap_or(cores),
    };
    if is_no_host(media.bind) {
        section.mistake("bind", &format!("{} is an address of many: name one of this machine", media.bind));
    }
    if media.pairs() == 0 {
        let why = format!("`{text}` has no pair: a call takes an even port and the next");
        section.mistake("ports", &why);
    }
    section.finish();
    media
}

/// `listen`: where a socket can be bound.
fn read_listen(section: &Section<'_>, example: &str) -> Option<SocketAddr> {
    let address: SocketAddr = section.parsed("listen", &format!("an address like \"{example}\""))?;
    if is_no_host(address.ip()) {
        section.mistake("listen", &format!("{} is an address of many: name one of this machine", address.ip()));
        return None;
    }
    Some(address)
}

/// Whether an address belongs to no single machine: nothing can be listened for there.
pub(super) fn is_no_host(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// `advertise`: an address that somebody else can send to.
pub(super) fn read_reachable(section: &Section<'_>) -> Option<IpAddr> {
    let address: IpAddr = section.parsed("advertise", "an IP address like \"203.0.113.7\"")?;
    if address.is_unspecified() || is_no_host(address) {
        section.mistake("advertise", &format!("{address} is no address that others can reach this server at"));
        return None;
    }
    Some(address)
}

pub(super) fn read_http(section: &Section<'_>) -> Http {
    let listen = read_listen(section, "127.0.0.1:8080");
    let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
    let tls = section.optional_section("tls");
    let scheme = if tls.is_some() { "https" } else { "http" };
    let tls = tls.and_then(|section| read_tls("http.tls", &section));
    let public_url = section.url("public_url", &HTTP).unwrap_or_else(|| format!("{scheme}://{listen}"));
    let behind = section.list("behind", |text| networks::parse(text).map_err(|why| why.to_string()));
    let openid_connect = section.optional_section("openid_connect").map(|section| read_openid_connect(&section));
    section.finish();
    let behind = behind.unwrap_or_default().into_iter().flatten().collect();
    Http { listen, public_url: public_url.trim_end_matches('/').to_owned(), tls, behind, openid_connect }
}

fn read_openid_connect(section: &Section<'_>) -> OpenIdConnectConfig {
    let config = OpenIdConnectConfig {
        name: section.text("name").unwrap_or_else(|| "OpenID Connect".to_owned()),
        issuer: section.required_text("issuer"),
        client_id: section.required_text("client_id"),
        client_secret: section.has("client_secret").then(|| section.secret("client_secret")),
    };
    if let Some(why) = config.issuer_url().err().filter(|_| !config.issuer.is_empty()) {
        section.mistake("issuer", &why.to_string());
    }
    section.finish();
    config
}

pub(super) fn read_serve(section: &Section<'_>) -> Serve {
    let words = Numbers::ALL.map(|(word, _)| word);
    let serve = Serve {
        skip_bad_tenants: section.flag("skip_bad_tenants").unwrap_or(false),
        numbers: section.choice("numbers", &words).map_or(Numbers::default(), |n| Numbers::ALL[n].1),
    };
    section.finish();
    serve
}

pub(super) fn read_storage(section: &Section<'_>) -> Storage {
    let url = section.text("url").unwrap_or_else(|| "sqlite://bellhop.db".to_owned());
    let hours = section.number("history_hours", 1..=24 * 365).unwrap_or(24) as u64;
    let password = section.has("password").then(|| section.secret("password"));
    let url = if storage::is_postgres(&url) {
        if let Err(why) = storage::can_be_read(&url) {
            section.mistake("url", &why);
        }
        url
    } else if url.starts_with("sqlite:") {
        if password.is_some() {
            section.mistake("password", "belongs to a database that asks for one, and storage.url is a file");
        }
        beside_the_file(section, &url)
    } else {
        // It is not shown: what is meant for another database may have a password in it.
        section.mistake("url", "does not begin with sqlite: or postgres:");
        url
    };
    let listen_url = section.text("listen_url");
    if let Some(why) = listen_url.as_deref().and_then(|listen| why_not_heard(&url, listen)) {
        section.mistake("listen_url", &why);
    }
    let master_keys = read_master_keys(section, &url);
    let spool = read_spool(section, &url);
    section.finish();
    Storage { url, password, listen_url, spool, master_keys, time_to_live: Duration::from_secs(hours * 3600) }
}

/// A file that may be written, also where it is not named: what is found out at the first outage is found out too late.
fn read_spool(section: &Section<'_>, url: &str) -> Option<PathBuf> {
    let named = section.text("spool");
    if !storage::is_postgres(url) {
        if named.is_some() {
            section.mistake("spool", "belongs to a PostgreSQL database, which may be away: a file is not");
        }
        return None;
    }
    let path = section.relative(named.as_deref().unwrap_or("bellhop.spool"));
    if let Err(why) = can_hold_database(&path) {
        section.mistake("spool", &why);
    }
    Some(path)
}

fn why_not_heard(url: &str, listen: &str) -> Option<String> {
    if !storage::is_postgres(url) {
        return Some("belongs to a PostgreSQL database: a file is looked at".to_owned());
    }
    match storage::is_postgres(listen) {
        true => storage::can_be_read(listen).err(),
        false => Some("does not begin with postgres:".to_owned()),
    }
}

/// Without `master_key` the key is a file that is made: beside a database of SQLite, else beside the configuration.
fn read_master_keys(section: &Section<'_>, url: &str) -> MasterKeys {
    let folder = section.relative("");
    let named = |key: &str| {
        let source = section.text(key).map(|text| MasterKeySource::parse(&text, &folder))?;
        source.map_err(|why| section.mistake(key, &why)).ok()
    };
    let made = || match storage::file_of(url) {
        _ if storage::is_postgres(url) => MasterKeySource::Beside(folder.join("bellhop.key")),
        Ok(Some(file)) => MasterKeySource::Beside(with_ending(&file, ".key")),
        _ => MasterKeySource::Memory,
    };
    let keys = MasterKeys { current: named("master_key").unwrap_or_else(made), previous: named("previous_master_key") };
    if keys.previous.as_ref() == Some(&keys.current) {
        section
            .mistake("previous_master_key", "is the place of storage.master_key: leave it out, or name the older key");
    }
    keys
}

/// A path with more at the end of its name.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// `older` is the section that had a part of it.
pub(super) fn read_operations(section: &Section<'_>, older: &Section<'_>) -> Operations {
    let old = read_listen(older, "127.0.0.1:9090");
    older.finish();
    let new = read_listen(section, "127.0.0.1:9090");
    if old.is_some() && new.is_some() {
        older.mistake("listen", "is what operations.listen was called: leave it out");
    }
    let listen = new.map(|address| ("operations.listen", address));
    let listen = listen.or(old.map(|address| (Operations::OLD_LISTEN, address)));
    let socket = section.text("socket").map(|path| section.relative(&path));
    if let Some(why) = socket.as_deref().and_then(|path| can_hold_socket(path).err()) {
        section.mistake("socket", &why);
    }
    section.finish();
    Operations { socket, listen }
}

fn can_hold_socket(path: &Path) -> Result<(), String> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(PathBuf::from("."), PathBuf::from);
    match std::fs::metadata(&folder) {
        _ if path.is_dir() => Err(format!("{} is a folder where a socket is expected", path.display())),
        Ok(found) if !found.is_dir() => Err(format!("{} is not a folder", folder.display())),
        Ok(_) if !super::files::may_write(&folder) => {
            Err(format!("the folder {} cannot be written to", folder.display()))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(format!("the folder {} is not there: make it, or name another", folder.display())),
    }
}

/// The URL of a database with its path made relative to a folder, and that path; none for one in memory, or without a file.
pub(crate) fn database_at(folder: &Path, url: &str) -> (String, Option<PathBuf>) {
    if storage::is_postgres(url) {
        return (url.to_owned(), None);
    }
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, options) = rest.split_once('?').map_or((rest, String::new()), |(path, more)| (path, format!("?{more}")));
    if path.is_empty() || path == ":memory:" || options.contains("mode=memory") {
        return (format!("sqlite:{rest}"), None);
    }
    // In an URL `%` and `?` mean something; in the name of our folder they do not.
    let folder = folder.display().to_string().replace('%', "%25").replace('?', "%3F");
    let url = format!("sqlite://{}{options}", Path::new(&folder).join(path).display());
    let file = storage::file_of(&url).ok().flatten();
    (url, file)
}

/// The same, with a look at the folder it names; nothing is made.
fn beside_the_file(section: &Section<'_>, url: &str) -> String {
    let (url, _) = database_at(&section.relative(""), url);
    let good = match storage::file_of(&url) {
        _ if url == "sqlite:" => Err("names no file: write one like \"sqlite://bellhop.db\"".to_owned()),
        Ok(Some(path)) => can_hold_database(&path),
        Ok(None) => Ok(()),
        Err(why) => Err(why),
    };
    if let Err(why) = good {
        section.mistake("url", &why);
    }
    url
}

fn can_hold_database(path: &Path) -> Result<(), String> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(PathBuf::from("."), PathBuf::from);
    match std::fs::metadata(&folder) {
        Ok(found) if !found.is_dir() => Err(format!("{} is not a folder", folder.display())),
        Ok(_) if path.is_dir() => Err(format!("{} is a folder where a file is expected", path.display())),
        Ok(_) if path.exists() && !super::files::may_write(path) => {
            Err(format!("the database {} cannot be written to", path.display()))
        }
        // Beside it SQLite puts its log.
        Ok(_) if !super::files::may_write(&folder) => {
            Err(format!("the database's folder {} cannot be written to", folder.display()))
        }
        Ok(_) if path.exists() && !looks_like_database(path) => {
            Err(format!("{} is there, and is no SQLite database", path.display()))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(format!("the database's folder {} is not there: make it, or name another", folder.display())),
    }
}

/// Whether a file begins as SQLite's do; an empty one is a database without tables.
fn looks_like_database(path: &Path) -> bool {
    let mut begins = vec![];
    let read = std::fs::File::open(path).and_then(|file| file.take(16).read_to_end(&mut begins));
    read.is_err() || begins.is_empty() || begins == b"SQLite format 3\0"
}

pub(super) fn read_sounds(section: &Section<'_>) -> Sounds {
    let sounds = Sounds { private_networks: section.flag("private_networks").unwrap_or(false) };
    section.finish();
    sounds
}

pub(super) fn read_egress(section: &Section<'_>) -> Egress {
    let egress = Egress { private_networks: section.flag("private_networks").unwrap_or(false) };
    section.finish();
    egress
}

pub(super) fn read_aws(section: &Section<'_>) -> Aws {
    let key = AwsKey::read_optional(section);
    let region = section.text("region").filter(|region| {
        let good = region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !good {
            section.mistake("region", &format!("`{region}` is not a Region like \"eu-west-2\""));
        }
        good
    });
    let aws = Aws { key, region, sts_endpoint_url: section.url("sts_endpoint_url", &HTTP) };
    section.finish();
    aws
}
