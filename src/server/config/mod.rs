//! The configuration: one TOML file, read completely before anything starts.
//!
//! Invariant: a [`Config`] is right in itself; every mistake of the file is told at once, with its key and what to do.

mod conversation;
mod reader;
mod records;
mod services;
mod sip;
mod warnings;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellhop_actors::call::leg::Silence;
use bellhop_actors::reception::Drill;
use bellhop_actors::services::{Codec, MediaPolicy, Security};
use bellhop_connect::InstanceArn;
use bellhop_dialogue::turn_loop::Policy;
use bellhop_tenancy::quota::Quota;
use bellhop_tenancy::tenant::{FailureBeforeAnswer, OnTransferFailure, Ringing};
use bellhop_tenancy::{Number, Secret};

use reader::{Gathered, Section, drill};
pub use reader::{Mistake, Mistakes};
pub use records::{Records, RecordsWebhook};
pub use services::{AmazonService, AssistantKind, RecognizerKind, SynthesizerKind, WatsonCredentials, WatsonService};
use services::{read_assistants, read_recognizers, read_synthesizers};
pub use sip::{Sip, Tls};

/// Everything the file says.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[sip]`
    pub sip: Sip,
    /// `[media]`
    pub media: Media,
    /// `[http]`
    pub http: Http,
    /// `[storage]`
    pub storage: Storage,
    /// `[sounds]`
    pub sounds: Sounds,
    /// `[[tenants]]`
    pub tenants: Vec<Tenant>,
    /// `[drill]`: a failure to rehearse.
    pub drill: Option<Drill>,
}

/// `[media]`
#[derive(Debug, Clone)]
pub struct Media {
    /// `ports`: first and last.
    pub ports: (u16, u16),
    /// `advertise`
    pub advertise: Option<IpAddr>,
    /// `bind`
    pub bind: IpAddr,
    /// `shards`
    pub shards: usize,
}

/// `[http]`
#[derive(Debug, Clone)]
pub struct Http {
    /// `listen`
    pub listen: SocketAddr,
    /// `public_url`, without a slash at its end.
    pub public_url: String,
}

/// `[sounds]`
#[derive(Debug, Clone)]
pub struct Sounds {
    /// `private_networks`: whether assistants may name sounds there.
    pub private_networks: bool,
}

/// `[storage]`
#[derive(Debug, Clone)]
pub struct Storage {
    /// `url`
    pub url: String,
    /// `history_hours`
    pub time_to_live: Duration,
}

/// One of `[[tenants]]`
#[derive(Debug, Clone)]
pub struct Tenant {
    /// What the engine needs to know of it.
    pub tenant: bellhop_tenancy::Tenant,
    /// `[tenants.media]`
    pub media: MediaPolicy,
    /// `[tenants.recording]`: `folder`, relative to the file.
    pub recordings: Option<PathBuf>,
    /// `[tenants.recording]`: `keep_days`; none for ever.
    pub keep_recordings: Option<Duration>,
    /// `[tenants.records]`
    pub records: Records,
    /// `[tenants.conversation]`
    pub conversation: Policy,
    /// `[tenants.sip]`: `invite_headers`
    pub invite_headers: Arc<[String]>,
    /// `[tenants.connect]`; none where calls come from elsewhere.
    pub connect: Option<Connect>,
    /// `[tenants.assistant]` and those that take over from it, in order.
    pub assistant: Vec<AssistantKind>,
    /// `[tenants.speech_to_text]`, the same.
    pub speech_to_text: Vec<RecognizerKind>,
    /// `[tenants.text_to_speech]`, the same.
    pub text_to_speech: Vec<SynthesizerKind>,
}

