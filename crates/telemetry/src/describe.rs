//! Tells the metrics recorder about the catalogue.

use crate::metrics_catalog::{
    ACCEPTS_REFUSED, ALL, AUTH_FAILURES, CUT, ENDPOINTS_DISABLED, FENCED_WRITES, Kind,
    LIMIT_EXCEEDED, RATE_LIMITED, REMOVED, TARGET_INFO, UNREADABLE_ROWS, VERIFICATIONS,
};
use crate::reasons::{AuthFailureReason, CutReason};

/// Gives the recorder each metric's unit and meaning. Starts counters at 0 if their first increase
/// must be visible to alert rules.
pub fn describe() {
    for metric in ALL {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.unit, metric.help),
            Kind::Histogram => {
                metrics::describe_histogram!(metric.name, metric.unit, metric.help)
            }
        }
    }
    for worker in ["exports", "deliveries", "verifications"] {
        metrics::counter!(FENCED_WRITES, "worker" => worker).increment(0);
    }
    for table in [
        "exports",
        "export_events",
        "webhook_endpoints",
        "webhook_deliveries",
        "webhook_jobs",
        "api_keys",
    ] {
        metrics::counter!(UNREADABLE_ROWS, "table" => table).increment(0);
    }
    for reason in ["gone", "failing"] {
        metrics::counter!(ENDPOINTS_DISABLED, "reason" => reason).increment(0);
    }
    for outcome in ["passed", "failed"] {
        metrics::counter!(VERIFICATIONS, "outcome" => outcome).increment(0);
    }
    for kind in ["exports", "events", "deliveries"] {
        metrics::counter!(REMOVED, "kind" => kind).increment(0);
    }
    for reason in AuthFailureReason::ALL {
        metrics::counter!(AUTH_FAILURES, "reason" => reason.as_str()).increment(0);
    }
    metrics::counter!(RATE_LIMITED).increment(0);
    for reason in CutReason::ALL {
        metrics::counter!(CUT, "reason" => reason.as_str()).increment(0);
    }
    metrics::counter!(LIMIT_EXCEEDED).increment(0);
    metrics::counter!(ACCEPTS_REFUSED).increment(0);
    metrics::gauge!(TARGET_INFO, "service_name" => "tableferry", "service_version" => env!("CARGO_PKG_VERSION")).set(1.0);
}
