//! The calls that the service makes to AWS: their names in metrics and traces, and the permissions
//! that they need. Every call is listed here; `tests/it/policies.rs` compares the policies in
//! `ops/aws` with this list.
//!
//! Sources: AWS's Service Authorization Reference; for the other permissions of an export,
//! DynamoDB's developer guide, "Requesting a table export" (AWS writes with the caller's
//! credentials), and S3's guide on SSE-KMS. HeadBucket and HeadObject have no permissions named
//! after them.

use tableferry_domain::aws::iam::{KEY_ACTIONS, WRITE_ACTIONS};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    ExportTableToPointInTime,
    DescribeExport,
    ListExports,
    DescribeTable,
    DescribeContinuousBackups,
    HeadBucket,
    GetBucketPolicy,
    HeadObject,
    /// Also by a presigned URL.
    GetObject,
    DescribeKey,
}

/// The SDK's call to STS for an account with a role. It is not measured.
pub const ASSUME_ROLE: &str = "sts:AssumeRole";

impl Operation {
    pub const ALL: [Self; 10] = [
        Self::ExportTableToPointInTime,
        Self::DescribeExport,
        Self::ListExports,
        Self::DescribeTable,
        Self::DescribeContinuousBackups,
        Self::HeadBucket,
        Self::GetBucketPolicy,
        Self::HeadObject,
        Self::GetObject,
        Self::DescribeKey,
    ];

    /// `<service>/<operation>`, as in metrics and traces.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::ExportTableToPointInTime => "DynamoDB/ExportTableToPointInTime",
            Self::DescribeExport => "DynamoDB/DescribeExport",
            Self::ListExports => "DynamoDB/ListExports",
            Self::DescribeTable => "DynamoDB/DescribeTable",
            Self::DescribeContinuousBackups => "DynamoDB/DescribeContinuousBackups",
            Self::HeadBucket => "S3/HeadBucket",
            Self::GetBucketPolicy => "S3/GetBucketPolicy",
            Self::HeadObject => "S3/HeadObject",
            Self::GetObject => "S3/GetObject",
            Self::DescribeKey => "KMS/DescribeKey",
        }
    }

    /// The permission for the call itself.
    #[must_use]
    pub const fn permission(self) -> &'static str {
        match self {
            Self::ExportTableToPointInTime => "dynamodb:ExportTableToPointInTime",
            Self::DescribeExport => "dynamodb:DescribeExport",
            Self::ListExports => "dynamodb:ListExports",
            Self::DescribeTable => "dynamodb:DescribeTable",
            Self::DescribeContinuousBackups => "dynamodb:DescribeContinuousBackups",
            Self::HeadBucket => "s3:ListBucket",
            Self::GetBucketPolicy => "s3:GetBucketPolicy",
            Self::HeadObject | Self::GetObject => "s3:GetObject",
            Self::DescribeKey => "kms:DescribeKey",
        }
    }

    /// The permissions on the bucket that AWS uses with the caller's credentials.
    #[must_use]
    pub const fn bucket_permissions(self) -> &'static [&'static str] {
        match self {
            Self::ExportTableToPointInTime => &WRITE_ACTIONS,
            // Without it, S3 answers "access denied" for a missing object.
            Self::HeadObject | Self::GetObject => &["s3:ListBucket"],
            _ => &[],
        }
    }

    /// The permissions on a customer managed KMS key that S3 uses with the caller's credentials.
    #[must_use]
    pub const fn key_permissions(self) -> &'static [&'static str] {
        match self {
            Self::ExportTableToPointInTime => &KEY_ACTIONS,
            Self::GetObject => &["kms:Decrypt"],
            _ => &[],
        }
    }
}
