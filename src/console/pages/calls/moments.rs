//! Times of calls, as people read them.
//!
//! Invariant: a time of day says its zone, and a time in a call counts from its beginning.

use jiff::Timestamp;

/// A time of RFC 3339 as `2026-11-27 23:04:05 UTC`; as it stands where it is none.
pub(super) fn moment(rfc_3339: &str) -> String {
    match rfc_3339.parse::<Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => rfc_3339.to_owned(),
    }
}

/// How long something lasted: `12 s`, `3 min 5 s`, `1 h 2 min`.
pub(super) fn length(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// A time in a call: `0:04.25` is four and a quarter seconds after it began.
pub(super) fn at(milliseconds: u64) -> String {
    let (minutes, rest) = (milliseconds / 60_000, milliseconds % 60_000);
    format!("{minutes}:{:02}.{:02}", rest / 1000, rest % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_with_what_they_count_from() {
        assert_eq!(moment("2026-11-27T23:04:05.678Z"), "2026-11-27 23:04:05 UTC");
        assert_eq!(moment("<when>"), "<when>");
        assert_eq!([length(999), length(65_000), length(3_725_000)], ["0 s", "1 min 5 s", "1 h 2 min"]);
        assert_eq!([at(0), at(4_257), at(61_009)], ["0:00.00", "0:04.25", "1:01.00"]);
    }
}
