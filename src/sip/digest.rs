//! Digest authentication of those who call us (RFC 7616, RFC 8760): SHA-256 and MD5, `qop=auth`.
//!
//! Invariant: a nonce is ours, young, and counts up; what was accepted once is not accepted again. Nothing about the
//! password or the user is told apart from the outside. Driver: `actors/reception/admission.rs`.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::time::Duration;

use hmac::{Hmac, Mac};
use md5::Md5;
use sha2::{Digest as _, Sha256};

/// How long a nonce is good.
pub const NONCE_LIFETIME: Duration = Duration::from_secs(300);
/// Nonces whose count is remembered; the oldest are forgotten, and are stale with that.
pub const NONCES_MAX: usize = 16_384;

/// A user name and its password.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The protection space that is told in the challenge.
    pub realm: &'a str,
    /// The user.
    pub user: &'a str,
    /// The password.
    pub password: &'a str,
}

/// What an Authorization header is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one who holds the password.
    Accepted,
    /// The password is right and the nonce is old: challenge again, with `stale`.
    Stale,
    /// It is wrong.
    Refused,
}

/// Makes and remembers nonces.
#[derive(Debug)]
pub struct Challenger {
    secret: [u8; 32],
    counts: HashMap<String, u32>,
    order: VecDeque<String>,
}

impl Challenger {
    /// `secret` is random, for the life of the process.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret, counts: HashMap::new(), order: VecDeque::new() }
    }

    /// The WWW-Authenticate values of a 401, the stronger algorithm first. `now` is the time since some start.
    pub fn challenge(&self, now: Duration, realm: &str, stale: bool) -> [String; 2] {
        let nonce = self.nonce(now.as_millis() as u64, realm);
        let stale = if stale { ", stale=true" } else { "" };
        ["SHA-256", "MD5"].map(|algorithm| {
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}")
        })
    }

    /// Judges an Authorization value of a request.
    pub fn judge(&mut self, now: Duration, method: &str, authorization: &str, login: Login<'_>) -> Verdict {
        let Some(answer) = Answer::parse(authorization) else { return Verdict::Refused };
        let ours = self.time_of(answer.nonce, login.realm);
        let right = answer.realm == login.realm
            && answer.user == login.user
            && answer.qop.eq_ignore_ascii_case("auth")
            && same(&answer.expected(method, login), &answer.response.to_ascii_lowercase());
        let (Some(made), true) = (ours, right) else { return Verdict::Refused };
        if now.saturating_sub(Duration::from_millis(made)) > NONCE_LIFETIME {
            return Verdict::Stale;
        }
        if !self.counts_up(answer.nonce, answer.count) {
            return Verdict::Stale;
        }
        Verdict::Accepted
    }

    /// One of so many, always the same for a name, and not to be foreseen from outside: whose login a number of nobody's
    /// seems to have. `None` of none.
    pub fn pick(&self, name: &str, of: usize) -> Option<usize> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.secret).expect("any length is a key of HMAC");
        mac.update(b"pick");
        mac.update(name.as_bytes());
        let bytes = mac.finalize().into_bytes();
        let number = bytes.iter().take(4).fold(0usize, |number, byte| number << 8 | usize::from(*byte));
        (of > 0).then(|| number % of)
    }

    fn nonce(&self, millis: u64, realm: &str) -> String {
        format!("{millis:016x}{}", hex(&self.sign(millis, realm)[..16]))
    }

    /// When we made this nonce; `None` if we did not.
    fn time_of(&self, nonce: &str, realm: &str) -> Option<u64> {
        let millis = u64::from_str_radix(nonce.get(..16)?, 16).ok()?;
        same(&self.nonce(millis, realm), nonce).then_some(millis)
    }

    fn sign(&self, millis: u64, realm: &str) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.secret).expect("any length is a key of HMAC");
        mac.update(&millis.to_be_bytes());
        mac.update(realm.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Each use of a nonce counts one up (RFC 7616 section 5.12).
    fn counts_up(&mut self, nonce: &str, count: u32) -> bool {
        if let Some(last) = self.counts.get_mut(nonce) {
            let up = count > *last;
            *last = count.max(*last);
            return up;
        }
        if self.order.len() >= NONCES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
        }
        self.order.push_back(nonce.to_owned());
        self.counts.insert(nonce.to_owned(), count);
        count > 0
    }
}

/// An Authorization value, taken apart.
struct Answer<'a> {
    user: String,
    realm: String,
    nonce: &'a str,
    uri: &'a str,
    response: &'a str,
    cnonce: &'a str,
    qop: &'a str,
    nc: &'a str,
    count: u32,
    md5: bool,
}

impl<'a> Answer<'a> {
    fn parse(value: &'a str) -> Option<Self> {
        let (scheme, rest) = value.trim_start().split_once(char::is_whitespace)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let fields: Vec<(&str, &str)> = fields(rest).collect();
        let field = |name: &str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        let md5 = match field("algorithm") {
            None => true,
            Some(name) if name.eq_ignore_ascii_case("MD5") => true,
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => false,
            Some(_) => return None,
        };
        let nc = field("nc")?;
        Some(Self {
            user: unescaped(field("username")?),
            realm: unescaped(field("realm")?),
            nonce: field("nonce")?,
            uri: field("uri")?,
            response: field("response")?,
            cnonce: field("cnonce")?,
            qop: field("qop")?,
            nc,
            count: u32::from_str_radix(nc, 16).ok()?,
            md5,
        })
    }

