//! Whether an INVITE becomes a call, and for whom. Pure: Reception carries out the verdict.
//!
//! Authority never comes from what a caller can write. What headers say of contact and instance counts only where not
//! anybody can send from: the listener's networks, the tenant's, a login, a client certificate ([`Origin::restricted`]).
//! Places are given to who comes: calls that nobody has acknowledged yet are bounded by source, and for all strangers
//! together, since the address of a datagram proves nothing.
//!
//! A number may have several owners: whose a call is (`src/tenancy/directory.rs`) is asked first, and only that one's sources,
//! name and login after it. Nobody gets another's calls by what he says of himself.
//!
//! Invariant: whoever is refused learns the same as everybody refused for that reason; a number of nobody's looks like
//! one with a login, and over a line that carries no login
//! nobody is asked for one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellhop_connect::contact::{self, ForeignInstance};
use bellhop_connect::{ContactReference, InstanceArn, UnknownContact};
use bellhop_sip::digest::{self, Challenger};
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::{NameAddr, Request, StatusCode, Uri};
use bellhop_sip::networks::Source;
use bellhop_sip::sdp::Security;
use bellhop_tenancy::directory::{Directory, Routed};
use bellhop_tenancy::integration::FailureBeforeAnswer;
use bellhop_tenancy::number::Number;
use bellhop_tenancy::quota::{Permit, Quota, QuotaExceeded, Shares};
use bellhop_tenancy::{Integration, Tenant, networks};

use crate::node::live_contacts::{ContactClaim, LiveContacts};
use crate::node::port_pool::{PortPair, PortPool};
use crate::node::refused::Why;
use crate::services::Services;
use bellhop_call::ending::Refusal;

/// An admitted call's places and ports.
#[derive(Debug)]
pub struct Admitted {
    /// The integration with its services.
    pub services: Arc<Services>,
    /// The contact, as far as the INVITE tells.
    pub contact: ContactReference,
    /// Its hold of the contact, which no other call gets while it is up.
    pub claim: Option<ContactClaim>,
    /// The places of tenant and node.
    pub permits: [Permit; 2],
    /// What its source, and all strangers, hold of calls without an ACK; to be dropped with the ACK.
    pub unacknowledged: Vec<Permit>,
    /// A pair of ports, of the call alone.
    pub ports: PortPair,
    /// The dialled number as written.
    pub dialled: String,
    /// The caller as written: user part of From.
    pub caller: String,
}

/// What becomes of an INVITE.
#[derive(Debug)]
pub enum Verdict {
    /// It becomes a call.
    Admit(Box<Admitted>),
    /// It is refused.
    Refuse {
        /// The status of the response.
        status: StatusCode,
        /// What the record and the metrics are told.
        refusal: Refusal,
        /// Whose call it would have been, for the metrics.
        tenant: Option<String>,
        /// What whoever runs the server is told.
        told: Told,
    },
    /// Whoever calls must say who they are first: 401.
    Challenge {
        /// The WWW-Authenticate values.
        challenges: [String; 2],
        /// What whoever runs the server is told where no answer to it will do.
        told: Option<Told>,
    },
    /// There is no port left, and the tenant named somebody else to call: 302.
    Redirect {
        /// The SIP URI of the Contact.
        target: String,
        /// Whose call it would have been.
        tenant: String,
    },
    /// The tenant has no place left, or too many calls in a second, and its contact flow knows better what to do: answer, then BYE.
    AnswerThenBye {
        /// Whose call it would have been.
        tenant: String,
        /// What the record and the metrics are told.
        refusal: Refusal,
        /// What whoever runs the server is told.
        why: Why,
    },
}

/// What whoever runs the server is told of a call that does not come about, and nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Why.
    pub why: Why,
    /// The tenants whose call it would have been, or may have been.
    pub of: Vec<String>,
}

/// Everything that admission looks at.
#[derive(Debug)]
pub struct Admission {
    /// The integrations with their services, by number; swapped whole while calls run.
    pub directory: Arc<Directory<Services>>,
    /// The node's own limit.
    pub node: Quota,
    /// Where pairs of RTP ports are drawn.
    pub ports: PortPool,
    /// Whether the node takes calls.
    pub open: bool,
    /// The contacts of calls that are up.
    pub contacts: LiveContacts,
    /// Who holds how many calls that are not acknowledged.
    pub unacknowledged: Shares<Waiting>,
    /// Makes and judges the nonces of digest authentication.
    pub challenger: Challenger,
    /// When the process began: the zero of nonces.
    pub epoch: Instant,
}

