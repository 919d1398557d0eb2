//! An export as callers and webhook receivers see it. It borrows from its export, because pages of
//! lists have many.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use tableferry_domain::aws::s3::{Encryption, S3SseAlgorithm};
use tableferry_domain::export::attempt::RetryPolicy;
use tableferry_domain::export::estimate::EstimateBasis;
use tableferry_domain::export::failure::Failure;
use tableferry_domain::export::request::{ExportFormat, ExportKind, ExportType, ExportViewType};
use tableferry_domain::export::{Export, ExportOrigin, ExportState, ExportStatus, Failed, Origin};
use tableferry_domain::timestamp::Timestamp;

use crate::filter::FilterDocument;
use crate::verification::VerificationView;

/// An export of a DynamoDB table to S3. Fields have the names of Terraform's
/// `aws_dynamodb_table_export`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Export)]
pub struct ExportView<'a> {
    /// The id of the export in this service (UUIDv7).
    #[schema(example = "019a3b5c-7d2e-7f10-8a9b-0c1d2e3f4a5b")]
    pub id: Uuid,
    /// The ARN of the export; null until AWS accepts it.
    #[schema(
        required,
        example = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders/export/01795123456789-2c2f422e"
    )]
    pub arn: Option<&'a str>,
    /// The status of the export.
    pub export_status: ExportStatus,
    /// The reason for the status, in words.
    #[schema(required)]
    pub status_reason: Option<&'a str>,
    /// The ARN of the table.
    #[schema(example = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders")]
    pub table_arn: &'a str,
    /// The id of the table. A later table with the same name has a different id.
    #[schema(required)]
    pub table_id: Option<&'a str>,
    /// The bucket that the export is written to.
    #[schema(example = "tableferry-exports")]
    pub s3_bucket: &'a str,
    /// The account that owns the bucket; null if the request did not name it.
    #[schema(required)]
    pub s3_bucket_owner: Option<&'a str>,
    /// The prefix of every key.
    #[schema(required, example = "daily")]
    pub s3_prefix: Option<&'a str>,
    /// How the objects are encrypted. If the request left it out: null until AWS reports it.
    #[schema(required)]
    pub s3_sse_algorithm: Option<S3SseAlgorithm>,
    /// The KMS key; null if the request did not name one.
    #[schema(required)]
    pub s3_sse_kms_key_id: Option<&'a str>,
    /// The format of the data files.
    pub export_format: ExportFormat,
    /// All items at a point in time, or the changes within a window.
    pub export_type: ExportType,
    /// The point in time of a full export. If the request left it out: null until AWS reports it.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub export_time: Option<Timestamp>,
    /// The window of an incremental export.
    #[schema(required)]
    pub incremental_export_specification: Option<WindowView>,
    /// Which items are exported, as requested. Fields that the request left out are absent.
    #[schema(required, value_type = Option<FilterDocument>)]
    pub filter_specification: Option<Value>,
    /// How long the export may take.
    pub timeouts: TimeoutsView<'a>,
    /// The URL to which a webhook is sent when the export ends.
    #[schema(required, format = "uri")]
    pub callback_url: Option<&'a str>,
    /// Labels of the caller's choice.
    pub labels: &'a BTreeMap<String, String>,
    /// Whether the export is verified automatically once it is COMPLETED.
    pub verify: bool,
    /// When AWS started the export.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub start_time: Option<Timestamp>,
    /// When the export ended at AWS.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub end_time: Option<Timestamp>,
    /// The number of exported items.
    #[schema(required)]
    pub item_count: Option<i64>,
    /// The number of bytes that AWS bills.
    #[schema(required)]
    pub billed_size_in_bytes: Option<i64>,
    /// The key of manifest-summary.json (AWS: ExportManifest).
    #[schema(required)]
    pub manifest_files_s3_key: Option<&'a str>,
    /// Why the export failed; null unless it is FAILED or TIMED_OUT.
    #[schema(required)]
    pub failure: Option<Failure>,
    /// The latest verification; null if there was none.
    #[schema(required)]
    pub verification: Option<VerificationView>,
    /// The ClientToken of the start request to AWS.
    #[schema(required)]
    pub client_token: Option<&'a str>,
    /// The estimate that was made when this service accepted the export; null for exports that were
    /// created before this service made estimates.
    #[schema(required)]
    pub estimate: Option<EstimateView>,
    /// The cost of the billed bytes in US dollars, at the operator's prices. An estimate of AWS's
    /// bill.
    #[schema(required)]
    pub billed_cost: Option<f64>,
    /// Automatic retries of the export.
    pub retry: RetryPolicy,
    /// The number of this attempt, starting at 1.
    #[schema(example = 1)]
    pub attempt: u32,
    /// The id of the export that this one retries.
    #[schema(required)]
    pub retry_of: Option<Uuid>,
    /// The id of the export that retries this one.
    #[schema(required)]
    pub retried_by: Option<Uuid>,
    /// Whether the export was created here or adopted.
    pub origin: ExportOrigin,
    /// When this service accepted the export.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The caller that created the export: `api_key:<name>` or `oidc:<subject>`; null if callers
    /// need not authenticate.
    #[schema(required, example = "api_key:orders-team")]
    pub created_by: Option<&'a str>,
    /// When the export last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// An estimate for an export. It is not a promise, because AWS gives no estimates.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExportEstimate)]
