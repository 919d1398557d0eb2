//! What AWS says of an export: ExportDescription in our types.
//!
//! Every field but the ARN and the status may be missing: a running export has no end, manifest or
//! counts yet, and stand-ins leave out more.

use super::arn::{ExportArn, TableArn};
use super::filter::FilterSpecification;
use super::ids::ClientToken;
use super::request::{ExportFormat, ExportViewType};
use super::timestamp::Timestamp;

/// The answer of DescribeExport or ExportTableToPointInTime.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportDescription {
    /// The export's name at AWS.
    pub arn: ExportArn,
    /// IN_PROGRESS, COMPLETED or FAILED, with what only that status has.
    pub status: DescribedStatus,
    /// The table's id, which a table of the same name made later does not share.
    pub table_id: Option<String>,
    /// When the export began.
    pub start_time: Option<Timestamp>,
    /// The time of a full export's snapshot, as AWS settled it.
    pub export_time: Option<Timestamp>,
    /// Start of an incremental window.
    pub export_from_time: Option<Timestamp>,
    /// End of an incremental window, as AWS settled it.
    pub export_to_time: Option<Timestamp>,
    /// What an incremental export writes.
    pub export_view_type: Option<ExportViewType>,
    /// `AES256` or `KMS`, as AWS settled it.
    pub s3_sse_algorithm: Option<String>,
    /// The token it was started with.
    pub client_token: Option<ClientToken>,
    /// The rest of the request, which only an import needs.
    pub request: DescribedRequest,
}

impl ExportDescription {
    /// All that a list says of an export that runs.
    #[must_use]
    pub fn running(arn: &str) -> Self {
        Self {
            arn: ExportArn::known(arn.to_owned()),
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

/// A line of ListExports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSummary {
    /// The export's name at AWS.
    pub arn: ExportArn,
    /// AWS's word: IN_PROGRESS, COMPLETED or FAILED.
    pub status: String,
    /// AWS's word: FULL_EXPORT or INCREMENTAL_EXPORT.
    pub kind: String,
}

/// The parts of a description that repeat the request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DescribedRequest {
    /// The table.
    pub table_arn: Option<TableArn>,
    /// The bucket.
    pub s3_bucket: Option<String>,
    /// The bucket's owner, if it was named.
    pub s3_bucket_owner: Option<String>,
    /// The prefix, if there was one.
    pub s3_prefix: Option<String>,
    /// The KMS key, if one was named.
    pub s3_sse_kms_key_id: Option<String>,
    /// The format.
    pub export_format: Option<ExportFormat>,
    /// Whether it is an incremental export.
    pub incremental: bool,
    /// The filter, if there was one.
    pub filter: Option<FilterSpecification>,
}

/// ExportStatus, with what only that status has.
#[derive(Debug, Clone, PartialEq)]
pub enum DescribedStatus {
    /// It runs. AWS tells no progress.
    InProgress,
    /// It was written.
    Completed(Written),
    /// It came to nothing.
    Failed {
        /// When.
        end_time: Option<Timestamp>,
        /// AWS's code, such as `S3NoSuchBucket`.
        code: String,
        /// AWS's words.
        message: String,
    },
}

/// What AWS says of a completed export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// When it ended.
    pub end_time: Option<Timestamp>,
    /// How many items were written.
    pub item_count: Option<i64>,
    /// What AWS bills, in bytes.
    pub billed_size_in_bytes: Option<i64>,
    /// The key of manifest-summary.json (AWS: ExportManifest).
    pub manifest_key: Option<String>,
}
