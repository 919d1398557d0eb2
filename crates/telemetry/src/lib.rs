//! Logs, metrics and traces: where they go. What they say is in the rooms that say it, and in
//! [`crate::metrics_catalog`].

pub mod error_chain;
pub mod log_limit;
pub mod metrics_catalog;
pub mod process;
mod span_fields;
pub mod traces;

use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

use span_fields::SpanFields;

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// How often what was recorded is added up. Without it every single measurement is kept until
/// somebody asks for metrics.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Logged unless a filter is set: everything worth knowing, less the statements that sqlx finds
/// slow.
pub const DEFAULT_LOG: &str = "info,sqlx=error";

/// What is recorded, and where it goes.
#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// Metrics are recorded and shown at `/metrics`.
    pub metrics: bool,
    /// Traces are sent to the collector that OpenTelemetry's own variables name.
    pub traces: bool,
    /// The tracing filter; `None` is [`DEFAULT_LOG`].
    pub log: Option<String>,
    /// `None` is text on a terminal, JSON elsewhere.
    pub log_format: Option<LogFormat>,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why logs or traces cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter is malformed.
    #[error("TABLEFERRY_LOG is no tracing filter such as info or tableferry=debug")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The settings of OpenTelemetry are malformed.
    #[error("traces cannot be sent by what the variables OTEL_EXPORTER_OTLP_… say")]
    Traces(#[from] traces::TracesError),
}

/// Sends log lines to standard error, and traces to a collector if one is set, from now on. Hands
/// back what sends the traces.
///
/// # Errors
/// `TABLEFERRY_LOG` is no tracing filter, or a variable of OpenTelemetry is malformed.
pub fn start(settings: &TelemetrySettings) -> Result<Option<traces::Traces>, TelemetryError> {
    let filter = EnvFilter::builder().parse(settings.log.as_deref().unwrap_or(DEFAULT_LOG))?;
    let terminal = std::io::stderr().is_terminal();
    let format = settings.log_format.unwrap_or(if terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(terminal).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .fmt_fields(SpanFields)
            .boxed(),
    };
    let traces = if settings.traces {
        Some(traces::Traces::to_collector()?)
    } else {
        None
    };
    let spans = traces.as_ref().map(traces::Traces::layer);
    // Only the first call has an effect: tests start many services in one process.
    let _ = registry()
        .with(lines.with_filter(filter))
        .with(spans)
        .try_init();
    Ok(traces)
}

/// Records the process's metrics from now on.
pub fn record_metrics() {
    METRICS.get_or_init(|| {
        #[expect(
            clippy::expect_used,
            reason = "the buckets are constants that are not empty"
        )]
        let recorder = with_buckets()
            .expect("the buckets are not empty")
            .build_recorder();
        let handle = recorder.handle();
        // Fails only if another recorder is installed already; then this one stays empty.
        let _ = metrics::set_global_recorder(recorder);
        metrics_catalog::describe();
        handle
    });
}

/// The process's metrics; nothing if they are not recorded.
pub fn metrics() -> Option<&'static PrometheusHandle> {
    METRICS.get()
}

fn with_buckets() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Suffix("_duration_seconds".to_owned()),
            &metrics_catalog::REQUEST_BUCKETS_S,
        )?
        .set_buckets_for_metric(
            Matcher::Suffix("_lag_seconds".to_owned()),
            &metrics_catalog::LAG_BUCKETS_S,
        )?
        .set_buckets_for_metric(
            Matcher::Suffix("_size".to_owned()),
            &metrics_catalog::GROUP_BUCKETS,
        )
}

/// Adds up what was recorded, again and again until `stop`.
pub async fn keep_up(stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(UPKEEP_EVERY) => metrics().into_iter().for_each(PrometheusHandle::run_upkeep),
            () = stop.cancelled() => return,
        }
    }
}
