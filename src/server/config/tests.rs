//! What `check` tells.

use super::*;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellhop_actors::services::Codec;
use bellhop_tenancy::integration::HistoryReaders;
use bellhop_tenancy::settings::{AssistantKind, BargeIn, ConnectCredentials, RecognizerKind, Script, SynthesizerKind};
use bellhop_tenancy::transfer_targets::TransferTargets;

use crate::wiring::{Targets, judge};

fn read(text: &str) -> Result<Config, Vec<String>> {
    parse(text, Path::new("b.toml")).map_err(|mistakes| mistakes.lines())
}

/// Reads a text as far as a file is judged before anything that it names is opened.
fn parse(text: &str, path: &Path) -> Result<Config, Mistakes> {
    let Reading { config, mut mistakes } = Reading::of(text, path)?;
    mistakes.extend(judge(&config));
    mistakes.or(config)
}

/// What the engine takes of the first tenant.
fn targets(config: &Config) -> Targets {
    let settings = &config.tenants[0].settings;
    let (conversation, _) = crate::policy::of(&settings.conversation);
    Targets::of(settings, Arc::new(settings.tenant()), conversation).0
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
    let quota = targets(&config).integration.tenant.calls.clone();
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
    for (key, at) in [
        ("tenants.acme.numbers", "4:12"),
        ("tenants.acme.connect.instance_arn", "9:16"),
        ("tenants.acme.conversation.redact", "6:11"),
        ("tenants.acme.conversation.confidence_threshold", "7:24"),
        ("tenants.acme.connect.secret_access_key", "11:21"),
        ("tenants.acme.text_to_speech.kind", "18:8"),
        ("sip.listen", "22:11"),
        ("sip.max_calls", "23:13"),
        ("media.ports", "25:9"),
        ("nonsense", "26:2"),
    ] {
        assert!(
            mistakes.iter().any(|m| m.starts_with(&format!("b.toml:{at}: {key}: "))),
            "{key} at {at} in {mistakes:#?}"
        );
    }
    assert_eq!(mistakes.len(), 10, "and nothing else: {mistakes:#?}");
}

#[test]
fn sip_is_read_with_networks_tls_and_logins() {
    let more = GOOD.replace("[tenants.connect]", "[tenants.sip]\nuser = \"trunk\"\npassword = \"pw\"\nsources = [\"192.0.2.0/24\", \"2001:db8::1\"]\nhold_on_transfer = false\n[tenants.connect]")
        + "[sip]\nlisten = [\"tcp+tls:0.0.0.0:5061 from 192.0.2.0/24, 198.51.100.7\"]\n[sip.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n";
    let config = read(&more).expect("good");
    assert_eq!(config.sip.listen[0].sources.len(), 2);
    assert_eq!(config.sip.tls.as_ref().map(|tls| tls.key.clone()), Some("k.pem".into()));
    let tenant = targets(&config).integration;
    assert_eq!((tenant.sources.len(), tenant.login.as_ref().map(|l| l.realm.as_str())), (2, Some("bellhop")));
    assert_eq!(tenant.failover, None, "the contact flow takes over");
    let without = more.replace("[sip.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n", "");
    assert!(read(&without).expect_err("no certificate")[0].contains(" sip.listen: TLS"));
}

#[test]
fn a_line_end_in_a_value_begins_no_line() {
    let forged = GOOD.replace("name = \"acme\"", "name = \"a\\nforge.toml: good: 1 tenants\\nx\"");
    let mistakes = read(&forged).expect_err("no name of a tenant");
    assert!(mistakes.iter().all(|line| !line.contains('\n')), "{mistakes:?}");
    assert!(mistakes.iter().any(|line| line.contains("forge.toml")), "it is shown, in its own line: {mistakes:?}");
}

#[test]
fn an_old_name_is_read_and_told() {
    let old = format!("{GOOD}[drill]\nchild = \"call\"\nphase = \"quieting\"\nfault = \"panic\"\n");
    let new = old.replace("[drill]", "[fault_injection]").replace("quieting", "quiescing");
    let (old, new) = (read(&old).expect("good"), read(&new).expect("good"));
    assert_eq!(old.fault_injection, new.fault_injection);
    let barge_in = |on: &str| format!("{GOOD}[tenants.conversation]\nbarge_in_on = \"{on}\"\n");
    let words = read(&barge_in("hypothesis")).expect("good");
    assert_eq!(words.tenants[0].settings.conversation.barge_in, BargeIn::InterimResult);
    assert!(words.warnings().iter().any(|told| told.contains("`hypothesis` is now called `interim_result`")));
    assert_eq!(
        old.warnings().into_iter().filter(|warning| !new.warnings().contains(warning)).collect::<Vec<_>>(),
        [
            "`[drill]` is now called `[fault_injection]`: the next release knows the new name alone",
            "drill.phase: `quieting` is now called `quiescing`: the next release knows the new name alone",
        ]
    );
}

#[test]
fn a_connect_tenant_that_anybody_can_call_is_told() {
    let listening = |from: &str| format!("{GOOD}[sip]\nlisten = [\"udp:0.0.0.0:5060{from}\"]\n");
    let sources = |list: &str| {
        listening("").replace("[tenants.connect]", &format!("[tenants.sip]\nsources = [{list}]\n[tenants.connect]"))
    };
    // A login counts over TLS alone.
    let login = (listening("").replace("5060\"]", "5060\", \"tls:0.0.0.0:5061\"]")
        + "[sip.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n")
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
        assert!(mistakes[0].contains(" sip.listen: "), "{mistakes:?}");
    }
}

