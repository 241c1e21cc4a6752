//! A text as synthesizers take it: SSML 1.1 as people and language models write it, made well-formed; or its words alone.
//!
//! What is a tag is decided by [`markup::tag`]: `3 < 5`, `AT&T` and `<ada@example.com>` are words. Elements of SSML and of
//! vendors (`amazon:effect`) are kept; of all others the contents stay. Invariant: whatever came in, what is written is
//! well-formed: what is opened is closed, in order; attributes are quoted and there once; no character that XML forbids.

use std::time::Duration;

use crate::markup::{self, Tag, TagKind, entity};

/// Most elements inside each other; deeper ones are left out.
const DEPTH_MAX: usize = 32;
/// The longest pause that a break may make.
pub(crate) const BREAK_MAX: Duration = Duration::from_secs(10);

/// Elements of SSML 1.1 and of the services that speak it, beside those with a prefix.
const ELEMENTS: [&str; 23] = [
    "audio",
    "break",
    "desc",
    "emphasis",
    "express-as",
    "lang",
    "lexicon",
    "lookup",
    "mark",
    "meta",
    "metadata",
    "p",
    "paragraph",
    "phoneme",
    "prosody",
    "s",
    "say-as",
    "sentence",
    "sub",
    "token",
    "voice",
    "voice-transformation",
    "w",
];
/// Those without contents.
const EMPTY: [&str; 4] = ["break", "lexicon", "mark", "meta"];
/// Those whose contents nobody hears.
const UNHEARD: [&str; 2] = ["desc", "metadata"];
/// Where one of these stands, two words are two; some are of HTML.
const APART: [&str; 13] = ["br", "break", "div", "h1", "h2", "h3", "hr", "li", "p", "paragraph", "s", "sentence", "tr"];
/// The pause of a break without a time.
const BREAK: Duration = Duration::from_millis(500);

/// A text in pieces.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Ssml {
    /// The attributes of the document's element, if the text was one.
    root: Option<String>,
    pieces: Vec<Piece>,
}

/// Words, or a tag.
#[derive(Clone, PartialEq, Eq)]
enum Piece {
    /// What is said, without entities.
    Words(String),
    /// An element begins.
    Open(Element),
    /// The element that was opened last ends.
    Close {
        /// Its name.
        name: String,
    },
    /// An element without contents.
    Empty(Element),
}

/// The name of an element and its attributes as they are written: ` rate="slow"`.
#[derive(Clone, PartialEq, Eq)]
struct Element {
    name: String,
    attributes: String,
}

impl Element {
    /// The value of an attribute, without entities.
    fn attribute(&self, name: &str) -> Option<String> {
        let (_, rest) = self.attributes.split_once(&format!(" {name}=\""))?;
        Some(decoded(rest.split('"').next()?))
    }
}

impl Piece {
    /// As it is written.
    fn write(&self, out: &mut String) {
        match self {
            Self::Words(words) => words.chars().for_each(|c| write_escaped(c, out)),
            Self::Open(Element { name, attributes }) => out.extend(["<", name, attributes, ">"]),
            Self::Close { name } => out.extend(["</", name, ">"]),
            Self::Empty(Element { name, attributes }) => out.extend(["<", name, attributes, "/>"]),
        }
    }
}

/// Words as XML writes them.
pub fn escaped(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    words.chars().for_each(|c| write_escaped(c, &mut out));
    out
}

/// A character of words as XML writes it.
fn write_escaped(c: char, out: &mut String) {
    match c {
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '&' => out.push_str("&amp;"),
        c => out.push(c),
    }
}

