//! Contact attributes, written only once it is noted on the disk that they are being written.
//!
//! What was in flight when the process died (`kill -9`, a power cut) is then found by the next one, which takes it back: a key
//! that no call lived to answer for would show an agent a hand-off that never was. Invariants: no session history key leaves
//! before its note is on the disk; a write is reported as done only once its note is struck out, or that has been tried; a
//! note stays for as long as nobody knows what the contact holds. Only `hangup` goes out without a note where the store takes
//! none: no conversation hangs on it, and the caller would be sent to an agent for nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellhop_connect::handoff::{StoreFailed, WriteOutcome};
use bellhop_connect::ports::{AttributeBlanker, AttributeWriter, Note, NotedWrite, Pending, WriteNotes};
use bellhop_connect::session_history_key::{ATTRIBUTE, HANGUP};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::time::{sleep, timeout};

use crate::task;

/// The longest that a note may hold a write up.
pub(crate) const NOTE_MAX: Duration = Duration::from_secs(1);
/// The longest that striking a note out may hold a report up.
pub(crate) const STRIKE_OUT_MAX: Duration = Duration::from_millis(700);
/// The pause before what could not be taken back is tried again; it doubles each time.
const PAUSE: Duration = Duration::from_secs(2);
/// Tries to take something back, after the one that the call waits for. What is left then is the next start's.
const TRIES: u32 = 6;
/// The longest pause before a note that could not be struck out is tried again, and how often it is: three quarters of an hour.
const STRIKE_OUT_PAUSE_MAX: Duration = Duration::from_secs(300);
const STRIKE_OUT_TRIES: u32 = 16;
/// How long a contact is not taken back while a write of this very process to it is in flight: it would land last.
const OWN_WRITE_MAX: Duration = Duration::from_millis(500);
/// Contacts that are taken back at once.
const AT_ONCE: usize = 64;

/// Writes and blanks one tenant's contact attributes.
#[derive(Clone)]
pub struct NotedWrites {
    writer: Arc<dyn AttributeWriter>,
    blanker: Arc<dyn AttributeBlanker>,
    notes: Arc<dyn WriteNotes>,
    places: Arc<Semaphore>,
    /// The contacts that are being written to.
    in_flight: InFlight,
}

type InFlight = Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>;

/// A write to a contact, until it is known, or its asker is gone.
struct Flight {
    of: InFlight,
    contact_id: String,
    _landing: OwnedMutexGuard<()>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.of.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.contact_id);
    }
}

impl std::fmt::Debug for NotedWrites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NotedWrites")
    }
}

impl NotedWrites {
    /// Notes what `contacts` writes.
    pub fn new<C>(contacts: C, notes: Arc<dyn WriteNotes>) -> Self
    where
        C: AttributeWriter + AttributeBlanker + Clone + 'static,
    {
        let (writer, blanker) = (Arc::new(contacts.clone()), Arc::new(contacts));
        Self { writer, blanker, notes, places: Arc::new(Semaphore::new(AT_ONCE)), in_flight: InFlight::default() }
    }

    async fn take_off(&self, contact_id: &str) -> Flight {
        let landing = {
            let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(in_flight.entry(contact_id.to_owned()).or_default())
        };
        Flight {
            of: Arc::clone(&self.in_flight),
            contact_id: contact_id.to_owned(),
            _landing: landing.lock_owned().await,
        }
    }

