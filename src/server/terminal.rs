//! What is printed on a terminal.
//!
//! Names, headers and words come from the network; a terminal obeys some of their characters: it moves its cursor, changes
//! its title, hides lines, turns text round. Invariant: every line that a command prints, and every line of the log, goes
//! through [`printable`].

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// A text without characters that a terminal would obey: they are written as in JSON, `\u001b`, so that a line of JSON
/// stays one that means the same. Line ends are among them: a text is one line.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_obeyed(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(shown, "\\u{unit:04x}");
            });
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Control characters (C0, DEL, C1), line and paragraph separators, what changes the direction of writing or takes no place
/// (Unicode Technical Report 36, section 3.1), and tags.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Prints one line; who reads no further, like `head`, ends the process.
#[allow(clippy::print_stdout)] // the answer to a command
pub fn print(line: &str) {
    if writeln!(io::stdout(), "{}", printable(line)).is_err() {
        std::process::exit(0);
    }
}

/// Prints a text of several lines, like the mistakes of a file, on standard error.
pub fn complain(text: &str) {
    for line in text.lines() {
        let _ = writeln!(io::stderr(), "{}", printable(line));
    }
}

/// Standard error for the log: whole lines, printable. A log that cannot be written (a full disk, a reader that is gone) costs
/// its lines and nothing else: whoever has something to say goes on.
#[derive(Debug, Default, Clone, Copy)]
pub struct PrintableLog;

impl Write for PrintableLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = text.strip_suffix('\n');
        let shown = printable(line.unwrap_or(&text));
        let end = if line.is_some() { "\n" } else { "" };
        // In one piece: two threads' lines never mix.
        let _ = io::stderr().write_all(format!("{shown}{end}").as_bytes());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_not_done() {
        for (text, shown) in [
            ("\u{1b}]0;owned\u{7}", "\\u001b]0;owned\\u0007"),
            ("a\r\nb", "a\\u000d\\u000ab"),
            ("\u{9b}2J and \u{7f}", "\\u009b2J and \\u007f"),
            ("gnp\u{202e}.exe", "gnp\\u202e.exe"),
            ("tag \u{e0041}", "tag \\udb40\\udc41"),
        ] {
            assert_eq!(printable(text), shown);
        }
        for kept in ["Grüße, 你好, مرحبا", "“quoted” – 12 €", "{\"a\": \"\\u001b\"}"] {
            assert!(matches!(printable(kept), Cow::Borrowed(same) if same == kept), "{kept}");
        }
    }

    #[test]
    fn a_line_of_json_means_the_same_afterwards() {
        let line = serde_json::to_string(&serde_json::json!({"a": "x\u{9b}31m\u{202e}\u{e0041}\u{1b}"})).expect("JSON");
        let shown = printable(&line);
        assert!(shown.is_ascii(), "{shown}");
        let value: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(value["a"], "x\u{9b}31m\u{202e}\u{e0041}\u{1b}");
    }
}
