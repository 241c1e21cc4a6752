//! A text as it is said: without the signs that lay it out.
//!
//! Invariant: signs that say something stay ("5 * 3", "press *67", `snake_case`, "#1"); line ends that stood for pauses
//! become ends of sentences.

use std::borrow::Cow;

use crate::markup;

/// Markdown and markup taken away, for what never was meant for a voice: results of a search, what a language model says.
pub fn of_page(text: &str) -> String {
    of_markdown(&markup::without(text))
}

/// The signs of Markdown that are ASCII.
static IS_SIGN: [bool; 256] = {
    let (mut is_sign, signs, mut n) = ([false; 256], b"*_`~[#>|\n\\-+", 0);
    while n < signs.len() {
        is_sign[signs[n] as usize] = true;
        n += 1;
    }
    is_sign
};

/// Markdown taken away; SSML stays.
pub(crate) fn of_markdown(text: &str) -> String {
    let has_signs = text.bytes().any(|byte| IS_SIGN[usize::from(byte)])
        || !text.is_ascii() && text.contains(|c| c == '•' || is_picture(c));
    if !has_signs && !text.contains("://") && !text.contains("www.") {
        return text.trim().to_owned();
    }
    let mut said: Vec<String> = vec![];
    for line in text.lines() {
        let line = inline(block(line));
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        // A line of a list, a heading: a pause after it.
        if let Some(before) = said.last_mut()
            && before.ends_with(|c: char| c.is_alphanumeric() || ")\"'”’%€$£".contains(c))
        {
            before.push('.');
        }
        said.push(line.to_owned());
    }
    said.join(" ")
}

/// A line without the sign of its kind: heading, item, quotation, fence, rule, row of a table.
fn block(line: &str) -> Cow<'_, str> {
    let mut line = line.trim();
    while let Some(quoted) = line.strip_prefix('>').filter(|quoted| quoted.is_empty() || quoted.starts_with([' ', '>']))
    {
        line = quoted.trim_start();
    }
    if line.starts_with("```") || line.starts_with("~~~") || is_rule(line) {
        return Cow::Borrowed("");
    }
    let heading = line.trim_start_matches('#');
    if heading.len() < line.len() && line.len() - heading.len() <= 6 && heading.starts_with(' ') {
        return Cow::Borrowed(heading.trim().trim_end_matches('#').trim_end());
    }
    for sign in ["- ", "* ", "+ ", "• "] {
        if let Some(item) = line.strip_prefix(sign) {
            let item = item.trim_start();
            let item = ["[ ] ", "[x] ", "[X] "].iter().find_map(|tick| item.strip_prefix(tick)).unwrap_or(item);
            return Cow::Borrowed(item);
        }
    }
    if line.len() > 1 && line.starts_with('|') && line.ends_with('|') {
        let cells = line.trim_matches('|').split('|').map(str::trim).filter(|cell| !cell.is_empty());
        return Cow::Owned(cells.collect::<Vec<_>>().join(", "));
    }
    Cow::Borrowed(line)
}

/// `---`, `***`, `| --- | :-: |`
fn is_rule(line: &str) -> bool {
    let signs = line.chars().filter(|c| "-*_=".contains(*c)).count();
    signs >= 3 && line.chars().all(|c| "-*_=|: ".contains(c))
}

