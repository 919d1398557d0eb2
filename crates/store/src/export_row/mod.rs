//! A row of `exports`: the list of its columns, and the conversion of an export to a row and back.
//! [`state`] converts the columns of the export's state.
//!
//! A new column needs a migration, a line in [`export_columns`], a line in `From<&Export>`, and a
//! line in `read_row` or `read_request`. The statements are made from the list.

mod columns;
mod state;

use std::time::Duration;

use serde::ser::SerializeMap;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::verification_row::StoredVerification;
use columns::{ColumnValue as _, declare_row};
use tableferry_domain::aws::arn::TableArn;
use tableferry_domain::aws::s3::{
    BucketOwner, Encryption, KmsKeyId, S3Bucket, S3Destination, S3Prefix,
};
use tableferry_domain::caller::CallerName;
use tableferry_domain::duration::CreateTimeout;
use tableferry_domain::export::attempt::{Attempt, RetryPolicy};
use tableferry_domain::export::estimate::{Estimate, EstimateBasis, LikelyEnd};
use tableferry_domain::export::filter::FilterSpecification;
use tableferry_domain::export::labels::Labels;
use tableferry_domain::export::request::{ExportFormat, ExportKind, ExportRequest, ExportViewType};
use tableferry_domain::export::{Export, Origin};
use tableferry_domain::ids::{ClientToken, ExportId};
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::trace::TraceParent;
use tableferry_domain::webhook::Callback;
use tableferry_domain::webhook::secret::Sealed;
use tableferry_domain::webhook::url::WebhookUrl;

// `select_query` is called only by the expansion of `select_exports!`.
pub(crate) use columns::{ChangingColumns, as_json, select_exports, select_query};

/// Calls a macro with the columns of `exports` that belong to an [`Export`]. Per column: the field
/// of [`ExportRow`], the column's name as a literal for SQL, and the type. The first list has the
/// columns that are written once, the second those that each outcome writes again (`version` is in
/// the first: the statement that writes outcomes names it itself).
///
/// The columns `account_id`, `region`, `idempotency_key` and `request_fingerprint` are used only in
/// SQL; `accept::insert` writes them.
macro_rules! export_columns {
    ([$($macro:tt)+] $arguments:tt) => {
        $($macro)+! {
            $arguments
            [
                id "id" Uuid,
                version "version" i32,
                created_at "created_at" OffsetDateTime,
                created_by "created_by" Option<String>,
                origin "origin" String,
                table_arn "table_arn" String,
                s3_bucket "s3_bucket" String,
                s3_bucket_owner "s3_bucket_owner" Option<String>,
                s3_prefix "s3_prefix" Option<String>,
                s3_sse_kms_key_id "s3_sse_kms_key_id" Option<String>,
                export_format "export_format" String,
                export_type "export_type" String,
                filter_specification "filter_specification" Option<Value>,
                create_timeout "create_timeout" String,
                create_timeout_ms "create_timeout_ms" i64,
                callback_url "callback_url" Option<String>,
                callback_secret "callback_secret" Option<String>,
                callback_headers "callback_headers" Option<String>,
                labels "labels" Value,
                verify "verify" bool,
                retry_max_attempts "retry_max_attempts" i32,
                attempt "attempt" i32,
                retry_of "retry_of" Option<Uuid>,
                estimate_basis "estimate_basis" Option<String>,
                estimated_duration_ms "estimated_duration_ms" Option<i64>,
                estimated_size_bytes "estimated_size_bytes" Option<i64>,
                likely_end_from_ms "likely_end_from_ms" Option<i64>,
                likely_end_to_ms "likely_end_to_ms" Option<i64>,
                price_usd_per_gb "price_usd_per_gb" Option<f64>,
                trace_parent "trace_parent" Option<String>,
            ]
            [
                updated_at "updated_at" OffsetDateTime,
                client_token "client_token" Option<String>,
                client_token_made_at "client_token_made_at" Option<OffsetDateTime>,
                s3_sse_algorithm "s3_sse_algorithm" Option<String>,
                export_time "export_time" Option<OffsetDateTime>,
                export_from_time "export_from_time" Option<OffsetDateTime>,
                export_to_time "export_to_time" Option<OffsetDateTime>,
                export_view_type "export_view_type" Option<String>,
                export_status "export_status" String,
                status_reason "status_reason" Option<String>,
                export_arn "export_arn" Option<String>,
                table_id "table_id" Option<String>,
                start_time "start_time" Option<OffsetDateTime>,
                end_time "end_time" Option<OffsetDateTime>,
                item_count "item_count" Option<i64>,
                billed_size_in_bytes "billed_size_in_bytes" Option<i64>,
                manifest_key "manifest_key" Option<String>,
                failure_source "failure_source" Option<String>,
                failure_code "failure_code" Option<String>,
                failure_message "failure_message" Option<String>,
                start_in_doubt "start_in_doubt" bool,
            ]
        }
    };
}
pub(crate) use export_columns;

