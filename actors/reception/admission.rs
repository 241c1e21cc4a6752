//! Whether an INVITE becomes a call, and for whom. Pure: Reception carries out the verdict.
//!
//! Invariant: whoever is refused learns the same as everybody refused for that reason.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bellhop_connect::ContactReference;
use bellhop_sip::digest::{self, Challenger};
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::{NameAddr, Request, StatusCode, Uri};
use bellhop_tenancy::Tenant;
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
    /// Whoever calls must say who they are first: 401.
    Challenge {
        /// The WWW-Authenticate values.
        challenges: [String; 2],
    },
    /// There is no port left, and the tenant named somebody else to call: 302.
    Redirect {
        /// Whom.
        target: String,
        /// Whose call it would have been.
        tenant: String,
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
    /// Makes and judges the nonces of digest authentication.
    pub challenger: Challenger,
    /// When the process began: the zero of nonces.
    pub epoch: Instant,
}

/// Where an INVITE came from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The hop.
    pub hop: Hop,
    /// The host name that was asked for in TLS.
    pub server_name: Option<&'a str>,
}

impl Admission {
    /// Judges an INVITE.
    pub fn judge(&mut self, now: Instant, invite: &Request, origin: Origin<'_>) -> Verdict {
        let refuse = |status, refusal, tenant| Verdict::Refuse { status: StatusCode(status), refusal, tenant };
        if !self.open {
            return refuse(503, Refusal::Draining, None);
        }
        let users = [Uri::parse(&invite.uri), address(invite, "To")].map(|uri| uri.and_then(|uri| uri.user));
        let found = users.iter().flatten().find_map(|user| {
            let tenant = self.directory.route(user)?;
            let services = self.services.iter().find(|services| Arc::ptr_eq(&services.tenant, tenant))?;
            Some((user.clone(), Arc::clone(services)))
        });
        let Some((dialled, services)) = found.filter(|(_, services)| may_call(&services.tenant, origin)) else {
            return self.unknown(now, invite);
        };
        let tenant = &services.tenant;
        let name = || Some(tenant.name.clone());
        if let Some(login) = &tenant.login {
            let login = digest::Login { realm: &login.realm, user: &login.user, password: login.password.expose() };
            match self.authenticate(now, invite, login) {
                Ok(()) => {}
                Err(verdict) => return verdict,
            }
        }
        let contact = match &services.instance {
            None => ContactReference { initial_contact_id: None },
            Some(instance) => {
                let headers = invite.headers.iter().collect::<Vec<_>>();
                let own = tenant.contact_id_header.as_deref();
                match ContactReference::from_headers(headers.iter().copied(), own, instance) {
                    Ok(contact) => contact,
                    Err(_) => return refuse(403, Refusal::ForeignInstance, name()),
                }
            }
        };
        let Ok(node) = self.node.acquire() else { return refuse(503, Refusal::NodeFull, name()) };
        let Ok(place) = tenant.calls.acquire() else {
            return match tenant.before_answer {
                FailureBeforeAnswer::AnswerThenBye => {
                    Verdict::AnswerThenBye { tenant: tenant.name.clone(), refusal: Refusal::QuotaExceeded }
                }
                FailureBeforeAnswer::ServiceUnavailable => refuse(503, Refusal::QuotaExceeded, name()),
            };
        };
        let Some(ports) = self.ports.draw(now) else {
            let target = tenant.failover.as_ref().and_then(|failover| failover.target.clone());
            return match target {
                Some(target) => Verdict::Redirect { target, tenant: tenant.name.clone() },
                None => refuse(503, Refusal::NoPorts, name()),
            };
        };
        let caller = address(invite, "From").and_then(|uri| uri.user).unwrap_or_else(|| "anonymous".to_owned());
        Verdict::Admit(Box::new(Admitted { services, contact, permits: [node, place], ports, dialled, caller }))
    }

    /// Nobody's number, or nobody who may call it: the same to all, so that numbers cannot be told apart from outside.
    fn unknown(&self, now: Instant, invite: &Request) -> Verdict {
        let refused = Verdict::Refuse { status: StatusCode(403), refusal: Refusal::UnknownNumber, tenant: None };
        let login = self.services.iter().find_map(|services| services.tenant.login.as_ref());
        let Some(login) = login.filter(|_| invite.headers.get("Authorization").is_none()) else { return refused };
        self.challenge(now.saturating_duration_since(self.epoch), &login.realm, false)
    }

    fn challenge(&self, now: Duration, realm: &str, stale: bool) -> Verdict {
        Verdict::Challenge { challenges: self.challenger.challenge(now, realm, stale) }
    }

    fn authenticate(&mut self, now: Instant, invite: &Request, login: digest::Login<'_>) -> Result<(), Verdict> {
        let now = now.saturating_duration_since(self.epoch);
        let ours = |value: &&str| value.contains(&format!("realm=\"{}\"", login.realm));
        let Some(answer) = invite.headers.all("Authorization").find(ours) else {
            return Err(self.challenge(now, login.realm, false));
        };
        match self.challenger.judge(now, invite.method.token(), answer, login) {
            digest::Verdict::Accepted => Ok(()),
            digest::Verdict::Stale => Err(self.challenge(now, login.realm, true)),
            digest::Verdict::Refused => {
                Err(Verdict::Refuse { status: StatusCode(403), refusal: Refusal::UnknownNumber, tenant: None })
            }
        }
    }
}

/// Whether somebody may call a tenant from there at all.
fn may_call(tenant: &Tenant, origin: Origin<'_>) -> bool {
    let ip = origin.hop.remote.ip().to_canonical();
    let from_there = tenant.sources.is_empty() || tenant.sources.iter().any(|net| net.contains(&ip));
    let named = match &tenant.server_name {
        None => true,
        Some(name) => origin.server_name.is_some_and(|asked| asked.eq_ignore_ascii_case(name)),
    };
    // A password over a line that anybody reads is none.
    let secure = tenant.login.is_none() || origin.hop.transport == Transport::Tls;
    from_there && named && secure
}

fn address(invite: &Request, name: &str) -> Option<Uri> {
    NameAddr::parse(invite.headers.get(name)?).ok().map(|address| address.uri)
}
