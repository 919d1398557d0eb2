//! Preflight: what can be known of an export before it is asked for, each finding a check in words.
//! Pure: the facts are gathered by [`crate::api`], the judgement is made here.
//!
//! A check that could not be made says so and never fails: only what is certain to go wrong does.
//! The rules about times are those of AWS's live answers (see [`super::request`]); what AWS reports
//! only after it has accepted an export (bucket, owner, policy, key) is what a preflight is for.

mod bucket;
mod facts;
mod table;

use serde::Serialize;
use utoipa::ToSchema;

pub use facts::{Asked, BucketLook, Facts, KeyFacts, LaneLoad, Recovery, TableFacts, key_region};

use super::aws_failure::{AwsFailure, FailureClass};
use super::request::ExportRequest;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// Every rule that needs no AWS.
    Request,
    /// AWS knows the table.
    TableExists,
    /// Point-in-time recovery is on.
    PointInTimeRecovery,
    /// The time of a full export can be recovered.
    ExportTime,
    /// The window of an incremental export can be recovered.
    IncrementalWindow,
    /// The filter's key condition suits the table's key, and its filter expression stays off it.
    FilterKeys,
    /// S3 creates buckets of this name.
    BucketName,
    /// There is such a bucket.
    BucketExists,
    /// The bucket's region is the table's.
    BucketRegion,
    /// The bucket is of the owner that AWS will expect, and its policy does not deny the writes.
    BucketOwner,
    /// The KMS key exists in the bucket's region and can encrypt.
    KmsKey,
    /// The account and region have room for another export.
    Quota,
}

impl CheckName {
    /// Every check, in the order in which they are told.
    pub const ALL: [Self; 12] = [
        Self::Request,
        Self::TableExists,
        Self::PointInTimeRecovery,
        Self::ExportTime,
        Self::IncrementalWindow,
        Self::FilterKeys,
        Self::BucketName,
        Self::BucketExists,
        Self::BucketRegion,
        Self::BucketOwner,
        Self::KmsKey,
        Self::Quota,
    ];

    /// The field of a create that it is about, as a JSON pointer.
    #[must_use]
    pub fn pointer(self) -> &'static str {
        match self {
            Self::Request | Self::Quota => "",
            Self::TableExists | Self::PointInTimeRecovery => "/table_arn",
            Self::ExportTime => "/export_time",
            Self::IncrementalWindow => "/incremental_export_specification",
            Self::FilterKeys => "/filter_specification",
            Self::BucketName | Self::BucketExists | Self::BucketRegion => "/s3_bucket",
            Self::BucketOwner => "/s3_bucket_owner",
            Self::KmsKey => "/s3_sse_kms_key_id",
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    Passed,
    /// The export would be refused, or fail.
    Failed,
    /// It may fail, wait, or cost more.
    Warning,
    /// It does not apply, or could not be made.
    Skipped,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PreflightCheck)]
pub struct Check {
    /// What was checked.
    pub name: CheckName,
    /// What it came to.
    pub status: CheckStatus,
    /// What was found, in a sentence.
    #[schema(example = "There is no bucket my-exports.")]
    pub detail: String,
    /// What to do; null when nothing is to be done.
    #[schema(required, example = "Create the bucket, or correct s3_bucket.")]
    pub fix: Option<String>,
}

/// Every check of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Preflight)]
pub struct Report {
    /// Whether no check failed.
    pub ok: bool,
    /// Every check, in the same order each time.
    pub checks: Vec<Check>,
}

/// What one judgement gives: status, sentence, remedy.
type Finding = (CheckStatus, String, Option<String>);

fn passed(detail: impl Into<String>) -> Finding {
    (CheckStatus::Passed, detail.into(), None)
}

fn failed(detail: impl Into<String>, fix: impl Into<String>) -> Finding {
    (CheckStatus::Failed, detail.into(), Some(fix.into()))
}

fn warning(detail: impl Into<String>, fix: impl Into<String>) -> Finding {
    (CheckStatus::Warning, detail.into(), Some(fix.into()))
}

fn skipped(detail: impl Into<String>) -> Finding {
    (CheckStatus::Skipped, detail.into(), None)
}

