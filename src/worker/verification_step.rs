//! One turn of a verification: the manifests first, then data files in the manifest's order, as
//! many as the turn allows.
//!
//! Files are checked concurrently, but the findings are added in the manifest's order. So one
//! number says where the next turn begins, and a file that was being read when the process died is
//! read again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::aws::{Aws, is_access_denied};
use crate::domain::aws::failure::{AwsFailure, FailureClass};
use crate::domain::export::output::{Output, md5_key};
use crate::domain::export::verification::{Finding, Findings, Progress};
use crate::export_files::judge::{
    Lines, judge_counted, judge_file, judge_sum, judge_summary, judge_totals,
};
use crate::export_files::manifest::{Summary, md5_of, parse_md5};
use crate::export_reader::{ExportFiles, FileLines, RawLine, ReadError, SIDE_BY_SIDE};
use crate::store::verifications::ClaimedVerification;

/// How many data files of one export are read at a time.
const READ_SIDE_BY_SIDE: usize = 4;

/// How a turn ended.
#[derive(Debug)]
pub(super) enum StepEnd {
    /// Everything was checked, or a finding makes further checks pointless.
    Done,
    /// There are more files to check.
    TurnOver,
    /// S3 does not answer.
    Failed(AwsFailure),
}

#[derive(Debug)]
pub(super) struct Step {
    aws: Arc<Aws>,
    readers: Arc<Semaphore>,
    output: Output,
    deep: bool,
    progress: Progress,
    findings: Findings,
}

/// The result for one file.
struct Checked {
    findings: Vec<Finding>,
    items: u64,
    next_offset: u64,
}

/// Why a turn cannot go on.
enum Stop {
    /// The finding makes further checks pointless.
    Hopeless(Finding),
    /// S3 does not answer; the turn is repeated later.
    Away(AwsFailure),
}

impl Step {
    /// `None` if the export is not COMPLETED.
    pub(super) fn new(
        claimed: &ClaimedVerification,
        aws: Arc<Aws>,
        readers: Arc<Semaphore>,
    ) -> Option<Self> {
        let output = Output::from_export(&claimed.export)?;
        let verification = claimed.export.verification.clone()?;
        Some(Self {
            aws,
            readers,
            output,
            deep: verification.deep,
            progress: verification.progress,
            findings: verification.findings,
        })
    }

    pub(super) fn into_parts(self) -> (Progress, Findings) {
        (self.progress, self.findings)
    }

    /// Checks files until the turn is over.
    pub(super) async fn take(&mut self, turn: Duration) -> StepEnd {
        match self.check(Instant::now() + turn).await {
            Ok(true) => StepEnd::Done,
            Ok(false) => StepEnd::TurnOver,
            Err(Stop::Hopeless(finding)) => {
                self.findings.add(finding);
                StepEnd::Done
            }
            Err(Stop::Away(failure)) => StepEnd::Failed(failure),
        }
    }

    /// Returns whether everything was checked.
    async fn check(&mut self, until: Instant) -> Result<bool, Stop> {
        let output = self.output.clone();
        let files = ExportFiles::open(Arc::clone(&self.aws), output.clone())
            .await
            .map_err(|failure| judge_failure(failure, &output.bucket))?;
        let key = &output.summary_key;
        let bytes = files
            .small(key)
            .await
            .map_err(|error| judge_error(error, key))?;
        let bytes = bytes.ok_or_else(|| Stop::Hopeless(Finding::new(key, "does not exist")))?;
        let summary = Summary::parse(&bytes)
            .map_err(|what| Stop::Hopeless(Finding::new(key, what.to_string())))?;
        let files_key = output.files_key(summary.files_key());
        if self.progress.files_total.is_none() {
            self.check_manifests(&files, &summary, &md5_of(&bytes), &files_key)
                .await?;
        }
        let total = self.progress.files_total.unwrap_or_default();
        if self.progress.files_checked < total {
            let lines = files
                .lines(&files_key, self.progress.manifest_offset)
                .await
                .map_err(|error| judge_error(error, &files_key))?;
            let before = self.progress;
            self.check_files(&files, lines, until, &files_key).await?;
            if self.progress == before {
                return Err(Stop::Hopeless(Finding::new(
                    &files_key,
                    format!("names fewer files than the {total} that it named before"),
                )));
            }
        }
        if self.progress.files_checked < total {
            return Ok(false);
        }
        if self.deep && self.findings.total() == 0 {
            judge_counted(&output, &summary, &files_key, self.progress.items_counted)
                .into_iter()
                .for_each(|f| self.findings.add(f));
        }
        Ok(true)
    }

    /// Checks the manifests and their checksums, and counts the files.
    async fn check_manifests(
        &mut self,
        files: &ExportFiles,
        summary: &Summary,
        summary_md5: &[u8; 16],
        files_key: &str,
    ) -> Result<(), Stop> {
        let mut findings: Vec<Finding> =
            judge_summary(&files.output, summary).into_iter().collect();
        findings.extend(check_sum(files, &files.output.summary_key, summary_md5).await?);
        let mut lines = files
            .lines(files_key, 0)
            .await
            .map_err(|error| judge_error(error, files_key))?;
        let mut seen = Lines {
            files: 0,
            items: Some(0),
        };
        while let Some(line) = lines
            .next()
            .await
            .map_err(|error| judge_error(error, files_key))?
        {
            seen.files += 1;
            seen.items = seen
                .items
                .zip(line.file.ok().and_then(|file| file.item_count))
                .map(|(sum, more)| sum.saturating_add(more));
        }
        findings.extend(check_sum(files, files_key, &lines.md5()).await?);
        findings.extend(judge_totals(&files.output, summary, files_key, &seen));
        findings
            .into_iter()
            .for_each(|finding| self.findings.add(finding));
        self.progress.files_total = Some(seen.files);
        Ok(())
    }