/// `[tenants.connect]`
#[derive(Debug, Clone)]
pub struct Connect {
    /// `instance_arn`
    pub instance: InstanceArn,
    /// `access_key_id`
    pub access_key_id: Secret,
    /// `secret_access_key`
    pub secret_access_key: Secret,
    /// `endpoint_url`
    pub endpoint_url: Option<String>,
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Mistakes> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) => Err(Mistakes::one(path, "", format!("the file cannot be read: {error}"))),
        }
    }

    /// Reads a text; `path` is named in mistakes, and relative paths start at its folder.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Mistakes> {
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => return Err(Mistakes::one(path, "", format!("not TOML: {error}"))),
        };
        let mistakes = Gathered::in_file(path);
        let root = Section::root(&table, &mistakes);
        let config = Self {
            sip: sip::read_sip(&root.section("sip"), path),
            media: read_media(&root.section("media")),
            http: read_http(&root.section("http")),
            storage: read_storage(&root.section("storage")),
            sounds: read_sounds(&root.section("sounds")),
            tenants: root.sections("tenants").iter().map(|section| read_tenant(section, path)).collect(),
            drill: root.optional_section("drill").and_then(|section| drill(&section)),
        };
        if config.tenants.is_empty() {
            root.mistake("tenants", "there is no tenant: add a [[tenants]] section");
        }
        for (n, Tenant { tenant, .. }) in config.tenants.iter().enumerate() {
            let others = || config.tenants[..n].iter().map(|other| &other.tenant);
            if others().any(|other| other.name == tenant.name) {
                let why = format!("`{}` is the name of another tenant too", tenant.name);
                root.mistake(&format!("tenants[{n}].name"), &why);
            }
            for number in &tenant.numbers {
                if let Some(owner) = others().find(|other| other.numbers.contains(number)) {
                    let why = format!("{} belongs to tenant `{}` already", number.e164(), owner.name);
                    root.mistake(&format!("tenants[{n}].numbers"), &why);
                }
            }
        }
        root.finish();
        mistakes.into_result(config)
    }
}

const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

fn read_media(section: &Section<'_>) -> Media {
    let text = section.text("ports").unwrap_or_else(|| "20000-29999".to_owned());
    let ports =
        text.split_once('-').and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?)));
    let ports = ports.filter(|(first, last): &(u16, u16)| *first >= 1024 && first < last);
    if ports.is_none() {
        section.mistake("ports", &format!("`{text}` is not a range like \"20000-29999\" above 1023"));
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let media = Media {
        ports: ports.unwrap_or((20_000, 29_999)),
        advertise: section.parsed("advertise", "an IP address like \"203.0.113.7\""),
        bind: section.parsed("bind", "an IP address like \"0.0.0.0\"").unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        shards: section.number("shards", 1..=256).unwrap_or(cores),
    };
    section.finish();
    media
}

fn read_http(section: &Section<'_>) -> Http {
    let listen: Option<SocketAddr> = section.parsed("listen", "an address like \"127.0.0.1:8080\"");
    let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
    let public_url = section.text("public_url").unwrap_or_else(|| format!("http://{listen}"));
    if !public_url.starts_with("http://") && !public_url.starts_with("https://") {
        section.mistake("public_url", &format!("`{public_url}` does not begin with http:// or https://"));
    }
    section.finish();
    Http { listen, public_url: public_url.trim_end_matches('/').to_owned() }
}

fn read_storage(section: &Section<'_>) -> Storage {
    let url = section.text("url").unwrap_or_else(|| "sqlite://bellhop.db".to_owned());
    if !url.starts_with("sqlite:") {
        section.mistake("url", &format!("`{url}` does not begin with sqlite:"));
    }
    let hours = section.number("history_hours", 1..=24 * 365).unwrap_or(24) as u64;
    section.finish();
    Storage { url, time_to_live: Duration::from_secs(hours * 3600) }
}

fn read_sounds(section: &Section<'_>) -> Sounds {
    let sounds = Sounds { private_networks: section.flag("private_networks").unwrap_or(false) };
    section.finish();
    sounds
}

