//! The tabs of an integration's settings: what each setting is called for people, and on which tab it is.
//!
//! Invariant: every setting that there is ([`outline`]) is on one tab, or has another place that is named here; limits, choices and what a
//! switch or choice usually is are told by the reader of settings and stand nowhere here.

mod conversation;

use std::sync::LazyLock;

use bellhop_tenancy::settings::{Asks, outline, usual};

/// A tab.
pub(super) struct Tab {
    /// The path of its page.
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    /// What it is about.
    pub(super) help: &'static str,
    pub(super) fields: &'static [Field],
    /// What is entered together, in place of single fields.
    pub(super) group: Option<Group>,
}

/// Fields that say who somebody is: blank once they are kept, and entered all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// The connection to Amazon Connect, which is tested before it is kept.
    Account,
    /// The login of whoever calls.
    Login,
    /// Who is told of calls.
    LogWebhook,
}

/// A setting, for people.
pub(super) struct Field {
    /// Where it stands in the settings; the name of its field too.
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// What it is if it is left empty; nothing where the reader of settings tells.
    pub(super) usual: &'static str,
    /// What each of its words means to people.
    pub(super) words: &'static [(&'static str, &'static str)],
    /// What an empty one is called that is no usual one.
    pub(super) nothing: &'static str,
}

const fn field(path: &'static str, name: &'static str, help: &'static str, usual: &'static str) -> Field {
    Field { path, name, help, usual, words: &[], nothing: "" }
}

const fn words(path: &'static str, name: &'static str, help: &'static str, words: &'static [(&str, &str)]) -> Field {
    Field { words, ..field(path, name, help, "") }
}

const fn or_nothing(
    path: &'static str,
    name: &'static str,
    help: &'static str,
    usual: &'static str,
    nothing: &'static str,
) -> Field {
    Field { nothing, ..field(path, name, help, usual) }
}

pub(super) const ON_OR_OFF: &[(&str, &str)] = &[("true", "On"), ("false", "Off")];

