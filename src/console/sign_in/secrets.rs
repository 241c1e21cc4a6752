//! Secrets that this server makes: of sessions, tokens and invitations.
//!
//! Invariant: each has 32 random bytes, and what cannot be one is known without asking a store: a session's has 43 characters,
//! a token's a prefix by which people and scanners know it, and a checksum.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use bellhop_tenancy::Secret;

/// Fills bytes with randomness that nobody can guess.
pub type Random = Box<dyn Fn(&mut [u8]) + Send + Sync>;

/// What a token begins with.
const TOKEN_PREFIX: &str = "bh_";
/// Random bytes of a secret.
const BYTES: usize = 32;
/// Their length in base64url.
const LENGTH: usize = 43;
/// The length of a checksum in base64url: of four bytes.
const CHECKSUM_LENGTH: usize = 6;

/// A secret of a session or an invitation.
pub(super) fn fresh(random: &Random) -> Secret {
    let mut bytes = [0; BYTES];
    random(&mut bytes);
    Secret::new(BASE64URL.encode(bytes))
}

/// A secret of a token.
pub(super) fn fresh_token(random: &Random) -> Secret {
    let body = fresh(random);
    Secret::new(format!("{TOKEN_PREFIX}{}{}", body.expose(), checksum(body.expose())))
}

/// What may be the secret of a session or an invitation.
pub(super) fn plausible(text: &str) -> Option<Secret> {
    let right = text.len() == LENGTH && BASE64URL.decode(text).is_ok_and(|bytes| bytes.len() == BYTES);
    right.then(|| Secret::new(text))
}

/// What may be the secret of a token.
pub(super) fn plausible_token(text: &str) -> Option<Secret> {
    let rest = text.strip_prefix(TOKEN_PREFIX).filter(|rest| rest.is_ascii())?;
    let (body, sum) = rest.split_at_checked(LENGTH)?;
    let right = plausible(body).is_some() && sum.len() == CHECKSUM_LENGTH && sum == checksum(body);
    right.then(|| Secret::new(text))
}

/// CRC-32: it finds what was cut off or mistyped, and keeps nobody out.
fn checksum(body: &str) -> String {
    BASE64URL.encode(crc32fast::hash(body.as_bytes()).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_secret_of_this_server_is_told_by_its_shape() {
        let random: Random = Box::new(|bytes| bytes.fill(0xa7));
        let (session, token) = (fresh(&random), fresh_token(&random));
        assert_eq!(plausible(session.expose()), Some(session.clone()));
        assert_eq!(plausible_token(token.expose()), Some(token.clone()));
        assert_eq!(token.expose().len(), 52);
        assert!(plausible(token.expose()).is_none() && plausible_token(session.expose()).is_none());
        let mistyped = token.expose().replace("bh_p", "bh_q");
        for other in ["", "bh_", &mistyped, &token.expose()[..51], &format!("{}x", token.expose()), "bh_é"] {
            assert!(plausible_token(other).is_none(), "{other}");
        }
        for other in ["", &"é".repeat(43), &"=".repeat(43), &session.expose()[1..]] {
            assert!(plausible(other).is_none(), "{other}");
        }
    }
}