#[test]
fn metrics_that_everybody_may_read_are_warned_of() {
    for (listen, warned) in [
        ("127.0.0.1:9090", false),
        ("10.1.2.3:9090", false),
        ("[fd00::1]:9090", false),
        ("0.0.0.0:9090", true),
        ("203.0.113.7:9090", true),
        ("[::]:9090", true),
    ] {
        let warnings = read(&format!("[operations]\nlisten = \"{listen}\"\n{GOOD}")).expect("good").warnings();
        assert_eq!(warnings.iter().any(|told| told.starts_with("operations.listen: ")), warned, "{listen}");
    }
}

#[test]
fn transfer_targets_are_hosts_numbers_or_anywhere() {
    let with = |list: &str| {
        GOOD.replace("[tenants.connect]", &format!("[tenants.sip]\ntransfer_targets = {list}\n[tenants.connect]"))
    };
    let allowed = |text: &str| targets(&read(text).expect("good")).integration.transfer_targets;
    assert_eq!(allowed(&with("[\"anywhere\"]")), TransferTargets::Anywhere);
    assert_ne!(allowed(&with("[\"pbx.example.com\", \"+4420\"]")), TransferTargets::default());
    assert_eq!(allowed(GOOD), TransferTargets::default());
    let mistakes = read(&with("[\"sip:desk@pbx\"]")).expect_err("a URI is no host");
    assert!(mistakes[0].contains("tenants.acme.sip.transfer_targets: "), "{mistakes:?}");
}

#[test]
fn a_tenant_without_amazon_connect_fails_over_by_sip() {
    let (head, tail) = GOOD.split_once("[tenants.connect]").expect("a section");
    let (_, tail) = tail.split_once("[tenants.assistant]").expect("a section");
    let text = format!(
        "{head}[tenants.sip]\nfailure_target = \"sip:desk@pbx\"\nfailure_message = \"\"\n[tenants.assistant]{tail}"
    );
    let failover = targets(&read(&text).expect("good")).integration.failover.expect("it has a failover");
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
    assert!(
        matches!(&config.tenants[0].settings.text_to_speech[0].kind, SynthesizerKind::Espeak { voice } if voice == "de")
    );
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
    let tenant = &config.tenants[0].settings;
    let RecognizerKind::Watson(speech) = &tenant.speech_to_text[0].kind else { panic!("Watson") };
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
        assert!(mistakes.iter().any(|m| m.contains(&format!("tenants.acme.{key}: "))), "{key} in {mistakes:#?}");
    }
}

#[test]
fn two_tenants_cannot_share_a_number() {
    let twice = GOOD.to_owned() + &GOOD.replace("acme", "other").replace("+18005550123", "1 800 555 0123");
    let mistakes = read(&twice).expect_err("bad");
    assert_eq!(mistakes, ["b.toml:20:11: tenants.other.numbers: +18005550123 belongs to tenant `acme` already"]);
}

