//! Digits: the digits of a telephone, and how they travel.

pub mod in_band;
pub mod rfc4733;
pub mod two_ways;

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

impl Digit {
    /// The two frequencies of its tone (ITU-T Q.23): row and column.
    pub fn tone_hz(self) -> (f64, f64) {
        let at = "123A456B789C*0#D".find(self.0).unwrap_or(0);
        ([697.0, 770.0, 852.0, 941.0][at / 4], [1209.0, 1336.0, 1477.0, 1633.0][at % 4])
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
