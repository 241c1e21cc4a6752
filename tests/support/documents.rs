//! The documents of the stage's tenants: snippets of TOML, read and judged by what the server reads them with.

use std::path::Path;
use std::sync::Arc;

use bellhop::config::Reading;
use bellhop::policy;
use bellhop::wiring::Targets;
use toml::{Table, Value};

/// The node that the stage's tenants are read for: who speaks TLS may ask for a login.
const NODE: &str = r#"
[sip]
listen = ["udp:203.0.113.7:5060", "tcp+tls:203.0.113.7:5061"]
[sip.tls]
certificate = "certificate.pem"
key = "key.pem"
[storage]
url = "sqlite::memory:"
"#;

/// The instance of the stage's tenant.
pub(crate) const INSTANCE: &str = "arn:aws:connect:eu-west-2:111122223333:instance/abc";

/// The stage's tenant, unless a test says otherwise: one of Amazon Connect, whose calls come from the carrier's
/// network.
const ACME: &str = r#"
name = "acme"
numbers = ["+18005550123"]
max_calls = 10
[connect]
instance_arn = "{instance}"
access_key_id = "AKIA"
secret_access_key = "secret"
[sip]
sources = ["192.0.2.0/24"]
invite_headers = ["X-Customer"]
transfer_failure_message = "the transfer failed"
[conversation]
notify_on_filtered_utterances = true
[assistant]
kind = "scripted"
script = "acme.yaml"
[speech_to_text]
kind = "counting"
[text_to_speech]
kind = "flite"
"#;

/// The stage's tenant with what a test says over it, and without the keys (like `sip.sources`) that it leaves out.
pub(crate) fn acme(over: &str, without: &[&str]) -> Table {
    let mut document: Table = ACME.replace("{instance}", INSTANCE).parse().expect("TOML");
    for path in without {
        let (sections, key) = path.rsplit_once('.').map_or((None, *path), |(section, key)| (Some(section), key));
        let section = match sections {
            Some(name) => document.get_mut(name).and_then(Value::as_table_mut),
            None => Some(&mut document),
        };
        section.and_then(|section| section.remove(key)).unwrap_or_else(|| panic!("{path} is not there"));
    }
    lay_over(&mut document, over.parse().unwrap_or_else(|error| panic!("{error} in {over}")));
    document
}

/// Another tenant beside it, with a login of this realm and a number of its own: +18005550200 and on.
pub(crate) fn neighbour(acme: &Table, n: usize, realm: &str) -> Table {
    let mut neighbour = acme.clone();
    let login = format!("user = \"trunk\"\npassword = \"{realm}\"\nrealm = \"{realm}\"");
    let other = format!("name = \"neighbour-{n}\"\nnumbers = [\"+1800555020{n}\"]\n[sip]\n{login}\n");
    lay_over(&mut neighbour, other.parse().expect("TOML"));
    neighbour
}

/// What one document says goes over what another does, section by section.
pub(crate) fn lay_over(document: &mut Table, over: Table) {
    for (key, value) in over {
        match (document.get_mut(&key), value) {
            (Some(Value::Table(section)), Value::Table(over)) => lay_over(section, over),
            (_, value) => _ = document.insert(key, value),
        }
    }
}

/// What the engine takes of these tenants, each with a single integration.
pub(crate) fn targets(documents: Vec<Table>) -> Vec<Targets> {
    let mut file: Table = NODE.parse().expect("TOML");
    file.insert("tenants".to_owned(), Value::Array(documents.into_iter().map(Value::Table).collect()));
    let text = toml::to_string(&file).expect("TOML");
    let Reading { config, mistakes } = Reading::of(&text, Path::new("stage.toml")).expect("TOML");
    assert!(mistakes.is_empty(), "{mistakes}");
    let good = |tenant: &bellhop::config::Tenant| {
        let (conversation, bad) = policy::of(&tenant.settings.conversation);
        let (targets, mut mistakes) = Targets::of(&tenant.settings, Arc::new(tenant.settings.tenant()), conversation);
        mistakes.extend(bad);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        targets
    };
    config.tenants.iter().map(good).collect()
}
