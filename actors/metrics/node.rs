//! What is told of the node itself: its build, its limits, whether it drains, its certificate, and who waits or rests.
//!
//! Invariant: these are gauges of a state, set when it changes or when somebody asks; none is a count of events.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const BUILD_INFO: &str = "bellhop_build_info";
const CALLS_LIMIT: &str = "bellhop_calls_limit";
const TENANT_CALLS_LIMIT: &str = "bellhop_tenant_calls_limit";
const PORTS: &str = "bellhop_rtp_ports";
const DRAINING: &str = "bellhop_draining";
const TENANT_SKIPPED: &str = "bellhop_tenant_skipped";
const CERTIFICATE_EXPIRY: &str = "bellhop_tls_certificate_expiry_timestamp_seconds";
const LOG_EVENTS_WAITING: &str = "bellhop_log_events_waiting";
const LOG_EVENTS_AGE: &str = "bellhop_log_events_oldest_seconds";
const CONFIGURATION_READINGS: &str = "bellhop_configuration_readings_total";
const STORE_CHANGE: &str = "bellhop_store_change_applied";
const INTEGRATIONS_NOT_APPLIED: &str = "bellhop_integrations_not_applied";
const DATABASE_AWAY: &str = "bellhop_database_away";
const SPOOLED: &str = "bellhop_spool_entries";
const SPOOLED_BYTES: &str = "bellhop_spool_bytes";
const SERVICE_AT_REST: &str = "bellhop_service_at_rest";

const CPU: &str = "process_cpu_seconds_total";
const RESIDENT: &str = "process_resident_memory_bytes";
const VIRTUAL: &str = "process_virtual_memory_bytes";
const THREADS: &str = "process_threads";
const OPEN_FILES: &str = "process_open_fds";
const OPEN_FILES_MAX: &str = "process_max_fds";
const STARTED: &str = "process_start_time_seconds";

/// What the process takes, under the names that Prometheus clients give it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process {
    /// Seconds of all cores, user and system.
    pub cpu_seconds: u64,
    /// Memory that is there.
    pub resident_bytes: u64,
    /// Memory that is reserved.
    pub virtual_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub open_files: u64,
    /// How many there may be; none without a limit.
    pub max_open_files: Option<u64>,
    /// When it started, in seconds since 1970.
    pub started_unix: f64,
}

pub(super) fn describe() {
    describe_gauge!(BUILD_INFO, "1, with the version that runs.");
    describe_gauge!(CALLS_LIMIT, "Calls this node takes at once.");
    describe_gauge!(TENANT_CALLS_LIMIT, "Calls a tenant may have at once; 0 for one that is served no more.");
    describe_gauge!(STORE_CHANGE, "The newest change of the store of tenants that this node has applied.");
    describe_gauge!(INTEGRATIONS_NOT_APPLIED, "Integrations of the store that are not served as they are kept.");
    describe_gauge!(DATABASE_AWAY, "1 while what is written goes into the spool, or waits there for the database.");
    describe_gauge!(SPOOLED, "Writes that wait in the spool for the database.");
    describe_gauge!(SPOOLED_BYTES, Unit::Bytes, "Bytes of the writes that wait in the spool.");
    describe_gauge!(PORTS, "RTP port pairs there are.");
    describe_gauge!(DRAINING, "1 while no new calls are taken.");
    describe_gauge!(TENANT_SKIPPED, "1 for a tenant that is not served for mistakes in its configuration, else 0.");
    describe_gauge!(
        CERTIFICATE_EXPIRY,
        "When the certificate that serves SIP expires, in seconds since 1970; 0 without TLS."
    );
    describe_gauge!(LOG_EVENTS_WAITING, "Events that wait for a tenant's log webhook.");
    describe_gauge!(LOG_EVENTS_AGE, "Age of the oldest event that waits for a tenant's log webhook, in seconds.");
    describe_gauge!(SERVICE_AT_REST, "1 while a service is left alone because it has failed too often of late.");
    describe_counter!(CPU, Unit::Seconds, "CPU time of the process, user and system.");
    describe_gauge!(RESIDENT, Unit::Bytes, "Resident memory.");
    describe_gauge!(VIRTUAL, Unit::Bytes, "Virtual memory.");
    describe_gauge!(THREADS, "Threads.");
    describe_gauge!(OPEN_FILES, "Open file descriptors.");
    describe_gauge!(OPEN_FILES_MAX, "File descriptors that may be open.");
    describe_gauge!(STARTED, Unit::Seconds, "When the process started, in seconds since 1970.");
    describe_counter!(CONFIGURATION_READINGS, "Times the configuration was read again, by what came of it.");
    gauge!(DRAINING).set(0.0);
    spooled(None);
    for came in ConfigurationRead::ALL {
        counter!(CONFIGURATION_READINGS, "result" => came.label()).absolute(0);
    }
}

