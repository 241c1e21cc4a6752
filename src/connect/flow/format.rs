//! The formats that a flow is written in.

use std::fmt;
use std::str::FromStr;

use super::{Action, Flow};

/// How a flow is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The flow language, version 2019-10-30: what the API, Terraform and CloudFormation take, and today's consoles export.
    Language,
    /// The export of older consoles, a list of `modules`: not every instance imports it any more.
    Legacy,
}

impl Format {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Language, Self::Legacy];

    /// Its name, as it is asked for.
    pub fn word(self) -> &'static str {
        match self {
            Self::Language => "2019-10-30",
            Self::Legacy => "legacy",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// There is no such format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no format of flows: 2019-10-30 or legacy")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.word() == text).ok_or(UnknownFormat)
    }
}

/// An action that a format has no name for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("block {identifier}: the format {format} has no {action_type}")]
pub struct Foreign {
    /// Which action.
    pub identifier: String,
    /// What it is.
    pub action_type: String,
    /// Where it cannot stand.
    pub format: Format,
}

impl Foreign {
    /// The first action of a flow that a format has no name for, if there is one.
    pub(super) fn refused(flow: &Flow, format: Format, knows: impl Fn(&Action) -> bool) -> Result<(), Self> {
        match flow.actions.iter().find(|action| !knows(action)) {
            None => Ok(()),
            Some(action) => Err(Self {
                identifier: action.identifier.clone(),
                action_type: action.action_type.name().to_owned(),
                format,
            }),
        }
    }
}