/// Where an INVITE came from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Transport, remote address and connection.
    pub hop: Hop,
    /// The host name that was asked for in TLS.
    pub server_name: Option<&'a str>,
    /// Whether not anybody can send from there: the listener's networks, or a client certificate.
    pub restricted: bool,
}

/// What is known of a call before there is a place for it.
struct Called {
    services: Arc<Services>,
    contact: ContactReference,
    dialled: String,
    /// Whether not anybody can send from where it came.
    restricted: bool,
}

/// Who holds calls that are not acknowledged: by source, and all strangers together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Waiting {
    /// Of the node's places.
    OfNode(Option<Source>),
    /// Of a tenant's places.
    OfTenant(String, Option<Source>),
}

/// Most calls of one stranger that wait for their ACK.
pub(crate) const UNACKNOWLEDGED_MAX: usize = 16;

/// What one source may hold of so many places with calls that nobody acknowledged: a stranger half and no more than
/// [`UNACKNOWLEDGED_MAX`], a source that is believed three quarters, so that others get in.
fn share_of_one(limit: usize, restricted: bool) -> usize {
    if restricted { share_of_strangers(limit) } else { (limit / 2).clamp(1, UNACKNOWLEDGED_MAX) }
}

/// What strangers together may: three quarters.
fn share_of_strangers(limit: usize) -> usize {
    (limit - limit.div_ceil(4)).max(1)
}

impl Admission {
    /// Judges an INVITE.
    pub fn judge(&mut self, now: Instant, invite: &Request, origin: Origin<'_>) -> Verdict {
        if !self.open {
            return refuse(503, Refusal::Draining, None, Why::Draining);
        }
        let (dialled, services) = match self.whose(invite, origin) {
            Ok(one) => one,
            Err(told) => return self.unknown(now, invite, origin, told),
        };
        let integration = &services.integration;
        let tenant = &integration.tenant;
        let name = || Some(tenant.name.clone());
        if let Some(login) = &integration.login {
            let login = digest::Login { realm: &login.realm, user: &login.user, password: login.password.expose() };
            let wrong = Told { why: Why::WrongLogin, of: vec![tenant.name.clone()] };
            if let Err(verdict) = self.authenticate(now, invite, login, wrong) {
                return verdict;
            }
        }
        // Keys in SDP need a line that nobody reads (RFC 4568, abstract and section 8.3).
        if services.media.security == Security::Required && origin.hop.transport != Transport::Tls {
            return refuse(488, Refusal::NotAcceptable, name(), Why::KeyInTheClear);
        }
        let restricted = believes(integration, origin) || integration.login.is_some();
        let Ok(contact) = contact_of(invite, &services, restricted) else {
            return refuse(403, Refusal::ForeignInstance, name(), Why::OtherInstance);
        };
        let called = Called { services, contact, dialled, restricted };
        self.admit(now, invite, origin, called)
    }

    /// Finds places and ports for a call whose number, source and contact are in order.
    fn admit(&mut self, now: Instant, invite: &Request, origin: Origin<'_>, called: Called) -> Verdict {
        let Called { services, contact, dialled, restricted } = called;
        let integration = &services.integration;
        let tenant = &integration.tenant;
        let busy = |refusal, why| refuse(503, refusal, Some(tenant.name.clone()), why);
        let over = |refusal, why| match integration.before_answer {
            FailureBeforeAnswer::AnswerThenBye => Verdict::AnswerThenBye { tenant: tenant.name.clone(), refusal, why },
            FailureBeforeAnswer::ServiceUnavailable => busy(refusal, why),
        };
        let Ok(node) = self.node.acquire() else { return busy(Refusal::NodeFull, Why::NodeFull) };
        let Ok(place) = tenant.calls.acquire() else { return over(Refusal::QuotaExceeded, Why::TenantFull) };
        let Ok(unacknowledged) = self.wait_for_ack(tenant, origin, restricted) else {
            return busy(Refusal::Unacknowledged, Why::Unacknowledged);
        };
        // After what strangers have a share of: whoever is turned away by that takes no second's worth from others.
        if tenant.rate.take(now).is_err() {
            return over(Refusal::RateExceeded, Why::TenantTooFast);
        }
        let Some(ports) = self.ports.draw(now) else {
            let target = integration.failover.as_ref().and_then(|failover| failover.target.clone());
            return match target {
                Some(target) => Verdict::Redirect { target, tenant: tenant.name.clone() },
                None => busy(Refusal::NoPorts, Why::NoPorts),
            };
        };
        let caller = address(invite, "From").and_then(|uri| uri.user).unwrap_or_else(|| "anonymous".to_owned());
        let (contact, claim) = self.claim(contact, services.instance.as_ref());
        let permits = [node, place];
        Verdict::Admit(Box::new(Admitted { services, contact, claim, permits, unacknowledged, ports, dialled, caller }))
    }

