//! The two manifests of an export, each with an `.md5` file next to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::world::{Export, Scope};

/// A data file as the files manifest lists it.
pub(super) struct DataFile {
    pub(super) key: String,
    pub(super) item_count: usize,
    pub(super) md5_base64: String,
    pub(super) etag: String,
}

/// The files manifest: one JSON object per line.
pub(super) fn files(files: &[DataFile]) -> String {
    let lines = files.iter().map(|file| {
        let line = json!({
            "itemCount": file.item_count,
            "md5Checksum": file.md5_base64,
            "etag": file.etag,
            "dataFileS3Key": file.key,
        });
        format!("{line}\n")
    });
    lines.collect()
}

/// Values of the summary that the export itself does not know.
pub(super) struct Totals {
    pub(super) files_key: String,
    pub(super) item_count: u64,
    pub(super) billed_size_bytes: u64,
    pub(super) ends_at: OffsetDateTime,
}

/// The summary manifest; its members depend on the export's type.
pub(super) fn summary(export: &Export, totals: &Totals) -> Value {
    let request = &export.request;
    let mut summary = json!({
        "exportArn": export.arn,
        "startTime": iso(export.started_at),
        "endTime": iso(totals.ends_at),
        "tableArn": request.table_arn,
        "tableId": export.table_id,
        "s3Bucket": request.s3_bucket,
        "s3Prefix": request.s3_prefix,
        "s3SseAlgorithm": request.s3_sse_algorithm.as_deref().unwrap_or("AES256"),
        "s3SseKmsKeyId": request.s3_sse_kms_key_id,
        "manifestFilesS3Key": totals.files_key,
        "billedSizeBytes": totals.billed_size_bytes,
        "itemCount": totals.item_count,
        "outputFormat": request.export_format.as_deref().unwrap_or("DYNAMODB_JSON"),
    });
    match export.scope {
        Scope::Full { at } => {
            summary["version"] = json!("2020-06-30");
            summary["exportTime"] = json!(iso(at));
        }
        Scope::Incremental {
            from,
            to,
            old_images,
        } => {
            summary["version"] = json!("2023-08-01");
            summary["exportFromTime"] = json!(iso(from));
            summary["exportToTime"] = json!(iso(to));
            summary["exportType"] = json!("INCREMENTAL_EXPORT");
            summary["outputView"] = json!(if old_images {
                "NEW_AND_OLD_IMAGES"
            } else {
                "NEW_IMAGE"
            });
        }
    }
    summary
}

/// Base64 of the MD5 sum, as in manifests and `.md5` files.
pub(super) fn md5_base64(bytes: &[u8]) -> String {
    use md5::Digest as _;
    BASE64.encode(md5::Md5::digest(bytes))
}

fn iso(at: OffsetDateTime) -> String {
    let form =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    at.format(&form).unwrap_or_default()
}
