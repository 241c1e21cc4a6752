//! What has happened so far in each call that is up: for who looks on, begins late, or comes again.
//!
//! Invariants: of a call no more than [`EVENTS_MAX`] events are kept, and of all calls no more than [`STORIES_MAX`] stories; a story is forgotten
//! [`KEPT_AFTER`] after its call, whose record has it all by then. Who looks on costs the call nothing: it writes an event down and goes
//! on, whoever reads.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bellhop_actors::node::call_registry::CallId;
use bellhop_call::record::{Began, EVENTS_MAX, Event, What};
use tokio::sync::watch;
use tokio::time::Instant;

/// Most calls of which one is kept: more than a server takes.
const STORIES_MAX: usize = 16_384;
/// How long one is kept after its call: records are written within a second, unless the database is away.
const KEPT_AFTER: Duration = Duration::from_secs(30);

/// The stories of a server.
#[derive(Default)]
pub(crate) struct Stories(Mutex<HashMap<CallId, Arc<Story>>>);

/// What has happened in one call.
pub(crate) struct Story {
    /// Who calls whom; shared with its first event.
    pub(crate) began: Arc<Began>,
    /// When, in milliseconds since 1970.
    pub(crate) began_unix_ms: i64,
    so_far: Mutex<SoFar>,
    /// The number of the newest event, once somebody has asked to be told.
    newest: OnceLock<watch::Sender<u64>>,
}

/// Events are numbered from 1.
struct SoFar {
    /// The number of the oldest that is kept.
    first: u64,
    /// Shared with the record of the call.
    events: VecDeque<Arc<Event>>,
    over: Option<Instant>,
}

/// What comes after an event.
pub(crate) enum Next {
    /// This one, with its number.
    Event(u64, Arc<Event>),
    /// So many that are kept no more; the number of the last of them.
    Missed(u64, u64),
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    Over,
}

impl Stories {
    /// Something has happened in a call.
    pub(super) fn saw(&self, call: CallId, event: &Arc<Event>) {
        if let What::Began(began) = &event.what {
            let mut all = self.all();
            if all.len() < STORIES_MAX {
                all.insert(call, Arc::new(Story::of(Arc::clone(began))));
            }
        }
        let story = self.all().get(&call).cloned();
        if let Some(story) = story {
            story.goes_on(event);
        }
    }

    /// That of a call which is up, or was a moment ago.
    pub(crate) fn of(&self, call: CallId) -> Option<Arc<Story>> {
        self.all().get(&call).filter(|story| !story.is_forgotten()).cloned()
    }

    /// A call by its session.
    pub(crate) fn of_session(&self, session: &str) -> Option<CallId> {
        let found = |(call, story): (&CallId, &Arc<Story>)| (story.began.session == session).then_some(*call);
        self.all().iter().find_map(found)
    }

    /// Forgets what nobody asks for any more.
    pub(super) fn tidy(&self) {
        self.all().retain(|_, story| !story.is_forgotten());
    }

    fn all(&self) -> MutexGuard<'_, HashMap<CallId, Arc<Story>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Story {
    fn of(began: Arc<Began>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let so_far = SoFar { first: 1, events: VecDeque::new(), over: None };
        Self { began, began_unix_ms: now.as_millis() as i64, so_far: Mutex::new(so_far), newest: OnceLock::new() }
    }

    fn goes_on(&self, event: &Arc<Event>) {
        let mut so_far = self.events();
        if so_far.events.len() == EVENTS_MAX {
            so_far.events.pop_front();
            so_far.first += 1;
        }
        so_far.events.push_back(Arc::clone(event));
        if matches!(event.what, What::Ended { .. }) {
            so_far.over = Some(Instant::now());
        }
        // With the events still locked: who asks to be told looks at them afterwards.
        if let Some(newest) = self.newest.get() {
            newest.send_replace(so_far.newest());
        }
    }

    /// The number of the first event that is kept, and all of them.
    pub(crate) fn so_far(&self) -> (u64, Vec<Arc<Event>>) {
        let so_far = self.events();
        (so_far.first, so_far.events.iter().cloned().collect())
    }

    /// Whether its call is over.
    pub(crate) fn is_over(&self) -> bool {
        self.events().over.is_some()
    }

    /// What comes after the event of a number; 0 for the first.
    pub(crate) fn after(&self, number: u64) -> Next {
        let so_far = self.events();
        let next = number.saturating_add(1);
        if next < so_far.first {
            return Next::Missed(so_far.first - next, so_far.first - 1);
        }
        let at = usize::try_from(next - so_far.first).unwrap_or(usize::MAX);
        match (so_far.events.get(at), so_far.over) {
            (Some(event), _) => Next::Event(next, Arc::clone(event)),
            (None, Some(_)) => Next::Over,
            (None, None) => Next::Nothing,
        }
    }

    /// Tells whenever something happens.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.newest.get_or_init(|| watch::Sender::new(0)).subscribe()
    }

    fn is_forgotten(&self) -> bool {
        self.events().over.is_some_and(|over| over.elapsed() >= KEPT_AFTER)
    }

    fn events(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SoFar {
    fn newest(&self) -> u64 {
        self.first + self.events.len() as u64 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn began(session: &str) -> Arc<Event> {
        let of = |text: &str| text.to_owned();
        let (tenant, caller, dialled) = (of("acme"), of("+1206"), of("+1800"));
        let began = Began { tenant, caller, dialled, sip_call_id: of("c"), session: of(session) };
        Arc::new(Event { at_ms: 0, what: What::Began(began.into()) })
    }

    fn answered(at_ms: u64) -> Arc<Event> {
        Arc::new(Event { at_ms, what: What::Answered {} })
    }

    fn ended() -> Arc<Event> {
        Arc::new(Event { at_ms: 9, what: What::Ended { reason: "caller_hangup".into(), details: None } })
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_again_hears_what_they_missed_once_and_in_order() {
        let stories = Stories::default();
        let call = CallId(1);
        stories.saw(call, &answered(1));
        assert!(stories.of(call).is_none(), "of a call whose beginning nobody saw there is no story");
        stories.saw(call, &began("s"));
        stories.saw(call, &answered(1));
        let story = stories.of(call).expect("it is up");
        assert_eq!(stories.of_session("s"), Some(call));
        assert!(matches!(story.after(0), Next::Event(1, event) if matches!(event.what, What::Began(_))));
        assert!(matches!(story.after(1), Next::Event(2, event) if event.at_ms == 1));
        assert!(matches!(story.after(2), Next::Nothing) && matches!(story.after(u64::MAX), Next::Nothing));
        let mut newest = story.listen();
        stories.saw(call, &ended());
        newest.changed().await.expect("it is told");
        assert!(matches!(story.after(2), Next::Event(3, _)) && matches!(story.after(3), Next::Over));
        tokio::time::advance(KEPT_AFTER).await;
        assert!(stories.of(call).is_none());
        stories.tidy();
        assert!(stories.all().is_empty());
    }

    #[test]
    fn a_story_is_bounded_and_who_lags_is_told_how_much_is_missing() {
        let stories = Stories::default();
        stories.saw(CallId(1), &began("s"));
        for n in 0..EVENTS_MAX as u64 + 9 {
            stories.saw(CallId(1), &answered(n));
        }
        let story = stories.of(CallId(1)).expect("it is up");
        assert_eq!((story.so_far().0, story.so_far().1.len()), (11, EVENTS_MAX));
        assert!(matches!(story.after(4), Next::Missed(6, 10)));
        assert!(matches!(story.after(10), Next::Event(11, event) if event.at_ms == 9));
    }
}
