//! Formats the fields of spans for JSON log lines: once per span, when it begins. The formatter of
//! `tracing_subscriber` builds a map of values first, which was measured at a tenth of the CPU time
//! of a request.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, FormattedFields};

#[derive(Debug)]
pub(super) struct SpanFields;

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut to: Writer<'w>, fields: R) -> fmt::Result {
        to.write_char('{')?;
        let mut members = Members {
            to: &mut to,
            between: "",
            written: Ok(()),
        };
        fields.record(&mut members);
        members.written?;
        to.write_char('}')
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        let closed = current.fields.pop() == Some('}');
        debug_assert!(closed, "the earlier fields are an object");
        let between = if current.fields.len() > 1 { "," } else { "" };
        let mut members = Members {
            to: &mut current.fields,
            between,
            written: Ok(()),
        };
        fields.record(&mut members);
        members.written?;
        current.fields.push('}');
        Ok(())
    }
}

/// Writes the members of an object.
struct Members<'w, W> {
    to: &'w mut W,
    between: &'static str,
    written: fmt::Result,
}

impl<W: Write> Members<'_, W> {
    fn member(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.written.is_ok() {
            self.written = write!(self.to, "{}\"{}\":{value}", self.between, field.name());
            self.between = ",";
        }
    }

    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.member(field, format_args!("\""));
        if self.written.is_ok() {
            self.written = Escaped(self.to)
                .write_fmt(value)
                .and_then(|()| self.to.write_char('"'));
        }
    }
}

impl<W: Write> Visit for Members<'_, W> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.member(field, format_args!("{value}"))
        } else {
            self.member(field, format_args!("null"))
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, format_args!("{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}

/// Escapes text for a JSON string.
struct Escaped<'w, W>(&'w mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest
            .bytes()
            .position(|b| b < b' ' || b == b'"' || b == b'\\')
        {
            write!(self.0, "{}\\u{:04x}", &rest[..at], rest.as_bytes()[at])?;
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing::field::Empty;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{fmt, registry};

    use super::SpanFields;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn fields_of_every_kind_are_in_the_line_whenever_they_come() {
        let written = Written::default();
        let to = written.clone();
        let lines = fmt::layer()
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .fmt_fields(SpanFields)
            .with_writer(move || to.clone());
        tracing::subscriber::with_default(registry().with(lines), || {
            let odd = "a \"quoted\" \\ word,\n\u{1}\u{7f} \u{e9}\u{1f600}";
            let span = tracing::error_span!(
                "request",
                url.path = odd,
                delivery.attempt = -1,
                export.count = 2_u64,
                verification.deep = true,
                duration_ms = 0.5,
                retry_in_s = f64::NAN,
                error.type = Empty,
            );
            let bare = tracing::error_span!("bare", error.type = Empty);
            span.in_scope(|| tracing::error!("before"));
            span.record("error.type", tracing::field::debug("x\ty"));
            bare.record("error.type", 1);
            span.in_scope(|| tracing::error!("after"));
            bare.in_scope(|| tracing::error!("bare"));
            let mut whole = json!({"name": "request", "url.path": odd, "delivery.attempt": -1, "export.count": 2, "verification.deep": true,
                "duration_ms": 0.5, "retry_in_s": null});
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            let spans: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["span"].take())
                .collect();
            assert_eq!(spans[0], whole);
            whole["error.type"] = json!("\"x\\ty\"");
            assert_eq!(
                spans[1..],
                [whole, json!({"name": "bare", "error.type": 1})]
            );
        });
    }
}
