//! `bellhop demo`: one real call on embedded defaults, told as it happens.
//!
//! The server is the real one, over real sockets on loopback; the caller speaks with another synthetic voice, Amazon
//! Connect is a stand-in that runs a contact flow. Invariant: nothing reaches the recognizer but RTP.

mod story;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bellhop_actors::services::{Codec, Security};
use bellhop_actors::signalling::transport::Protocol;
use bellhop_adapters::text_to_speech::flite::Flite;
use bellhop_call::line_audio;
use bellhop_connect::InstanceArn;
use bellhop_dialogue::ports::{SpeechRequest, Synthesizer};
use bellhop_media::{SAMPLE_RATE, resample};
use bellhop_rehearsal::caller::{self, CallPlan, CallReport, Conditions, Ended, Line};
use bellhop_rehearsal::connect::{AccessKey, StandIn};
use bellhop_rehearsal::flow::{Stop, TransferOutcome, screen_pop};
use bellhop_sip::hop::Transport;

use crate::config::Reading;
use crate::console::{self, Console};
use crate::http::{self, Shared};
use crate::signals::{self, Patience, Signals};
use crate::wiring::{self, Server};
use story::Story;

const SCRIPT: &str = include_str!("demo.yaml");
const TRUNK_SCRIPT: &str = include_str!("trunk.yaml");
const TEMPLATE: &str = include_str!("demo.toml");
const INSTANCE: &str = "arn:aws:connect:us-east-1:111122223333:instance/demo-instance";
const CALLER: &str = "+12065550100";
const DIALLED: &str = "+18005550123";

/// The demo's whole set: server, stand-in, and where everything is.
pub struct Set {
    /// The stand-in for Amazon Connect.
    pub connect: StandIn,
    /// Where SIP is heard.
    pub sip: SocketAddr,
    /// Where the agent's page is.
    pub http: SocketAddr,
    /// The server.
    pub server: Arc<Server>,
    /// Where an assistant might be that never answers.
    _silent: TcpListener,
}

/// How the demo is run.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Exit after the call: 0 only if the caller reached the agent's queue with the conversation.
    #[arg(long)]
    pub once: bool,
    /// Where SIP is heard, by UDP and TCP [default: 127.0.0.1:5060; with --once any free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub sip: Option<SocketAddr>,
    /// Where the agent's page is [default: 127.0.0.1:8080; with --once any free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<SocketAddr>,
}

/// Runs the demo; with `once` it returns after the call.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let once = options.once;
    let folder = PathBuf::from("demo-out");
    std::fs::create_dir_all(&folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    let story = Story::begin(CALLER);
    story.title("Bellhop demo: a caller, an assistant, an agent");
    let mut signals = Signals::listen()?;
    let set = set_up(&folder, &story, &options).await?;
    // Whatever ends the demo in the middle of its call, or of others', ends those too.
    let leave = async || set.server.leave_now().await;
    let good = tokio::select! {
        good = signals::guarded(one_call(&set, &folder, &story), leave) => match good? {
            Ok(good) => good,
            Err(error) => {
                set.server.leave_now().await;
                return Err(error);
            }
        },
        ended = signals::serve(&set.server, &mut signals, Patience::None) => return Ok(ended?),
    };
    if once {
        set.server.drain().await;
        if !good {
            bail!("the caller did not reach the agent's queue with the conversation");
        }
        return Ok(());
    }
    story.note(&format!("Still serving. Call it with a softphone: sip:1000@{} (UDP or TCP, PCMU or PCMA)", set.sip));
    story.note(&format!(
        "One SIPp scenario beside it, with its ladder: make sipp SCENARIO=hold_and_resume SIP={}",
        set.sip
    ));
    if let Some(link) = console::claim_link(&set.server, &public_url(set.http)).await? {
        story.note(&format!("To set a line of your own up in a browser, become the operator: {}", link.expose()));
    }
    story.note("You may ask for opening hours, your balance, or an agent; keys 1, 2, 0 and 9 work too. Ctrl-C ends.");
    Ok(signals::serve(&set.server, &mut signals, Patience::None).await?)
}