/// A change of the good file, and the one mistake it makes.
fn one_mistake(change: &[(&str, &str)], more: &str) -> String {
    let mut text = GOOD.to_owned();
    for (from, to) in change {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let mistakes = read(&(text + more)).expect_err(&format!("{change:?} {more}"));
    assert_eq!(mistakes.len(), 1, "one mistake, one line: {mistakes:#?}");
    mistakes.into_iter().next().unwrap_or_default()
}

#[test]
fn a_misspelt_word_is_told_once_with_what_was_meant() {
    for (from, to, told) in [
        ("numbers =", "numbrs =", "b.toml:4:1: tenants.acme.numbrs: is not a known key: did you mean `numbers`?"),
        ("script =", "scrpt =", "tenants.acme.assistant.scrpt: is not a known key: did you mean `script`?"),
        ("\nkind = \"scripted\"", "\nknid = \"scripted\"", "assistant.knid: is not a known key: did you mean `kind`?"),
        (
            "kind = \"flite\"",
            "kind = \"flit\"",
            "`flit` is none of flite, espeak, watson, polly: did you mean `flite`?",
        ),
        (
            "[tenants.assistant]",
            "[tenants.asistant]",
            "tenants.acme.asistant: is not a known key: did you mean `assistant`?",
        ),
        ("[[tenants]]", "[[tennants]]", "tennants: is not a known key: did you mean `tenants`?"),
        ("voice =", "voise =", "did you mean `voice`?"),
    ] {
        // What stands below a misspelt [[tennants]] belongs to nobody.
        let change = if from == "[[tenants]]" {
            let text = GOOD.replace("[[tenants]]", to).replace("[tenants.", "[tennants.");
            read(&text).expect_err("bad").join("\n")
        } else {
            one_mistake(&[(from, to)], "")
        };
        assert!(change.contains(told) && !change.contains('\n'), "{change}");
    }
}

#[test]
fn an_empty_required_value_is_a_mistake_everywhere() {
    let own = tempfile::tempdir().expect("a folder");
    let folder = own.path();
    for (name, text) in [("empty", ""), ("blank", " \n\t\n"), ("mark", "\u{feff}\n"), ("two", "one\ntwo\n")] {
        std::fs::write(folder.join(name), text).expect("written");
    }
    let file = |name: &str| format!("\"file:{}\"", folder.join(name).display());
    let arn = "\"arn:aws:connect:eu-west-2:111122223333:instance/abc\"";
    for (key, value, told) in [
        ("instance_arn", "\"\"".to_owned(), "is empty, and it is required"),
        ("instance_arn", "\"  \"".to_owned(), "is empty, and it is required"),
        ("access_key_id", "\"\"".to_owned(), "is empty, and it is required"),
        ("secret_access_key", "\"\\t\"".to_owned(), "is empty, and it is required"),
        ("secret_access_key", file("empty"), "is empty"),
        ("secret_access_key", file("blank"), "is empty"),
        ("secret_access_key", file("mark"), "is empty"),
        ("secret_access_key", file("two"), "is more than one line of text"),
        ("secret_access_key", file("missing"), "is not there"),
        ("secret_access_key", file("."), "is a folder where a file is expected"),
        ("secret_access_key", "\"file:\"".to_owned(), "names nothing"),
        ("secret_access_key", "\"env: \"".to_owned(), "names nothing"),
        ("secret_access_key", "\"env:BELLHOP_NO_SUCH\"".to_owned(), "is not set in the environment"),
    ] {
        let old = match key {
            "instance_arn" => arn,
            "access_key_id" => "\"AKIA\"",
            _ => "\"secret\"",
        };
        let why = one_mistake(&[(&format!("{key} = {old}"), &format!("{key} = {value}"))], "");
        assert!(why.contains(&format!("tenants.acme.connect.{key}: ")) && why.contains(told), "{why}");
    }
    for (from, to) in [
        ("name = \"acme\"", "name = \"\""),
        ("script = \"demo.yaml\"", "script = \"\""),
        ("kind = \"scripted\"\nscript = \"demo.yaml\"", "kind = \"webhook\"\nurl = \"https://a\"\nsecret = \"\""),
        ("kind = \"scripted\"\nscript = \"demo.yaml\"", "kind = \"webhook\"\nurl = \"\"\nsecret = \"s\""),
        ("kind = \"pocketsphinx\"", "kind = \"worker\"\nurl = \"ws://a\"\ntoken = \"\""),
        ("kind = \"pocketsphinx\"", "kind = \"watson\"\nurl = \"https://a\"\napi_key = \" \""),
        ("voice = \"slt\"", "voice = \"\""),
        ("[tenants.assistant]", "[tenants.recording]\nfolder = \"\"\n[tenants.assistant]"),
        ("[tenants.assistant]", "[tenants.records.webhook]\nurl = \"https://a\"\nsecret = \"\"\n[tenants.assistant]"),
        ("[tenants.assistant]", "[tenants.sip]\nserver_name = \"\"\n[tenants.assistant]"),
    ] {
        let why = one_mistake(&[(from, to)], "");
        assert!(why.contains("is empty"), "{why}");
    }
}

#[test]
fn a_secret_file_with_a_mark_and_a_line_end_is_its_text() {
    let own = tempfile::tempdir().expect("a folder");
    let folder = own.path();
    std::fs::write(folder.join("key"), "\u{feff}s3cret\r\n").expect("written");
    std::os::unix::fs::symlink("key", folder.join("link")).expect("a link");
    for reference in ["file:key", "file:link"] {
        let text = GOOD.replace("\"secret\"", &format!("\"{reference}\""));
        // A relative path starts at the file's folder, as every path does.
        let config = parse(&text, &folder.join("b.toml")).expect("good");
        let connect = config.tenants[0].settings.connect.as_ref().expect("there");
        let ConnectCredentials::Keys(key) = &connect.credentials else { panic!("{connect:?}") };
        assert_eq!(key.secret_access_key.expose(), "s3cret");
    }
}

/// A role takes the place of a key; who assumes it is the server, unless the tenant says otherwise.
#[test]
fn a_role_needs_a_key_that_assumes_it() {
    let keys = "access_key_id = \"AKIA\"\nsecret_access_key = \"secret\"";
    let role = "role_arn = \"arn:aws:iam::111122223333:role/bellhop\"\nexternal_id = \"bellhop-1\"";
    let whole = |role: &str, before: &str| format!("{before}{}", GOOD.replace(keys, role));
    let node = "[aws]\naccess_key_id = \"AKIAOURS\"\nsecret_access_key = \"ours\"\n";
    for good in [whole(role, node), whole(&format!("{role}\n{keys}"), "")] {
        let config = read(&good).expect("good");
        let connect = config.tenants[0].settings.connect.as_ref().expect("there");
        assert!(matches!(connect.credentials, ConnectCredentials::Role { .. }), "{connect:?}");
        assert!(!format!("{config:?}").contains("\"ours\""));
    }
    for (bad, told) in [
        (whole(role, ""), "connect.role_arn: a key must assume it: add aws.access_key_id"),
        (whole(role, "[aws]\nregion = \"eu-west-2\"\n"), "connect.role_arn: a key must assume it"),
        (whole(role, "[aws]\naccess_key_id = \"A\"\n"), "aws.secret_access_key: is missing"),
        (whole(role, &format!("{node}region = \"EU\"\n")), "aws.region: `EU` is not a Region"),
        (
            whole(&role.replace(":role/", ":user/"), node),
            "connect.role_arn: `arn:aws:iam::111122223333:user/bellhop` is not",
        ),
        (whole("role_arn = \"x\"", node), "connect.external_id: is missing"),
    ] {
        let lines = read(&bad).expect_err("bad");
        assert!(lines.iter().any(|line| line.contains(told)), "{told}: {lines:?}");
    }
}

#[test]
fn one_place_for_two_secrets_is_told() {
    let change =
        [("access_key_id = \"AKIA\"", "access_key_id = \"env:PATH\""), ("key = \"secret\"", "key = \"env:PATH\"")];
    assert!(one_mistake(&change, "").contains("connect.secret_access_key: names the same place as `access_key_id`"));
}

#[test]
fn what_cannot_serve_is_told_before_it_serves() {
    let tenant = |key: &str| format!("[tenants.assistant]\x00{key}\n[tenants.assistant]");
    let server = [
        (
            "[sip]\nlisten = [\"udp:0.0.0.0:5060\", \"udp:127.0.0.1:5060\"]\n",
            "sip.listen: udp:0.0.0.0:5060 and udp:127.0.0.1:5060 are one port",
        ),
        ("[sip]\nlisten = [\"tcp:[::]:5060\", \"tcp:0.0.0.0:5060\"]\n", "are one port"),
        ("[sip]\nlisten = []\n", "sip.listen: is an empty list"),
        ("[sip]\nlisten = [\"udp:0.0.0.0:5060 from \"]\n", "is not a network"),
        ("[sip]\nadvertise = \"0.0.0.0\"\n", "sip.advertise: 0.0.0.0 is no address that others can reach"),
        ("[http]\nlisten = \"127.0.0.1:5060\"\n", "http.listen: 127.0.0.1:5060 is a port of SIP: tcp:0.0.0.0:5060"),
        ("[metrics]\nlisten = \"127.0.0.1:5061\"\n", "metrics.listen: 127.0.0.1:5061 is a port of SIP"),
        (
            "[operations]\nlisten = \"127.0.0.1:9090\"\n[metrics]\nlisten = \"127.0.0.1:9091\"\n",
            "metrics.listen: is what operations.listen was called",
        ),
        ("[http]\nbehind = [\"10.0.0.0/8\", \"x\"]\n", "http.behind: `x` is not a network"),
        ("[http.openid_connect]\nclient_id = \"bellhop\"\n", "http.openid_connect.issuer: is missing"),
        (
            "[http.openid_connect]\nissuer = \"http://id.example\"\nclient_id = \"bellhop\"\n",
            "http.openid_connect.issuer: is not an URL like `https://id.example`",
        ),
        (
            "[http.openid_connect]\nissuer = \"https://id.example?a\"\nclient_id = \"bellhop\"\n",
            "http.openid_connect.issuer: is not an URL",
        ),
        ("[http.tls]\ncertificate = \"a.pem\"\n", "http.tls.key: is missing"),
        ("[metrics]\nlisten = \"0.0.0.0:8080\"\n", "metrics.listen: 0.0.0.0:8080 is the port of http.listen"),
        ("[media]\nports = \"5000-19999\"\n", "media.ports: 5000-19999 holds a port of SIP: udp:0.0.0.0:5060"),
        (
            "[media]\nports = \"20000-20099\"\n[sip]\nmax_calls = 51\n",
            "media.ports: 20000-20099 are 50 pairs, and sip.max_calls are 51",
        ),
        ("[media]\nports = \"20000-99999\"\n", "is not a range"),
        ("[media]\nports = \"20000-20000\"\n", "is not a range"),
        ("[sip]\nmax_calls = 99999999999999999999\n", "is not a whole number from 1 to 100000"),
        ("[sip]\nmax_calls = \"7\"\n", "is a text where a whole number"),
        (
            "[storage]\nurl = \"sqlite:///no/such/folder/b.db\"\n",
            "storage.url: the database's folder /no/such/folder is not there",
        ),
        ("[storage]\nurl = \"sqlite:///\"\n", "is a folder where a file is expected"),
        ("[storage]\nurl = \"mysql://me:hush@db/calls\"\n", "storage.url: does not begin with sqlite: or postgres:"),
        ("[storage]\nurl = \"postgres://me:hush@db\"\n", "storage.url: names no database"),
        ("[storage]\nurl = \"postgres://db/calls?sslmod=require\"\n", "`sslmod` is none of the options sslmode"),
        ("[storage]\nspool = \"b.spool\"\n", "storage.spool: belongs to a PostgreSQL database, which may be away"),
        (
            "[storage]\nurl = \"postgres://db/calls\"\nspool = \"/no/such/folder/b.spool\"\n",
            "storage.spool: the database's folder /no/such/folder is not there",
        ),
        ("[storage]\npassword = \"hush\"\n", "storage.password: belongs to a database that asks for one"),
        ("[operations]\nsocket = \"/no/such/folder/b.sock\"\n", "operations.socket: the folder /no/such/folder is not"),
        ("[operations]\nsocket = \"/tmp\"\n", "operations.socket: /tmp is a folder where a socket is expected"),
        ("[storage]\nurl = \"sqlite://b.db?mode=fast\"\n", "storage.url: unknown value \"fast\" for `mode`"),
        ("[storage]\nurl = \"sqlite://b.db?mode=ro\"\n", "storage.url: `mode=ro` lets nothing be written"),
        ("[storage]\nurl = \"sqlite://Cargo.toml\"\n", "storage.url: Cargo.toml is there, and is no SQLite database"),
        ("[media]\nports = \"40001-40002\"\n", "media.ports: `40001-40002` has no pair"),
        (
            "[media]\nbind = \"::1\"\nadvertise = \"192.0.2.1\"\n",
            "media.bind: ::1 takes nothing that is sent to 192.0.2.1",
        ),
        ("[sip]\nadvertise = \"2001:db8::1\"\n", "media.bind: 0.0.0.0 takes nothing that is sent to 2001:db8::1"),
        ("[media]\nbind = \"224.0.0.1\"\n", "media.bind: 224.0.0.1 is an address of many"),
        ("[sip]\nlisten = [\"udp:224.0.0.1:5060\"]\n", "224.0.0.1 is an address of many"),
        ("[http]\nlisten = \"255.255.255.255:8080\"\n", "http.listen: 255.255.255.255 is an address of many"),
        ("[sip]\n[sip.tls]\nkey = \"k.pem\"\n", "sip.tls.certificate: is missing"),
        ("[sip]\n[sip.tls]\ncertificate = \"\"\nkey = \"k.pem\"\n", "sip.tls.certificate: is empty"),
    ];
    for (more, told) in server {
        let why = one_mistake(&[], more);
        assert!(why.contains(told) && !why.contains("hush"), "{why}");
    }
    for (keys, told) in [
        ("[tenants.sip]\nuser = \"trunk\"\npassword = \"pw\"", "tenants.acme.sip.user: a login counts over TLS alone"),
        ("[tenants.media]\nsrtp = \"required\"", "tenants.acme.media.srtp: the keys of SRTP are taken over TLS alone"),
        ("[tenants.sip]\nfailure_target = \"sip:\"", "tenants.acme.sip.failure_target: `sip:` is not a URI"),
        ("[tenants.sip]\nfailure_target = \"sip:a@b.example;method=BYE\"", "makes another request of the transfer"),
        ("[tenants.sip]\nfailure_target = \"sip:a@b@c\"", "failure_target: `sip:a@b@c` is not a URI"),
        ("[tenants.sip]\nsources = []", "tenants.acme.sip.sources: is an empty list"),
        ("[tenants.sip]\nsources = [\"\"]", "an empty text is none"),
        ("[tenants.sip]\npassword = \"pw\"", "tenants.acme.sip.password: belongs to a `user`"),
        ("[tenants.media]\ncodecs = []", "codecs: is an empty list"),
        ("[tenants.conversation]\npost_response_timeout_ms = 0", "`0` is not a whole number from 100"),
        ("[tenants.media]\ntimeout_seconds = 0", "`0` is not a whole number from 5"),
    ] {
        let why = one_mistake(&[("[tenants.assistant]", &tenant(keys).replace("[tenants.assistant]\x00", ""))], "");
        assert!(why.contains(told), "{why}");
    }
    for (from, to, told) in [
        ("name = \"acme\"", "name = \"None\"", "name: `none` is what metrics call those"),
        ("name = \"acme\"", "name = \"a b\"", "must be of letters"),
        ("numbers = [\"+18005550123\"]", "numbers = []", "numbers: is an empty list"),
        (
            "numbers = [\"+18005550123\"]",
            "numbers = [\"+1 800 555 0123\", \"18005550123\"]",
            "+18005550123 is in the list twice",
        ),
        ("name = \"acme\"", "name = \"acme\"\nmax_calls = 0", "`0` is not a whole number"),
        ("name = \"acme\"", "name = \"acme\"\nlanguage = \"english\"", "is not a language tag"),
        ("name = \"acme\"", "name = \"acme\"\nframe_ancestors = [\"acme.my.connect.aws\"]", "is not an origin like"),
        ("name = \"acme\"", "name = \"acme\"\nframe_ancestors = [\"https://\"]", "is not an origin like"),
        ("name = \"acme\"", "name = \"acme\"\nframe_ancestors = [\"https://*\"]", "is not an origin like"),
        ("name = \"acme\"", "name = \"acme\"\nframe_ancestors = [\"https://*.com\"]", "is not an origin like"),
        (
            "name = \"acme\"",
            "name = \"acme\"\nframe_ancestors = [\"https://a.example:99999\"]",
            "is not an origin like",
        ),
        ("name = \"acme\"", "name = \"acme\"\nframe_ancestors = [\"https://a;script-src *\"]", "is not an origin like"),
        ("name = \"acme\"", "name = \"acme\"\ntime_zone = \"London, England\"", "is not a time zone like"),
        ("name = \"acme\"", "name = \"acme\"\ntime_zone = \"Europe/../London\"", "is not a time zone like"),
    ] {
        let why = one_mistake(&[(from, to)], "");
        assert!(why.contains(told), "{why}");
    }
}

#[test]
fn where_calls_are_not_counted_the_ports_count_them() {
    let config = read(&format!("{GOOD}[media]\nports = \"20000-20099\"\n")).expect("good");
    assert_eq!(config.sip.max_calls, 50);
    assert_eq!(targets(&config).media.codecs.first(), Codec::ALL.first());
}

#[test]
fn names_that_differ_in_case_alone_are_one_name() {
    let twice = GOOD.to_owned() + &GOOD.replace("acme", "ACME").replace("+18005550123", "+18005550124");
    let mistakes = read(&twice).expect_err("bad");
    assert_eq!(mistakes.len(), 1);
    assert!(
        mistakes[0].starts_with("b.toml:19:8: tenants.ACME.name: `acme` is the name of another tenant"),
        "{mistakes:?}"
    );
}

#[test]
fn a_tenant_of_many_is_told_by_its_name() {
    let mut text = String::new();
    for n in 0..20 {
        write!(text, "{}", GOOD.replace("acme", &format!("t{n}")).replace("0123", &format!("01{n:02}"))).expect("text");
    }
    let mistakes = read(&text.replacen("voice = \"slt\"", "voice = 3", 18)).expect_err("bad");
    assert_eq!(mistakes.len(), 18);
    assert_eq!(
        mistakes[17],
        "b.toml:288:9: tenants.t17.text_to_speech.voice: is a whole number where a text is expected"
    );
}

#[test]
fn a_file_with_a_byte_order_mark_and_crlf_is_a_file() {
    let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    assert!(read(&text).is_ok());
    let mistakes = read(&text.replace("\"flite\"", "\"siri\"")).expect_err("bad");
    assert!(mistakes[0].starts_with("b.toml:15:8: "), "{mistakes:?}");
    let first = read(&format!("\u{feff}speed = 1\r\n{}", GOOD.replace('\n', "\r\n"))).expect_err("bad");
    assert_eq!(first, ["b.toml:1:1: speed: is not a known key"]);
}

#[test]
fn what_is_no_toml_is_told_with_every_place_and_without_the_line() {
    let text = GOOD.replace("\"secret\"", "\"hush").replace("name = \"acme\"", "name = ");
    let mistakes = read(&text).expect_err("bad");
    assert!(mistakes.iter().any(|m| m.starts_with("b.toml:3:")), "{mistakes:?}");
    assert!(mistakes.iter().any(|m| m.starts_with("b.toml:8:")), "{mistakes:?}");
    assert!(!mistakes.concat().contains("hush"), "a line may hold a secret: {mistakes:?}");
    let twice = read(&GOOD.replace("voice = \"slt\"", "voice = \"slt\"\nvoice = \"awb\"")).expect_err("bad");
    assert!(twice[0].contains("duplicate key"), "{twice:?}");
}

#[test]
fn what_is_no_file_is_told_in_a_sentence() {
    let own = tempfile::tempdir().expect("a folder");
    let folder = own.path();
    let told = |path: &Path| Reading::of_file(path).expect_err("no file").to_string();
    assert!(told(folder).ends_with("the file is a folder where a file is expected"));
    assert!(told(&folder.join("nowhere.toml")).ends_with("the file is not there"));
    std::fs::write(folder.join("latin.toml"), b"# one\n# caf\xe9\n").expect("written");
    assert!(told(&folder.join("latin.toml")).ends_with("the file is not UTF-8 text (line 2)"));
    assert!(told(Path::new("/dev/zero")).contains("the file is larger than 16384 KiB"));
    std::os::unix::fs::symlink("loop", folder.join("loop")).expect("a link");
    assert!(told(&folder.join("loop")).contains("the file cannot be read: "));
}

#[test]
fn every_path_starts_at_the_folder_of_the_file() {
    let own = tempfile::tempdir().expect("a folder");
    let folder = own.path();
    let text = GOOD.replace("[tenants.assistant]", "[tenants.recording]\nfolder = \"rec\"\n[tenants.assistant]");
    let text = format!("{text}[storage]\nurl = \"sqlite://calls.db?mode=rwc\"\n");
    let config = parse(&text, &folder.join("b.toml")).expect("good");
    assert_eq!(config.storage.url, format!("sqlite://{}/calls.db?mode=rwc", folder.display()));
    assert_eq!(config.tenants[0].settings.recording.folder.as_deref(), Some(folder.join("rec").as_path()));
    let AssistantKind::Scripted { script } = &config.tenants[0].settings.assistant[0].kind else { panic!("scripted") };
    assert_eq!(*script, Script::File(folder.join("demo.yaml")));
    assert!(std::fs::read_dir(folder).expect("there").next().is_none(), "nothing is created");
    let memory = parse(&format!("{GOOD}[storage]\nurl = \"sqlite::memory:\"\n"), &folder.join("b.toml"));
    assert_eq!(memory.expect("good").storage.url, "sqlite::memory:");
}

#[test]
fn a_database_that_is_shared_has_its_password_apart_and_its_socket_where_it_is_said() {
    let own = tempfile::tempdir().expect("a folder");
    let folder = own.path();
    std::fs::write(folder.join("password"), "hush\n").expect("written");
    let url = "postgres://bellhop@db.example/calls?sslmode=verify-full";
    let more = format!("[storage]\nurl = \"{url}\"\npassword = \"file:password\"\n[operations]\nsocket = \"b.sock\"\n");
    let config = parse(&format!("{GOOD}{more}"), &folder.join("b.toml")).expect("good");
    assert_eq!(config.storage.url, url);
    assert_eq!(config.storage.password.as_ref().map(|password| password.expose()), Some("hush"));
    assert_eq!(config.operations.socket, Some(folder.join("b.sock")));
    assert_eq!(config.storage.spool, Some(folder.join("bellhop.spool")));
    assert!(!format!("{config:?}").contains("hush"));
}

/// Tenants may all be in the database, where there are pages to make them in.
#[test]
fn a_file_without_tenants_is_one_of_a_server_with_pages() {
    let told = read("[media]\nports = \"20000-20999\"\n").expect_err("no tenants");
    assert!(told.len() == 1 && told[0].contains("tenants: is missing: add a section, [[tenants]]"), "{told:?}");
    assert!(told[0].contains("http.public_url"), "{told:?}");
    let config = read("[http]\npublic_url = \"https://bellhop.example\"\n").expect("good");
    assert!(config.tenants.is_empty());
    let told =
        read("[http]\npublic_url = \"https://bellhop.example\"\n[[tenants]]\n").expect_err("one that says nothing");
    assert!(told.iter().any(|line| line.contains("name: is missing")), "{told:?}");
}

/// The header of the list is misspelt, and those of its parts are not: one mistake, with what was meant.
#[test]
fn a_misspelt_list_of_tenants_is_told_by_its_name() {
    for name in ["tenant", "Tenants", "tenats"] {
        let told = read(&GOOD.replace("[[tenants]]", &format!("[[{name}]]"))).expect_err("bad");
        assert_eq!(told, [format!("b.toml:2:3: {name}: is not a known key: did you mean `tenants`?")]);
    }
    let told = read(&GOOD.replace("[[tenants]]", "[tenants]")).expect_err("bad");
    assert!(told.len() == 1 && told[0].contains("write [[tenants]]"), "{told:#?}");
    let twice = read(&GOOD.replace("kind = \"flite\"", "kind = \"flite\"\nkind = \"espeak\"")).expect_err("bad");
    assert!(twice.len() == 1 && twice[0].ends_with("not TOML: duplicate key: `kind` is there twice"), "{twice:#?}");
}

/// `%` and `?` mean something in the URL of a database, and nothing in the name of the folder that the file lies in.
#[test]
fn a_folder_may_be_called_anything() {
    let own = tempfile::Builder::new().prefix("bellhop 100%20 is? ").tempdir().expect("a folder");
    let folder = own.path();
    let config = parse(GOOD, &folder.join("b.toml")).expect("good");
    let file = bellhop_adapters::storage::file_of(&config.storage.url).expect("an URL");
    assert_eq!(file, Some(folder.join("bellhop.db")));
    assert_eq!(crate::live::socket_of(None, &config.storage.url), Some(folder.join("bellhop.sock")));
}

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// The keys in the first column of a table of the page, whose header comes after a text.
fn table_after(text: &str) -> Vec<&'static str> {
    let rest = PAGE.split_once(text).map_or("", |(_, rest)| rest);
    let rows =
        rest.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2)).collect()
}

