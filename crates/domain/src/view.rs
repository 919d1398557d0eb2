//! The resource: an export as callers and webhook receivers see it. Values not known yet are null,
//! never absent; secrets are not part of it. It borrows from its export: pages of lists show very
//! many.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::estimate::EstimateBasis;
use super::export::{Export, ExportOrigin, ExportState, ExportStatus, Failed, Origin};
use super::failure::Failure;
use super::filter_document::FilterDocument;
use super::request::{ExportFormat, ExportKind, ExportType, ExportViewType};
use super::retry::RetryPolicy;
use super::s3::{Encryption, S3SseAlgorithm};
use super::timestamp::Timestamp;
use super::verification::VerificationView;

/// An export of a DynamoDB table to S3. Fields bear the names of Terraform's
/// `aws_dynamodb_table_export`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Export)]
pub struct ExportView<'a> {
    /// Its name in this service (UUIDv7).
    #[schema(example = "019a3b5c-7d2e-7f10-8a9b-0c1d2e3f4a5b")]
    pub id: Uuid,
    /// Its name at AWS; null until AWS accepts it.
    #[schema(
        required,
        example = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders/export/01795123456789-2c2f422e"
    )]
    pub arn: Option<&'a str>,
    /// Where it stands.
    pub export_status: ExportStatus,
    /// Why it stands there, in words.
    #[schema(required)]
    pub status_reason: Option<&'a str>,
    /// The table.
    #[schema(example = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders")]
    pub table_arn: &'a str,
    /// The table's id, which a later table of the same name does not share.
    #[schema(required)]
    pub table_id: Option<&'a str>,
    /// The bucket that is written to.
    #[schema(example = "tableferry-exports")]
    pub s3_bucket: &'a str,
    /// The account that owns the bucket, if it was named.
    #[schema(required)]
    pub s3_bucket_owner: Option<&'a str>,
    /// What every key begins with.
    #[schema(required, example = "daily")]
    pub s3_prefix: Option<&'a str>,
    /// How the objects are encrypted; null until AWS settles it when it was left open.
    #[schema(required)]
    pub s3_sse_algorithm: Option<S3SseAlgorithm>,
    /// The KMS key, if one was named.
    #[schema(required)]
    pub s3_sse_kms_key_id: Option<&'a str>,
    /// The format of the data files.
    pub export_format: ExportFormat,
    /// All items at a time, or the changes of a window.
    pub export_type: ExportType,
    /// The time of a full export's snapshot; null until AWS settles it when it was left open.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub export_time: Option<Timestamp>,
    /// The window of an incremental export.
    #[schema(required)]
    pub incremental_export_specification: Option<WindowView>,
    /// Which items are included, as asked for; what was left out of it is absent.
    #[schema(required, value_type = Option<FilterDocument>)]
    pub filter_specification: Option<Value>,
    /// How long it may take.
    pub timeouts: TimeoutsView<'a>,
    /// Where its end is announced.
    #[schema(required, format = "uri")]
    pub callback_url: Option<&'a str>,
    /// The caller's own names for it.
    pub labels: &'a BTreeMap<String, String>,
    /// Whether it is verified by itself once it is COMPLETED.
    pub verify: bool,
    /// When AWS began.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub start_time: Option<Timestamp>,
    /// When AWS ended.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub end_time: Option<Timestamp>,
    /// How many items were written.
    #[schema(required)]
    pub item_count: Option<i64>,
    /// What AWS bills, in bytes.
    #[schema(required)]
    pub billed_size_in_bytes: Option<i64>,
    /// The key of manifest-summary.json (AWS: ExportManifest).
    #[schema(required)]
    pub manifest_files_s3_key: Option<&'a str>,
    /// Why it came to nothing; null unless FAILED or TIMED_OUT.
    #[schema(required)]
    pub failure: Option<Failure>,
    /// Its latest verification; null if there was none.
    #[schema(required)]
    pub verification: Option<VerificationView>,
    /// The ClientToken that AWS knows it by.
    #[schema(required)]
    pub client_token: Option<&'a str>,
    /// What was expected of it when it was accepted here; null for exports of before that was
    /// estimated.
    #[schema(required)]
    pub estimate: Option<EstimateView>,
    /// What the billed bytes cost in US dollars, by the operator's prices; an estimate of AWS's
    /// bill.
    #[schema(required)]
    pub billed_cost: Option<f64>,
    /// How often it is attempted by itself.
    pub retry: RetryPolicy,
    /// Which attempt it is, from 1.
    #[schema(example = 1)]
    pub attempt: u32,
    /// The export that this one repeats.
    #[schema(required)]
    pub retry_of: Option<Uuid>,
    /// The export that repeats this one.
    #[schema(required)]
    pub retried_by: Option<Uuid>,
    /// Asked for here, or adopted.
    pub origin: ExportOrigin,
    /// When it was accepted here.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Who asked for it: `api_key:<name>` or `oidc:<subject>`; null if nobody had to say who they
    /// are.
    #[schema(required, example = "api_key:orders-team")]
    pub created_by: Option<&'a str>,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// What is expected of an export. AWS promises nothing, so neither does this.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExportEstimate)]
pub struct EstimateView {
    /// When AWS will have ended it: counted from AWS's start, before that from its acceptance here.
    #[schema(value_type = String, format = DateTime)]
    pub expected_end_time: Timestamp,
    /// What that rests on.
    pub basis: EstimateBasis,
    /// What AWS will bill, in bytes; null when the table's size is not known.
    #[schema(required)]
    pub size_in_bytes: Option<i64>,
    /// What that costs in US dollars, by the operator's prices.
    #[schema(required)]
    pub cost: Option<f64>,
}

/// The window of an incremental export.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = IncrementalExportWindow)]
pub struct WindowView {
    /// Start, inclusive.
    #[schema(value_type = String, format = DateTime)]
    pub export_from_time: Timestamp,
    /// End, exclusive; null until AWS settles it when it was left open.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub export_to_time: Option<Timestamp>,
    /// What is written of each changed item.
    pub export_view_type: ExportViewType,
}

/// How long things may take.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExportTimeouts)]
pub struct TimeoutsView<'a> {
    /// From acceptance here to the end at AWS.
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
                .map(super::filter::FilterSpecification::to_json),
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
            failure: Failure::of(export),
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
