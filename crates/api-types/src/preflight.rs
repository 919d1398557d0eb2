//! The result of a preflight as callers see it.

use serde::Serialize;
use tableferry_domain::preflight::{Check, CheckName, CheckStatus, Report};
use utoipa::ToSchema;

/// The result of every check of a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Preflight)]
pub struct PreflightView {
    /// False if at least one check failed.
    pub ok: bool,
    /// Every check, always in the same order.
    pub checks: Vec<PreflightCheckView>,
}

/// The result of one check.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PreflightCheck)]
pub struct PreflightCheckView {
    /// What was checked.
    pub name: CheckName,
    /// The result.
    pub status: CheckStatus,
    /// What was found, in one sentence.
    #[schema(example = "The bucket my-exports does not exist.")]
    pub detail: String,
    /// What to do about it; null if nothing needs to be done.
    #[schema(required, example = "Create the bucket, or correct s3_bucket.")]
    pub fix: Option<String>,
}

impl From<Report> for PreflightView {
    fn from(report: Report) -> Self {
        Self {
            ok: report.ok,
            checks: report.checks.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Check> for PreflightCheckView {
    fn from(check: Check) -> Self {
        let Check {
            name,
            status,
            detail,
            fix,
        } = check;
        Self {
            name,
            status,
            detail,
            fix,
        }
    }
}
