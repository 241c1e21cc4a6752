//! Signature version 4, verified (AWS General Reference, "Signing AWS API requests").
//!
//! Invariant: everything the signature covers is recomputed from what arrived; nothing in the request is believed.

use std::fmt;
use std::time::{Duration, SystemTime};

use actix_web::HttpRequest;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// How far the client's clock may be off.
const SKEW: Duration = Duration::from_secs(300);

/// An access key the stand-in believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

/// Who may call, and what.
pub(crate) struct Scope<'a> {
    pub(crate) key: &'a AccessKey,
    /// Of a key that belongs to a session.
    pub(crate) token: Option<&'a str>,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// Why a signature is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unverified {
    /// Nobody has this key.
    UnknownKey,
    /// Signed too long ago.
    Expired,
    /// Signed for a time to come.
    Early,
    /// It is not what it should be.
    Mismatch(&'static str),
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKey => "The security token included in the request is invalid.",
            Self::Expired => "Signature expired: it is now earlier than the server's time - 5 min.",
            Self::Early => "Signature not yet current: it is still later than the server's time + 5 min.",
            Self::Mismatch(why) => why,
        })
    }
}

/// The hash of a body, as it is signed.
pub(crate) fn hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// The id of the key that a request says it is signed with.
pub(crate) fn key_id(request: &HttpRequest) -> Option<&str> {
    let authorization = request.headers().get("authorization")?.to_str().ok()?;
    authorization.split_once("Credential=")?.1.split('/').next()
}

/// Where the Region and the service stand in what a request says it is signed for.
pub(crate) const REGION: usize = 2;
pub(crate) const SERVICE: usize = 3;

/// A part of what a request says it is signed for.
pub(crate) fn scope(request: &HttpRequest, part: usize) -> Option<&str> {
    let authorization = request.headers().get("authorization")?.to_str().ok()?;
    authorization.split_once("Credential=")?.1.split('/').nth(part)
}

/// Checks the signature of a request with a body of this hash.
pub(crate) fn verify(request: &HttpRequest, hash: &str, scope: &Scope<'_>, now: SystemTime) -> Result<(), Unverified> {
    use Unverified::Mismatch;
    let Scope { key, token, region, service } = scope;
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization").ok_or(Mismatch("no Authorization"))?;
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(Mismatch("not AWS4-HMAC-SHA256"))?;
    let field = |name: &str| rest.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let (credential, signed, signature) = (
        field("Credential").ok_or(Mismatch("no Credential"))?,
        field("SignedHeaders").ok_or(Mismatch("no SignedHeaders"))?,
        field("Signature").ok_or(Mismatch("no Signature"))?,
    );
    let parts: Vec<&str> = credential.split('/').collect();
    let [id, date, scope_region, scope_service, "aws4_request"] = parts[..] else {
        return Err(Mismatch("malformed scope"));
    };
    let stamp = header("x-amz-date").ok_or(Mismatch("no X-Amz-Date"))?;
    if id != key.id || header("x-amz-security-token") != *token {
        return Err(Unverified::UnknownKey);
    }
    if scope_region != *region || scope_service != *service || !stamp.starts_with(date) {
        return Err(Mismatch("wrong scope"));
    }
    let ahead = ahead(stamp, now).ok_or(Mismatch("malformed X-Amz-Date"))?;
    match ahead.unsigned_abs() > SKEW.as_secs() {
        true if ahead < 0 => return Err(Unverified::Expired),
        true => return Err(Unverified::Early),
        false => {}
    }
    let mandatory = ["host", "x-amz-date"].into_iter().chain(token.map(|_| "x-amz-security-token"));
    for mandatory in mandatory {
        if !signed.split(';').any(|name| name == mandatory) {
            return Err(Mismatch("host, x-amz-date and the session's token must be signed"));
        }
    }
    let canonical = canonical(request, signed, hash).ok_or(Mismatch("a signed header is missing"))?;
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{date}/{region}/{service}/aws4_request\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut signing = format!("AWS4{}", key.secret).into_bytes();
    for part in [date, region, service, "aws4_request"] {
        signing = hmac(&signing, part.as_bytes());
    }
    match hex(&hmac(&signing, to_sign.as_bytes())) == signature {
        true => Ok(()),
        false => Err(Mismatch("The request signature we calculated does not match the signature you provided.")),
    }
}

/// The request as it is signed; none if it lacks a header that it says is.
fn canonical(request: &HttpRequest, signed: &str, hash: &str) -> Option<String> {
    let mut query: Vec<&str> = request.query_string().split('&').collect();
    query.sort_unstable();
    let mut canonical = format!("{}\n{}\n{}\n", request.method(), request.path(), query.join("&"));
    for name in signed.split(';') {
        let value = request.headers().get(name)?.to_str().ok()?;
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        canonical.push_str(&format!("{name}:{value}\n"));
    }
    canonical.push_str(&format!("\n{signed}\n{hash}"));
    Some(canonical)
}

/// By how many seconds a stamp is ahead of a time.
fn ahead(stamp: &str, now: SystemTime) -> Option<i64> {
    let parsed = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", stamp).and_then(|parsed| parsed.to_datetime()).ok()?;
    let then = parsed.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    Some(then - now)
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
