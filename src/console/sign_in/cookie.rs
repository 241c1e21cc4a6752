//! Cookies of this server: how they are named, given and read.
//!
//! Invariant: behind https a cookie is `__Host-`, `Secure`, `HttpOnly` and of the whole host, so that no other host and no
//! script gives or reads one; a cookie that comes twice is none. On plain http, which only loopback may use, browsers refuse
//! that prefix, and the name goes without it.
//!
//! The session of an agent at a conversation is a cookie of its own: that page stands in a frame of Amazon Connect's, where browsers send
//! what is `SameSite=None` alone, and what is `Partitioned` (CHIPS) to the site around it alone. Such a cookie comes with whatever
//! any site asks, so nothing but that page looks at it (`agents.rs`). Browsers take it on loopback over plain http too.
//!
//! `SameSite=Lax`: whoever comes from a link in a mail, or back from an identity provider, is signed in at once; with `Strict`
//! they are not. Lax sends the cookie with navigations by GET alone, which change nothing; what changes something is
//! held by `csrf.rs` besides.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{COOKIE, HeaderValue};

/// Which cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cookie {
    /// The secret of a session.
    Session,
    /// The secret of a session at the agent's page.
    Agent,
    /// A sign-in by an identity provider that has begun.
    Authorization,
}

/// A cookie that came more than once: somebody else has put one beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CameTwice;

impl Cookie {
    /// Its name.
    fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-bellhop",
            (Self::Session, false) => "bellhop",
            (Self::Agent, true) => "__Host-bellhop-agent",
            (Self::Agent, false) => "bellhop-agent",
            (Self::Authorization, true) => "__Host-bellhop-authorization",
            (Self::Authorization, false) => "bellhop-authorization",
        }
    }

    /// What came with a request.
    pub(super) fn read(self, request: &HttpRequest, secure: bool) -> Result<Option<String>, CameTwice> {
        let name = self.name(secure);
        let lines = request.headers().get_all(COOKIE).filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(of, _)| *of == name).map(|(_, value)| value.to_owned());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(CameTwice),
            (value, None) => Ok(value),
        }
    }

    /// Gives it to a browser for a while. The value is base64url of ours, and full stops.
    pub(super) fn given(self, value: &str, lasts: Duration, secure: bool) -> HeaderValue {
        let (name, seconds) = (self.name(secure), lasts.as_secs());
        let sent = match (self, secure) {
            (Self::Agent, _) => "SameSite=None; Secure; Partitioned",
            (Self::Session | Self::Authorization, true) => "SameSite=Lax; Secure",
            (Self::Session | Self::Authorization, false) => "SameSite=Lax",
        };
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; {sent}");
        HeaderValue::try_from(text).expect("base64url in a cookie")
    }

    /// Takes it back.
    pub(super) fn taken_back(self, secure: bool) -> HeaderValue {
        self.given("", Duration::ZERO, secure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn read(lines: &[&[u8]], secure: bool) -> Result<Option<String>, CameTwice> {
        let header = |line: &&[u8]| (COOKIE, HeaderValue::from_bytes(line).expect("bytes"));
        let request = lines.iter().map(header).fold(TestRequest::default(), TestRequest::append_header);
        Cookie::Session.read(&request.to_http_request(), secure)
    }

    #[test]
    fn a_cookie_is_read_by_its_whole_name_and_once() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        for (lines, secure, expected) in [
            (&[b"a=1; __Host-bellhop=x; b=2".as_slice()][..], true, some("x")),
            (&[b"a=1", b"__Host-bellhop=x"], true, some("x")),
            (&[b"__Host-bellhop=x"], false, Ok(None)),
            (&[b"bellhop=x"], true, Ok(None)),
            (&[b"bellhop=x"], false, some("x")),
            (&[b"bellhop=x=y"], false, some("x=y")),
            (&[b"bellhop=x; bellhop=x"], false, Err(CameTwice)),
            (&[b"bellhop=x", b"bellhop=y"], false, Err(CameTwice)),
            (&[b"bellhop=\xff"], false, Ok(None)),
            (&[b"Bellhop=x; bellhop"], false, Ok(None)),
            (&[], true, Ok(None)),
        ] {
            assert_eq!(read(lines, secure), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_behind_https_is_of_this_host_alone_and_of_no_script() {
        let given = Cookie::Session.given("x", Duration::from_secs(60), true);
        assert_eq!(given, "__Host-bellhop=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(Cookie::Session.taken_back(false), "bellhop=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn the_cookie_of_a_frame_is_of_the_site_around_it_and_never_open() {
        for (secure, name) in [(true, "__Host-bellhop-agent"), (false, "bellhop-agent")] {
            let given = Cookie::Agent.given("x", Duration::from_secs(60), secure);
            let expected = format!("{name}=x; Path=/; Max-Age=60; HttpOnly; SameSite=None; Secure; Partitioned");
            assert_eq!(given, expected.as_str());
        }
    }
}
