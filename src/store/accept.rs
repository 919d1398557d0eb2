//! Stores a new export with its idempotency key, its first event and its place in the schedule: one statement, so all or none.

use std::time::Duration;

use serde_json::json;
use sqlx::PgExecutor;
use time::OffsetDateTime;

use super::rows::select_exports;
use super::schedule::Phase;
use super::{Store, StoreError};
use crate::domain::event::EventKind;
use crate::domain::export::{Export, Origin};
use crate::domain::request::ExportKind;
use crate::domain::s3::Encryption;

/// What became of a request to store an export.
#[derive(Debug)]
pub enum Acceptance {
    /// It was stored.
    Stored,
    /// The idempotency key is known and came with the same request: this is its export.
    Replayed(Box<Export>),
    /// The idempotency key is known and came with another request; nothing was stored.
    KeyReused,
    /// The export of AWS is known already, or the export was retried before; nothing was stored.
    Known(Box<Export>),
}

/// A request that came with an `Idempotency-Key`.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    /// The key.
    pub key: String,
    /// The fingerprint of the body.
    pub fingerprint: [u8; 32],
}

/// The columns that hold what AWS said, from the state.
pub(super) struct StateColumns<'a> {
    pub(super) export_arn: Option<&'a str>,
    pub(super) table_id: Option<&'a str>,
    pub(super) start_time: Option<OffsetDateTime>,
    pub(super) end_time: Option<OffsetDateTime>,
    pub(super) item_count: Option<i64>,
    pub(super) billed_size_in_bytes: Option<i64>,
    pub(super) manifest_key: Option<&'a str>,
    pub(super) failure_source: Option<&'static str>,
    pub(super) failure_code: Option<&'a str>,
    pub(super) failure_message: Option<&'a str>,
}

impl<'a> From<&'a Export> for StateColumns<'a> {
    fn from(export: &'a Export) -> Self {
        use crate::domain::export::{ExportState, Failed};
        let accepted = export.state.accepted();
        let written = match &export.state {
            ExportState::Completed(_, written) => Some(written),
            _ => None,
        };
        let (source, code, message, failed_at) = match &export.state {
            ExportState::Failed(Failed::ByAws { code, message, end_time, .. }) => {
                (Some("aws"), Some(code.as_str()), Some(message.as_str()), *end_time)
            }
            ExportState::Failed(Failed::Refused { code, message }) => (Some("refused"), Some(code.as_str()), Some(message.as_str()), None),
            _ => (None, None, None, None),
        };
        Self {
            export_arn: accepted.map(|a| a.arn.as_str()),
            table_id: accepted.and_then(|a| a.table_id.as_deref()),
            start_time: accepted.and_then(|a| a.start_time).map(OffsetDateTime::from),
            end_time: written.and_then(|w| w.end_time).or(failed_at).map(OffsetDateTime::from),
            item_count: written.and_then(|w| w.item_count),
            billed_size_in_bytes: written.and_then(|w| w.billed_size_in_bytes),
            manifest_key: written.and_then(|w| w.manifest_key.as_deref()),
            failure_source: source,
            failure_code: code,
            failure_message: message,
        }
    }
}

/// The columns that AWS may settle, from the request.
pub(super) struct SettledColumns {
    pub(super) sse_algorithm: Option<&'static str>,
    pub(super) export_time: Option<OffsetDateTime>,
    pub(super) from: Option<OffsetDateTime>,
    pub(super) to: Option<OffsetDateTime>,
    pub(super) view: Option<&'static str>,
}

impl From<&Export> for SettledColumns {
    fn from(export: &Export) -> Self {
        let sse_algorithm = export.request.destination.encryption.as_ref().map(|encryption| match encryption {
            Encryption::Aes256 => "AES256",
            Encryption::Kms { .. } => "KMS",
        });
        match &export.request.kind {
            ExportKind::Full { export_time } => {
                Self { sse_algorithm, export_time: export_time.map(OffsetDateTime::from), from: None, to: None, view: None }
            }
            ExportKind::Incremental { from, to, view } => Self {
                sse_algorithm,
                export_time: None,
                from: Some((*from).into()),
                to: to.map(OffsetDateTime::from),
                view: Some(view.as_str()),
            },
        }
    }
}

/// The phase of the schedule that a new export begins in; `None` if it has ended already (an import may have).
fn first_phase(export: &Export) -> Option<Phase> {
    match (&export.origin, export.status().is_end()) {
        (_, true) => None,
        (Origin::Created { .. }, false) => Some(Phase::Start),
        (Origin::Imported { .. }, false) => Some(Phase::Follow),
    }
}

