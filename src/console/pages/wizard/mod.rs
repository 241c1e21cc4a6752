//! The wizard: an integration set up step by step, in the order and with the words of the product's contract.
//!
//! Invariant: what is said at a step is kept in a draft before the next is shown, so nothing is lost by going back, by a reload, or by a session
//! that ends; the draft becomes an integration whole, or not at all.

mod account;
mod begin;
mod custom;
mod phone;
mod sip_address;
mod speech;

use bellhop_tenancy::access::Role;
use serde_json::{Value, json};

use super::answered::text;
use super::tenant::Tenant;
use super::visit::{Page, Visit};
use crate::problem::Problem;
use crate::rest::Inquiry;

/// What is set up, as far as it is said.
pub(super) struct Draft {
    pub(super) tenant: Tenant,
    pub(super) id: String,
    pub(super) name: String,
    revision: i64,
    settings: Value,
    secrets: Value,
    tested: Value,
}

/// A step of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Phone,
    Account,
    SipAddress,
    SpeechToText,
    TextToSpeech,
}

/// A step as it is listed.
pub(super) struct Listed {
    name: &'static str,
    path: String,
    is_here: bool,
    is_done: bool,
}

impl Step {
    /// In their order; where no contact center is spoken to there is no account.
    fn all(has_contact_center: bool) -> Vec<Self> {
        let all = [Self::Phone, Self::Account, Self::SipAddress, Self::SpeechToText, Self::TextToSpeech];
        all.into_iter().filter(|step| has_contact_center || *step != Self::Account).collect()
    }

    fn name(self) -> &'static str {
        match self {
            Self::Phone => "Set up a phone connection",
            Self::Account => "Connect to your Amazon Connect account",
            Self::SipAddress => "SIP address",
            Self::SpeechToText => "Speech to Text",
            Self::TextToSpeech => "Text to Speech",
        }
    }

    /// The last part of its path.
    fn word(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Account => "account",
            Self::SipAddress => "sip-address",
            Self::SpeechToText => "speech-to-text",
            Self::TextToSpeech => "text-to-speech",
        }
    }
}

pub(super) fn pages() -> Vec<Page> {
    let admin = Role::Admin;
    let speech = |step: Step| {
        Page::new(path_of(step), admin, move |visit| speech::show(visit, step))
            .sends(move |visit| speech::send(visit, step))
    };
    vec![
        Page::new("/tenants/{tenant}/integrations/new", admin, begin::show).sends(begin::send),
        Page::new("/tenants/{tenant}/drafts/{draft}/delete", admin, begin::ask_to_delete).sends(begin::delete),
        Page::new(path_of(Step::Phone), admin, phone::show).sends(phone::send),
        Page::new(path_of(Step::Account), admin, account::show).sends(account::send),
        Page::new(path_of(Step::SipAddress), admin, sip_address::show).sends(sip_address::send),
        Page::new("/tenants/{tenant}/drafts/{draft}/text-to-speech/listen", admin, speech::not_listened)
            .sends(speech::listen),
        speech(Step::SpeechToText),
        speech(Step::TextToSpeech),
    ]
}

fn path_of(step: Step) -> &'static str {
    match step {
        Step::Phone => "/tenants/{tenant}/drafts/{draft}/phone",
        Step::Account => "/tenants/{tenant}/drafts/{draft}/account",
        Step::SipAddress => "/tenants/{tenant}/drafts/{draft}/sip-address",
        Step::SpeechToText => "/tenants/{tenant}/drafts/{draft}/speech-to-text",
        Step::TextToSpeech => "/tenants/{tenant}/drafts/{draft}/text-to-speech",
    }
}

impl Draft {
    /// The one that the path names.
    async fn of(visit: &Visit) -> Result<Self, Problem> {
        let tenant = Tenant::of(visit).await?;
        let draft = tenant.own(visit, "draft").await?;
        Ok(Self::read(tenant, &draft))
    }

    pub(super) fn read(tenant: Tenant, draft: &Value) -> Self {
        Self {
            tenant,
            id: text(draft, "id"),
            name: text(draft, "name"),
            revision: draft["revision"].as_i64().unwrap_or_default(),
            settings: draft["settings"].clone(),
            secrets: draft["secrets"].clone(),
            tested: draft["tested"].clone(),
        }
    }

    /// Says more of it.
    async fn says(self, visit: &Visit, settings: Value) -> Result<Self, Problem> {
        let patch = json!({"settings": settings});
        let changed = visit.ask(Inquiry::patch(format!("/drafts/{}", self.id), self.revision, patch)).await?;
        Ok(Self::read(self.tenant, &changed))
    }

    fn has_contact_center(&self) -> bool {
        self.settings["connect"].is_object()
    }

    /// A text of its settings.
    fn text(&self, section: &str, key: &str) -> String {
        text(&self.settings[section], key)
    }

    /// The first that a list of its settings names.
    fn first(&self, list: &str) -> String {
        self.settings[list][0].as_str().unwrap_or_default().to_owned()
    }

    fn has_secret(&self, path: &str) -> bool {
        self.secrets.as_array().is_some_and(|all| all.iter().any(|secret| secret["path"] == path))
    }

    fn is_valid(&self) -> bool {
        self.tested["good"] == true
    }

    fn path(&self, step: Step) -> String {
        format!("/tenants/{}/drafts/{}/{}", self.tenant.id, self.id, step.word())
    }

    fn is_done(&self, step: Step) -> bool {
        match step {
            Step::Phone => !self.first("assistant").is_empty(),
            Step::Account => self.is_valid(),
            // It is looked at, and nothing is said there.
            Step::SipAddress => self.is_done(Step::SpeechToText),
            Step::SpeechToText => !self.first("speech_to_text").is_empty(),
            Step::TextToSpeech => !self.first("text_to_speech").is_empty(),
        }
    }

    fn steps(&self, here: Step) -> Vec<Listed> {
        let listed = |step: Step| Listed {
            name: step.name(),
            path: self.path(step),
            is_here: step == here,
            is_done: self.is_done(step),
        };
        Step::all(self.has_contact_center()).into_iter().map(listed).collect()
    }

    /// The first step that is not done yet.
    pub(super) fn goes_on_at(&self) -> String {
        let open = Step::all(self.has_contact_center()).into_iter().find(|step| !self.is_done(*step));
        self.path(open.unwrap_or(Step::TextToSpeech))
    }

    /// Where *Back* and *Next* lead.
    fn beside(&self, here: Step) -> (String, Option<String>) {
        let all = Step::all(self.has_contact_center());
        let at = all.iter().position(|step| *step == here).unwrap_or_default();
        let back = match at {
            0 => format!("/tenants/{}/integrations", self.tenant.id),
            at => self.path(all[at - 1]),
        };
        (back, all.get(at + 1).map(|next| self.path(*next)))
    }
}
