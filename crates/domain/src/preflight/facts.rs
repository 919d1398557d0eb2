//! The facts that a preflight checks.

use dynamodb_expressions::KeySchema;
use serde_json::Value;

use crate::aws::failure::{AwsFailure, FailureClass};
use crate::timestamp::Timestamp;

pub type AwsResult<T> = Result<T, AwsFailure>;

/// Everything that was queried for a request.
#[derive(Debug, Clone)]
pub struct Facts {
    /// DescribeTable.
    pub table: AwsResult<TableFacts>,
    /// DescribeContinuousBackups.
    pub recovery: AwsResult<Recovery>,
    /// HeadBucket, in the bucket's region if it is known.
    pub bucket: AwsResult<BucketProbe>,
    /// HeadBucket with the owner that AWS will expect.
    pub owned: AwsResult<BucketProbe>,
    /// GetBucketPolicy; `Ok(None)` if the bucket has no policy.
    pub policy: AwsResult<Option<Value>>,
    /// DescribeKey; `None` if the request names no key or the region is unknown.
    pub key: Option<AwsResult<KeyFacts>>,
    /// Exports in flight and waiting in the account and region.
    pub load: LaneLoad,
    /// Maximum exports in flight there.
    pub max_in_flight: u32,
}

impl Facts {
    /// The bucket's region, if S3 named it.
    #[must_use]
    pub fn bucket_region(&self) -> Option<&str> {
        self.bucket
            .as_ref()
            .ok()
            .and_then(BucketProbe::region)
            .or_else(|| self.owned.as_ref().ok().and_then(BucketProbe::region))
    }
}

/// From DescribeTable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFacts {
    /// `ACTIVE`, `CREATING`, `DELETING`, …
    pub status: String,
    pub created_at: Option<Timestamp>,
    /// In bytes; AWS updates it about every six hours.
    pub size_bytes: Option<i64>,
    /// The primary key, if the description is complete.
    pub key: Option<KeySchema>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    Off,
    On {
        /// The earliest time that can be recovered.
        earliest: Option<Timestamp>,
        /// The latest time, typically five minutes ago.
        latest: Option<Timestamp>,
    },
}

/// S3's answer to HeadBucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketProbe {
    /// It exists.
    Seen {
        /// Its region, if S3 named it.
        region: Option<String>,
    },
    /// Access denied (403): the bucket belongs to another account, or `s3:ListBucket` is missing.
    Closed {
        /// Its region, which S3 also names in denials.
        region: Option<String>,
    },
    /// It is in another region (301).
    Elsewhere {
        /// Its region, if S3 named it.
        region: Option<String>,
    },
    /// It does not exist (404).
    Missing,
}

impl BucketProbe {
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::Seen { region } | Self::Closed { region } | Self::Elsewhere { region } => {
                region.as_deref()
            }
            Self::Missing => None,
        }
    }
}

/// From DescribeKey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// `Enabled`, `Disabled`, `PendingDeletion`, …
    pub state: String,
    /// `ENCRYPT_DECRYPT` for keys that S3 can use.
    pub usage: String,
    /// `SYMMETRIC_DEFAULT` for keys that S3 can use.
    pub spec: String,
}

/// The load of an account and region, counted by this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneLoad {
    /// Exports that AWS has accepted, or may have accepted, and that have not ended.
    pub in_flight: u32,
    /// Exports not yet sent to AWS.
    pub waiting: u32,
}

/// The region of a KMS key ARN.
#[must_use]
pub fn key_region(key_id: &str) -> Option<&str> {
    let mut parts = key_id.splitn(6, ':');
    (parts.next() == Some("arn"))
        .then(|| parts.nth(2))
        .flatten()
}

/// Whether AWS says that the resource does not exist.
pub(super) fn is_missing(failure: &AwsFailure) -> bool {
    failure.class == FailureClass::Refused
        && matches!(
            failure.code.as_str(),
            "ResourceNotFoundException" | "TableNotFoundException" | "NotFoundException"
        )
}