/// Every key of the tables is one that the reader knows: a value of a wrong kind is told, and never an unknown key.
#[test]
fn what_the_page_tells_the_reader_knows() {
    let kinds = |section: &str, kind: &str| {
        GOOD.replace(
            &format!(
                "[tenants.{section}]\nkind = \"{}\"",
                match section {
                    "assistant" => "scripted",
                    "speech_to_text" => "pocketsphinx",
                    _ => "flite",
                }
            ),
            &format!("[tenants.{section}]\nkind = \"{kind}\""),
        )
    };
    let services = [
        ("Of each service of kind `watson`", vec!["assistant", "speech_to_text", "text_to_speech"], "watson"),
        ("Of Amazon's services", vec!["text_to_speech"], "polly"),
        ("Of Amazon's services", vec!["speech_to_text"], "transcribe"),
    ];
    let mut known: Vec<(String, String)> = vec![];
    let node = table_after("names or numbers of two tenants").into_iter().map(|key| (GOOD.to_owned(), key.to_owned()));
    known.extend(node);
    let tenant = table_after("Of each `[[tenants]]`").into_iter();
    known.extend(tenant.map(|key| (GOOD.to_owned(), format!("tenants.{key}"))));
    assert!(known.len() > 60, "{known:?}");
    for (key, sections, kind) in services {
        let all = table_after(key);
        assert!(!all.is_empty(), "{key}");
        // Only Polly speaks, with a voice; some of Watson's are those of one of its three services.
        for key in all.into_iter().filter(|key| (*key, kind) != ("voice", "transcribe")) {
            let path = |section: &&str| format!("tenants.{section}.{key}");
            let known = sections.iter().any(|section| unknown(&kinds(section, kind), &path(section)).is_none());
            assert!(known, "{key} of {kind}");
        }
    }
    for (text, key) in known {
        assert_eq!(unknown(&text, &key), None, "{key}");
    }
}

