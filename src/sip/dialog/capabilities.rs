//! What we serve and understand, as responses say it (RFC 3261 section 11.2).
//!
//! Invariant: no response names a method, an extension or a body that is not served.

use crate::message::{Request, Response, StatusCode};

/// The methods we serve, for the Allow header.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, NOTIFY";
/// The extensions we support.
pub const SUPPORTED: &str = "timer, 100rel";
/// The bodies we accept: session descriptions, alone or among others (RFC 5621 section 3.1).
pub const ACCEPT: &str = "application/sdp, multipart/mixed, multipart/alternative, multipart/related";

/// Adds Allow, Supported and Accept.
pub fn capabilities(response: Response) -> Response {
    response.with("Allow", ALLOW).with("Supported", SUPPORTED).with("Accept", ACCEPT)
}

/// The answer to a body that has to be understood and is not.
pub(super) fn not_understood(request: &Request) -> Response {
    request.respond(StatusCode(415), None).with("Accept", ACCEPT).with("Accept-Encoding", "identity")
}
