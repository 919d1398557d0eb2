//! Where an export is written: bucket, owner, prefix, encryption. Limits are those of botocore's DynamoDB model.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::arn::is_account_id;
use super::invalid::Invalid;

/// Where an export is written, and how it is encrypted there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Destination {
    /// The bucket.
    pub bucket: S3Bucket,
    /// The account that owns the bucket; AWS needs it when that is not the caller's.
    pub bucket_owner: Option<BucketOwner>,
    /// What every key begins with.
    pub prefix: Option<S3Prefix>,
    /// Encryption of the objects; `None` leaves the choice to AWS (AES256).
    pub encryption: Option<Encryption>,
}

/// A bucket's name as DynamoDB accepts it: 3 to 255 characters, letters and digits at both ends, `.`, `-` and `_` between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Bucket(String);

impl S3Bucket {
    /// A name that the database holds: not judged again.
    #[must_use]
    pub fn known(text: String) -> Self {
        Self(text)
    }

    /// Reads a bucket's name.
    ///
    /// # Errors
    /// It is an ARN or a URL, or has a length or characters that no bucket has.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.starts_with("arn:") || text.contains("://") {
            return Err(Invalid::new("must be the bucket's name alone, not its ARN or URL"));
        }
        let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let known = bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if known && (3..=255).contains(&bytes.len()) && ends(bytes.first()) && ends(bytes.last()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(
                "must be a bucket's name: 3 to 255 characters of a-z, A-Z, 0-9, ., - and _, beginning and ending with a letter or digit",
            ))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The 12 digits of the account that owns the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketOwner(String);

impl BucketOwner {
    /// An account id that the database holds: not judged again.
    #[must_use]
    pub fn known(text: String) -> Self {
        Self(text)
    }

    /// Reads an account id.
    ///
    /// # Errors
    /// It is not 12 digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if is_account_id(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be the 12 digits of the account that owns the bucket"))
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What every key of an export begins with; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Prefix(String);

impl S3Prefix {
    /// A prefix that the database holds: not judged again.
    #[must_use]
    pub fn known(text: String) -> Self {
        Self(text)
    }

    /// Reads a prefix. Empty means none: AWS refuses an empty one.
    ///
    /// # Errors
    /// It is longer than 1024 characters or has control characters.
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

    /// The text, verbatim.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Server-side encryption of what is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// Keys that S3 manages.
    Aes256,
    /// A key of KMS: the one named, or the bucket's own choice.
    Kms {
        /// Id, ARN or alias of the key.
        key_id: Option<KmsKeyId>,
    },
}

/// How objects are encrypted, in AWS's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum S3SseAlgorithm {
    /// With keys that S3 manages.
    Aes256,
    /// With a key of KMS.
    Kms,
}

impl S3SseAlgorithm {
    /// From AWS's word.
    ///
    /// # Errors
    /// It is another word.
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
    /// An id that the database holds: not judged again.
    #[must_use]
    pub fn known(text: String) -> Self {
        Self(text)
    }

    /// Reads a key's id.
    ///
    /// # Errors
    /// It is empty, longer than 2048 characters or has white space or control characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let plain = text.chars().all(|c| !c.is_control() && !c.is_whitespace());
        if plain && (1..=2048).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be the id, ARN or alias of a KMS key: 1 to 2048 characters without white space"))
        }
    }

    /// The text.
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
        for bad in ["", "ab", "-abc", "abc-", "a bc", "arn:aws:s3:::abc", "s3://abc", "a\0bc", "üabc", &"a".repeat(256)] {
            assert!(S3Bucket::parse(bad).is_err(), "{bad}");
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
