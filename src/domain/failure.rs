//! Failures in words: what a code means, what to do, and whether another try can help.

use serde::Serialize;
use utoipa::ToSchema;

use super::export::{Export, ExportState, Failed};

/// Why an export came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Failure {
    /// AWS's code, or `TimedOut`.
    #[schema(example = "S3NoSuchBucket")]
    pub code: String,
    /// AWS's own words, or this service's for a time-out.
    pub message: String,
    /// Who ended it.
    pub source: FailureSource,
    /// What to do about it; null when nothing is known of this code.
    #[schema(required)]
    pub hint: Option<String>,
    /// Whether a new export with the same request can succeed without a change elsewhere.
    pub retryable: bool,
}

/// Who ended an export without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureSource {
    /// AWS accepted the export and failed it later.
    Aws,
    /// AWS refused to start it.
    Refused,
    /// This service stopped waiting.
    Tableferry,
}

impl Failure {
    /// The failure of an export, if it has one.
    #[must_use]
    pub fn of(export: &Export) -> Option<Self> {
        let (source, code, message) = match &export.state {
            ExportState::Failed(Failed::ByAws { code, message, .. }) => (FailureSource::Aws, code.clone(), message.clone()),
            ExportState::Failed(Failed::Refused { code, message }) => (FailureSource::Refused, code.clone(), message.clone()),
            ExportState::TimedOut(accepted) => {
                let stood = if accepted.is_some() { "AWS had not finished it" } else { "AWS had not accepted it" };
                let timeout = export.request.create_timeout.as_str();
                (FailureSource::Tableferry, "TimedOut".to_owned(), format!("{stood} within timeouts.create = {timeout}"))
            }
            _ => return None,
        };
        let (hint, retryable) = match &export.state {
            ExportState::TimedOut(Some(_)) => (
                Some(
                    "AWS still works on it, and its end is recorded and announced when it comes (AWS remembers exports for 90 days). Ask for a longer timeouts.create next time.",
                ),
                false,
            ),
            ExportState::TimedOut(None) => (
                Some("The events of this export say what kept AWS from accepting it. It will not be started any more; create a new one."),
                true,
            ),
            _ => explain(&code),
        };
        Some(Self { code, message, source, hint: hint.map(str::to_owned), retryable })
    }
}

/// What is known of a code of AWS: the remedy, and whether a new try without one can help.
/// The codes are those seen from live AWS.
fn explain(code: &str) -> (Option<&'static str>, bool) {
    let hint = match code {
        "S3NoSuchBucket" => "The bucket does not exist. Create it, or correct s3_bucket, then create a new export.",
        "S3AccessDenied" => {
            "The caller may not write to the bucket. It needs s3:PutObject, s3:PutObjectAcl and s3:AbortMultipartUpload on the bucket's objects; \
             for a bucket of another account set s3_bucket_owner and let that bucket's policy allow these three."
        }
        "KmsNotFoundException" => "The KMS key does not exist in the bucket's region. Name a key of that region in s3_sse_kms_key_id.",
        "PointInTimeRecoveryUnavailableException" => "Switch on point-in-time recovery for the table, then create a new export.",
        "TableNotFoundException" => "AWS knows no such table in that account and region. Check table_arn.",
        "InvalidExportTimeException" => {
            "The time or window lies outside what point-in-time recovery can reach. Stay after the moment recovery was switched on (and the table created), \
             and about five minutes behind now."
        }
        "ExportConflictException" => "AWS has already seen the client token with other parameters. Create a new export.",
        "ValidationException" => "AWS found a value invalid that could not be checked before. Its message names it.",
        "InternalServerError" | "InternalError" => return (Some("An error inside AWS. A new export can succeed."), true),
        _ => return (None, false),
    };
    (Some(hint), false)
}