    /// Whether no write of ours to a contact is in flight, soon enough.
    async fn has_landed(&self, contact_id: &str) -> bool {
        let landing = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).get(contact_id).map(Arc::clone);
        match landing {
            None => true,
            Some(landing) => timeout(OWN_WRITE_MAX, landing.lock()).await.is_ok(),
        }
    }

    async fn write_noted(self, contact_id: String, attributes: Vec<(String, String)>) -> WriteOutcome {
        let names = attributes.iter().map(|(name, _)| name.clone()).collect();
        let hang_up = attributes.iter().any(|(name, value)| name == ATTRIBUTE && value == HANGUP);
        let noting = self.notes.note(NotedWrite { contact_id: contact_id.clone(), names });
        let note = match timeout(NOTE_MAX, noting).await {
            Ok(Ok(note)) => Some(note),
            _ if hang_up => None,
            _ => {
                tracing::error!("a write of contact attributes could not be noted: it does not begin");
                return WriteOutcome::Refused;
            }
        };
        let flight = self.take_off(&contact_id).await;
        let outcome = self.writer.write(contact_id.clone(), attributes).await;
        drop(flight);
        let notes = Arc::clone(&self.notes);
        // It goes on where nobody waits: neither a deadline nor a store that fails just now may leave a note of what is
        // right, or the next start would take the key of a caller back who waits for an agent.
        let striking = match (outcome, note) {
            (WriteOutcome::Done, _) => task::spawn(until_struck_out(move || notes.settled(contact_id.clone()))),
            (WriteOutcome::Refused, Some(Note(id))) => {
                task::spawn(until_struck_out(move || notes.nothing_written(Note(id))))
            }
            (WriteOutcome::Refused, None) | (WriteOutcome::Uncertain, _) => return outcome,
        };
        let _ = timeout(STRIKE_OUT_MAX, striking).await;
        outcome
    }

    async fn blank_once(&self, contact_id: &str, names: &[String]) -> WriteOutcome {
        let landed = self.has_landed(contact_id).await;
        let outcome = self.blanker.blank(contact_id.to_owned(), names.to_vec()).await;
        // What is still in flight may land behind it: the note stays, and it is done again.
        let outcome = if landed { outcome } else { WriteOutcome::Uncertain };
        if outcome == WriteOutcome::Done {
            let (notes, contact_id) = (Arc::clone(&self.notes), contact_id.to_owned());
            task::spawn(until_struck_out(move || notes.settled(contact_id.clone())));
        }
        outcome
    }

    /// Takes back what a former process left in flight, or a call of this one could not; in its own time.
    pub async fn take_back(self, NotedWrite { contact_id, names }: NotedWrite) -> WriteOutcome {
        let Ok(_place) = self.places.acquire().await else { return WriteOutcome::Refused };
        let mut outcome = WriteOutcome::Uncertain;
        for n in 0..TRIES {
            sleep(if n == 0 { Duration::ZERO } else { PAUSE * 2u32.pow(n - 1) }).await;
            outcome = self.blank_once(&contact_id, &names).await;
            if outcome == WriteOutcome::Done {
                break;
            }
        }
        outcome
    }
}

