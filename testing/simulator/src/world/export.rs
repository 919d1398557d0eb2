//! An export: its request, its state and its outcome.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

/// A request for an export, unchanged; the client token is stored separately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExportRequest {
    pub(crate) table_arn: String,
    #[serde(rename = "S3Bucket")]
    pub(crate) s3_bucket: String,
    pub(crate) export_time: Option<f64>,
    #[serde(rename = "S3BucketOwner")]
    pub(crate) s3_bucket_owner: Option<String>,
    #[serde(rename = "S3Prefix")]
    pub(crate) s3_prefix: Option<String>,
    #[serde(rename = "S3SseAlgorithm")]
    pub(crate) s3_sse_algorithm: Option<String>,
    #[serde(rename = "S3SseKmsKeyId")]
    pub(crate) s3_sse_kms_key_id: Option<String>,
    pub(crate) export_format: Option<String>,
    pub(crate) export_type: Option<String>,
    pub(crate) incremental_export_specification: Option<IncrementalSpecification>,
    pub(crate) filter_specification: Option<Value>,
}

/// The window of an incremental export, unchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IncrementalSpecification {
    pub(crate) export_from_time: Option<f64>,
    pub(crate) export_to_time: Option<f64>,
    pub(crate) export_view_type: Option<String>,
}

impl ExportRequest {
    pub(crate) fn is_ion(&self) -> bool {
        self.export_format.as_deref() == Some("ION")
    }

    /// The key prefix of everything that this request writes.
    pub(crate) fn folder(&self) -> String {
        match self.s3_prefix.as_deref() {
            None => "AWSDynamoDB".to_owned(),
            Some(prefix) if prefix.ends_with('/') => format!("{prefix}AWSDynamoDB"),
            Some(prefix) => format!("{prefix}/AWSDynamoDB"),
        }
    }
}

/// The part of a table's history that an export covers, with every default filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scope {
    Full {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
    },
    /// The changes from a time (inclusive) to another (exclusive).
    Incremental {
        #[serde(with = "time::serde::rfc3339")]
        from: OffsetDateTime,
        #[serde(with = "time::serde::rfc3339")]
        to: OffsetDateTime,
        old_images: bool,
    },
}

/// Why an export failed after it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// AWS's FailureCode, such as `S3NoSuchBucket`.
    pub code: String,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Completed {
        manifest_key: String,
        item_count: u64,
        billed_size_bytes: u64,
    },
    Failed(Failure),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finish {
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Export {
    pub(crate) arn: String,
    /// The last part of the ARN, and the folder of its manifests.
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) table_id: String,
    pub(crate) client_token: String,
    pub(crate) request: ExportRequest,
    pub(crate) scope: Scope,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) started_at: OffsetDateTime,
    /// When the call was accepted, to the microsecond. A client token's 8 hours start here.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) accepted_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) due_at: OffsetDateTime,
    /// Set at the start if the export will fail.
    pub(crate) doom: Option<Failure>,
    pub(crate) finish: Option<Finish>,
    /// Held while the output is written, so that it is written only once.
    #[serde(skip)]
    pub(crate) finishing: Arc<tokio::sync::Mutex<()>>,
}

impl Export {
    pub(crate) fn status(&self) -> &'static str {
        match &self.finish {
            None => "IN_PROGRESS",
            Some(Finish {
                outcome: Outcome::Completed { .. },
                ..
            }) => "COMPLETED",
            Some(Finish {
                outcome: Outcome::Failed(_),
                ..
            }) => "FAILED",
        }
    }

    pub(crate) fn export_type(&self) -> &'static str {
        match self.scope {
            Scope::Full { .. } => "FULL_EXPORT",
            Scope::Incremental { .. } => "INCREMENTAL_EXPORT",
        }
    }

    /// The folder of this export's own files.
    pub(crate) fn own_folder(&self) -> String {
        format!("{}/{}", self.request.folder(), self.id)
    }
}
