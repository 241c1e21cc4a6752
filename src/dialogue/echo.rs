//! Tells our own voice, heard back through the caller's telephone, from the caller's.

use crate::words::words;

/// Fewer words than this are never taken for an echo: a caller may well repeat one of the words on offer.
const WORDS_MIN: usize = 4;

/// Whether what was heard is a run of the words that were being spoken.
pub(crate) fn is_echo(heard: &str, spoken: &str) -> bool {
    let lower = |text: &str| -> Vec<String> { words(text).map(str::to_lowercase).collect() };
    let (heard, spoken) = (lower(heard), lower(spoken));
    heard.len() >= WORDS_MIN && spoken.windows(heard.len()).any(|run| run == heard.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_of_our_own_words_is_an_echo() {
        let spoken = "Thank you for calling Acme. You can say opening hours, or agent.";
        assert!(is_echo("thank you for calling", spoken));
        assert!(is_echo("you can say opening hours ", spoken));
        assert!(!is_echo("opening hours", spoken), "a menu word is an answer");
        assert!(!is_echo("thank you very much indeed", spoken));
        assert!(!is_echo("", spoken));
    }
}