pub(super) fn describe_tenant(tenant: &str) {
    gauge!(TENANT_SKIPPED, "tenant" => tenant.to_owned()).set(0.0);
    log_events_waiting(tenant, 0, 0.0);
}

/// What came of reading the configuration again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigurationRead {
    /// All that it says of tenants is so now.
    Applied,
    /// Some of it was refused.
    InPart,
    /// None of it could be read.
    Refused,
}

impl ConfigurationRead {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Applied, Self::InPart, Self::Refused];

    /// As a label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::InPart => "in_part",
            Self::Refused => "refused",
        }
    }
}

/// The configuration was read again.
pub fn configuration_read(came: ConfigurationRead) {
    counter!(CONFIGURATION_READINGS, "result" => came.label()).increment(1);
}

/// This node serves as of a change of the store, but for so many integrations.
pub fn store_applied(change: i64, not_applied: usize) {
    gauge!(STORE_CHANGE).set(change as f64);
    gauge!(INTEGRATIONS_NOT_APPLIED).set(not_applied as f64);
}

/// How many writes, and bytes of them, wait for a database that is away; none while it answers.
pub fn spooled(waiting: Option<(u64, u64)>) {
    gauge!(DATABASE_AWAY).set(f64::from(u8::from(waiting.is_some())));
    let (entries, bytes) = waiting.unwrap_or_default();
    gauge!(SPOOLED).set(entries as f64);
    gauge!(SPOOLED_BYTES).set(bytes as f64);
}

/// Which build runs.
pub fn build(version: &'static str) {
    gauge!(BUILD_INFO, "version" => version).set(1.0);
}

/// How many calls, and RTP port pairs, the node has.
pub fn node_limits(calls: usize, port_pairs: usize) {
    gauge!(CALLS_LIMIT).set(calls as f64);
    gauge!(PORTS).set(port_pairs as f64);
}

/// How many calls a tenant may have at once.
pub fn tenant_limit(tenant: &str, calls: usize) {
    gauge!(TENANT_CALLS_LIMIT, "tenant" => tenant.to_owned()).set(calls as f64);
}

/// Whether a tenant is not served for its mistakes.
pub fn tenant_skipped(tenant: &str, skipped: bool) {
    gauge!(TENANT_SKIPPED, "tenant" => tenant.to_owned()).set(f64::from(u8::from(skipped)));
}

/// New calls are no longer taken.
pub fn draining() {
    gauge!(DRAINING).set(1.0);
}

/// When the certificate of SIP expires, in seconds since 1970.
pub fn certificate_expires(unix: i64) {
    gauge!(CERTIFICATE_EXPIRY).set(unix as f64);
}

/// How many events wait for a tenant's log webhook, and for how many seconds the oldest.
pub fn log_events_waiting(tenant: &str, count: u64, oldest: f64) {
    gauge!(LOG_EVENTS_WAITING, "tenant" => tenant.to_owned()).set(count as f64);
    gauge!(LOG_EVENTS_AGE, "tenant" => tenant.to_owned()).set(oldest);
}

/// Whether a service of a tenant is left alone; `port` is `assistant`, `speech_to_text` or `text_to_speech`.
pub fn service_at_rest(tenant: &str, port: &'static str, service: &'static str, rests: bool) {
    let labels = [("tenant", tenant.to_owned()), ("port", port.to_owned()), ("service", service.to_owned())];
    gauge!(SERVICE_AT_REST, &labels).set(f64::from(u8::from(rests)));
}

/// What the process takes now.
pub fn process(taken: &Process) {
    counter!(CPU).absolute(taken.cpu_seconds);
    gauge!(RESIDENT).set(taken.resident_bytes as f64);
    gauge!(VIRTUAL).set(taken.virtual_bytes as f64);
    gauge!(THREADS).set(taken.threads as f64);
    gauge!(OPEN_FILES).set(taken.open_files as f64);
    gauge!(OPEN_FILES_MAX).set(taken.max_open_files.map_or(f64::INFINITY, |limit| limit as f64));
    gauge!(STARTED).set(taken.started_unix);
}
