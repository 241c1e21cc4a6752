//! Kinds of assistants and speech services, with the fields that each is made of.
//!
//! Invariant: what is asked for here has the keys of `docs/configuration.md`; whether it is good is REST's to say.

use serde_json::{Map, Value};

use super::form::Form;
use super::script::{self, Numbered, numbered};
use super::told::Told;

/// What a script begins as.
const STARTER: &str = include_str!("starter.yaml");

/// What somebody may make.
pub(super) struct Kind {
    /// Its word.
    pub(super) kind: &'static str,
    /// What people call it.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) fields: &'static [Field],
}

/// What is asked for of it.
pub(super) struct Field {
    /// Its key.
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) sort: Sort,
    pub(super) is_required: bool,
}

impl Field {
    pub(super) fn is_area(&self) -> bool {
        self.sort == Sort::Area
    }

    pub(super) fn is_secret(&self) -> bool {
        self.sort == Sort::Secret
    }

    /// Whether it is a script, whose lines are numbered.
    pub(super) fn is_script(&self) -> bool {
        self.key == script::FIELD
    }

    /// What stands in it before anything is typed.
    fn starter(&self) -> &'static str {
        if self.is_script() { STARTER } else { "" }
    }
}

/// How it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Line,
    Secret,
    Area,
}

const fn field(key: &'static str, name: &'static str, sort: Sort, is_required: bool) -> Field {
    Field { key, name, sort, is_required }
}

const URL: Field = field("url", "URL", Sort::Line, true);
const API_KEY: Field = field("api_key", "API key", Sort::Secret, true);
const REGION: Field = field("region", "Region", Sort::Line, true);
const KEY_ID: Field = field("access_key_id", "Access Key ID", Sort::Secret, true);
const KEY_SECRET: Field = field("secret_access_key", "Access Key secret", Sort::Secret, true);

pub(super) const ASSISTANTS: [Kind; 4] = [
    Kind {
        kind: "scripted",
        name: "A script",
        help: "What it says and where it goes on, written down. It needs no service.",
        fields: &[field("script_text", "Script", Sort::Area, true)],
    },
    Kind {
        kind: "webhook",
        name: "A program of yours",
        help: "It is asked over HTTP for each utterance, and signed for with the secret.",
        fields: &[URL, field("secret", "Secret", Sort::Secret, true)],
    },
    Kind {
        kind: "chat_completions",
        name: "A language model",
        help: "Any that speaks the chat completions API.",
        fields: &[
            URL,
            field("model", "Model", Sort::Line, true),
            field("api_key", "API key", Sort::Secret, false),
            field("prompt", "What it is told of its task", Sort::Area, true),
            field("greeting", "Its first words", Sort::Line, false),
        ],
    },
    Kind {
        kind: "watson",
        name: "watsonx Assistant",
        help: "An assistant of IBM's, by its v2 API.",
        fields: &[
            URL,
            API_KEY,
            field("assistant_id", "Assistant ID", Sort::Line, true),
            field("environment_id", "Environment ID", Sort::Line, false),
        ],
    },
];

const RECOGNIZERS: [Kind; 4] = [
    Kind {
        kind: "pocketsphinx",
        name: "On this server",
        help: "English, and what the script expects. It needs no service.",
        fields: &[],
    },
    Kind { kind: "watson", name: "Watson Speech to Text", help: "Of IBM Cloud, or your own.", fields: &[URL, API_KEY] },
    Kind {
        kind: "transcribe",
        name: "Amazon Transcribe",
        help: "With a key that may use it.",
        fields: &[REGION, KEY_ID, KEY_SECRET],
    },
    Kind {
        kind: "worker",
        name: "A recognizer of yours",
        help: "A program that speaks our WebSocket protocol.",
        fields: &[URL, field("token", "Token", Sort::Secret, false)],
    },
];

const SYNTHESIZERS: [Kind; 4] = [
    Kind { kind: "flite", name: "On this server, English", help: "It needs no service.", fields: &[] },
    Kind { kind: "espeak", name: "On this server, many languages", help: "It needs no service.", fields: &[] },
    Kind { kind: "watson", name: "Watson Text to Speech", help: "Of IBM Cloud, or your own.", fields: &[URL, API_KEY] },
    Kind {
        kind: "polly",
        name: "Amazon Polly",
        help: "With a key that may use it.",
        fields: &[REGION, KEY_ID, KEY_SECRET, field("voice", "Voice to begin with, like Amy", Sort::Line, true)],
    },
];

/// What speech services do.
pub(super) struct Port {
    /// Its key in settings.
    pub(super) word: &'static str,
    pub(super) name: &'static str,
    pub(super) kinds: &'static [Kind],
    /// What is asked for of those that a service says it has.
    pub(super) label: &'static str,
    pub(super) filter: &'static str,
}

pub(super) static SPEECH_TO_TEXT: Port = Port {
    word: "speech_to_text",
    name: "Speech to Text",
    kinds: &RECOGNIZERS,
    label: "Choose your Speech to Text language model",
    filter: "Filter models based on assistant language",
};
pub(super) static TEXT_TO_SPEECH: Port = Port {
    word: "text_to_speech",
    name: "Text to Speech",
    kinds: &SYNTHESIZERS,
    label: "Choose your Text to Speech voice",
    filter: "Filter voices based on assistant language",
};

impl Port {
    /// That of a service, as its settings say.
    pub(super) fn of(service: &Value) -> &'static Self {
        let is_one = |port: &&'static Self| service["settings"]["port"] == port.word;
        Some(&SPEECH_TO_TEXT).filter(is_one).unwrap_or(&TEXT_TO_SPEECH)
    }
}

/// A kind with what was typed of it.
pub(super) struct Choice {
    pub(super) kind: &'static Kind,
    /// What it would be called.
    pub(super) called: String,
    /// What was typed into each field; nothing of secrets.
    pub(super) typed: Vec<String>,
    /// Whether it was this one that was sent.
    pub(super) is_open: bool,
    /// The lines of the script that was sent.
    pub(super) lines: Vec<Numbered>,
}

impl Choice {
    /// All, with what a form says of one of them.
    pub(super) fn all(kinds: &'static [Kind], form: &Form, told: &Option<Told>) -> Vec<Self> {
        let sent = form.text("make");
        let of = |kind: &'static Kind| {
            let is_open = kind.kind == sent;
            let typed = |field: &Field| match (is_open, field.sort) {
                (_, Sort::Secret) => String::new(),
                (true, _) => form.text(field.key).to_owned(),
                (false, _) => field.starter().to_owned(),
            };
            let called = if is_open { form.line("called") } else { kind.name.to_owned() };
            let lines = if is_open { numbered(form.text(script::FIELD), told) } else { vec![] };
            Self { kind, called, typed: kind.fields.iter().map(typed).collect(), is_open, lines }
        };
        kinds.iter().map(of).collect()
    }
}

impl Kind {
    /// The settings that a form says of it; what was left empty is left out.
    pub(super) fn settings(&self, form: &Form) -> Value {
        let mut settings = Map::from_iter([("kind".to_owned(), Value::from(self.kind))]);
        for field in self.fields {
            let typed = if field.sort == Sort::Area { form.text(field.key).to_owned() } else { form.line(field.key) };
            if !typed.is_empty() {
                settings.insert(field.key.to_owned(), Value::from(typed));
            }
        }
        Value::Object(settings)
    }
}
