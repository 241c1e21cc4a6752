//! The log: one line of JSON for each event, on standard error.
//!
//! A line carries the fields of its event and those of the spans it happened in: what is logged for a call has the fields of
//! the call's span, `call`, `tenant` and `sip_call_id`, beside its own. Invariant: a key stands in a line once; the innermost
//! value counts.

use std::fmt;
use std::io::Write;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{panics, terminal};

/// Logs from here on what `filter` lets through; a panic is a line too. A line that cannot be written is lost: saying so on the
/// same standard error would panic.
pub fn start(filter: EnvFilter) {
    panics::tell_places_alone();
    to(|| terminal::PrintableLog, filter).init();
}

/// A subscriber that writes the log's lines.
pub(crate) fn to(
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
    filter: EnvFilter,
) -> impl Subscriber + Send + Sync {
    tracing_subscriber::fmt()
        .log_internal_errors(false)
        .fmt_fields(OfSpan)
        .event_format(Line)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}

/// How the fields of a span are kept: a line for each, its name, a tab and its value as JSON. A call's are made once, and stand in
/// every line of its own.
struct OfSpan;

impl<'w> FormatFields<'w> for OfSpan {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut own = Fields::default();
        fields.record(&mut own);
        keep(&own, &mut writer)
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &span::Record<'_>) -> fmt::Result {
        let mut own = Fields::default();
        fields.record(&mut own);
        let is_said_anew = |line: &str| own.all.iter().any(|(name, _)| line.split('\t').next() == Some(name));
        current.fields = current.fields.split_inclusive('\n').filter(|line| !is_said_anew(line)).collect();
        keep(&own, &mut current.as_writer())
    }
}

fn keep(own: &Fields, writer: &mut Writer<'_>) -> fmt::Result {
    own.all.iter().try_for_each(|(name, value)| writeln!(writer, "{name}\t{value}"))
}

/// The format of a line.
struct Line;

impl<S: Subscriber + for<'s> LookupSpan<'s>> FormatEvent<S, OfSpan> for Line {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, OfSpan>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut own = Fields::default();
        event.record(&mut own);
        let spans: Vec<_> = context.event_scope().into_iter().flatten().collect();
        let kept: Vec<_> = spans.iter().map(|span| span.extensions()).collect();
        let mut about: Vec<(&str, &str)> = vec![];
        let of_spans = kept.iter().filter_map(|kept| kept.get::<FormattedFields<OfSpan>>());
        for (name, json) in of_spans.flat_map(|span| span.fields.lines().rev()).filter_map(|line| line.split_once('\t'))
        {
            let is_known = about.iter().any(|(of_inner, _)| *of_inner == name);
            if !is_known && !own.all.iter().any(|(of_event, _)| *of_event == name) {
                about.push((name, json));
            }
        }
        let mut line = Vec::with_capacity(512);
        write_line(&mut line, &time, event, &about, &own).map_err(|_| fmt::Error)?;
        writer.write_str(std::str::from_utf8(&line).map_err(|_| fmt::Error)?)
    }
}

fn write_line(
    line: &mut Vec<u8>,
    time: &str,
    event: &Event<'_>,
    about: &[(&str, &str)],
    own: &Fields,
) -> std::io::Result<()> {
    let metadata = event.metadata();
    write!(line, "{{\"timestamp\":\"{time}\",\"level\":\"{}\"", metadata.level())?;
    for (name, json) in about.iter().rev() {
        write_name(line, name)?;
        line.extend_from_slice(json.as_bytes());
    }
    for (name, value) in &own.all {
        write_name(line, name)?;
        serde_json::to_writer(&mut *line, value)?;
    }
    write_name(line, "target")?;
    serde_json::to_writer(&mut *line, own.target.as_deref().unwrap_or(metadata.target()))?;
    line.extend_from_slice(b"}\n");
    Ok(())
}

fn write_name(line: &mut Vec<u8>, name: &str) -> std::io::Result<()> {
    line.push(b',');
    serde_json::to_writer(&mut *line, name)?;
    line.push(b':');
    Ok(())
}

/// The fields of an event or of a span, in their order.
#[derive(Default)]
struct Fields {
    all: Vec<(&'static str, Value)>,
    /// The target of a record of the `log` crate, which its event carries as a field.
    target: Option<String>,
}

impl Fields {
    fn keep(&mut self, field: &Field, value: Value) {
        match field.name() {
            "log.target" => self.target = value.as_str().map(str::to_owned),
            name if name.starts_with("log.") => {}
            name => self.all.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value.into());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A log in memory.
    #[derive(Clone, Default)]
    pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("alone").clone()).expect("text")
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("alone").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile, at this filter.
    pub(crate) fn logged(filter: &str, work: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        tracing::subscriber::with_default(to(move || writer.clone(), EnvFilter::new(filter)), work);
        kept.text()
    }

    #[test]
    fn a_line_has_its_own_fields_and_those_of_its_spans_once_each() {
        let text = logged("info", || {
            let call = tracing::error_span!("call", call = %7, tenant = "acme", sip_call_id = "a\"b");
            let _in_call = call.enter();
            let _inner = tracing::info_span!("inner", tenant = "inner").entered();
            tracing::warn!(attempt = 2, lost = true, loss = 0.5, failure = ?"why", tenant = "own", "a {}", "message");
            tracing::debug!("not let through");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(text.matches("\"tenant\"").count(), 1, "{text}");
        let mut line: Value = serde_json::from_str(&text).expect("JSON");
        assert!(line["timestamp"].take().as_str().is_some_and(|time| time.ends_with('Z')), "{text}");
        let expected = serde_json::json!({
            "timestamp": null, "level": "WARN", "call": "7", "sip_call_id": "a\"b", "tenant": "own", "attempt": 2,
            "lost": true, "loss": 0.5, "failure": "\"why\"", "message": "a message", "target": module_path!(),
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_span_says_what_it_knew_at_first_and_what_it_learned() {
        let text = logged("info", || {
            let call = tracing::info_span!("call", call = 7, reason = tracing::field::Empty, words = "a:b\n\"c\"");
            call.record("reason", "first");
            call.record("reason", "last");
            call.in_scope(|| tracing::info!("over"));
        });
        let line: Value = serde_json::from_str(&text).expect("JSON");
        let said = (&line["call"], &line["reason"], &line["words"]);
        assert_eq!(said, (&7.into(), &"last".into(), &"a:b\n\"c\"".into()), "{text}");
        assert_eq!(text.matches("\"reason\"").count(), 1, "{text}");
    }

    #[test]
    fn a_log_of_errors_alone_still_knows_whose_they_are() {
        let text = logged("error", || {
            let call = tracing::error_span!("call", call = %7, tenant = "acme", sip_call_id = "x");
            call.in_scope(|| tracing::error!("broken"));
        });
        assert!(text.contains("\"call\":\"7\"") && text.contains("\"sip_call_id\":\"x\""), "{text}");
    }
}
