//! What AWS and the database said, before it is judged.

use dynamodb_expressions::KeySchema;
use serde_json::Value;

use crate::aws_failure::{AwsFailure, FailureClass};
use crate::timestamp::Timestamp;

/// What a question came to.
pub type Asked<T> = Result<T, AwsFailure>;

/// Everything that was found out about a request.
#[derive(Debug, Clone)]
pub struct Facts {
    /// DescribeTable.
    pub table: Asked<TableFacts>,
    /// DescribeContinuousBackups.
    pub recovery: Asked<Recovery>,
    /// HeadBucket, in the bucket's region if that is known.
    pub bucket: Asked<BucketLook>,
    /// HeadBucket with the owner that AWS will expect.
    pub owned: Asked<BucketLook>,
    /// GetBucketPolicy; `None` inside when the bucket has none.
    pub policy: Asked<Option<Value>>,
    /// DescribeKey; `None` when the request names no key, or where to ask is not known.
    pub key: Option<Asked<KeyFacts>>,
    /// What runs and waits in the account and region.
    pub load: LaneLoad,
    /// How many exports may run there.
    pub most_in_flight: u32,
}

impl Facts {
    /// The bucket's region, as far as S3 told it.
    #[must_use]
    pub fn bucket_region(&self) -> Option<&str> {
        self.bucket
            .as_ref()
            .ok()
            .and_then(BucketLook::region)
            .or_else(|| self.owned.as_ref().ok().and_then(BucketLook::region))
    }
}

/// What DescribeTable says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFacts {
    /// `ACTIVE`, `CREATING`, `DELETING`, …
    pub status: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Its size in bytes, as AWS counted it within the last six hours or so.
    pub size_bytes: Option<i64>,
    /// Its primary key, if AWS told all of it.
    pub key: Option<KeySchema>,
}

/// Point-in-time recovery of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It is off.
    Off,
    /// It is on.
    On {
        /// The earliest time that can be recovered.
        earliest: Option<Timestamp>,
        /// The latest: typically five minutes ago.
        latest: Option<Timestamp>,
    },
}

/// What S3 says of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketLook {
    /// It is there.
    Seen {
        /// Its region, if S3 told.
        region: Option<String>,
    },
    /// It may not be looked at (403): another's, or `s3:ListBucket` is missing.
    Closed {
        /// Its region, which S3 tells also then.
        region: Option<String>,
    },
    /// It is in another region than it was asked for (301).
    Elsewhere {
        /// Its region, if S3 told.
        region: Option<String>,
    },
    /// There is none of this name (404).
    Missing,
}

impl BucketLook {
    /// The bucket's region, if S3 told.
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

/// What DescribeKey says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// `Enabled`, `Disabled`, `PendingDeletion`, …
    pub state: String,
    /// `ENCRYPT_DECRYPT` for keys that S3 can use.
    pub usage: String,
    /// `SYMMETRIC_DEFAULT` for keys that S3 can use.
    pub spec: String,
}

/// How much an account and region have to do, by our own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneLoad {
    /// Exports that AWS has accepted and not ended, or may have accepted.
    pub in_flight: u32,
    /// Exports that have not been sent to AWS yet.
    pub waiting: u32,
}

/// The region of a KMS key that is named by an ARN.
#[must_use]
pub fn key_region(key_id: &str) -> Option<&str> {
    let mut parts = key_id.splitn(6, ':');
    (parts.next() == Some("arn"))
        .then(|| parts.nth(2))
        .flatten()
}

/// Whether AWS says that there is no such thing.
pub(super) fn is_missing(failure: &AwsFailure) -> bool {
    failure.class == FailureClass::Refused
        && matches!(
            failure.code.as_str(),
            "ResourceNotFoundException" | "TableNotFoundException" | "NotFoundException"
        )
}
