//! What processors did: the server, this generator of calls, and everybody else on the machine.
//!
//! Invariant: all are read at once, so that their shares add up.

use std::time::Instant;

use serde_json::{Value, json};

/// Ticks a second of what /proc counts in, on every Linux.
const TICKS: f64 = 100.0;

/// Time of processors, in seconds, up to a moment.
pub(crate) struct Used {
    at: Instant,
    server: f64,
    generator: f64,
    machine: f64,
}

/// Time of processors, in seconds, between two moments.
pub(crate) struct Spent {
    pub(crate) seconds: f64,
    /// How much of it callers spoke, all together.
    pub(crate) speech: f64,
    pub(crate) server: f64,
    pub(crate) generator: f64,
    pub(crate) others: f64,
}

/// What a process used in user and system mode.
fn of_process(id: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name of the program stands in brackets and may have spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / TICKS
}

/// What the machine did that was neither idle nor waiting.
fn of_machine() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks = all
        .enumerate()
        .filter(|(n, _)| *n < 8 && *n != 3 && *n != 4)
        .filter_map(|(_, field)| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

impl Used {
    /// What has been used until now; `server` is a process id.
    pub(crate) fn now(server: u32) -> Self {
        Self {
            at: Instant::now(),
            server: of_process(&server.to_string()),
            generator: of_process("self"),
            machine: of_machine(),
        }
    }

    /// What was used from then until now.
    pub(crate) fn until_now(&self, server: u32) -> Spent {
        let now = Self::now(server);
        let (served, generated) = (now.server - self.server, now.generator - self.generator);
        Spent {
            seconds: (now.at - self.at).as_secs_f64(),
            speech: 0.0,
            server: served,
            generator: generated,
            others: (now.machine - self.machine - served - generated).max(0.0),
        }
    }
}

impl Spent {
    /// In percent of one core; and what the server took for a second of callers' speech.
    pub(crate) fn to_json(&self) -> Value {
        let for_a_second = (self.speech > 0.0).then(|| (self.server / self.speech * 1000.0).round() / 1000.0);
        let percent = |part: f64| (part / self.seconds.max(0.001) * 100.0).round();
        json!({
            "seconds": self.seconds.round(),
            "seconds_of_speech": self.speech.round(),
            "server_percent_of_a_core": percent(self.server),
            "generator_percent_of_a_core": percent(self.generator),
            "others_percent_of_a_core": percent(self.others),
            "server_seconds_for_a_second_of_speech": for_a_second,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_machine_use_time() {
        assert!(of_machine() > 0.0);
        assert!(of_process("self") <= of_machine());
    }
}
