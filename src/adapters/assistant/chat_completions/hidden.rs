//! What a model writes that is not for the caller: its thoughts, and tool calls that its server did not take out.
//!
//! Marks may be split over pieces. A model whose prompt ends in the mark that opens its thoughts writes only the one that
//! closes them: [`Hidden::was_unopened`] tells, so that the next time nothing of them is spoken. Invariant: nothing between
//! two marks is text, and nothing is held back but what may become a mark.

/// Marks that open and close, in lower case, and what stands between.
const MARKS: [(&str, &str, Kind); 13] = [
    ("<think>", "</think>", Kind::Thought),
    ("<thinking>", "</thinking>", Kind::Thought),
    ("<thought>", "</thought>", Kind::Thought),
    ("<thoughts>", "</thoughts>", Kind::Thought),
    ("<reasoning>", "</reasoning>", Kind::Thought),
    ("<reflection>", "</reflection>", Kind::Thought),
    ("<scratchpad>", "</scratchpad>", Kind::Thought),
    ("<seed:think>", "</seed:think>", Kind::Thought),
    ("[think]", "[/think]", Kind::Thought),
    ("◁think▷", "◁/think▷", Kind::Thought),
    ("<|channel|>analysis<|message|>", "<|end|>", Kind::Thought),
    ("<tool_call>", "</tool_call>", Kind::Call),
    ("<function_call>", "</function_call>", Kind::Call),
];
/// Most bytes of a tool call that is written out; what is longer is none.
const CALL_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Thought,
    Call,
}

/// Reads what a model writes.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    held: String,
    /// The mark that is waited for, and what stands before it.
    within: Option<(&'static str, Kind)>,
    call: String,
    /// Tool calls that were written out.
    pub(super) calls: Vec<String>,
    /// Whether it is only taken for granted that thoughts come first, and what they say.
    assumed: Option<String>,
    seen_any: bool,
    unopened: bool,
}

/// Most bytes of text that is kept because it may be no thought after all.
const ASSUMED_BYTES_MAX: usize = 64 * 1024;

impl Hidden {
    /// `thinks_first`: the model writes its thoughts first and no mark before them.
    pub(super) fn new(thinks_first: bool) -> Self {
        Self { assumed: thinks_first.then(String::new), ..Self::default() }
    }

    /// Whether thoughts were closed that were never opened: all text before was thoughts.
    pub(super) fn was_unopened(&self) -> bool {
        self.unopened
    }

    /// More of what it writes; what of it is for the caller. `true`: all text before was none.
    pub(super) fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let (mut plain, mut revoked) = (String::new(), false);
        loop {
            let lower = self.held.to_ascii_lowercase();
            let found = match self.within {
                Some((close, kind)) => lower.find(close).map(|at| (at, close, kind)),
                None => first_mark(&lower),
            };
            let Some((at, mark, kind)) = found else { break };
            let rest = self.held.split_off(at + mark.len());
            let before = std::mem::replace(&mut self.held, rest);
            let before = &before[..at];
            match self.within.take() {
                Some((_, Kind::Call)) => {
                    self.call.push_str(before);
                    self.calls.push(std::mem::take(&mut self.call));
                }
                Some((_, Kind::Thought)) => {}
                None if mark.starts_with("</") || mark.starts_with("[/") || mark.starts_with("◁/") => {
                    // What came before were thoughts, unless some were closed already: then it is a stray mark.
                    if !self.seen_any {
                        (self.unopened, revoked) = (true, true);
                        plain.clear();
                        self.assumed = None;
                    } else {
                        self.give(before, &mut plain);
                    }
                }
                None => {
                    self.give(before, &mut plain);
                    self.within = MARKS.iter().find(|(open, ..)| *open == mark).map(|(_, close, _)| (*close, kind));
                }
            }
            self.seen_any |= kind == Kind::Thought;
        }
        self.let_go(&mut plain);
        (plain, revoked)
    }

    /// Text that no mark follows, but for what may be the beginning of one.
    fn let_go(&mut self, plain: &mut String) {
        let keep = self.within.map_or_else(
            || tail_of_mark(&self.held, MARKS.iter().flat_map(|(open, close, _)| [*open, *close])),
            |(close, _)| tail_of_mark(&self.held, std::iter::once(close)),
        );
        let rest = self.held.split_off(self.held.len() - keep);
        let text = std::mem::replace(&mut self.held, rest);
        match self.within {
            None => self.give(&text, plain),
            Some((_, Kind::Call)) if self.call.len() + text.len() <= CALL_BYTES_MAX => self.call.push_str(&text),
            Some(_) => {}
        }
    }

    fn give(&mut self, text: &str, plain: &mut String) {
        match &mut self.assumed {
            Some(kept) if !self.seen_any => {
                if kept.len() + text.len() <= ASSUMED_BYTES_MAX {
                    kept.push_str(text);
                }
            }
            _ => plain.push_str(text),
        }
    }

    /// It is at its end: what is left for the caller.
    pub(super) fn finish(&mut self) -> String {
        let mut plain = self.assumed.take().unwrap_or_default();
        if self.within.is_none() {
            plain.push_str(&std::mem::take(&mut self.held));
        } else if matches!(self.within, Some((_, Kind::Call))) {
            self.call.push_str(&std::mem::take(&mut self.held));
            self.calls.push(std::mem::take(&mut self.call));
        }
        plain
    }
}

