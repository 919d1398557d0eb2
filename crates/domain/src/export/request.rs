//! A request for an export. Its values satisfy every rule that can be checked without AWS.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aws::arn::TableArn;
use crate::aws::s3::S3Destination;
use crate::duration::CreateTimeout;
use crate::export::attempt::RetryPolicy;
use crate::export::filter::FilterSpecification;
use crate::export::labels::Labels;
use crate::invalid::Invalid;
use crate::timestamp::Timestamp;
use crate::webhook::Callback;

/// What to export, where to write it, and whom to notify.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportRequest {
    pub table_arn: TableArn,
    pub destination: S3Destination,
    /// The format of the data files.
    pub format: ExportFormat,
    /// All items at a time, or the changes between two.
    pub kind: ExportKind,
    pub filter: Option<FilterSpecification>,
    pub create_timeout: CreateTimeout,
    /// Receives a webhook when the export ends.
    pub callback: Option<Callback>,
    /// The caller's labels.
    pub labels: Labels,
    /// Whether it is verified when it is COMPLETED.
    pub verify: bool,
    /// Automatic retries.
    pub retry: RetryPolicy,
}

impl ExportRequest {
    /// A full export of the table as it is when AWS starts it; all else as if it was not asked for.
    /// Change fields by `..ExportRequest::new(…)`.
    #[must_use]
    pub fn new(table_arn: TableArn, destination: S3Destination) -> Self {
        Self {
            table_arn,
            destination,
            format: ExportFormat::default(),
            kind: ExportKind::Full { export_time: None },
            filter: None,
            create_timeout: CreateTimeout::default(),
            callback: None,
            labels: Labels::default(),
            verify: false,
            retry: RetryPolicy::default(),
        }
    }
}

/// The format of the data files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportFormat {
    /// DynamoDB JSON, one item a line.
    #[default]
    DynamodbJson,
    /// Amazon Ion text.
    Ion,
}

/// Which images of a changed item an incremental export writes. `NEW_IMAGES`, as AWS's and
/// Terraform's pages spell it, is accepted for `NEW_IMAGE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportViewType {
    /// The item after the window and before it.
    #[default]
    NewAndOldImages,
    /// The item after the window.
    #[serde(alias = "NEW_IMAGES")]
    NewImage,
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportType {
    /// All items at a time.
    FullExport,
    /// The changes between two times.
    IncrementalExport,
}

/// All items at a time, or the changes between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportKind {
    /// FULL_EXPORT.
    Full {
        /// Snapshot time; `None` is the time when AWS starts the export.
        export_time: Option<Timestamp>,
    },
    /// INCREMENTAL_EXPORT: changes from `from` (inclusive) to `to` (exclusive).
    Incremental {
        from: Timestamp,
        /// `None` is the time when AWS starts the export.
        to: Option<Timestamp>,
        view: ExportViewType,
    },
}

/// Point-in-time recovery covers 35 days.
const RECOVERY_PERIOD: Duration = Duration::from_secs(35 * 24 * 3600);
/// The shortest window of an incremental export.
const SHORTEST_WINDOW: Duration = Duration::from_secs(15 * 60);
/// The longest window of an incremental export.
const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Checks that a time is not in the future and not older than point-in-time recovery covers. Drops
/// fractions of a second, since AWS compares whole seconds.
pub fn check_time(time: Timestamp, now: Timestamp) -> Result<Timestamp, Invalid> {
    if time > now {
        return Err(Invalid::new(format!(
            "must not be in the future; it is now {}",
            now.whole_seconds()
        )));
    }
    if time < now.minus(RECOVERY_PERIOD) {
        return Err(Invalid::new(
            "must be within the last 35 days, which is what point-in-time recovery covers",
        ));
    }
    Ok(time.whole_seconds())
}

