//! Preflight: checks of a request before the export is created. Pure; the API gathers the facts,
//! and this module evaluates them.
//!
//! A check that could not be made is skipped and never fails; only a certain error fails. The rules
//! about times follow AWS's observed answers (see [`crate::export::request`]). The bucket, owner,
//! policy and key are what a preflight is for, because AWS reports their errors only after it has
//! accepted an export.

mod bucket;
mod facts;
mod table;

use serde::Serialize;

pub use facts::{
    AwsResult, BucketProbe, Facts, KeyFacts, LaneLoad, Recovery, TableFacts, key_region,
};

use crate::aws::failure::{AwsFailure, FailureClass};
use crate::export::request::ExportRequest;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// Every rule that can be checked without AWS.
    Request,
    /// The table exists.
    TableExists,
    /// Point-in-time recovery is on.
    PointInTimeRecovery,
    /// The time of a full export can be recovered.
    ExportTime,
    /// The window of an incremental export can be recovered.
    IncrementalWindow,
    /// The filter's key condition matches the table's key, and its filter expression names no key
    /// attribute.
    FilterKeys,
    /// S3's naming rules allow the bucket's name.
    BucketName,
    /// The bucket exists.
    BucketExists,
    /// The bucket's region is the table's.
    BucketRegion,
    /// The bucket has the owner that AWS will expect, and its policy does not deny the writes.
    BucketOwner,
    /// The KMS key exists in the bucket's region and can encrypt.
    KmsKey,
    /// The account and region are below their limit of concurrent exports.
    Quota,
}

impl CheckName {
    /// In the order of the report.
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

    /// The request field that the check is about, as a JSON pointer.
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

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: CheckName,
    /// What it came to.
    pub status: CheckStatus,
    /// What was found, in a sentence.
    pub detail: String,
    /// What to do, if anything is to be done.
    pub fix: Option<String>,
}

/// Every check of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether no check failed.
    pub ok: bool,
    /// Every check, in the same order each time.
    pub checks: Vec<Check>,
}

/// Status, detail, fix.
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

/// A check without AWS's answer. If the call was denied, the fix names the permission.
fn unanswered(operation: &str, statement: &str, failure: &AwsFailure) -> Finding {
    let code = &failure.code;
    let (detail, fix) = match failure.class {
        FailureClass::Denied => (
            format!("AWS denies {operation} ({code}), so this could not be checked."),
            format!("To have it checked, allow the service {statement}"),
        ),
        FailureClass::Throttled => (
            format!("AWS throttles {operation}, so this was not checked."),
            "Ask again in a few seconds.".to_owned(),
        ),
        _ => (
            format!("{operation} gave no usable answer ({code}), so this was not checked."),
            "Ask again.".to_owned(),
        ),
    };
    (CheckStatus::Skipped, detail, Some(fix))
}

impl Report {
    fn from_findings(findings: impl IntoIterator<Item = (CheckName, Finding)>) -> Self {
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

    /// The report for a request that is invalid without asking AWS; no other check is made.
    #[must_use]
    pub fn for_invalid_request(errors: &str) -> Self {
        Self::from_findings(CheckName::ALL.map(|name| {
            let finding = match name {
                CheckName::Request => failed(
                    format!("The request is invalid: {errors}."),
                    "Correct the named fields.",
                ),
                _ => skipped("Not checked, because the request is invalid."),
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

/// Checks a request against the facts.
#[must_use]
pub fn judge(request: &ExportRequest, facts: &Facts) -> Report {
    Report::from_findings(CheckName::ALL.map(|name| {
        let finding = match name {
            CheckName::Request => {
                passed("The request is valid as far as that can be checked without AWS.")
            }
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

/// Compares this service's own count with its limit; AWS does not report how many exports run.
fn quota(request: &ExportRequest, facts: &Facts) -> Finding {
    let LaneLoad { in_flight, waiting } = facts.load;
    let max = facts.max_in_flight;
    let (account, region) = (request.table_arn.account_id(), request.table_arn.region());
    let load = format!(
        "{in_flight} of {max} exports run in account {account}, region {region}, and {waiting} wait"
    );
    if in_flight < max && waiting == 0 {
        passed(format!("{load}."))
    } else {
        warning(
            format!("{load}; another export would have to wait."),
            "Choose a timeouts.create that includes the wait, or create the export later.",
        )
    }
}

#[cfg(test)]
pub mod examples {
    //! A request that the tests of preflights and policies share.

    use crate::aws::arn::TableArn;
    use crate::aws::s3::{S3Bucket, S3Destination, S3Prefix};

    use crate::export::request::ExportRequest;

    /// A full export of Orders to `my-exports`, below `daily`.
    pub fn request() -> ExportRequest {
        let destination = S3Destination {
            bucket: S3Bucket::parse("my-exports").unwrap(),
            bucket_owner: None,
            prefix: S3Prefix::parse("daily").unwrap(),
            encryption: None,
        };
        let table = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders";
        ExportRequest::new(TableArn::parse(table).unwrap(), destination)
    }
}