/// What is told of a key that is not known; none if it is.
fn unknown(text: &str, key: &str) -> Option<String> {
    let mut file: toml::Table = text.parse().expect("TOML");
    let mut at = &mut file;
    let (parents, last) =
        key.rsplit_once('.').map_or((vec![], key), |(parents, last)| (parents.split('.').collect(), last));
    for parent in parents {
        let section = at.entry(parent).or_insert_with(|| toml::Table::new().into());
        at = match section {
            toml::Value::Array(list) => list[0].as_table_mut().expect("a section"),
            section => section.as_table_mut().expect("a section"),
        };
    }
    at.insert(last.to_owned(), toml::Table::new().into());
    let told = read(&toml::to_string(&file).expect("TOML")).err().unwrap_or_default();
    told.into_iter().find(|line| line.contains(&format!("{last}: is not a known key")))
}

/// Every key that a reader asks for stands on the page.
#[test]
fn what_the_reader_knows_the_page_tells() {
    let asks = [
        ".text(",
        ".required_text(",
        ".text_or_silence(",
        ".texts(",
        ".texts_or_none(",
        ".list(",
        ".number(",
        ".share(",
        ".flag(",
        ".parsed(",
        ".choice(",
        ".required_choice(",
        ".renamed_choice(",
        ".required_url(",
        ".url(",
        ".parameters(",
        ".secret(",
        ".section(",
        ".optional_section(",
        ".required_section(",
        ".renamed_section(",
        ".sections(",
        "millis(",
        "seconds(",
        "message(",
        "read_header_name(section, ",
    ];
    let told: BTreeSet<&str> = PAGE
        .split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect();
    let mut keys = BTreeSet::new();
    for source in sources() {
        let source = std::fs::read_to_string(source).expect("readable");
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for ask in asks {
            let literal = source.split(ask).skip(1).filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
            keys.extend(literal.map(str::to_owned));
        }
    }
    assert!(keys.len() > 80, "{keys:?}");
    let missing: Vec<_> = keys.iter().filter(|key| !told.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "docs/configuration.md does not tell of {missing:?}");
}

