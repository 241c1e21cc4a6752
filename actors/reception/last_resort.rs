//! The last resort: every teardown plan that is still there is carried out with nothing but the registry and the wire.
//!
//! For a process that ends although its endpoint or its reception is dead. No transaction repeats what is lost, and an INVITE
//! without an answer is left to its far end's timer; whoever is connected is sent a BYE, those too whose teardown the dead had
//! begun and may not have sent. Invariant: a teardown plan is taken once, here as anywhere.

use std::time::Duration;

use bellhop_sip::dialog::teardown::{Output, Teardown, Terminating};
use bellhop_sip::dialog::ways::{self, Way, Ways};
use bellhop_sip::hop::Hop;
use bellhop_sip::message::Request;

use crate::node::call_registry::CallRegistry;
use crate::signalling::wire::Wire;
use bellhop_call::ending::Ending;

/// How long keys in flight may take to be blanked then, and those that were given away to be void.
const LAST_BLANK_WITHIN: Duration = Duration::from_millis(300);
/// How long a connection in place of a lost one may take to be opened then.
const OPEN_WITHIN: Duration = Duration::from_millis(300);

/// Sends every call a BYE; how many there were.
pub async fn carry_out_all(registry: &CallRegistry, wire: &mut dyn Wire) -> usize {
    let opened_here: Vec<_> = registry.ids().into_iter().filter_map(|id| Some((id, registry.take_plan(id)?))).collect();
    opened_here.iter().for_each(|(id, _)| registry.carried_out(*id));
    let mut plans = registry.take_unfinished();
    plans.extend(opened_here.into_iter().map(|(_, plan)| plan));
    let blanks = plans.iter().filter_map(|plan| plan.blank.clone());
    let blanking =
        futures_util::future::join_all(blanks.map(|blank| blank.blanker.blank(blank.contact_id, blank.names)));
    let voids = plans.iter().filter_map(|plan| plan.void.clone());
    let voiding = futures_util::future::join_all(voids.map(|void| void.histories.void(void.name)));
    let _ = tokio::time::timeout(LAST_BLANK_WITHIN, futures_util::future::join(blanking, voiding)).await;
    for plan in &plans {
        let teardown = plan.teardown.clone().because(&Ending::Drained.sip_reason());
        // What was never answered has no dialog to end.
        if !matches!(teardown, Teardown::Bye { .. } | Teardown::ByeOnceAcked { .. }) {
            continue;
        }
        let now = crate::now();
        let mut terminating = Terminating::begin(now, teardown, format!("z9hG4bK{:016x}", rand::random::<u64>()));
        terminating.wait_no_longer(now); // nobody will be there to wait for it
        while let Some(output) = terminating.poll() {
            if let Output::Request { request, ways } = output {
                send(request, ways, wire).await;
            }
        }
    }
    plans.len()
}

/// Sends by the first way that is open, or can be opened in time; names are not looked up any more.
async fn send(request: Request, mut ways: Ways, wire: &mut dyn Wire) {
    while let Some(way) = ways.next_way() {
        let hop: Option<Hop> = match way {
            Way::Flow(hop) => Some(hop).filter(|hop| wire.is_open(*hop)),
            Way::Address { transport, remote, host } => {
                tokio::time::timeout(OPEN_WITHIN, wire.open(transport, remote, host)).await.ok().flatten()
            }
            Way::Host { .. } => None,
        };
        let Some(hop) = hop else { continue };
        let branch = format!("z9hG4bK{:016x}", rand::random::<u64>());
        let sent_by = wire.identity(hop).via_sent_by;
        let request = ways::rewritten(request, hop.transport, &sent_by, &branch);
        return wire.transmit(hop, request.to_bytes());
    }
}
