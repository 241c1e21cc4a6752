//! One node on one thread in virtual time.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context};
use actix_rt::Arbiter;
use bellhop::wiring::Targets;
use bellhop_actors::call::OpenPort;
use bellhop_actors::media_shard::{Datagram, Deliver, PacketPort, Shard};
use bellhop_actors::node::call_registry::CallRegistry;
use bellhop_actors::node::live_contacts::LiveContacts;
use bellhop_actors::node::port_pool::PortPool;
use bellhop_actors::node::refused::Numbers;
use bellhop_actors::reception::admission::Admission;
use bellhop_actors::reception::{Attach, CallHung, Reception, ReceptionSettings, Serve, calls_on_this_thread};
use bellhop_actors::services::Services;
use bellhop_actors::signalling::endpoint::SipEndpoint;
use bellhop_actors::signalling::messages::{CountOpen, CountTransactions};
use bellhop_actors::supervision::watchdog::HUNG_AFTER;
use bellhop_call::failure::{ChildName, Fault};
use bellhop_call::fault_injection::FaultInjection;
use bellhop_call::phase::PhaseName;
use bellhop_connect::ports::{AttributeBlanker, AttributeWriter};
use bellhop_dialogue::ports::RecognizerEvent;
use bellhop_media::rtp::Packet;
use bellhop_sip::digest::Challenger;
use bellhop_sip::hop::Transport;
use bellhop_sip::locate::{NameResolver, Pending};
use bellhop_tenancy::directory::Directory;
use bellhop_tenancy::quota::{Quota, Shares};
use serde_json::json;

use crate::carrier::Carrier;
use crate::documents;
use crate::services::FakeServices;

/// `Too many open files`.
const EMFILE: i32 = 24;

/// An INVITE as a Voice Connector sends it for Amazon Connect.
pub const INVITE: &str = "INVITE sip:+18005550123@203.0.113.7:5060 SIP/2.0
Record-Route: <sip:192.0.2.1;lr>
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKinvite
Max-Forwards: 69
From: <sip:+12065550100@10.0.58.47:5060>;tag=far
To: <sip:+18005550123@203.0.113.7:5060>;transport=UDP
Call-ID: call-1
CSeq: 1 INVITE
Contact: <sip:10.0.58.47:5060;alias=10.0.58.47~5060~1>
X-Amzn-ConnectInitialContactId: contact-1
X-Amzn-SourceArn: arn:aws:connect:eu-west-2:111122223333:instance/abc
Content-Type: application/sdp

v=0
o=- 1 1 IN IP4 192.0.2.1
s=-
c=IN IP4 192.0.2.1
t=0 0
m=audio 40000 RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
";

/// Choices made before the curtain rises.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// A fault to inject.
    pub fault_injection: Option<FaultInjection>,
    /// What the tenant's document says beside, or instead of, what that of the stage does: TOML.
    pub document: String,
    /// Keys that the stage's document has and this one has not, like `sip.sources`.
    pub without: &'static [&'static str],
    /// The node's quota; 0 for ten.
    pub node_max_calls: usize,
    /// The realms of other tenants, each with a login and a number of its own: +18005550200 and on.
    pub neighbours: &'static [&'static str],
    /// RTP ports that another program holds.
    pub held_ports: Option<RangeInclusive<u16>>,
    /// Opening a port fails for want of descriptors.
    pub no_descriptors: bool,
    /// A host that has an address.
    pub named: Option<(&'static str, SocketAddr)>,
    /// What stands between the call and its contact.
    pub contacts: Option<BetweenContact>,
}

impl Choices {
    /// A tenant whose document says this.
    pub fn tenant(document: impl Into<String>) -> Self {
        Self { document: document.into(), ..Self::default() }
    }

    /// One without Amazon Connect.
    pub fn trunk(document: impl Into<String>) -> Self {
        Self { without: &["connect"], ..Self::tenant(document) }
    }

    /// One whom anybody can call.
    pub fn open(document: impl Into<String>) -> Self {
        Self { without: &["sip.sources"], ..Self::tenant(document) }
    }
}

