//! SipEndpoint: drives the endpoint's core: sockets and mailboxes on one side, whose a message is on the other.
//!
//! It outlives all calls, and carries out every teardown. Invariant: whose a message is, what is answered without a call, and by
//! which way a request goes is decided in `src/sip/endpoint.rs`; what sends and opens is a [`Wire`].

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Recipient, WrapFuture};
use bellhop_sip::Request;
use bellhop_sip::endpoint::{Endpoint, Output, World};
use bellhop_sip::hop::Hop;
use bellhop_sip::locate::NameResolver;
use bellhop_sip::message::Message;
use bellhop_sip::networks::Source;
use bellhop_sip::source_guard::SHUT_OUT_FOR;
use bellhop_sip::transaction::ServerKey;
use bellhop_tenancy::networks;
use ipnet::IpNet;

use super::messages::{CallLeft, CallOffered, EndpointInput, Owner};
use super::wire::Wire;
use crate::drive::{Alarm, Tell, arm};
use crate::metrics::{self, SignallingFamilies};
use crate::node::call_registry::CallId;

mod mailbox;

/// Most messages waiting for the endpoint; beyond it the network's retransmissions are the queue.
pub const ENDPOINT_MAILBOX: usize = 4096;
/// How long the address of a next hop may be looked up.
pub const LOCATE_WITHIN: Duration = Duration::from_secs(2);

/// All SIP messages of this process: transactions, dialogs of calls that are over, and who owns the others.
pub struct SipEndpoint {
    core: Endpoint<Owner, CallId>,
    /// The networks that tenants list: trusted as the listeners' are.
    trusted: Arc<[IpNet]>,
    wire: Box<dyn Wire>,
    reception: Recipient<CallOffered>,
    over: Recipient<CallLeft>,
    /// Looks up the names of next hops; without one names are ways less.
    names: Option<Arc<dyn NameResolver>>,
    families: SignallingFamilies,
    alarm: Alarm,
}

/// What the core cannot know.
struct Outside<'a> {
    trusted: &'a [IpNet],
    wire: &'a dyn Wire,
}

impl World<Owner> for Outside<'_> {
    fn is_trusted(&self, hop: Hop) -> bool {
        networks::is_listed(self.trusted, hop.remote.ip()) || self.wire.is_listed(hop)
    }

    fn lives(&self, owner: &Owner) -> bool {
        owner.connected()
    }

    fn is_open(&self, hop: Hop) -> bool {
        self.wire.is_open(hop)
    }

    fn sent_by(&self, hop: Hop) -> String {
        self.wire.identity(hop).via_sent_by
    }

    fn fresh_branch(&self) -> String {
        fresh_branch()
    }
}

fn fresh_branch() -> String {
    format!("z9hG4bK{:016x}", rand::random::<u64>())
}

impl SipEndpoint {
    /// An endpoint that offers calls to `reception`, sends by `wire`, and tells `over` when a teardown has been carried out.
    pub fn new(wire: Box<dyn Wire>, reception: Recipient<CallOffered>, over: Recipient<CallLeft>) -> Self {
        let core = Endpoint::new(rand::random());
        let families = SignallingFamilies::default();
        Self { core, trusted: Arc::default(), wire, reception, over, names: None, families, alarm: Alarm::default() }
    }

    /// The same; sources in these networks are listened to whatever they do.
    pub fn trusting(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.trusted = networks.into_iter().collect();
        self
    }

    /// The same, with a resolver for the names of next hops.
    pub fn with_names(mut self, names: Arc<dyn NameResolver>) -> Self {
        self.names = Some(names);
        self
    }

    fn put(&mut self, input: EndpointInput, ctx: &mut Context<Self>) {
        self.core.handle(crate::now(), input);
        self.pump(ctx);
    }

    /// What takes time is told to the core when it is known.
    fn put_later(&self, input: impl Future<Output = EndpointInput> + 'static, ctx: &mut Context<Self>) {
        ctx.spawn(input.into_actor(self).map(|input, this, ctx| this.put(input, ctx)));
    }

    /// Drains everything until all is quiet, then arms the timer.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        loop {
            let outside = Outside { trusted: &self.trusted, wire: &*self.wire };
            let Some(output) = self.core.poll(crate::now(), &outside) else { break };
            self.carry_out(output, ctx);
        }
        self.families.transactions(self.core.transactions());
        let deadline = self.core.deadline();
        arm(self, ctx, deadline, |this| &mut this.alarm, Self::expire);
    }

    fn carry_out(&mut self, output: Output<Owner, CallId>, ctx: &mut Context<Self>) {
        match output {
            Output::Transmit { hop, message, bytes } => {
                if let Message::Response(response) = &message {
                    self.families.response(response.status.0);
                }
                self.wire.transmit(hop, bytes);
            }
            Output::Retransmit { hop, status, bytes } => {
                status.into_iter().for_each(|status| self.families.response(status.0));
                self.wire.transmit(hop, bytes);
            }
            Output::Offered { key, invite, hop } => self.offer(key, invite, hop),
            Output::Tell { owner, input } => owner.do_send(Tell(input)),
            Output::Open { delivery, transport, remote, host } => {
                let opening = self.wire.open(transport, remote, host);
                self.put_later(async move { EndpointInput::Opened { delivery, hop: opening.await } }, ctx);
            }
            Output::Probe { delivery, hop } => {
                let probing = self.wire.is_alive(hop);
                self.put_later(
                    async move { EndpointInput::Probed { delivery, alive: probing.await.then_some(hop) } },
                    ctx,
                );
            }
            Output::Locate { delivery, transport, host, port } => {
                let names = self.names.as_ref().map(|names| names.locate(transport, host.clone(), port));
                let locating = async move {
                    let found = match names {
                        Some(names) => tokio::time::timeout(LOCATE_WITHIN, names).await.unwrap_or_default(),
                        None => vec![],
                    };
                    EndpointInput::Located { delivery, transport, host, addresses: found }
                };
                self.put_later(locating, ctx);
            }
            Output::Left { call, bye_unanswered, .. } => {
                if bye_unanswered {
                    metrics::bye_unanswered();
                }
                self.over.do_send(CallLeft { call, bye_unanswered });
            }
            Output::ShutOut { hop, until } => {
                tracing::warn!(source = %hop.remote.ip(), seconds = SHUT_OUT_FOR.as_secs(), "a source is shut out: it was refused again and again");
                self.wire.turn_away(Source::of(hop.remote.ip()), until);
            }
            Output::Welcomed(hop) => self.wire.welcome(hop),
            Output::Dropped(why) => metrics::sip_dropped(why),
        }
    }

    fn offer(&self, key: ServerKey, invite: Request, hop: Hop) {
        let local = self.wire.identity(hop);
        let local_tag = format!("{:016x}", rand::random::<u64>());
        let server_name = self.wire.server_name(hop);
        let restricted = self.wire.is_listed(hop) || self.wire.has_certificate(hop);
        self.reception.do_send(CallOffered { key, invite, hop, local, local_tag, server_name, restricted });
    }

    fn expire(&mut self, ctx: &mut Context<Self>) {
        self.core.handle_timeout(crate::now());
        self.pump(ctx);
    }
}

impl Actor for SipEndpoint {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(ENDPOINT_MAILBOX);
    }
}
