//! The parts of the API's responses that the client shows. Unknown fields are ignored, so that the
//! client works with a newer service.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Deserialize)]
pub struct Export {
    pub id: String,
    pub arn: Option<String>,
    pub export_status: String,
    pub status_reason: Option<String>,
    pub table_arn: String,
    pub s3_bucket: String,
    pub s3_prefix: Option<String>,
    pub s3_bucket_owner: Option<String>,
    pub s3_sse_algorithm: Option<String>,
    pub s3_sse_kms_key_id: Option<String>,
    pub filter_specification: Option<Value>,
    pub timeouts: Option<Timeouts>,
    pub retry: Option<Retry>,
    pub attempt: Option<u32>,
    pub export_format: String,
    pub export_type: String,
    pub export_time: Option<String>,
    pub incremental_export_specification: Option<Window>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    pub callback_url: Option<String>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    pub item_count: Option<u64>,
    pub billed_size_in_bytes: Option<u64>,
    pub billed_cost: Option<f64>,
    pub manifest_files_s3_key: Option<String>,
    pub failure: Option<Failure>,
    pub verification: Option<Verification>,
    pub estimate: Option<Estimate>,
    pub retry_of: Option<String>,
    pub retried_by: Option<String>,
    pub created_at: String,
    pub created_by: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Timeouts {
    pub create: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Retry {
    pub max_attempts: u32,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Window {
    pub export_from_time: String,
    pub export_to_time: Option<String>,
    pub export_view_type: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub hint: Option<String>,
    #[serde(default)]
    pub retryable: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Verification {
    pub status: String,
    #[serde(default)]
    pub deep: bool,
    #[serde(default)]
    pub files_checked: u64,
    pub files_total: Option<u64>,
    #[serde(default)]
    pub items_counted: u64,
    #[serde(default)]
    pub problems: Vec<Finding>,
    #[serde(default)]
    pub problems_total: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Finding {
    pub key: String,
    pub detail: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Estimate {
    pub expected_end_time: String,
    pub basis: String,
    pub size_in_bytes: Option<u64>,
    pub cost: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    #[serde(rename = "type")]
    pub kind: String,
    pub timestamp: String,
    pub export_status: String,
    pub detail: String,
}

#[derive(Debug, Deserialize)]
pub struct EventList {
    pub events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
pub struct FilePage {
    pub files: Vec<ExportFile>,
    pub next_page_token: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct ExportFile {
    pub key: String,
    pub item_count: Option<u64>,
    pub md5: Option<String>,
    pub etag: Option<String>,
    pub size_bytes: Option<u64>,
    pub url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Manifest {
    pub files_count: u64,
    pub item_count: u64,
    pub size_bytes: Option<u64>,
    pub objects: Vec<ExportFile>,
}

#[derive(Debug, Deserialize)]
pub struct Preflight {
    pub ok: bool,
    pub checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
pub struct Check {
    pub name: String,
    pub status: String,
    pub detail: String,
    pub fix: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Discovered {
    pub exports: Vec<DiscoveredExport>,
    pub adopted: u64,
    pub not_adopted: Vec<NotAdopted>,
    pub next_page_token: Option<String>,
    pub incomplete_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct DiscoveredExport {
    pub arn: String,
    pub export_status: String,
    pub export_type: String,
    pub known_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct NotAdopted {
    pub arn: String,
    pub detail: String,
}

#[derive(Debug, Deserialize)]
pub struct Endpoint {
    pub id: String,
    pub url: String,
    pub description: Option<String>,
    pub event_types: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub header_names: Vec<String>,
    pub disabled: bool,
    pub disabled_reason: Option<String>,
    pub failing_since: Option<String>,
    pub created_at: String,
    /// Only when it was just created or rotated.
    pub secret: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Delivery {
    pub id: String,
    pub export_id: Option<String>,
    pub event_type: String,
    pub url: String,
    pub status: String,
    pub next_attempt_at: Option<String>,
    pub created_at: String,
    pub attempts: Vec<Attempt>,
}

#[derive(Debug, Deserialize)]
pub struct Attempt {
    pub at: String,
    pub duration_ms: u64,
    pub status_code: Option<u16>,
    pub error: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Job {
    pub id: String,
    pub kind: String,
    pub status: String,
    pub since: String,
    pub covered_until: Option<String>,
    pub examined: u64,
    pub queued: u64,
}