    fn expected(&self, method: &str, login: Login<'_>) -> String {
        let hash = |text: String| if self.md5 { hex(&Md5::digest(text)) } else { hex(&Sha256::digest(text)) };
        let who = hash(format!("{}:{}:{}", login.user, login.realm, login.password));
        let what = hash(format!("{method}:{}", self.uri));
        hash(format!("{who}:{}:{}:{}:{}:{what}", self.nonce, self.nc, self.cnonce, self.qop))
    }
}

/// `name=value, name="quoted, value"`.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_matches(|c: char| c == ',' || c.is_whitespace());
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = end_of_quote(quoted)?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => {
                let end = after.find(',').unwrap_or(after.len());
                (after[..end].trim(), &after[end..])
            }
        };
        rest = left;
        Some((name, value))
    })
}

fn end_of_quote(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        out.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    out
}

/// Compares without telling where the difference is.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: Login<'_> = Login { realm: "acme", user: "trunk", password: "Circle of Life" };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// What an honest client answers to a challenge.
    fn answer(challenge: &str, login: Login<'_>, nc: u32) -> String {
        let nonce = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce");
        let algorithm = if challenge.contains("SHA-256") { "SHA-256" } else { "MD5" };
        let value = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{nonce}\", uri=\"sip:+1800@h;x=y,z\", algorithm={algorithm}, cnonce=\"0a4f\", qop=auth, nc={nc:08x}, response=\"\"",
            login.user, login.realm
        );
        let response = Answer::parse(&value).expect("good").expected("INVITE", login);
        value.replace("response=\"\"", &format!("response=\"{response}\""))
    }

    /// RFC 7616 section 3.9.1: both algorithms of the published example.
    #[test]
    fn the_published_example_is_computed() {
        let login = Login { realm: "http-auth@example.org", user: "Mufasa", password: "Circle of Life" };
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let value = format!(
                "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{expected}\", opaque=\"x\""
            );
            assert_eq!(Answer::parse(&value).expect("good").expected("GET", login), expected);
        }
    }

    #[test]
    fn the_holder_of_the_password_is_accepted_once_per_count() {
        let mut challenger = Challenger::new([7; 32]);
        for challenge in challenger.challenge(seconds(10), "acme", false) {
            let first = answer(&challenge, LOGIN, 1);
            let (third, second) = (answer(&challenge, LOGIN, 3), answer(&challenge, LOGIN, 2));
            let mut judge = |value: &str| challenger.judge(seconds(11), "INVITE", value, LOGIN);
            let counted = challenge.contains("MD5"); // both have the same nonce: SHA-256 has used it
            assert_eq!(judge(&first), if counted { Verdict::Stale } else { Verdict::Accepted });
            assert_eq!(judge(&first), Verdict::Stale, "a replay");
            assert_eq!(judge(&third), if counted { Verdict::Stale } else { Verdict::Accepted });
            assert_eq!(judge(&second), Verdict::Stale, "counts up");
        }
    }

    #[test]
    fn everybody_else_is_refused() {
        let mut challenger = Challenger::new([7; 32]);
        let [challenge, _] = challenger.challenge(seconds(10), "acme", false);
        let good = answer(&challenge, LOGIN, 1);
        let foreign = answer(&Challenger::new([8; 32]).challenge(seconds(10), "acme", false)[0], LOGIN, 1);
        let of_another_realm = answer(&challenger.challenge(seconds(10), "other", false)[0], LOGIN, 1);
        for (what, value, method) in [
            ("password", answer(&challenge, Login { password: "x", ..LOGIN }, 1), "INVITE"),
            ("user", answer(&challenge, Login { user: "x", ..LOGIN }, 1), "INVITE"),
            ("method", good.clone(), "BYE"),
            ("nonce of somebody else", foreign, "INVITE"),
            ("nonce of another realm", of_another_realm, "INVITE"),
            ("qop", good.replace("qop=auth", "qop=auth-int"), "INVITE"),
            ("no qop", good.replace("qop=auth, ", ""), "INVITE"),
            ("algorithm", good.replace("SHA-256", "SHA-512"), "INVITE"),
            ("scheme", good.replace("Digest", "Basic"), "INVITE"),
            ("nothing", String::new(), "INVITE"),
        ] {
            assert_eq!(challenger.judge(seconds(11), method, &value, LOGIN), Verdict::Refused, "{what}");
        }
        assert_eq!(challenger.judge(seconds(10 + 301), "INVITE", &good, LOGIN), Verdict::Stale);
        assert!(challenger.challenge(seconds(1), "acme", true)[0].ends_with("stale=true"));
    }

    #[test]
    fn quoted_commas_and_escapes_are_values() {
        let all: Vec<_> = fields(r#"a="x, \"y\"", b=2,c = "3""#).collect();
        assert_eq!(all, [("a", r#"x, \"y\""#), ("b", "2"), ("c", "3")]);
        assert_eq!(unescaped(all[0].1), r#"x, "y""#);
    }
}
