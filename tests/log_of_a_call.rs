//! Whatever is logged for a call says whose it is: call, tenant and SIP Call-ID, from the call's one span.
//!
//! Everything that this program logs while a call is up, is ended and is closed belongs to that call: each event is looked at, of
//! any level, on whatever thread it came about.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use bellhop_call::failure::{ChildName, Fault};
use bellhop_call::fault_injection::FaultInjection;
use bellhop_call::phase::PhaseName;
use bellhop_dialogue::ports::{RecognizerEvent, ServiceFailure};
use bellhop_tests::Stage;
use bellhop_tests::carrier::Habits;
use bellhop_tests::services::Behaviour;
use bellhop_tests::stage::{Choices, fault_injections, play};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Names and values of an event or a span.
#[derive(Debug, Clone, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// An event of this program.
#[derive(Debug, Clone)]
struct Logged {
    own: Fields,
    /// The spans that it came about in, by name, the innermost first.
    spans: Vec<(&'static str, Fields)>,
}

static LOG: Mutex<Vec<Logged>> = Mutex::new(vec![]);

/// Keeps every event of this program.
struct Everything;

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Everything {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !event.metadata().target().starts_with("bellhop") {
            return;
        }
        let mut own = Fields::default();
        event.record(&mut own);
        let spans = context.event_scope(event).into_iter().flatten();
        let spans = spans.map(|span| (span.name(), span.extensions().get().cloned().unwrap_or_default())).collect();
        LOG.lock().unwrap_or_else(PoisonError::into_inner).push(Logged { own, spans });
    }
}

/// From here on everything is kept; the first of this process's tests says so.
fn keep_everything() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Everything);
        tracing::subscriber::set_global_default(subscriber).expect("the only one of this process");
    });
}

/// Plays a call and gives what was logged meanwhile.
fn logged<F: Future<Output = ()> + 'static>(choices: Choices, test: impl FnOnce(Stage) -> F + 'static) -> Vec<Logged> {
    // One at a time: the log is the process's.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    keep_everything();
    play(choices, test);
    std::mem::take(&mut LOG.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Every event is in the one span of the stage's call, and says nothing of it by hand.
fn assert_all_of_the_call(log: &[Logged], what: &str) {
    assert!(log.iter().any(|event| event.own.0["message"] == "call began"), "{what}: nothing was logged");
    for event in log {
        let [(name, fields)] = &event.spans[..] else { panic!("{what}: {event:?} is in {} spans", event.spans.len()) };
        assert_eq!(*name, "call", "{what}: {event:?}");
        assert_eq!(fields.0.get("call").map(String::len), Some(16), "{what}: {event:?}");
        assert_eq!(fields.0.get("tenant").map(String::as_str), Some("acme"), "{what}: {event:?}");
        assert_eq!(fields.0.get("sip_call_id").map(String::as_str), Some("call-1"), "{what}: {event:?}");
        for name in ["call", "tenant", "sip_call_id"] {
            assert!(!event.own.0.contains_key(name), "{what}: {event:?} says by hand what its span says");
        }
    }
}

fn assert_told(log: &[Logged], message: &str, what: &str) {
    assert!(log.iter().any(|event| event.own.0["message"] == message), "{what}: `{message}` was not logged: {log:#?}");
}

async fn play_to_the_end(stage: &Stage) {
    stage.call_answered().await;
    stage.caller_says("agent").await;
    stage.settle().await;
}

#[test]
fn a_call_that_reaches_an_agent_says_whose_each_line_is() {
    let log = logged(Choices::default(), |stage| async move { play_to_the_end(&stage).await });
    assert_all_of_the_call(&log, "a hand-off");
    assert_told(&log, "call ended", "a hand-off");
}

#[test]
fn a_call_whose_children_die_says_whose_each_line_is() {
    for injected in fault_injections() {
        let what = format!("{} dies of {} while {}", injected.child, injected.fault.label(), injected.phase.label());
        let choices = Choices { fault_injection: Some(injected), ..Choices::default() };
        let log = logged(choices, |stage| async move { play_to_the_end(&stage).await });
        assert_all_of_the_call(&log, &what);
    }
}

#[test]
fn a_supervisor_that_dies_is_told_in_its_call() {
    let injected = FaultInjection { child: ChildName::Call, phase: PhaseName::Talking, fault: Fault::Panic };
    let choices = Choices { fault_injection: Some(injected), ..Choices::default() };
    let log = logged(choices, |stage| async move { play_to_the_end(&stage).await });
    assert_all_of_the_call(&log, "the supervisor panics");
    assert_told(&log, "a call's supervisor died", "the supervisor panics");
}

#[test]
fn services_that_fail_are_told_in_their_call() {
    type Set = fn(&Stage, Behaviour);
    let services: [(&str, Set, &str); 4] = [
        ("assistant", |stage, how| stage.services.assistant(how), "the assistant failed"),
        ("recognizer", |stage, how| stage.services.recognizer(how), "the recognizer is lost"),
        ("synthesizer", |stage, how| stage.services.synthesizer(how), "a text could not be spoken"),
        ("writer", |stage, how| stage.services.writer(how), "child down"),
    ];
    for (name, set, message) in services {
        for how in [Behaviour::Refuses, Behaviour::Uncertain, Behaviour::Silent] {
            let log = logged(Choices::default(), move |stage| async move {
                set(&stage, how);
                play_to_the_end(&stage).await;
            });
            let what = format!("{name} {how:?}");
            assert_all_of_the_call(&log, &what);
            if how == Behaviour::Refuses && name != "writer" {
                assert_told(&log, message, &what);
            }
        }
    }
    let log = logged(Choices::default(), |stage| async move {
        stage.call_answered().await;
        stage.services.hears(&RecognizerEvent::Lost(ServiceFailure::Overdue));
        stage.settle().await;
    });
    assert_all_of_the_call(&log, "a lost recognizer");
    assert_told(&log, "the recognizer is lost", "a lost recognizer");
}

#[test]
fn what_comes_of_a_call_s_bye_is_told_in_that_call() {
    let log = logged(Choices::default(), |stage| async move {
        stage.carrier.habits(Habits { acks: true, answers_bye: false });
        play_to_the_end(&stage).await;
        stage.pass(60_000).await;
    });
    assert_all_of_the_call(&log, "an unanswered BYE");
    assert_told(&log, "nobody answered the BYE, by no way there is", "an unanswered BYE");
}

/// Entering a span has its price, 50 times a second and leg: the clock of the media is in nobody's.
#[test]
fn the_clock_of_the_media_is_in_no_span() {
    logged(Choices::default(), |stage| async move {
        play_to_the_end(&stage).await;
        let (looks, in_a_span) = stage.line.looks();
        assert!(looks > 100, "{looks} looks at the port");
        assert_eq!(in_a_span, 0, "of {looks} looks at the port");
    });
}
