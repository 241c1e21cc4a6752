//! One noisy tenant of each sort beside twenty quiet calls: no quiet call ends but by its own end, and none hears it.
//!
//! The quiet calls take place twice, alone and beside the noise, with texts that nobody has spoken before. Invariant: what is
//! counted is asserted as it is; what is measured is compared with the same calls alone.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellhop_media::FRAME_SAMPLES;
use bellhop_rehearsal::caller::{CallPlan, CallReport, Ended, Line};
use bellhop_rehearsal::connect::{AccessKey, StandIn};
use bellhop_sip::hop::Transport;
use serde_json::{Value, json};

#[path = "support/callers.rs"]
#[allow(dead_code)] // what other tests need of it
mod callers;
#[path = "support/node.rs"]
#[allow(dead_code)] // what other tests need of it
mod node;

use callers::{Callers, plan};
use node::{INSTANCE, Node, config, folder};

const QUIET_CALLS: usize = 20;
/// Turns of a quiet call in which the caller presses a key.
const KEYS: usize = 2;
/// How long the noise goes on: longer than quiet calls last.
const NOISE_LASTS: Duration = Duration::from_secs(12);
/// A gap so long is that of two busy cores, not of a neighbour.
const GAP_OF_A_BUSY_MACHINE: Duration = Duration::from_millis(60);
/// So many times the gap, or the time, of the same calls alone.
const GAP_RATIO_MAX: u32 = 8;
const TIME_RATIO_MAX: u32 = 2;
/// Turns of a call in which nothing is heard: `conversation.silent_turns_max`, and the one that is too many.
const SILENT_TURNS_MAX: usize = 21;

/// The assistants of all tenants: the path says whose.
#[derive(Clone, Default)]
struct Assistants {
    turns: Arc<Mutex<HashMap<String, usize>>>,
}

impl Assistants {
    fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let at = listener.local_addr().expect("an address");
        let this = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let this = this.clone();
                std::thread::spawn(move || this.answer(stream));
            }
        });
        at
    }

    fn answer(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut request = String::new();
            reader.read_line(&mut request).ok().filter(|length| *length > 0)?;
            let mut length = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).ok()?;
                let header = header.to_ascii_lowercase();
                if header.trim().is_empty() {
                    break;
                }
                length = header.strip_prefix("content-length:").map_or(length, |n| n.trim().parse().unwrap_or(0));
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let tenant = request.split(['/', ' ']).nth(2)?.to_owned();
            *self.turns.lock().expect("alone").entry(tenant.clone()).or_default() += 1;
            let reply = reply(&tenant, &serde_json::from_slice(&body).ok()?);
            let Some(reply) = reply else {
                // Never answered: the connection stays until the other side has enough.
                let _ = reader.read(&mut [0]);
                return None;
            };
            let reply = reply.to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", reply.len());
            reader.get_mut().write_all((head + &reply).as_bytes()).ok()?;
        }
    }

    fn turns_of(&self, tenant: &str) -> usize {
        self.turns.lock().expect("alone").get(tenant).copied().unwrap_or_default()
    }
}

