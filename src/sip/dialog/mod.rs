//! Dialogs (RFC 3261 section 12): who talks to whom, by which route, with which numbers.
//!
//! Invariant: requests inside a dialog are built here and nowhere else, so that route set, tags and CSeq are always the
//! dialog's. [`acceptor`] is an INVITE we answer up to its ACK, `session.rs` and `requests.rs` what follows,
//! [`teardown`] how any call ends; [`Input`] and [`Output`] are their words. Drivers:
//! `actors/call/sip_dialog.rs` and `actors/signalling/endpoint.rs`.

pub mod acceptor;
pub mod capabilities;
mod events;
mod exchange;
pub mod info;
pub mod pace;
pub mod refer;
pub mod reliable;
mod repeated;
mod requests;
mod session;
pub mod session_timer;
mod standing;
pub mod teardown;
#[cfg(test)]
mod tests;
pub mod vetting;
pub mod ways;

pub use events::{Input, Output};

use std::sync::Arc;

use ipnet::IpNet;

use crate::hop::Hop;
use crate::message::{CSeq, Method, NameAddr, Request, Response, Scheme, StatusCode, Uri, with_tag};
use ways::{Reach, Ways};

/// The three values that name a dialog, from our side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The far end's tag; empty for clients of RFC 2543.
    pub remote_tag: String,
}

impl DialogId {
    /// The dialog a request inside one belongs to: its To tag is ours.
    pub fn of_request(request: &Request) -> Option<Self> {
        Some(Self {
            call_id: request.headers.get("Call-ID")?.to_owned(),
            local_tag: request.headers.tag("To")?.into_owned(),
            remote_tag: NameAddr::tag_in(request.headers.get("From")?).ok()?.unwrap_or_default().into_owned(),
        })
    }
}

/// A dialog, early or confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    /// Call-ID and both tags (RFC 3261 section 12).
    pub id: DialogId,
    // Each step of a call leaves a copy in its teardown plan: what does not change is shared.
    local_address: Arc<str>,
    remote_address: Arc<str>,
    remote_target: Arc<str>,
    route_set: Arc<[String]>,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    via_sent_by: Arc<str>,
    contact: Arc<str>,
    hop: Hop,
    networks: Arc<[IpNet]>,
}

/// How we name ourselves in what we send, and whom the far end may name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalIdentity {
    /// The Contact value with brackets, for example `<sip:203.0.113.7:5061;transport=tcp>`.
    pub contact: String,
    /// The sent-by of our Via: `host:port`.
    pub via_sent_by: String,
    /// The networks that the far end is listed by; it may name any address of theirs as Contact or route.
    pub networks: Arc<[IpNet]>,
}

impl Dialog {
    /// The dialog an INVITE opens when we answer it with `local_tag` (RFC 3261 section 12.1.1). The request must have
    /// passed the front parser.
    pub fn from_invite(invite: &Request, hop: Hop, local_tag: &str, local: &LocalIdentity) -> Result<Self, StatusCode> {
        let bad = StatusCode(400);
        let text = |name| invite.headers.get(name).ok_or(bad);
        let remote_tag = NameAddr::tag_in(text("From")?).map_err(|_| bad)?;
        let contact = NameAddr::first(&invite.headers, "Contact").ok_or(bad)?;
        let cseq = CSeq::parse(text("CSeq")?).ok_or(bad)?;
        Ok(Self {
            id: DialogId {
                call_id: text("Call-ID")?.to_owned(),
                local_tag: local_tag.to_owned(),
                remote_tag: remote_tag.unwrap_or_default().into_owned(),
            },
            local_address: with_tag(text("To")?, local_tag).into(),
            remote_address: text("From")?.into(),
            remote_target: contact.uri.as_str().into(),
            route_set: invite.headers.all("Record-Route").map(str::to_owned).collect(),
            local_cseq: 0,
            remote_cseq: Some(cseq.number),
            via_sent_by: local.via_sent_by.as_str().into(),
            contact: match is_secure(invite, &contact) {
                true => secured(&local.contact).into(),
                false => local.contact.as_str().into(),
            },
            hop,
            networks: Arc::clone(&local.networks),
        })
    }

    /// The dialog that a 2xx to our own INVITE opens (RFC 3261 section 12.1.2).
    pub fn from_answer(invite: &Request, answer: &Response, hop: Hop, local: &LocalIdentity) -> Option<Self> {
        let remote_tag = NameAddr::tag_in(answer.headers.get("To")?).ok()?;
        let contact = NameAddr::first(&answer.headers, "Contact")?;
        Some(Self {
            id: DialogId {
                call_id: invite.headers.get("Call-ID")?.to_owned(),
                local_tag: invite.headers.tag("From")?.into_owned(),
                remote_tag: remote_tag.unwrap_or_default().into_owned(),
            },
            local_address: invite.headers.get("From")?.into(),
            remote_address: answer.headers.get("To")?.into(),
            remote_target: contact.uri.as_str().into(),
            route_set: reversed(answer.headers.all("Record-Route")).into(),
            local_cseq: CSeq::parse(invite.headers.get("CSeq")?)?.number,
            remote_cseq: None,
            via_sent_by: local.via_sent_by.as_str().into(),
            contact: local.contact.as_str().into(),
            hop,
            networks: Arc::clone(&local.networks),
        })
    }

