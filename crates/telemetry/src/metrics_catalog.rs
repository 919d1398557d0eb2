//! Every metric that the service exposes: name, type, unit, labels, and what it says. Names and
//! labels are those of OpenTelemetry's semantic conventions as its Prometheus exporter writes them;
//! what has no convention begins with `tableferry_`.
//!
//! Whoever records one names its constant; `tests/it/metrics.rs` reads the source and holds that
//! nobody records anything else, and that docs/observability.md, the dashboard and the alert rules
//! name only what stands here.

use metrics::Unit;

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size: `_bucket`, `_sum`, `_count`.
    Histogram,
}

impl Kind {
    /// Prometheus's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// Its labels, all of them on every series.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

macro_rules! measures {
    ($($constant:ident = $kind:ident $unit:ident $name:literal $labels:tt $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        /// All of them.
        pub const ALL: &[Measure] = &[
            $(Measure { name: $name, kind: Kind::$kind, unit: Unit::$unit, labels: &$labels, help: $help },)*
        ];
    };
}

measures! {
    HTTP_REQUESTS = Histogram Seconds "http_server_request_duration_seconds" ["http_request_method", "http_route", "http_response_status_code"] "How long requests took to answer, waits that callers asked for included";
    HTTP_ACTIVE = Gauge Count "http_server_active_requests" [] "Requests that are being answered";
    HTTP_CONNECTIONS = Gauge Count "tableferry_http_connections" [] "Connections of callers that are open";
    CUT = Counter Count "tableferry_http_cut_total" ["reason"] "Connections and requests that were cut, refused or sent away to protect the others";
    AWS_CALLS = Histogram Seconds "rpc_client_call_duration_seconds" ["rpc_system_name", "rpc_method", "outcome"] "How long calls to AWS took";
    DB_CONNECTIONS = Gauge Count "db_client_connection_count" ["db_client_connection_pool_name", "db_client_connection_state"] "Connections to Postgres that this process has open, idle or used";
    DB_CONNECTION_LIMIT = Gauge Count "db_client_connection_limit" ["db_client_connection_pool_name"] "How many connections to Postgres this process opens at most";
    DATABASE_UP = Gauge Count "tableferry_database_up" [] "1 if the database answered when the gauges that come from it were last read, else 0 and those gauges are NaN";

    DATABASE_WRITABLE = Gauge Count "tableferry_database_writable" [] "1 if the last health check, every two seconds, found the database usable and writable, else 0";

    AUTH_FAILURES = Counter Count "tableferry_auth_failures_total" ["reason"] "Requests whose caller was not let in";
    RATE_LIMITED = Counter Count "tableferry_rate_limited_total" [] "Requests that were refused because their caller asks too often";

    ACCEPT_GROUP = Histogram Count "tableferry_accept_group_size" [] "How many new exports were stored by one statement";
    STEP_GROUP = Histogram Count "tableferry_step_group_size" [] "How many steps of exports were written by one statement";
    ACCEPTS_WAITING = Gauge Count "tableferry_accepts_waiting" [] "New exports that wait to be stored";
    ACCEPTS_REFUSED = Counter Count "tableferry_accepts_refused_total" [] "New exports that were refused with 503 because too many waited to be stored";

    EXPORT_EVENTS = Counter Count "tableferry_export_events_total" ["type"] "Events of exports that this process wrote";
    EXPORTS_OPEN = Gauge Count "tableferry_exports_open" ["state"] "Exports that are worked on, all processes together; an estimate from 100000 on";
    OLDEST_DUE = Gauge Seconds "tableferry_oldest_due_seconds" ["work"] "For how long the work that has been due longest waits, all processes together; 0 if nothing is due";
    POLL_LAG = Histogram Seconds "tableferry_export_poll_lag_seconds" ["phase"] "How much later than it was due an export was taken up; starts include the wait for a place in flight";
    LIMIT_EXCEEDED = Counter Count "tableferry_aws_limit_exceeded_total" [] "Starts that AWS refused for now because as many exports run as it allows";
    THROTTLES = Counter Count "tableferry_aws_throttles_total" ["rpc_method"] "Calls that AWS throttled";
    UNREADABLE_ROWS = Counter Count "tableferry_unreadable_rows_total" ["table"] "Reads of stored rows that this version cannot read; each was left out";
    FENCED_WRITES = Counter Count "tableferry_fenced_writes_total" ["worker"] "Results of workers that came too late and changed nothing";
    CLAIMS = Counter Count "tableferry_worker_claims_total" ["worker", "outcome"] "How often a worker asked the database for due work";
    SINCE_CLAIM = Gauge Seconds "tableferry_worker_since_claim_seconds" ["worker"] "Time since a worker of this process last claimed work, or learnt that none is due, or had all its task slots in use";
    IN_HAND = Gauge Count "tableferry_worker_tasks" ["worker"] "Pieces of work that this process has in hand";
    VERIFICATIONS = Counter Count "tableferry_export_verifications_total" ["outcome"] "Verifications that ended";
    REMOVED = Counter Count "tableferry_retention_removed_total" ["kind"] "Records that were removed because they were old";

    WEBHOOK_ATTEMPTS = Histogram Seconds "tableferry_webhook_attempt_duration_seconds" ["outcome"] "How long attempts to deliver a webhook took";
    WEBHOOK_LAG = Histogram Seconds "tableferry_webhook_delivery_lag_seconds" [] "From the event to the first attempt of its delivery";
    ENDPOINTS_DISABLED = Counter Count "tableferry_webhook_endpoints_disabled_total" ["reason"] "Webhook endpoints that were disabled by the service";

    PROCESS_CPU = Counter Seconds "process_cpu_time_seconds_total" ["cpu_mode"] "Processor time of this process";
    PROCESS_MEMORY = Gauge Bytes "process_memory_usage_bytes" [] "Memory of this process that is resident";
    PROCESS_FILES = Gauge Count "process_unix_file_descriptor_count" [] "File descriptors that this process has open";
    PROCESS_FILE_LIMIT = Gauge Count "process_unix_file_descriptor_limit" [] "File descriptors that this process may have open";
    PROCESS_THREADS = Gauge Count "process_thread_count" [] "Threads of this process";
    PROCESS_UPTIME = Gauge Seconds "process_uptime_seconds" [] "For how long this process runs";
    TARGET_INFO = Gauge Count "target_info" ["service_name", "service_version"] "1, with what runs here as labels";
}

/// Why callers are not let in.
pub const AUTH_FAILURE_REASONS: [&str; 9] = [
    "missing",
    "malformed",
    "unknown",
    "expired",
    "revoked",
    "token",
    "too_many",
    "issuer_away",
    "database_away",
];

/// Tells the recorder what they mean, and begins the counters whose first count must be seen as a
/// change at 0.
pub fn describe() {
    for measure in ALL {
        match measure.kind {
            Kind::Counter => metrics::describe_counter!(measure.name, measure.unit, measure.help),
            Kind::Gauge => metrics::describe_gauge!(measure.name, measure.unit, measure.help),
            Kind::Histogram => {
                metrics::describe_histogram!(measure.name, measure.unit, measure.help)
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
    for reason in AUTH_FAILURE_REASONS {
        metrics::counter!(AUTH_FAILURES, "reason" => reason).increment(0);
    }
    metrics::counter!(RATE_LIMITED).increment(0);
    for reason in CUT_REASONS {
        metrics::counter!(CUT, "reason" => reason).increment(0);
    }
    metrics::counter!(LIMIT_EXCEEDED).increment(0);
    metrics::counter!(ACCEPTS_REFUSED).increment(0);
    metrics::gauge!(TARGET_INFO, "service_name" => "tableferry", "service_version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Why connections and requests are cut.
pub const CUT_REASONS: [&str; 14] = [
    "connections_full",
    "crowded",
    "idle_gave_way",
    "head_size",
    "head_time",
    "write_time",
    "tls_handshake",
    "tls_handshake_time",
    "proxy_header",
    "requests_full",
    "body_size",
    "body_time",
    "bodies_full",
    "answer_time",
];

/// Seconds; the bounds that OpenTelemetry recommends for `http.server.request.duration`.
pub const REQUEST_BUCKETS_S: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Seconds; a lag may be minutes or hours.
pub const LAG_BUCKETS_S: [f64; 14] = [
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0,
];

/// How many were stored together.
pub const GROUP_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
