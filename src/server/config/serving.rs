//! What is right line by line and could not serve together: two listeners on one port, fewer ports than calls, a number of
//! two tenants.
//!
//! Invariant: each of these is told before a socket is bound; what was badly said already is not judged here.

use std::net::{IpAddr, SocketAddr};

use bellhop_actors::signalling::transport::{Listen, Protocol};
use bellhop_tenancy::settings::{Mistake, Srtp, TenantSettings};

use super::reader::Section;
use super::{Config, Sip, Tenant};

/// `running` is what SIP is heard by, where that is no longer the file's to say.
pub(super) fn check(config: &mut Config, running: Option<&Sip>, root: &Section<'_>) {
    check_listeners(config, root);
    check_media_ports(config, root);
    check_tls(config, running, root);
    for n in 1..config.tenants.len() {
        let (before, rest) = config.tenants.split_at(n);
        if let Some(one) = rest.first() {
            check_against(one, before, root);
        }
    }
}

fn check_listeners(config: &Config, root: &Section<'_>) {
    let sip = &config.sip.listen;
    for (n, one) in sip.iter().enumerate() {
        let twice = sip[..n].iter().find(|other| is_udp(one) == is_udp(other) && overlap(one.address, other.address));
        if let Some(other) = twice {
            root.mistake("sip.listen", &format!("{} and {} are one port", told(other), told(one)));
        }
    }
    let http = ("http.listen", config.http.listen);
    let operations = config.operations.listen;
    for (key, address) in std::iter::once(http).chain(operations) {
        if let Some(other) = sip.iter().find(|other| !is_udp(other) && overlap(address, other.address)) {
            root.mistake(key, &format!("{address} is a port of SIP: {}", told(other)));
        }
    }
    if let Some((key, address)) = operations.filter(|(_, address)| overlap(*address, config.http.listen)) {
        root.mistake(key, &format!("{address} is the port of http.listen: leave it out to have the metrics there"));
    }
}

fn check_media_ports(config: &mut Config, root: &Section<'_>) {
    let ((first, last), pairs) = (config.media.ports, config.media.pairs());
    let within = |listen: &&Listen| {
        is_udp(listen)
            && (first..=last).contains(&listen.address.port())
            && same_host(listen.address.ip(), config.media.bind)
    };
    if let Some(listen) = config.sip.listen.iter().find(within) {
        root.mistake("media.ports", &format!("{first}-{last} holds a port of SIP: {}", told(listen)));
    }
    check_families(config, root);
    let limit = root.section("sip").has("max_calls");
    match config.sip.max_calls {
        _ if pairs == 0 => {}
        calls if calls <= pairs => {}
        calls if limit => {
            let why = format!("{first}-{last} are {pairs} pairs, and sip.max_calls are {calls}: a call takes a pair");
            root.mistake("media.ports", &why);
        }
        _ => config.sip.max_calls = pairs,
    }
}

/// What is sent to an address of one family arrives at no socket of the other; `[::]` may take both.
fn check_families(config: &Config, root: &Section<'_>) {
    let bind = config.media.bind;
    let of = |key, address: Option<IpAddr>| Some((key, address?));
    let advertised =
        of("media.advertise", config.media.advertise).or_else(|| of("sip.advertise", config.sip.advertise));
    let both = bind.is_ipv6() && bind.is_unspecified();
    if let Some((key, address)) = advertised.filter(|(_, address)| !both && address.is_ipv4() != bind.is_ipv4()) {
        let why = format!("{bind} takes nothing that is sent to {address} ({key}): one is IPv4, the other IPv6");
        root.mistake("media.bind", &why);
    }
}

fn check_tls(config: &Config, running: Option<&Sip>, root: &Section<'_>) {
    let listeners = running.map_or(Listeners::OfFile(&config.sip), Listeners::Running);
    for tenant in &config.tenants {
        for Mistake { path, why, .. } in need_tls(&tenant.settings, listeners) {
            root.mistake(&tenant.path(&path), &why);
        }
    }
}

/// By what SIP is heard.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listeners<'a> {
    /// By what a file says, which can be changed there.
    OfFile(&'a Sip),
    /// By what a server was started with.
    Running(&'a Sip),
}

impl Listeners<'_> {
    /// That none of them speaks TLS, as a part of a sentence.
    fn lack_of_tls(self) -> Option<&'static str> {
        let (sip, lack) = match self {
            Self::OfFile(sip) => (sip, "sip.listen has no tls: or tcp+tls:"),
            Self::Running(sip) => {
                (sip, "the listeners that the server was started with have no tls: or tcp+tls: (others need a restart)")
            }
        };
        let speaks_tls = sip.listen.iter().any(|one| matches!(one.protocol, Protocol::Tls | Protocol::Either));
        (!speaks_tls).then_some(lack)
    }
}

/// Passwords are asked for, and the keys of SRTP taken, over TLS alone: who wants them without it shuts everybody out.
pub(crate) fn need_tls(settings: &TenantSettings, listeners: Listeners<'_>) -> Vec<Mistake> {
    let Some(lack) = listeners.lack_of_tls() else { return vec![] };
    let login = settings.sip.login.is_some().then_some(("sip.user", "a login counts"));
    let keys = (settings.media.srtp == Srtp::Required).then_some(("media.srtp", "the keys of SRTP are taken"));
    let told = |(path, what)| Mistake::of_value(path, format!("{what} over TLS alone, and {lack}: nobody could call"));
    login.into_iter().chain(keys).map(told).collect()
}

fn check_against(one: &Tenant, before: &[Tenant], root: &Section<'_>) {
    let name = &one.settings.name;
    if let Some(other) = before.iter().find(|other| !name.is_empty() && other.settings.name.eq_ignore_ascii_case(name))
    {
        let why = format!("`{}` is the name of another tenant already (case does not matter)", other.settings.name);
        root.mistake(&one.path("name"), &why);
    }
    for number in &one.settings.numbers {
        if let Some(owner) = before.iter().find(|other| other.settings.numbers.contains(number)) {
            let why = format!("{} belongs to tenant `{}` already", number.e164(), owner.settings.name);
            root.mistake(&one.path("numbers"), &why);
        }
    }
}

fn is_udp(listen: &Listen) -> bool {
    matches!(listen.protocol, Protocol::Udp)
}

fn told(listen: &Listen) -> String {
    format!("{}:{}", listen.protocol.label(), listen.address)
}

/// Whether two sockets would want the same port; one that the system chooses is nobody's.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.port() != 0 && same_host(one.ip(), other.ip())
}

/// Whether a packet could be meant for both. `[::]` takes IPv4 too where the system lets it.
fn same_host(one: IpAddr, other: IpAddr) -> bool {
    let takes_all = |ip: IpAddr, of: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || of.is_ipv4());
    one.to_canonical() == other.to_canonical() || takes_all(one, other) || takes_all(other, one)
}
