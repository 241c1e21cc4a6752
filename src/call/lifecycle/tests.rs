//! Every state with every input as a golden table, and what no order of inputs breaks.

use std::collections::BTreeMap;

use bellhop_connect::session_history_key::{RANDOM_BYTES, SessionHistoryKey};
use bellhop_dialogue::response::sip_target::{HeadersBy, TransferMethod};
use bellhop_dialogue::response::{ConnectToAgent, SipTarget};
use bellhop_dialogue::transcript::Transcript;
use bellhop_sip::message::StatusCode;
use bellhop_tenancy::integration::OnTransferFailure;
use bellhop_tenancy::settings;
use serde_json::json;

use super::*;

/// Where calls come from, and what becomes of those that fail.
#[derive(Clone, Copy)]
enum Line {
    Connect,
    Trunk,
}

fn terms(line: Line, on_transfer_failure: OnTransferFailure) -> Terms {
    let mut document = json!({
        "name": "acme", "numbers": ["+18005550123"],
        "disconnect_on_transfer_failure": on_transfer_failure == OnTransferFailure::Disconnect,
        "sip": {
            "failure_message": "sorry", "failure_target": "sip:desk@pbx.example.com", "transfer_failure_message": "no",
        },
        "assistant": {"kind": "scripted", "script": "acme.yaml"},
        "speech_to_text": {"kind": "counting"}, "text_to_speech": {"kind": "flite"},
    });
    if let Line::Connect = line {
        document["connect"] = json!({"instance_arn": "arn", "access_key_id": "key", "secret_access_key": "secret"});
    }
    let document = settings::json::read(&document.to_string()).expect("JSON");
    let read = settings::Reading::of(&document, &settings::Alone);
    assert_eq!(read.mistakes, []);
    let integration = read.settings.integration(Arc::new(read.settings.tenant()));
    let source = [192, 0, 2, 1].into();
    Terms { integration: Arc::new(integration), source, in_contact_flow: matches!(line, Line::Connect) }
}

fn goal(uri: Option<(&str, TransferMethod)>) -> Input {
    let sip = uri.map(|(uri, method)| SipTarget { uri: Some(uri.into()), method, headers: vec![] });
    let transfer = ConnectToAgent { sip, ..ConnectToAgent::default() };
    Input::ConversationEnded(Goal::HandOff { transfer: Box::new(transfer), transcript: Transcript::default() })
}

/// Makes the input of this name.
type Make = fn(&str) -> Input;

/// Every input there is, by a name; a child's death twice, as ordered and as not.
const INPUTS: [(&str, Make); 41] = [
    ("began", |_| Input::Began),
    ("refused", |_| Input::Refused(Refusal::NoPorts)),
    ("recognizer ready", |_| Input::RecognizerReady),
    ("line changed", |_| Input::LineChanged),
    ("playback ready", |_| Input::PlaybackReady),
    ("says something", |_| Input::SaysSomething),
    ("reply read", |_| Input::ReplyRead),
    ("confirmed", |_| Input::DialogConfirmed),
    ("caller hung up", |_| Input::CallerHungUp),
    ("hand-off wanted", |_| goal(None)),
    ("transfer wanted", |_| goal(Some(("sip:desk@pbx.example.com", TransferMethod::Refer(HeadersBy::Custom))))),
    ("transfer by BYE wanted", |_| {
        goal(Some(("sip:desk@192.0.2.1", TransferMethod::Hangup { target_header: "X-To".into() })))
    }),
    ("foreign transfer wanted", |_| goal(Some(("sip:x@toll.example", TransferMethod::Refer(HeadersBy::Custom))))),
    ("hang-up wanted", |_| Input::ConversationEnded(Goal::HangUp { headers: vec![("X-Why".into(), "done".into())] })),
    ("prepared", |_| Input::HandoffPrepared { names: vec!["topic".into(), "SessionHistoryKey".into()] }),
    ("impossible", |_| Input::HandoffImpossible),
    ("committed", |_| Input::HandoffEnded(Ok(()))),
    ("commit refused", |_| Input::HandoffEnded(Err(Failure::HandoffRefused))),
    ("commit uncertain", |_| Input::HandoffEnded(Err(Failure::HandoffUncertain))),
    ("filed", |_| {
        let key = SessionHistoryKey::from_random([7; RANDOM_BYTES]);
        let name = key.filed_as();
        Input::HistoryFiled(Some((key, name)))
    }),
    ("not filed", |_| Input::HistoryFiled(None)),
    ("hold answered", |_| Input::HoldAnswered),
    ("transferred", |_| Input::TransferEnded(Ok(()))),
    ("transfer refused", |_| Input::TransferEnded(Err(StatusCode(603)))),
    ("way back", |_| Input::WayBack { known: true }),
    ("no way back", |_| Input::WayBack { known: false }),
    ("media silent", |_| Input::MediaSilent),
    ("announcement played", |_| Input::AnnouncementPlayed),
    ("operator", |_| Input::HangUp(Ending::OperatorHungUp)),
    ("sip_dialog died", died),
    ("sip_dialog finished", finished),
    ("jitter_buffer died", died),
    ("jitter_buffer finished", finished),
    ("stt_stream died", died),
    ("stt_stream finished", finished),
    ("tts_playback died", died),
    ("tts_playback finished", finished),
    ("turn_loop died", died),
    ("turn_loop finished", finished),
    ("connect_handoff died", died),
    ("connect_handoff finished", finished),
];