/// The files that read keys: of the node, and of a tenant.
fn sources() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files =
        |folder: &str| std::fs::read_dir(here.join(folder)).expect("a folder").flatten().map(|entry| entry.path());
    let sources: Vec<_> = files("config").chain(files("../tenancy/settings")).collect();
    assert!(sources.iter().any(|file| file.ends_with("settings/conversation.rs")), "{sources:?}");
    sources.into_iter().filter(|file| file.is_file() && !file.ends_with("tests.rs")).collect()
}

#[test]
fn records_are_kept_for_a_month_unless_told_otherwise() {
    let records = |more: &str| read(&format!("{GOOD}{more}")).expect("good").tenants[0].settings.records.clone();
    let usual = records("");
    assert_eq!((usual.keep, usual.webhook), (Duration::from_secs(30 * 86_400), None));
    let others = records("[tenants.records]\nkeep_days = 0\nhistory_hours = 2\n");
    assert_eq!((others.keep, others.histories), (Duration::ZERO, Some(Duration::from_secs(7200))));
}

#[test]
fn conversations_are_read_by_whoever_has_the_key_any_number_of_times_unless_told_otherwise() {
    let settings = |more: &str| read(&format!("{GOOD}{more}")).expect("good").tenants[0].settings.records.clone();
    let usual = settings("");
    assert_eq!((usual.history_reads, usual.history_readers), (None, HistoryReaders::WhoHasTheKey));
    let others = settings("[tenants.records]\nhistory_reads = 1\nhistory_sign_in = true\n");
    assert_eq!((others.history_reads, others.history_readers), (Some(1), HistoryReaders::Agents));
    for (more, told) in [
        ("history_reads = 0", "`0` is not a whole number from 1 to 1000"),
        ("history_reads = 1001", "`1001` is not a whole number from 1 to 1000"),
        ("history_sign_in = \"yes\"", "history_sign_in"),
    ] {
        let why = one_mistake(&[], &format!("[tenants.records]\n{more}\n"));
        assert!(why.contains(told), "{why}");
    }
}

