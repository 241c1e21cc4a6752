//! How far what somebody else names may lead: to every address, or to those of the internet alone.
//!
//! Whoever sets a tenant up over REST names URLs that this server asks: an URL must not become a way to the services and the
//! metadata of the networks that the server stands in (OWASP, *Server Side Request Forgery*). Invariant: the address that is
//! connected to is the one that was looked at, so a name that leads elsewhere the next time gets no further; no redirect is
//! followed (`http.rs`). An address that stands in the URL itself is nobody's to look up: [`Reach::refuses`] tells of it.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use bellhop_sip::networks::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::{TcpStream, lookup_host};

/// Where to an URL may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    /// The operator named it, or has allowed that.
    Everywhere,
    /// To the internet: not to private networks, links and this machine.
    Internet,
}

/// The address that a name leads to, or that an URL holds, is none of the internet's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its address is private, which whoever runs this server has not allowed")]
pub struct PrivateAddress;

impl PrivateAddress {
    /// Whether it is what a failure comes of.
    pub fn is_cause_of(failure: &(dyn Error + 'static)) -> bool {
        std::iter::successors(Some(failure), below).any(|cause| cause.is::<Self>())
    }
}

/// The error below an error: one of the system's passes over what it wraps.
fn below<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let error: &'a (dyn Error + 'static) = *error;
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| error.source())
}

/// Where a service is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    reach: Reach,
}

impl Endpoint {
    /// As it is written.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How far it may lead.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The same with an end that has no slash.
    pub(crate) fn without_slash(mut self) -> Self {
        self.url.truncate(self.url.trim_end_matches('/').len());
        self
    }
}

/// That of the operator.
impl<T: AsRef<str>> From<T> for Endpoint {
    fn from(url: T) -> Self {
        Reach::Everywhere.at(url.as_ref())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl Reach {
    /// An URL that leads no further than this.
    pub fn at(self, url: &str) -> Endpoint {
        Endpoint { url: url.to_owned(), reach: self }
    }

    /// Whether the address that an URL holds is out of reach; of a name that is told once it is asked for.
    pub fn refuses(self, url: &str) -> Option<PrivateAddress> {
        // Read as whoever asks reads it: `http://2130706433/` is an address too.
        let host = reqwest::Url::parse(url).ok()?.host_str()?.trim_matches(['[', ']']).to_owned();
        host.parse().ok().filter(|address| !self.admits(*address)).map(|_| PrivateAddress)
    }

    /// A connection to the first of a name's addresses that takes one. The caller sets the deadline.
    pub async fn connect(self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut last = None;
        for address in self.addresses(host, port).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    fn admits(self, address: IpAddr) -> bool {
        self == Self::Everywhere || is_public(address)
    }

    /// Those addresses of a name, or of what is one itself, that are within reach.
    async fn addresses(self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<SocketAddr> = lookup_host((host.trim_matches(['[', ']']), port)).await?.collect();
        let (within, beyond): (Vec<_>, Vec<_>) = found.into_iter().partition(|address| self.admits(address.ip()));
        match (within.is_empty(), beyond.is_empty()) {
            (true, false) => Err(io::Error::new(io::ErrorKind::PermissionDenied, PrivateAddress)),
            _ => Ok(within),
        }
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = *self;
        Box::pin(async move {
            let found = reach.addresses(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl ResolveDns for Reach {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = self.addresses(name, 0).await.map_err(ResolveDnsError::new)?;
            Ok(found.into_iter().map(|address| address.ip()).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_refused_however_it_is_written() {
        for url in [
            "http://127.0.0.1:80/x",
            "https://10.0.0.8",
            "ws://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[fd00:ec2::254]/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.1/",
            "wss://0/",
        ] {
            assert_eq!(Reach::Internet.refuses(url), Some(PrivateAddress), "{url}");
            assert_eq!(Reach::Everywhere.refuses(url), None, "{url}");
        }
        for url in ["https://bot.example/turn", "https://8.8.8.8/", "no url"] {
            assert_eq!(Reach::Internet.refuses(url), None, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let refused = Reach::Internet.connect("localhost", port).await.expect_err("out of reach");
        assert!(refused.get_ref().is_some_and(|why| why.is::<PrivateAddress>()), "{refused}");
        assert!(Reach::Internet.connect("127.0.0.1", port).await.is_err());
        assert!(Reach::Everywhere.connect("localhost", port).await.is_ok());
    }
}
