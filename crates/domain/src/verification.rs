//! The verification of a completed export: whether what lies in S3 is what AWS says it wrote.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::timestamp::Timestamp;

/// How many problems are kept; further ones are only counted.
pub const MOST_PROBLEMS: usize = 100;

/// How many characters of a key or of a sentence are kept; S3's keys have at most 1024.
const MOST_TEXT: usize = 1100;

/// The latest verification of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Whether every byte is read, or only what S3 says of each object.
    pub deep: bool,
    /// Where it stands.
    pub state: VerificationState,
    /// How far it has come.
    pub progress: Progress,
    /// What was found wrong.
    pub findings: Findings,
}

/// Where a verification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerificationState {
    /// Files are still being checked.
    Running,
    /// Nothing was found wrong.
    Passed {
        /// When it ended.
        finished_at: Timestamp,
    },
    /// Something was found wrong.
    Failed {
        /// When it ended.
        finished_at: Timestamp,
    },
}

/// How far a verification has come: all that it needs to go on where it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Where in manifest-files.json the first file stands that has not been checked, in bytes.
    pub manifest_offset: u64,
    /// Files that were checked.
    pub files_checked: u64,
    /// Files that the manifest names; `None` until it was read.
    pub files_total: Option<u64>,
    /// Items that were counted, by a deep verification.
    pub items_counted: u64,
}

/// What was found wrong: the first [`MOST_PROBLEMS`], and how many in all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    first: Vec<Finding>,
    total: u64,
}

/// Something that is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = VerificationProblem)]
pub struct Finding {
    /// The object's key.
    #[schema(
        example = "daily/AWSDynamoDB/01795400426000-fa682feb/data/jsd2fwpcjvjavtmaxvjtmjyqeq.json.gz"
    )]
    pub key: String,
    /// What is wrong with it.
    #[schema(example = "does not exist")]
    pub detail: String,
}

impl Finding {
    /// Something wrong with the object of this key. Both may come from a spoilt manifest, so they
    /// are cut to a length and cleaned of NUL characters, which no database keeps.
    pub fn new(key: &str, detail: impl AsRef<str>) -> Self {
        let kept = |text: &str| {
            text.chars()
                .take(MOST_TEXT)
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
    /// As they were stored.
    #[must_use]
    pub fn known(first: Vec<Finding>, total: u64) -> Self {
        Self { first, total }
    }

    /// Adds one more.
    pub fn add(&mut self, finding: Finding) {
        if self.first.len() < MOST_PROBLEMS {
            self.first.push(finding);
        }
        self.total += 1;
    }

    /// The first ones.
    #[must_use]
    pub fn first(&self) -> &[Finding] {
        &self.first
    }

    /// How many there are in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

/// Where a verification stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
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
    /// The word that callers see.
    #[must_use]
    pub fn status(self) -> VerificationStatus {
        match self {
            Self::Running => VerificationStatus::Running,
            Self::Passed { .. } => VerificationStatus::Passed,
            Self::Failed { .. } => VerificationStatus::Failed,
        }
    }

    /// The word that the database uses, which is the same.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Passed { .. } => "passed",
            Self::Failed { .. } => "failed",
        }
    }

    /// When it ended, if it has.
    #[must_use]
    pub fn finished_at(self) -> Option<Timestamp> {
        match self {
            Self::Running => None,
            Self::Passed { finished_at } | Self::Failed { finished_at } => Some(finished_at),
        }
    }
}

impl Verification {
    /// What an ended verification says in one sentence.
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

/// The latest verification of an export, as callers see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Verification)]
pub struct VerificationView {
    /// Where it stands.
    pub status: VerificationStatus,
    /// Whether every byte is read, or only what S3 says of each object.
    pub deep: bool,
    /// Files that were checked so far.
    pub files_checked: u64,
    /// Files that the export has; null until its manifest was read.
    #[schema(required)]
    pub files_total: Option<u64>,
    /// Items that were counted so far; 0 unless it is deep.
    pub items_counted: u64,
    /// What was found wrong, at most the first 100.
    pub problems: Vec<Finding>,
    /// How much was found wrong.
    pub problems_total: u64,
    /// When it ended.
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
            problems: verification.findings.first.clone(),
            problems_total: verification.findings.total,
            finished_at: verification.state.finished_at(),
        }
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
            (MOST_TEXT, "names \u{fffd}")
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
            (MOST_PROBLEMS, 250)
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
