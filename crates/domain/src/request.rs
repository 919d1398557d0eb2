//! A request for an export: every rule that can be checked without AWS holds for a value of this
//! type.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::arn::TableArn;
use super::duration::CreateTimeout;
use super::filter::FilterSpecification;
use super::invalid::Invalid;
use super::labels::Labels;
use super::retry::RetryPolicy;
use super::s3::S3Destination;
use super::timestamp::Timestamp;
use super::webhook::Callback;

/// What to export, where to, and what the caller wants to hear of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportRequest {
    /// The table.
    pub table_arn: TableArn,
    /// Where to.
    pub destination: S3Destination,
    /// The format of the data files.
    pub format: ExportFormat,
    /// All items at a time, or the changes between two.
    pub kind: ExportKind,
    /// Which items.
    pub filter: Option<FilterSpecification>,
    /// How long it may take.
    pub create_timeout: CreateTimeout,
    /// Whom to tell of its end.
    pub callback: Option<Callback>,
    /// The caller's own names for it.
    pub labels: Labels,
    /// Whether it is verified once it is COMPLETED.
    pub verify: bool,
    /// How often it is attempted by itself.
    pub retry: RetryPolicy,
}

/// The format of the data files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportFormat {
    /// DynamoDB JSON, one item a line.
    #[default]
    DynamodbJson,
    /// Amazon Ion text.
    Ion,
}

/// What an incremental export writes of a changed item. `NEW_IMAGES`, as AWS's and Terraform's
/// pages spell it, is accepted for `NEW_IMAGE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
        /// The time of the snapshot; `None` is when AWS starts it.
        export_time: Option<Timestamp>,
    },
    /// INCREMENTAL_EXPORT: changes from `from` (inclusive) to `to` (exclusive).
    Incremental {
        /// Start of the window.
        from: Timestamp,
        /// End of the window; `None` is when AWS starts it.
        to: Option<Timestamp>,
        /// What is written of each change.
        view: ExportViewType,
    },
}

/// Point-in-time recovery reaches back 35 days at most.
const RECOVERY_PERIOD: Duration = Duration::from_secs(35 * 24 * 3600);
/// The shortest window of an incremental export.
const SHORTEST_WINDOW: Duration = Duration::from_secs(15 * 60);
/// The longest window of an incremental export.
const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Checks a time against now: not in the future, not before point-in-time recovery can reach.
/// Fractions of a second are dropped, since AWS compares whole seconds.
///
/// # Errors
/// It lies outside.
pub fn check_time(time: Timestamp, now: Timestamp) -> Result<Timestamp, Invalid> {
    if time > now {
        return Err(Invalid::new(format!(
            "must not be in the future; it is now {}",
            now.whole_seconds()
        )));
    }
    if time < now.minus(RECOVERY_PERIOD) {
        return Err(Invalid::new(
            "must lie within the last 35 days: point-in-time recovery reaches no further back",
        ));
    }
    Ok(time.whole_seconds())
}

/// Checks the length of an incremental window; an open end is now.
///
/// # Errors
/// The window is shorter than 15 minutes or longer than 24 hours.
pub fn check_window(from: Timestamp, to: Option<Timestamp>, now: Timestamp) -> Result<(), Invalid> {
    let end = to.unwrap_or(now);
    if end <= from {
        return Err(Invalid::new("must be later than export_from_time"));
    }
    let length = end.since(from);
    let of = if to.is_some() {
        "the window"
    } else {
        "the window, which ends now when export_to_time is left out,"
    };
    if length < SHORTEST_WINDOW {
        return Err(Invalid::new(format!(
            "{of} must be at least 15 minutes long; it is {} s",
            length.as_secs()
        )));
    }
    if length > LONGEST_WINDOW {
        return Err(Invalid::new(format!(
            "{of} must be at most 24 hours long; it is {} s",
            length.as_secs()
        )));
    }
    Ok(())
}

impl ExportFormat {
    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DynamodbJson => "DYNAMODB_JSON",
            Self::Ion => "ION",
        }
    }

    /// From AWS's word.
    ///
    /// # Errors
    /// It is another word.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "DYNAMODB_JSON" => Ok(Self::DynamodbJson),
            "ION" => Ok(Self::Ion),
            _ => Err(Invalid::new("must be DYNAMODB_JSON or ION")),
        }
    }
}

impl ExportViewType {
    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewAndOldImages => "NEW_AND_OLD_IMAGES",
            Self::NewImage => "NEW_IMAGE",
        }
    }

    /// From AWS's word, or `NEW_IMAGES` as AWS's and Terraform's pages spell it.
    ///
    /// # Errors
    /// It is another word.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "NEW_AND_OLD_IMAGES" => Ok(Self::NewAndOldImages),
            "NEW_IMAGE" | "NEW_IMAGES" => Ok(Self::NewImage),
            _ => Err(Invalid::new("must be NEW_AND_OLD_IMAGES or NEW_IMAGE")),
        }
    }
}

impl ExportType {
    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FullExport => "FULL_EXPORT",
            Self::IncrementalExport => "INCREMENTAL_EXPORT",
        }
    }

    /// From AWS's word.
    ///
    /// # Errors
    /// It is another word.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "FULL_EXPORT" => Ok(Self::FullExport),
            "INCREMENTAL_EXPORT" => Ok(Self::IncrementalExport),
            _ => Err(Invalid::new("must be FULL_EXPORT or INCREMENTAL_EXPORT")),
        }
    }
}

impl ExportKind {
    /// Its type.
    #[must_use]
    pub fn export_type(&self) -> ExportType {
        match self {
            Self::Full { .. } => ExportType::FullExport,
            Self::Incremental { .. } => ExportType::IncrementalExport,
        }
    }

    /// AWS's word for it.
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
