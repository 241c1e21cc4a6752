//! A failure that is rehearsed, to see that the law holds: `[drill]` and the failure matrix.

use crate::failure::{ChildName, Fault};
use crate::phase::PhaseName;

/// One failure to rehearse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drill {
    /// Who.
    pub child: ChildName,
    /// In which phase.
    pub phase: PhaseName,
    /// Of what.
    pub fault: Fault,
}
