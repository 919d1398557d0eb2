//! Failures: the cause behind a code, what to do about it for this export, and whether a retry can
//! help.

use serde::Serialize;

use crate::aws::iam::{
    bucket_policy_statement, caller_statement, key_policy_statement, write_statement,
};
use crate::aws::s3::Encryption;
use crate::export::request::ExportRequest;
use crate::export::{Export, ExportState, Failed, TimedOut};
use crate::lifecycle::timing::DOUBT_SEARCHED_FOR;

/// Why an export failed or timed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// AWS's error code, or `TimedOut`.
    #[cfg_attr(feature = "openapi", schema(example = "S3NoSuchBucket"))]
    pub code: String,
    /// AWS's message, or this service's for a time-out.
    pub message: String,
    /// Who reported the failure.
    pub source: FailureSource,
    /// The kind of cause.
    pub cause: FailureCause,
    /// What to do about it, with the policy statements that this export needs; null if the code is
    /// unknown.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub hint: Option<String>,
    /// Whether a new export with the same request can succeed although nothing else has changed.
    pub retryable: bool,
}

/// Who reported a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureSource {
    /// AWS accepted the export and failed it later.
    Aws,
    /// AWS refused to start it.
    Refused,
    /// This service stopped waiting.
    Tableferry,
}

/// The kind of cause of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureCause {
    /// The bucket does not exist.
    BucketMissing,
    /// Writing to the bucket is denied: wrong owner, bucket policy, or the caller's permissions.
    BucketAccess,
    /// The KMS key is missing, in another region than the bucket, or may not be used.
    KmsKey,
    /// Point-in-time recovery is off.
    PitrOff,
    /// The table does not exist.
    TableMissing,
    /// The time or window cannot be recovered.
    ExportTime,
    /// AWS has already seen the client token with another request.
    Conflict,
    /// AWS finds a value invalid.
    InvalidRequest,
    /// An error inside AWS, which can be temporary.
    AwsInternal,
    /// `timeouts.create` has passed.
    TimedOut,
    /// An unknown code; `message` has AWS's text.
    Unknown,
}

impl FailureCause {
    /// The cause of a code. The codes are those observed from AWS.
    fn from_code(code: &str, message: &str) -> Self {
        match code {
            "S3NoSuchBucket" => Self::BucketMissing,
            // S3 reports KMS's denials under its own code.
            "S3AccessDenied" if message.contains("perform: kms:") => Self::KmsKey,
            "S3AccessDenied" => Self::BucketAccess,
            "KmsNotFoundException" => Self::KmsKey,
            "PointInTimeRecoveryUnavailableException" => Self::PitrOff,
            "TableNotFoundException" | "ResourceNotFoundException" => Self::TableMissing,
            "InvalidExportTimeException" => Self::ExportTime,
            "ExportConflictException" => Self::Conflict,
            "ValidationException" => Self::InvalidRequest,
            "InternalServerError" | "InternalError" => Self::AwsInternal,
            "TimedOut" => Self::TimedOut,
            _ => Self::Unknown,
        }
    }

    /// Whether the same request can succeed later.
    fn can_pass(self) -> bool {
        self == Self::AwsInternal
    }
}

impl Failure {
    /// The failure of an export that FAILED or TIMED_OUT.
    #[must_use]
    pub fn from_export(export: &Export) -> Option<Self> {
        let (source, code, message) = match &export.state {
            ExportState::Failed(Failed::ByAws { code, message, .. }) => {
                (FailureSource::Aws, code.clone(), message.clone())
            }
            ExportState::Failed(Failed::Refused { code, message }) => {
                (FailureSource::Refused, code.clone(), message.clone())
            }
            ExportState::TimedOut(timed_out) => return Some(time_out(export, timed_out)),
            _ => return None,
        };
        let cause = FailureCause::from_code(&code, &message);
        let hint = hint(cause, &message, &export.request);
        Some(Self {
            code,
            message,
            source,
            cause,
            hint,
            retryable: cause.can_pass(),
        })
    }
}

