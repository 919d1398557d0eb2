//! A row of `export_verifications`, as it is read with its export.

use serde::Deserialize;
use sqlx::types::Json;

use tableferry_domain::export::verification::{
    Finding, Findings, Progress, Verification, VerificationState,
};
use tableferry_domain::timestamp::Timestamp;

pub(crate) type StoredVerification = Json<VerificationRow>;

/// The columns that callers see; `finished_at` in RFC 3339.
#[derive(Debug, Deserialize)]
pub(crate) struct VerificationRow {
    deep: bool,
    status: String,
    manifest_offset: u64,
    files_checked: u64,
    files_total: Option<u64>,
    items_counted: u64,
    problems: Vec<Finding>,
    problems_total: u64,
    finished_at: Option<String>,
}

impl VerificationRow {
    pub(super) fn read(&self) -> Result<Verification, String> {
        let finished_at = self
            .finished_at
            .as_deref()
            .map(Timestamp::parse)
            .transpose()
            .map_err(|e| format!("finished_at {e}"))?;
        let state = match (self.status.as_str(), finished_at) {
            ("running", None) => VerificationState::Running,
            ("passed", Some(finished_at)) => VerificationState::Passed { finished_at },
            ("failed", Some(finished_at)) => VerificationState::Failed { finished_at },
            (other, _) => {
                return Err(format!(
                    "verification status {other} does not go with finished_at"
                ));
            }
        };
        Ok(Verification {
            deep: self.deep,
            state,
            progress: Progress {
                manifest_offset: self.manifest_offset,
                files_checked: self.files_checked,
                files_total: self.files_total,
                items_counted: self.items_counted,
            },
            findings: Findings::from_db(self.problems.clone(), self.problems_total),
        })
    }
}
