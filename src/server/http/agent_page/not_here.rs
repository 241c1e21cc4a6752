//! The one page of a key under which there is nothing to read: it asks again by itself, for the conversation may not be here yet, and
//! then says that there is none.
//!
//! Invariant: it is made of what was asked and of what the browser likes to read alone, so that it tells nobody which keys there are or
//! were. It asks by itself [`WAITS`]`.len()` times at most, with and without JavaScript.

use askama::Template;

use super::{Asked, query_of};
use crate::http::page_words::Words;

/// Seconds until it asks again, each time longer.
const WAITS: [u32; 5] = [1, 2, 4, 8, 15];

#[derive(Template)]
#[template(path = "agent_page_not_here.html")]
struct NotHere {
    nonce: String,
    words: &'static Words,
    next: Option<Next>,
    /// To begin anew.
    again: String,
}

struct Next {
    seconds: u32,
    address: String,
}

/// The page.
pub(super) fn not_here(asked: &Asked, words: &'static Words, nonce: &str) -> String {
    let again = query_of(&asked.key);
    let next = WAITS.get(asked.times);
    let next = next.map(|seconds| Next { seconds: *seconds, address: format!("{again}&asked={}", asked.times + 1) });
    NotHere { nonce: nonce.to_owned(), words, next, again }.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(key: &str, times: usize) -> String {
        not_here(&Asked { key: key.to_owned(), times, was_wrong: false }, Words::of("en"), "n")
    }

    #[test]
    fn it_asks_five_times_each_time_later_and_then_says_that_there_is_none() {
        let mut before = 0;
        for times in 0..5 {
            let html = page("_ab", times);
            let next = format!("url=?session_history_key=_ab&#38;asked={}", times + 1);
            assert!(html.contains(&next) && html.contains("is not here yet"), "{html}");
            let seconds = html.split("data-after=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("when");
            let seconds: u32 = seconds.parse().expect("a number");
            assert!(seconds > before, "{seconds}");
            before = seconds;
        }
        for times in [5, 6, usize::MAX] {
            let html = page("_ab", times);
            assert!(!html.contains("http-equiv=\"refresh\"") && !html.contains("data-after"), "{html}");
            assert!(html.contains("There is no conversation under this key."), "{html}");
            assert!(html.contains("href=\"?session_history_key=_ab\""), "it can be asked by hand: {html}");
        }
    }

    #[test]
    fn what_was_asked_for_is_in_no_title_and_no_markup() {
        let html = page("\"><script>alert(1)</script>", 0);
        assert!(!html.contains("<script>alert") && html.contains("%3Cscript%3E"), "{html}");
        let title = html.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).expect("a title");
        assert_eq!(title, "No conversation");
    }
}
