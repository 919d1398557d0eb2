//! The latest verification of an export, as callers see it.

use serde::Serialize;
use tableferry_domain::export::verification::{Finding, Verification, VerificationStatus};
use tableferry_domain::timestamp::Timestamp;
use utoipa::ToSchema;

/// The latest verification of an export.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Verification)]
pub struct VerificationView {
    /// The status of the verification.
    pub status: VerificationStatus,
    /// Whether every byte is read, or only what S3 reports about each object.
    pub deep: bool,
    /// The number of files checked so far.
    pub files_checked: u64,
    /// The number of files of the export; null until its manifest is read.
    #[schema(required)]
    pub files_total: Option<u64>,
    /// The number of items counted so far; 0 unless the verification is deep.
    pub items_counted: u64,
    /// The errors found: at most the first 100.
    pub problems: Vec<Finding>,
    /// The total number of errors found.
    pub problems_total: u64,
    /// When the verification ended; null while it runs.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

impl From<&Verification> for VerificationView {
    fn from(verification: &Verification) -> Self {
        let progress = &verification.progress;
        Self {
            status: verification.state.status(),
            deep: verification.deep,
            files_checked: progress.files_checked,
            files_total: progress.files_total,
            items_counted: progress.items_counted,
            problems: verification.findings.first().to_vec(),
            problems_total: verification.findings.total(),
            finished_at: verification.state.finished_at(),
        }
    }
}