/// All of them, in their order.
pub(super) const TABS: [Tab; 8] = [
    Tab {
        path: "/tenants/{tenant}/integrations/{integration}/settings/account",
        name: "Amazon Connect",
        help: "Which instance callers come from, and who this server is to it. These are entered all together, and tested before they are kept.",
        fields: &[],
        group: Some(Group::Account),
    },
    Tab {
        path: "/tenants/{tenant}/integrations/{integration}/settings/sip-trunk",
        name: "SIP trunk",
        help: "How calls arrive, and what is taken from them.",
        fields: &[
            words(
                "ring_while_connecting",
                "Callers hear ringing while the assistant is contacted",
                "Off: they hear nothing until it greets them.",
                ON_OR_OFF,
            ),
            words(
                "sip.hold_on_transfer",
                "Callers are on hold while they are transferred to a live agent",
                "",
                ON_OR_OFF,
            ),
            field(
                "sip.invite_headers",
                "SIP INVITE headers to extract",
                "Names of headers, one in each line: the assistant is told what they say.",
                "none",
            ),
            field(
                "contact_id_header",
                "Header with the contact's id",
                "Where your trunk names the contact in a header of its own.",
                "the usual ones",
            ),
            field(
                "sip.sources",
                "Where calls may come from",
                "Addresses or networks, one in each line, like 192.0.2.0/24; or a name like aws-chime-voice-connector:eu-west-2.",
                "anywhere",
            ),
            field(
                "sip.server_name",
                "Host name of this integration",
                "Callers' sides that speak TLS have to ask for this name. It has to lead to this server, whose certificate has to be for it.",
                "any",
            ),
        ],
        group: None,
    },
    Tab {
        path: "/tenants/{tenant}/integrations/{integration}/settings/advanced",
        name: "Advanced",
        help: "What happens when a call or a transfer fails, and how calls are protected.",
        fields: &[
            field(
                "sip.failure_target",
                "SIP target when a call fails",
                "A SIP or tel URI that callers are transferred to, where no contact center is there to take over.",
                "none",
            ),
            or_nothing(
                "sip.failure_message",
                "Call failure message",
                "Spoken before that.",
                "Call being transferred to an agent due to a technical problem. Good bye.",
                "Say nothing",
            ),
            or_nothing(
                "sip.transfer_failure_message",
                "Transfer failure message",
                "Spoken when a transfer to an agent fails.",
                "Call transfer to an agent failed. Please try again later. Good bye.",
                "Say nothing",
            ),
            words(
                "disconnect_on_transfer_failure",
                "Disconnect call on transfer failure",
                "Off: the assistant goes on with the conversation.",
                ON_OR_OFF,
            ),
            or_nothing(
                "sip.transfer_targets",
                "Where callers may be transferred to",
                "Hosts like pbx.example.com, or beginnings of numbers like +4420, one in each line; the word anywhere for everywhere.",
                "the host that the call came from",
                "Nowhere",
            ),
            words(
                "on_setup_failure",
                "When a call cannot be set up",
                "",
                &[
                    ("answer_then_bye", "Answer and hang up: a contact flow goes on to an agent"),
                    ("service_unavailable", "Refuse it: a trunk tries another way"),
                ],
            ),
            words(
                "media.srtp",
                "Encryption of audio",
                "Required is what others call force secure trunking.",
                &[("preferred", "Where it is offered"), ("required", "Required"), ("off", "Off")],
            ),
        ],
        group: Some(Group::Login),
    },
    Tab {
        path: "/tenants/{tenant}/integrations/{integration}/settings/audio",
        name: "Audio",
        help: "How calls sound.",
        fields: &[
            field(
                "media.codecs",
                "Codecs",
                "Those that are spoken, one in each line, the preferred one first: pcmu, pcma, g722, opus.",
                "pcmu, pcma, g722, opus",
            ),
            words(
                "media.suppress_silence",
                "Silence is not sent",
                "Comfort noise is, where the other side knows it.",
                ON_OR_OFF,
            ),
            field(
                "media.timeout_seconds",
                "Seconds without audio of the caller until the call ends",
                "Who is on hold may be silent for longer.",
                "60",
            ),
        ],
        group: None,
    },
    Tab {
        path: "/tenants/{tenant}/integrations/{integration}/settings/conversation",
        name: "Conversation",
        help: "How the assistant and the caller take turns.",
        fields: conversation::FIELDS,
        group: None,
    },
    Tab {
        path: "/tenants/{tenant}/integrations/{integration}/settings/records",
        name: "Records",
        help: "What is kept of calls, and for how long. Recordings of audio are switched on by whoever runs this server, in its file.",
        fields: &[
            field("records.keep_days", "Days that call records are kept", "0 keeps none.", "30"),
            field(
                "records.history_hours",
                "Hours that agents can read a conversation",
                "",
                "what whoever runs this server has set",
            ),
            words(
                "conversation.redact_card_numbers",
                "Card numbers are masked in what is kept",
                "Their last four digits stay; the assistant is told all of them.",
                ON_OR_OFF,
            ),
            field("conversation.redact", "What else is masked", "Regular expressions, one in each line.", "none"),
        ],
        group: None,
    },
    Tab {
        path: "/tenants/{tenant}/integrations/{integration}/settings/log-webhook",
        name: "Log webhook",
        help: "A program of yours that is told of every call.",
        fields: &[Field {
            usual: "calls alone",
            ..words(
                "records.webhook.events",
                "What it is told of",
                "",
                &[
                    ("cdr_logged", "Each call, when it is over"),
                    ("message_logged", "Each turn, with all that was said"),
                ],
            )
        }],
        group: Some(Group::LogWebhook),
    },
    Tab {
        path: "/tenants/{tenant}/integrations/{integration}/settings/agents",
        name: "Agents",
        help: "Where agents see the conversation, and who of them.",
        fields: &[
            field(
                "frame_ancestors",
                "Pages that may show the agent's page",
                "Their origins, one in each line, like https://acme.my.connect.aws: the access URL of your instance first.",
                "none",
            ),
            field("time_zone", "Time zone", "Where callers and agents are, like Europe/London.", "UTC"),
            field(
                "records.history_reads",
                "How often a conversation can be read",
                "Who opens it again within ten minutes reads on, and is not counted.",
                "any number",
            ),
            words(
                "records.history_sign_in",
                "Agents sign in to read a conversation",
                "Off: whoever has the link that the contact flow opens reads it.",
                ON_OR_OFF,
            ),
        ],
        group: None,
    },
];

impl Group {
    /// The settings of it.
    pub(super) fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Account => &[
                "connect.instance_arn",
                "connect.access_key_id",
                "connect.secret_access_key",
                "connect.role_arn",
                "connect.external_id",
                "connect.endpoint_url",
            ],
            Self::Login => &["sip.user", "sip.password", "sip.realm"],
            Self::LogWebhook => &["records.webhook.url", "records.webhook.secret", "records.webhook.headers"],
        }
    }
}

