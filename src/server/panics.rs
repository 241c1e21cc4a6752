//! What the log says of a panic: where it was, and nothing that it said.
//!
//! Invariant: a panic is one line like every other; its text may hold what a caller said, and is never written.

use std::panic::PanicHookInfo;

/// From here on every panic of the process is told by its place alone.
pub fn tell_places_alone() {
    std::panic::set_hook(Box::new(tell));
}

fn tell(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|at| format!("{}:{}:{}", at.file(), at.line(), at.column())).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(
        place,
        thread = thread.name().unwrap_or("?"),
        "a panic, which is a mistake of ours: please report the place"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tests::logged;

    #[test]
    fn a_panic_is_one_line_of_json_with_its_place_and_without_its_words() {
        let before = std::panic::take_hook();
        let mut unwound = Ok(());
        let text = logged("info", || {
            tell_places_alone();
            unwound = std::panic::catch_unwind(|| panic!("the caller said: {}", "my card\nis 4111"));
        });
        std::panic::set_hook(before);
        assert!(unwound.is_err());
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(text.trim()).expect("JSON");
        assert!(line["place"].as_str().is_some_and(|place| place.contains("panics.rs:")), "{line}");
        assert!(!text.contains("card") && !text.contains("4111"), "{text}");
    }
}