/// Puts something between a call and the services that write and blank its contact's attributes.
pub type BetweenContact = fn(FakeServices) -> (Arc<dyn AttributeWriter>, Arc<dyn AttributeBlanker>);

/// The stage.
pub struct Stage {
    /// The far end of SIP.
    pub carrier: Carrier,
    /// The services.
    pub services: FakeServices,
    /// The far end of RTP.
    pub line: AudioLine,
    /// Reception, for orders.
    pub reception: Addr<Reception>,
    /// The endpoint, for questions.
    pub endpoint: Addr<SipEndpoint>,
    /// The RTP ports.
    pub ports: PortPool,
    registry: Arc<CallRegistry>,
    /// The first tenant with its services, as the stage began.
    pub acme: Services,
    document: toml::Table,
    node: Quota,
}

/// A name server that knows one name.
struct Names(Option<(&'static str, SocketAddr)>);

impl NameResolver for Names {
    fn locate(&self, _: Transport, host: String, port: Option<u16>) -> Pending<Vec<SocketAddr>> {
        let known =
            self.0.filter(|(name, _)| *name == host).map(|(_, at)| SocketAddr::new(at.ip(), port.unwrap_or(at.port())));
        Box::pin(async move { known.into_iter().collect() })
    }
}

/// Plays a test on a stage, in virtual time.
pub fn play<F: Future<Output = ()> + 'static>(choices: Choices, test: impl FnOnce(Stage) -> F + 'static) {
    let build =
        || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    actix_rt::System::with_tokio_rt(build).block_on(async move {
        let stage = Stage::new(choices);
        // The watchdog's look, without its thread: time is virtual.
        let (registry, reception) = (Arc::clone(&stage.registry), stage.reception.clone());
        actix_rt::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                for call in registry.hung(bellhop_actors::now(), HUNG_AFTER) {
                    reception.do_send(CallHung(call));
                }
            }
        });
        test(stage).await;
    });
}

/// Services that greet, hand over to an agent, and say goodbye.
fn scripted() -> FakeServices {
    let services = FakeServices::default();
    services.replies("", json!([{"response_type": "text", "text": "hello, how can I help"}]));
    services.replies(
        "agent",
        json!([
            {"response_type": "text", "text": "one moment"},
            {"response_type": "connect_to_agent",
             "transfer_info": {"target": {"amazon_connect": {"custom_data": {"topic": "loan"}}}},
             "agent_available": {"message": "transferring you"},
             "agent_unavailable": {"message": "nobody is there"}}
        ]),
    );
    services.replies("goodbye", json!([{"response_type": "text", "text": "bye"}, {"response_type": "end_session"}]));
    services
}

/// A tenant with its services.
fn wire(targets: Targets, services: &FakeServices, contacts: Option<BetweenContact>) -> Services {
    let shared = Arc::new(services.clone());
    let (attributes, blanker) = match contacts {
        Some(between) => between(services.clone()),
        None => (shared.clone() as Arc<dyn AttributeWriter>, shared.clone() as Arc<dyn AttributeBlanker>),
    };
    Services {
        integration: Arc::new(targets.integration),
        media: targets.media,
        instance: targets.instance,
        assistant: shared.clone(),
        recognizer: shared.clone(),
        synthesizer: shared.clone(),
        sounds: shared.clone(),
        conversation: targets.conversation,
        invite_headers: targets.invite_headers,
        attributes,
        blanker,
        histories: shared.clone(),
        recorder: None,
        assistant_id: "scripted".into(),
        records: shared.clone(),
        observer: Some(shared),
    }
}

/// Ports that lead to one line, unless another program holds them or there is no descriptor left.
fn open_port(line: AudioLine, held: Option<RangeInclusive<u16>>, no_descriptors: bool) -> OpenPort {
    Arc::new(move |port| {
        if no_descriptors {
            return Err(std::io::Error::from_raw_os_error(EMFILE));
        }
        match held.as_ref().is_some_and(|held| held.contains(&port)) {
            true => Err(std::io::ErrorKind::AddrInUse.into()),
            false => Ok(Box::new(line.clone()) as Box<dyn PacketPort>),
        }
    })
}

