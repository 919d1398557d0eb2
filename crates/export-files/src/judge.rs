//! Checks an export's files and describes each problem in a sentence.

use super::inspect::Figures;
use super::manifest::{FileLine, Summary, md5_text};
use tableferry_domain::export::output::{ObjectFacts, Output};
use tableferry_domain::export::verification::Finding;
use tableferry_domain::timestamp::Timestamp;

/// Tolerance for files that seem older than their export, because S3's clock is not DynamoDB's.
const CLOCKS_DIFFER: std::time::Duration = std::time::Duration::from_secs(60);

/// Totals of the lines of manifest-files.json.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lines {
    /// Number of files it lists.
    pub files: u64,
    /// Total number of items; `None` if a line does not say.
    pub items: Option<u64>,
}

/// Compares a manifest with its MD5 file.
#[must_use]
pub fn judge_sum(key: &str, written: Option<[u8; 16]>, computed: &[u8; 16]) -> Option<Finding> {
    match written {
        None => Some(Finding::new(key, "contains no MD5 sum")),
        Some(written) if written == *computed => None,
        Some(written) => Some(Finding::new(
            key,
            format!(
                "says {}, but the MD5 sum of the manifest beside it is {}",
                md5_text(&written),
                md5_text(computed)
            ),
        )),
    }
}

/// Checks the summary's ARN.
#[must_use]
pub fn judge_summary(output: &Output, summary: &Summary) -> Option<Finding> {
    let arn = summary.export_arn()?;
    (arn != output.export_arn).then(|| {
        Finding::new(
            &output.summary_key,
            format!(
                "belongs to another export: its exportArn is {arn}, not {}",
                output.export_arn
            ),
        )
    })
}

/// Compares the item counts of the export, the summary and the files.
#[must_use]
pub fn judge_totals(
    output: &Output,
    summary: &Summary,
    files_key: &str,
    lines: &Lines,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (described, summed) = (output.item_count, summary.item_count());
    if let (Some(described), Some(summed)) = (described, summed)
        && described != summed
    {
        findings.push(Finding::new(
            &output.summary_key,
            format!(
                "has itemCount {summed}, but AWS said that {}",
                were_written(described)
            ),
        ));
    }
    if let (Some(total), Some(items)) = (summed.or(described), lines.items)
        && total != items
    {
        findings.push(Finding::new(
            files_key,
            format!(
                "names files with {} together, but {}",
                items_in_words(items),
                were_written(total)
            ),
        ));
    }
    findings
}

/// Problems of a data file: its location, its metadata in S3 and, if it was read, its bytes.
#[must_use]
pub fn judge_file(
    output: &Output,
    line: &FileLine,
    facts: Option<&ObjectFacts>,
    figures: Option<&Figures>,
) -> Vec<Finding> {
    let key = output.whole_key(&line.named_key);
    let mut findings = Vec::new();
    let mut wrong = |detail: String| findings.push(Finding::new(&key, detail));
    if !output.may_hold(&key) {
        wrong(format!(
            "is not this export's: its files are in {}",
            output.data_folder()
        ));
    }
    let Some(facts) = facts else {
        wrong("does not exist".to_owned());
        return findings;
    };
    if let (Some(seen), Some(named)) = (&facts.etag, &line.etag)
        && seen != named
    {
        wrong(format!("has the ETag {seen}; the manifest says {named}"));
    }
    if let Some((written, began)) = written_before(output, facts) {
        wrong(format!(
            "was written at {written}, before this export began at {began}: it belongs to another export"
        ));
    }
    let Some(figures) = figures else {
        return findings;
    };
    if figures.size_bytes != facts.size_bytes {
        wrong(format!(
            "returned {} bytes; S3 reported {}",
            figures.size_bytes, facts.size_bytes
        ));
    }
    let md5 = md5_text(&figures.md5);
    if let Some(named) = &line.md5
        && *named != md5
    {
        wrong(format!("has the MD5 sum {md5}; the manifest says {named}"));
    }
    match (&figures.items, line.item_count) {
        (Err(what), _) => wrong(what.to_string()),
        (Ok(seen), Some(named)) if *seen != named => wrong(format!(
            "has {}; the manifest says {named}",
            items_in_words(*seen)
        )),
        _ => {}
    }
    findings
}

/// Compares the counted items with the written ones, if the files' own counts are missing.
#[must_use]
pub fn judge_counted(
    output: &Output,
    summary: &Summary,
    files_key: &str,
    counted: u64,
) -> Option<Finding> {
    let total = summary.item_count().or(output.item_count)?;
    (total != counted).then(|| {
        Finding::new(
            files_key,
            format!(
                "names files in which {} counted, but {}",
                were(counted),
                were_written(total)
            ),
        )
    })
}

/// `1 item`, `2 items`.
fn items_in_words(items: u64) -> String {
    format!("{items} item{}", if items == 1 { "" } else { "s" })
}

/// `1 item was`, `2 items were`.
fn were(items: u64) -> String {
    format!(
        "{} {}",
        items_in_words(items),
        if items == 1 { "was" } else { "were" }
    )
}

/// `1 item was written`.
fn were_written(items: u64) -> String {
    format!("{} written", were(items))
}

/// A file cannot be older than its export.
fn written_before(output: &Output, facts: &ObjectFacts) -> Option<(Timestamp, Timestamp)> {
    let (written, began) = (facts.last_modified?, output.start_time?);
    (written.plus(CLOCKS_DIFFER) < began).then_some((written, began))
}
