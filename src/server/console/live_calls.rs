//! The calls that are up on this server, for REST.
//!
//! Invariant: a call of another tenant is not there, and is named by its name in the log alone; who reads too slowly misses events, and
//! holds nobody up.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bellhop_actors::node::call_registry::{CallId, CallRegistry};
use bellhop_call::ending::Ending;
use bellhop_console::ports::{Events, LiveCall, LiveCalls};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use crate::live::Live;

/// How often is looked whether a call of which nothing is heard is still up.
const LOOKED_AFTER: Duration = Duration::from_secs(1);

/// What this server knows of its calls.
pub(super) struct Calls {
    pub(super) registry: Arc<CallRegistry>,
    pub(super) live: Arc<Live>,
}

impl Calls {
    /// A call by its name in the log, if it is a tenant's.
    fn find(&self, tenant: Option<&str>, call: &str) -> Option<CallId> {
        let id: CallId = call.parse().ok()?;
        let owner = self.registry.tenant_of(id)?;
        // One spelling: what else reads as the same number is no name.
        (id.to_string() == call && tenant.is_none_or(|tenant| tenant == owner)).then_some(id)
    }
}

impl LiveCalls for Calls {
    fn list(&self, tenant: Option<&str>) -> Vec<LiveCall> {
        let of = |id: CallId| Some(LiveCall { call: id.to_string(), tenant: self.registry.tenant_of(id)? });
        let mut calls: Vec<LiveCall> = self.registry.ids().into_iter().filter_map(of).collect();
        calls.retain(|call| tenant.is_none_or(|tenant| call.tenant == tenant));
        calls.sort_by(|one, other| one.call.cmp(&other.call));
        calls
    }

    fn hang_up(&self, tenant: Option<&str>, call: &str) -> bool {
        self.find(tenant, call).is_some_and(|id| self.registry.hang_up(id, Ending::OperatorHungUp))
    }

    fn events(&self, tenant: Option<&str>, call: &str) -> Option<Box<dyn Events>> {
        let lines = self.live.listen();
        let id = self.find(tenant, call)?;
        Some(Box::new(OfCall { lines, beginning: Live::beginning_of(id), id, registry: Arc::clone(&self.registry) }))
    }
}

/// The events of one call among those of all.
struct OfCall {
    lines: Receiver<Arc<str>>,
    /// How its lines begin.
    beginning: String,
    id: CallId,
    registry: Arc<CallRegistry>,
}

impl Events for OfCall {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(async move {
            loop {
                match timeout(LOOKED_AFTER, self.lines.recv()).await {
                    Ok(Ok(line)) if line.starts_with(&self.beginning) => return Some(line.trim_end().to_owned()),
                    Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
                    Ok(Err(RecvError::Closed)) => return None,
                    Err(_) => self.registry.tenant_of(self.id).map(drop)?,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bellhop_actors::services::Observer;
    use bellhop_call::record::{Event, What};

    use super::*;
    use bellhop_actors::node::call_registry::TeardownPlan;
    use bellhop_sip::dialog::DialogId;
    use bellhop_sip::dialog::teardown::Teardown;

    fn plan() -> TeardownPlan {
        let dialog = DialogId { call_id: "c".into(), local_tag: "l".into(), remote_tag: "r".into() };
        TeardownPlan { dialog, teardown: Teardown::Nothing, blank: None, void: None }
    }

    fn calls() -> Calls {
        let calls = Calls { registry: Arc::new(CallRegistry::new(Instant::now())), live: Arc::new(Live::new()) };
        for (id, tenant) in [(0xa, "acme"), (0xb, "other")] {
            calls.registry.open(CallId(id), tenant, Instant::now(), plan());
        }
        calls
    }

    #[test]
    fn a_call_of_another_is_not_there_and_has_one_name() {
        let calls = calls();
        let listed = |tenant| calls.list(tenant).into_iter().map(|call| call.call).collect::<Vec<_>>();
        assert_eq!(listed(Some("acme")), ["000000000000000a"]);
        assert_eq!(listed(None).len(), 2);
        assert!(calls.find(Some("acme"), "000000000000000a").is_some());
        for other in ["000000000000000b", "a", "000000000000000A", "", "call-id@example"] {
            assert!(calls.find(Some("acme"), other).is_none(), "{other}");
            assert!(calls.events(Some("acme"), other).is_none(), "{other}");
            assert!(!calls.hang_up(Some("acme"), other), "{other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_events_of_a_call_are_told_until_it_is_over() {
        let calls = calls();
        let mut events = calls.events(Some("acme"), "000000000000000a").expect("it is up");
        let happens = Event { at_ms: 7, what: What::Answered {} };
        calls.live.saw(CallId(0xb), &happens);
        calls.live.saw(CallId(0xa), &happens);
        let told = events.next().await.expect("an event");
        assert!(told.starts_with("{\"call\":\"000000000000000a\""), "{told}");
        let _ = calls.registry.close(CallId(0xa));
        assert_eq!(events.next().await, None);
    }
}