    /// Whose call it is: by the number of the Request-URI, else by that of To. A tenant with a login has only what [`asked_for`]
    /// gives: whoever could try two numbers in one INVITE would learn from the realm which of them is somebody's.
    fn whose(&self, invite: &Request, origin: Origin<'_>) -> Result<(String, Arc<Services>), Told> {
        let named = contact::named_instance(headers_of(invite).into_iter()).map(|arn| arn.key());
        let believes = |services: &Services| believes(&services.integration, origin);
        let route = |user: &str| self.directory.route(user, named.as_deref(), believes);
        let asked = asked_for(invite).unwrap_or_default();
        let to = address(invite, "To").and_then(|uri| uri.user).unwrap_or_default();
        let (dialled, routed) = match route(&asked) {
            Routed::Nobody => match route(&to) {
                Routed::One(services) if services.integration.login.is_some() => (asked, Routed::Nobody),
                routed => (to, routed),
            },
            routed => (asked, routed),
        };
        let told = |why, all: &[&Arc<Services>]| {
            let of: BTreeSet<String> = all.iter().map(|one| one.integration.tenant.name.clone()).collect();
            Told { why, of: of.into_iter().collect() }
        };
        match routed {
            Routed::One(one) => match why_not(&one.integration, origin) {
                None => Ok((dialled, Arc::clone(one))),
                Some(why) => Err(told(why, &[one])),
            },
            Routed::Elsewhere(one) => Err(told(Why::OtherInstance, &[one])),
            Routed::Ambiguous(all) => Err(told(Why::SeveralOwners, &all)),
            Routed::Nobody => Err(told(Why::NobodysNumber, &[])),
        }
    }

    /// A place among the calls that wait for their ACK.
    fn wait_for_ack(
        &mut self,
        tenant: &Tenant,
        origin: Origin<'_>,
        restricted: bool,
    ) -> Result<Vec<Permit>, QuotaExceeded> {
        let source = Some(Source::of(origin.hop.remote.ip()));
        let (node, own) = (self.node.limit(), tenant.calls.limit());
        let of_tenant = |who| Waiting::OfTenant(tenant.name.clone(), who);
        let mut held = vec![
            self.unacknowledged.acquire(Waiting::OfNode(source), share_of_one(node, restricted))?,
            self.unacknowledged.acquire(of_tenant(source), share_of_one(own, restricted))?,
        ];
        // A connection proves an address; a datagram may come from anybody, in as many names as they like.
        if !restricted && origin.hop.transport == Transport::Udp {
            held.push(self.unacknowledged.acquire(Waiting::OfNode(None), share_of_strangers(node))?);
            held.push(self.unacknowledged.acquire(of_tenant(None), share_of_strangers(own))?);
        }
        Ok(held)
    }

    /// One live call per contact: the second is served without it.
    fn claim(
        &self,
        contact: ContactReference,
        instance: Option<&InstanceArn>,
    ) -> (ContactReference, Option<ContactClaim>) {
        let (Some(id), Some(instance)) = (&contact.initial_contact_id, instance) else { return (contact, None) };
        match self.contacts.claim(instance, id) {
            Some(claim) => (contact, Some(claim)),
            None => (ContactReference::unknown(UnknownContact::Taken), None),
        }
    }

    /// Nobody's number, or nobody who may call it: the same to all, so that numbers cannot be told apart from outside. Where a
    /// login could be told, one is asked for that nobody has.
    fn unknown(&mut self, now: Instant, invite: &Request, origin: Origin<'_>, told: Told) -> Verdict {
        let logins = self.directory.all().iter().filter_map(|services| services.integration.login.as_ref());
        let logins = logins.map(|login| digest::Login {
            realm: &login.realm,
            user: &login.user,
            password: login.password.expose(),
        });
        // However it is written: somebody's has one realm in every spelling.
        let number = asked_for(invite).unwrap_or_default();
        let number = Number::parse(&number).map_or(number, |number| number.e164());
        let realm = digest::realm_of_nobody(&number, logins).map(str::to_owned);
        let Some(realm) = realm.filter(|_| carries_logins(origin)) else { return stranger().because(told) };
        let now = now.saturating_duration_since(self.epoch);
        match self.challenger.judge_nobody(now, invite, &realm) {
            digest::Verdict::Absent => self.challenge(now, &realm, false).because(told),
            digest::Verdict::Accepted | digest::Verdict::Stale | digest::Verdict::Refused => stranger().because(told),
        }
    }