fn time_out(export: &Export, timed_out: &TimedOut) -> Failure {
    let timeout = export.request.create_timeout.as_str();
    let (what, hint) = match timed_out {
        TimedOut::Accepted(_) => (
            "AWS had not finished it",
            "AWS is still working on it. Its end will be recorded and announced, up to 90 days after its start. Use a longer timeouts.create next time.".to_owned(),
        ),
        TimedOut::NotStarted => (
            "AWS had not accepted it",
            "The events of this export say why AWS did not accept it. It will not be started any more; POST …/retry creates it again.".to_owned(),
        ),
        TimedOut::InDoubt => (
            "the answer to a start request was lost, and AWS did not confirm the export",
            doubt_hint(export),
        ),
    };
    Failure {
        code: "TimedOut".to_owned(),
        message: format!("{what} within timeouts.create = {timeout}"),
        source: FailureSource::Tableferry,
        cause: FailureCause::TimedOut,
        hint: Some(hint),
        retryable: *timed_out == TimedOut::NotStarted,
    }
}

fn doubt_hint(export: &Export) -> String {
    let (table, token) = (
        &export.request.table_arn,
        export
            .origin
            .client_token()
            .map_or("", |token| token.as_str()),
    );
    format!(
        "It is not started again, so that it is not billed twice. AWS's lists are searched for it until {} hours after the time-out; if it is found, its end is recorded. \
         To check, list the exports of {} (aws dynamodb list-exports --region {}, then describe-export) and look for the client token \
         {token}. If AWS has it, POST /v1/exports/import with its ARN; if not, create a new export.",
        DOUBT_SEARCHED_FOR.as_secs() / 3600,
        table.as_str(),
        table.region(),
    )
}

/// What to do about a cause, for this request.
fn hint(cause: FailureCause, message: &str, request: &ExportRequest) -> Option<String> {
    let (table, bucket) = (&request.table_arn, request.destination.bucket.as_str());
    let text = match cause {
        FailureCause::BucketMissing => {
            format!("The bucket {bucket} does not exist. Create it and POST …/retry, or create a new export with another s3_bucket.")
        }
        FailureCause::BucketAccess => bucket_hint(message, request),
        FailureCause::KmsKey => key_hint(message, request),
        FailureCause::PitrOff => format!(
            "Turn on point-in-time recovery, then POST …/retry: aws dynamodb update-continuous-backups --table-name {table} --region {} \
             --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true (this requires the statement {}).",
            table.region(),
            caller_statement(&["dynamodb:UpdateContinuousBackups"], table.as_str())
        ),
        FailureCause::TableMissing => format!(
            "There is no table {} in account {}, region {}. Create a new export with the correct table_arn.",
            table.table_name(),
            table.account_id(),
            table.region()
        ),
        FailureCause::ExportTime => {
            "Point-in-time recovery does not cover the time or window. Choose times after recovery was turned on (and the table was created) and at least about five minutes ago. \
             POST /v1/exports/preflight returns the earliest and latest time."
                .to_owned()
        }
        FailureCause::Conflict => {
            "AWS has already seen the client token with other parameters. POST …/retry sends the request with a new token.".to_owned()
        }
        FailureCause::InvalidRequest => "AWS found a value invalid that this service could not check. The message names it.".to_owned(),
        FailureCause::AwsInternal => {
            "An error inside AWS. The same request can succeed later: POST …/retry, or set retry.max_attempts next time.".to_owned()
        }
        FailureCause::TimedOut | FailureCause::Unknown => return None,
    };
    Some(text)
}

