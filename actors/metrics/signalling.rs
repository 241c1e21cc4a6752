//! What the endpoint sends and holds.
//!
//! Invariant: the families are looked up once, for each message of each call counts in them.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

const RESPONSES: &str = "bellhop_sip_responses_total";
const TRANSACTIONS: &str = "bellhop_sip_transactions";
const TEARDOWNS: &str = "bellhop_teardowns_total";
/// What [`TEARDOWNS`] was called until this release; the next has it no more.
const FAREWELLS: &str = "bellhop_farewells_total";

/// The final SIP responses we give, and the provisional ones.
pub const SIP_STATUSES: [u16; 25] = [
    100, 180, 200, 302, 400, 401, 403, 405, 406, 415, 416, 420, 422, 469, 481, 482, 483, 487, 488, 491, 500, 503, 504,
    505, 513,
];
/// The teardowns of `bellhop_sip::dialog::teardown`.
pub const TEARDOWN_KINDS: [&str; 5] = ["reject", "answer_then_bye", "bye_once_acked", "bye", "nothing"];

/// The families of an endpoint.
pub struct SignallingFamilies {
    transactions: Gauge,
    responses: [Counter; SIP_STATUSES.len()],
    teardowns: [[Counter; 2]; TEARDOWN_KINDS.len()],
}

impl Default for SignallingFamilies {
    fn default() -> Self {
        Self {
            transactions: gauge!(TRANSACTIONS),
            responses: SIP_STATUSES.map(response),
            teardowns: TEARDOWN_KINDS.map(teardown),
        }
    }
}

impl SignallingFamilies {
    /// So many SIP transactions live.
    pub fn transactions(&self, count: usize) {
        self.transactions.set(count as f64);
    }

    /// A response was sent.
    pub fn response(&self, status: u16) {
        match SIP_STATUSES.binary_search(&status) {
            Ok(at) => self.responses[at].increment(1),
            Err(_) => response(status).increment(1),
        }
    }

    /// A teardown was begun; `kind` is one of [`TEARDOWN_KINDS`].
    pub fn teardown(&self, kind: &'static str) {
        match TEARDOWN_KINDS.iter().position(|known| *known == kind) {
            Some(at) => self.teardowns[at].iter().for_each(|family| family.increment(1)),
            None => teardown(kind).iter().for_each(|family| family.increment(1)),
        }
    }
}

fn response(status: u16) -> Counter {
    counter!(RESPONSES, "status" => status.to_string())
}

fn teardown(kind: &'static str) -> [Counter; 2] {
    [counter!(TEARDOWNS, "kind" => kind), counter!(FAREWELLS, "kind" => kind)]
}

pub(super) fn describe() {
    describe_counter!(RESPONSES, "SIP responses sent, by status.");
    describe_gauge!(TRANSACTIONS, "Live SIP transactions.");
    describe_counter!(TEARDOWNS, "Teardowns carried out, by kind: one per call.");
    describe_counter!(FAREWELLS, "Deprecated, gone with the next release: bellhop_teardowns_total.");
    let SignallingFamilies { transactions, responses, teardowns } = SignallingFamilies::default();
    responses.iter().chain(teardowns.as_flattened()).for_each(|family| family.absolute(0));
    transactions.set(0.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder};
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    /// Counts what is looked up, and keeps what is counted.
    #[derive(Default)]
    struct Counted {
        looked_up: AtomicUsize,
        counters: Mutex<Vec<(String, Arc<AtomicU64>)>>,
    }

    impl Counted {
        fn of(&self, name: &str) -> u64 {
            let counters = self.counters.lock().expect("alone");
            counters.iter().filter(|(of, _)| of == name).map(|(_, count)| count.load(Ordering::Relaxed)).sum()
        }
    }

    impl Recorder for Counted {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.looked_up.fetch_add(1, Ordering::Relaxed);
            let count = Arc::<AtomicU64>::default();
            let label = key.labels().next().map(metrics::Label::value).unwrap_or_default();
            let name = format!("{} {label}", key.name());
            self.counters.lock().expect("alone").push((name, Arc::clone(&count)));
            Counter::from_arc(count)
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> metrics::Histogram {
            metrics::Histogram::noop()
        }
    }

    #[test]
    fn what_is_counted_is_looked_up_once_but_for_what_nobody_expected() {
        let counted = Counted::default();
        with_local_recorder(&counted, || {
            let families = SignallingFamilies::default();
            let at_first = counted.looked_up.load(Ordering::Relaxed);
            SIP_STATUSES.iter().for_each(|status| families.response(*status));
            TEARDOWN_KINDS.iter().for_each(|kind| families.teardown(kind));
            families.response(513);
            assert_eq!(counted.looked_up.load(Ordering::Relaxed), at_first);
            families.response(699);
            assert_eq!(counted.looked_up.load(Ordering::Relaxed), at_first + 1);
        });
        for (name, expected) in [
            ("bellhop_sip_responses_total 100", 1),
            ("bellhop_sip_responses_total 513", 2),
            ("bellhop_sip_responses_total 699", 1),
            ("bellhop_teardowns_total bye", 1),
            ("bellhop_farewells_total bye", 1),
        ] {
            assert_eq!(counted.of(name), expected, "{name}");
        }
    }
}
