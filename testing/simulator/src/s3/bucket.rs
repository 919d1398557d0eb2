//! A bucket: its owner, its region, and who may write to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::checksums::Sum;
use super::journal::Journal;

/// A bucket's attributes, without its objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketInfo {
    pub owner: String,
    pub region: String,
    /// A bucket policy denies exports to put objects.
    pub deny_exports: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// An object's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectInfo {
    /// The file that holds the object's bytes, relative to the store's root.
    pub(crate) file: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) modified_at: OffsetDateTime,
    pub(crate) headers: Headers,
    pub(crate) sum: Option<Sum>,
    /// The sizes of the parts, if the object was uploaded in parts.
    #[serde(default)]
    pub(crate) part_sizes: Vec<u64>,
}

/// Metadata that the client sent with the object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Headers {
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_language: Option<String>,
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub(crate) expires: Option<OffsetDateTime>,
    pub(crate) storage_class: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Headers {
    /// The storage class to return; STANDARD if the client did not set one.
    pub(super) fn class(&self) -> &str {
        self.storage_class.as_deref().unwrap_or("STANDARD")
    }
}

/// Reads the metadata from a request to put, copy or upload an object.
macro_rules! headers {
    ($input:expr) => {
        $crate::s3::bucket::Headers {
            content_type: $input.content_type.clone(),
            content_encoding: $input.content_encoding.clone(),
            content_disposition: $input.content_disposition.clone(),
            cache_control: $input.cache_control.clone(),
            content_language: $input.content_language.clone(),
            expires: $input.expires.clone().map(time::OffsetDateTime::from),
            storage_class: $input
                .storage_class
                .as_ref()
                .map(|class| class.as_str().to_owned()),
            metadata: $input.metadata.clone().into_iter().flatten().collect(),
        }
    };
}

pub(super) use headers;

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) info: BucketInfo,
    pub(super) objects: BTreeMap<String, ObjectInfo>,
    pub(super) journal: Journal,
}

/// Whether an export may write to a bucket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It may; the bucket is in this region.
    Granted {
        region: String,
    },
    NoSuchBucket,
    /// The bucket does not belong to the exporter or the owner that the request names.
    WrongOwner,
    /// The bucket's policy denies it.
    DeniedByPolicy,
}

impl Bucket {
    /// Without a named owner, an export may only write to a bucket of its own account.
    pub(super) fn access(&self, exporter: &str, expected_owner: Option<&str>) -> Access {
        if expected_owner.unwrap_or(exporter) != self.info.owner {
            Access::WrongOwner
        } else if self.info.deny_exports {
            Access::DeniedByPolicy
        } else {
            Access::Granted {
                region: self.info.region.clone(),
            }
        }
    }
}
