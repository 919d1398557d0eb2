//! AWS's description of an export.
//!
//! Every field except the ARN and the status may be missing: a running export has no end, manifest
//! or counts yet, and stand-ins for AWS omit more.

use crate::aws::arn::{ExportArn, TableArn};
use crate::export::filter::FilterSpecification;
use crate::export::request::{ExportFormat, ExportViewType};
use crate::ids::ClientToken;
use crate::timestamp::Timestamp;

/// The response of DescribeExport or ExportTableToPointInTime.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportDescription {
    pub arn: ExportArn,
    pub status: DescribedStatus,
    /// The table's id. A later table of the same name has another one.
    pub table_id: Option<String>,
    pub start_time: Option<Timestamp>,
    /// The snapshot time of a full export, as AWS determined it.
    pub export_time: Option<Timestamp>,
    /// Start of the incremental window.
    pub export_from_time: Option<Timestamp>,
    /// End of the incremental window, as AWS determined it.
    pub export_to_time: Option<Timestamp>,
    pub export_view_type: Option<ExportViewType>,
    /// `AES256` or `KMS`, as AWS determined it.
    pub s3_sse_algorithm: Option<String>,
    pub client_token: Option<ClientToken>,
    /// The remaining request parameters; only an import needs them.
    pub request: DescribedRequest,
}

impl ExportDescription {
    /// The little that ListExports says about a running export.
    #[must_use]
    pub fn running(arn: &str) -> Self {
        Self {
            arn: ExportArn::from_trusted(arn.to_owned()),
            status: DescribedStatus::InProgress,
            table_id: None,
            start_time: None,
            export_time: None,
            export_from_time: None,
            export_to_time: None,
            export_view_type: None,
            s3_sse_algorithm: None,
            client_token: None,
            request: DescribedRequest::default(),
        }
    }
}

/// One entry of ListExports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSummary {
    pub arn: ExportArn,
    /// `IN_PROGRESS`, `COMPLETED` or `FAILED`.
    pub status: String,
    /// `FULL_EXPORT` or `INCREMENTAL_EXPORT`.
    pub kind: String,
}

/// The parts of a description that repeat the request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DescribedRequest {
    pub table_arn: Option<TableArn>,
    pub s3_bucket: Option<String>,
    pub s3_bucket_owner: Option<String>,
    pub s3_prefix: Option<String>,
    pub s3_sse_kms_key_id: Option<String>,
    pub export_format: Option<ExportFormat>,
    pub incremental: bool,
    pub filter: Option<FilterSpecification>,
}

/// A status, with the data that only this status has.
#[derive(Debug, Clone, PartialEq)]
pub enum DescribedStatus {
    /// AWS reports no progress.
    InProgress,
    Completed(Written),
    Failed {
        end_time: Option<Timestamp>,
        /// Such as `S3NoSuchBucket`.
        code: String,
        message: String,
    },
}

/// The results of a completed export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    pub end_time: Option<Timestamp>,
    pub item_count: Option<i64>,
    pub billed_size_in_bytes: Option<i64>,
    /// The key of manifest-summary.json (AWS calls it ExportManifest).
    pub manifest_key: Option<String>,
}