impl Ssml {
    /// Reads a text. Never fails: what is no markup is words.
    pub fn read(text: &str) -> Self {
        let mut reader = Reader::default();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let read = match c {
                '<' => reader.tag(rest),
                '&' => entity(rest).map(|(c, length)| {
                    reader.word(c);
                    length
                }),
                _ => None,
            };
            let length = read.unwrap_or_else(|| {
                reader.word(c);
                c.len_utf8()
            });
            rest = &rest[length..];
        }
        reader.finish()
    }

    /// Whether there is any markup.
    pub fn has_tags(&self) -> bool {
        self.root.is_some() || self.pieces.iter().any(|piece| !matches!(piece, Piece::Words(_)))
    }

    /// A well-formed document: `<speak>…</speak>`.
    pub fn document(&self) -> String {
        let mut out = format!("<speak{}>", self.root.as_deref().unwrap_or_default());
        self.pieces.iter().for_each(|piece| piece.write(&mut out));
        out.push_str("</speak>");
        out
    }

    /// The same without the document's element where there was none, for services that take fragments.
    pub fn fragment(&self) -> String {
        if self.root.is_some() {
            return self.document();
        }
        let mut out = String::new();
        self.pieces.iter().for_each(|piece| piece.write(&mut out));
        out
    }

    /// The words, as a voice says them that knows no markup: of a substitution its alias.
    pub fn spoken(&self) -> String {
        let mut out = String::new();
        let mut hidden: Vec<bool> = vec![];
        let apart = |name: &str, out: &mut String| {
            if APART.contains(&name) && !out.is_empty() && !out.ends_with(char::is_whitespace) {
                out.push(' ');
            }
        };
        for piece in &self.pieces {
            let inside = hidden.last().copied().unwrap_or(false);
            match piece {
                Piece::Words(_) if inside => {}
                Piece::Words(words) => {
                    out.push_str(if out.ends_with(' ') { words.trim_start_matches(' ') } else { words });
                }
                Piece::Open(element) => {
                    apart(&element.name, &mut out);
                    let alias = element.attribute("alias").filter(|_| element.name == "sub" && !inside);
                    hidden.push(inside || alias.is_some() || UNHEARD.contains(&element.name.as_str()));
                    out.push_str(&alias.unwrap_or_default());
                }
                Piece::Close { name } => {
                    hidden.pop();
                    apart(name, &mut out);
                }
                Piece::Empty(element) => apart(&element.name, &mut out),
            }
        }
        out
    }

    /// Whether a voice has anything to say: signs and emoji alone are nothing.
    pub fn says_something(&self) -> bool {
        let phonemes = |piece: &Piece| match piece {
            Piece::Open(element) => element.name == "phoneme" && element.attribute("ph").is_some(),
            _ => false,
        };
        self.spoken().chars().any(char::is_alphanumeric) || self.pieces.iter().any(phonemes)
    }

    /// The breaks together.
    pub fn pauses(&self) -> Duration {
        let pause = |piece: &Piece| match piece {
            Piece::Empty(element) if element.name == "break" => Some(read_time(element.attribute("time").as_deref())),
            _ => None,
        };
        self.pieces.iter().filter_map(pause).sum::<Duration>().min(BREAK_MAX)
    }
}

/// It never shows words.
impl std::fmt::Debug for Ssml {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ssml({} pieces)", self.pieces.len())
    }
}

/// `250ms`, `1.5s`.
fn read_time(time: Option<&str>) -> Duration {
    let read = |time: &str| {
        let (number, scale) = match time.strip_suffix("ms") {
            Some(number) => (number, 0.001),
            None => (time.strip_suffix('s')?, 1.0),
        };
        Duration::try_from_secs_f64(number.trim().parse::<f64>().ok()? * scale).ok()
    };
    time.and_then(|time| read(time.trim())).unwrap_or(BREAK).min(BREAK_MAX)
}

/// Builds pieces that are well-formed.
#[derive(Default)]
struct Reader {
    ssml: Ssml,
    open: Vec<String>,
}

impl Reader {
    fn word(&mut self, c: char) {
        // U+202A to U+202E and U+2066 to U+2069 turn lines around, the others have no width; XML forbids the rest.
        let c = match c {
            '\t' | '\n' | '\r' => c,
            '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => return,
            '\u{fffe}' | '\u{ffff}' => ' ',
            c if c.is_control() => ' ',
            c => c,
        };
        match self.ssml.pieces.last_mut() {
            Some(Piece::Words(words)) => words.push(c),
            _ => self.ssml.pieces.push(Piece::Words(c.to_string())),
        }
    }

