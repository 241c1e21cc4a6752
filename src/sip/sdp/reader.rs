//! Reads session descriptions (RFC 8866) for what an audio stream needs: `m=`, `c=` and `a=` lines.
//!
//! Everything else is left out unread, as it changes nothing for us: origins with negative numbers, names in Latin-1, times
//! and bandwidths of any shape. Blanks at the ends of lines, tabs, several blanks and capital letters make no difference.
//! Invariant: a line that is needed and cannot be read is known by its number and text ([`Line`]), so that whoever wrote it
//! can be told.

use std::fmt;

use crate::message::params::number;

/// Most lines read of one description; the rest is left out.
const LINES_MAX: usize = 1024;
/// Most formats read of one stream: as many as there are payload types. Whoever repeats them has us look through every
/// attribute for each.
const FORMATS_MAX: usize = 128;
/// Characters of a line that are told back.
const TOLD_MAX: usize = 80;

/// A line of a description that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// Its text, without what would not fit in a quoted string, and not longer than a header should be.
    pub text: String,
}

impl Line {
    fn new(number: usize, text: &str) -> Self {
        let text = text.chars().filter(|c| !c.is_control() && !"\"\\".contains(*c)).take(TOLD_MAX).collect();
        Self { number, text }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.text)
    }
}

/// A description as far as it matters.
#[derive(Debug, Clone, Default)]
pub(super) struct Description {
    pub(super) session: Level,
    pub(super) streams: Vec<Stream>,
}

/// What the session or one stream says.
#[derive(Debug, Clone, Default)]
pub(super) struct Level {
    /// The host of the c-line; `Err` with the line if there is one that cannot be read.
    pub(super) connection: Option<Result<String, Line>>,
    attributes: Vec<(String, String)>,
}

/// One m-line and what belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    /// The kind of media as it was written.
    pub(super) kind: String,
    /// The port; `None` if it cannot be read.
    pub(super) port: Option<u16>,
    /// The profile as it was written.
    pub(super) profile: String,
    /// The formats, one word each.
    pub(super) formats: Vec<String>,
    pub(super) level: Level,
    pub(super) line: Line,
}

impl Level {
    /// The first value of an attribute; empty for a flag.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of an attribute.
    pub(super) fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.attributes.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The names of all attributes.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|(name, _)| name.as_str())
    }
}

impl Stream {
    fn read(line: Line, value: &str) -> Self {
        let mut words = value.split_whitespace();
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (kind, port, profile) = (word(), word(), word());
        // A number of ports may stand behind the port.
        let port = number(port.split('/').next().unwrap_or_default());
        let formats = words.take(FORMATS_MAX).map(str::to_owned).collect();
        Self { kind, port, profile, formats, level: Level::default(), line }
    }

    /// Whether the m-line says everything that it has to.
    pub(super) fn is_readable(&self) -> bool {
        self.port.is_some() && !self.formats.is_empty()
    }
}

/// Reads a description. `None` for what is none: nothing in it begins with `v=`.
pub(super) fn read(bytes: &[u8]) -> Option<Description> {
    let text = String::from_utf8_lossy(bytes);
    // One of them ends a line on every system that ever wrote one; CRLF makes an empty line more, which is left out.
    let lines = text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r')).enumerate();
    let mut description = Description::default();
    let mut is_one = false;
    for (n, line) in lines.take(LINES_MAX) {
        let line = line.trim();
        let Some((kind, value)) = line.split_once('=') else { continue };
        let here = || Line::new(n + 1, line);
        let level = match description.streams.last_mut() {
            Some(stream) => &mut stream.level,
            None => &mut description.session,
        };
        match kind.trim().to_ascii_lowercase().as_str() {
            "v" => is_one = true,
            "m" => description.streams.push(Stream::read(here(), value)),
            "c" if !matches!(level.connection, Some(Ok(_))) => {
                level.connection = Some(connection(value).ok_or_else(here));
            }
            "a" => {
                let (name, value) = value.split_once(':').unwrap_or((value, ""));
                level.attributes.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            _ => {}
        }
    }
    is_one.then_some(description)
}

/// The host of `IN IP4 host/ttl`.
fn connection(value: &str) -> Option<String> {
    let host = value.split_whitespace().nth(2)?.split('/').next()?;
    (!host.is_empty()).then(|| host.to_owned())
}
