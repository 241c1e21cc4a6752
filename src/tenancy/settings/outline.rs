//! What there is to be set of an integration, and what each setting may say: for forms.
//!
//! Invariant: nothing is written down here twice: it is the one reader that tells what it asks of which key, by reading a document
//! that has every section.

use super::asks::Setting;
use super::document::Reading;
use super::form;
use super::gathered::{Alone, Gathered};
use super::section::Section;
use super::tenant::TenantSettings;

/// Fields that have every section be there, and say enough for all of its keys to be read.
const ALL_SECTIONS: [(&str, &str); 7] = [
    ("connect.role_arn", "r"),
    ("connect.external_id", "e1"),
    ("connect.access_key_id", "k"),
    ("recording.keep_days", "1"),
    ("records.webhook.headers.x", "x"),
    ("sip.user", "u"),
    ("records.webhook.secret", "s"),
];

/// Keys of a tenant's document that are none of an integration's settings, or stand in documents of their own.
const ELSEWHERE: [&str; 5] = ["name", "numbers", "max_calls", "max_calls_per_second", "records.webhook.headers.x"];

/// Every setting of an integration but which assistant and services it uses, in the order of reading.
pub fn outline() -> Vec<Setting> {
    let (document, _) = form::read(ALL_SECTIONS);
    let gathered = Gathered::noting(&Alone);
    TenantSettings::read(&Section::root(&document, &gathered));
    let mut settings = gathered.into_outline();
    settings.retain(|setting| !ELSEWHERE.contains(&setting.path.as_str()));
    settings
}

/// Which of some words a setting says where it is left out, if it is one of them.
pub fn usual<'a>(path: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let said = |pairs: Vec<(&str, &str)>| Reading::of(&form::read(pairs).0, &Alone).settings;
    let nothing = said(vec![]);
    words.into_iter().find(|word| said(vec![(path, word)]) == nothing)
}

#[cfg(test)]
mod tests {
    use super::super::asks::Asks;
    use super::*;

    fn asked(path: &str) -> Option<Asks> {
        outline().into_iter().find(|setting| setting.path == path).map(|setting| setting.asks)
    }

    #[test]
    fn the_reader_tells_what_it_asks_of_each_key() {
        let choice = |words: &[&str]| Some(Asks::Choice(words.iter().map(|word| (*word).to_owned()).collect()));
        for (path, asks) in [
            ("language", Some(Asks::Text)),
            ("sip.transfer_failure_message", Some(Asks::Message { chars_max: Some(150) })),
            ("conversation.silent_turns_max", Some(Asks::Number { least: 1, most: 1000 })),
            ("conversation.confidence_threshold", Some(Asks::Share)),
            ("sip.hold_on_transfer", Some(Asks::Flag)),
            ("media.srtp", choice(&["off", "preferred", "required"])),
            ("conversation.barge_in_on", choice(&["speech", "interim_result"])),
            ("media.codecs", Some(Asks::Texts)),
            ("sip.transfer_targets", Some(Asks::TextsOrNone)),
            ("sip.password", Some(Asks::Secret)),
            ("connect.secret_access_key", Some(Asks::Secret)),
            ("records.webhook.secret", Some(Asks::Secret)),
            ("records.webhook.headers", Some(Asks::Secrets)),
            ("recording.folder", Some(Asks::File)),
            ("numbers", None),
            ("records.webhook.headers.x", None),
        ] {
            assert_eq!(asked(path), asks, "{path}");
        }
    }

    #[test]
    fn what_a_setting_is_that_nobody_set_is_told_by_the_reader() {
        assert_eq!(usual("sip.hold_on_transfer", ["true", "false"]), Some("true"));
        assert_eq!(usual("media.suppress_silence", ["true", "false"]), Some("false"));
        assert_eq!(usual("media.srtp", ["off", "preferred", "required"]), Some("preferred"));
        assert_eq!(usual("sip.failure_target", ["sip:a@b.example"]), None);
    }
}