/// Starts the stand-in and the server.
async fn set_up(folder: &Path, story: &Story, options: &Options) -> anyhow::Result<Set> {
    let instance: InstanceArn = INSTANCE.parse()?;
    let key = AccessKey { id: "AKIADEMODEMODEMODEMO".to_owned(), secret: "demo-secret".to_owned() };
    let connect = StandIn::new(instance, key, true);
    let connect_at = connect.serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let script = folder.join("demo.yaml");
    std::fs::write(&script, SCRIPT)?;
    std::fs::write(folder.join("trunk.yaml"), TRUNK_SCRIPT)?;
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // `once` is for scripts and tests: any free port will do. Otherwise people are told the usual ones.
    let usual = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, if options.once { 0 } else { port }));
    let (sip, http_at) = (options.sip.unwrap_or(usual(5060)), options.http.unwrap_or(usual(8080)));
    let toml = TEMPLATE
        .replace("{sip}", &sip.to_string())
        .replace("{http}", &http_at.to_string())
        .replace("{connect}", &format!("http://{connect_at}"))
        .replace("{silent}", &silent.local_addr()?.to_string())
        .replace("{instance}", INSTANCE);
    let path = folder.join("demo.toml");
    std::fs::write(&path, &toml)?;
    let reading = Reading::of(&toml, &path)?;
    let prepared = tokio::task::spawn_blocking(move || wiring::prepare(reading)).await??;
    let pages = prepared.config.http.clone();
    let page = http::bind("--http", pages.listen)?;
    let metrics = http::install_metrics()?;
    let server = Arc::new(Server::start(prepared, Some(Arc::new(story.clone())), metrics.clone()).await?);
    let page = http::Pages { listener: page, tls: None, with_metrics: true };
    // Pages have to know where browsers reach them, which any free port does not tell.
    let console = (pages.listen.port() != 0).then(|| Console::of(&server, &pages)).transpose()?;
    if console.is_some() {
        actix_rt::spawn(wiring::follow_store(Arc::clone(&server)));
    }
    let (http, _) = http::serve(page, None, Shared { server: Arc::clone(&server), metrics, console })?;
    let sip = server.sip.iter().find(|listen| listen.protocol == Protocol::Tcp).context("TCP is configured")?.address;
    story.note(&format!("server up: SIP {sip}, HTTP {http}, stand-in for Amazon Connect {connect_at}"));
    connect.agents_page_at(&public_url(http));
    story.play_at(connect.clone());
    Ok(Set { connect, sip, http, server, _silent: silent })
}

/// How the agent reaches the page.
fn public_url(http: SocketAddr) -> String {
    format!("http://{http}")
}

/// Places the call and tells what came of it; true if the agent's queue has the caller and the page the conversation.
async fn one_call(set: &Set, folder: &Path, story: &Story) -> anyhow::Result<bool> {
    let contact = format!("{:016x}-demo", rand::random::<u64>());
    let stop = set.connect.contact_arrives(&contact, CALLER, DIALLED)?;
    let Stop::Transferring { user_to_user } = stop else { bail!("the flow did not transfer: {stop:?}") };
    story.title("The call");
    // Another voice than the assistant's.
    let voice = Flite::open()?.voice("rms")?;
    let plan = CallPlan {
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        security: Security::Off,
        certificate: None,
        server_name: "localhost".to_owned(),
        server: set.sip,
        transport: Transport::Tcp,
        dialled: DIALLED.to_owned(),
        caller: CALLER.to_owned(),
        headers: set.connect.headers(&contact, &user_to_user),
        lines: vec![
            say(&voice, "what are your opening hours").await?,
            say(&voice, "purple elephants dance on the moon").await?,
            say(&voice, "what is my account balance").await?,
            Line::Press("4711".to_owned()),
            say(&voice, "I want to speak to an agent").await?,
        ],
        conditions: Conditions::default(),
        limit: Duration::from_secs(120),
    };
    story.restart();
    let report = caller::place(plan, |at, event| story.event(at, event)).await?;
    let outcome = match report.ended {
        Ended::ByGateway(_) | Ended::ByCaller => TransferOutcome::Success,
        Ended::Refused(_) => TransferOutcome::CallFailed,
        Ended::TimedOut => TransferOutcome::Timeout,
    };
    let branch = set.connect.call_over(&contact, outcome)?;
    tell_result(set, folder, story, &contact, &branch, &report)
}

fn tell_result(
    set: &Set,
    folder: &Path,
    story: &Story,
    contact: &str,
    branch: &Stop,
    report: &CallReport,
) -> anyhow::Result<bool> {
    story.title("What Amazon Connect received");
    let attributes = set.connect.attributes(contact);
    for (name, value) in &attributes {
        story.note(&format!("{name} = {value}"));
    }
    story.note(&format!("the contact flow went: {}", set.connect.path(contact).join(" → ")));
    match branch {
        Stop::Queued { .. } => story.note("the caller is in the agents' queue"),
        Stop::Disconnected => story.note("the caller was disconnected"),
        Stop::Transferring { .. } => story.note("the flow is still transferring"),
    }
    let wav = folder.join("call.wav");
    report.write_wav(&wav)?;
    story.note(&format!("the call's audio: {} (caller left, assistant right)", wav.display()));
    if attributes.get("SessionHistoryKey").is_none_or(String::is_empty) {
        story.note("there is no SessionHistoryKey: no conversation to show");
        return Ok(false);
    }
    // What the agent's softphone opens, as the flow says.
    let address = screen_pop(&attributes).context("the flow names no page for the agent")?;
    story.note(&format!("the agent's page: {address}"));
    let path = address.strip_prefix(&public_url(set.http)).context("the page is not ours")?;
    let page = fetch(set.http, path)?;
    let shows = page.starts_with("HTTP/1.1 200") && page.contains("I want to speak to an agent");
    story.note(if shows { "the page shows the conversation" } else { "the page does not show the conversation" });
    Ok(shows && matches!(branch, Stop::Queued { .. }))
}

async fn say(voice: &impl Synthesizer, words: &str) -> anyhow::Result<Line> {
    let speech = voice.synthesize(SpeechRequest::plain(words, 8000)).await?;
    let samples = resample::clip(&line_audio::linear(&speech.samples), speech.sample_rate, SAMPLE_RATE);
    Ok(Line::Say { words: words.to_owned(), samples })
}

/// A page of our own server, as a browser would get it; the server's worker is another thread.
fn fetch(address: SocketAddr, path: &str) -> std::io::Result<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}
