//! Who reads a conversation: whoever has its key, and is signed in where the tenant wants that; counted, and told to the audit.
//!
//! Invariant: nothing is shown whose read was not counted. What cannot be shown is not here, whatever the reason; no key reaches the log or
//! the audit, which name a conversation by its call.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use bellhop_connect::ports::{Counted, Reader};
use bellhop_connect::session_history_key::{FiledAs, RANDOM_BYTES, SessionHistoryKey, filed_under};
use bellhop_console::rest::HISTORY_READ;
use bellhop_console::sign_in::agents;
use bellhop_dialogue::session_record::{Readers, SessionRecord};
use bellhop_tenancy::Integration;
use bellhop_tenancy::access::{Author, SignedIn};
use bellhop_tenancy::integration::HistoryReaders;
use bellhop_tenancy::store::{AuditOutcome, NewAuditLine};

use super::Shared;

/// The language of a tenant that is gone.
const ENGLISH: &str = "en";
/// The longest that a reader waits for the audit: a database that is away keeps no agent from a caller.
const AUDITED_WITHIN: Duration = Duration::from_secs(2);

/// What came of asking for a key.
pub(super) enum Read {
    /// This is shown.
    Shown(Box<Conversation>),
    /// Whoever asks signs in first.
    SignIn { ancestors: Vec<String>, language: String },
    /// There is nothing to read.
    NotHere,
    /// Nobody can tell just now.
    Unavailable,
}

/// A conversation that somebody may read.
pub(super) struct Conversation {
    pub(super) record: SessionRecord,
    /// In which it was held.
    pub(super) language: String,
    /// Who may show it in a frame.
    pub(super) ancestors: Vec<String>,
    /// What signs whoever reads it out; none of who is not signed in.
    pub(super) csrf_token: Option<String>,
}

/// Who reads, and what they need to sign out.
struct Who {
    author: Author,
    reader: Reader,
    csrf_token: Option<String>,
}

/// Looks for the conversation of a key.
pub(super) async fn read(shared: &Shared, request: &HttpRequest, key: &str) -> Read {
    // What can be no key is looked up all the same, under a name that nobody has.
    let name = filed_under(key)
        .unwrap_or_else(|| SessionHistoryKey::from_random(rand::random::<[u8; RANDOM_BYTES]>()).filed_as());
    let found = match shared.server.histories.find_history(&name).await {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, "a session history could not be read");
            return Read::Unavailable;
        }
    };
    let found = found.and_then(|history| Some((history.tenant, SessionRecord::from_json(&history.json)?)));
    let Some((tenant, record)) = found else { return Read::NotHere };
    let Place { ancestors, language, readers } = Place::of(shared.server.integrations_of(&tenant), &record);
    let who = match readers {
        Readers::WhoHasTheKey => somebody(request),
        Readers::Agents => match agent(shared, request, &tenant).await {
            Ok(who) => who,
            Err(Refused::Nobody) => return Read::SignIn { ancestors, language },
            Err(Refused::AnotherTenants) => return Read::NotHere,
            Err(Refused::Unavailable) => return Read::Unavailable,
        },
    };
    match count(shared, &name, &who).await {
        None => return Read::Unavailable,
        Some(Counted::UsedUp) => return Read::NotHere,
        Some(Counted::GoesOn) => {}
        Some(Counted::New) => tell(shared, &tenant, &record, &who.author).await,
    }
    let csrf_token = who.csrf_token;
    Read::Shown(Box::new(Conversation { record, language, ancestors, csrf_token }))
}

async fn count(shared: &Shared, name: &FiledAs, who: &Who) -> Option<Counted> {
    let counted = shared.server.histories.count_read(name, &who.reader).await;
    counted.inspect_err(|error| tracing::error!(%error, "a read of a session history could not be counted")).ok()
}

/// What is known of where a conversation belongs.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    ancestors: Vec<String>,
    language: String,
    readers: Readers,
}

impl Place {
    /// The integration of its call says who may show it in a frame; of a record that does not name one, all of the tenant's do. Who may
    /// read is what was asked then or is now, whichever is stricter.
    fn of(mut integrations: Vec<Arc<Integration>>, record: &SessionRecord) -> Self {
        if let Some(id) = &record.integration {
            integrations.retain(|one| one.id == *id);
        }
        let is_strict = integrations.iter().any(|one| one.history_readers == HistoryReaders::Agents);
        let language = record.language.clone().or_else(|| integrations.first().map(|one| one.language.clone()));
        Self {
            ancestors: integrations.iter().flat_map(|one| one.frame_ancestors.iter().cloned()).collect(),
            language: language.unwrap_or_else(|| ENGLISH.to_owned()),
            readers: if is_strict { Readers::Agents } else { record.readers },
        }
    }
}

