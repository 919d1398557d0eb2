//! Every call that is made to AWS: its name in metrics and traces, and the permissions that it
//! takes. No call is made without a line here; `tests/it/policies.rs` holds the policies in
//! `ops/aws` against this list.
//!
//! Source: AWS's Service Authorization Reference; for what an export takes besides, DynamoDB's
//! developer guide, "Requesting a table export" (AWS writes in the caller's name), and S3's guide
//! on SSE-KMS. HeadBucket and HeadObject have no permission of their own name.

use tableferry_domain::iam::{KEY_ACTIONS, WRITE_ACTIONS};

/// A call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Starts an export.
    ExportTableToPointInTime,
    /// Looks at one export.
    DescribeExport,
    /// Lists exports of a table or an account.
    ListExports,
    /// Looks at a table.
    DescribeTable,
    /// Asks for the reach of point-in-time recovery.
    DescribeContinuousBackups,
    /// Asks where a bucket lies, and whose it is.
    HeadBucket,
    /// Reads a bucket's policy.
    GetBucketPolicy,
    /// Asks for an object's size and date.
    HeadObject,
    /// Reads an object, also by a presigned URL.
    GetObject,
    /// Looks at a KMS key.
    DescribeKey,
}

/// What the SDK asks of STS for an account with a role of its own. It is not measured as a call.
pub const ASSUME_ROLE: &str = "sts:AssumeRole";

impl Operation {
    /// Every call.
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

    /// `<service>/<operation>`, as metrics and traces name it.
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

    /// The permission of the call itself.
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

    /// What AWS does with the bucket in the caller's name because of the call.
    #[must_use]
    pub const fn bucket_permissions(self) -> &'static [&'static str] {
        match self {
            Self::ExportTableToPointInTime => &WRITE_ACTIONS,
            // Without it S3 says of a missing object that access is denied.
            Self::HeadObject | Self::GetObject => &["s3:ListBucket"],
            _ => &[],
        }
    }

    /// What S3 does with a KMS key of the operator's own in the caller's name, if objects are
    /// encrypted by one.
    #[must_use]
    pub const fn key_permissions(self) -> &'static [&'static str] {
        match self {
            Self::ExportTableToPointInTime => &KEY_ACTIONS,
            Self::GetObject => &["kms:Decrypt"],
            _ => &[],
        }
    }
}
