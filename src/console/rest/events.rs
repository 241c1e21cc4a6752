//! `calls/{call}/events`: what happens in a call, as it happens (server-sent events of the HTML standard, section 9.2).
//!
//! Invariant: each event has its number as its `id`, so that who comes again with `Last-Event-ID` hears nothing twice and misses nothing that
//! is kept, and is told how much is not. A line is sent at least every [`STILL_THERE`]. A reader is sent away once the call is over, the server
//! drains, or they are not signed in any more, and is told which; after [`READ_MAX`] they come again by themselves.

use std::time::Duration;

use actix_web::web::Bytes;
use bellhop_tenancy::access::Role;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::{Instant, timeout_at};

use super::Presence;
use super::asked::Asked;
use super::calls;
use super::given::Given;
use super::readers::{Place, Readers};
use super::route::{OF_TENANT, Outcome, Parameter, Route};
use crate::ports::{Events, Happened};
use crate::problem::Problem;

/// How long one reads; who wants more asks again, which browsers do.
const READ_MAX: Duration = Duration::from_secs(600);
/// How often a reader who has nothing to read is told that the line is up, and whether they are still signed in is asked.
const STILL_THERE: Duration = Duration::from_secs(15);
/// How often is looked whether the server drains.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Readers at once, and of these those of one person.
static READERS: Readers = Readers::of(256, 24, "too many read what happens in calls");

const AFTER: Parameter = Parameter {
    name: "after",
    says: "The number of the last event that is known, 0 for none: those after it. `Last-Event-ID` is stronger.",
    required: false,
};

pub(super) fn routes() -> Vec<Route> {
    let what = "Tells what happens in a call that is up on this server";
    vec![
        Route::get("/calls/{call}/events", Role::Viewer, what, events)
            .with(OF_TENANT)
            .with(AFTER)
            .gives_text("text/event-stream"),
    ]
}

/// Whoever reads what happens in a call.
struct Reader {
    events: Box<dyn Events>,
    asked: Asked,
    presence: Option<Box<dyn Presence>>,
    until: Instant,
    /// When it is looked for the next time whether they are still signed in.
    look: Instant,
    state: State,
    _place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begins,
    Reads,
    SentAway,
}

/// Why a reader is sent away.
#[derive(Debug, Clone, Copy)]
enum Why {
    Over,
    Draining,
    SignedOut,
}

impl Why {
    fn line(self) -> String {
        let word = match self {
            Self::Over => "over",
            Self::Draining => "draining",
            Self::SignedOut => "signed_out",
        };
        format!("event: end\ndata: {{\"why\":\"{word}\"}}\n\n")
    }
}

async fn events(mut asked: Asked) -> Outcome {
    let (tenant, after) = (calls::tenant(&asked).await?, asked.parameter::<u64>("after")?);
    let after = asked.last_event.or(after).unwrap_or(0);
    let events = asked.ports.calls.events(tenant.as_deref(), asked.name("call")?, after);
    let events = events.ok_or_else(Problem::not_found)?;
    let place = READERS.place(&asked.by)?;
    let (now, presence) = (Instant::now(), asked.presence.take());
    let reader = Reader {
        events,
        asked,
        presence,
        until: now + READ_MAX,
        look: now + STILL_THERE,
        state: State::Begins,
        _place: place,
    };
    let lines = stream::unfold(reader, |mut reader| async move {
        let line = reader.line().await?;
        Some((Ok(Bytes::from(line)), reader))
    });
    Ok(Given::events(lines.boxed_local()))
}

impl Reader {
    /// What they are told next; none at the end.
    async fn line(&mut self) -> Option<String> {
        match self.state {
            State::SentAway => return None,
            State::Begins => {
                self.state = State::Reads;
                // Something at once, so that whoever is between knows that it is up; and how soon to come again, in milliseconds.
                return Some("retry: 2000\n\n".to_owned());
            }
            State::Reads => {}
        }
        loop {
            let now = Instant::now();
            if self.asked.ports.calls.is_draining() {
                return Some(self.sent_away(Why::Draining));
            }
            if now >= self.look {
                self.look = now + STILL_THERE;
                if let Some(presence) = &self.presence
                    && !presence.lasts(&self.asked.by.signed_in).await
                {
                    return Some(self.sent_away(Why::SignedOut));
                }
                return Some(": still there\n\n".to_owned());
            }
            if now >= self.until {
                return None;
            }
            let wait = (now + LOOK_EVERY).min(self.look).min(self.until);
            match timeout_at(wait, self.events.next()).await {
                Ok(Some(Happened::Event { number, json })) => return Some(format!("id: {number}\ndata: {json}\n\n")),
                Ok(Some(Happened::Missed { count, number })) => {
                    return Some(format!("id: {number}\nevent: missed\ndata: {{\"missed\":{count}}}\n\n"));
                }
                Ok(None) => return Some(self.sent_away(Why::Over)),
                Err(_) => {}
            }
        }
    }

    fn sent_away(&mut self, why: Why) -> String {
        self.state = State::SentAway;
        why.line()
    }
}
