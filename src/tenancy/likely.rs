//! *Did you mean*: the known word that a misspelt one resembles.

/// The most similar of the known words, if one is similar enough: a third of its letters may differ.
pub fn likely<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let written = plain(word);
    let distance = |candidate: &str| strsim::damerau_levenshtein(&written, &plain(candidate));
    let near = known.into_iter().map(|candidate| (distance(candidate), candidate));
    near.filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3).min().map(|(_, word)| word)
}

/// `: did you mean …?`, or nothing.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    likely(word, known).map(|word| format!(": did you mean `{word}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["numbers", "name", "max_calls", "frame_ancestors"];
        for (word, meant) in
            [("numbrs", "numbers"), ("max-calls", "max_calls"), ("Name", "name"), ("nubmers", "numbers")]
        {
            assert_eq!(likely(word, known), Some(meant), "{word}");
        }
        assert_eq!(likely("speed", known), None);
    }
}
