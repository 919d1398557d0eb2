//! Sets up logs, metrics and traces. [`metrics_catalog`] lists all metrics.

mod describe;
pub mod log_limit;
pub mod metrics_catalog;
pub mod process;
pub mod reasons;
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

// For the listener, which does not use the domain.
pub use tableferry_domain::error_chain;

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// How often histograms are aggregated. Without this, every measurement is kept until metrics are
/// scraped.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The default filter. Without sqlx's warnings about slow statements.
pub const DEFAULT_LOG: &str = "info,sqlx=error";

#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// Whether metrics are recorded and exposed at `/metrics`.
    pub metrics: bool,
    /// Whether traces are sent to the collector in OpenTelemetry's own variables.
    pub traces: bool,
    /// The tracing filter; `None` is [`DEFAULT_LOG`].
    pub log: Option<String>,
    /// `None` is text on a terminal and JSON elsewhere.
    pub log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("TABLEFERRY_LOG is not a valid tracing filter (for example info or tableferry=debug)")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("the OTEL_EXPORTER_OTLP_… variables are not valid")]
    Traces(#[from] traces::TracesError),
}

/// Starts sending log lines to standard error, and traces to a collector if there is one. The
/// result must be kept to send the last traces.
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
    // Only the first call has an effect. Tests start many services in one process.
    let _ = registry()
        .with(lines.with_filter(filter))
        .with(spans)
        .try_init();
    Ok(traces)
}

pub fn record_metrics() {
    METRICS.get_or_init(|| {
        #[expect(
            clippy::expect_used,
            reason = "the buckets are constants and not empty"
        )]
        let recorder = with_buckets()
            .expect("the buckets are not empty")
            .build_recorder();
        let handle = recorder.handle();
        // Fails only if another recorder is installed already. Then this one stays empty.
        let _ = metrics::set_global_recorder(recorder);
        describe::describe();
        handle
    });
}

/// `None` if metrics are not recorded.
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

/// Aggregates histograms periodically until `stop`.
pub async fn run_upkeep(stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(UPKEEP_EVERY) => metrics().into_iter().for_each(PrometheusHandle::run_upkeep),
            () = stop.cancelled() => return,
        }
    }
}
