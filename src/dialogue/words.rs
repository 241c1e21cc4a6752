//! The words of a text, as whoever compares texts wants them.
//!
//! Invariant: an apostrophe is a part of its word, no other sign is; nothing is allocated.

/// The words, without the signs between them.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_between_words_and_apostrophes_in_them() {
        assert_eq!(
            words(" I'd like: two-thirds, please! ").collect::<Vec<_>>(),
            ["I'd", "like", "two", "thirds", "please"]
        );
        assert_eq!(words("… — !").count(), 0);
    }
}