    /// Checks files from where the last turn ended: at least one, and all that begin before
    /// `until`.
    async fn check_files(
        &mut self,
        files: &ExportFiles,
        lines: FileLines,
        until: Instant,
        files_key: &str,
    ) -> Result<(), Stop> {
        let mut checked = self.checks(files.clone(), lines, until, files_key.to_owned());
        while let Some(checked) = checked.next().await {
            let checked: Checked = checked?;
            checked
                .findings
                .into_iter()
                .for_each(|finding| self.findings.add(finding));
            self.progress.items_counted += checked.items;
            self.progress.files_checked += 1;
            self.progress.manifest_offset = checked.next_offset;
        }
        Ok(())
    }

    /// The result for each file, in the manifest's order. Only the first file may begin after
    /// `until`.
    fn checks(
        &self,
        files: ExportFiles,
        lines: FileLines,
        until: Instant,
        files_key: String,
    ) -> BoxStream<'static, Result<Checked, Stop>> {
        let source = stream::unfold((lines, true), move |(mut lines, first)| async move {
            if !first && Instant::now() >= until {
                return None;
            }
            lines
                .next()
                .await
                .transpose()
                .map(|line| (line, (lines, false)))
        });
        // If the manifest grew meanwhile, the new lines are ignored: the number of files was
        // checked with its checksum.
        let left = self
            .progress
            .files_total
            .unwrap_or_default()
            .saturating_sub(self.progress.files_checked);
        let deep = self.deep;
        let shared = Arc::new((files, files_key, Arc::clone(&self.readers)));
        let checks = source
            .take(usize::try_from(left).unwrap_or(usize::MAX))
            .map(move |line| {
                let shared = Arc::clone(&shared);
                async move {
                    let (files, files_key, readers) = &*shared;
                    check_file(
                        files,
                        line.map_err(|error| judge_error(error, files_key))?,
                        deep,
                        readers,
                        files_key,
                    )
                    .await
                }
            });
        checks
            .buffered(if deep {
                READ_SIDE_BY_SIDE
            } else {
                SIDE_BY_SIDE
            })
            .boxed()
    }
}

/// Compares the checksum stored with a manifest with that of its bytes.
async fn check_sum(
    files: &ExportFiles,
    manifest_key: &str,
    computed: &[u8; 16],
) -> Result<Option<Finding>, Stop> {
    let key = md5_key(manifest_key);
    let bytes = files
        .small(&key)
        .await
        .map_err(|error| judge_error(error, &key))?;
    Ok(match bytes {
        Some(bytes) => judge_sum(&key, parse_md5(&bytes), computed),
        None => Some(Finding::new(&key, "does not exist")),
    })
}

async fn check_file(
    files: &ExportFiles,
    line: RawLine,
    deep: bool,
    readers: &Semaphore,
    files_key: &str,
) -> Result<Checked, Stop> {
    let next_offset = line.next_offset;
    let file = match line.file {
        Ok(file) => file,
        Err(what) => {
            let finding = Finding::new(
                files_key,
                format!("has a line before byte {next_offset} that {what}"),
            );
            return Ok(Checked {
                findings: vec![finding],
                items: 0,
                next_offset,
            });
        }
    };
    let key = files.output.whole_key(&file.named_key);
    let failed = |failure| judge_failure(failure, &key);
    let (facts, figures) = if deep {
        // Held until the file is read; the semaphore is never closed.
        let _reader = readers.acquire().await;
        files.inspect(&key).await.map_err(failed)?.unzip()
    } else {
        (files.head(&key).await.map_err(failed)?, None)
    };
    let items = figures
        .as_ref()
        .and_then(|figures| figures.items.as_ref().ok().copied())
        .unwrap_or_default();
    Ok(Checked {
        findings: judge_file(&files.output, &file, facts.as_ref(), figures.as_ref()),
        items,
        next_offset,
    })
}

/// If S3 does not answer, the call is repeated; a refusal is a finding.
fn judge_failure(failure: AwsFailure, key: &str) -> Stop {
    if is_access_denied(&failure) {
        let needed = "reading an export needs s3:GetObject on its objects and s3:ListBucket on its bucket, and kms:Decrypt where they are encrypted with a KMS key";
        return Stop::Hopeless(Finding::new(
            key,
            format!("could not be read: {failure} ({needed})"),
        ));
    }
    if failure.class == FailureClass::Refused {
        return Stop::Hopeless(Finding::new(key, format!("could not be read: {failure}")));
    }
    Stop::Away(failure)
}

fn judge_error(error: ReadError, key: &str) -> Stop {
    match error {
        ReadError::Aws(failure) => judge_failure(failure, key),
        ReadError::Missing { key } => Stop::Hopeless(Finding::new(&key, "does not exist")),
        ReadError::Malformed { key, what } => Stop::Hopeless(Finding::new(&key, what.to_string())),
    }
}
