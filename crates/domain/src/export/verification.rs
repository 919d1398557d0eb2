//! The verification of a completed export: whether the objects in S3 are what AWS reported.

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// Maximum number of problems kept; further ones are only counted.
pub const MAX_PROBLEMS: usize = 100;

/// Maximum characters kept of a key or a text; S3 keys have at most 1024.
const MAX_TEXT: usize = 1100;

/// The latest verification of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Whether it reads every byte, or only each object's metadata.
    pub deep: bool,
    pub state: VerificationState,
    pub progress: Progress,
    pub findings: Findings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerificationState {
    /// Files are still being checked.
    Running,
    /// Nothing was found wrong.
    Passed { finished_at: Timestamp },
    /// Something was found wrong.
    Failed { finished_at: Timestamp },
}

/// Progress: everything needed to resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Byte offset in manifest-files.json of the first unchecked file.
    pub manifest_offset: u64,
    pub files_checked: u64,
    /// Files in the manifest; `None` before it has been read.
    pub files_total: Option<u64>,
    /// Items counted by a deep verification.
    pub items_counted: u64,
}

/// Problems found: the first [`MAX_PROBLEMS`], and the total.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    first: Vec<Finding>,
    total: u64,
}

/// An error in an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = VerificationProblem))]
pub struct Finding {
    /// The object's key.
    #[cfg_attr(
        feature = "openapi",
        schema(
            example = "daily/AWSDynamoDB/01795400426000-fa682feb/data/jsd2fwpcjvjavtmaxvjtmjyqeq.json.gz"
        )
    )]
    pub key: String,
    /// The error.
    #[cfg_attr(feature = "openapi", schema(example = "does not exist"))]
    pub detail: String,
}

impl Finding {
    /// A problem with an object. Key and detail may come from a damaged manifest, so they are
    /// truncated and NUL characters, which Postgres cannot store, are removed.
    pub fn new(key: &str, detail: impl AsRef<str>) -> Self {
        let kept = |text: &str| {
            text.chars()
                .take(MAX_TEXT)
                .map(|c| {
                    if c == '\0' {
                        char::REPLACEMENT_CHARACTER
                    } else {
                        c
                    }
                })
                .collect()
        };
        Self {
            key: kept(key),
            detail: kept(detail.as_ref()),
        }
    }
}

impl Findings {
    #[must_use]
    pub fn from_db(first: Vec<Finding>, total: u64) -> Self {
        Self { first, total }
    }

    pub fn add(&mut self, finding: Finding) {
        if self.first.len() < MAX_PROBLEMS {
            self.first.push(finding);
        }
        self.total += 1;
    }

    /// At most [`MAX_PROBLEMS`].
    #[must_use]
    pub fn first(&self) -> &[Finding] {
        &self.first
    }

    /// The total.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

/// The status of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum VerificationStatus {
    /// Files are still being checked.
    Running,
    /// Nothing was found wrong.
    Passed,
    /// Something was found wrong.
    Failed,
}

impl VerificationState {
    #[must_use]
    pub fn status(self) -> VerificationStatus {
        match self {
            Self::Running => VerificationStatus::Running,
            Self::Passed { .. } => VerificationStatus::Passed,
            Self::Failed { .. } => VerificationStatus::Failed,
        }
    }

    /// The value in the database, which is the same as in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Passed { .. } => "passed",
            Self::Failed { .. } => "failed",
        }
    }

    #[must_use]
    pub fn finished_at(self) -> Option<Timestamp> {
        match self {
            Self::Running => None,
            Self::Passed { finished_at } | Self::Failed { finished_at } => Some(finished_at),
        }
    }
}

impl Verification {
    /// Summary of a finished verification.
    #[must_use]
    pub fn sentence(deep: bool, progress: &Progress, findings: &Findings) -> String {
        let checked = progress.files_checked;
        let how = if deep {
            "every byte was read"
        } else {
            "no data file was read"
        };
        if findings.total == 0 {
            let items = if deep {
                format!(" with {} items", progress.items_counted)
            } else {
                String::new()
            };
            return format!("verified: {checked} files{items} are as AWS wrote them ({how})");
        }
        let of = progress
            .files_total
            .map_or_else(String::new, |total| format!(" of {total}"));
        let first = findings.first.first().map_or_else(String::new, |finding| {
            format!("; first: {} {}", finding.key, finding.detail)
        });
        format!(
            "verification failed: {} problems after {checked}{of} files ({how}){first}",
            findings.total
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spoilt_manifest_says_can_be_stored() {
        let finding = Finding::new(&"k\0".repeat(2000), "names \0");
        assert_eq!(
            (finding.key.chars().count(), finding.detail.as_str()),
            (MAX_TEXT, "names \u{fffd}")
        );
        assert!(!finding.key.contains('\0'));
    }

    #[test]
    fn problems_are_capped_and_counted() {
        let mut findings = Findings::default();
        for number in 0..250 {
            findings.add(Finding::new(&format!("k{number}"), "does not exist"));
        }
        assert_eq!(
            (findings.first().len(), findings.total()),
            (MAX_PROBLEMS, 250)
        );
        let progress = Progress {
            files_checked: 250,
            files_total: Some(300),
            ..Progress::default()
        };
        let sentence = Verification::sentence(false, &progress, &findings);
        assert!(
            sentence.contains("250 problems after 250 of 300 files")
                && sentence.contains("k0 does not exist"),
            "{sentence}"
        );
    }
}