/// A line without emphasis, links, pictures and code signs.
fn inline(line: Cow<'_, str>) -> String {
    let mut said = String::with_capacity(line.len());
    let mut rest: &str = &line;
    let mut before: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        let begins = before.is_none_or(|before| !before.is_alphanumeric());
        let (written, length) = match c {
            c if is_picture(c) || (c == JOINER && before.is_some_and(is_picture)) => {
                let spaced = said.is_empty() || said.ends_with(' ');
                let after = &rest[c.len_utf8()..];
                (String::new(), rest.len() - if spaced { after.trim_start_matches(' ').len() } else { after.len() })
            }
            'h' | 'H' | 'w' | 'W' if begins && let Some((host, length)) = host(rest) => (host.to_owned(), length),
            '<' => match (markup::tag(rest), address(rest)) {
                (Some(tag), _) => (tag.text.to_owned(), tag.text.len()),
                (None, Some(address)) => {
                    (host(address).map_or(address, |(host, _)| host).to_owned(), address.len() + 2)
                }
                (None, None) => ("<".to_owned(), 1),
            },
            '\\' if rest[1..].starts_with(|next: char| next.is_ascii_punctuation()) => (rest[1..2].to_owned(), 2),
            '!' if rest.starts_with("![") => link(&rest[1..]).map_or(("!".into(), 1), |(text, n)| (text, n + 1)),
            '[' => link(rest).unwrap_or(("[".into(), 1)),
            '`' => (String::new(), rest.len() - rest.trim_start_matches('`').len()),
            '*' | '_' | '~' => emphasis(rest, c, before),
            _ => (c.to_string(), c.len_utf8()),
        };
        said.push_str(&written);
        before = rest[..length].chars().next_back();
        rest = &rest[length..];
    }
    said
}

/// What is said of a row of signs, and its length: nothing if it begins or ends an emphasis.
fn emphasis(rest: &str, sign: char, before: Option<char>) -> (String, usize) {
    let length = rest.len() - rest.trim_start_matches(sign).len();
    let (after, same) = (rest[length..].chars().next(), &rest[..length]);
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let space = |c: Option<char>| c.is_none_or(char::is_whitespace);
    // Among letters it is part of a word; between spaces it is a sign that is meant.
    let inside = sign == '_' && word(before) && word(after);
    let alone = space(before) && space(after);
    let paired = match (sign, length) {
        ('*' | '_' | '~', 2..=3) => true,
        // A single sign needs its fellow: one that opens before letters, one that closes after them.
        ('*' | '_', 1) if space(before) || !word(before) => {
            after.is_some_and(|c| c.is_alphabetic() || "*_".contains(c)) && closes_later(&rest[1..], sign)
        }
        ('*' | '_', 1) => !word(after) && sign != '~' && !after.is_some_and(|c| c.is_ascii_digit()),
        _ => false,
    };
    if paired && !inside && !alone { (String::new(), length) } else { (same.to_owned(), length) }
}

/// Whether a sign follows that stands at the end of a word.
fn closes_later(rest: &str, sign: char) -> bool {
    let mut before = ' ';
    for (at, c) in rest.char_indices().take(EMPHASIS_CHARACTERS_MAX) {
        let after = rest[at + c.len_utf8()..].chars().next();
        if c == sign && !before.is_whitespace() && !after.is_some_and(char::is_alphanumeric) {
            return true;
        }
        before = c;
    }
    false
}

/// The words of `[words](address)` or `[words][name]`, and the length of all.
fn link(rest: &str) -> Option<(String, usize)> {
    let end = matching(rest, '[', ']')?;
    let words = &rest[1..end];
    let after = &rest[end + 1..];
    let tail = match after.chars().next()? {
        '(' => matching(after, '(', ')')?,
        '[' => matching(after, '[', ']')?,
        _ => return None,
    };
    Some((inline(Cow::Borrowed(words.get(..LINK_BYTES_MAX).unwrap_or(words))), end + 1 + tail + 1))
}

/// Most characters between a sign and its fellow.
const EMPHASIS_CHARACTERS_MAX: usize = 500;
/// Most bytes of the words of a link.
const LINK_BYTES_MAX: usize = 500;

/// Where the bracket closes that a text begins with.
fn matching(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices().take(LINK_BYTES_MAX * 4) {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
        }
        match depth {
            0 => return Some(at),
            1..=8 => {}
            _ => return None,
        }
    }
    None
}

/// The address in `<https://example.com>`.
fn address(rest: &str) -> Option<&str> {
    let end = rest.bytes().take(LINK_BYTES_MAX).position(|byte| byte == b'>')?;
    let inside = &rest[1..end];
    let known = ["http://", "https://", "mailto:"].iter().any(|scheme| inside.starts_with(scheme));
    (known && !inside.contains(char::is_whitespace)).then_some(inside)
}