async fn until_struck_out(strike: impl Fn() -> Pending<Result<(), StoreFailed>>) {
    let mut pause = PAUSE;
    for _ in 0..STRIKE_OUT_TRIES {
        if strike().await.is_ok() {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(STRIKE_OUT_PAUSE_MAX);
    }
}

impl AttributeWriter for NotedWrites {
    fn write(&self, contact_id: String, attributes: Vec<(String, String)>) -> Pending<WriteOutcome> {
        Box::pin(self.clone().write_noted(contact_id, attributes))
    }
}

impl AttributeBlanker for NotedWrites {
    fn blank(&self, contact_id: String, names: Vec<String>) -> Pending<WriteOutcome> {
        let this = self.clone();
        Box::pin(async move {
            // Whoever waits for this drops it after a moment: the tries go on without them.
            let (told, first) = tokio::sync::oneshot::channel();
            task::spawn(async move {
                let outcome = this.blank_once(&contact_id, &names).await;
                let _ = told.send(outcome);
                if outcome != WriteOutcome::Done {
                    sleep(PAUSE).await;
                    if this.clone().take_back(NotedWrite { contact_id, names }).await != WriteOutcome::Done {
                        tracing::error!("an uncertain write could not be taken back: the next start tries again");
                    }
                }
            });
            first.await.unwrap_or(WriteOutcome::Uncertain)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A contact and a notebook that write down what they are told, in one list.
    #[derive(Clone, Default)]
    struct World(Arc<Mutex<Vec<String>>>, Arc<Mutex<Vec<WriteOutcome>>>, Arc<Mutex<bool>>, Arc<Mutex<u32>>);

    impl World {
        fn told(&self, what: String) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        }

        fn list(&self) -> Vec<String> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        fn next(&self) -> WriteOutcome {
            self.1.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or(WriteOutcome::Done)
        }

        fn stored<T: Send + 'static>(&self, good: T) -> Pending<Result<T, StoreFailed>> {
            let full = *self.2.lock().unwrap_or_else(PoisonError::into_inner);
            Box::pin(async move { if full { Err(StoreFailed) } else { Ok(good) } })
        }
    }

    impl AttributeWriter for World {
        fn write(&self, _: String, attributes: Vec<(String, String)>) -> Pending<WriteOutcome> {
            let names: Vec<String> = attributes.into_iter().map(|(name, _)| name).collect();
            self.told(format!("write {}", names.join(",")));
            let outcome = self.next();
            Box::pin(async move { outcome })
        }
    }

    impl AttributeBlanker for World {
        fn blank(&self, _: String, names: Vec<String>) -> Pending<WriteOutcome> {
            self.told(format!("blank {}", names.join(",")));
            let outcome = self.next();
            Box::pin(async move { outcome })
        }
    }

    impl WriteNotes for World {
        fn note(&self, write: NotedWrite) -> Pending<Result<Note, StoreFailed>> {
            self.told(format!("note {}", write.names.join(",")));
            self.stored(Note(1))
        }

        fn nothing_written(&self, _: Note) -> Pending<Result<(), StoreFailed>> {
            self.told("nothing written".into());
            self.stored(())
        }

        fn settled(&self, contact_id: String) -> Pending<Result<(), StoreFailed>> {
            self.told(format!("settled {contact_id}"));
            let mut failures = self.3.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(left) = failures.checked_sub(1) {
                *failures = left;
                return Box::pin(std::future::ready(Err(StoreFailed)));
            }
            self.stored(())
        }
    }

    fn writes(world: &World) -> NotedWrites {
        NotedWrites::new(world.clone(), Arc::new(world.clone()))
    }

    fn pairs(key: &str) -> Vec<(String, String)> {
        vec![("topic".into(), "loan".into()), (ATTRIBUTE.into(), key.into())]
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_noted_first_and_struck_out_when_it_is_known() {
        for (outcome, then) in [
            (WriteOutcome::Done, Some("settled c")),
            (WriteOutcome::Refused, Some("nothing written")),
            (WriteOutcome::Uncertain, None),
        ] {
            let world = World::default();
            world.1.lock().expect("alone").push(outcome);
            assert_eq!(writes(&world).write("c".into(), pairs("_1")).await, outcome);
            let mut expected = vec!["note topic,SessionHistoryKey", "write topic,SessionHistoryKey"];
            expected.extend(then);
            assert_eq!(world.list(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_cannot_be_noted_is_not_written_and_a_hang_up_is() {
        let world = World::default();
        *world.2.lock().expect("alone") = true;
        assert_eq!(writes(&world).write("c".into(), pairs("_1")).await, WriteOutcome::Refused);
        assert_eq!(world.list(), ["note topic,SessionHistoryKey"]);
        let hang_up = vec![(ATTRIBUTE.to_owned(), HANGUP.to_owned())];
        assert_eq!(writes(&world).write("c".into(), hang_up).await, WriteOutcome::Done);
        assert_eq!(world.list()[2], "write SessionHistoryKey");
    }

    /// A write that takes its time.
    #[derive(Clone)]
    struct Slow(World, Duration);

    impl AttributeWriter for Slow {
        fn write(&self, contact_id: String, attributes: Vec<(String, String)>) -> Pending<WriteOutcome> {
            let Self(world, time) = self.clone();
            Box::pin(async move {
                sleep(time).await;
                world.write(contact_id, attributes).await
            })
        }
    }

    impl AttributeBlanker for Slow {
        fn blank(&self, contact_id: String, names: Vec<String>) -> Pending<WriteOutcome> {
            self.0.blank(contact_id, names)
        }
    }

    /// The process is told to end at once while a key is in flight: the key must not land behind its own blanking.
    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_is_taken_back_once_it_has_landed() {
        for (time, before) in [(Duration::from_millis(300), 0), (Duration::from_secs(1), 1)] {
            let world = World::default();
            let writes = NotedWrites::new(Slow(world.clone(), time), Arc::new(world.clone()));
            let writing = tokio::spawn(writes.write("c".into(), pairs("_1")));
            sleep(Duration::from_millis(10)).await;
            let outcome = writes.blank("c".into(), vec![ATTRIBUTE.into()]).await;
            assert_eq!(outcome == WriteOutcome::Done, before == 0, "{time:?}");
            assert_eq!(writing.await.expect("no panic"), WriteOutcome::Done);
            sleep(Duration::from_secs(60)).await;
            let list = world.list();
            let at = |what: &str| list.iter().rposition(|told| told.starts_with(what));
            assert!(at("blank") > at("write"), "the last word is empty: {list:?}");
            assert_eq!(list.iter().filter(|told| told.starts_with("blank")).count(), before + 1, "{list:?}");
            assert!(writes.in_flight.lock().expect("alone").is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_taken_back_at_once_is_tried_again_and_struck_out_then() {
        let world = World::default();
        world.1.lock().expect("alone").extend([WriteOutcome::Refused, WriteOutcome::Uncertain]);
        let blank = writes(&world).blank("c".into(), vec!["topic".into(), ATTRIBUTE.into()]);
        assert_eq!(blank.await, WriteOutcome::Uncertain);
        sleep(Duration::from_secs(60)).await;
        let blank = "blank topic,SessionHistoryKey";
        assert_eq!(world.list(), [blank, blank, blank, "settled c"]);
    }

    /// A disk that is full between a hand-off and its note's end: the next start would take back what is right.
    #[tokio::test(start_paused = true)]
    async fn a_note_that_cannot_be_struck_out_is_tried_again() {
        let world = World::default();
        *world.3.lock().expect("alone") = 3;
        assert_eq!(writes(&world).write("c".into(), pairs("_1")).await, WriteOutcome::Done);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(world.list()[2..], ["settled c", "settled c", "settled c", "settled c"]);
    }
}
