//! The words around a conversation on the agent's page, in the languages that assistants speak.
//!
//! Invariant: every language has every word (`page_words/`); a language that is not here is English, and says so in its tag.

mod latin;
mod other_scripts;

use latin::LATIN;
use other_scripts::OTHERS;

/// The words of one language.
#[derive(Debug)]
pub(super) struct Words {
    /// Its BCP 47 tag.
    pub(super) tag: &'static str,
    /// Whoever calls.
    pub(super) caller: &'static str,
    /// The caller, by keys.
    pub(super) keys: &'static str,
    /// The assistant.
    pub(super) assistant: &'static str,
    /// A note for the agent.
    pub(super) note: &'static str,
    /// Above the reason for the hand-over.
    pub(super) why: &'static str,
    /// Where there is none.
    pub(super) no_reason: &'static str,
    /// Above `custom_data`.
    pub(super) known: &'static str,
    /// Of what the caller cut off.
    pub(super) interrupted: &'static str,
    /// Of an empty conversation.
    pub(super) nothing: &'static str,
    /// Above the facts of the call.
    pub(super) call: &'static str,
    /// When it began, on the clock of the integration.
    pub(super) began: &'static str,
    /// The same on the agent's own clock.
    pub(super) your_time: &'static str,
    /// In which it was held.
    pub(super) language: &'static str,
    /// The number that was called.
    pub(super) dialled: &'static str,
    /// What was collected by keys.
    pub(super) typed: &'static str,
    /// Above what was said.
    pub(super) conversation: &'static str,
    /// Search in it.
    pub(super) search: &'static str,
    /// How often it was found: behind a number.
    pub(super) found: &'static str,
    /// Of a search in vain.
    pub(super) not_found: &'static str,
    /// Copy the conversation.
    pub(super) copy: &'static str,
    /// It was.
    pub(super) copied: &'static str,
    /// The same to be selected.
    pub(super) as_text: &'static str,
    /// Print it.
    pub(super) print: &'static str,
    /// The title of the page that has none.
    pub(super) title_of_none: &'static str,
    /// While it is asked for again.
    pub(super) not_yet: &'static str,
    /// When it is asked for no more.
    pub(super) none: &'static str,
    /// What to do then.
    pub(super) why_none: &'static str,
    /// Ask once more.
    pub(super) again: &'static str,
    /// To sign in.
    pub(super) sign_in: &'static str,
    /// Why one has to.
    pub(super) why_sign_in: &'static str,
    /// A name.
    pub(super) login: &'static str,
    /// A password.
    pub(super) password: &'static str,
    /// They do not fit.
    pub(super) wrong: &'static str,
    /// To sign out.
    pub(super) sign_out: &'static str,
    /// Show the page in a window of its own.
    pub(super) own_window: &'static str,
    /// Of a server that cannot answer now.
    pub(super) busy: &'static str,
}

impl Words {
    /// The words for a tenant's language, by its primary subtag.
    pub(super) fn of(language: &str) -> &'static Self {
        Self::known(language).unwrap_or(&LATIN[0])
    }

    /// The words for whoever reads, of whom nothing is known but what the browser says (`Accept-Language`, RFC 9110 section 12.5.4): of the
    /// languages that it likes best the first that is here.
    pub(super) fn accepted(header: &str) -> &'static Self {
        let mut liked: Vec<(f32, &str)> = header.split(',').take(LANGUAGES_READ).map(weighed).collect();
        liked.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        liked.into_iter().filter(|(weight, _)| *weight > 0.0).find_map(|(_, tag)| Self::known(tag)).unwrap_or(&LATIN[0])
    }

    fn known(language: &str) -> Option<&'static Self> {
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        LATIN.iter().chain(&OTHERS).find(|words| words.tag.eq_ignore_ascii_case(primary))
    }

    /// Which way the page is written.
    pub(super) fn direction(&self) -> &'static str {
        if self.tag == "ar" { "rtl" } else { "ltr" }
    }
}

/// Languages of a browser that are read.
const LANGUAGES_READ: usize = 20;

/// A language range with how much it is liked.
fn weighed(range: &str) -> (f32, &str) {
    let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
    let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok()).unwrap_or(0.0);
    (if f32::is_finite(weight) { weight } else { 0.0 }, tag.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_found_by_its_primary_subtag_and_english_serves_for_the_rest() {
        for (language, tag) in
            [("de-DE", "de"), ("PT-br", "pt"), ("ar", "ar"), ("en-GB", "en"), ("tlh", "en"), ("", "en")]
        {
            assert_eq!(Words::of(language).tag, tag, "{language}");
        }
        assert_eq!((Words::of("ar-EG").direction(), Words::of("fr").direction()), ("rtl", "ltr"));
    }

    #[test]
    fn whoever_reads_is_answered_in_the_language_that_their_browser_likes_best() {
        for (header, tag) in [
            ("de-CH, de;q=0.9, en;q=0.8", "de"),
            ("tlh, fr;q=0.5, ja;q=0.7", "ja"),
            ("fr;q=0, es;q=0.1", "es"),
            ("", "en"),
            ("*;q=nan, ;;;, de;q=inf", "en"),
        ] {
            assert_eq!(Words::accepted(header).tag, tag, "{header}");
        }
    }
}
