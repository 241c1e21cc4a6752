//! Digest authentication of those who call us (RFC 7616, RFC 8760): SHA-256 and MD5, `qop=auth`.
//!
//! Invariant: a nonce is ours, young, and counts up; what was accepted once is not accepted again, nor for another resource.
//! Nothing about the password, the user or whose number was dialled is told apart from the outside: a number of nobody's is
//! challenged and refused as somebody's would be ([`realm_of_nobody`]). Driver: `actors/reception/admission.rs`.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::time::Duration;

use hmac::{Hmac, Mac};
use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::message::{Request, Uri, params};

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
    /// Nothing answers a challenge of this realm: challenge.
    Absent,
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
    /// As they were used first, with the time they were made.
    order: VecDeque<(String, u64)>,
    /// Of those forgotten, when the youngest was made.
    forgotten: Option<u64>,
}

impl Challenger {
    /// `secret` is random, for the life of the process.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret, counts: HashMap::new(), order: VecDeque::new(), forgotten: None }
    }

    /// The WWW-Authenticate values of a 401, the stronger algorithm first. `now` is the time since some start.
    pub fn challenge(&self, now: Duration, realm: &str, stale: bool) -> [String; 2] {
        let nonce = self.nonce(now.as_millis() as u64, realm);
        let stale = if stale { ", stale=true" } else { "" };
        ["SHA-256", "MD5"].map(|algorithm| {
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}")
        })
    }

    /// Judges what a request says of who sent it: the Authorization value for the realm of the login.
    pub fn judge(&mut self, now: Duration, request: &Request, login: Login<'_>) -> Verdict {
        let Some(value) = request.headers.all("Authorization").find(|value| is_for(value, login.realm)) else {
            return Verdict::Absent;
        };
        let Some(answer) = Answer::parse(value) else { return Verdict::Refused };
        let ours = self.time_of(answer.nonce, login.realm);
        let right = answer.user == login.user
            && answer.qop.eq_ignore_ascii_case("auth")
            && same_resource(answer.uri, &request.uri)
            && same(&answer.expected(request.method.token(), login), &answer.response.to_ascii_lowercase());
        let (Some(made), true) = (ours, right) else { return Verdict::Refused };
        if now.saturating_sub(Duration::from_millis(made)) > NONCE_LIFETIME {
            return Verdict::Stale;
        }
        if !self.counts_up(answer.nonce, made, answer.count) {
            return Verdict::Stale;
        }
        Verdict::Accepted
    }

    /// The same for a number of nobody's: nothing that anybody could say is right, so that what is said twice or too late is
    /// answered as for a number that has a login.
    pub fn judge_nobody(&mut self, now: Duration, request: &Request, realm: &str) -> Verdict {
        // No nonce is of that moment.
        let password = hex(&self.sign(u64::MAX, realm));
        self.judge(now, request, Login { realm, user: &password, password: &password })
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

    /// Each use of a nonce counts one up (RFC 7616 section 5.12). One as old as those whose count is forgotten may be one of
    /// them.
    fn counts_up(&mut self, nonce: &str, made: u64, count: u32) -> bool {
        if let Some(last) = self.counts.get_mut(nonce) {
            let up = count > *last;
            *last = count.max(*last);
            return up;
        }
        if self.forgotten.is_some_and(|forgotten| made <= forgotten) {
            return false;
        }
        if self.order.len() >= NONCES_MAX
            && let Some((oldest, made)) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
            self.forgotten = self.forgotten.max(Some(made));
        }
        self.order.push_back((nonce.to_owned(), made));
        self.counts.insert(nonce.to_owned(), count);
        count > 0
    }
}