/// A question that AWS did not answer: who may not ask is told which permission would let it.
fn unanswered(operation: &str, statement: &str, failure: &AwsFailure) -> Finding {
    let code = &failure.code;
    let (detail, fix) = match failure.class {
        FailureClass::Denied => (
            format!("AWS denies {operation} ({code}), so this cannot be told."),
            format!("To have it checked, allow the service {statement}"),
        ),
        FailureClass::Throttled => (
            format!("AWS throttles {operation}, so this was not checked."),
            "Ask again in a few seconds.".to_owned(),
        ),
        _ => (
            format!("{operation} gave no answer of use ({code}), so this was not checked."),
            "Ask again.".to_owned(),
        ),
    };
    (CheckStatus::Skipped, detail, Some(fix))
}

impl Report {
    fn of(findings: impl IntoIterator<Item = (CheckName, Finding)>) -> Self {
        let checks: Vec<_> = findings
            .into_iter()
            .map(|(name, (status, detail, fix))| Check {
                name,
                status,
                detail,
                fix,
            })
            .collect();
        Self {
            ok: checks
                .iter()
                .all(|check| check.status != CheckStatus::Failed),
            checks,
        }
    }

    /// A request that breaks rules by itself: nothing else was looked at.
    #[must_use]
    pub fn of_broken_request(errors: &str) -> Self {
        Self::of(CheckName::ALL.map(|name| {
            let finding = match name {
                CheckName::Request => failed(
                    format!("The request breaks rules: {errors}."),
                    "Correct the fields that are named.",
                ),
                _ => skipped("Not looked at, since the request breaks a rule by itself."),
            };
            (name, finding)
        }))
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks
            .iter()
            .filter(|check| check.status == CheckStatus::Failed)
    }
}

/// Judges a request by what was found out.
#[must_use]
pub fn judge(request: &ExportRequest, facts: &Facts) -> Report {
    Report::of(CheckName::ALL.map(|name| {
        let finding = match name {
            CheckName::Request => passed("Every rule that can be checked without AWS holds."),
            CheckName::TableExists => table::exists(request, facts),
            CheckName::PointInTimeRecovery => table::recovery(request, facts),
            CheckName::ExportTime => table::export_time(request, facts),
            CheckName::IncrementalWindow => table::window(request, facts),
            CheckName::FilterKeys => table::filter_keys(request, facts),
            CheckName::BucketName => bucket::name_rules(request, facts),
            CheckName::BucketExists => bucket::exists(request, facts),
            CheckName::BucketRegion => bucket::region(request, facts),
            CheckName::BucketOwner => bucket::owner(request, facts),
            CheckName::KmsKey => bucket::key(request, facts),
            CheckName::Quota => quota(request, facts),
        };
        (name, finding)
    }))
}

/// Our own count against our own cap: AWS does not tell how many exports run.
fn quota(request: &ExportRequest, facts: &Facts) -> Finding {
    let LaneLoad { in_flight, waiting } = facts.load;
    let most = facts.most_in_flight;
    let (account, region) = (request.table_arn.account_id(), request.table_arn.region());
    let standing = format!(
        "{in_flight} of {most} exports run in account {account}, region {region}, and {waiting} wait"
    );
    if in_flight < most && waiting == 0 {
        passed(format!("{standing}."))
    } else {
        warning(
            format!("{standing}: another would wait for its turn."),
            "Choose timeouts.create long enough for the wait, or ask later.",
        )
    }
}

#[cfg(test)]
pub mod examples {
    //! A request that the tests of preflights and policies share.

    use crate::arn::TableArn;
    use crate::duration::CreateTimeout;
    use crate::labels::Labels;
    use crate::request::{ExportFormat, ExportKind, ExportRequest};
    use crate::retry::RetryPolicy;
    use crate::s3::{S3Bucket, S3Destination, S3Prefix};

    /// A full export of Orders to `my-exports`, below `daily`.
    pub fn request() -> ExportRequest {
        ExportRequest {
            table_arn: TableArn::parse("arn:aws:dynamodb:us-east-1:123456789012:table/Orders")
                .unwrap(),
            destination: S3Destination {
                bucket: S3Bucket::parse("my-exports").unwrap(),
                bucket_owner: None,
                prefix: S3Prefix::parse("daily").unwrap(),
                encryption: None,
            },
            format: ExportFormat::DynamodbJson,
            kind: ExportKind::Full { export_time: None },
            filter: None,
            create_timeout: CreateTimeout::default(),
            callback: None,
            labels: Labels::default(),
            verify: false,
            retry: RetryPolicy::default(),
        }
    }
}