/// Checks that an incremental window is 15 minutes to 24 hours long. A window without an end ends
/// now.
pub fn check_window(from: Timestamp, to: Option<Timestamp>, now: Timestamp) -> Result<(), Invalid> {
    let end = to.unwrap_or(now);
    if end <= from {
        return Err(Invalid::new("must be later than export_from_time"));
    }
    let length = end.since(from);
    let subject = if to.is_some() {
        "the window"
    } else {
        "the window, which ends now because export_to_time is missing,"
    };
    if length < SHORTEST_WINDOW {
        return Err(Invalid::new(format!(
            "{subject} must be at least 15 minutes long; it is {} s",
            length.as_secs()
        )));
    }
    if length > LONGEST_WINDOW {
        return Err(Invalid::new(format!(
            "{subject} must be at most 24 hours long; it is {} s",
            length.as_secs()
        )));
    }
    Ok(())
}

impl ExportFormat {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DynamodbJson => "DYNAMODB_JSON",
            Self::Ion => "ION",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "DYNAMODB_JSON" => Ok(Self::DynamodbJson),
            "ION" => Ok(Self::Ion),
            _ => Err(Invalid::new("must be DYNAMODB_JSON or ION")),
        }
    }
}

impl ExportViewType {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewAndOldImages => "NEW_AND_OLD_IMAGES",
            Self::NewImage => "NEW_IMAGE",
        }
    }

    /// Also accepts `NEW_IMAGES`, as AWS's and Terraform's pages spell it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "NEW_AND_OLD_IMAGES" => Ok(Self::NewAndOldImages),
            "NEW_IMAGE" | "NEW_IMAGES" => Ok(Self::NewImage),
            _ => Err(Invalid::new("must be NEW_AND_OLD_IMAGES or NEW_IMAGE")),
        }
    }
}

impl ExportType {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FullExport => "FULL_EXPORT",
            Self::IncrementalExport => "INCREMENTAL_EXPORT",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "FULL_EXPORT" => Ok(Self::FullExport),
            "INCREMENTAL_EXPORT" => Ok(Self::IncrementalExport),
            _ => Err(Invalid::new("must be FULL_EXPORT or INCREMENTAL_EXPORT")),
        }
    }
}

impl ExportKind {
    #[must_use]
    pub fn export_type(&self) -> ExportType {
        match self {
            Self::Full { .. } => ExportType::FullExport,
            Self::Incremental { .. } => ExportType::IncrementalExport,
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.export_type().as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn times_lie_within_35_days_and_not_in_the_future() {
        let now = t("2026-03-10T12:00:00Z");
        assert_eq!(
            check_time(t("2026-03-10T13:00:00.9+01:00"), t("2026-03-10T12:00:01Z"))
                .unwrap()
                .to_string(),
            "2026-03-10T12:00:00Z"
        );
        assert!(check_time(t("2026-03-10T12:00:01Z"), now).is_err());
        assert!(check_time(t("2026-02-03T12:00:00Z"), now).is_ok());
        assert!(check_time(t("2026-02-03T11:59:59Z"), now).is_err());
    }

    #[test]
    fn windows_last_15_minutes_to_24_hours() {
        let now = t("2026-03-10T12:00:00Z");
        let ok = |from: &str, to: Option<&str>| check_window(t(from), to.map(t), now).is_ok();
        assert!(ok("2026-03-10T11:00:00Z", Some("2026-03-10T11:15:00Z")));
        assert!(!ok("2026-03-10T11:00:00Z", Some("2026-03-10T11:14:59Z")));
        assert!(ok("2026-03-09T11:00:00Z", Some("2026-03-10T11:00:00Z")));
        assert!(!ok("2026-03-09T11:00:00Z", Some("2026-03-10T11:00:01Z")));
        assert!(!ok("2026-03-10T11:00:00Z", Some("2026-03-10T10:00:00Z")));
        assert!(ok("2026-03-10T11:45:00Z", None));
        assert!(!ok("2026-03-10T11:50:00Z", None));
        assert!(!ok("2026-03-09T11:00:00Z", None));
    }
}
