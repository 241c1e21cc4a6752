//! Who is refused again and again is not listened to for a while: a scanner learns nothing and costs little.
//!
//! Invariant: a source whose call was taken owes nothing; sources on an allow-list are never judged here. What is
//! remembered is bounded. Driver: `actors/reception/sip_endpoint.rs`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Refusals in a row before a source is not listened to.
pub const REFUSALS_MAX: u32 = 20;
/// How long until one refusal is forgiven.
pub const FORGIVEN_AFTER: Duration = Duration::from_secs(6);
/// Sources remembered.
pub const SOURCES_MAX: usize = 65_536;

/// The debts of all sources.
#[derive(Debug, Default)]
pub struct SourceGuard {
    /// When the last refusal of each is forgiven.
    clear_at: HashMap<IpAddr, Instant>,
}

impl SourceGuard {
    /// A request of this source was refused.
    pub fn refused(&mut self, now: Instant, source: IpAddr) {
        if self.clear_at.len() >= SOURCES_MAX {
            self.clear_at.retain(|_, at| *at > now);
            if self.clear_at.len() >= SOURCES_MAX {
                self.clear_at.clear(); // spread over so many addresses, it is no source that could be held
            }
        }
        let at = self.clear_at.entry(source).or_insert(now);
        *at = ((*at).max(now) + FORGIVEN_AFTER).min(now + FORGIVEN_AFTER * (REFUSALS_MAX + 10));
    }

    /// A call of this source was taken.
    pub fn accepted(&mut self, source: IpAddr) {
        self.clear_at.remove(&source);
    }

    /// Whether the source is not listened to now.
    pub fn is_shut_out(&self, now: Instant, source: IpAddr) -> bool {
        self.clear_at.get(&source).is_some_and(|at| at.saturating_duration_since(now) > FORGIVEN_AFTER * REFUSALS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCANNER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 66));

    #[test]
    fn a_scanner_is_shut_out_and_let_in_again() {
        let now = Instant::now();
        let mut guard = SourceGuard::default();
        for _ in 0..REFUSALS_MAX {
            assert!(!guard.is_shut_out(now, SCANNER));
            guard.refused(now, SCANNER);
        }
        guard.refused(now, SCANNER);
        assert!(guard.is_shut_out(now, SCANNER));
        assert!(!guard.is_shut_out(now, IpAddr::from([192, 0, 2, 67])));
        (0..1000).for_each(|_| guard.refused(now, SCANNER));
        assert!(!guard.is_shut_out(now + FORGIVEN_AFTER * 10, SCANNER), "not for ever");
    }

    #[test]
    fn a_trunk_that_mistakes_a_number_now_and_then_is_heard() {
        let now = Instant::now();
        let mut guard = SourceGuard::default();
        for n in 0..1000 {
            guard.refused(now, SCANNER);
            if n % 10 == 0 {
                guard.accepted(SCANNER);
            }
            assert!(!guard.is_shut_out(now, SCANNER));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let now = Instant::now();
        let mut guard = SourceGuard::default();
        (0..200_000u32).for_each(|n| guard.refused(now, IpAddr::from(n.to_be_bytes())));
        assert!(guard.clear_at.len() <= SOURCES_MAX);
    }
}