/// The realm that a number of nobody's is challenged with: one of those there are, the same for the same number, after a
/// restart too, and nobody without the passwords can tell that it was drawn. `None` where nobody has a login.
pub fn realm_of_nobody<'a>(number: &str, logins: impl Iterator<Item = Login<'a>>) -> Option<&'a str> {
    let mut logins: Vec<Login<'_>> = logins.collect();
    logins.sort_by_key(|login| (login.realm, login.user, login.password));
    let mut key = Sha256::new();
    for login in &logins {
        key.update(Sha256::digest(login.password));
    }
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key.finalize()).expect("any length is a key of HMAC");
    mac.update(number.as_bytes());
    let lot = mac.finalize().into_bytes().iter().take(8).fold(0, |lot: u64, byte| (lot << 8) | u64::from(*byte));
    let mut realms: Vec<&str> = logins.iter().map(|login| login.realm).collect();
    realms.dedup();
    let at = lot.checked_rem(realms.len() as u64)?;
    realms.get(at as usize).copied()
}

/// Whether the `uri` of an answer is the resource that is asked for (RFC 7616 section 3.4.6). Parameters are left aside:
/// proxies on the way add theirs.
fn same_resource(answered: &str, asked: &str) -> bool {
    let (Some(answered), Some(asked)) = (Uri::parse(answered), Uri::parse(asked)) else { return answered == asked };
    answered.user == asked.user
        && answered.host.eq_ignore_ascii_case(&asked.host)
        && (answered.port == asked.port || answered.port.is_none() || asked.port.is_none())
}

/// Whether an Authorization value answers a challenge of this realm, well or badly.
fn is_for(value: &str, realm: &str) -> bool {
    digest_fields(value).is_some_and(|mut fields| {
        fields.any(|(name, value)| name.eq_ignore_ascii_case("realm") && params::unescaped(value) == realm)
    })
}

