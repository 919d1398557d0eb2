//! Failures in words: what kind of cause a code has, what exactly to do about it for this export,
//! and whether another try can help.

use serde::Serialize;
use utoipa::ToSchema;

use super::export::{Export, ExportState, Failed, TimedOut};
use super::iam::{
    bucket_policy_statement, caller_statement, key_policy_statement, write_statement,
};
use super::request::ExportRequest;
use super::s3::Encryption;
use super::timing::DOUBT_SEARCHED_FOR;

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
    /// What kind of cause it has.
    pub cause: FailureCause,
    /// What to do about it, with the statements of policies that this export needs; null when
    /// nothing is known of this code.
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

/// What kind of cause a failure has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureCause {
    /// There is no such bucket.
    BucketMissing,
    /// The bucket may not be written to: its owner, its policy, or the caller's rights.
    BucketAccess,
    /// The KMS key is missing, of another region than the bucket, or may not be used.
    KmsKey,
    /// Point-in-time recovery is off.
    PitrOff,
    /// There is no such table.
    TableMissing,
    /// The time or window cannot be recovered.
    ExportTime,
    /// AWS has seen the client token with another request.
    Conflict,
    /// AWS finds a value invalid.
    InvalidRequest,
    /// An error inside AWS, which can pass.
    AwsInternal,
    /// `timeouts.create` has passed.
    TimedOut,
    /// A code that is not known here; AWS's words stand in `message`.
    Unknown,
}

impl FailureCause {
    /// The cause of a code. The codes are those seen from live AWS.
    fn of(code: &str, message: &str) -> Self {
        match code {
            "S3NoSuchBucket" => Self::BucketMissing,
            // S3 passes on what KMS denies under its own code.
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

    /// Whether the same request can succeed without a change elsewhere.
    fn can_pass(self) -> bool {
        self == Self::AwsInternal
    }
}

impl Failure {
    /// The failure of an export, if it has one.
    #[must_use]
    pub fn of(export: &Export) -> Option<Self> {
        let (source, code, message) = match &export.state {
            ExportState::Failed(Failed::ByAws { code, message, .. }) => {
                (FailureSource::Aws, code.clone(), message.clone())
            }
            ExportState::Failed(Failed::Refused { code, message }) => {
                (FailureSource::Refused, code.clone(), message.clone())
            }
            ExportState::TimedOut(timed_out) => return Some(of_time_out(export, timed_out)),
            _ => return None,
        };
        let cause = FailureCause::of(&code, &message);
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

fn of_time_out(export: &Export, timed_out: &TimedOut) -> Failure {
    let timeout = export.request.create_timeout.as_str();
    let (stood, hint) = match timed_out {
        TimedOut::Accepted(_) => (
            "AWS had not finished it",
            "AWS still works on it, and its end is recorded and announced when it comes (AWS remembers exports for 90 days). Ask for a longer timeouts.create next time.".to_owned(),
        ),
        TimedOut::NotStarted => (
            "AWS had not accepted it",
            "The events of this export say what kept AWS from accepting it. It will not be started any more; POST …/retry asks for it again.".to_owned(),
        ),
        TimedOut::InDoubt => (
            "the answer to a start request was lost; AWS may have accepted it, but did not confirm it",
            doubt_hint(export),
        ),
    };
    Failure {
        code: "TimedOut".to_owned(),
        message: format!("{stood} within timeouts.create = {timeout}"),
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
        "It is not started again, so that it is not billed twice. AWS's lists are searched for it until {} hours after the time-out, and it is followed if \
         it is found. To check, list the exports of {} (aws dynamodb list-exports --region {}, then describe-export) and look for the client token \
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
            "Switch on point-in-time recovery, then POST …/retry: aws dynamodb update-continuous-backups --table-name {table} --region {} \
             --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true (whoever does it needs {}).",
            table.region(),
            caller_statement(&["dynamodb:UpdateContinuousBackups"], table.as_str())
        ),
        FailureCause::TableMissing => format!(
            "AWS knows no table {} in account {}, region {}. Create a new export with the right table_arn.",
            table.table_name(),
            table.account_id(),
            table.region()
        ),
        FailureCause::ExportTime => {
            "The time or window lies outside what point-in-time recovery can reach. Stay after the moment recovery was switched on \
             (and the table created), and about five minutes behind now. POST /v1/exports/preflight tells both ends."
                .to_owned()
        }
        FailureCause::Conflict => {
            "AWS has already seen the client token with other parameters. POST …/retry asks again with a new one.".to_owned()
        }
        FailureCause::InvalidRequest => "AWS found a value invalid that could not be checked before. Its message names it.".to_owned(),
        FailureCause::AwsInternal => {
            "An error inside AWS. The same request can succeed: POST …/retry, or set retry.max_attempts next time.".to_owned()
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
            "A policy denies the writes outright. Take account {account} out of the denying statement (of the bucket {bucket}, if AWS names a \
             resource-based policy), and let the bucket's policy hold {statement}"
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
            "Either the bucket {bucket} is not owned by account {owner}: then correct s3_bucket_owner. Or account {account} may not write to it: \
             then let the bucket's policy hold {statement} and the caller's policy {caller}"
        ),
        Some(_) | None => format!(
            "If the bucket {bucket} is another account's than {account}, name that account in s3_bucket_owner and let the bucket's policy hold \
             {statement} If it is the table's account's, the caller's policy lacks {caller}"
        ),
    }
}

fn key_hint(message: &str, request: &ExportRequest) -> String {
    let key = match &request.destination.encryption {
        Some(Encryption::Kms { key_id: Some(key) }) => format!("The key {}", key.as_str()),
        _ => "The bucket's default key".to_owned(),
    };
    let statement = key_policy_statement(request);
    if message.contains("perform: kms:") {
        return format!(
            "{key} may not be used by account {}. Let the key's policy hold {statement}",
            request.table_arn.account_id()
        );
    }
    format!(
        "{key} does not exist in the bucket's region. Name an enabled key of that region in s3_sse_kms_key_id; its policy must hold {statement}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::examples::request;
    use crate::s3::BucketOwner;

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
            let found = FailureCause::of(code, message);
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
        assert_eq!(FailureCause::of("SomethingNew", ""), FailureCause::Unknown);
        assert_eq!(hint(FailureCause::Unknown, "", &request()), None);
    }
}
