//! Inserts new exports, each with its first event and its place in the schedule: one statement
//! however many they are.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::accept::KeyedRequest;
use super::columns::{SettledColumns, StateColumns, as_json};
use super::{StoreError, marks};
use tableferry_domain::caller::CallerName;
use tableferry_domain::event::EventKind;
use tableferry_domain::export::{Export, Origin};
use tableferry_domain::hex::hex;
use tableferry_domain::ids::ExportId;
use tableferry_domain::labels::Labels;
use tableferry_domain::s3::Encryption;
use tableferry_domain::timestamp::Timestamp;

/// An export of version 1 that is to be stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewExport<'a> {
    pub(super) export: &'a Export,
    pub(super) key: Option<&'a KeyedRequest>,
}

/// How the exports of one statement begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct First<'a> {
    /// Their first event.
    pub(super) event: EventKind,
    /// What it says.
    pub(super) detail: &'a str,
    /// When they are due.
    pub(super) delay: Duration,
}

/// A row of `exports` under the names of its columns. What is null is left out: Postgres reads no
/// less from it.
#[derive(Debug, Serialize)]
struct NewRow<'a> {
    id: Uuid,
    version: i32,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    updated_at: Timestamp,
    origin: &'static str,
    table_arn: &'a str,
    account_id: &'a str,
    region: &'a str,
    s3_bucket: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_bucket_owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_prefix: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_sse_kms_key_id: Option<&'a str>,
    export_format: &'static str,
    export_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_specification: Option<Value>,
    create_timeout: &'a str,
    create_timeout_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_headers: Option<&'a str>,
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token_made_at: Option<Timestamp>,
    export_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<&'a str>,
    retry_max_attempts: u32,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate_basis: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_duration_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_size_bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    likely_end_from_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    likely_end_to_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_usd_per_gb: Option<f64>,
    verify: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_parent: Option<String>,
    #[serde(flatten)]
    state: StateColumns<'a>,
    #[serde(flatten)]
    settled: SettledColumns,
}

impl<'a> From<&NewExport<'a>> for NewRow<'a> {
    fn from(new: &NewExport<'a>) -> Self {
        let export = new.export;
        let request = &export.request;
        let to = &request.destination;
        let estimate = export.estimate.as_ref();
        let likely_end = estimate.and_then(|estimate| estimate.likely_end);
        let milliseconds = |duration: Duration| {
            i64::try_from(duration.as_millis())
                .unwrap_or(i64::MAX)
                .max(1)
        };
        Self {
            id: export.id.0,
            version: export.version,
            created_at: export.created_at,
            created_by: export.created_by.as_ref().map(CallerName::as_str),
            updated_at: export.updated_at,
            origin: match export.origin {
                Origin::Created { .. } => "created",
                Origin::Imported { .. } => "imported",
            },
            table_arn: request.table_arn.as_str(),
            account_id: request.table_arn.account_id(),
            region: request.table_arn.region(),
            s3_bucket: to.bucket.as_str(),
            s3_bucket_owner: to.bucket_owner.as_ref().map(|owner| owner.as_str()),
            s3_prefix: to.prefix.as_ref().map(|prefix| prefix.as_str()),
            s3_sse_kms_key_id: match &to.encryption {
                Some(Encryption::Kms {
                    key_id: Some(key_id),
                }) => Some(key_id.as_str()),
                _ => None,
            },
            export_format: request.format.as_str(),
            export_type: request.kind.as_str(),
            filter_specification: request.filter.as_ref().map(|filter| filter.to_json()),
            create_timeout: request.create_timeout.as_str(),
            create_timeout_ms: milliseconds(request.create_timeout.duration()),
            callback_url: request
                .callback
                .as_ref()
                .map(|callback| callback.url.as_str()),
            callback_secret: request
                .callback
                .as_ref()
                .and_then(|callback| callback.secret.as_ref())
                .map(|secret| secret.as_str()),
            callback_headers: request
                .callback
                .as_ref()
                .and_then(|callback| callback.headers.as_ref())
                .map(|headers| headers.as_str()),
            labels: request.labels.as_map(),
            idempotency_key: new.key.map(|key| key.key.as_str()),
            request_fingerprint: new.key.map(|key| bytea(&key.fingerprint)),
            client_token: export.origin.client_token().map(|token| token.as_str()),
            client_token_made_at: export.origin.token_made_at(),
            export_status: export.status().as_str(),
            status_reason: export.status_reason.as_deref(),
            retry_max_attempts: request.retry.max_attempts(),
            attempt: export.attempt.number,
            retry_of: export.attempt.retry_of.map(|id| id.0),
            estimate_basis: estimate.map(|estimate| estimate.basis.as_str()),
            estimated_duration_ms: estimate.map(|estimate| milliseconds(estimate.duration)),
            estimated_size_bytes: estimate.and_then(|estimate| estimate.size_bytes),
            likely_end_from_ms: likely_end.map(|likely| milliseconds(likely.from)),
            likely_end_to_ms: likely_end.map(|likely| milliseconds(likely.to)),
            price_usd_per_gb: estimate.map(|estimate| estimate.price_usd_per_gb),
            verify: request.verify,
            trace_parent: export.trace_parent.map(|parent| parent.to_string()),
            state: StateColumns::from(export),
            settled: SettledColumns::from(export),
        }
    }
}