fn reply(tenant: &str, asked: &Value) -> Option<Value> {
    let number = asked["turn"]["number"].as_u64().unwrap_or_default();
    let conversation = asked["conversation"].as_str().unwrap_or_default();
    let text = |text: String| json!({"response_type": "text", "text": text});
    let command =
        |command: &str| json!({"response_type": "user_defined", "user_defined": {"vgwAction": {"command": command}}});
    // Words that nobody has spoken before.
    let word = conversation.bytes().fold(number, |word, byte| word.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let generic = match tenant {
        "quiet" if number < KEYS as u64 => json!([text(format!("The answer is {}.", word % 100_000))]),
        "quiet" => json!([text("Good bye.".to_owned()), {"response_type": "end_session"}]),
        "long" => {
            let sentence = |n: usize| format!("Clause {n} of contract {word} is read to you in full. ");
            json!([text((0..2000).map(sentence).collect::<String>()[..100_000].to_owned())])
        }
        "forced" | "refused" | "unheard" => json!([text(format!("Turn {number}.")), command("vgwActForceNoInputTurn")]),
        "silent" => json!([command("vgwActForceNoInputTurn")]),
        "sms" => json!([command("vgwActSendSMS")]),
        _ => return None,
    };
    Some(json!({"output": {"generic": generic}, "context": {}}))
}

/// Takes connections and nothing else.
fn deaf() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

/// Name, last digit of the number, calls.
const NOISY: [(&str, u8, usize); 7] = [
    ("long", 1, 3),
    ("forced", 2, 3),
    ("silent", 3, 2),
    ("sms", 4, 2),
    ("never", 5, 3),
    ("refused", 6, 2),
    ("unheard", 7, 2),
];

fn number(digit: u8) -> String {
    format!("+1800555010{digit}")
}

fn start(assistants: SocketAddr, unheard: SocketAddr) -> Node {
    let key = AccessKey { id: "AKIATEST".into(), secret: "secret".into() };
    let connect = StandIn::new(INSTANCE.parse().expect("an ARN"), key, false);
    let connect_at = connect.serve(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let folder = folder();
    let path = config(&folder, connect_at, "counting", "");
    let text = std::fs::read_to_string(&path).expect("written");
    let (head, _) = text.split_once("[[tenants]]").expect("tenants");
    // Room for all calls at once and for those whose ports still rest.
    let ports = head.split('"').find(|text| text.ends_with("99")).expect("a range");
    let first: u16 = ports.split('-').next().and_then(|first| first.parse().ok()).expect("a port");
    let mut text = head.replace(ports, &format!("{first}-{}", first + 599));
    let refused = deaf().local_addr().expect("an address"); // and gone
    for (name, digit) in [("quiet", 0)].into_iter().chain(NOISY.map(|(name, digit, _)| (name, digit))) {
        let receiver = match name {
            "refused" => Some(refused),
            "unheard" => Some(unheard),
            _ => None,
        };
        let records = receiver.map_or(String::new(), |at| {
            format!("[tenants.records.webhook]\nurl = \"http://{at}/\"\nsecret = \"s3cret\"\nevents = [\"cdr_logged\", \"message_logged\"]\n")
        });
        text += &format!(
            "[[tenants]]\nname = \"{name}\"\nnumbers = [\"{}\"]\n\
             [tenants.assistant]\nkind = \"webhook\"\nurl = \"http://{assistants}/{name}\"\nsecret = \"s3cret\"\n\
             [tenants.speech_to_text]\nkind = \"counting\"\n[tenants.text_to_speech]\nkind = \"flite\"\n{records}",
            number(digit)
        );
    }
    std::fs::write(&path, text).expect("written");
    Node::serve(&path, folder, connect)
}

/// The same conversation each, by keys; it ends when the assistant says good bye.
fn quiet_calls(node: &Node, from: usize) -> Vec<CallReport> {
    let plans = (0..QUIET_CALLS).map(|n| CallPlan {
        lines: vec![Line::Press("1".to_owned()); KEYS],
        limit: Duration::from_secs(25),
        ..plan(node, Transport::Udp, &number(0), from + n)
    });
    Callers::place(plans).reports()
}

fn noise(node: &Node) -> Callers {
    let hangs_up_after = |wait: Duration| vec![Line::AtOnce(wait), Line::HangUp];
    let steady = NOISY.iter().flat_map(|(_, digit, calls)| (0..*calls).map(|n| (*digit, n, NOISE_LASTS)));
    // During a long text, at once or as it begins.
    let gone = (0..20).map(|n| (1, 100 + n, Duration::from_millis(100 * n as u64)));
    Callers::place(steady.chain(gone).map(|(digit, n, lasts)| CallPlan {
        lines: hangs_up_after(lasts),
        limit: NOISE_LASTS + Duration::from_secs(2),
        ..plan(node, Transport::Udp, &number(digit), 1000 + 100 * usize::from(digit) + n)
    }))
}

/// What half of the calls had at most: the longest gap between two packets, and the time they took.
struct RecognizerEvent {
    gap: Duration,
    time: Duration,
}

/// Each call ended by its own end and lacks no packet.
fn heard(calls: Vec<CallReport>) -> RecognizerEvent {
    assert_eq!(calls.len(), QUIET_CALLS);
    for report in &calls {
        assert_eq!(report.ended, Ended::ByGateway("SIP;cause=200;text=\"conversation ended\"".to_owned()));
        let frames = report.heard.len() / FRAME_SAMPLES;
        assert!(report.packets * 100 >= frames * 98, "{} packets in {frames} frames", report.packets);
    }
    let median = |of: fn(&CallReport) -> Duration| {
        let mut all: Vec<Duration> = calls.iter().map(of).collect();
        all.sort();
        all[all.len() / 2]
    };
    let lasted = |report: &CallReport| report.events.last().map_or(Duration::ZERO, |(at, _)| *at);
    RecognizerEvent { gap: median(|report| report.longest_gap), time: median(lasted) }
}

#[test]
fn twenty_quiet_calls_hear_nothing_of_noisy_neighbours() {
    let (assistants, unheard) = (Assistants::default(), deaf());
    let node = start(assistants.serve(), unheard.local_addr().expect("an address"));
    let alone = heard(quiet_calls(&node, 0));
    let noise = noise(&node);
    let all_noise: usize = NOISY.iter().map(|(.., calls)| calls).sum();
    node.wait_for("bellhop_call_setup_seconds_count", (QUIET_CALLS + all_noise) as f64);
    let beside = heard(quiet_calls(&node, 100));

    let gap_max = alone.gap.max(GAP_OF_A_BUSY_MACHINE) * GAP_RATIO_MAX;
    assert!(beside.gap <= gap_max, "a gap of {:?} beside the noise, {:?} alone", beside.gap, alone.gap);
    let time_max = alone.time * TIME_RATIO_MAX;
    assert!(beside.time <= time_max, "calls of {:?} beside the noise, {:?} alone", beside.time, alone.time);

    // It was noise indeed, and what needs no caller has its brake.
    noise.reports();
    for (name, _, calls) in NOISY {
        let turns = assistants.turns_of(name);
        assert!(turns >= calls, "{name}: {turns} turns");
        assert!(!["silent", "sms"].contains(&name) || turns <= calls * SILENT_TURNS_MAX, "{name}: {turns} turns");
    }
    node.wait_until_idle();
    assert_eq!(node.metric("bellhop_calls_active{"), 0.0);
    let metrics = node.get("/metrics");
    let ends = metrics.lines().filter(|line| line.starts_with("bellhop_calls_ended_total{tenant=\"quiet\""));
    for line in ends {
        let expected = if line.contains("\"assistant_ended\"") { 2 * QUIET_CALLS } else { 0 };
        assert_eq!(line.rsplit(' ').next(), Some(expected.to_string().as_str()), "{line}");
    }
}
