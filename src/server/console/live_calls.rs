//! The calls that are up on this server, for REST.
//!
//! Invariant: a call of another tenant is not there, and is named by its name in the log or its session, never by what a caller's side
//! chose; who reads too slowly misses events, is told how many, and holds nobody up.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellhop_actors::node::call_registry::{CallId, CallRegistry};
use bellhop_call::ending::Ending;
use bellhop_console::ports::{Events, Happened, LiveCall, LiveCalls, LiveFacts, SoFar};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::live::{Live, Next, Story};

/// How often is looked whether a call of which nothing is heard is still up.
const LOOKED_AFTER: Duration = Duration::from_secs(1);

/// What this server knows of its calls.
pub(super) struct Calls {
    pub(super) registry: Arc<CallRegistry>,
    pub(super) live: Arc<Live>,
    /// Whether new calls are welcome.
    pub(super) open: Arc<AtomicBool>,
}

impl Calls {
    /// A call by its name in the log or its session, if it is a tenant's.
    fn find(&self, tenant: Option<&str>, name: &str) -> Option<CallId> {
        let id = name.parse().ok().or_else(|| self.live.stories().of_session(name))?;
        let story = self.live.stories().of(id);
        let is_named = id.to_string() == name || story.as_ref().is_some_and(|story| story.began.session == name);
        let owner = story.map(|story| story.began.tenant.clone());
        let owner = owner.or_else(|| self.registry.tenant_of(id))?;
        // One spelling: what else reads as the same number is no name.
        (is_named && tenant.is_none_or(|tenant| tenant == owner)).then_some(id)
    }

    fn shown(&self, id: CallId) -> Option<LiveCall> {
        let story = self.live.stories().of(id);
        let tenant = match &story {
            Some(story) => story.began.tenant.clone(),
            None => self.registry.tenant_of(id)?,
        };
        let facts = story.map(|story| LiveFacts {
            session: story.began.session.clone(),
            caller: story.began.caller.clone(),
            dialled: story.began.dialled.clone(),
            began_unix_ms: story.began_unix_ms,
        });
        Some(LiveCall { call: id.to_string(), tenant, facts })
    }
}

impl LiveCalls for Calls {
    fn list(&self, tenant: Option<&str>) -> Vec<LiveCall> {
        let mut calls: Vec<LiveCall> = self.registry.ids().into_iter().filter_map(|id| self.shown(id)).collect();
        calls.retain(|call| tenant.is_none_or(|tenant| call.tenant == tenant));
        // The newest first.
        calls.sort_by_key(|call| {
            (std::cmp::Reverse(call.facts.as_ref().map(|facts| facts.began_unix_ms)), call.call.clone())
        });
        calls
    }

    fn hang_up(&self, tenant: Option<&str>, call: &str) -> bool {
        self.find(tenant, call).is_some_and(|id| self.registry.hang_up(id, Ending::OperatorHungUp))
    }

    fn so_far(&self, tenant: Option<&str>, call: &str) -> Option<SoFar> {
        let id = self.find(tenant, call)?;
        let story = self.live.stories().of(id)?;
        let ((first, events), is_up) = (story.so_far(), !story.is_over());
        Some(SoFar { call: self.shown(id)?, is_up, first, events })
    }

    fn events(&self, tenant: Option<&str>, call: &str, after: u64) -> Option<Box<dyn Events>> {
        let id = self.find(tenant, call)?;
        let story = self.live.stories().of(id)?;
        let registry = Arc::clone(&self.registry);
        Some(Box::new(OfCall { newest: story.listen(), story, at: after, id, registry }))
    }

    fn is_draining(&self) -> bool {
        !self.open.load(Ordering::Relaxed)
    }
}

/// The events of one call, from a place on.
struct OfCall {
    story: Arc<Story>,
    newest: watch::Receiver<u64>,
    /// The number of the last one that was told.
    at: u64,
    id: CallId,
    registry: Arc<CallRegistry>,
}