    /// A request inside the dialog (RFC 3261 section 12.2.1.1) and the ways it can take. ACK repeats the INVITE's number,
    /// everything else counts up.
    pub fn request(&mut self, method: Method, branch: &str) -> (Request, Ways) {
        if method != Method::Ack {
            self.local_cseq += 1;
        }
        let (uri, routes) = self.request_target();
        let mut request = Request::new(method, uri);
        let transport = self.hop.transport.token();
        let headers = &mut request.headers;
        headers.push("Via", &format!("SIP/2.0/{transport} {};rport;branch={branch}", self.via_sent_by));
        headers.push("Max-Forwards", "70");
        for route in &routes {
            headers.push("Route", route);
        }
        headers.push("From", &self.local_address);
        headers.push("To", &self.remote_address);
        headers.push("Call-ID", &self.id.call_id);
        headers.push("CSeq", &format!("{} {}", self.local_cseq, request.method));
        headers.push("Contact", &self.contact);
        (request, self.ways())
    }

    /// The ACK of a 2xx to our INVITE with this number (RFC 3261 section 13.2.2.4): other requests may have gone out since.
    pub fn acknowledge(&mut self, invite: u32, branch: &str) -> (Request, Ways) {
        let (mut ack, ways) = self.request(Method::Ack, branch);
        ack.headers.set("CSeq", &format!("{invite} ACK"));
        (ack, ways)
    }

    /// The number of the last request that was built.
    pub fn last_number(&self) -> u32 {
        self.local_cseq
    }

    /// Who we are, for Referred-By: our address without its tag.
    pub fn own_address(&self) -> String {
        NameAddr::parse(&self.local_address)
            .map_or_else(|_| self.contact.to_string(), |address| format!("<{}>", address.uri))
    }

    /// A target refresh request, or a 2xx to one of ours, names where the far end is now (RFC 3261 section 12.2).
    pub fn refresh_target(&mut self, headers: &crate::message::Headers) {
        if let Some(contact) = NameAddr::first(headers, "Contact") {
            self.remote_target = contact.uri.as_str().into();
        }
    }

    /// A request of the far end came over this hop: what we send goes back by it. Whether that is another way than before.
    pub fn came_by(&mut self, hop: Hop) -> bool {
        let moved = hop.transport == self.hop.transport && hop != self.hop;
        if moved {
            self.hop = hop;
        }
        moved
    }

    /// Checks a request of the far end against the dialog: its number must grow (RFC 3261 section 12.2.2), ACK aside.
    pub fn admit(&mut self, request: &Request) -> Result<(), StatusCode> {
        let cseq = request.headers.get("CSeq").and_then(CSeq::parse).ok_or(StatusCode(400))?;
        if cseq.method == Method::Ack {
            return Ok(());
        }
        match self.remote_cseq {
            Some(last) if cseq.number <= last => Err(StatusCode(500)),
            _ => {
                self.remote_cseq = Some(cseq.number);
                Ok(())
            }
        }
    }

    /// The Contact header of responses that need one.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// With a loose first route the Request-URI is the remote target; with a strict one the route takes its place and
    /// the target goes last (RFC 3261 section 12.2.1.1).
    fn request_target(&self) -> (String, Vec<String>) {
        let first = self.route_set.first().and_then(|route| NameAddr::parse(route).ok());
        match first {
            Some(first) if first.uri.param("lr").is_none() => {
                let mut routes: Vec<String> = self.route_set[1..].to_vec();
                routes.push(format!("<{}>", self.remote_target));
                (first.uri.to_string(), routes)
            }
            _ => (self.remote_target.to_string(), self.route_set.to_vec()),
        }
    }

    /// By which ways a request goes.
    pub fn ways(&self) -> Ways {
        let route = self.route_set.first().and_then(|route| NameAddr::parse(route).ok()).map(|route| route.uri);
        let target = Uri::parse(&self.remote_target);
        let reach = Reach::from_source(self.hop.remote.ip(), Arc::clone(&self.networks));
        Ways::of_dialog(self.hop, reach, route.as_ref(), target.as_ref())
    }

    /// What the dialog came by last.
    pub fn hop(&self) -> Hop {
        self.hop
    }

    /// The far end is reached by this from here on: a connection of ours in place of one that is gone.
    pub(super) fn goes_by(&mut self, hop: Hop) {
        self.hop = hop;
    }
}

/// Whether our Contact has to be a sips URI: where the request names one in its Request-URI, in its top Record-Route or,
/// without Record-Route, in its Contact (RFC 3261 section 12.1.1). Callers end a call whose Contact is none.
fn is_secure(invite: &Request, contact: &NameAddr) -> bool {
    let is_sips = |uri: &Uri| uri.scheme == Scheme::Sips;
    let by_route = match invite.headers.get("Record-Route") {
        Some(route) => NameAddr::parse(route).is_ok_and(|route| is_sips(&route.uri)),
        None => is_sips(&contact.uri),
    };
    by_route || Uri::scheme_of(&invite.uri) == Some(Scheme::Sips)
}

/// Our Contact as a sips URI: the scheme says TLS, `transport=tls` would say it twice (RFC 3261 section 26.2.2).
fn secured(contact: &str) -> String {
    contact.replacen("<sip:", "<sips:", 1).replace(";transport=tls", "")
}

/// The caller's route set is the list of the answer, backwards.
fn reversed<'a>(routes: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut list: Vec<String> = routes.map(str::to_owned).collect();
    list.reverse();
    list
}
