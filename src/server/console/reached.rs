//! Where callers' sides send calls, and whether they would be served there as they expect.

use bellhop_actors::signalling::transport::{Listen, Protocol};
use bellhop_console::ports::{Reached, SipAddress};

use crate::config::Sip;
use crate::tls_identity;
use crate::wiring::node;

/// The address of a server.
pub(super) struct ReachedAt {
    sip: Sip,
    /// Where it listens, with the ports the system chose.
    listens: Vec<Listen>,
}

impl ReachedAt {
    /// Of a server that listens there.
    pub(super) fn new(sip: Sip, listens: Vec<Listen>) -> Self {
        Self { sip, listens }
    }
}

impl Reached for ReachedAt {
    fn sip_address(&self) -> SipAddress {
        let (host, listen) = (node::host(&self.sip), node::listener(&self.listens));
        let mut told = vec![];
        if host.is_none() {
            told.push(
                "This server does not know what others call it: whoever runs it sets `sip.public_name`.".to_owned(),
            );
        }
        match listen {
            None => told.push("This server does not listen for TCP: whoever runs it adds that to `sip.listen`.".to_owned()),
            Some(listen) => told.push(match listen.protocol {
                Protocol::Tcp => "It speaks SIP in the clear here: leave the connector's encryption off.".to_owned(),
                Protocol::Tls => "It speaks TLS alone here: switch the connector's encryption on.".to_owned(),
                _ => "With the connector's encryption on calls come by TLS with SRTP, without it in the clear; both are taken.".to_owned(),
            }),
        }
        told.extend(self.sip.tls.as_ref().and_then(|files| {
            let (names, vouches_for_itself) = tls_identity::named(files);
            of_certificate(&names, vouches_for_itself, host.as_deref())
        }));
        let port = listen.map_or(node::USUAL_PORT, |listen| listen.address.port());
        let is_encrypted = listen.is_some_and(|listen| listen.protocol != Protocol::Tcp);
        SipAddress { host, port, protocol: "TCP", is_encrypted, told }
    }
}

/// What keeps an encrypted connector from speaking to us.
fn of_certificate(names: &[String], vouches_for_itself: bool, host: Option<&str>) -> Option<String> {
    let fits = |name: &String| match (name.strip_prefix("*."), host) {
        (_, None) => true,
        (Some(parent), Some(host)) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
        (None, Some(host)) => name == host,
    };
    if !names.iter().any(fits) {
        let names = names.join(", ");
        let why = "an encrypted connector refuses it: whoever runs this server gets one for this name";
        return Some(format!("Its certificate is for {names} and not for this name; {why}."));
    }
    let why = "Its certificate is of no authority that others trust: an encrypted connector refuses it.";
    vouches_for_itself.then(|| why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_fits_by_its_whole_name_or_one_star() {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (all, own, host, good) in [
            (&["sip.example.com"][..], false, Some("sip.example.com"), true),
            (&["*.example.com"], false, Some("sip.example.com"), true),
            (&["*.example.com"], false, Some("a.sip.example.com"), false),
            (&["example.com"], false, Some("sip.example.com"), false),
            (&[], false, Some("sip.example.com"), false),
            (&["sip.example.com"], true, Some("sip.example.com"), false),
            (&["sip.example.com"], false, None, true),
        ] {
            assert_eq!(of_certificate(&names(all), own, host).is_none(), good, "{all:?} {host:?}");
        }
    }
}