/// Holds the parts of an emoji together; in other scripts it belongs to a word.
const JOINER: char = '\u{200d}';

/// The host of the web address that a text begins with, which is all of it that is said, and the length of the address.
fn host(rest: &str) -> Option<(&str, usize)> {
    let lower = rest.get(..rest.len().min("https://".len()))?.to_ascii_lowercase();
    let scheme = ["https://", "http://", "www."].into_iter().find(|scheme| lower.starts_with(scheme))?;
    // Without a name it is none, and its end is not looked for: of many that would take long.
    let named = rest[scheme.len()..].trim_start_matches("www.");
    named.chars().next().filter(|c| c.is_alphanumeric())?;
    let end = rest.find(|c: char| c.is_whitespace() || "<>\"*`|)]".contains(c)).unwrap_or(rest.len());
    let address = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '_', '\'']);
    let host = address.get(scheme.len()..)?.split(['/', '?', '#', ':']).next()?;
    let host = host.strip_prefix("www.").unwrap_or(host);
    (!host.is_empty()).then_some((host, address.len()))
}

/// Emoji and what belongs to them, arrows, boxes and marks: signs for the eye.
fn is_picture(c: char) -> bool {
    matches!(u32::from(c),
        0x1F000..=0x1FAFF | 0x2190..=0x21FF | 0x2300..=0x23FF | 0x2500..=0x27BF | 0x2B00..=0x2BFF
        | 0xFE0E | 0xFE0F | 0x20E3 | 0xE0020..=0xE007F | 0x3030)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lays_a_text_out_is_not_said() {
        for (text, said) in [
            (
                "**Hours**\n\n- Mon–Fri: `9–17`\n- see [our page](https://example.com/h)",
                "Hours. Mon–Fri: 9–17. see our page",
            ),
            ("# Opening hours #\nWe *open* at __nine__.", "Opening hours. We open at nine."),
            ("1. First\n2. Second", "1. First. 2. Second"),
            ("> quoted\n> > twice", "quoted. twice"),
            ("| Day | Hours |\n|---|:-:|\n| Mon | 9 |", "Day, Hours. Mon, 9"),
            ("```json\nvalue\n```", "value"),
            ("![a cat](x.png) and ~~old~~ [new][1]", "a cat and old new"),
            ("\\*not so\\*", "*not so*"),
            ("**Bold over. Two", "Bold over. Two"),
            ("see <https://example.com>", "see example.com"),
            ("Look at https://www.example.com/a?b=c#d.", "Look at example.com."),
            ("**[www.acme.example/x](http://acme.example)**, please", "acme.example, please"),
            ("Good 👍🏽 day 👩\u{200d}👩\u{200d}👧 to 🇩🇪 you ☎️ 1️⃣ ✅", "Good day to you 1"),
            ("👋 Hello → there", "Hello there"),
        ] {
            assert_eq!(of_markdown(text), said, "{text}");
        }
    }

    #[test]
    fn signs_that_say_something_stay() {
        for text in [
            "5 * 3 is 15",
            "press *67 or #",
            "my_file_name",
            "a - b",
            "#1 in town",
            "press * or #",
            "2*3*4",
            "C++ and C#",
            "a [b] c",
            "e.g. -5 degrees",
            "<speak>a <break time='1s'/> b</speak>",
            "~5 minutes",
            "a > b",
            "_",
        ] {
            assert_eq!(of_markdown(text), text);
        }
    }

    #[test]
    fn of_a_page_neither_markdown_nor_markup_is_said() {
        assert_eq!(of_page("<p>We <em>open</em> at **nine**.</p><p>AT&amp;T</p>"), "We open at nine. AT&T");
    }

    #[test]
    fn no_text_takes_long_or_panics() {
        for text in ["[", "![", "*", "_a", "<", "`", "\\", "[a](", "é*", "> "] {
            of_page(&text.repeat(5000));
        }
        // As much as a reply may hold.
        of_page(&"www.?".repeat(100_000));
    }
}
