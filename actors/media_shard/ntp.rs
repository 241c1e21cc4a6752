//! The time of day as RTCP tells it (RFC 3550 section 4).

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// From the beginning of NTP's era, 1900, to that of the system's clock, 1970 (RFC 5905 figure 4).
const NTP_BEFORE_1970: Duration = Duration::from_secs(2_208_988_800);

/// A span of time in NTP format.
fn ntp_of(span: Duration) -> u64 {
    (span.as_secs() << 32) + (u64::from(span.subsec_nanos()) << 32) / 1_000_000_000
}

/// The time of day in NTP format: seconds since 1900 in the upper half (RFC 3550 section 4). It is read once and goes on with
/// the monotonic clock from there, so that setting the clock is no round trip.
pub(super) fn ntp_at(now: Instant) -> u64 {
    static READ: OnceLock<(Instant, u64)> = OnceLock::new();
    let (then, ntp) = *READ.get_or_init(|| {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (now, ntp_of(since_1970 + NTP_BEFORE_1970))
    });
    match now.checked_duration_since(then) {
        Some(later) => ntp.wrapping_add(ntp_of(later)),
        None => ntp.wrapping_sub(ntp_of(then - now)),
    }
}
