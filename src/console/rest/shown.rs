//! What many resources show alike: times, and which nodes have applied a change.

use std::str::FromStr;

use bellhop_tenancy::store::AppliedBy;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A time in milliseconds since 1970 as RFC 3339 writes it.
pub(super) fn time(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string()
}

/// A moment of RFC 3339, as a parameter gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(pub i64);

/// Not a moment.
#[derive(Debug, thiserror::Error)]
#[error("is no time like 2026-11-26T12:00:00Z")]
pub(super) struct NoMoment;

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        text.parse::<Timestamp>().map(|at| Self(at.as_millisecond())).map_err(|_| NoMoment)
    }
}

/// How many nodes serve something as it is kept.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Applied {
    /// In words.
    #[schema(example = "2 of 2 nodes")]
    told: String,
    /// Nodes that do.
    by: usize,
    /// Nodes that live.
    of: usize,
}

impl Applied {
    /// Of a change.
    pub(super) fn of(nodes: &[AppliedBy], change: i64) -> Self {
        let by = nodes.iter().filter(|node| node.change >= change).count();
        Self { told: format!("{by} of {} nodes", nodes.len()), by, of: nodes.len() }
    }

    /// Of what the node that is asked has from its own file.
    pub(super) fn here(is: bool) -> Self {
        let by = usize::from(is);
        Self { told: format!("{by} of 1 nodes"), by, of: 1 }
    }
}

#[cfg(test)]
mod tests {
    use bellhop_tenancy::store::NodeSays;

    use super::*;

    #[test]
    fn times_are_written_as_they_are_read() {
        assert_eq!(time(1_764_158_400_123), "2025-11-26T12:00:00.123Z");
        assert_eq!(time(i64::MAX), time(0), "what is no time is the first");
        assert_eq!("2025-11-26T13:00:00.123+01:00".parse::<Moment>().ok(), Some(Moment(1_764_158_400_123)));
        assert!("yesterday".parse::<Moment>().is_err());
    }

    #[test]
    fn a_node_has_applied_what_is_no_newer_than_its_change() {
        let node = |change| AppliedBy { node: "n".into(), change, not_applied: vec![], says: NodeSays::default() };
        assert_eq!(Applied::of(&[node(7), node(6)], 7).told, "1 of 2 nodes");
        assert_eq!(Applied::of(&[], 7).told, "0 of 0 nodes");
    }
}
