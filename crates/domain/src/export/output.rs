//! The location of a completed export's files in S3.
//!
//! ```text
//! <prefix>/AWSDynamoDB/<ExportId>/manifest-summary.json   names manifest-files.json
//! <prefix>/AWSDynamoDB/<ExportId>/manifest-files.json     names every data file
//! <prefix>/AWSDynamoDB/<ExportId>/data/…                  data files of a full export
//! <prefix>/AWSDynamoDB/data/…                             data files of all incremental exports of the prefix
//! ```

use crate::export::request::{ExportFormat, ExportKind};
use crate::export::{Export, ExportState};
use crate::timestamp::Timestamp;

/// The folder that AWS creates below every prefix.
const AWS_FOLDER: &str = "AWSDynamoDB/";
const SUMMARY: &str = "manifest-summary.json";
/// The name of the manifest of files.
const FILES: &str = "manifest-files.json";

/// The files of a completed export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub export_arn: String,
    pub account_id: String,
    /// The table's region; the bucket may be in another one.
    pub region: String,
    pub bucket: String,
    /// The bucket's owner, if the request names it.
    pub bucket_owner: Option<String>,
    /// The format of the data files.
    pub format: ExportFormat,
    /// Whether the data files are in the folder shared by all incremental exports of the prefix.
    pub incremental: bool,
    /// The item count that AWS reports.
    pub item_count: Option<u64>,
    /// When AWS began to write.
    pub start_time: Option<Timestamp>,
    /// The key of manifest-summary.json.
    pub summary_key: String,
}

/// Metadata of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFacts {
    pub size_bytes: u64,
    /// Its ETag, without quotes.
    pub etag: Option<String>,
    pub last_modified: Option<Timestamp>,
}

impl Output {
    /// The files of an export; `None` unless it is COMPLETED.
    #[must_use]
    pub fn from_export(export: &Export) -> Option<Self> {
        let ExportState::Completed(accepted, written) = &export.state else {
            return None;
        };
        let to = &export.request.destination;
        let arn = accepted.arn.as_str();
        let summary_key = written.manifest_key.clone().unwrap_or_else(|| {
            let prefix = to
                .prefix
                .as_ref()
                .map_or_else(String::new, |prefix| format!("{}/", prefix.as_str()));
            format!(
                "{prefix}{AWS_FOLDER}{}/{SUMMARY}",
                arn.rsplit('/').next().unwrap_or(arn)
            )
        });
        Some(Self {
            export_arn: arn.to_owned(),
            account_id: export.request.table_arn.account_id().to_owned(),
            region: export.request.table_arn.region().to_owned(),
            bucket: to.bucket.as_str().to_owned(),
            bucket_owner: to
                .bucket_owner
                .as_ref()
                .map(|owner| owner.as_str().to_owned()),
            format: export.request.format,
            incremental: matches!(export.request.kind, ExportKind::Incremental { .. }),
            item_count: written.item_count.and_then(|n| u64::try_from(n).ok()),
            start_time: accepted.start_time,
            summary_key,
        })
    }

    /// The export's own folder, with a trailing slash.
    #[must_use]
    pub fn folder(&self) -> &str {
        folder_of(&self.summary_key)
    }

    /// The folder of all exports of the prefix.
    fn root(&self) -> &str {
        folder_of(self.folder().trim_end_matches('/'))
    }

    /// The complete key of a key in a manifest. AWS writes complete keys; AWS's documentation shows
    /// keys without the prefix.
    #[must_use]
    pub fn whole_key(&self, named: &str) -> String {
        let root = self.root();
        let prefix = root.strip_suffix(AWS_FOLDER).unwrap_or_default();
        let with_prefix = format!("{prefix}{named}");
        if !named.starts_with(root) && with_prefix.starts_with(root) {
            with_prefix
        } else {
            named.to_owned()
        }
    }

    /// The key of manifest-files.json: the one in the summary, otherwise the one next to the
    /// summary.
    #[must_use]
    pub fn files_key(&self, named: Option<&str>) -> String {
        named.map_or_else(
            || format!("{}{FILES}", self.folder()),
            |named| self.whole_key(named),
        )
    }

    /// The folder of this export's data files.
    #[must_use]
    pub fn data_folder(&self) -> String {
        format!(
            "{}data/",
            if self.incremental {
                self.root()
            } else {
                self.folder()
            }
        )
    }

    /// Whether this key is in the folder of this export's data files.
    #[must_use]
    pub fn may_hold(&self, key: &str) -> bool {
        key.starts_with(&self.data_folder()) || key.starts_with(&format!("{}data/", self.folder()))
    }
}

/// The key of a manifest's MD5 file.
#[must_use]
pub fn md5_key(manifest_key: &str) -> String {
    format!(
        "{}.md5",
        manifest_key.strip_suffix(".json").unwrap_or(manifest_key)
    )
}

fn folder_of(key: &str) -> &str {
    key.rfind('/').map_or("", |slash| &key[..=slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(summary_key: &str, incremental: bool) -> Output {
        Output {
            export_arn: "arn:aws:dynamodb:us-east-1:123456789012:table/T/export/0170-ab".to_owned(),
            account_id: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
            bucket: "b".to_owned(),
            bucket_owner: None,
            format: ExportFormat::Ion,
            incremental,
            item_count: None,
            start_time: None,
            summary_key: summary_key.to_owned(),
        }
    }

    #[test]
    fn keys_are_whole_with_and_without_a_prefix() {
        for (prefix, incremental, data) in [
            ("", false, "AWSDynamoDB/0170-ab/data/"),
            ("", true, "AWSDynamoDB/data/"),
            ("a/b/", false, "a/b/AWSDynamoDB/0170-ab/data/"),
            ("a/b/", true, "a/b/AWSDynamoDB/data/"),
        ] {
            let output = output(
                &format!("{prefix}AWSDynamoDB/0170-ab/manifest-summary.json"),
                incremental,
            );
            assert_eq!(output.data_folder(), data);
            assert_eq!(output.folder(), format!("{prefix}AWSDynamoDB/0170-ab/"));
            assert_eq!(
                output.files_key(None),
                format!("{prefix}AWSDynamoDB/0170-ab/manifest-files.json")
            );
            assert_eq!(
                output.whole_key("AWSDynamoDB/0170-ab/x"),
                format!("{prefix}AWSDynamoDB/0170-ab/x")
            );
            assert_eq!(
                output.whole_key(&format!("{data}x.gz")),
                format!("{data}x.gz")
            );
            assert!(output.may_hold(&format!("{data}x.gz")));
            assert!(!output.may_hold(&format!("{prefix}AWSDynamoDB/0171-cd/data/x.gz")));
        }
        assert!(
            !output("AWSDynamoDB/0170-ab/manifest-summary.json", false)
                .may_hold("AWSDynamoDB/data/x.gz")
        );
    }

    #[test]
    fn sums_lie_beside_their_manifests() {
        assert_eq!(
            md5_key("p/AWSDynamoDB/0170-ab/manifest-files.json"),
            "p/AWSDynamoDB/0170-ab/manifest-files.md5"
        );
    }
}
