//! The series of all metrics: a recorder for the node, and one for each tenant, which goes with the tenant.
//!
//! The exporter of Prometheus drops a series only when it has been idle for a time, which a counter of faults always
//! is; so what a tenant leaves behind is dropped as a whole. Invariant: a family is written once, however many
//! recorders have series of it; what is measured of a tenant that is not there makes no series.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusRecorder};

/// The label of a tenant's series.
const TENANT: &str = "tenant";
/// Its value for calls that belong to nobody.
const NOBODY: &str = "none";

/// All series; clones share them.
#[derive(Clone)]
pub struct Series(Arc<Inner>);

struct Inner {
    node: PrometheusRecorder,
    tenants: RwLock<HashMap<String, PrometheusRecorder>>,
    /// What each family tells.
    help: Mutex<BTreeMap<String, SharedString>>,
}

impl Series {
    /// None yet.
    pub fn new() -> Result<Self, BuildError> {
        Ok(Self(Arc::new(Inner { node: recorder()?, tenants: RwLock::default(), help: Mutex::default() })))
    }

    /// From now on a tenant has series; those it has stay as they are.
    pub fn begin(&self, tenant: &str) {
        let mut tenants = self.0.tenants.write().unwrap_or_else(PoisonError::into_inner);
        if !tenants.contains_key(tenant) {
            // One was built of the same when the process started.
            let recorder = recorder().expect("the buckets of every family are in order");
            tenants.insert(tenant.to_owned(), recorder);
        }
    }

    /// A tenant's series are no more.
    pub fn end(&self, tenant: &str) {
        self.0.tenants.write().unwrap_or_else(PoisonError::into_inner).remove(tenant);
    }

    /// Takes what histograms were given since the last time; it would wait for the next reading otherwise.
    pub fn run_upkeep(&self) {
        self.0.node.handle().run_upkeep();
        let tenants = self.0.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.values().for_each(|tenant| tenant.handle().run_upkeep());
    }

    /// Everything, in the text format of Prometheus.
    pub fn render(&self) -> String {
        let handles = {
            let tenants = self.0.tenants.read().unwrap_or_else(PoisonError::into_inner);
            let all = std::iter::once(&self.0.node).chain(tenants.values());
            all.map(PrometheusRecorder::handle).collect::<Vec<_>>()
        };
        let mut families: BTreeMap<String, (String, String)> = BTreeMap::new();
        for text in handles.iter().map(|handle| handle.render()) {
            // A family is its type, a line for each series, and an empty line.
            for family in text.split("\n\n").filter_map(|family| family.strip_prefix("# TYPE ")) {
                let Some((head, series)) = family.split_once('\n') else { continue };
                let name = head.split(' ').next().unwrap_or_default();
                let (_, all) = families.entry(name.to_owned()).or_insert_with(|| (head.to_owned(), String::new()));
                all.push_str(series.trim_end());
                all.push('\n');
            }
        }
        let help = self.0.help.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (name, (head, series)) in families {
            if let Some(help) = help.get(&name) {
                let _ = writeln!(text, "# HELP {name} {help}");
            }
            let _ = writeln!(text, "# TYPE {head}\n{series}");
        }
        text
    }

    /// Finds the recorder of a key.
    fn record<T>(&self, key: &Key, of: impl FnOnce(&PrometheusRecorder) -> T) -> Option<T> {
        let tenant = key.labels().find(|label| label.key() == TENANT).map(metrics::Label::value);
        match tenant {
            None | Some(NOBODY) => Some(of(&self.0.node)),
            Some(tenant) => self.0.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).map(of),
        }
    }

    fn describe(&self, name: &KeyName, description: SharedString) {
        let mut help = self.0.help.lock().unwrap_or_else(PoisonError::into_inner);
        help.entry(name.as_str().to_owned()).or_insert(description);
    }
}

impl Recorder for Series {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&name, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.record(key, |recorder| recorder.register_counter(key, metadata)).unwrap_or(Counter::noop())
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.record(key, |recorder| recorder.register_gauge(key, metadata)).unwrap_or(Gauge::noop())
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.record(key, |recorder| recorder.register_histogram(key, metadata)).unwrap_or(Histogram::noop())
    }
}

/// A recorder with buckets that fit what each histogram measures.
fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (family, buckets) in bellhop_actors::metrics::HISTOGRAMS {
        builder = builder.set_buckets_for_metric(Matcher::Full(family.to_owned()), buckets)?;
    }
    Ok(builder.build_recorder())
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{counter, describe_counter, gauge, histogram, with_local_recorder};

    #[test]
    fn a_family_is_written_once_and_a_tenants_series_go_with_it() {
        let series = Series::new().expect("a recorder");
        series.begin("acme");
        series.begin("other");
        let count = || {
            counter!("calls_total", "tenant" => "acme").increment(1);
            counter!("calls_total", "tenant" => "other").increment(2);
            counter!("calls_total", "tenant" => "none").increment(3);
            counter!("calls_total", "tenant" => "nobody").increment(4);
            gauge!("node").set(5.0);
            histogram!("bellhop_call_setup_seconds", "tenant" => "other").record(0.1);
        };
        with_local_recorder(&series, || {
            describe_counter!("calls_total", "Calls.");
            count();
        });
        let text = series.render();
        let lines = |text: &str, part: &str| text.lines().filter(|line| line.contains(part)).count();
        assert!(text.contains("# HELP calls_total Calls.\n# TYPE calls_total counter\n"), "{text}");
        assert_eq!((lines(&text, "# TYPE calls_total"), lines(&text, "calls_total{")), (1, 3), "{text}");
        assert!(text.contains("calls_total{tenant=\"none\"} 3\n") && !text.contains("nobody"), "{text}");
        assert!(text.contains("\nnode 5\n") && text.contains("bellhop_call_setup_seconds_bucket"), "{text}");
        series.begin("acme");
        assert!(series.render().contains("calls_total{tenant=\"acme\"} 1\n"), "it has what it had");
        series.end("other");
        with_local_recorder(&series, count);
        let text = series.render();
        assert!(!text.contains("other") && !text.contains("bellhop_call_setup_seconds"), "{text}");
        assert!(text.contains("calls_total{tenant=\"acme\"} 2\n"), "{text}");
    }
}
