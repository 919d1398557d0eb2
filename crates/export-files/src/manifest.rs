//! The two manifests of an export, parsed leniently: AWS adds members, and omits what an export
//! does not have.
//!
//! manifest-summary.json is one object (known versions: 2020-06-30 and 2023-08-01).
//! manifest-files.json has one object per line and one line per data file. Next to each is a `.md5`
//! file with the base64 of its MD5 sum.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use serde_json::{Map, Value};

use super::Malformed;

/// Maximum size of a summary in bytes; AWS's are below 2 KB.
pub const MAX_SUMMARY_BYTES: usize = 1024 * 1024;

/// Maximum length of a line of manifest-files.json in bytes; keys have at most 1024.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub struct Summary(Map<String, Value>);

/// A line of manifest-files.json. Only the key is required.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    /// The key in the manifest (`dataFileS3Key`).
    pub named_key: String,
    /// Number of items.
    pub item_count: Option<u64>,
    /// Base64 of the MD5 sum of the compressed bytes (`md5Checksum`).
    pub md5: Option<String>,
    /// The object's ETag, without quotes.
    pub etag: Option<String>,
}

impl Summary {
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        object(bytes).map(Self)
    }

    /// The whole object, as AWS wrote it.
    #[must_use]
    pub fn as_json(&self) -> &Map<String, Value> {
        &self.0
    }

    #[must_use]
    pub fn export_arn(&self) -> Option<&str> {
        text(&self.0, "exportArn")
    }

    /// The key of manifest-files.json.
    #[must_use]
    pub fn files_key(&self) -> Option<&str> {
        text(&self.0, "manifestFilesS3Key")
    }

    /// Number of items in all files.
    #[must_use]
    pub fn item_count(&self) -> Option<u64> {
        count(&self.0, "itemCount")
    }
}

impl FileLine {
    pub fn parse(line: &[u8]) -> Result<Self, Malformed> {
        let json = object(line)?;
        let named_key =
            text(&json, "dataFileS3Key").ok_or_else(|| Malformed::new("has no dataFileS3Key"))?;
        Ok(Self {
            named_key: named_key.to_owned(),
            item_count: count(&json, "itemCount"),
            md5: text(&json, "md5Checksum").map(str::to_owned),
            etag: text(&json, "etag").map(|etag| etag.trim_matches('"').to_owned()),
        })
    }
}

/// The sum in a `.md5` file: base64 as AWS writes it, or hexadecimal digits as `md5sum` writes it.
#[must_use]
pub fn parse_md5(bytes: &[u8]) -> Option<[u8; 16]> {
    let text = std::str::from_utf8(bytes)
        .ok()?
        .split_whitespace()
        .next()?
        .trim_matches('"');
    if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes);
    }
    BASE64.decode(text).ok()?.try_into().ok()
}

/// The MD5 sum of a manifest.
#[must_use]
pub fn md5_of(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// A sum in the form of manifests.
#[must_use]
pub fn md5_text(sum: &[u8; 16]) -> String {
    BASE64.encode(sum)
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Malformed> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(Malformed::new("is not a JSON object")),
        Err(error) => Err(Malformed::new(format!("is not JSON: {error}"))),
    }
}

