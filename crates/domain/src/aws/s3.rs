//! S3 destinations: bucket, owner, prefix, encryption. Limits are those of botocore's DynamoDB
//! model.

use serde::{Deserialize, Serialize};

use crate::aws::arn::is_account_id;
use crate::invalid::Invalid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Destination {
    pub bucket: S3Bucket,
    /// The account that owns the bucket; required by AWS if it is not the caller's.
    pub bucket_owner: Option<BucketOwner>,
    /// Prefix of every key.
    pub prefix: Option<S3Prefix>,
    /// Encryption of the objects; `None` leaves the choice to AWS (AES256).
    pub encryption: Option<Encryption>,
}

/// A bucket's name as DynamoDB accepts it: 3 to 255 characters, letters and digits at both ends,
/// `.`, `-` and `_` between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Bucket(String);

impl S3Bucket {
    /// A name from the database; not validated again.
    #[must_use]
    pub fn from_db(text: String) -> Self {
        Self(text)
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if let Some(pasted) = Pasted::find(text) {
            return Err(pasted.for_bucket());
        }
        let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let known = bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if known && (3..=255).contains(&bytes.len()) && ends(bytes.first()) && ends(bytes.last()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                "must be a bucket name: 3 to 255 characters of a-z, A-Z, 0-9, ., - and _, beginning and ending with a letter or digit",
            ))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rule for new buckets that the name breaks, if any. DynamoDB accepts such names: buckets
    /// created in us-east-1 before March 2018 may have longer names, upper case and underscores.
    ///
    /// The rules: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
    #[must_use]
    pub fn broken_rule(&self) -> Option<String> {
        let name = self.0.as_str();
        let starts = RESERVED_PREFIXES
            .iter()
            .find(|prefix| name.starts_with(**prefix));
        let ends = RESERVED_SUFFIXES
            .iter()
            .find(|suffix| name.ends_with(**suffix));
        if name.len() > 63 {
            Some("it has more than 63 characters".to_owned())
        } else if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Some("it has upper-case letters".to_owned())
        } else if name.contains('_') {
            Some("it has an underscore".to_owned())
        } else if name.contains("..") {
            Some("it has two periods side by side".to_owned())
        } else if name.parse::<std::net::Ipv4Addr>().is_ok() {
            Some("it is formatted as an IP address".to_owned())
        } else if let Some(prefix) = starts {
            Some(format!("it begins with {prefix}, which is reserved"))
        } else {
            ends.map(|suffix| format!("it ends with {suffix}, which is reserved"))
        }
    }
}

/// Reserved prefixes of names of new buckets.
const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];

/// Reserved suffixes of names of new buckets.
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// A whole address where only a part belongs: `s3://bucket/prefix`, another URL, or an ARN.
struct Pasted<'a> {
    what: &'static str,
    /// The bucket and the rest, if the text has them.
    parts: Option<(&'a str, &'a str)>,
}

impl<'a> Pasted<'a> {
    fn find(text: &'a str) -> Option<Self> {
        let lower = text.get(..6).unwrap_or(text).to_ascii_lowercase();
        let (what, rest) = if lower.starts_with("s3://") {
            ("URL", Some(&text[5..]))
        } else if lower.starts_with("arn:") {
            ("ARN", text.split_once(":s3:::").map(|(_, rest)| rest))
        } else if text.split_once("://").is_some_and(|(scheme, _)| {
            !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric())
        }) {
            ("URL", None)
        } else {
            return None;
        };
        let parts = rest.map(|rest| rest.split_once('/').unwrap_or((rest, "")));
        Some(Self {
            what,
            parts: parts.filter(|(bucket, _)| S3Bucket::parse(bucket).is_ok()),
        })
    }

    fn for_bucket(&self) -> Invalid {
        let what = self.what;
        Invalid::new(match self.parts {
            Some((bucket, "")) => {
                format!("must be only the bucket name, not its {what}: {bucket}")
            }
            Some((bucket, prefix)) => {
                format!(
                    "must be only the bucket name, not its {what}: set s3_bucket to {bucket} and s3_prefix to {prefix}"
                )
            }
            None => format!("must be only a bucket name such as my-exports, not its {what}"),
        })
    }

    fn for_prefix(&self) -> Invalid {
        let what = self.what;
        Invalid::new(match self.parts {
            Some((bucket, "")) => {
                format!(
                    "must be a key prefix, not the {what} of a bucket: leave it out and set s3_bucket to {bucket}"
                )
            }
            Some((bucket, prefix)) => {
                format!(
                    "must be a key prefix without the bucket: set s3_bucket to {bucket} and s3_prefix to {prefix}"
                )
            }
            None => format!("must be a key prefix such as exports/daily, not the {what}"),
        })
    }
}

/// The 12-digit id of the account that owns the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketOwner(String);

impl BucketOwner {
    /// An account id from the database; not validated again.
    #[must_use]
    pub fn from_db(text: String) -> Self {
        Self(text)
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_account_id(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                "must be the 12-digit id of the account that owns the bucket",
            ))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The prefix of every key of an export; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Prefix(String);

impl S3Prefix {
    /// A prefix from the database; not validated again.
    #[must_use]
    pub fn from_db(text: String) -> Self {
        Self(text)
    }

    /// Reads the prefix of a request. Addresses pasted by mistake and parts `.` and `..` are
    /// refused only here: S3 accepts them, so exports started elsewhere may have them.
    pub fn from_request(text: &str) -> Result<Option<Self>, Invalid> {
        match Pasted::find(text) {
            Some(pasted) => Err(pasted.for_prefix()),
            None if text.split('/').any(|part| matches!(part, "." | "..")) => Err(Invalid::new(
                "must not have a part . or .. between slashes: clients resolve such parts in URLs, so presigned URLs would not lead to the files",
            )),
            None => Self::parse(text),
        }
    }