    /// Takes the tag that a text begins with: the bytes it has, if it is one.
    fn tag(&mut self, text: &str) -> Option<usize> {
        let Some(tag) = markup::tag(text) else {
            // A text that was cut off inside a tag ends before it.
            return is_cut_off(text).then_some(text.len());
        };
        if let Some(words) = tag.text.strip_prefix("<![CDATA[") {
            words.trim_end_matches("]]>").chars().for_each(|c| self.word(c));
        }
        match tag.kind {
            TagKind::Aside => {}
            TagKind::Closes => self.close(tag.name),
            TagKind::Opens | TagKind::Empty => self.begin(&tag),
        }
        Some(tag.text.len())
    }

    fn begin(&mut self, tag: &Tag<'_>) {
        if tag.name == "speak" {
            self.ssml.root.get_or_insert_with(|| attributes(tag));
            return;
        }
        if !is_element(tag.name) {
            return self.separate(tag.name);
        }
        let empty = tag.kind == TagKind::Empty || EMPTY.contains(&tag.name);
        let element = Element { name: tag.name.to_owned(), attributes: attributes(tag) };
        if empty {
            self.ssml.pieces.push(Piece::Empty(element));
        } else if self.open.len() < DEPTH_MAX {
            self.open.push(tag.name.to_owned());
            self.ssml.pieces.push(Piece::Open(element));
        }
    }

    /// Closes an element and those that were opened inside it and never closed; one that is not open is nothing.
    fn close(&mut self, name: &str) {
        if !is_element(name) {
            return self.separate(name);
        }
        let Some(at) = self.open.iter().rposition(|open| open == name) else { return };
        let closed = self.open.drain(at..).rev().map(|name| Piece::Close { name });
        self.ssml.pieces.extend(closed);
    }

    /// A tag that is dropped keeps words apart where it would.
    fn separate(&mut self, name: &str) {
        if APART.contains(&name) {
            self.word(' ');
        }
    }

    fn finish(mut self) -> Ssml {
        self.ssml.pieces.extend(self.open.drain(..).rev().map(|name| Piece::Close { name }));
        self.ssml
    }
}

/// Whether a text is the beginning of a tag of ours.
fn is_cut_off(text: &str) -> bool {
    if text.len() > markup::TAG_BYTES_MAX {
        return false;
    }
    let inside = text[1..].trim_start_matches('/');
    let name = inside.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
    !inside.contains(['<', '>']) && (is_element(name) || name == "speak")
}

/// The attributes of a tag, each quoted, each once.
fn attributes(tag: &Tag<'_>) -> String {
    let inside = tag.text[1 + tag.name.len()..].trim_end_matches('>');
    let mut rest = inside.trim_end_matches('/').trim_start();
    let (mut out, mut names) = (String::new(), Vec::<&str>::new());
    while let Some((name, value)) = rest.split_once('=') {
        let (name, value) = (name.trim(), value.trim_start());
        let end = |quote: char| value[1..].find(quote).map_or(value.len(), |end| 1 + end);
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => (value.get(1..end(quote)), value.get(end(quote) + 1..)),
            _ => {
                let end = value.find(char::is_whitespace).unwrap_or(value.len());
                (value.get(..end), value.get(end..))
            }
        };
        rest = after.unwrap_or_default().trim_start();
        let good = name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.contains('@');
        if good && !names.contains(&name) {
            names.push(name);
            out.extend([" ", name, "=\"", &quoted(value.unwrap_or_default()), "\""]);
        }
    }
    out
}

fn is_element(name: &str) -> bool {
    ELEMENTS.contains(&name) || (name.contains(':') && !name.starts_with(':') && !name.ends_with(':'))
}

/// An attribute's value as XML wants it.
fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in decoded(value).chars().filter(|c| !c.is_control()) {
        match c {
            '"' => out.push_str("&quot;"),
            c => write_escaped(c, &mut out),
        }
    }
    out
}

/// Without entities.
fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(c) = rest.chars().next() {
        let (c, length) = entity(rest).filter(|_| c == '&').unwrap_or((c, c.len_utf8()));
        out.push(c);
        rest = &rest[length..];
    }
    out
}

#[cfg(test)]
mod tests;
