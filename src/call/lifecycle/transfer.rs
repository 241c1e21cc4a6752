//! Where the assistant may have a caller transferred to: the tenant's list, asked before anything of a transfer is sent.

use bellhop_sip::message::{Scheme, Uri};
use bellhop_tenancy::transfer_targets::{Target, TransferTargets};

use super::Terms;

/// Where a target leads that is not on the tenant's list: its host, or what kind of target it is; never a number.
pub(super) fn forbidden(terms: &Terms, uri: &str) -> Option<String> {
    let integration = &terms.integration;
    if integration.transfer_targets == TransferTargets::Anywhere {
        return None;
    }
    let Some(uri) = Uri::parse(uri) else { return Some("what is no URI".to_owned()) };
    let rest = uri.as_str().split_once(':').map_or("", |(_, rest)| rest);
    let (user, host) = match uri.scheme {
        Scheme::Tel => (Some(rest), None),
        // The host that is written is not the one that is called.
        Scheme::Sip | Scheme::Sips if uri.param("maddr").is_some() => return Some("a URI with maddr".to_owned()),
        Scheme::Sip | Scheme::Sips => (rest.rsplit_once('@').map(|(user, _)| user), Some(uri.host.as_str())),
        Scheme::Other(_) => return Some("a URI of another scheme".to_owned()),
    };
    let failure = integration.failover.as_ref().and_then(|failover| Uri::parse(failover.target.as_deref()?));
    let failure = failure.as_ref().map(|uri| uri.host.as_str()).filter(|host| !host.is_empty());
    let allowed = integration.transfer_targets.allow(Target { user, host }, terms.source, failure);
    (!allowed).then(|| host.unwrap_or("a number").to_owned())
}
