//! Calls that never come about: who is told, and how those are answered that are ended at once.
//!
//! Invariant: whoever runs the server hears of each of them once, with its reason; what is said on the wire is decided in
//! `admission.rs`. Held by `tests/refused.rs` and `tests/over_quota.rs`.

use std::net::SocketAddr;
use std::time::SystemTime;

use actix::Context;
use bellhop_call::ending::{Ending, Refusal};
use bellhop_connect::contact;
use bellhop_sip::dialog::acceptor::{Acceptor, BeforeAnswer};
use bellhop_sip::endpoint;
use bellhop_sip::message::{StatusCode, Uri};
use bellhop_sip::networks::Source;
use bellhop_sip::sdp::{self, LocalMedia};
use bellhop_tenancy::Number;

use super::admission::{Told, asked_for, headers_of};
use super::{Reception, TURNED_AWAY_MAX, TURNED_AWAY_PER_SOURCE_MAX, key_material};
use crate::drive::Tell;
use crate::metrics;
use crate::node::call_registry::{CallId, TeardownPlan, shown_call_id};
use crate::node::refused::{RefusedCall, Why, shown_server_name};
use crate::signalling::messages::{CallOffered, EndpointInput};

impl Reception {
    /// Whoever runs the server hears why.
    pub(super) fn refused(&self, offered: &CallOffered, status: StatusCode, Told { why, of: tenants }: Told) {
        let CallOffered { invite, hop, .. } = offered;
        let user = Uri::parse(&invite.uri).and_then(|uri| uri.user).unwrap_or_default();
        let call = RefusedCall {
            at: SystemTime::now(),
            source: hop.remote,
            transport: hop.transport,
            server_name: self.unknown_server_name(offered),
            sip_call_id: shown_call_id(invite.headers.get("Call-ID").unwrap_or_default()).to_owned(),
            dialled: self.settings.numbers.show(&user),
            number: asked_for(invite).and_then(|user| Number::parse(&user).ok()),
            tenants,
            status: status.0,
            why,
            sent_as_text: contact::sent_as_text(headers_of(invite).into_iter()),
        };
        let RefusedCall { source, transport, sip_call_id, dialled, status, .. } = &call;
        let tenant = (!call.tenants.is_empty()).then(|| call.tenants.join(" "));
        let sent_as_text = call.sent_as_text.as_ref().map(ToString::to_string);
        tracing::info!(tenant, %source, %transport, sip_call_id, dialled, status, %why, sent_as_text, "call refused");
        if call.sent_as_text.is_some() {
            call.tenants.iter().for_each(|tenant| metrics::sent_as_text(tenant));
        }
        if let Some(observer) = &self.settings.observer {
            observer.refused(&call);
        }
    }

    /// The host name that was asked for in TLS, unless somebody has it for a secret.
    fn unknown_server_name(&self, offered: &CallOffered) -> Option<String> {
        let name = offered.server_name.as_deref()?;
        let is_name = |known: &String| known.eq_ignore_ascii_case(name);
        let mut all = self.settings.admission.directory.all().iter();
        let known = all.any(|services| services.integration.server_name.as_ref().is_some_and(is_name));
        (!known).then(|| shown_server_name(name))
    }

    /// Answers a call only to end it: the contact flow then takes its Success branch. It has a teardown plan and is
    /// waited for like any other; a source, which may be forged, gets few of them.
    pub(super) fn answer_then_bye(
        &mut self,
        offered: CallOffered,
        tenant: &str,
        refusal: Refusal,
        why: Why,
        ctx: &mut Context<Self>,
    ) {
        let of = || vec![tenant.to_owned()];
        let source = Source::of(offered.hop.remote.ip());
        let of_source = self.turned_away.values().filter(|of| **of == source).count();
        if self.turned_away.len() >= TURNED_AWAY_MAX || of_source >= TURNED_AWAY_PER_SOURCE_MAX {
            metrics::call_ended(tenant, Ending::Refused(refusal).label());
            self.refused(&offered, StatusCode(503), Told { why: Why::TooManyTurnedAway, of: of() });
            let CallOffered { key, invite, hop, local_tag, .. } = offered;
            let response = invite.respond(StatusCode(503), Some(&local_tag)).with("Retry-After", "5");
            let refusal = endpoint::Refusal { key, invite, response, hop, offence: None };
            return self.endpoint().do_send(Tell(EndpointInput::Refuse(refusal)));
        }
        let CallOffered { key, invite, hop, local, local_tag, .. } = &offered;
        let media = LocalMedia::new(SocketAddr::new(self.settings.media_address, 9), 1, key_material());
        let sdp = match invite.session_description().ok().flatten() {
            None => Ok(sdp::offer(&media)),
            Some(offer) => sdp::answer(&offer, &media).map(|a| a.0),
        };
        match (sdp, Acceptor::new(invite.clone(), key.clone(), *hop, local_tag, local)) {
            (Ok(sdp), Ok(dialog)) => {
                let id = CallId(self.next_call);
                self.next_call += 1;
                let teardown = dialog.teardown(BeforeAnswer::AnswerThenBye { sdp: &sdp }, "");
                let plan = TeardownPlan { dialog: dialog.dialog().id.clone(), teardown, blank: None, void: None };
                self.settings.registry.open(id, tenant, crate::now(), plan);
                self.refused(&offered, StatusCode(200), Told { why, of: of() });
                self.turned_away.insert(id, source);
                self.close_for(id, &Ending::Refused(refusal), vec![], ctx);
            }
            _ => {
                metrics::call_ended(tenant, Ending::Refused(refusal).label());
                self.refused(&offered, StatusCode(488), Told { why: Why::NotAcceptable, of: of() });
                let response = invite.respond(StatusCode(488), Some(local_tag));
                self.endpoint().do_send(Tell(EndpointInput::Respond { key: key.clone(), response }));
            }
        }
    }
}
