//! The durations that the guarantees depend on, and the inequalities between them, which the
//! compiler checks.
//!
//! "Never started twice" requires that a worker whose lease has ended cannot have a start on its
//! way to AWS, and that AWS still recognizes every token that is sent. Workers, SQL and the
//! simulation (`tests/simulation`) all use these constants. A change that breaks an inequality does
//! not compile.

use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

// Starts and polls.

/// Time-out of one call to AWS, the response included. AWS carries a call out within this time or
/// not at all.
pub const AWS_CALL_TIMEOUT: Duration = seconds(10);

/// Lease of a claimed start.
pub const START_LEASE: Duration = seconds(15);

/// Lease of a claimed poll. Two workers that poll the same export do no harm. It is as long as the
/// usual interval between polls, so that a poll without news costs one write.
pub const POLL_LEASE: Duration = seconds(30);

/// How long after sending its claim to the database a worker may still send the start to AWS, by
/// the worker's monotonic clock.
pub const START_MARGIN: Duration = seconds(4);

/// How long a start without an answer is left alone before it is repeated or searched for.
pub const START_SETTLES: Duration = seconds(15);

/// Delay of an export whose start was throttled or exceeded the quota. Its lane decides when it is
/// tried again.
pub const LANE_PAUSES: Duration = Duration::from_millis(500);

/// Maximum error of a worker's clock, in both directions.
pub const MAXIMUM_CLOCK_SKEW: Duration = seconds(60);

/// How long AWS answers a repeated client token with the export that it started
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ExportTableToPointInTime.html>,
/// `ClientToken`).
pub const AWS_TOKEN_LIFE: Duration = seconds(8 * 3600);

/// Maximum age of a token that is sent.
pub const TOKEN_LIFE: Duration = seconds(7 * 3600 + 1800);

/// How long AWS remembers an export
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ListExports.html>).
pub const AWS_MEMORY: Duration = seconds(90 * 24 * 3600);

// Searches for the export of a token.

/// A search also reads exports that AWS started up to this long before the token was made, because
/// clocks differ.
pub const SEARCH_SKEW: Duration = seconds(600);

/// The pause after a throttled call of a search, before jitter.
pub const SEARCH_PAUSE: Duration = seconds(2);

/// Jitter of that pause, as a share of it.
pub const SEARCH_PAUSE_SPREAD: f64 = 0.5;

/// Maximum pages of a list that a search reads: 100,000 exports.
pub const SEARCH_PAGES: usize = 4_000;

/// Maximum restarts of a list whose page token AWS refuses.
pub const SEARCH_RESTARTS: u32 = 2;

/// How long an export that timed out in doubt is still searched for.
pub const DOUBT_SEARCHED_FOR: Duration = seconds(24 * 3600);

/// Throttled calls in a row that end a search; it is repeated later.
pub const SEARCH_THROTTLES: u32 = 30;

// Webhooks.

/// Time-out of one delivery attempt, reading the response included.
pub const DELIVERY_ATTEMPT_TIMEOUT: Duration = seconds(15);

/// Lease of a claimed delivery.
pub const DELIVERY_LEASE: Duration = seconds(18);

/// Lease of a webhook job.
pub const WEBHOOK_JOB_LEASE: Duration = seconds(15);

// Verifications.

/// Lease of a claimed verification, unless it is renewed.
pub const VERIFICATION_LEASE: Duration = seconds(45);

/// Interval of renewals: checking one file can take many minutes.
pub const VERIFICATION_RENEWAL: Duration = seconds(15);

/// Whether `a` plus `b` is at most `limit`.
const fn fits(a: Duration, b: Duration, limit: Duration) -> bool {
    a.saturating_add(b).as_nanos() <= limit.as_nanos()
}

const NONE: Duration = Duration::ZERO;

// AWS carries a start out, if at all, before another worker may claim the export.
const _: () = assert!(fits(START_MARGIN, AWS_CALL_TIMEOUT, START_LEASE));
// AWS carries a start in doubt out, if at all, before it is repeated or searched for.
const _: () = assert!(fits(AWS_CALL_TIMEOUT, NONE, START_SETTLES));
// AWS recognizes the oldest token that can be sent, with the greatest clock errors.
const _: () = assert!(fits(TOKEN_LIFE, OLDEST_TOKEN_SLACK, AWS_TOKEN_LIFE));
// A search renews its lease before each call; the call and the pause after it fit into the lease.
const _: () = assert!(fits(AWS_CALL_TIMEOUT, LONGEST_SEARCH_PAUSE, START_LEASE));
// A search does not skip an export that AWS, by its own clock, started before the token was made.
const _: () = assert!(fits(MAXIMUM_CLOCK_SKEW, MAXIMUM_CLOCK_SKEW, SEARCH_SKEW));
// A poll has ended before another worker may repeat it.
const _: () = assert!(fits(AWS_CALL_TIMEOUT, NONE, POLL_LEASE));
// Two workers never send the same delivery at the same time.
const _: () = assert!(fits(DELIVERY_ATTEMPT_TIMEOUT, NONE, DELIVERY_LEASE));
// Two renewals in a row may fail before the lease ends.
const _: () = assert!(fits(
    VERIFICATION_RENEWAL,
    VERIFICATION_RENEWAL,
    VERIFICATION_LEASE
));

/// How much older than [`TOKEN_LIFE`] a token can be when AWS receives it.
const OLDEST_TOKEN_SLACK: Duration = START_MARGIN
    .saturating_add(AWS_CALL_TIMEOUT)
    .saturating_add(MAXIMUM_CLOCK_SKEW)
    .saturating_add(MAXIMUM_CLOCK_SKEW);

/// The longest pause of a search: [`SEARCH_PAUSE`] with maximum jitter.
const LONGEST_SEARCH_PAUSE: Duration = SEARCH_PAUSE.saturating_add(SEARCH_PAUSE);