fn bucket_hint(message: &str, request: &ExportRequest) -> String {
    let bucket = request.destination.bucket.as_str();
    let account = request.table_arn.account_id();
    let statement = bucket_policy_statement(request);
    if message.contains("explicit deny") {
        return format!(
            "A policy explicitly denies the writes. Exclude account {account} from the denying statement (in the policy of the bucket {bucket}, if AWS names a \
             resource-based policy), and add this statement to the bucket's policy: {statement}"
        );
    }
    let caller = write_statement(request);
    match request
        .destination
        .bucket_owner
        .as_ref()
        .map(|owner| owner.as_str())
    {
        Some(owner) if owner != account => format!(
            "If the bucket {bucket} is not owned by account {owner}, correct s3_bucket_owner. Otherwise account {account} may not write to it: \
             add this statement to the bucket's policy: {statement}, and this one to the caller's policy: {caller}"
        ),
        Some(_) | None => format!(
            "If the bucket {bucket} is not owned by account {account}, set s3_bucket_owner to its owner and add this statement to the bucket's policy: \
             {statement}. Otherwise add this statement to the caller's policy: {caller}"
        ),
    }
}

fn key_hint(message: &str, request: &ExportRequest) -> String {
    let key = match &request.destination.encryption {
        Some(Encryption::Kms { key_id: Some(key) }) => format!("the key {}", key.as_str()),
        _ => "the bucket's default key".to_owned(),
    };
    let statement = key_policy_statement(request);
    if message.contains("perform: kms:") {
        return format!(
            "Account {} may not use {key}. Add this statement to the key's policy: {statement}",
            request.table_arn.account_id()
        );
    }
    format!(
        "KMS does not find {key} in the bucket's region. Name an enabled key of that region in s3_sse_kms_key_id; its policy must contain {statement}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::s3::BucketOwner;
    use crate::preflight::examples::request;

    #[test]
    fn codes_have_causes_and_hints_have_statements() {
        for (code, message, cause, words) in [
            (
                "S3NoSuchBucket",
                "",
                FailureCause::BucketMissing,
                &["my-exports"][..],
            ),
            (
                "S3AccessDenied",
                "Access Denied",
                FailureCause::BucketAccess,
                &["s3_bucket_owner", "arn:aws:s3:::my-exports/daily/*"],
            ),
            (
                "S3AccessDenied",
                "with an explicit deny",
                FailureCause::BucketAccess,
                &["denying statement", "\"Principal\""],
            ),
            (
                "S3AccessDenied",
                "to perform: kms:GenerateDataKey",
                FailureCause::KmsKey,
                &["kms:GenerateDataKey"],
            ),
            (
                "KmsNotFoundException",
                "",
                FailureCause::KmsKey,
                &["s3_sse_kms_key_id", "kms:Decrypt"],
            ),
            (
                "PointInTimeRecoveryUnavailableException",
                "",
                FailureCause::PitrOff,
                &[
                    "update-continuous-backups",
                    "dynamodb:UpdateContinuousBackups",
                ],
            ),
            (
                "TableNotFoundException",
                "",
                FailureCause::TableMissing,
                &["Orders", "123456789012", "us-east-1"],
            ),
            (
                "InvalidExportTimeException",
                "",
                FailureCause::ExportTime,
                &["five minutes"],
            ),
            (
                "ExportConflictException",
                "",
                FailureCause::Conflict,
                &["retry"],
            ),
            (
                "ValidationException",
                "",
                FailureCause::InvalidRequest,
                &["message"],
            ),
            (
                "InternalServerError",
                "",
                FailureCause::AwsInternal,
                &["retry"],
            ),
        ] {
            let found = FailureCause::from_code(code, message);
            assert_eq!(found, cause, "{code}");
            let hint = hint(found, message, &request()).unwrap();
            assert!(words.iter().all(|word| hint.contains(word)), "{hint}");
        }
        let mut foreign = request();
        foreign.destination.bucket_owner = Some(BucketOwner::parse("999999999999").unwrap());
        assert!(
            hint(FailureCause::BucketAccess, "Access Denied", &foreign)
                .unwrap()
                .contains("999999999999")
        );
        assert_eq!(
            FailureCause::from_code("SomethingNew", ""),
            FailureCause::Unknown
        );
        assert_eq!(hint(FailureCause::Unknown, "", &request()), None);
    }
}