/// The first mark of any kind.
fn first_mark(lower: &str) -> Option<(usize, &'static str, Kind)> {
    let all = MARKS.iter().flat_map(|(open, close, kind)| {
        // What closes a call is no mark of its own, and neither is a word of another template.
        let close = (*kind == Kind::Thought && *close != "<|end|>").then_some((*close, *kind));
        std::iter::once((*open, *kind)).chain(close)
    });
    all.filter_map(|(mark, kind)| Some((lower.find(mark)?, mark, kind))).min_by_key(|(at, ..)| *at)
}

/// How many bytes at the end of a text may be the beginning of a mark.
fn tail_of_mark<'a>(text: &str, marks: impl Iterator<Item = &'a str>) -> usize {
    let longest = |mark: &str| {
        let ends = mark.char_indices().map(|(at, _)| at).skip(1);
        ends.filter(|length| {
            text.len() >= *length
                && text.is_char_boundary(text.len() - length)
                && text[text.len() - length..].eq_ignore_ascii_case(&mark[..*length])
        })
        .max()
    };
    marks.filter_map(longest).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, thinks_first: bool) -> (String, Hidden) {
        let by = |size: usize| {
            let mut hidden = Hidden::new(thinks_first);
            let letters: Vec<char> = text.chars().collect();
            let mut plain = String::new();
            for piece in letters.chunks(size) {
                let (more, revoked) = hidden.push(&piece.iter().collect::<String>());
                if revoked {
                    plain.clear();
                }
                plain.push_str(&more);
            }
            plain.push_str(&hidden.finish());
            (plain, hidden)
        };
        let whole = by(text.len().max(1));
        for size in 1..8 {
            assert_eq!(by(size).0, whole.0, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn thoughts_under_any_name_are_no_text() {
        for (text, plain) in [
            ("<think>The caller asks.</think>We open at nine.", "We open at nine."),
            ("<THINK>a</Think>b<think>c</think>d", "bd"),
            ("[THINK]x < y[/THINK]We open.", "We open."),
            ("◁think▷x◁/think▷We open.", "We open."),
            ("<reasoning>x</reasoning>Yes", "Yes"),
            ("<|channel|>analysis<|message|>x<|end|>Yes", "Yes"),
            ("The caller asks.</think>We open at nine.", "We open at nine."),
            ("<think>it never ends", ""),
            ("Is 3 < 5? <b>Yes</b> <thin", "Is 3 < 5? <b>Yes</b> <thin"),
            ("<think></think>", ""),
        ] {
            assert_eq!(read(text, false).0, plain, "{text}");
        }
        assert!(read("a</think>b", false).1.was_unopened() && !read("<think>a</think>b", false).1.was_unopened());
    }

    #[test]
    fn who_thinks_first_is_not_heard_before_and_not_muted_without() {
        assert_eq!(read("The caller asks.</think>We open.", true).0, "We open.");
        assert_eq!(read("We open at nine.", true).0, "We open at nine.");
        assert_eq!(read("<think>x</think>We open.", true).0, "We open.");
    }

    #[test]
    fn tool_calls_that_are_written_out_are_taken_out() {
        let text = "One moment. <tool_call>\n{\"name\": \"end_session\"}\n</tool_call>";
        let (plain, hidden) = read(text, false);
        assert_eq!((plain.trim(), hidden.calls[0].trim()), ("One moment.", "{\"name\": \"end_session\"}"));
        assert_eq!(read("<tool_call>{\"name\": \"a\"}", false).1.calls, ["{\"name\": \"a\"}"]);
    }
}
