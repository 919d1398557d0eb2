//! Estimates of an export's duration, size and price, made once when the export is accepted.
//!
//! AWS reports no progress and guarantees no duration. Observed: tables with a few items take about
//! 12 minutes. AWS bills the table's size for a full export, and the changed data, at least 10 MB,
//! for an incremental export.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::export::request::ExportKind;
use crate::invalid::Invalid;
use crate::timestamp::Timestamp;

/// Minimum bill of an incremental export, observed: 0 items gave `BilledSizeBytes` 10000000.
const INCREMENTAL_FLOOR_BYTES: i64 = 10_000_000;

/// Duration for tables with few items, observed: 706 to 726 s.
const KNOWN_DURATION: Duration = Duration::from_secs(12 * 60);

/// What the estimate of the duration is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EstimateBasis {
    /// The latest exports of the same table and type.
    PastExportsOfThisTable,
    /// Recent exports of the same type that were billed between half and twice the expected size.
    SimilarSize,
    /// What AWS is known to take for tables with few items.
    KnownRange,
}

impl EstimateBasis {
    const ALL: [Self; 3] = [
        Self::PastExportsOfThisTable,
        Self::SimilarSize,
        Self::KnownRange,
    ];

    /// The value in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PastExportsOfThisTable => "past_exports_of_this_table",
            Self::SimilarSize => "similar_size",
            Self::KnownRange => "known_range",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|basis| basis.as_str() == text)
    }
}

/// What is expected of an export.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    pub basis: EstimateBasis,
    /// From AWS's start to the export's end.
    pub duration: Duration,
    /// What AWS will bill, in bytes; `None` if the table's size is unknown.
    pub size_bytes: Option<i64>,
    /// The ages between which the end is likely; `None` if no export of the same table has ended
    /// before.
    pub likely_end: Option<LikelyEnd>,
    /// US dollars per GB (10^9 bytes) in the table's region, from the settings.
    pub price_usd_per_gb: f64,
}

/// The ages, counted from AWS's start, between which an export's end is likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LikelyEnd {
    /// Rarely earlier.
    pub from: Duration,
    /// Rarely later.
    pub to: Duration,
}

impl LikelyEnd {
    /// From durations of the same table: the shortest to the longest, with a margin that shrinks as
    /// more durations are known.
    fn after(durations: &[Duration]) -> Option<Self> {
        let (shortest, longest) = (durations.iter().min()?, durations.iter().max()?);
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let unknown = 0.01 + 0.1 / durations.len() as f64;
        let margin = median(durations.iter().copied())?.mul_f64(unknown);
        Some(Self {
            from: shortest.saturating_sub(margin),
            to: *longest + margin,
        })
    }
}

/// A COMPLETED export of the same type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PastExport {
    /// Of the same table; otherwise of another table with about the expected size.
    pub of_this_table: bool,
    /// What AWS billed, in bytes.
    pub billed_bytes: Option<i64>,
    /// From AWS's start to its end.
    pub duration: Duration,
}

/// Estimates an export from past exports (the latest first), the table's size if AWS was just
/// asked, and the price.
#[must_use]
pub fn estimate(
    kind: &ExportKind,
    past: &[PastExport],
    table_size_bytes: Option<i64>,
    price_usd_per_gb: f64,
) -> Estimate {
    let own = || past.iter().filter(|export| export.of_this_table);
    let (basis, duration) = match (
        median(own().map(|e| e.duration)),
        median(past.iter().filter(|e| !e.of_this_table).map(|e| e.duration)),
    ) {
        (Some(duration), _) => (EstimateBasis::PastExportsOfThisTable, duration),
        (None, Some(duration)) => (EstimateBasis::SimilarSize, duration),
        (None, None) => (EstimateBasis::KnownRange, KNOWN_DURATION),
    };
    let size_bytes = match kind {
        ExportKind::Full { .. } => table_size_bytes.or_else(|| own().find_map(|e| e.billed_bytes)),
        ExportKind::Incremental { .. } => Some(
            median(own().filter_map(|e| e.billed_bytes))
                .unwrap_or_default()
                .max(INCREMENTAL_FLOOR_BYTES),
        ),
    };
    let likely_end = LikelyEnd::after(&own().map(|e| e.duration).collect::<Vec<_>>());
    Estimate {
        basis,
        duration,
        size_bytes,
        likely_end,
        price_usd_per_gb,
    }
}

/// The size that exports of other tables are compared with, if it is known before they are queried.
#[must_use]
pub fn comparable_size(kind: &ExportKind, table_size_bytes: Option<i64>) -> Option<i64> {
    match kind {
        ExportKind::Full { .. } => table_size_bytes,
        ExportKind::Incremental { .. } => Some(INCREMENTAL_FLOOR_BYTES),
    }
}

fn median<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut all: Vec<T> = values.collect();
    all.sort_unstable();
    all.get(all.len().checked_sub(1)? / 2).copied()
}

impl Estimate {
    /// The expected end of an export that AWS starts at this time.
    #[must_use]
    pub fn end(&self, began: Timestamp) -> Timestamp {
        began.plus(self.duration).whole_seconds()
    }