/// Inserts a new export of version 1 with its first event and its place in the schedule, due after `delay`. Whether it was new.
pub(super) async fn insert(
    executor: impl PgExecutor<'_>,
    export: &Export,
    key: Option<&KeyedRequest>,
    event: EventKind,
    detail: &str,
    delay: Duration,
) -> Result<bool, StoreError> {
    let request = &export.request;
    let to = &request.destination;
    let columns = StateColumns::from(export);
    let settled = SettledColumns::from(export);
    let kms_key_id = match &to.encryption {
        Some(Encryption::Kms { key_id: Some(key_id) }) => Some(key_id.as_str()),
        _ => None,
    };
    let token = export.origin.client_token().map(|t| t.as_str());
    let token_made_at = export.origin.token_made_at().map(OffsetDateTime::from);
    let stored = sqlx::query_scalar!(
        r#"WITH stored AS (
            INSERT INTO exports (id, version, created_at, updated_at, origin, table_arn, account_id, region, s3_bucket,
                s3_bucket_owner, s3_prefix, s3_sse_algorithm, s3_sse_kms_key_id, export_format, export_type, export_time,
                export_from_time, export_to_time, export_view_type, filter_specification, create_timeout, create_timeout_ms,
                callback_url, callback_secret, labels, idempotency_key, request_fingerprint, client_token, client_token_made_at,
                export_status, status_reason, export_arn, table_id, start_time, end_time, item_count, billed_size_in_bytes,
                manifest_key, failure_source, failure_code, failure_message,
                retry_max_attempts, attempt, retry_of, estimate_basis, estimated_duration_ms, estimated_size_bytes, price_usd_per_gb, verify)
            VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
                $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $44, $45, $46, $49, $50, $51, $52, $48)
            ON CONFLICT DO NOTHING
            RETURNING id
        ), scheduled AS (
            INSERT INTO export_schedule (export_id, lane, due_at, delay_ms, phase, deadline_at)
            SELECT id, $6 || '/' || $7, now() + $47 * interval '1 second', 0, $41, $3 + $21 * interval '1 millisecond' FROM stored WHERE $41::text IS NOT NULL
        ), told AS (
            INSERT INTO export_events (export_id, sequence, type, at, export_status, detail)
            SELECT id, $2, $42, $3, $29, $43 FROM stored
        )
        SELECT id FROM stored"#,
        export.id.0,
        export.version,
        OffsetDateTime::from(export.created_at),
        match export.origin {
            Origin::Created { .. } => "created",
            Origin::Imported { .. } => "imported",
        },
        request.table_arn.as_str(),
        request.table_arn.account_id(),
        request.table_arn.region(),
        to.bucket.as_str(),
        to.bucket_owner.as_ref().map(|o| o.as_str()),
        to.prefix.as_ref().map(|p| p.as_str()),
        settled.sse_algorithm,
        kms_key_id,
        request.format.as_str(),
        request.kind.as_str(),
        settled.export_time,
        settled.from,
        settled.to,
        settled.view,
        request.filter.as_ref().map(|f| f.to_json()),
        request.create_timeout.as_str(),
        i64::try_from(request.create_timeout.duration().as_millis()).unwrap_or(i64::MAX),
        request.callback.as_ref().map(|c| c.url.as_str()),
        request.callback.as_ref().and_then(|c| c.secret.as_ref()).map(|s| s.as_str()),
        json!(request.labels.as_map()),
        key.map(|k| k.key.as_str()),
        key.map(|k| k.fingerprint.as_slice()),
        token,
        token_made_at,
        export.status().as_str(),
        export.status_reason,
        columns.export_arn,
        columns.table_id,
        columns.start_time,
        columns.end_time,
        columns.item_count,
        columns.billed_size_in_bytes,
        columns.manifest_key,
        columns.failure_source,
        columns.failure_code,
        columns.failure_message,
        first_phase(export).map(Phase::as_str),
        event.as_str(),
        detail,
        i32::try_from(request.retry.max_attempts()).unwrap_or(i32::MAX),
        i32::try_from(export.attempt.number).unwrap_or(i32::MAX),
        export.attempt.retry_of.map(|id| id.0),
        delay.as_secs_f64(),
        request.verify,
        export.estimate.map(|estimate| estimate.basis.as_str()),
        export.estimate.map(|estimate| i64::try_from(estimate.duration.as_millis()).unwrap_or(i64::MAX).max(1)),
        export.estimate.and_then(|estimate| estimate.size_bytes),
        export.estimate.map(|estimate| estimate.price_usd_per_gb),
    )
    .fetch_optional(executor)
    .await?;
    Ok(stored.is_some())
}

impl Store {
    /// Stores a new export of version 1, or says why not.
    ///
    /// # Errors
    /// The database did not take it; then nothing is stored.
    pub async fn accept(
        &self,
        export: &Export,
        key: Option<&KeyedRequest>,
        event: EventKind,
        detail: &str,
    ) -> Result<Acceptance, StoreError> {
        if insert(&self.pool, export, key, event, detail, Duration::ZERO).await? {
            return Ok(Acceptance::Stored);
        }
        match (key, export.attempt.retry_of) {
            // A row that conflicted can be gone by now, if it was just deleted: then the key is free again and the caller may repeat.
            (Some(key), _) => self.known_by_key(key).await?.ok_or(StoreError::Stale),
            (None, Some(of)) => Ok(Acceptance::Known(Box::new(self.retry_of(of).await?.ok_or(StoreError::Stale)?))),
            (None, None) => self.known_by_arn(export).await,
        }
    }

    /// What an idempotency key stands for: an export to replay, or another request's. `None` when it is new.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn known_by_key(&self, key: &KeyedRequest) -> Result<Option<Acceptance>, StoreError> {
        let row = select_exports!("WHERE e.idempotency_key = $1", key.key).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(None) };
        let same = sqlx::query_scalar!(
            "SELECT request_fingerprint = $2 FROM exports WHERE idempotency_key = $1",
            key.key,
            key.fingerprint.as_slice()
        )
        .fetch_optional(&self.pool)
        .await?
        .flatten();
        Ok(Some(if same == Some(true) { Acceptance::Replayed(Box::new(row.try_into()?)) } else { Acceptance::KeyReused }))
    }

    async fn known_by_arn(&self, export: &Export) -> Result<Acceptance, StoreError> {
        let arn = export.state.accepted().map(|a| a.arn.as_str()).ok_or(StoreError::Stale)?;
        let known = self.find_by_arn(arn).await?.ok_or(StoreError::Stale)?;
        Ok(Acceptance::Known(Box::new(known)))
    }
}
