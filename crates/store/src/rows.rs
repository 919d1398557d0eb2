//! Rows become domain values here. A row that this version never writes is an error that names it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use tableferry_domain::arn::{ExportArn, TableArn};
use tableferry_domain::caller::CallerName;
use tableferry_domain::description::Written;
use tableferry_domain::duration::CreateTimeout;
use tableferry_domain::estimate::{Estimate, EstimateBasis, LikelyEnd};
use tableferry_domain::event::{Event, EventKind};
use tableferry_domain::export::{
    Accepted, Export, ExportState, ExportStatus, Failed, Origin, TimedOut,
};
use tableferry_domain::filter::FilterSpecification;
use tableferry_domain::ids::{ClientToken, ExportId};
use tableferry_domain::labels::Labels;
use tableferry_domain::request::{ExportFormat, ExportKind, ExportRequest, ExportViewType};
use tableferry_domain::retry::{Attempt, RetryPolicy};
use tableferry_domain::s3::{BucketOwner, Encryption, KmsKeyId, S3Bucket, S3Destination, S3Prefix};
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::trace::TraceParent;
use tableferry_domain::verification::{
    Finding, Findings, Progress, Verification, VerificationState,
};
use tableferry_domain::webhook::Callback;
use tableferry_domain::webhook::secret::Sealed;
use tableferry_domain::webhook::url::WebhookUrl;

/// Labels as the database keeps them.
pub(super) type LabelMap = Json<BTreeMap<String, String>>;

/// A row of `exports`, less what only the database looks at.
#[derive(Debug)]
pub(super) struct ExportRow {
    pub(super) id: Uuid,
    pub(super) version: i32,
    pub(super) created_at: OffsetDateTime,
    pub(super) created_by: Option<String>,
    pub(super) updated_at: OffsetDateTime,
    pub(super) origin: String,
    pub(super) table_arn: String,
    pub(super) s3_bucket: String,
    pub(super) s3_bucket_owner: Option<String>,
    pub(super) s3_prefix: Option<String>,
    pub(super) s3_sse_algorithm: Option<String>,
    pub(super) s3_sse_kms_key_id: Option<String>,
    pub(super) export_format: String,
    pub(super) export_type: String,
    pub(super) export_time: Option<OffsetDateTime>,
    pub(super) export_from_time: Option<OffsetDateTime>,
    pub(super) export_to_time: Option<OffsetDateTime>,
    pub(super) export_view_type: Option<String>,
    pub(super) filter_specification: Option<Value>,
    pub(super) create_timeout: String,
    pub(super) create_timeout_ms: i64,
    pub(super) callback_url: Option<String>,
    pub(super) callback_secret: Option<String>,
    pub(super) callback_headers: Option<String>,
    pub(super) labels: LabelMap,
    pub(super) client_token: Option<String>,
    pub(super) client_token_made_at: Option<OffsetDateTime>,
    pub(super) export_status: String,
    pub(super) status_reason: Option<String>,
    pub(super) export_arn: Option<String>,
    pub(super) table_id: Option<String>,
    pub(super) start_time: Option<OffsetDateTime>,
    pub(super) end_time: Option<OffsetDateTime>,
    pub(super) item_count: Option<i64>,
    pub(super) billed_size_in_bytes: Option<i64>,
    pub(super) manifest_key: Option<String>,
    pub(super) failure_source: Option<String>,
    pub(super) failure_code: Option<String>,
    pub(super) failure_message: Option<String>,
    pub(super) start_in_doubt: bool,
    pub(super) verify: bool,
    pub(super) verification: Option<StoredVerification>,
    pub(super) retry_max_attempts: i32,
    pub(super) attempt: i32,
    pub(super) retry_of: Option<Uuid>,
    pub(super) retried_by: Option<Uuid>,
    pub(super) estimate_basis: Option<String>,
    pub(super) estimated_duration_ms: Option<i64>,
    pub(super) estimated_size_bytes: Option<i64>,
    pub(super) likely_end_from_ms: Option<i64>,
    pub(super) likely_end_to_ms: Option<i64>,
    pub(super) price_usd_per_gb: Option<f64>,
    pub(super) trace_parent: Option<String>,
}

/// A row of `export_verifications` within that of its export. In a join of the two, sqlx would hold
/// every column for nullable.
pub(super) type StoredVerification = Json<VerificationRow>;

/// A row of `export_verifications`, less what only the database looks at.
#[derive(Debug, Deserialize)]
pub(super) struct VerificationRow {
    deep: bool,
    status: String,
    manifest_offset: u64,
    files_checked: u64,
    files_total: Option<u64>,
    items_counted: u64,
    problems: Vec<Finding>,
    problems_total: u64,
    finished_at: Option<String>,
}

