//! A failure brought about on purpose, to see that the law holds: `[fault_injection]` and the failure matrix.

use crate::failure::{ChildName, Fault};
use crate::phase::PhaseName;

/// One fault to inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultInjection {
    /// Who.
    pub child: ChildName,
    /// In which phase.
    pub phase: PhaseName,
    /// Of what.
    pub fault: Fault,
}
