//! How much a service reports.

use std::time::Duration;

use tokio::time::Instant;

/// Reports of a service in a second; one that sends more is broken.
pub(super) const REPORTS_PER_SECOND_MAX: u32 = 200;

/// Counts the reports of a second.
pub(super) struct Pace {
    since: Instant,
    reports: u32,
}

impl Pace {
    pub(super) fn begin() -> Self {
        Self { since: Instant::now(), reports: 0 }
    }

    /// Whether these are more than a service sends that is well.
    pub(super) fn is_exceeded_by(&mut self, reports: usize) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Self::begin();
        }
        self.reports = self.reports.saturating_add(reports as u32);
        self.reports > REPORTS_PER_SECOND_MAX
    }
}