pub struct EstimateView {
    /// When the export is expected to end, counted from its start at AWS, or, until it has started,
    /// from when this service accepted it.
    #[schema(value_type = String, format = DateTime)]
    pub expected_end_time: Timestamp,
    /// What the estimate is based on.
    pub basis: EstimateBasis,
    /// The number of bytes that AWS is expected to bill; null if the table's size is not known.
    #[schema(required)]
    pub size_in_bytes: Option<i64>,
    /// The cost of these bytes in US dollars, at the operator's prices.
    #[schema(required)]
    pub cost: Option<f64>,
}

/// The window of an incremental export.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = IncrementalExportWindow)]
pub struct WindowView {
    /// The start of the window, inclusive.
    #[schema(value_type = String, format = DateTime)]
    pub export_from_time: Timestamp,
    /// The end of the window, exclusive. If the request left it out: null until AWS reports it.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub export_to_time: Option<Timestamp>,
    /// Which images of each changed item are written.
    pub export_view_type: ExportViewType,
}

/// Time limits of an export.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExportTimeouts)]
pub struct TimeoutsView<'a> {
    /// The maximum time from when this service accepts the export until it ends at AWS.
    #[schema(example = "60m")]
    pub create: &'a str,
}

impl<'a> From<&'a Export> for ExportView<'a> {
    fn from(export: &'a Export) -> Self {
        let request = &export.request;
        let to = &request.destination;
        let accepted = export.state.accepted();
        let (end_time, written) = match &export.state {
            ExportState::Completed(_, written) => (written.end_time, Some(written)),
            ExportState::Failed(Failed::ByAws { end_time, .. }) => (*end_time, None),
            _ => (None, None),
        };
        let (export_time, window) = match &request.kind {
            ExportKind::Full { export_time } => (*export_time, None),
            ExportKind::Incremental { from, to, view } => (
                None,
                Some(WindowView {
                    export_from_time: *from,
                    export_to_time: *to,
                    export_view_type: *view,
                }),
            ),
        };
        let (algorithm, key_id) = match &to.encryption {
            None => (None, None),
            Some(Encryption::Aes256) => (Some(S3SseAlgorithm::Aes256), None),
            Some(Encryption::Kms { key_id }) => (Some(S3SseAlgorithm::Kms), key_id.as_ref()),
        };
        Self {
            id: export.id.0,
            arn: accepted.map(|a| a.arn.as_str()),
            export_status: export.status(),
            status_reason: export.status_reason.as_deref(),
            table_arn: request.table_arn.as_str(),
            table_id: accepted.and_then(|a| a.table_id.as_deref()),
            s3_bucket: to.bucket.as_str(),
            s3_bucket_owner: to.bucket_owner.as_ref().map(|o| o.as_str()),
            s3_prefix: to.prefix.as_ref().map(|p| p.as_str()),
            s3_sse_algorithm: algorithm,
            s3_sse_kms_key_id: key_id.map(|k| k.as_str()),
            export_format: request.format,
            export_type: request.kind.export_type(),
            export_time,
            incremental_export_specification: window,
            filter_specification: request
                .filter
                .as_ref()
                .map(tableferry_domain::export::filter::FilterSpecification::to_json),
            timeouts: TimeoutsView {
                create: request.create_timeout.as_str(),
            },
            callback_url: request.callback.as_ref().map(|c| c.url.as_str()),
            labels: request.labels.as_map(),
            verify: request.verify,
            start_time: accepted.and_then(|a| a.start_time),
            end_time,
            item_count: written.and_then(|w| w.item_count),
            billed_size_in_bytes: written.and_then(|w| w.billed_size_in_bytes),
            manifest_files_s3_key: written.and_then(|w| w.manifest_key.as_deref()),
            failure: Failure::from_export(export),
            verification: export.verification.as_ref().map(VerificationView::from),
            client_token: export.origin.client_token().map(|t| t.as_str()),
            estimate: export.estimate.as_ref().map(|estimate| EstimateView {
                expected_end_time: estimate.end(
                    accepted
                        .and_then(|a| a.start_time)
                        .unwrap_or(export.created_at),
                ),
                basis: estimate.basis,
                size_in_bytes: estimate.size_bytes,
                cost: estimate.size_bytes.map(|bytes| estimate.cost_usd(bytes)),
            }),
            billed_cost: export
                .estimate
                .as_ref()
                .zip(written.and_then(|w| w.billed_size_in_bytes))
                .map(|(estimate, bytes)| estimate.cost_usd(bytes)),
            retry: request.retry,
            attempt: export.attempt.number,
            retry_of: export.attempt.retry_of.map(|id| id.0),
            retried_by: export.attempt.retried_by.map(|id| id.0),
            origin: match export.origin {
                Origin::Created { .. } => ExportOrigin::Created,
                Origin::Imported { .. } => ExportOrigin::Imported,
            },
            created_at: export.created_at,
            created_by: export.created_by.as_ref().map(|name| name.as_str()),
            updated_at: export.updated_at,
        }
    }
}
