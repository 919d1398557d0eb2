//! The filter of a list of exports, and the position of a page in it.

use uuid::Uuid;

use tableferry_domain::caller::allow::AllowList;
use tableferry_domain::timestamp::Timestamp;

/// The filter of a list; all conditions that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportFilter {
    pub status: Option<&'static str>,
    pub table_arn: Option<String>,
    pub s3_bucket: Option<String>,
    pub export_type: Option<&'static str>,
    /// The export must have all of these.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Inclusive.
    pub created_after: Option<Timestamp>,
    /// Exclusive.
    pub created_before: Option<Timestamp>,
    /// Only exports of these tables and to these buckets.
    pub allow: AllowList,
}

/// One page: at most `size` exports that are older than `before`, newest first.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// 1 to 200.
    pub size: i64,
    /// The last id of the previous page.
    pub before: Option<Uuid>,
}