impl Stage {
    fn new(choices: Choices) -> Self {
        let document = documents::acme(&choices.document, choices.without);
        let neighbours = choices.neighbours.iter().enumerate();
        let neighbours = neighbours.map(|(n, realm)| documents::neighbour(&document, n, realm));
        let mut tenants = documents::targets(std::iter::once(document.clone()).chain(neighbours).collect()).into_iter();
        let services = scripted();
        let wired = wire(tenants.next().expect("the stage's own"), &services, choices.contacts);
        let trusted = wired.integration.sources.clone();
        let or_ten = |n: usize| if n == 0 { 10 } else { n };
        let node = Quota::new(or_ten(choices.node_max_calls));
        let ports = PortPool::new(20_000, 20_099);
        let registry = Arc::new(CallRegistry::new(bellhop_actors::now()));
        let line = AudioLine::default();
        let others =
            tenants.map(|other| Arc::new(Services { integration: Arc::new(other.integration), ..wired.clone() }));
        let all = std::iter::once(Arc::new(wired.clone())).chain(others);
        let directory = Arc::new(Directory::new(all).expect("numbers of their own"));
        let settings = ReceptionSettings {
            admission: Admission {
                directory,
                node: node.clone(),
                ports: ports.clone(),
                open: true,
                contacts: LiveContacts::default(),
                unacknowledged: Shares::default(),
                challenger: Challenger::new([7; 32]),
                epoch: bellhop_actors::now(),
            },
            media_address: [203, 0, 113, 7].into(),
            open_port: open_port(line.clone(), choices.held_ports, choices.no_descriptors),
            shards: vec![Arbiter::current()],
            new_shard: Arc::new(Arbiter::current),
            registry: Arc::clone(&registry),
            fault_injection: choices.fault_injection,
            observer: Some(Arc::new(services.clone())),
            numbers: Numbers::default(),
        };
        let reception = Reception::new(settings).start();
        let carrier = Carrier::new();
        let (wire, offers) = (Box::new(carrier.clone()), reception.clone().recipient());
        let endpoint = SipEndpoint::create(|ctx: &mut Context<SipEndpoint>| {
            reception.do_send(Attach(ctx.address()));
            SipEndpoint::new(wire, offers, reception.clone().recipient())
                .trusting(trusted)
                .with_names(Arc::new(Names(choices.named)))
        });
        carrier.attach(endpoint.clone());
        Self { carrier, services, line, reception, endpoint, registry, ports, acme: wired, document, node }
    }

