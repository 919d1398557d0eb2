//! One page of a list: what to look for, and where the page before ended.

use uuid::Uuid;

use tableferry_domain::caller::allow::AllowList;
use tableferry_domain::timestamp::Timestamp;

/// The filters of a list; every one given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportFilter {
    /// `export_status`.
    pub status: Option<&'static str>,
    /// `table_arn`, exactly.
    pub table_arn: Option<String>,
    /// `s3_bucket`, exactly.
    pub s3_bucket: Option<String>,
    /// `export_type`.
    pub export_type: Option<&'static str>,
    /// Labels, each of which must be there with this value.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Created at or after.
    pub created_after: Option<Timestamp>,
    /// Created before.
    pub created_before: Option<Timestamp>,
    /// Of the tables and to the buckets of this list.
    pub allow: AllowList,
}

/// One page: at most `size` exports that are older than `before`, newest first.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// How many, 1 to 200.
    pub size: i64,
    /// The last id of the page before.
    pub before: Option<Uuid>,
}
