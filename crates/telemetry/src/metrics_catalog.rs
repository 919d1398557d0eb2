//! The catalogue of metrics: name, type, unit, labels and meaning of each. Names and labels follow
//! OpenTelemetry's semantic conventions, as its Prometheus exporter writes them; names of metrics
//! without a convention begin with `tableferry_`.
//!
//! Code that records a metric uses its constant. `tests/it/metrics.rs` reads the source and checks
//! that no other metric is recorded, and that docs/observability.md, the dashboard and the alert
//! rules name only metrics of this catalogue.

use metrics::Unit;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    /// With `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl Kind {
    /// As in Prometheus's `# TYPE`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    /// All of them are on every series.
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

macro_rules! catalog {
    ($($constant:ident = $kind:ident $unit:ident $name:literal $labels:tt $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        pub const ALL: &[Metric] = &[
            $(Metric { name: $name, kind: Kind::$kind, unit: Unit::$unit, labels: &$labels, help: $help },)*
        ];
    };
}

catalog! {
    HTTP_REQUESTS = Histogram Seconds "http_server_request_duration_seconds" ["http_request_method", "http_route", "http_response_status_code"] "Duration of requests, including waits that callers asked for";
    HTTP_ACTIVE = Gauge Count "http_server_active_requests" [] "Requests in progress";
    HTTP_CONNECTIONS = Gauge Count "tableferry_http_connections" [] "Open connections of callers";
    CUT = Counter Count "tableferry_http_cut_total" ["reason"] "Connections and requests that were closed or refused to protect the service";
    AWS_CALLS = Histogram Seconds "rpc_client_call_duration_seconds" ["rpc_system_name", "rpc_method", "outcome"] "Duration of calls to AWS";
    DB_CONNECTIONS = Gauge Count "db_client_connection_count" ["db_client_connection_pool_name", "db_client_connection_state"] "Open connections of this process to Postgres";
    DB_CONNECTION_LIMIT = Gauge Count "db_client_connection_limit" ["db_client_connection_pool_name"] "Maximum number of connections of this process to Postgres";
    DATABASE_UP = Gauge Count "tableferry_database_up" [] "1 if the database answered when the gauges from it were last read, otherwise 0, and these gauges are NaN";

    DATABASE_WRITABLE = Gauge Count "tableferry_database_writable" [] "1 if the last health check, every two seconds, found the database usable and writable, otherwise 0";

    AUTH_FAILURES = Counter Count "tableferry_auth_failures_total" ["reason"] "Requests that were refused because their caller could not be authenticated";
    RATE_LIMITED = Counter Count "tableferry_rate_limited_total" [] "Requests that were refused because their caller exceeded its rate";

    ACCEPT_GROUP = Histogram Count "tableferry_accept_group_size" [] "New exports stored by one statement";
    STEP_GROUP = Histogram Count "tableferry_step_group_size" [] "Steps of exports written by one statement";
    ACCEPTS_WAITING = Gauge Count "tableferry_accepts_waiting" [] "New exports waiting to be stored";
    ACCEPTS_REFUSED = Counter Count "tableferry_accepts_refused_total" [] "New exports that were refused with 503 because too many were waiting to be stored";

    EXPORT_EVENTS = Counter Count "tableferry_export_events_total" ["type"] "Events of exports written by this process";
    EXPORTS_OPEN = Gauge Count "tableferry_exports_open" ["state"] "Exports that have not ended, over all processes; an estimate from 100000 on";
    OLDEST_DUE = Gauge Seconds "tableferry_oldest_due_seconds" ["work"] "How long the oldest due work has been waiting, over all processes; 0 if no work is due";
    POLL_LAG = Histogram Seconds "tableferry_export_poll_lag_seconds" ["phase"] "Delay from an export's due time to its claim; starts include the wait for a slot";
    LIMIT_EXCEEDED = Counter Count "tableferry_aws_limit_exceeded_total" [] "Starts that AWS refused because its maximum number of exports is running";
    THROTTLES = Counter Count "tableferry_aws_throttles_total" ["rpc_method"] "Calls throttled by AWS";
    UNREADABLE_ROWS = Counter Count "tableferry_unreadable_rows_total" ["table"] "Stored rows that this version could not read and skipped";
    FENCED_WRITES = Counter Count "tableferry_fenced_writes_total" ["worker"] "Results of workers that were too late and had no effect";
    CLAIMS = Counter Count "tableferry_worker_claims_total" ["worker", "outcome"] "Queries of workers for due work";
    SINCE_CLAIM = Gauge Seconds "tableferry_worker_since_claim_seconds" ["worker"] "Time since a worker of this process last claimed work, found that none is due, or had all its task slots in use";
    WORKER_TASKS = Gauge Count "tableferry_worker_tasks" ["worker"] "Running tasks of workers in this process";
    VERIFICATIONS = Counter Count "tableferry_export_verifications_total" ["outcome"] "Verifications that ended";
    REMOVED = Counter Count "tableferry_retention_removed_total" ["kind"] "Records that were removed because of their age";

    WEBHOOK_ATTEMPTS = Histogram Seconds "tableferry_webhook_attempt_duration_seconds" ["outcome"] "Duration of attempts to deliver a webhook";
    WEBHOOK_LAG = Histogram Seconds "tableferry_webhook_delivery_lag_seconds" [] "Time from an event to the first attempt of its delivery";
    ENDPOINTS_DISABLED = Counter Count "tableferry_webhook_endpoints_disabled_total" ["reason"] "Webhook endpoints that were disabled by the service";

    PROCESS_CPU = Counter Seconds "process_cpu_time_seconds_total" ["cpu_mode"] "CPU time of this process";
    PROCESS_MEMORY = Gauge Bytes "process_memory_usage_bytes" [] "Resident memory of this process";
    PROCESS_FILES = Gauge Count "process_unix_file_descriptor_count" [] "Open file descriptors of this process";
    PROCESS_FILE_LIMIT = Gauge Count "process_unix_file_descriptor_limit" [] "Maximum number of open file descriptors of this process";
    PROCESS_THREADS = Gauge Count "process_thread_count" [] "Threads of this process";
    PROCESS_UPTIME = Gauge Seconds "process_uptime_seconds" [] "Time since this process started";
    TARGET_INFO = Gauge Count "target_info" ["service_name", "service_version"] "1, with the service's name and version as labels";
}

/// Seconds; the bounds that OpenTelemetry recommends for `http.server.request.duration`.
pub const REQUEST_BUCKETS_S: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Seconds; a lag may be minutes or hours.
pub const LAG_BUCKETS_S: [f64; 14] = [
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0,
];

/// Rows per statement.
pub const GROUP_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
