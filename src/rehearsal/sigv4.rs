//! Signature version 4, verified (AWS General Reference, "Signing AWS API requests").
//!
//! Invariant: everything the signature covers is recomputed from what arrived; nothing in the request is believed.

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
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// The hash of a body, as it is signed.
pub(crate) fn hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// Checks the signature of a request with a body of this hash.
pub(crate) fn verify(
    request: &HttpRequest,
    hash: &str,
    scope: &Scope<'_>,
    now: SystemTime,
) -> Result<(), &'static str> {
    let Scope { key, region, service } = scope;
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization").ok_or("no Authorization")?;
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("not AWS4-HMAC-SHA256")?;
    let field = |name: &str| rest.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let (credential, signed, signature) = (
        field("Credential").ok_or("no Credential")?,
        field("SignedHeaders").ok_or("no SignedHeaders")?,
        field("Signature").ok_or("no Signature")?,
    );
    let parts: Vec<&str> = credential.split('/').collect();
    let [id, date, scope_region, scope_service, "aws4_request"] = parts[..] else { return Err("malformed scope") };
    let stamp = header("x-amz-date").ok_or("no X-Amz-Date")?;
    if id != key.id || scope_region != *region || scope_service != *service || !stamp.starts_with(date) {
        return Err("wrong scope");
    }
    if !is_near(stamp, now) {
        return Err("clock skew");
    }
    for mandatory in ["host", "x-amz-date"] {
        if !signed.split(';').any(|name| name == mandatory) {
            return Err("host and x-amz-date must be signed");
        }
    }
    let mut canonical = format!("{}\n{}\n{}\n", request.method(), request.path(), request.query_string());
    for name in signed.split(';') {
        let value = header(name).ok_or("a signed header is missing")?;
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        canonical.push_str(&format!("{name}:{value}\n"));
    }
    canonical.push_str(&format!("\n{signed}\n{hash}"));
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{stamp}\n{date}/{region}/{service}/aws4_request\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut signing = format!("AWS4{}", key.secret).into_bytes();
    for part in [date, region, service, "aws4_request"] {
        signing = hmac(&signing, part.as_bytes());
    }
    if hex(&hmac(&signing, to_sign.as_bytes())) == signature { Ok(()) } else { Err("signature mismatch") }
}

fn is_near(stamp: &str, now: SystemTime) -> bool {
    let Ok(parsed) = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", stamp).and_then(|parsed| parsed.to_datetime()) else {
        return false;
    };
    let Ok(then) = parsed.to_zoned(jiff::tz::TimeZone::UTC) else { return false };
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    then.timestamp().as_second().abs_diff(now) <= SKEW.as_secs()
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
