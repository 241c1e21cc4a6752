//! What the sign-in is told of the server that it belongs to.
//!
//! Invariant: an origin is written as browsers write it (RFC 6454 section 6.2), so that two are the same if their texts are.

use actix_web::HttpResponse;
use ipnet::IpNet;

use super::password::Cost;
use crate::problem::Problem;

/// Where we are, and who stands before us.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `http.public_url` without a slash at its end: what links begin with.
    pub public_url: String,
    /// Its origin.
    pub origin: Origin,
    /// Whether our own listener speaks TLS.
    pub tls: bool,
    /// `http.behind`: proxies that are believed in what they say of who asks.
    pub behind: Vec<IpNet>,
    /// How much work the hash of a password is.
    pub cost: Cost,
    /// What a browser is shown that came back from an identity provider in vain; programs are told the problem itself.
    pub page_of_problem: Option<fn(&Settings, &Problem) -> HttpResponse>,
}

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// Not an URL of http or https with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an address like `https://bellhop.example`")]
pub struct NoOrigin;

impl Settings {
    /// Of a server at a public address, without proxies.
    pub fn at(public_url: &str) -> Result<Self, NoOrigin> {
        let public_url = public_url.trim_end_matches('/').to_owned();
        let origin = Origin::parse(&public_url)?;
        let (cost, behind) = (Cost::RECOMMENDED, vec![]);
        Ok(Self { public_url, origin, tls: false, behind, cost, page_of_problem: None })
    }

    /// The path of `http.public_url`: what the path of every page begins with, without a slash at its end.
    pub fn root(&self) -> &str {
        let authority = self.public_url.split_once("://").map_or("", |(_, rest)| rest);
        authority.find('/').map_or("", |at| &authority[at..])
    }

    /// Whether browsers reach us by https: cookies are for it alone then.
    pub(super) fn is_secure(&self) -> bool {
        self.origin.0.starts_with("https://")
    }
}

impl Origin {
    /// Of an URL.
    pub fn parse(url: &str) -> Result<Self, NoOrigin> {
        let url: actix_web::http::Uri = url.parse().map_err(|_| NoOrigin)?;
        let (scheme, authority) = url.scheme_str().zip(url.authority()).ok_or(NoOrigin)?;
        let usual = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(NoOrigin),
        };
        let host = authority.host().to_ascii_lowercase();
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(NoOrigin);
        }
        let port = authority.port_u16().filter(|port| *port != usual).map(|port| format!(":{port}"));
        Ok(Self(format!("{scheme}://{host}{}", port.unwrap_or_default())))
    }

    /// As browsers write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (url, origin) in [
            ("https://Bellhop.Example/", Some("https://bellhop.example")),
            ("https://bellhop.example:443/a/b", Some("https://bellhop.example")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("http://[::1]:80", Some("http://[::1]")),
            ("ftp://bellhop.example", None),
            ("bellhop.example", None),
            ("/a", None),
            ("https://a@bellhop.example", None),
            ("", None),
        ] {
            assert_eq!(Origin::parse(url).ok().as_ref().map(Origin::as_str), origin, "{url}");
        }
    }
}
