//! Telephone numbers as tenants type them and as SIP carries them.

use std::fmt;

/// A number in digits alone; compares equal with and without `+` and separators. Prints itself redacted: a caller's
/// number is personal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(String);

/// Not a telephone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a telephone number: digits with an optional leading +, blanks, dots, dashes and brackets; 3 to 15 digits"
)]
pub struct MalformedNumber {
    text: String,
}

impl Number {
    /// Reads `+1 (958) 555-0123`, `19585550123` and the like.
    pub fn parse(text: &str) -> Result<Self, MalformedNumber> {
        let malformed = || MalformedNumber { text: text.to_owned() };
        let trimmed = text.trim();
        let rest = trimmed.strip_prefix('+').unwrap_or(trimmed);
        let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
        let separators = rest.chars().all(|c| c.is_ascii_digit() || " ()-.".contains(c));
        if separators && (3..=15).contains(&digits.len()) { Ok(Self(digits)) } else { Err(malformed()) }
    }

    /// With its plus sign, as shown to an agent and written in SIP.
    pub fn e164(&self) -> String {
        format!("+{}", self.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number(…{})", &self.0[self.0.len() - 2..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_spellings_are_one_number() {
        let number = Number::parse("+1 (958) 555-0123").expect("good");
        for other in ["19585550123", "+19585550123", "1.958.555.0123"] {
            assert_eq!(Number::parse(other).expect("good"), number);
        }
        assert_eq!((number.e164().as_str(), format!("{number:?}").as_str()), ("+19585550123", "Number(…23)"));
        for bad in ["", "anonymous", "+", "12", "1234567890123456", "1+2345"] {
            assert!(Number::parse(bad).is_err(), "{bad}");
        }
    }
}