/// An Authorization value, taken apart.
struct Answer<'a> {
    user: String,
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
        let fields: Vec<(&str, &str)> = digest_fields(value)?.collect();
        let field = |name: &str| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
        let md5 = match field("algorithm") {
            None => true,
            Some(name) if name.eq_ignore_ascii_case("MD5") => true,
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => false,
            Some(_) => return None,
        };
        let nc = field("nc")?;
        Some(Self {
            user: params::unescaped(field("username")?),
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

/// The fields of a value of the Digest scheme.
fn digest_fields(value: &str) -> Option<impl Iterator<Item = (&str, &str)>> {
    let (scheme, rest) = value.trim_start().split_once(char::is_whitespace)?;
    scheme.eq_ignore_ascii_case("Digest").then(|| fields(rest))
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
                let end = params::closing_quote(quoted)?;
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
    use crate::message::Method;

    const LOGIN: Login<'_> = Login { realm: "acme", user: "trunk", password: "Circle of Life" };

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    const URI: &str = "sip:+1800@h;x=y,z";

    fn asks(method: &str, uri: &str, authorization: &str) -> Request {
        let mut request = Request::new(Method::from_token(method), uri);
        request.headers.push("Authorization", authorization);
        request
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
            let mut judge = |value: &str| challenger.judge(seconds(11), &asks("INVITE", URI, value), LOGIN);
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
        let refused = Verdict::Refused;
        for (what, value, method, uri, expected) in [
            ("password", answer(&challenge, Login { password: "x", ..LOGIN }, 1), "INVITE", URI, refused),
            ("user", answer(&challenge, Login { user: "x", ..LOGIN }, 1), "INVITE", URI, refused),
            ("method", good.clone(), "BYE", URI, refused),
            ("another number", good.clone(), "INVITE", "sip:+1900@h", refused),
            ("another host", good.clone(), "INVITE", "sip:+1800@other", refused),
            ("another port", good.replace("@h;", "@h:5070;"), "INVITE", "sip:+1800@h:5060", refused),
            ("nonce of somebody else", foreign, "INVITE", URI, refused),
            ("nonce of another realm", of_another_realm, "INVITE", URI, refused),
            ("qop", good.replace("qop=auth", "qop=auth-int"), "INVITE", URI, refused),
            ("no qop", good.replace("qop=auth, ", ""), "INVITE", URI, refused),
            ("algorithm", good.replace("SHA-256", "SHA-512"), "INVITE", URI, refused),
            ("scheme", good.replace("Digest", "Basic"), "INVITE", URI, Verdict::Absent),
            ("realm", good.replace("realm=\"acme\"", "realm=\"other\""), "INVITE", URI, Verdict::Absent),
            ("nothing", String::new(), "INVITE", URI, Verdict::Absent),
        ] {
            assert_eq!(challenger.judge(seconds(11), &asks(method, uri, &value), LOGIN), expected, "{what}");
        }
        assert_eq!(challenger.judge(seconds(10 + 301), &asks("INVITE", URI, &good), LOGIN), Verdict::Stale);
        let by_a_proxy = asks("INVITE", "sips:+1800@H:5061;transport=tls", &good);
        assert_eq!(challenger.judge(seconds(11), &by_a_proxy, LOGIN), Verdict::Accepted, "the same resource");
        assert!(challenger.challenge(seconds(1), "acme", true)[0].ends_with("stale=true"));
    }

    /// A replay of the login of nobody, or an old one, would be *stale* where it was right: that told a number of nobody's.
    #[test]
    fn nothing_is_right_for_a_number_of_nobodys() {
        let mut challenger = Challenger::new([7; 32]);
        let [challenge, _] = challenger.challenge(seconds(10), "acme", false);
        for (user, password) in [("", ""), ("trunk", ""), ("trunk", "secret")] {
            let value = answer(&challenge, Login { realm: "acme", user, password }, 1);
            for at in [11, 11, 400] {
                let verdict = challenger.judge_nobody(seconds(at), &asks("INVITE", URI, &value), "acme");
                assert_eq!(verdict, Verdict::Refused, "{user} {password} at {at}");
                let verdict = challenger.judge(seconds(at), &asks("INVITE", URI, &value), LOGIN);
                assert_eq!(verdict, Verdict::Refused, "as for somebody's");
            }
        }
        assert_eq!(challenger.judge_nobody(seconds(11), &asks("INVITE", URI, ""), "acme"), Verdict::Absent);
    }

    #[test]
    fn a_nonce_whose_count_is_forgotten_is_stale() {
        let mut challenger = Challenger::new([7; 32]);
        let mut call = |n: u64, count: u32| {
            let [challenge, _] = challenger.challenge(Duration::from_millis(n), "acme", false);
            challenger.judge(seconds(100), &asks("INVITE", URI, &answer(&challenge, LOGIN, count)), LOGIN)
        };
        for n in 0..=NONCES_MAX as u64 {
            assert_eq!(call(n, 1), Verdict::Accepted);
        }
        assert_eq!(call(0, 1), Verdict::Stale, "a replay of what was forgotten");
        assert_eq!((call(1, 1), call(1, 2)), (Verdict::Stale, Verdict::Accepted), "what is remembered counts up");
    }

    #[test]
    fn quoted_commas_and_escapes_are_values() {
        let all: Vec<_> = fields(r#"a="x, \"y\"", b=2,c = "3""#).collect();
        assert_eq!(all, [("a", r#"x, \"y\""#), ("b", "2"), ("c", "3")]);
        assert_eq!(params::unescaped(all[0].1), r#"x, "y""#);
    }

    #[test]
    fn numbers_of_nobody_have_realms_like_those_of_somebody() {
        let logins = [LOGIN, Login { realm: "beta", ..LOGIN }, Login { user: "other", ..LOGIN }];
        let realm = |number: &str| realm_of_nobody(number, logins.into_iter());
        let drawn: Vec<_> = (0..200).map(|n| realm(&format!("+1800{n}")).expect("one")).collect();
        let again: Vec<_> = (0..200).map(|n| realm(&format!("+1800{n}")).expect("one")).collect();
        assert_eq!(drawn, again);
        let betas = drawn.iter().filter(|realm| **realm == "beta").count();
        assert!((60..140).contains(&betas), "{betas} of 200");
        let others = logins.map(|login| Login { password: "x", ..login });
        let elsewhere: Vec<_> =
            (0..200).map(|n| realm_of_nobody(&format!("+1800{n}"), others.into_iter()).expect("one")).collect();
        assert_ne!(drawn, elsewhere, "it takes the passwords to know");
        assert_eq!(realm_of_nobody("+1800", std::iter::empty()), None);
    }
}