    /// Reads a prefix of at most 1024 characters. Empty means none, because AWS refuses an empty
    /// prefix.
    pub fn parse(text: &str) -> Result<Option<Self>, Invalid> {
        if text.is_empty() {
            return Ok(None);
        }
        if text.chars().count() > 1024 {
            return Err(Invalid::new("must be at most 1024 characters long"));
        }
        if text.chars().any(char::is_control) {
            return Err(Invalid::new("must not contain control characters"));
        }
        Ok(Some(Self(text.to_owned())))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Server-side encryption of the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// Keys that S3 manages.
    Aes256,
    /// A KMS key: the named one, or the bucket's default.
    Kms {
        /// Id, ARN or alias of the key.
        key_id: Option<KmsKeyId>,
    },
}

/// How objects are encrypted, with AWS's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum S3SseAlgorithm {
    /// With keys that S3 manages.
    Aes256,
    /// With a key of KMS.
    Kms,
}

impl S3SseAlgorithm {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "AES256" => Ok(Self::Aes256),
            "KMS" => Ok(Self::Kms),
            _ => Err(Invalid::new("must be AES256 or KMS")),
        }
    }
}

/// Id, ARN or alias of a KMS key: 1 to 2048 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsKeyId(String);

impl KmsKeyId {
    /// A key id from the database; not validated again.
    #[must_use]
    pub fn from_db(text: String) -> Self {
        Self(text)
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let plain = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
        if plain && (1..=2048).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                "must be the id, ARN or alias of a KMS key: 1 to 2048 characters without white space",
            ))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets() {
        for good in ["my-bucket", "My.Bucket_1", "abc"] {
            assert!(S3Bucket::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "-abc",
            "abc-",
            "a bc",
            "arn:aws:s3:::abc",
            "s3://abc",
            "a\0bc",
            "üabc",
            &"a".repeat(256),
        ] {
            assert!(S3Bucket::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pasted_address_is_refused_with_the_fix() {
        let bucket = |text: &str| S3Bucket::parse(text).unwrap_err().to_string();
        let prefix = |text: &str| S3Prefix::from_request(text).unwrap_err().to_string();
        for text in [
            "s3://my-exports/daily/new",
            "S3://my-exports/daily/new",
            "arn:aws-cn:s3:::my-exports/daily/new",
        ] {
            assert!(
                bucket(text).ends_with("set s3_bucket to my-exports and s3_prefix to daily/new"),
                "{}",
                bucket(text)
            );
            assert!(
                prefix(text).ends_with("set s3_bucket to my-exports and s3_prefix to daily/new"),
                "{}",
                prefix(text)
            );
        }
        for text in [
            "s3://my-exports",
            "s3://my-exports/",
            "arn:aws:s3:::my-exports",
        ] {
            assert!(bucket(text).ends_with(": my-exports"), "{}", bucket(text));
            assert!(
                prefix(text).contains("leave it out and set s3_bucket to my-exports"),
                "{}",
                prefix(text)
            );
        }
        for text in [
            "https://my-exports.s3.amazonaws.com/daily",
            "arn:aws:dynamodb:us-east-1:123456789012:table/T",
            "s3://",
            "s3:///daily",
        ] {
            assert!(
                bucket(text).contains("only a bucket name")
                    && prefix(text).contains("must be a key prefix"),
                "{text}"
            );
        }
        for good in [
            "s3",
            "a:b",
            "arn",
            "a/arn:aws:s3:::b",
            "//x",
            "://x",
            "a/b://c",
            "...",
            "a/.b/c.",
        ] {
            assert!(S3Prefix::from_request(good).is_ok(), "{good}");
        }
        for bad in [".", "..", "a/./b", "../a", "a/.."] {
            assert!(S3Prefix::from_request(bad).is_err(), "{bad}");
        }
        // An export that was started elsewhere may have it.
        assert!(
            S3Prefix::parse("s3://my-exports/daily").is_ok() && S3Prefix::parse("a/./b").is_ok()
        );
    }

    #[test]
    fn names_that_no_new_bucket_may_have() {
        let long = "a".repeat(64);
        for (name, why) in [
            ("My-bucket", "upper-case"),
            ("my_bucket", "underscore"),
            (long.as_str(), "63 characters"),
            ("a..b", "two periods"),
            ("192.168.5.4", "IP address"),
            ("xn--bucket", "begins with xn--"),
            ("sthree-configurator-x", "begins with sthree-"),
            ("amzn-s3-demo-bucket", "begins with amzn-s3-demo-"),
            ("bucket-s3alias", "ends with -s3alias"),
            ("bucket--ol-s3", "ends with --ol-s3"),
            ("bucket.mrap", "ends with .mrap"),
            ("bucket--x-s3", "ends with --x-s3"),
            ("bucket--table-s3", "ends with --table-s3"),
        ] {
            let told = S3Bucket::parse(name).unwrap().broken_rule().unwrap();
            assert!(told.contains(why), "{name}: {told}");
        }
        for name in [
            "my-exports",
            "a.b-c.1",
            "1.2.3",
            "999.1.1.1",
            &"a".repeat(63),
        ] {
            assert_eq!(S3Bucket::parse(name).unwrap().broken_rule(), None, "{name}");
        }
    }

    #[test]
    fn an_empty_prefix_is_none() {
        assert_eq!(S3Prefix::parse("").unwrap(), None);
        assert!(S3Prefix::parse(&"p".repeat(1024)).unwrap().is_some());
        assert!(S3Prefix::parse(&"p".repeat(1025)).is_err());
        assert!(S3Prefix::parse("a\0b").is_err());
    }
}