    /// Lets virtual time pass.
    pub async fn pass(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    /// Places the call and waits until the greeting was heard.
    pub async fn call_answered(&self) {
        self.carrier.sends(INVITE);
        self.pass(2000).await;
    }

    /// The first tenant after a change of its document; it keeps count of the calls it has.
    pub fn acme_after(&self, change: &str) -> Services {
        let mut document = self.document.clone();
        documents::lay_over(&mut document, change.parse().unwrap_or_else(|error| panic!("{error} in {change}")));
        let mut changed = documents::targets(vec![document]).remove(0);
        let tenant = Arc::clone(&self.acme.integration.tenant);
        tenant.change_limits(changed.integration.tenant.limits());
        changed.integration.tenant = tenant;
        Services {
            integration: Arc::new(changed.integration),
            media: changed.media,
            instance: changed.instance,
            conversation: changed.conversation,
            invite_headers: changed.invite_headers,
            ..self.acme.clone()
        }
    }

    /// From now on these tenants are served, as after a change of the configuration.
    pub async fn serves(&self, all: impl IntoIterator<Item = Services>) {
        let directory = Directory::new(all.into_iter().map(Arc::new)).expect("numbers of their own");
        self.reception.send(Serve(Arc::new(directory))).await.expect("the reception is there");
    }

    /// The recognizer understands something.
    pub async fn caller_says(&self, text: &str) {
        self.services.hears(&RecognizerEvent::FinalResult { text: text.to_owned(), confidence: 0.9, result: None });
        self.pass(10).await;
    }

    /// The caller presses a key for a tenth of a second, by packets of which the first has this sequence number.
    pub async fn presses(&self, at: &mut u16, digit: u8) {
        let timestamp = u32::from(*at / 5) * 1000 + 5000;
        for (n, end) in [false, false, true, true, true].into_iter().enumerate() {
            let payload = [digit, if end { 0x8a } else { 0x0a }, 0, 160 + n as u8];
            self.line.puts(&Packet {
                payload_type: 101,
                marker: n == 0,
                sequence: *at,
                timestamp,
                ssrc: 7,
                payload: &payload,
            });
            *at += 1;
            self.pass(20).await;
        }
        self.pass(40).await;
    }

    /// The endpoint and the reception are dead: what is left is the registry and the wire.
    pub async fn last_resort(&self) -> usize {
        bellhop_actors::reception::last_resort::carry_out_all(&self.registry, &mut self.carrier.clone()).await
    }

    /// Somebody takes every teardown plan, and dies before anything comes of it.
    pub fn takes_plans(&self) {
        self.registry.ids().into_iter().for_each(|id| _ = self.registry.take_plan(id));
    }

    /// Whether the node says of itself that a call hangs: it is not ready then.
    pub fn has_hung(&self) -> bool {
        self.registry.has_hung()
    }

    /// Waits until no call is left, two minutes at most.
    pub async fn settle(&self) {
        for _ in 0..240 {
            self.pass(500).await;
            if self.registry.is_empty() && self.open_dialogs().await == 0 {
                self.pass(100).await;
                return;
            }
        }
    }

    /// Everything that could have been left behind, by name; empty if the node is clean.
    pub async fn leaks(&self) -> Vec<String> {
        let counts = [
            ("calls registered", self.registry.len()),
            ("supervisors", calls_on_this_thread()),
            ("legs on the clock", Shard::current().legs()),
            ("ports drawn", self.ports.drawn()),
            ("node permits", self.node.taken()),
            ("tenant permits", self.acme.integration.tenant.calls.taken()),
            ("dialogs", self.open_dialogs().await),
            ("teardowns", self.registry.unfinished()),
        ];
        counts.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{n} {name}")).collect()
    }

    /// How many SIP transactions live.
    pub async fn transactions(&self) -> usize {
        self.endpoint.send(CountTransactions).await.expect("the endpoint outlives all calls")
    }

    async fn open_dialogs(&self) -> usize {
        self.endpoint.send(CountOpen).await.expect("the endpoint outlives all calls")
    }
}

/// Every cell of the failure matrix.
pub fn fault_injections() -> impl Iterator<Item = FaultInjection> {
    ChildName::ALL.into_iter().flat_map(|child| {
        PhaseName::LIVE.into_iter().flat_map(move |phase| {
            // A thread that blocks or ends cannot be rehearsed on one thread, and no call outlives the endpoint: those cells
            // run against the real binary.
            let of_children = [Fault::Error, Fault::Panic];
            let faults = Fault::ALL.into_iter().filter(move |fault| of_children.contains(fault));
            faults.map(move |fault| FaultInjection { child, phase, fault })
        })
    })
}

/// The far end of RTP: what is put in arrives, what is sent is kept.
#[derive(Clone, Default)]
pub struct AudioLine(Arc<Mutex<Line>>);

#[derive(Default)]
struct Line {
    towards: VecDeque<(SocketAddr, Vec<u8>)>,
    sent: Vec<(Duration, Vec<u8>)>,
    destinations: BTreeSet<SocketAddr>,
    destination: Option<SocketAddr>,
    control_towards: VecDeque<(std::time::Instant, SocketAddr, Vec<u8>)>,
    control_sent: Vec<(SocketAddr, Vec<u8>)>,
    began: Option<std::time::Instant>,
    looks: usize,
    looks_in_a_span: usize,
}

impl AudioLine {
    /// A packet arrives from the signalled address.
    pub fn puts(&self, packet: &Packet<'_>) {
        self.puts_from("192.0.2.1:40000".parse().expect("an address"), packet);
    }

