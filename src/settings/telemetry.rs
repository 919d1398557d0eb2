//! Settings of metrics, logs and traces.

use super::setting::{Boolean, OneOf, Setting, Text, WithDefault, rows};
use super::source::{SettingsError, Source};
use crate::telemetry::{LogFormat, TelemetrySettings};

rows! {
    METRICS: WithDefault<Boolean> = Setting::new("TABLEFERRY_METRICS", Boolean).default("true");
    LOG: Setting<Text> = Setting::new("TABLEFERRY_LOG", Text);
    LOG_FORMAT: Setting<OneOf<LogFormat>> = Setting::new(
        "TABLEFERRY_LOG_FORMAT",
        OneOf(&[("text", LogFormat::Text), ("json", LogFormat::Json)]),
    );
}

pub(super) fn read(source: &Source) -> Result<TelemetrySettings, SettingsError> {
    Ok(TelemetrySettings {
        metrics: METRICS.read(source)?,
        traces: source.sends_traces,
        log: LOG.read(source)?,
        log_format: LOG_FORMAT.read(source)?,
    })
}