    fn challenge(&self, now: Duration, realm: &str, stale: bool) -> Verdict {
        Verdict::Challenge { challenges: self.challenger.challenge(now, realm, stale), told: None }
    }

    fn authenticate(
        &mut self,
        now: Instant,
        invite: &Request,
        login: digest::Login<'_>,
        wrong: Told,
    ) -> Result<(), Verdict> {
        let now = now.saturating_duration_since(self.epoch);
        match self.challenger.judge(now, invite, login) {
            digest::Verdict::Absent => Err(self.challenge(now, login.realm, false)),
            digest::Verdict::Accepted => Ok(()),
            digest::Verdict::Stale => Err(self.challenge(now, login.realm, true)),
            digest::Verdict::Refused => Err(stranger().because(wrong)),
        }
    }
}

/// Refused, and told to whom it would have been.
fn refuse(status: u16, refusal: Refusal, tenant: Option<String>, why: Why) -> Verdict {
    let told = Told { why, of: tenant.iter().cloned().collect() };
    Verdict::Refuse { status: StatusCode(status), refusal, tenant, told }
}

/// What everybody is answered whom nobody expects.
fn stranger() -> Verdict {
    refuse(403, Refusal::UnknownNumber, None, Why::NobodysNumber)
}

impl Verdict {
    /// The same, with what whoever runs the server is told.
    fn because(mut self, reason: Told) -> Self {
        match &mut self {
            Self::Refuse { told, .. } => *told = reason,
            Self::Challenge { told, .. } => *told = Some(reason),
            Self::Admit(_) | Self::Redirect { .. } | Self::AnswerThenBye { .. } => {}
        }
        self
    }
}

/// Who the contact is, by the headers of an INVITE whose source is restricted.
fn contact_of(invite: &Request, services: &Services, restricted: bool) -> Result<ContactReference, ForeignInstance> {
    let Some(instance) = &services.instance else { return Ok(ContactReference::none()) };
    if !restricted {
        return Ok(ContactReference::unknown(UnknownContact::UnrestrictedSource));
    }
    ContactReference::from_headers(
        headers_of(invite).into_iter(),
        services.integration.contact_id_header.as_deref(),
        instance,
    )
}

pub(super) fn headers_of(invite: &Request) -> Vec<(&str, &str)> {
    invite.headers.iter().collect()
}

/// Whether not anybody can send to this integration from there, as far as it can be known before a login is asked for.
fn believes(integration: &Integration, origin: Origin<'_>) -> bool {
    origin.restricted || networks::is_listed(&integration.sources, origin.hop.remote.ip())
}

/// Why somebody may not call an integration from there at all.
fn why_not(integration: &Integration, origin: Origin<'_>) -> Option<Why> {
    let ip = origin.hop.remote.ip().to_canonical();
    let from_there = integration.sources.is_empty() || integration.sources.iter().any(|net| net.contains(&ip));
    let named = match &integration.server_name {
        None => true,
        Some(name) => origin.server_name.is_some_and(|asked| asked.eq_ignore_ascii_case(name)),
    };
    let readable = integration.login.is_some() && !carries_logins(origin);
    match () {
        () if !from_there => Some(Why::NotFromThere),
        () if !named => Some(Why::OtherServerName),
        () if readable => Some(Why::LoginNeedsTls),
        () => None,
    }
}

/// A password over a line that anybody reads is none.
fn carries_logins(origin: Origin<'_>) -> bool {
    origin.hop.transport == Transport::Tls
}

/// The number that an INVITE asks for, by its form alone: the user of the Request-URI, and To's where that is no number.
pub(super) fn asked_for(invite: &Request) -> Option<String> {
    let user = Uri::parse(&invite.uri).and_then(|uri| uri.user).filter(|user| Number::parse(user).is_ok());
    user.or_else(|| address(invite, "To").and_then(|uri| uri.user))
}

fn address(invite: &Request, name: &str) -> Option<Uri> {
    NameAddr::parse(invite.headers.get(name)?).ok().map(|address| address.uri)
}