#[test]
fn a_time_zone_is_one_that_this_machine_knows() {
    let with = |zone: &str| read(&GOOD.replace("name = \"acme\"", &format!("name = \"acme\"\ntime_zone = \"{zone}\"")));
    let good = with("Europe/London").expect("good");
    assert_eq!(targets(&good).integration.time_zone.as_deref(), Some("Europe/London"));
    let why = with("Europe/Nowhere").expect_err("there is none");
    assert!(why.len() == 1 && why[0].contains("time_zone: `Europe/Nowhere` is no time zone"), "{why:?}");
}

#[test]
fn a_log_webhook_is_read_and_its_mistakes_are_told() {
    let webhook = "[tenants.records.webhook]\nurl = \"https://example.com/log\"\nsecret = \"s\"\n";
    let good = format!("{GOOD}{webhook}events = [\"message_logged\"]\nheaders = {{ X-A = \"b\" }}\n");
    let webhook_read = read(&good).expect("good").tenants[0].settings.records.webhook.clone().expect("there");
    assert_eq!((webhook_read.calls, webhook_read.turns, webhook_read.headers.len()), (false, true, 1));
    assert!(!format!("{webhook_read:?}").contains("\"b\""), "values of headers are secret");
    for (more, told) in [
        ("events = [\"calls\"]", "`calls` is neither"),
        ("events = []", "is an empty list"),
        ("headers = { \"a b\" = \"c\" }", "`a b` is not a header"),
        ("headers = { a = 1 }", "headers.a: is a whole number where a text is expected"),
        ("color = \"red\"", "color"),
    ] {
        let why = one_mistake(&[], &format!("{webhook}{more}\n"));
        assert!(why.contains(told) && why.contains("tenants.acme.records.webhook"), "{why}");
    }
}