fn died(name: &str) -> Input {
    Input::ChildDown { child: named(name), exit: Exit::Failed(Failure::Injected) }
}

fn finished(name: &str) -> Input {
    Input::ChildDown { child: named(name), exit: Exit::Finished }
}

fn named(name: &str) -> ChildName {
    ChildName::CHILDREN.into_iter().find(|child| name.contains(child.label())).expect("a child's name")
}

fn input(name: &str) -> Input {
    let (_, input) = INPUTS.iter().find(|(known, _)| *known == name).expect("an input of this name");
    input(name)
}

/// An order as a word or two.
fn brief(order: &Order) -> String {
    match order {
        Order::NoteState(state) => format!("-> {}", state.label()),
        Order::Stop { children, .. } => {
            format!("Stop {}", children.iter().map(|child| child.label()).collect::<Vec<_>>().join(" "))
        }
        Order::DepositBlank { names } => format!("DepositBlank {}", names.join(" ")),
        Order::Refer(transfer) => format!("Refer {}", transfer.target),
        Order::Announce(text) => format!("Announce {text}"),
        Order::Report(told) => format!("Report {told:?}"),
        Order::Terminate { ending, headers } => {
            let headers = headers.iter().map(|(name, _)| format!(" {name}")).collect::<String>();
            format!("Terminate {}{headers}", ending.label())
        }
        other => format!("{other:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned(),
    }
}

fn drained(call: &mut Lifecycle) -> Vec<Order> {
    std::iter::from_fn(|| call.poll()).collect()
}

/// The states by name: from which other, or by which line, and what happens on the way.
const STATES: [(&str, &str, &str); 25] = [
    ("offered", "connect", "began"),
    ("offered, recognizer ready", "offered", "recognizer ready"),
    ("offered, over already", "offered", "hang-up wanted"),
    ("offered by a trunk", "trunk", "began"),
    ("answering", "offered, recognizer ready", "playback ready"),
    ("answering, over already", "offered, over already", "recognizer ready"),
    ("answering to lead the caller out", "offered by a trunk", "stt_stream died"),
    ("talking", "answering", "confirmed"),
    ("talking by a trunk", "offered by a trunk", "recognizer ready; playback ready; confirmed"),
    ("preparing a hand-off", "talking", "hand-off wanted"),
    ("preparing a transfer", "talking by a trunk", "transfer wanted"),
    ("quiescing for a hand-off", "preparing a hand-off", "prepared"),
    (
        "quiescing for a hand-off, all quiet",
        "quiescing for a hand-off",
        "jitter_buffer finished; stt_stream finished; tts_playback finished; turn_loop finished",
    ),
    ("quiescing for a hang-up", "talking", "hang-up wanted"),
    ("quiescing for a transfer by BYE", "talking by a trunk", "transfer by BYE wanted; filed"),
    (
        "committing a hang-up",
        "quiescing for a hang-up",
        "jitter_buffer finished; stt_stream finished; tts_playback finished; turn_loop finished; way back",
    ),
    ("committing a hand-off", "quiescing for a hand-off, all quiet", "way back"),
    ("committing, a failure came first", "committing a hand-off", "sip_dialog died"),
    ("committing, the caller is gone", "committing a hand-off", "caller hung up"),
    ("transferring, on the way to the hold", "preparing a transfer", "filed"),
    ("transferring", "transferring, on the way to the hold", "hold answered"),
    ("failing over", "talking by a trunk", "turn_loop died"),
    ("failing over after a transfer", "transferring", "transfer refused"),
    ("transferring after a failure", "failing over", "announcement played"),
    ("terminating", "talking", "caller hung up"),
];

/// How a call gets to the state of this name, and over which line.
fn path(name: &str) -> (Line, Vec<&'static str>) {
    let Some((_, from, more)) = STATES.iter().find(|(state, ..)| *state == name) else {
        return (if name == "trunk" { Line::Trunk } else { Line::Connect }, vec![]);
    };
    let (line, mut path) = path(from);
    path.extend(more.split("; "));
    (line, path)
}

/// A call in the state of this name.
fn in_state(name: &str, now: Instant) -> Lifecycle {
    let (line, path) = path(name);
    let mut call = Lifecycle::new(now, terms(line, OnTransferFailure::Disconnect));
    path.into_iter().for_each(|step| call.handle(now, input(step)));
    drained(&mut call);
    call
}

/// One row: what follows, and the state by its data where it is another afterwards.
fn row(call: &mut Lifecycle) -> Option<String> {
    let orders: Vec<String> = drained(call).iter().map(brief).collect();
    (!orders.is_empty()).then(|| orders.join("; "))
}

#[test]
fn every_state_meets_every_input_as_written() {
    let mut table = String::new();
    let names = STATES.map(|(name, ..)| name);
    for name in names {
        table += &format!("# {name}\n");
        let mut without = vec![];
        for given in INPUTS.map(|(name, _)| name).into_iter().chain(["(time)"]) {
            let now = Instant::now();
            let mut call = in_state(name, now);
            let before = format!("{:?}", call.state);
            match given {
                "(time)" => {
                    let due = call.deadline().expect("every state that is not over has a deadline");
                    call.handle_timeout(due);
                }
                given => call.handle(now, input(given)),
            }
            match row(&mut call) {
                Some(row) => table += &format!("{given:<26} {row}\n"),
                None if format!("{:?}", call.state) != before => table += &format!("{given:<26} (remembered)\n"),
                None => without.push(given),
            }
        }
        table += &format!("nothing comes of: {}\n\n", without.join(", "));
    }
    let golden = include_str!("../../../tests/golden/call_transitions.txt");
    // A change of the protocol is a change of that file: `WRITE_GOLDEN=path` writes it, and its diff is what is reviewed.
    if let Ok(path) = std::env::var("WRITE_GOLDEN") {
        std::fs::write(path, &table).expect("written");
    }
    let other = table.lines().zip(golden.lines()).find(|(is, was)| is != was);
    assert!(table == golden, "tests/golden/call_transitions.txt says otherwise: {other:?}");
}

/// `HandedOff` lasts no longer than its orders: nothing undoes it.
#[test]
fn what_is_handed_off_stays_so() {
    for given in INPUTS.map(|(name, _)| name) {
        let now = Instant::now();
        let mut call = in_state("committing a hand-off", now);
        call.state = State::HandedOff;
        call.handle(now, input(given));
        let undone =
            drained(&mut call).iter().any(|order| matches!(order, Order::Terminate { .. } | Order::NoteState(_)));
        assert!(!undone, "{given}");
    }
}

/// A generator of Knuth's: enough to try orders of inputs, the same every time.
struct Lot(u64);

impl Lot {
    fn draw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// What was seen of one call.
#[derive(Default)]
struct Seen {
    commits: usize,
    committed: bool,
    in_flight: bool,
    given_away: bool,
    ended: Option<Ending>,
    finished: usize,
}

impl Seen {
    fn look(&mut self, orders: &[Order], failed: bool) {
        for order in orders {
            let after_the_end = self.ended.is_some();
            match order {
                Order::CommitHandoff | Order::MarkHangup => {
                    assert!(!failed, "a commit after the first failure");
                    assert!(self.in_flight, "a commit that nobody would take back");
                    self.commits += 1;
                }
                Order::DepositBlank { .. } => self.in_flight = true,
                Order::WithdrawBlank => self.in_flight = false,
                Order::DepositVoid(_) => self.given_away = true,
                Order::VoidKey => self.given_away = false,
                Order::Terminate { ending, .. } => {
                    assert!(!after_the_end, "two teardowns");
                    if *ending == Ending::HandedOff {
                        assert!(self.committed && !failed, "handed off without a commit, or after a failure");
                    }
                    self.ended = Some(ending.clone());
                }
                Order::Finish => {
                    assert!(after_the_end, "finished without a teardown");
                    self.finished += 1;
                }
                _ => {}
            }
            let at_the_end = matches!(order, Order::Terminate { .. } | Order::AbandonAll | Order::Finish);
            assert!(!after_the_end || at_the_end, "{} after the teardown", brief(order));
        }
    }
}

/// No order of inputs commits after a failure, tears down twice or not at all, hands off what was not committed, or gets stuck.
#[test]
fn no_order_of_inputs_breaks_the_law() {
    let mut reached = BTreeMap::new();
    for seed in 0..20_000 {
        let mut lot = Lot(seed);
        let otherwise = if lot.draw(2) == 0 { OnTransferFailure::Continue } else { OnTransferFailure::Disconnect };
        let (line, mut steps) = path(STATES[lot.draw(STATES.len())].0);
        steps.extend((0..20).map(|_| INPUTS[lot.draw(INPUTS.len())].0));
        let mut now = Instant::now();
        let mut call = Lifecycle::new(now, terms(line, otherwise));
        let (mut seen, mut failed) = (Seen::default(), false);
        for given in steps {
            let (before, asked) = (call.live.len(), matches!(call.state, State::Quiescing { .. } | State::Terminating));
            let committing = matches!(call.state, State::Committing { .. });
            let looking = matches!(&call.state, State::Quiescing { waiting_for, .. } if waiting_for.is_empty());
            call.handle(now, input(given));
            now += Duration::from_millis(lot.draw(100) as u64);
            if call.deadline().is_some_and(|due| due <= now) {
                call.handle_timeout(now);
            }
            // Who finishes of himself has failed; who was told to stop has not.
            let died = call.live.len() < before && !(asked && given.ends_with("finished"));
            failed |= died || ["caller hung up", "media silent"].contains(&given);
            failed |= given == "operator" && !committing || given == "no way back" && looking;
            seen.committed |= given == "committed" && committing;
            // A trunk's call fails over, and no key is spent there.
            seen.look(&drained(&mut call), failed && matches!(line, Line::Connect));
            *reached.entry(call.state().label()).or_insert(0) += 1;
        }
        for _ in 0..10 {
            let Some(due) = call.deadline() else { break };
            call.handle_timeout(due);
            seen.look(&drained(&mut call), failed && matches!(line, Line::Connect));
        }
        assert!(seen.ended.is_some(), "seed {seed}: stuck in {:?}", call.state);
        assert_eq!((seen.finished, call.deadline()), (1, None), "seed {seed}");
        assert!(seen.commits <= 1, "seed {seed}: two commits");
    }
    for state in PhaseName::ALL.into_iter().filter(|state| *state != PhaseName::HandedOff) {
        assert!(reached.get(state.label()).is_some_and(|n| *n > 1000), "{} was hardly tried", state.label());
    }
}