/// `SELECT` of every column of [`ExportRow`], followed by the rest of the query.
macro_rules! select_exports {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::rows::ExportRow,
            r#"SELECT e.id, e.version, e.created_at, e.created_by, e.updated_at, e.origin, e.table_arn, e.s3_bucket, e.s3_bucket_owner, e.s3_prefix,
                e.s3_sse_algorithm, e.s3_sse_kms_key_id, e.export_format, e.export_type, e.export_time, e.export_from_time,
                e.export_to_time, e.export_view_type, e.filter_specification, e.create_timeout, e.create_timeout_ms, e.callback_url, e.callback_secret,
                e.callback_headers,
                e.labels AS "labels: crate::rows::LabelMap", e.client_token,
                e.client_token_made_at, e.export_status, e.status_reason, e.export_arn, e.table_id, e.start_time, e.end_time,
                e.item_count, e.billed_size_in_bytes, e.manifest_key, e.failure_source, e.failure_code, e.failure_message, e.start_in_doubt,
                e.verify, (SELECT to_jsonb(v) FROM export_verifications v WHERE v.export_id = e.id)
                    AS "verification: crate::rows::StoredVerification",
                e.retry_max_attempts, e.attempt, e.retry_of,
                (SELECT r.id FROM exports r WHERE r.retry_of = e.id) AS retried_by,
                e.estimate_basis, e.estimated_duration_ms, e.estimated_size_bytes, e.likely_end_from_ms, e.likely_end_to_ms, e.price_usd_per_gb, e.trace_parent
            FROM exports e "# + $rest
            $(, $argument)*
        )
    };
}
pub(super) use select_exports;

impl TryFrom<ExportRow> for Export {
    type Error = StoreError;

    fn try_from(row: ExportRow) -> Result<Self, StoreError> {
        let id = row.id;
        read_row(row).map_err(|what| StoreError::InconsistentRow {
            table: "exports",
            id,
            what: what.into(),
        })
    }
}

fn read_row(mut row: ExportRow) -> Result<Export, String> {
    Ok(Export {
        id: ExportId(row.id),
        version: row.version,
        created_at: row.created_at.into(),
        created_by: row.created_by.as_deref().map(CallerName::known),
        updated_at: row.updated_at.into(),
        origin: read_origin(&mut row)?,
        state: read_state(&mut row)?,
        estimate: read_estimate(&row)?,
        status_reason: row.status_reason.take(),
        trace_parent: row.trace_parent.as_deref().and_then(TraceParent::parse),
        verification: row
            .verification
            .as_ref()
            .map(|json| read_verification(json))
            .transpose()?,
        attempt: Attempt {
            number: row.attempt.unsigned_abs(),
            retry_of: row.retry_of.map(ExportId),
            retried_by: row.retried_by.map(ExportId),
        },
        request: read_request(row)?,
    })
}

fn read_origin(row: &mut ExportRow) -> Result<Origin, String> {
    let token = row.client_token.take().map(ClientToken::known);
    match (row.origin.as_str(), token, row.client_token_made_at) {
        ("created", Some(client_token), Some(made_at)) => Ok(Origin::Created {
            client_token,
            token_made_at: made_at.into(),
        }),
        ("imported", client_token, _) => Ok(Origin::Imported { client_token }),
        (origin, ..) => Err(format!("origin {origin} without a client token")),
    }
}

fn read_estimate(row: &ExportRow) -> Result<Option<Estimate>, String> {
    let Some(basis) = row.estimate_basis.as_deref() else {
        return Ok(None);
    };
    let (Some(ms), Some(price_usd_per_gb)) = (row.estimated_duration_ms, row.price_usd_per_gb)
    else {
        return Err("an estimate lacks its duration or price".to_owned());
    };
    Ok(Some(Estimate {
        basis: EstimateBasis::parse(basis)
            .ok_or_else(|| format!("unknown estimate_basis {basis}"))?,
        duration: Duration::from_millis(ms.unsigned_abs()),
        size_bytes: row.estimated_size_bytes,
        likely_end: row
            .likely_end_from_ms
            .zip(row.likely_end_to_ms)
            .map(|(from, to)| LikelyEnd {
                from: Duration::from_millis(from.unsigned_abs()),
                to: Duration::from_millis(to.unsigned_abs()),
            }),
        price_usd_per_gb,
    }))
}

fn read_state(row: &mut ExportRow) -> Result<ExportState, String> {
    let accepted = row.export_arn.take().map(|arn| Accepted {
        arn: ExportArn::known(arn),
        table_id: row.table_id.take(),
        start_time: row.start_time.map(Timestamp::from),
    });
    let end_time = row.end_time.map(Timestamp::from);
    let failure = row.failure_code.take().zip(row.failure_message.take());
    let status = ExportStatus::parse(&row.export_status)
        .ok_or_else(|| format!("unknown status {}", row.export_status))?;
    match (status, accepted, row.failure_source.as_deref(), failure) {
        (ExportStatus::Pending, None, None, None) => Ok(ExportState::Pending),
        (ExportStatus::Cancelled, None, None, None) => Ok(ExportState::Cancelled),
        (ExportStatus::InProgress, Some(accepted), None, None) => {
            Ok(ExportState::InProgress(accepted))
        }
        (ExportStatus::TimedOut, accepted, None, None) => Ok(ExportState::TimedOut(
            match (accepted, row.start_in_doubt) {
                (Some(accepted), _) => TimedOut::Accepted(accepted),
                (None, true) => TimedOut::InDoubt,
                (None, false) => TimedOut::NotStarted,
            },
        )),
        (ExportStatus::Completed, Some(accepted), None, None) => {
            let written = Written {
                end_time,
                item_count: row.item_count,
                billed_size_in_bytes: row.billed_size_in_bytes,
                manifest_key: row.manifest_key.take(),
            };
            Ok(ExportState::Completed(accepted, written))
        }
        (ExportStatus::Failed, Some(accepted), Some("aws"), Some((code, message))) => {
            Ok(ExportState::Failed(Failed::ByAws {
                accepted,
                end_time,
                code,
                message,
            }))
        }
        (ExportStatus::Failed, None, Some("refused"), Some((code, message))) => {
            Ok(ExportState::Failed(Failed::Refused { code, message }))
        }
        _ => Err(format!(
            "status {} does not go with the other columns",
            row.export_status
        )),
    }
}