    /// A packet arrives from anywhere.
    pub fn puts_from(&self, source: SocketAddr, packet: &Packet<'_>) {
        let mut buffer = [0; 600];
        let length = packet.write(&mut buffer).expect("fits");
        self.puts_bytes(source, &buffer[..length]);
    }

    /// A datagram arrives.
    pub fn puts_bytes(&self, source: SocketAddr, bytes: &[u8]) {
        self.line().towards.push_back((source, bytes.to_vec()));
    }

    /// Where the last packet was sent to.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.line().destination
    }

    /// Every packet sent: when, marker, sequence, timestamp, and whether it sounds.
    pub fn sent(&self) -> Vec<(Duration, bool, u16, u32, bool)> {
        let line = self.line();
        let read = |(at, bytes): &(Duration, Vec<u8>)| {
            let packet = Packet::parse(bytes)?;
            Some((
                *at,
                packet.marker,
                packet.sequence,
                packet.timestamp,
                packet.payload.iter().any(|code| *code != 0xff),
            ))
        };
        line.sent.iter().filter_map(read).collect()
    }

    /// How often the clock of the media looked for packets, and how often it did so in a span.
    pub fn looks(&self) -> (usize, usize) {
        let line = self.line();
        (line.looks, line.looks_in_a_span)
    }

    /// Where packets were sent to, ever.
    pub fn destinations(&self) -> Vec<SocketAddr> {
        self.line().destinations.iter().copied().collect()
    }

    /// An RTCP packet arrives from the signalled host.
    pub fn puts_control(&self, bytes: &[u8]) {
        let source = "192.0.2.1:40001".parse().expect("an address");
        self.line().control_towards.push_back((bellhop_actors::now(), source, bytes.to_vec()));
    }

    /// Every RTCP packet sent, and where to.
    pub fn control_sent(&self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.line().control_sent.clone()
    }

    fn line(&self) -> std::sync::MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PacketPort for AudioLine {
    fn drain(&mut self, deliver: &mut Deliver<'_>) {
        let mut line = self.line();
        line.looks += 1;
        line.looks_in_a_span += usize::from(!tracing::Span::current().is_none());
        let waiting = std::mem::take(&mut line.towards);
        drop(line);
        for (source, mut bytes) in waiting {
            deliver(Datagram { source, bytes: &mut bytes, age: Duration::ZERO });
        }
    }

    fn drain_control(&mut self, deliver: &mut Deliver<'_>) {
        let waiting = std::mem::take(&mut self.line().control_towards);
        for (arrived, source, mut bytes) in waiting {
            deliver(Datagram { source, bytes: &mut bytes, age: bellhop_actors::now() - arrived });
        }
    }

    fn send_control(&mut self, bytes: &[u8], to: SocketAddr) -> bool {
        self.line().control_sent.push((to, bytes.to_vec()));
        true
    }

    fn send(&mut self, bytes: &[u8], to: SocketAddr) -> bool {
        let now = bellhop_actors::now();
        let mut line = self.line();
        line.destinations.insert(to);
        line.destination = Some(to);
        let began = *line.began.get_or_insert(now);
        line.sent.push((now - began, bytes.to_vec()));
        true
    }
}

/// 20 ms, as µ-law, of something that a voice detector takes for a voice: harmonics of 120 Hz under a syllabic envelope.
pub fn voice(frame: usize) -> [u8; 160] {
    std::array::from_fn(|k| {
        let t = (frame * 160 + k) as f32 / 8000.0;
        let harmonics: f32 = (1..20).map(|h| (t * 120.0 * h as f32 * std::f32::consts::TAU).sin() / h as f32).sum();
        let envelope = 0.6 + 0.4 * (t * 4.0 * std::f32::consts::TAU).sin();
        bellhop_media::g711::Law::Mu.encode((harmonics * 6000.0 * envelope) as i16)
    })
}
