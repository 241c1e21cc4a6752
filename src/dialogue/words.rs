//! The words of a text, as whoever compares texts wants them.
//!
//! Invariant: an apostrophe is a part of its word, no other sign is; nothing is allocated.

/// The words, without the signs between them.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty())
}

/// The pairs of bytes that the words of a list begin with, in small letters or not: who is no word of it is mostly told apart by them.
#[derive(Clone, Copy)]
pub(crate) struct Beginnings([u32; 32]);

impl Beginnings {
    /// Those of some lists of words.
    pub(crate) const fn of(lists: &[&[&str]]) -> Self {
        Self([0; 32]).and_of(lists)
    }

    /// And those of others.
    pub(crate) const fn and_of(mut self, lists: &[&[&str]]) -> Self {
        let (mut list, mut n) = (0, 0);
        while list < lists.len() {
            if n == lists[list].len() {
                (list, n) = (list + 1, 0);
                continue;
            }
            if let [first, second, ..] = lists[list][n].as_bytes() {
                self.0[(*first & 31) as usize] |= 1 << (*second & 31);
            }
            n += 1;
        }
        self
    }

    /// Whether a word may be in a list. One of a single byte may, and one that does not begin with ASCII.
    pub(crate) fn may_have(&self, word: &str) -> bool {
        match word.as_bytes() {
            [first, second, ..] if first.is_ascii() && second.is_ascii() => {
                self.0[usize::from(*first & 31)] & (1 << (*second & 31)) != 0
            }
            _ => true,
        }
    }
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