fn read_tenant(section: &Section<'_>, path: &Path) -> Tenant {
    let name = section.required_text("name");
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') || name.len() > 64 {
        section.mistake("name", "must be of letters, digits, - and _, at most 64");
    }
    let numbers: Vec<Number> = section
        .texts("numbers")
        .unwrap_or_default()
        .iter()
        .filter_map(|text| Number::parse(text).map_err(|error| section.mistake("numbers", &error.to_string())).ok())
        .collect();
    if numbers.is_empty() {
        section.mistake("numbers", "there is none: list the numbers callers dial, like [\"+18005550123\"]");
    }
    let sip = sip::read_tenant_sip(&section.section("sip"));
    let language = section.text("language").unwrap_or_else(|| "en-US".to_owned());
    let tenant = bellhop_tenancy::Tenant {
        name,
        numbers,
        calls: Quota::new(section.number("max_calls", 1..=100_000).unwrap_or(100)),
        ringing: if section.flag("ring_while_connecting").unwrap_or(true) { Ringing::On } else { Ringing::Off },
        before_answer: match section.choice("on_setup_failure", &["answer_then_bye", "service_unavailable"]) {
            Some(1) => FailureBeforeAnswer::ServiceUnavailable,
            _ => FailureBeforeAnswer::AnswerThenBye,
        },
        on_transfer_failure: match section.flag("disconnect_on_transfer_failure") {
            Some(false) => OnTransferFailure::Continue,
            Some(true) | None => OnTransferFailure::Disconnect,
        },
        hold: sip.hold,
        transfer_failure_message: sip.transfer_failure_message,
        // Where a contact flow takes over, it knows better.
        failover: section.optional_section("connect").is_none().then_some(sip.failover),
        login: sip.login,
        sources: sip.sources,
        transfer_targets: sip.transfer_targets,
        server_name: sip.server_name,
        contact_id_header: section.text("contact_id_header"),
        frame_ancestors: section.texts("frame_ancestors").unwrap_or_default(),
        language,
    };
    let recording = section.optional_section("recording").map(|section| {
        let folder = section.required_text("folder");
        let days = section.number("keep_days", 1..=3650).map(|days| Duration::from_secs(days as u64 * 24 * 3600));
        section.finish();
        (folder, days)
    });
    let speech_to_text = read_recognizers(&section.section("speech_to_text"));
    let settings = Tenant {
        conversation: conversation::read(
            &section.section("conversation"),
            matches!(speech_to_text[0], RecognizerKind::Pocketsphinx),
        ),
        records: records::read(&section.section("records")),
        invite_headers: sip.invite_headers.into(),
        recordings: recording.as_ref().map(|(folder, _)| path.parent().unwrap_or(Path::new(".")).join(folder)),
        keep_recordings: recording.and_then(|(_, keep)| keep),
        media: read_media_policy(&section.section("media")),
        connect: section.optional_section("connect").map(|section| read_connect(&section)),
        assistant: read_assistants(&section.section("assistant"), path),
        speech_to_text,
        text_to_speech: read_synthesizers(&section.section("text_to_speech"), &tenant.language),
        tenant,
    };
    let tenant = &settings.tenant;
    if !is_english(&tenant.language) {
        if settings.speech_to_text.iter().any(|kind| matches!(kind, RecognizerKind::Pocketsphinx)) {
            section.mistake("speech_to_text.kind", "pocketsphinx understands English alone");
        }
        if settings.text_to_speech.iter().any(|kind| matches!(kind, SynthesizerKind::Flite { .. })) {
            section.mistake("text_to_speech.kind", "flite speaks English alone: use espeak");
        }
    }
    for origin in &tenant.frame_ancestors {
        if origin.contains([';', ',', ' ', '\n', '"']) {
            section.mistake(
                "frame_ancestors",
                &format!("`{origin}` is not an origin like \"https://acme.my.connect.aws\""),
            );
        }
    }
    section.finish();
    settings
}

fn read_media_policy(section: &Section<'_>) -> MediaPolicy {
    let default = MediaPolicy::default();
    let named = |text: &String| {
        let codec = Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(text));
        if codec.is_none() {
            section.mistake("codecs", &format!("`{text}` is none of pcmu, pcma, g722, opus"));
        }
        codec
    };
    let codecs: Option<Vec<Codec>> = section.texts("codecs").map(|texts| texts.iter().filter_map(named).collect());
    if codecs.as_ref().is_some_and(Vec::is_empty) {
        section.mistake("codecs", "there is none: list some of pcmu, pcma, g722, opus, the preferred one first");
    }
    let policy = MediaPolicy {
        codecs: codecs.map_or(default.codecs, Into::into),
        security: match section.choice("srtp", &["off", "preferred", "required"]) {
            Some(0) => Security::Off,
            Some(2) => Security::Required,
            _ => Security::Preferred,
        },
        silence: match section.flag("suppress_silence") {
            Some(true) => Silence::Suppressed,
            Some(false) | None => Silence::Sent,
        },
        timeout: Duration::from_secs(section.number("timeout_seconds", 5..=86_400).unwrap_or(60) as u64),
    };
    section.finish();
    policy
}

