//! Logs and metrics.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::settings::{DEFAULT_LOG, LogFormat, Settings};

/// Seconds; the bounds that OpenTelemetry recommends for `http.server.request.duration`.
const DURATION_BUCKETS_S: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Sends log lines to standard error from now on.
///
/// # Errors
/// `TABLEFERRY_LOG` is no tracing filter.
pub fn start_logging(settings: &Settings) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = EnvFilter::builder().parse(settings.log.as_deref().unwrap_or(DEFAULT_LOG))?;
    let terminal = std::io::stderr().is_terminal();
    let format = settings.log_format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only the first call has an effect: tests start many services in one process.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(terminal).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// The process's metrics, recorded from the first call on.
pub fn metrics() -> &'static PrometheusHandle {
    METRICS.get_or_init(|| {
        #[expect(clippy::expect_used, reason = "the buckets are a constant that is not empty")]
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS_S)
            .expect("the buckets are not empty")
            .build_recorder();
        let handle = recorder.handle();
        // Fails only if another recorder is installed already; then this one stays empty.
        let _ = metrics::set_global_recorder(recorder);
        handle
    })
}