fn read_verification(row: &VerificationRow) -> Result<Verification, String> {
    let finished_at = row
        .finished_at
        .as_deref()
        .map(Timestamp::parse)
        .transpose()
        .map_err(|e| format!("finished_at {e}"))?;
    let state = match (row.status.as_str(), finished_at) {
        ("running", None) => VerificationState::Running,
        ("passed", Some(finished_at)) => VerificationState::Passed { finished_at },
        ("failed", Some(finished_at)) => VerificationState::Failed { finished_at },
        (other, _) => {
            return Err(format!(
                "verification status {other} does not go with finished_at"
            ));
        }
    };
    Ok(Verification {
        deep: row.deep,
        state,
        progress: Progress {
            manifest_offset: row.manifest_offset,
            files_checked: row.files_checked,
            files_total: row.files_total,
            items_counted: row.items_counted,
        },
        findings: Findings::known(row.problems.clone(), row.problems_total),
    })
}

fn read_request(row: ExportRow) -> Result<ExportRequest, String> {
    let text = |e: tableferry_domain::invalid::Invalid| e.to_string();
    let kind = match (
        row.export_type.as_str(),
        row.export_from_time,
        row.export_view_type,
    ) {
        ("FULL_EXPORT", None, None) => ExportKind::Full {
            export_time: row.export_time.map(Timestamp::from),
        },
        ("INCREMENTAL_EXPORT", Some(from), Some(view)) => ExportKind::Incremental {
            from: from.into(),
            to: row.export_to_time.map(Timestamp::from),
            view: ExportViewType::parse(&view).map_err(text)?,
        },
        (other, ..) => {
            return Err(format!(
                "export_type {other} does not go with the window's columns"
            ));
        }
    };
    let encryption = match (row.s3_sse_algorithm.as_deref(), row.s3_sse_kms_key_id) {
        (None, None) => None,
        (Some("AES256"), None) => Some(Encryption::Aes256),
        (Some("KMS"), key_id) => Some(Encryption::Kms {
            key_id: key_id.map(KmsKeyId::known),
        }),
        _ => return Err("s3_sse_algorithm does not go with the key".to_owned()),
    };
    let callback = match row.callback_url {
        Some(url) => Some(Callback {
            url: WebhookUrl::stored(&url).map_err(text)?,
            secret: row.callback_secret.map(Sealed::known),
            headers: row.callback_headers.map(Sealed::known),
        }),
        None => None,
    };
    Ok(ExportRequest {
        table_arn: TableArn::known(row.table_arn).ok_or("table_arn is no ARN")?,
        destination: S3Destination {
            bucket: S3Bucket::known(row.s3_bucket),
            bucket_owner: row.s3_bucket_owner.map(BucketOwner::known),
            prefix: row.s3_prefix.map(S3Prefix::known),
            encryption,
        },
        format: ExportFormat::parse(&row.export_format).map_err(text)?,
        kind,
        filter: row
            .filter_specification
            .map(|json| FilterSpecification::stored(&json))
            .transpose()
            .map_err(text)?,
        create_timeout: CreateTimeout::known(
            row.create_timeout,
            Duration::from_millis(row.create_timeout_ms.unsigned_abs()),
        ),
        callback,
        labels: Labels::known(row.labels.0),
        verify: row.verify,
        retry: RetryPolicy::known(row.retry_max_attempts.unsigned_abs()),
    })
}

/// A row of `export_events`.
#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) export_id: Uuid,
    pub(super) sequence: i32,
    pub(super) r#type: String,
    pub(super) at: OffsetDateTime,
    pub(super) export_status: String,
    pub(super) detail: String,
    pub(super) created_by: Option<String>,
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let inconsistent = |what: String| StoreError::InconsistentRow {
            table: "export_events",
            id: row.export_id,
            what: what.into(),
        };
        Ok(Self {
            sequence: row.sequence,
            kind: EventKind::parse(&row.r#type)
                .ok_or_else(|| inconsistent(format!("unknown type {}", row.r#type)))?,
            at: row.at.into(),
            status: ExportStatus::parse(&row.export_status)
                .ok_or_else(|| inconsistent(format!("unknown status {}", row.export_status)))?,
            detail: row.detail,
            created_by: row.created_by.as_deref().map(CallerName::known),
        })
    }
}
