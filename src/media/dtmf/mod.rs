//! Digits: the keys of a telephone, and how they travel.

pub mod rfc4733;

use std::fmt;

/// A DTMF digit: `0`–`9`, `*`, `#`, `A`–`D`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digit(char);

impl Digit {
    /// The digit of an event code (RFC 4733 table 3); `None` above 15.
    pub fn from_event(code: u8) -> Option<Self> {
        b"0123456789*#ABCD".get(code as usize).map(|c| Self(*c as char))
    }

    /// The digit of a character.
    pub fn from_char(c: char) -> Option<Self> {
        let c = c.to_ascii_uppercase();
        "0123456789*#ABCD".contains(c).then_some(Self(c))
    }

    /// Its character.
    pub fn as_char(self) -> char {
        self.0
    }

    /// Its event code.
    pub fn event(self) -> u8 {
        b"0123456789*#ABCD".iter().position(|c| *c as char == self.0).unwrap_or(0) as u8
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