fn text<'a>(json: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    json.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn count(json: &Map<String, Value>, name: &str) -> Option<u64> {
    let value = json.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of AWS's developer guide for a full export.
    const FULL: &str = r#"{
        "version": "2020-06-30",
        "exportArn": "arn:aws:dynamodb:us-east-1:123456789012:table/ProductCatalog/export/01234567890123-a1b2c3d4",
        "startTime": "2020-11-04T07:28:34.028Z",
        "endTime": "2020-11-04T07:33:43.897Z",
        "tableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/ProductCatalog",
        "tableId": "12345a12-abcd-123a-ab12-1234abc12345",
        "exportTime": "2020-11-04T07:28:34.028Z",
        "s3Bucket": "ddb-productcatalog-export",
        "s3Prefix": "2020-Nov",
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": null,
        "manifestFilesS3Key": "AWSDynamoDB/01693685827463-2d8752fd/manifest-files.json",
        "billedSizeBytes": 0,
        "itemCount": 8,
        "outputFormat": "DYNAMODB_JSON"
    }"#;

    /// An incremental export's, with a member that nobody knows.
    const INCREMENTAL: &str = r#"{
        "version": "2023-08-01",
        "exportArn": "arn:aws:dynamodb:us-east-1:123456789012:table/T/export/01695097218000-d6299cbd",
        "tableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/T",
        "exportFromTime": "2023-09-18T04:20:18.000Z",
        "exportToTime": "2023-09-19T04:20:18.000Z",
        "s3Bucket": "b", "s3Prefix": null,
        "manifestFilesS3Key": "AWSDynamoDB/01695097218000-d6299cbd/manifest-files.json",
        "itemCount": "5", "outputFormat": "ION", "outputView": "NEW_AND_OLD_IMAGES", "exportType": "INCREMENTAL_EXPORT",
        "somethingNew": {"a": [1, 2.50]}
    }"#;

    #[test]
    fn both_versions_are_read_and_kept_as_they_are() {
        let full = Summary::parse(FULL.as_bytes()).unwrap();
        assert!(
            full.export_arn()
                .unwrap()
                .ends_with("01234567890123-a1b2c3d4")
        );
        assert_eq!(
            full.files_key(),
            Some("AWSDynamoDB/01693685827463-2d8752fd/manifest-files.json")
        );
        assert_eq!(full.item_count(), Some(8));
        assert_eq!(full.as_json().len(), 15);
        let incremental = Summary::parse(INCREMENTAL.as_bytes()).unwrap();
        assert_eq!(incremental.item_count(), Some(5));
        assert_eq!(incremental.as_json()["somethingNew"]["a"][0], 1);
    }

    #[test]
    fn what_is_left_out_is_none() {
        let empty = Summary::parse(b"{}").unwrap();
        assert_eq!(
            (empty.export_arn(), empty.files_key(), empty.item_count()),
            (None, None, None)
        );
        for broken in ["", "[]", "null", "{", "\u{feff}{}x"] {
            assert!(Summary::parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn lines_need_a_key_and_nothing_else() {
        let line = br#"{"itemCount":8,"md5Checksum":"sQMSpEILNgoQmarvDFonGQ==","etag":"af83d6f217c19b8b0fff8023d8ca4716-1","dataFileS3Key":"AWSDynamoDB/0169/data/sgbsxqcwuy.json.gz","new":1}"#;
        let read = FileLine::parse(line).unwrap();
        assert_eq!(read.item_count, Some(8));
        assert_eq!(read.md5.as_deref(), Some("sQMSpEILNgoQmarvDFonGQ=="));
        assert_eq!(
            read.etag.as_deref(),
            Some("af83d6f217c19b8b0fff8023d8ca4716-1")
        );
        let bare = FileLine::parse(br#"{"dataFileS3Key":"k"}"#).unwrap();
        assert_eq!((bare.item_count, bare.md5, bare.etag), (None, None, None));
        assert!(FileLine::parse(br#"{"itemCount":8}"#).is_err());
    }

    #[test]
    fn sums_are_base64_or_hexadecimal() {
        let sum = parse_md5(b"1B2M2Y8AsgTpgAmY7PhCfg==").unwrap();
        assert_eq!(
            parse_md5(b"d41d8cd98f00b204e9800998ecf8427e  manifest-summary.json\n"),
            Some(sum)
        );
        assert_eq!(md5_text(&sum), "1B2M2Y8AsgTpgAmY7PhCfg==");
        for wrong in ["", "1B2M2Y8AsgTpgAmY7PhC", "zz"] {
            assert!(parse_md5(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
