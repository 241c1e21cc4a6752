//! The branches of an action: conditions that hold, and errors.
//!
//! Invariant: a word that is not known here is kept as it was.

/// Where an action goes on if something holds of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How the value is compared.
    pub operator: Operator,
    /// With what: the language wants exactly one.
    pub operands: Vec<String>,
    /// Where it goes on.
    pub next: String,
}

/// How a value is compared: a text letter by letter, in its case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// It is the operand.
    Equals,
    /// It has the operand in it.
    TextContains,
    /// It begins with the operand.
    TextStartsWith,
    /// It ends with the operand.
    TextEndsWith,
    /// As a number it is more than the operand.
    NumberGreaterThan,
    /// As a number it is the operand or more.
    NumberGreaterOrEqualTo,
    /// As a number it is less than the operand.
    NumberLessThan,
    /// As a number it is the operand or less.
    NumberLessOrEqualTo,
    /// Any other.
    Other(String),
}

impl Operator {
    /// Those with a name of their own.
    const KNOWN: [Self; 8] = [
        Self::Equals,
        Self::TextContains,
        Self::TextStartsWith,
        Self::TextEndsWith,
        Self::NumberGreaterThan,
        Self::NumberGreaterOrEqualTo,
        Self::NumberLessThan,
        Self::NumberLessOrEqualTo,
    ];

    /// Its name in the flow language.
    pub fn name(&self) -> &str {
        match self {
            Self::Equals => "Equals",
            Self::TextContains => "TextContains",
            Self::TextStartsWith => "TextStartsWith",
            Self::TextEndsWith => "TextEndsWith",
            Self::NumberGreaterThan => "NumberGreaterThan",
            Self::NumberGreaterOrEqualTo => "NumberGreaterOrEqualTo",
            Self::NumberLessThan => "NumberLessThan",
            Self::NumberLessOrEqualTo => "NumberLessOrEqualTo",
            Self::Other(name) => name,
        }
    }

    /// The one of this name.
    pub fn of(name: &str) -> Self {
        Self::KNOWN.into_iter().find(|known| known.name() == name).unwrap_or_else(|| Self::Other(name.to_owned()))
    }

    /// Whether it holds; `None` of one that is not known.
    pub fn holds(&self, value: &str, operand: &str) -> Option<bool> {
        let numbers = || value.trim().parse::<f64>().ok().zip(operand.trim().parse::<f64>().ok());
        let compared = |holds: fn(f64, f64) -> bool| Some(numbers().is_some_and(|(value, other)| holds(value, other)));
        match self {
            Self::Equals => Some(value == operand),
            Self::TextContains => Some(value.contains(operand)),
            Self::TextStartsWith => Some(value.starts_with(operand)),
            Self::TextEndsWith => Some(value.ends_with(operand)),
            Self::NumberGreaterThan => compared(|value, other| value > other),
            Self::NumberGreaterOrEqualTo => compared(|value, other| value >= other),
            Self::NumberLessThan => compared(|value, other| value < other),
            Self::NumberLessOrEqualTo => compared(|value, other| value <= other),
            Self::Other(_) => None,
        }
    }
}

/// Where an action leads when something went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorBranch {
    /// What.
    pub error: ErrorType,
    /// Where.
    pub next: String,
}

/// What may go wrong with an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorType {
    /// The far end refused, or was not reached.
    CallFailed,
    /// The far end did not answer in time.
    ConnectionTimeLimitExceeded,
    /// No condition is met.
    NoMatchingCondition,
    /// The queue is full.
    QueueAtCapacity,
    /// Anything else.
    NoMatchingError,
    /// What is not known here.
    Other(String),
}

impl ErrorType {
    /// Those with a name of their own.
    const KNOWN: [Self; 5] = [
        Self::CallFailed,
        Self::ConnectionTimeLimitExceeded,
        Self::NoMatchingCondition,
        Self::QueueAtCapacity,
        Self::NoMatchingError,
    ];

    /// Its name in the flow language.
    pub fn name(&self) -> &str {
        match self {
            Self::CallFailed => "CallFailed",
            Self::ConnectionTimeLimitExceeded => "ConnectionTimeLimitExceeded",
            Self::NoMatchingCondition => "NoMatchingCondition",
            Self::QueueAtCapacity => "QueueAtCapacity",
            Self::NoMatchingError => "NoMatchingError",
            Self::Other(name) => name,
        }
    }

    /// The one of this name.
    pub fn of(name: &str) -> Self {
        Self::KNOWN.into_iter().find(|known| known.name() == name).unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_compared_in_its_case_and_a_number_as_one() {
        for (operator, value, operand, holds) in [
            ("Equals", "hangup", "hangup", Some(true)),
            ("TextContains", "xhangupx", "hangup", Some(true)),
            ("TextContains", "HANGUP", "hangup", Some(false)),
            ("TextStartsWith", "hangup-1", "hangup", Some(true)),
            ("TextEndsWith", "hangup-1", "hangup", Some(false)),
            ("NumberGreaterThan", "10", "9", Some(true)),
            ("NumberGreaterOrEqualTo", "9", "9.0", Some(true)),
            ("NumberLessThan", "x", "9", Some(false)),
            ("NumberLessOrEqualTo", "", "9", Some(false)),
            ("TextResembles", "a", "a", None),
        ] {
            let read = Operator::of(operator);
            assert_eq!((read.name(), read.holds(value, operand)), (operator, holds), "{operator} {value} {operand}");
        }
    }
}