    /// The price of `bytes` in US dollars, rounded to a millionth.
    #[must_use]
    pub fn cost_usd(&self, bytes: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate in dollars")]
        let gigabytes = bytes as f64 / 1e9;
        (gigabytes * self.price_usd_per_gb * 1e6).round() / 1e6
    }
}

/// Prices per GB by region.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    default: f64,
    by_region: BTreeMap<String, f64>,
}

impl Prices {
    /// Reads a JSON object of prices in US dollars by region; `default` is for other regions.
    /// Prices are from 0 to 1000.
    pub fn parse(json: &str) -> Result<Self, Invalid> {
        let form = || {
            Invalid::new(
                "must be an object of regions and prices in US dollars per GB, from 0 to 1000, such as {\"default\": 0.1, \"eu-west-1\": 0.11}",
            )
        };
        let mut by_region: BTreeMap<String, f64> =
            serde_json::from_str(json).map_err(|_| form())?;
        if !by_region
            .values()
            .all(|price| (0.0..=1000.0).contains(price))
        {
            return Err(form());
        }
        let default = by_region
            .remove("default")
            .unwrap_or(Self::default().default);
        Ok(Self { default, by_region })
    }

    /// US dollars per GB in this region.
    #[must_use]
    pub fn per_gb(&self, region: &str) -> f64 {
        self.by_region.get(region).copied().unwrap_or(self.default)
    }
}

impl Default for Prices {
    /// $0.10 a GB: that of us-east-1, from a secondary source.
    fn default() -> Self {
        Self {
            default: 0.10,
            by_region: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(of_this_table: bool, billed_mb: i64, minutes: u64) -> PastExport {
        let duration = Duration::from_secs(minutes * 60);
        PastExport {
            of_this_table,
            billed_bytes: Some(billed_mb * 1_000_000),
            duration,
        }
    }

    #[test]
    fn what_the_table_took_before_goes_first() {
        let full = ExportKind::Full { export_time: None };
        let own = [
            past(true, 300, 20),
            past(true, 200, 15),
            past(true, 100, 90),
        ];
        let all = [&own[..], &[past(false, 300, 5)]].concat();
        let made = estimate(&full, &all, None, 0.1);
        assert_eq!(
            (made.basis, made.duration.as_secs() / 60),
            (EstimateBasis::PastExportsOfThisTable, 20)
        );
        assert_eq!(made.size_bytes, Some(300_000_000), "the latest");
        assert_eq!(estimate(&full, &all, Some(5), 0.1).size_bytes, Some(5));
        let others = estimate(&full, &[past(false, 300, 5)], Some(250_000_000), 0.1);
        assert_eq!(
            (others.basis, others.duration.as_secs() / 60),
            (EstimateBasis::SimilarSize, 5)
        );
        assert_eq!(
            others.likely_end, None,
            "another table says little about when"
        );
        let nothing = estimate(&full, &[], None, 0.1);
        assert_eq!(
            (nothing.basis, nothing.duration, nothing.size_bytes),
            (EstimateBasis::KnownRange, KNOWN_DURATION, None)
        );
    }

    #[test]
    fn the_end_is_likely_between_the_shortest_and_the_longest_and_a_little_more() {
        let likely = |minutes: &[u64]| {
            let past: Vec<_> = minutes.iter().map(|m| past(true, 1, *m)).collect();
            let likely = estimate(&ExportKind::Full { export_time: None }, &past, None, 0.1)
                .likely_end
                .unwrap();
            (likely.from.as_secs(), likely.to.as_secs())
        };
        assert_eq!(likely(&[10]), (600 - 66, 600 + 66));
        assert_eq!(likely(&[10, 9, 11, 10, 10]), (540 - 18, 660 + 18));
    }

    #[test]
    fn incremental_exports_cost_ten_megabytes_at_least() {
        let from = Timestamp::parse("2026-03-10T12:00:00Z").unwrap();
        let incremental = ExportKind::Incremental {
            from,
            to: None,
            view: crate::export::request::ExportViewType::default(),
        };
        let made = estimate(&incremental, &[], Some(5_000_000_000), 0.1);
        assert_eq!(made.size_bytes, Some(10_000_000));
        assert!((made.cost_usd(10_000_000) - 0.001).abs() < 1e-9);
        assert_eq!(
            estimate(&incremental, &[past(true, 50, 12)], None, 0.1).size_bytes,
            Some(50_000_000)
        );
    }

    #[test]
    fn prices_by_region() {
        let prices = Prices::parse(r#"{"eu-west-1": 0.114}"#).unwrap();
        assert!(
            (prices.per_gb("eu-west-1") - 0.114).abs() < 1e-9
                && (prices.per_gb("us-east-1") - 0.1).abs() < 1e-9
        );
        for bad in [
            "0.1",
            r#"{"eu-west-1": -1}"#,
            r#"{"eu-west-1": "0.1"}"#,
            "[]",
        ] {
            assert!(Prices::parse(bad).is_err(), "{bad}");
        }
    }
}
