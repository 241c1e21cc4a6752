//! Whether an INVITE becomes a call, and for whom. Pure: Reception carries out the verdict.
//!
//! Invariant: whoever is refused learns the same as everybody refused for that reason.

use std::sync::Arc;
use std::time::Instant;

use bellhop_connect::ContactReference;
use bellhop_sip::message::{NameAddr, Request, StatusCode, Uri};
use bellhop_tenancy::quota::{Permit, Quota};
use bellhop_tenancy::routing::Directory;
use bellhop_tenancy::tenant::FailureBeforeAnswer;

use super::port_pool::{PortPair, PortPool};
use crate::call::ending::Refusal;
use crate::services::Services;

/// An admitted call's places and ports.
#[derive(Debug)]
pub struct Admitted {
    /// The tenant with its services.
    pub services: Arc<Services>,
    /// The contact, as far as the INVITE tells.
    pub contact: ContactReference,
    /// The places of tenant and node.
    pub permits: [Permit; 2],
    /// The RTP ports.
    pub ports: PortPair,
    /// The dialled number as written.
    pub dialled: String,
    /// The caller as written: user part of From.
    pub caller: String,
}

/// The verdict.
#[derive(Debug)]
pub enum Verdict {
    /// It becomes a call.
    Admit(Box<Admitted>),
    /// It is refused.
    Refuse {
        /// With this status.
        status: StatusCode,
        /// For this reason.
        refusal: Refusal,
        /// Whose call it would have been.
        tenant: Option<String>,
    },
    /// The tenant has no place left and its contact flow knows better what to do: answer, then BYE.
    AnswerThenBye {
        /// Whose call it would have been.
        tenant: String,
        /// For this reason.
        refusal: Refusal,
    },
}

/// Everything that admission looks at.
#[derive(Debug)]
pub struct Admission {
    /// The tenants by number.
    pub directory: Directory,
    /// Their services, in the directory's order.
    pub services: Vec<Arc<Services>>,
    /// The node's own limit.
    pub node: Quota,
    /// The ports.
    pub ports: PortPool,
    /// Whether the node takes calls.
    pub open: bool,
}

impl Admission {
    /// Judges an INVITE.
    pub fn judge(&self, now: Instant, invite: &Request) -> Verdict {
        let refuse = |status, refusal, tenant| Verdict::Refuse { status: StatusCode(status), refusal, tenant };
        if !self.open {
            return refuse(503, Refusal::Draining, None);
        }
        let users = [Uri::parse(&invite.uri), address(invite, "To")].map(|uri| uri.and_then(|uri| uri.user));
        let found = users.iter().flatten().find_map(|user| Some((user, self.directory.route(user)?)));
        let Some((dialled, tenant)) = found else { return refuse(403, Refusal::UnknownNumber, None) };
        let Some(services) = self.services.iter().find(|services| Arc::ptr_eq(&services.tenant, tenant)) else {
            return refuse(403, Refusal::UnknownNumber, None);
        };
        let name = || Some(tenant.name.clone());
        let headers = invite.headers.iter().collect::<Vec<_>>();
        let read = ContactReference::from_headers(
            headers.iter().copied(),
            tenant.contact_id_header.as_deref(),
            &services.instance,
        );
        let Ok(contact) = read else { return refuse(403, Refusal::ForeignInstance, name()) };
        let Ok(node) = self.node.acquire() else { return refuse(503, Refusal::NodeFull, name()) };
        let Ok(place) = tenant.calls.acquire() else {
            return match tenant.before_answer {
                FailureBeforeAnswer::AnswerThenBye => {
                    Verdict::AnswerThenBye { tenant: tenant.name.clone(), refusal: Refusal::QuotaExceeded }
                }
                FailureBeforeAnswer::ServiceUnavailable => refuse(503, Refusal::QuotaExceeded, name()),
            };
        };
        let Some(ports) = self.ports.draw(now) else { return refuse(503, Refusal::NoPorts, name()) };
        let caller = address(invite, "From").and_then(|uri| uri.user).unwrap_or_else(|| "anonymous".to_owned());
        Verdict::Admit(Box::new(Admitted {
            services: Arc::clone(services),
            contact,
            permits: [node, place],
            ports,
            dialled: dialled.clone(),
            caller,
        }))
    }
}

fn address(invite: &Request, name: &str) -> Option<Uri> {
    NameAddr::parse(invite.headers.get(name)?).ok().map(|address| address.uri)
}
