//! What is printed on a terminal.
//!
//! Names, headers and words come from the network; a terminal obeys some of their characters: it moves its cursor, changes
//! its title, hides lines, turns text round. Invariant: every line that a command prints, and every line of the log, goes
//! through [`printable`].

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A text without characters that a terminal would obey: they are written as in JSON, `\u001b`, so that a line of JSON
/// stays one that means the same. Line ends are among them: a text is one line.
pub fn printable(text: &str) -> Cow<'_, str> {
    // Nothing of ASCII but its control characters is.
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if plain || !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_obeyed(c) {
            escape(c, &mut shown);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The same in ASCII alone: to a terminal of another character set than UTF-8 the bytes of other characters are others, and
/// some of them orders.
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return printable(text);
    }
    let mut shown = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        match c {
            _ if is_obeyed(c) || !c.is_ascii() => escape(c, &mut shown),
            _ => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

fn escape(c: char, shown: &mut String) {
    c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
        let _ = write!(shown, "\\u{unit:04x}");
    });
}

/// Whether a locale says that its terminal has another character set than UTF-8. One that says nothing may be any.
fn is_foreign(locale: Option<&str>) -> bool {
    let locale = locale.unwrap_or_default().to_lowercase();
    !locale.is_empty() && !locale.contains("utf-8") && !locale.contains("utf8")
}

/// The locale of characters (POSIX: the first of these that is set and not empty).
fn locale() -> Option<String> {
    ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// A text as standard output shows it.
pub fn shown(text: &str) -> Cow<'_, str> {
    static ASCII: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal() && is_foreign(locale().as_deref()));
    if *ASCII { plain(text) } else { printable(text) }
}

/// Lines with their columns one below the other, as wide as what stands in them (`most` cells at most: the rest is cut off),
/// the last as it is. Wide characters take two cells, combining ones none.
pub fn table<const N: usize>(rows: &[[String; N]], most: usize) -> Vec<String> {
    let rows: Vec<[String; N]> =
        rows.iter().map(|row| std::array::from_fn(|n| cut(&shown(&row[n]), n + 1 < N, most))).collect();
    let widths: [usize; N] = std::array::from_fn(|n| rows.iter().map(|row| row[n].width()).max().unwrap_or_default());
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (n, cell) in row.iter().enumerate() {
            let pad = if n + 1 < N { widths[n] - cell.width() + 2 } else { 0 };
            let _ = write!(line, "{cell}{}", " ".repeat(pad));
        }
        line
    };
    rows.iter().map(line).collect()
}

/// As much of a cell as fits, and `~` if that is not all.
fn cut(cell: &str, may_be: bool, most: usize) -> String {
    if !may_be || cell.width() <= most {
        return cell.to_owned();
    }
    let mut width = 0;
    let fits = cell.chars().take_while(|c| {
        width += c.width().unwrap_or_default();
        width < most
    });
    fits.collect::<String>() + "~"
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

/// Prints one line.
pub fn print(line: &str) {
    if let Err(error) = writeln!(io::stdout(), "{}", shown(line)) {
        lost(&error);
    }
}

/// An answer could not be written: the process ends. Who reads no further, like `head`, is told nothing; whoever asked and
/// gets no answer, on a full disk for instance, is told why.
pub fn lost(error: &io::Error) -> ! {
    if error.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    complain(&format!("bellhop: standard output cannot be written: {error}"));
    std::process::exit(1);
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
    fn another_character_set_than_utf_8_gets_ascii_alone() {
        assert_eq!(plain("Grüße 你 \u{1f600}"), "Gr\\u00fc\\u00dfe \\u4f60 \\ud83d\\ude00");
        // 0x9b, the second byte of this letter, begins an order in Latin 1.
        assert_eq!(plain("\u{db}2J\u{1b}"), "\\u00db2J\\u001b");
        for (locale, foreign) in [
            (None, false),
            (Some("en_US.UTF-8"), false),
            (Some("C.utf8"), false),
            (Some("C"), true),
            (Some("POSIX"), true),
            (Some("de_DE.ISO-8859-1"), true),
            (Some("de_DE@euro"), true),
        ] {
            assert_eq!(is_foreign(locale), foreign, "{locale:?}");
        }
    }

    #[test]
    fn columns_stay_below_each_other_whatever_stands_in_them() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [
            row(["tenant", "from", "session"]),
            row(["Müller", "+18005550123", "a b"]),
            row(["你好银行", "e\u{301}a", "c"]),
            row(["\u{1f600}", "\u{1b}[2J\n", "d"]),
            row(["بنك", "anonymous", "e"]),
            row(["x", &"你".repeat(40), &"long".repeat(40)]),
        ];
        let lines = table(&rows, 20);
        let third = |line: &str, begins: &str| line[..line.find(begins).expect("there")].width();
        for (line, begins) in lines.iter().zip(["session", "a b", "c", "d", "e", "longlong"]) {
            // The last one of its kind: `e` stands in others too.
            let at = line.rfind(begins).map(|at| line[..at].width());
            let at = if begins == "longlong" { Some(third(line, begins)) } else { at };
            assert_eq!(at, Some(31), "{line}");
            assert!(!line.contains('\u{1b}') && !line.contains('\n'), "{line}");
        }
        assert!(lines[5].contains("你~") && lines[5].ends_with(&"long".repeat(40)), "{}", lines[5]);
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