impl Events for OfCall {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Happened>> + Send + '_>> {
        Box::pin(async move {
            loop {
                match self.story.after(self.at) {
                    Next::Event(number, event) => {
                        self.at = number;
                        let json = serde_json::to_string(&*event).expect("events are plain data");
                        return Some(Happened::Event { number, json });
                    }
                    Next::Missed(count, number) => {
                        self.at = number;
                        return Some(Happened::Missed { count, number });
                    }
                    Next::Over => return None,
                    Next::Nothing => match timeout(LOOKED_AFTER, self.newest.changed()).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return None,
                        Err(_) => self.registry.tenant_of(self.id).map(drop)?,
                    },
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bellhop_actors::services::Observer;
    use bellhop_call::record::{Began, Event, What};

    use super::*;
    use bellhop_actors::node::call_registry::TeardownPlan;
    use bellhop_sip::dialog::DialogId;
    use bellhop_sip::dialog::teardown::Teardown;

    fn plan() -> TeardownPlan {
        let dialog = DialogId { call_id: "c".into(), local_tag: "l".into(), remote_tag: "r".into() };
        TeardownPlan { dialog, teardown: Teardown::Nothing, blank: None, void: None }
    }

    fn calls() -> Calls {
        let (registry, live) = (Arc::new(CallRegistry::new(Instant::now())), Arc::new(Live::new()));
        let calls = Calls { registry, live, open: Arc::new(AtomicBool::new(true)) };
        for (id, tenant, session) in [(0xa, "acme", "s-a"), (0xb, "other", "s-b")] {
            calls.registry.open(CallId(id), tenant, Instant::now(), plan());
            let of = str::to_owned;
            let (tenant, caller, dialled) = (of(tenant), of("+1206"), of("+1800"));
            let began = Began { tenant, caller, dialled, sip_call_id: of("call-id"), session: of(session) };
            calls.live.saw(CallId(id), &Arc::new(Event { at_ms: 0, what: What::Began(began.into()) }));
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
        assert!(calls.find(Some("acme"), "s-a").is_some(), "or its session");
        for other in ["000000000000000b", "a", "000000000000000A", "", "call-id", "s-b", "s-c"] {
            assert!(calls.find(Some("acme"), other).is_none(), "{other}");
            assert!(calls.events(Some("acme"), other, 0).is_none(), "{other}");
            assert!(calls.so_far(Some("acme"), other).is_none(), "{other}");
            assert!(!calls.hang_up(Some("acme"), other), "{other}");
        }
    }

    /// Somebody loses their connection and comes again: nothing twice, nothing missing.
    #[tokio::test(start_paused = true)]
    async fn the_events_of_a_call_are_told_from_any_place_on_until_it_is_over() {
        let calls = calls();
        let call = "000000000000000a";
        let happens = |id, at_ms| calls.live.saw(CallId(id), &Arc::new(Event { at_ms, what: What::Answered {} }));
        happens(0xb, 1);
        happens(0xa, 7);
        let mut first = calls.events(Some("acme"), call, 0).expect("it is up");
        for expected in [1, 2] {
            let told = first.next().await.expect("an event");
            assert!(matches!(told, Happened::Event { number, .. } if number == expected), "{told:?}");
        }
        drop(first);
        happens(0xa, 8);
        let mut again = calls.events(Some("acme"), "s-a", 2).expect("it is up");
        let told = again.next().await.expect("an event");
        assert_eq!(told, Happened::Event { number: 3, json: "{\"at_ms\":8,\"event\":\"answered\"}".into() });
        let ended = What::Ended { reason: "caller_hangup".into(), details: None };
        calls.live.saw(CallId(0xa), &Arc::new(Event { at_ms: 9, what: ended }));
        assert!(matches!(again.next().await, Some(Happened::Event { number: 4, .. })));
        assert_eq!(again.next().await, None);
        let so_far = calls.so_far(Some("acme"), call).expect("it was up a moment ago");
        assert_eq!((so_far.is_up, so_far.first, so_far.events.len()), (false, 1, 4));
    }

    /// Its server lost a call without a word.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_call_that_is_gone() {
        let calls = calls();
        let mut events = calls.events(None, "000000000000000a", 1).expect("it is up");
        let _ = calls.registry.close(CallId(0xa));
        assert_eq!(events.next().await, None);
    }
}
