//! The configuration: one TOML file, read completely before anything starts.
//!
//! Invariant: a [`Config`] without mistakes is right in itself; every mistake of the file is told at once, with its line, its
//! key and what to do. Every path in it starts at the folder of the file itself, wherever the server was started.

mod files;
mod mistakes;
mod node;
mod places;
mod position;
mod reader;
mod serving;
mod sip;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bellhop_call::fault_injection::FaultInjection;
use bellhop_tenancy::settings::{TenantSettings, Written};
use toml::de::DeTable;

pub(crate) use bellhop_tenancy::settings::Mark;
pub use files::{TEXT_MAX, read_text};
pub(crate) use files::{can_be_folder, read_bytes};
pub use mistakes::{Mistake, Mistakes};
pub use node::{Aws, Egress, Http, Media, Operations, Serve, Sounds, Storage};
pub(crate) use node::{database_at, reach};
pub use places::Places;
pub use position::Position;
pub(crate) use reader::secret_beside;
use reader::{BesideFile, Gathered, Section, document, fault_injection, marks_of_node, placed};
pub(crate) use serving::{Listeners, need_tls};
pub use sip::Sip;
pub use tls::Tls;

/// What can be done in place of a tenant in the file.
const OR_PAGES: &str = ", or set http.public_url and make tenants in pages";

/// Everything the file says.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[sip]`
    pub sip: Sip,
    /// `[media]`
    pub media: Media,
    /// `[http]`
    pub http: Http,
    /// `[serve]`
    pub serve: Serve,
    /// `[egress]`
    pub egress: Egress,
    /// `[storage]`
    pub storage: Storage,
    /// `[operations]`
    pub operations: Operations,
    /// `[sounds]`
    pub sounds: Sounds,
    /// `[aws]`
    pub aws: Aws,
    /// `[[tenants]]`
    pub tenants: Vec<Tenant>,
    /// `[fault_injection]`: a fault to inject.
    pub fault_injection: Option<FaultInjection>,
    /// Where all of this stands.
    pub places: Places,
    /// A sentence for each name that is no longer the name.
    pub(crate) deprecated: Vec<String>,
    /// What is written of the node.
    pub(crate) node: BTreeMap<String, Mark>,
}

/// One of `[[tenants]]`
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Which of the file's it is, from 0.
    pub index: usize,
    /// Tells whether another reading says the same of it.
    pub(crate) mark: Mark,
    /// What it says.
    pub settings: TenantSettings,
    /// As it is written, for who may look at it.
    pub(crate) written: Arc<Written>,
}

impl Tenant {
    fn read(section: &Section<'_>) -> Self {
        let (settings, mark) = TenantSettings::read(section);
        let written = Arc::new(section.written());
        Self { index: section.index().unwrap_or_default(), mark, settings, written }
    }

    /// The path of one of its keys.
    pub fn path(&self, key: &str) -> String {
        format!("tenants[{}].{key}", self.index)
    }
}

/// A file as far as it could be understood: what was good of it, and every mistake in the rest.
#[derive(Debug)]
pub struct Reading {
    /// What was good. What was not is left out, or is the default.
    pub config: Config,
    /// What was not.
    pub mistakes: Mistakes,
}

impl Config {
    /// The keys of the node that are written differently in another reading, or in one of the two alone.
    pub fn differs_in(&self, other: &Self) -> Vec<String> {
        let keys: BTreeSet<&String> = self.node.keys().chain(other.node.keys()).collect();
        keys.into_iter().filter(|key| self.node.get(*key) != other.node.get(*key)).cloned().collect()
    }

    /// The address session descriptions name: configured, or where media is bound, or this machine's own.
    pub fn media_address(&self) -> IpAddr {
        let configured = self.media.advertise.or(self.sip.advertise);
        configured.unwrap_or_else(|| if self.media.bind.is_unspecified() { own_address() } else { self.media.bind })
    }
}

impl Reading {
    /// Reads a file as far as it goes; an error if it is no TOML at all.
    pub fn of_file(path: &Path) -> Result<Self, Mistakes> {
        Self::read(&text_of(path)?, path, None)
    }