export_columns!([declare_row]());

impl From<&Export> for ExportRow {
    fn from(export: &Export) -> Self {
        let request = &export.request;
        let to = &request.destination;
        let (s3_sse_algorithm, kms_key_id) = match &to.encryption {
            None => (None, None),
            Some(Encryption::Aes256) => (Some("AES256"), None),
            Some(Encryption::Kms { key_id }) => (Some("KMS"), key_id.as_ref()),
        };
        let (export_time, from, until, view) = match &request.kind {
            ExportKind::Full { export_time } => (*export_time, None, None, None),
            ExportKind::Incremental { from, to, view } => (None, Some(*from), *to, Some(*view)),
        };
        let callback = request.callback.as_ref();
        let estimate = export.estimate.as_ref();
        let likely_end = estimate.and_then(|estimate| estimate.likely_end);
        let milliseconds = |duration: Duration| {
            i64::try_from(duration.as_millis())
                .unwrap_or(i64::MAX)
                .max(1)
        };
        let integer = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        let state = state::StateColumns::from(&export.state);
        Self {
            id: export.id.0,
            version: export.version,
            created_at: export.created_at.into(),
            created_by: export
                .created_by
                .as_ref()
                .map(|name| name.as_str().to_owned()),
            updated_at: export.updated_at.into(),
            origin: match export.origin {
                Origin::Created { .. } => "created".to_owned(),
                Origin::Imported { .. } => "imported".to_owned(),
            },
            table_arn: request.table_arn.as_str().to_owned(),
            s3_bucket: to.bucket.as_str().to_owned(),
            s3_bucket_owner: to
                .bucket_owner
                .as_ref()
                .map(|owner| owner.as_str().to_owned()),
            s3_prefix: to.prefix.as_ref().map(|prefix| prefix.as_str().to_owned()),
            s3_sse_algorithm: s3_sse_algorithm.map(str::to_owned),
            s3_sse_kms_key_id: kms_key_id.map(|key_id| key_id.as_str().to_owned()),
            export_format: request.format.as_str().to_owned(),
            export_type: request.kind.as_str().to_owned(),
            export_time: export_time.map(OffsetDateTime::from),
            export_from_time: from.map(OffsetDateTime::from),
            export_to_time: until.map(OffsetDateTime::from),
            export_view_type: view.map(|view| view.as_str().to_owned()),
            filter_specification: request.filter.as_ref().map(FilterSpecification::to_json),
            create_timeout: request.create_timeout.as_str().to_owned(),
            create_timeout_ms: milliseconds(request.create_timeout.duration()),
            callback_url: callback.map(|callback| callback.url.as_str().to_owned()),
            callback_secret: callback
                .and_then(|callback| callback.secret.as_ref())
                .map(|secret| secret.as_str().to_owned()),
            callback_headers: callback
                .and_then(|callback| callback.headers.as_ref())
                .map(|headers| headers.as_str().to_owned()),
            labels: labels_to_json(&request.labels),
            verify: request.verify,
            retry_max_attempts: integer(request.retry.max_attempts()),
            attempt: integer(export.attempt.number),
            retry_of: export.attempt.retry_of.map(|id| id.0),
            retried_by: export.attempt.retried_by.map(|id| id.0),
            estimate_basis: estimate.map(|estimate| estimate.basis.as_str().to_owned()),
            estimated_duration_ms: estimate.map(|estimate| milliseconds(estimate.duration)),
            estimated_size_bytes: estimate.and_then(|estimate| estimate.size_bytes),
            likely_end_from_ms: likely_end.map(|likely| milliseconds(likely.from)),
            likely_end_to_ms: likely_end.map(|likely| milliseconds(likely.to)),
            price_usd_per_gb: estimate.map(|estimate| estimate.price_usd_per_gb),
            trace_parent: export.trace_parent.map(|parent| parent.to_string()),
            client_token: export
                .origin
                .client_token()
                .map(|token| token.as_str().to_owned()),
            client_token_made_at: export.origin.token_made_at().map(OffsetDateTime::from),
            export_status: export.status().as_str().to_owned(),
            status_reason: export.status_reason.clone(),
            export_arn: state.export_arn,
            table_id: state.table_id,
            start_time: state.start_time,
            end_time: state.end_time,
            item_count: state.item_count,
            billed_size_in_bytes: state.billed_size_in_bytes,
            manifest_key: state.manifest_key,
            failure_source: state.failure_source,
            failure_code: state.failure_code,
            failure_message: state.failure_message,
            start_in_doubt: state.start_in_doubt,
            verification: None, // written by statements of its own
        }
    }
}

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
        created_by: row.created_by.as_deref().map(CallerName::from_db),
        updated_at: row.updated_at.into(),
        origin: read_origin(&mut row)?,
        state: state::read(&mut row)?,
        estimate: read_estimate(&row)?,
        status_reason: row.status_reason.take(),
        trace_parent: row.trace_parent.as_deref().and_then(TraceParent::parse),
        verification: row
            .verification
            .as_ref()
            .map(|json| json.read())
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
    let token = row.client_token.take().map(ClientToken::from_trusted);
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
            key_id: key_id.map(KmsKeyId::from_db),
        }),
        _ => return Err("s3_sse_algorithm does not go with the key".to_owned()),
    };
    let callback = match row.callback_url {
        Some(url) => Some(Callback {
            url: WebhookUrl::from_db(&url).map_err(text)?,
            secret: row.callback_secret.map(Sealed::from_text),
            headers: row.callback_headers.map(Sealed::from_text),
        }),
        None => None,
    };
    Ok(ExportRequest {
        table_arn: TableArn::from_db(row.table_arn).ok_or("table_arn is not an ARN")?,
        destination: S3Destination {
            bucket: S3Bucket::from_db(row.s3_bucket),
            bucket_owner: row.s3_bucket_owner.map(BucketOwner::from_db),
            prefix: row.s3_prefix.map(S3Prefix::from_db),
            encryption,
        },
        format: ExportFormat::parse(&row.export_format).map_err(text)?,
        kind,
        filter: row
            .filter_specification
            .map(|json| FilterSpecification::from_db(&json))
            .transpose()
            .map_err(text)?,
        create_timeout: CreateTimeout::from_db(
            row.create_timeout,
            Duration::from_millis(row.create_timeout_ms.unsigned_abs()),
        ),
        callback,
        labels: labels_from_json(row.labels)?,
        verify: row.verify,
        retry: RetryPolicy::from_db(row.retry_max_attempts.unsigned_abs()),
    })
}

fn labels_to_json(labels: &Labels) -> Value {
    let entry = |(key, value): (&String, &String)| (key.clone(), Value::String(value.clone()));
    Value::Object(labels.as_map().iter().map(entry).collect())
}

fn labels_from_json(json: Value) -> Result<Labels, String> {
    serde_json::from_value(json)
        .map(Labels::from_db)
        .map_err(|error| format!("labels: {error}"))
}