fn read_connect(section: &Section<'_>) -> Connect {
    let arn = section.required_text("instance_arn");
    let instance = arn.parse().unwrap_or_else(|error: bellhop_connect::arn::MalformedArn| {
        if !arn.is_empty() {
            section.mistake("instance_arn", &error.to_string());
        }
        "arn:aws:connect:us-east-1:000000000000:instance/none".parse().expect("a well-formed ARN")
    });
    let connect = Connect {
        instance,
        access_key_id: section.secret("access_key_id"),
        secret_access_key: section.secret("secret_access_key"),
        endpoint_url: section.text("endpoint_url"),
    };
    if connect.endpoint_url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        section.mistake("endpoint_url", "does not begin with http:// or https://");
    }
    section.finish();
    connect
}

fn is_english(language: &str) -> bool {
    language.split('-').next().is_some_and(|primary| primary.eq_ignore_ascii_case("en"))
}

impl Config {
    /// The address session descriptions name: configured, or where media is bound, or this machine's own.
    pub fn media_address(&self) -> IpAddr {
        let configured = self.media.advertise.or(self.sip.advertise);
        configured.unwrap_or_else(|| if self.media.bind.is_unspecified() { own_address() } else { self.media.bind })
    }
}

/// The address this machine sends from by default; no packet is sent to find out.
fn own_address() -> IpAddr {
    let probe = std::net::UdpSocket::bind(NOWHERE).and_then(|socket| {
        socket.connect(SocketAddr::from(([192, 0, 2, 1], 9)))?;
        socket.local_addr()
    });
    probe.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellhop_tenancy::transfer_targets::TransferTargets;

    fn read(text: &str) -> Result<Config, Vec<String>> {
        Config::parse(text, Path::new("b.toml")).map_err(|m| m.list().iter().map(ToString::to_string).collect())
    }

    const GOOD: &str = r#"
[[tenants]]
name = "acme"
numbers = ["+18005550123"]
[tenants.connect]
instance_arn = "arn:aws:connect:eu-west-2:111122223333:instance/abc"
access_key_id = "AKIA"
secret_access_key = "secret"
[tenants.assistant]
kind = "scripted"
script = "demo.yaml"
[tenants.speech_to_text]
kind = "pocketsphinx"
[tenants.text_to_speech]
kind = "flite"
voice = "slt"
"#;

    #[test]
    fn the_least_file_has_sensible_defaults() {
        let config = read(GOOD).expect("good");
        let quota = &config.tenants[0].tenant.calls;
        let calls: Vec<_> = std::iter::from_fn(|| quota.acquire().ok()).take(1000).collect();
        assert_eq!((config.sip.listen.len(), config.media.ports, calls.len()), (3, (20_000, 29_999), 100));
        assert!(!format!("{config:?}").contains("AKIA") && !format!("{config:?}").contains("\"secret\""));
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let bad = GOOD
            .replace("+18005550123", "call me")
            .replace("instance/abc", "queue/abc")
            .replace(
                "[tenants.connect]",
                "[tenants.conversation]\nredact = [\"(\"]\nconfidence_threshold = 7\n[tenants.connect]",
            )
            .replace("kind = \"flite\"", "kind = \"siri\"")
            .replace("secret_access_key = \"secret\"", "secret_access_key = \"env:BELLHOP_NO_SUCH_VARIABLE\"")
            + "speed = 3\n[sip]\nlisten = [\"udp:nowhere\"]\nmax_calls = 0\n[media]\nports = \"9-3\"\n[nonsense]\n";
        let mistakes = read(&bad).expect_err("bad");
        for key in [
            "tenants[0].numbers",
            "tenants[0].connect.instance_arn",
            "tenants[0].conversation.redact",
            "tenants[0].conversation.confidence_threshold",
            "tenants[0].connect.secret_access_key",
            "tenants[0].text_to_speech.kind",
            "tenants[0].text_to_speech.speed",
            "sip.listen",
            "sip.max_calls",
            "media.ports",
            "nonsense",
        ] {
            assert!(mistakes.iter().any(|m| m.starts_with(&format!("b.toml: {key}: "))), "{key} in {mistakes:#?}");
        }
    }

    #[test]
    fn sip_is_read_with_networks_tls_and_logins() {
        let more = GOOD.replace("[tenants.connect]", "[tenants.sip]\nuser = \"trunk\"\npassword = \"pw\"\nsources = [\"192.0.2.0/24\", \"2001:db8::1\"]\nhold_on_transfer = false\n[tenants.connect]")
            + "[sip]\nlisten = [\"tcp+tls:0.0.0.0:5061 from 192.0.2.0/24, 198.51.100.7\"]\n[sip.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n";
        let config = read(&more).expect("good");
        assert_eq!(config.sip.listen[0].sources.len(), 2);
        assert_eq!(config.sip.tls.as_ref().map(|tls| tls.key.clone()), Some("k.pem".into()));
        let tenant = &config.tenants[0].tenant;
        assert_eq!((tenant.sources.len(), tenant.login.as_ref().map(|l| l.realm.as_str())), (2, Some("bellhop")));
        assert_eq!(tenant.failover, None, "the contact flow takes over");
        let without = more.replace("[sip.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n", "");
        assert!(read(&without).expect_err("no certificate")[0].starts_with("b.toml: sip.listen: TLS"));
    }

    #[test]
    fn a_connect_tenant_that_anybody_can_call_is_told() {
        let listening = |from: &str| format!("{GOOD}[sip]\nlisten = [\"udp:0.0.0.0:5060{from}\"]\n");
        let sources = |list: &str| {
            listening("").replace("[tenants.connect]", &format!("[tenants.sip]\nsources = [{list}]\n[tenants.connect]"))
        };
        let login = listening("")
            .replace("[tenants.connect]", "[tenants.sip]\nuser = \"a\"\npassword = \"b\"\n[tenants.connect]");
        for (text, warned) in [
            (listening(""), true),
            (listening(" from 0.0.0.0/0"), true),
            (listening(" from 192.0.2.0/24"), false),
            (listening(" from aws-chime-voice-connector:eu-west-2, 192.0.2.7"), false),
            (sources("\"0.0.0.0/1\", \"128.0.0.0/1\""), true),
            (sources("\"aws-chime-voice-connector\""), false),
            (login, false),
        ] {
            let warnings = read(&text).expect("good").warnings();
            assert_eq!(warnings.len(), usize::from(warned), "{text}: {warnings:?}");
            assert!(warnings.iter().all(|warning| warning.contains("`acme`") && warning.contains("sip.sources")));
        }
        for bad in [" from ", " from aws-chime-voice-connector:mars-1"] {
            let mistakes = read(&listening(bad)).expect_err("nobody is named");
            assert!(mistakes[0].starts_with("b.toml: sip.listen: "), "{mistakes:?}");
        }
    }

    #[test]
    fn transfer_targets_are_hosts_numbers_or_anywhere() {
        let with = |list: &str| {
            GOOD.replace("[tenants.connect]", &format!("[tenants.sip]\ntransfer_targets = {list}\n[tenants.connect]"))
        };
        let targets = |list: &str| read(&with(list)).expect("good").tenants[0].tenant.transfer_targets.clone();
        assert_eq!(targets("[\"anywhere\"]"), TransferTargets::Anywhere);
        assert_ne!(targets("[\"pbx.example.com\", \"+4420\"]"), TransferTargets::default());
        assert_eq!(read(GOOD).expect("good").tenants[0].tenant.transfer_targets, TransferTargets::default());
        let mistakes = read(&with("[\"sip:desk@pbx\"]")).expect_err("a URI is no host");
        assert!(mistakes[0].starts_with("b.toml: tenants[0].sip.transfer_targets: "), "{mistakes:?}");
    }

    #[test]
    fn a_tenant_without_amazon_connect_fails_over_by_sip() {
        let (head, tail) = GOOD.split_once("[tenants.connect]").expect("a section");
        let (_, tail) = tail.split_once("[tenants.assistant]").expect("a section");
        let text = format!(
            "{head}[tenants.sip]\nfailure_target = \"sip:desk@pbx\"\nfailure_message = \"\"\n[tenants.assistant]{tail}"
        );
        let failover = read(&text).expect("good").tenants[0].tenant.failover.clone().expect("it has a way out");
        assert_eq!((failover.target.as_deref(), failover.message), (Some("sip:desk@pbx"), None));
        let bad = read(&text.replace("sip:desk@pbx", "desk")).expect_err("no URI");
        assert!(bad[0].contains("failure_target"), "{bad:?}");
    }

    #[test]
    fn another_language_needs_engines_that_know_it() {
        let german = GOOD.replace("name = \"acme\"", "name = \"acme\"\nlanguage = \"de-DE\"");
        let mistakes = read(&german).expect_err("English engines");
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        let spoken = german
            .replace("kind = \"pocketsphinx\"", "kind = \"counting\"")
            .replace("kind = \"flite\"\nvoice = \"slt\"", "kind = \"espeak\"");
        let config = read(&spoken).expect("good");
        assert!(matches!(&config.tenants[0].text_to_speech[0], SynthesizerKind::Espeak { voice } if voice == "de"));
    }

    #[test]
    fn services_of_watson_and_webhooks_are_read_with_their_secrets() {
        let (head, _) = GOOD.split_once("[tenants.assistant]").expect("a section");
        let text = format!(
            "{head}[tenants.assistant]\nkind = \"watson\"\nurl = \"https://a\"\napi_key = \"k3y\"\nassistant_id = \"1\"\n\
             [tenants.speech_to_text]\nkind = \"watson\"\nurl = \"https://s\"\ntoken = \"t0ken\"\n\
             parameters = {{ model = \"en-US_Telephony\", low_latency = true }}\n\
             [tenants.text_to_speech]\nkind = \"watson\"\nurl = \"https://t\"\napi_key = \"k3y\"\n\
             fallback = {{ kind = \"flite\", fallback = {{ kind = \"espeak\" }} }}\n"
        );
        let config = read(&text).expect("good");
        let tenant = &config.tenants[0];
        let RecognizerKind::Watson(speech) = &tenant.speech_to_text[0] else { panic!("Watson") };
        assert_eq!(speech.parameters["low_latency"], true);
        assert_eq!((tenant.text_to_speech.len(), tenant.assistant.len()), (3, 1));
        assert!(!tenant.conversation.notify_filtered, "it tells nothing of what it did not understand");
        assert!(!format!("{config:?}").contains("k3y") && !format!("{config:?}").contains("t0ken"));
        let webhook = "[tenants.assistant]\nkind = \"webhook\"\nurl = \"x\"\n[tenants.speech_to_text]\nkind = \"watson\"\nparameters = 3\n[tenants.text_to_speech]\nkind = \"flite\"\n";
        let mistakes = read(&format!("{head}{webhook}")).expect_err("bad");
        for key in [
            "assistant.url",
            "assistant.secret",
            "speech_to_text.url",
            "speech_to_text.api_key",
            "speech_to_text.parameters",
        ] {
            assert!(mistakes.iter().any(|m| m.contains(&format!("tenants[0].{key}: "))), "{key} in {mistakes:#?}");
        }
    }

    #[test]
    fn two_tenants_cannot_share_a_number() {
        let twice = GOOD.to_owned() + &GOOD.replace("acme", "other").replace("+18005550123", "1 800 555 0123");
        let mistakes = read(&twice).expect_err("bad");
        assert_eq!(mistakes, ["b.toml: tenants[1].numbers: +18005550123 belongs to tenant `acme` already"]);
    }
}
