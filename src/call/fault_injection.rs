//! A failure brought about on purpose, to see that the law holds: `[fault_injection]` and the failure matrix.

use crate::failure::{ChildName, Fault};
use crate::phase::PhaseName;

/// One fault to inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultInjection {
    /// The child that is struck.
    pub child: ChildName,
    /// The state of the call on whose entry it is struck.
    pub phase: PhaseName,
    /// What happens to it.
    pub fault: Fault,
}