/// Whoever has the key.
fn somebody(request: &HttpRequest) -> Who {
    let from = agents::address(request).map(|address| address.to_string()).unwrap_or_default();
    let (reader, signed_in) = (Reader::at(&from), SignedIn::on_this_machine("the agent's page"));
    Who { author: Author { signed_in, from }, reader, csrf_token: None }
}

/// Why somebody is no agent of a tenant.
enum Refused {
    Nobody,
    AnotherTenants,
    Unavailable,
}

/// Who is signed in as one of a tenant's people.
async fn agent(shared: &Shared, request: &HttpRequest, tenant: &str) -> Result<Who, Refused> {
    let visitor = agents::who(request).await.map_err(|problem| {
        tracing::warn!(status = problem.status().as_u16(), "it cannot be told who is at the agent's page");
        Refused::Unavailable
    })?;
    let visitor = visitor.ok_or(Refused::Nobody)?;
    let reaches = shared.server.tenant(tenant).is_some_and(|tenant| visitor.scope().reaches(tenant));
    if !reaches {
        return Err(Refused::AnotherTenants);
    }
    let user = visitor.signed_in().user().map(|user| user.to_string());
    let reader = Reader::user(&user.unwrap_or_else(|| visitor.signed_in().name().to_owned()));
    Ok(Who { author: visitor.author(), reader, csrf_token: visitor.csrf_token().map(str::to_owned) })
}

/// The log and the audit are told that a conversation is read.
async fn tell(shared: &Shared, tenant: &str, record: &SessionRecord, by: &Author) {
    tracing::info!(tenant, call = record.call, "a conversation was viewed");
    let (action, outcome) = (HISTORY_READ.to_owned(), AuditOutcome::Done);
    let line = NewAuditLine { action, tenant: shared.server.tenant(tenant), on: record.call.clone(), outcome };
    let tenants = shared.server.tenants();
    match tokio::time::timeout(AUDITED_WITHIN, tenants.note(by, line)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "a conversation was read, and the audit could not be told"),
        Err(_) => tracing::warn!("a conversation was read, and the audit did not answer in time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellhop_tenancy::settings::{Alone, Reading, json};

    fn integration(name: &str, origin: &str, sign_in: bool) -> Arc<Integration> {
        let document = serde_json::json!({
            "name": name, "numbers": ["+18005550123"], "max_calls": 1, "language": "en-GB",
            "frame_ancestors": [origin], "records": {"history_sign_in": sign_in},
            "assistant": {"kind": "scripted", "script": "acme.yaml"},
            "speech_to_text": {"kind": "counting"}, "text_to_speech": {"kind": "flite"},
        });
        let document = json::read(&document.to_string()).expect("JSON");
        let Reading { settings, mistakes, .. } = Reading::of(&document, &Alone);
        assert_eq!(mistakes, []);
        Arc::new(settings.integration(Arc::new(settings.tenant())))
    }

    fn of(integration: Option<&str>, readers: Readers) -> SessionRecord {
        let (integration, language) = (integration.map(str::to_owned), Some("de".to_owned()));
        SessionRecord { integration, language, readers, ..SessionRecord::default() }
    }

    #[test]
    fn a_conversation_is_framed_by_the_instance_of_its_own_integration_alone() {
        let all = || {
            vec![
                integration("one", "https://one.my.connect.aws", false),
                integration("two", "https://two.example", true),
            ]
        };
        let (one, two) = ("https://one.my.connect.aws".to_owned(), "https://two.example".to_owned());
        let place = |record: &SessionRecord| {
            let Place { ancestors, language, readers } = Place::of(all(), record);
            (ancestors, language, readers)
        };
        let (anybody, agents) = (Readers::WhoHasTheKey, Readers::Agents);
        assert_eq!(place(&of(Some("one"), anybody)), (vec![one.clone()], "de".into(), anybody));
        assert_eq!(place(&of(Some("two"), anybody)), (vec![two.clone()], "de".into(), agents), "asked for since");
        assert_eq!(place(&of(Some("one"), agents)), (vec![one.clone()], "de".into(), agents), "asked for then");
        assert_eq!(place(&of(Some("gone"), agents)), (vec![], "de".into(), agents));
        // Of a record that does not name its integration.
        assert_eq!(place(&SessionRecord::default()), (vec![one, two], "en-GB".into(), agents));
    }
}