/// Rows of `export_labels`, a column each.
#[derive(Debug, Default)]
struct LabelColumns {
    labels: Vec<String>,
    export_ids: Vec<Uuid>,
    marks: Vec<i64>,
}

impl LabelColumns {
    fn of(new: &[NewExport<'_>]) -> Self {
        let mut columns = Self::default();
        for NewExport { export, .. } in new {
            let labels = export.request.labels.as_map();
            if labels.is_empty() {
                continue;
            }
            let marks = marks::of_export(&export.request);
            for (key, value) in labels {
                columns.labels.push(Labels::entry(key, value));
                columns.export_ids.push(export.id.0);
                columns.marks.push(marks);
            }
        }
        columns
    }
}

/// Bytes in the form that Postgres reads.
fn bytea(bytes: &[u8]) -> String {
    format!("\\x{}", hex(bytes))
}

/// Inserts these exports; those that conflict with what is stored, or with one before them, are
/// left out. The ids of the stored ones.
///
/// The rows travel as one JSON array, which Postgres reads into the table's own row type: every
/// column is named once, here and above.
pub(super) async fn insert(
    executor: impl PgExecutor<'_>,
    new: &[NewExport<'_>],
    first: First<'_>,
) -> Result<Vec<ExportId>, StoreError> {
    let rows: Vec<NewRow<'_>> = new.iter().map(NewRow::from).collect();
    let rows = as_json(&rows)?;
    let labels = LabelColumns::of(new);
    let stored = sqlx::query_scalar!(
        r#"WITH stored AS (
            INSERT INTO exports (id, version, created_at, created_by, updated_at, origin, table_arn, account_id, region, s3_bucket,
                s3_bucket_owner, s3_prefix, s3_sse_algorithm, s3_sse_kms_key_id, export_format, export_type, export_time,
                export_from_time, export_to_time, export_view_type, filter_specification, create_timeout, create_timeout_ms,
                callback_url, callback_secret, callback_headers, labels, idempotency_key, request_fingerprint, client_token, client_token_made_at,
                export_status, status_reason, export_arn, table_id, start_time, end_time, item_count, billed_size_in_bytes,
                manifest_key, failure_source, failure_code, failure_message, retry_max_attempts, attempt, retry_of, estimate_basis,
                estimated_duration_ms, estimated_size_bytes, likely_end_from_ms, likely_end_to_ms, price_usd_per_gb, verify, trace_parent)
            SELECT id, version, created_at, created_by, updated_at, origin, table_arn, account_id, region, s3_bucket,
                s3_bucket_owner, s3_prefix, s3_sse_algorithm, s3_sse_kms_key_id, export_format, export_type, export_time,
                export_from_time, export_to_time, export_view_type, filter_specification, create_timeout, create_timeout_ms,
                callback_url, callback_secret, callback_headers, labels, idempotency_key, request_fingerprint, client_token, client_token_made_at,
                export_status, status_reason, export_arn, table_id, start_time, end_time, item_count, billed_size_in_bytes,
                manifest_key, failure_source, failure_code, failure_message, retry_max_attempts, attempt, retry_of, estimate_basis,
                estimated_duration_ms, estimated_size_bytes, likely_end_from_ms, likely_end_to_ms, price_usd_per_gb, verify, trace_parent
            FROM json_populate_recordset(NULL::exports, $1::text::json)
            ON CONFLICT DO NOTHING
            RETURNING id, version, created_at, created_by, origin, account_id, region, create_timeout_ms, export_status
        ), scheduled AS (
            INSERT INTO export_schedule (export_id, lane, due_at, delay_ms, phase, deadline_at)
            SELECT id, account_id || '/' || region, now() + $2 * interval '1 second', 0,
                CASE origin WHEN 'created' THEN 'START' ELSE 'FOLLOW' END, created_at + create_timeout_ms * interval '1 millisecond'
            FROM stored WHERE export_status IN ('PENDING', 'IN_PROGRESS')
        ), labelled AS (
            INSERT INTO export_labels (label, export_id, marks)
            SELECT each.label, stored.id, each.marks
            FROM unnest($5::text[], $6::uuid[], $7::bigint[]) AS each (label, export_id, marks) JOIN stored ON stored.id = each.export_id
        ), told AS (
            INSERT INTO export_events (export_id, sequence, type, at, export_status, detail, created_by)
            SELECT id, version, $3, created_at, export_status, $4, created_by FROM stored
        )
        SELECT id FROM stored"#,
        rows,
        first.delay.as_secs_f64(),
        first.event.as_str(),
        first.detail,
        &labels.labels,
        &labels.export_ids,
        &labels.marks,
    )
    .fetch_all(executor)
    .await?;
    Ok(stored.into_iter().map(ExportId).collect())
}