    /// The same while a server runs whose listeners the file cannot change any more: its tenants are judged by those.
    pub fn of_file_again(path: &Path, running: &Sip) -> Result<Self, Mistakes> {
        Self::read(&text_of(path)?, path, Some(running))
    }

    /// The same of a text.
    pub fn of(text: &str, path: &Path) -> Result<Self, Mistakes> {
        Self::read(text, path, None)
    }

    fn read(text: &str, path: &Path, running: Option<&Sip>) -> Result<Self, Mistakes> {
        let (table, broken) = DeTable::parse_recoverable(text);
        if !broken.is_empty() {
            let at = |error: &toml::de::Error| Some(Position::of(text, error.span()?.start));
            // The message alone: the error's own text quotes the line, which may hold a secret.
            let told = |error: &toml::de::Error| {
                let key = error.span().and_then(|span| text.get(span)).filter(|_| error.message() == "duplicate key");
                let key = key.map(|key| format!(": `{}` is there twice", key.trim())).unwrap_or_default();
                Mistakes::one(path, at(error), format!("not TOML: {}{key}", error.message()))
            };
            return Err(broken.iter().flat_map(told).collect());
        }
        let table = table.into_inner();
        let places = Places::of(path, text, &table);
        let (document, around) = (document(&table), BesideFile::of(path));
        let gathered = Gathered::new(&around);
        let root = Section::root(&document, &gathered);
        // Where there are pages, tenants are made in them. Whoever reads it again asks whether it is the whole file (`wiring/reload.rs`).
        let may_have_none = root.section("http").has("public_url") && !root.has("tenants");
        let mut config = Config {
            sip: sip::read_sip(&root.section("sip")),
            media: node::read_media(&root.section("media")),
            http: node::read_http(&root.section("http")),
            serve: node::read_serve(&root.section("serve")),
            egress: node::read_egress(&root.section("egress")),
            storage: node::read_storage(&root.section("storage")),
            operations: node::read_operations(&root.section("operations"), &root.section("metrics")),
            sounds: node::read_sounds(&root.section("sounds")),
            aws: node::read_aws(&root.section("aws")),
            tenants: match may_have_none {
                true => vec![],
                false => root.sections("tenants", OR_PAGES).iter().map(Tenant::read).collect(),
            },
            fault_injection: root
                .renamed_section("fault_injection", "drill")
                .and_then(|section| fault_injection(&section)),
            places: places.clone(),
            node: marks_of_node(&document),
            deprecated: vec![],
        };
        serving::check(&mut config, running, &root);
        root.finish();
        config.deprecated = gathered.take_deprecated();
        if let Some((Operations::OLD_LISTEN, _)) = config.operations.listen {
            let told = "metrics.listen is now called operations.listen: the next release knows the new name alone";
            config.deprecated.push(told.to_owned());
        }
        Ok(Self { config, mistakes: placed(gathered, &places) })
    }

    /// Leaves out the tenants that have mistakes; returns the names of those, with their mistakes.
    pub fn without_bad_tenants(&mut self) -> Vec<(String, Mistakes)> {
        let mistakes = std::mem::take(&mut self.mistakes);
        let of = |index: usize| mistakes.list().iter().filter(move |mistake| mistake.tenant() == Some(index)).cloned();
        let bad: BTreeSet<usize> = mistakes.list().iter().filter_map(Mistake::tenant).collect();
        self.config.tenants.retain(|settings| !bad.contains(&settings.index));
        let name = |index: usize| self.config.places.spoken(&format!("tenants[{index}]")).replace("tenants.", "");
        bad.iter().map(|index| (name(*index), of(*index).collect())).collect()
    }
}

fn text_of(path: &Path) -> Result<String, Mistakes> {
    read_text(path, TEXT_MAX).map_err(|why| Mistakes::one(path, None, format!("the file {why}")))
}

const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The address this machine sends from by default; no packet is sent to find out.
fn own_address() -> IpAddr {
    let probe = std::net::UdpSocket::bind(NOWHERE).and_then(|socket| {
        socket.connect(SocketAddr::from(([192, 0, 2, 1], 9)))?;
        socket.local_addr()
    });
    probe.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}