/// Settings that are set elsewhere, and where.
/// What the setting at a path is called for people.
pub(super) fn name_of(path: &str) -> Option<&'static str> {
    TABS.iter().flat_map(|tab| tab.fields).find(|field| field.path == path).map(|field| field.name)
}

#[cfg(test)]
pub(super) const ELSEWHERE: [(&str, &str); 6] = [
    ("flow.voice_connector_arn", "the page of the Amazon side"),
    ("flow.voice_connector_type", "the page of the Amazon side"),
    ("flow.queue_arn", "the page of the Amazon side"),
    ("flow.done", "the page of the Amazon side"),
    ("recording.folder", "the file of whoever runs the server"),
    ("recording.keep_days", "the file of whoever runs the server"),
];

/// What the reader of settings asks, once.
static OUTLINE: LazyLock<Vec<(String, Asks, Option<String>)>> = LazyLock::new(|| {
    let all = outline().into_iter().map(|setting| {
        let usual = match &setting.asks {
            Asks::Flag => usual(&setting.path, ["true", "false"]).map(str::to_owned),
            Asks::Choice(words) => usual(&setting.path, words.iter().map(String::as_str)).map(str::to_owned),
            _ => None,
        };
        (setting.path, setting.asks, usual)
    });
    all.collect()
});

impl Field {
    /// What it may say.
    pub(super) fn asks(&self) -> &'static Asks {
        let known = OUTLINE.iter().find(|(path, ..)| path == self.path);
        known.map_or(&Asks::Text, |(_, asks, _)| asks)
    }

    /// What it is if nobody says, in words.
    pub(super) fn usually(&self) -> String {
        let known = OUTLINE.iter().find(|(path, ..)| path == self.path).and_then(|(_, _, usual)| usual.as_deref());
        let word = known.and_then(|word| self.words.iter().find(|(known, _)| *known == word)).map(|(_, told)| *told);
        match (self.usual.is_empty(), word) {
            (true, Some(told)) => told.to_owned(),
            _ => self.usual.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A setting that nobody can set in a browser, and a field that sets nothing, are both mistakes of this file.
    #[test]
    fn every_setting_is_on_one_tab_or_has_another_place() {
        let fields = TABS.iter().flat_map(|tab| tab.fields.iter().map(|field| field.path));
        let groups = TABS.iter().filter_map(|tab| tab.group).flat_map(|group| group.paths().iter().copied());
        let mut placed: Vec<&str> = fields.chain(groups).chain(ELSEWHERE.map(|(path, _)| path)).collect();
        placed.sort_unstable();
        let mut known: Vec<String> = outline().into_iter().map(|setting| setting.path).collect();
        known.sort_unstable();
        assert_eq!(placed, known);
    }

    #[test]
    fn every_choice_has_words_for_people_and_every_field_says_what_it_usually_is() {
        for field in TABS.iter().flat_map(|tab| tab.fields) {
            assert!(!field.usually().is_empty(), "{}", field.path);
            let words: Vec<&str> = field.words.iter().map(|(word, _)| *word).collect();
            match field.asks() {
                Asks::Choice(all) => {
                    assert!(all.len() == words.len() && all.iter().all(|word| words.contains(&word.as_str())))
                }
                Asks::Flag => assert_eq!(words, ["true", "false"], "{}", field.path),
                _ => {}
            }
        }
    }

    /// `docs/configuration.md` and the pages tell the same of what is not set.
    #[test]
    fn what_a_number_usually_is_stands_in_the_configurations_table_too() {
        let table = include_str!("../../../docs/configuration.md");
        for field in TABS.iter().flat_map(|tab| tab.fields) {
            let row = table.lines().find(|line| line.starts_with(&format!("| `{}`", field.path)));
            let row = row.or_else(|| table.lines().find(|line| line.contains(&format!("`{}`", field.path))));
            let row = row.unwrap_or_else(|| panic!("{} is in no row", field.path));
            if matches!(field.asks(), Asks::Number { .. } | Asks::Share) && field.path != "records.history_hours" {
                assert_eq!(row.split('|').nth(2).map(str::trim), Some(field.usual), "{}", field.path);
            }
        }
    }
}
