//! The times that the promises rest on, and the inequalities between them, which the compiler
//! checks.
//!
//! "Never started twice" needs that a worker whose lease has ended can no longer have a start on
//! its way to AWS, and that AWS still recognizes every token that is sent. Whoever changes a time
//! here changes it for the workers, for the SQL and for the simulation (`tests/simulation`); a
//! change that breaks an inequality does not compile.

use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

// Starts and polls.

/// How long one call to AWS may take, answer included. AWS carries a call out within this time or
/// never.
pub const AWS_CALL_TIMEOUT: Duration = seconds(10);

/// How long a claimed start belongs to its worker before another may claim it.
pub const START_LEASE: Duration = seconds(15);

/// The same for polls, which do no harm if two workers make them: as long as polls usually are
/// apart, so that one without news costs one write.
pub const POLL_LEASE: Duration = seconds(30);

/// How long after its claim was sent to the database a start may still be sent to AWS, by the
/// worker's monotonic clock.
pub const START_MARGIN: Duration = seconds(4);

/// How long a start whose answer was lost is left alone before it is repeated or searched for.
pub const START_SETTLES: Duration = seconds(15);

/// When an export is due again whose start met a throttle or a full quota. Its lane decides when it
/// is tried.
pub const LANE_PAUSES: Duration = Duration::from_millis(500);

/// How far the clock of a worker may be off, either way.
pub const MAXIMUM_CLOCK_SKEW: Duration = seconds(60);

/// How long AWS answers a client token with the export that it started
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ExportTableToPointInTime.html>,
/// `ClientToken`).
pub const AWS_TOKEN_LIFE: Duration = seconds(8 * 3600);

/// How long a token is sent.
pub const TOKEN_LIFE: Duration = seconds(7 * 3600 + 1800);

/// How long AWS remembers an export
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ListExports.html>).
pub const AWS_MEMORY: Duration = seconds(90 * 24 * 3600);

// Searches for the export of a token.

/// Exports that AWS began this long before the token was made are looked at too: clocks differ.
pub const SEARCH_SKEW: Duration = seconds(600);

/// The pause after a throttled call of a search, before it is spread.
pub const SEARCH_PAUSE: Duration = seconds(2);

/// By which part of itself the pause is made longer or shorter.
pub const SEARCH_PAUSE_SPREAD: f64 = 0.5;

/// How many pages of a list a search reads at most: 100,000 exports.
pub const SEARCH_PAGES: usize = 4_000;

/// How often a search begins a list again whose page token AWS refuses.
pub const SEARCH_RESTARTS: u32 = 2;

/// How long after its time-out an export whose start is in doubt is still searched for.
pub const DOUBT_SEARCHED_FOR: Duration = seconds(24 * 3600);

/// How many throttled calls in a row end a search; it is made again later.
pub const SEARCH_THROTTLES: u32 = 30;

// Webhooks.

/// How long one attempt at a delivery may take, the reading of the answer included.
pub const DELIVERY_ATTEMPT_TIMEOUT: Duration = seconds(15);

/// How long a claimed delivery belongs to its worker.
pub const DELIVERY_LEASE: Duration = seconds(18);

/// How long a webhook job that is worked on is left alone by other workers.
pub const WEBHOOK_JOB_LEASE: Duration = seconds(15);

// Verifications.

/// How long a claimed verification belongs to its worker unless the lease is renewed.
pub const VERIFICATION_LEASE: Duration = seconds(45);

/// How often it is renewed: checking one file may take many minutes.
pub const VERIFICATION_RENEWAL: Duration = seconds(15);

/// Whether `a` plus `b` is at most `limit`.
const fn fits(a: Duration, b: Duration, limit: Duration) -> bool {
    a.saturating_add(b).as_nanos() <= limit.as_nanos()
}

const NONE: Duration = Duration::ZERO;

// A start is carried out by AWS, if ever, before another worker may claim the export.
const _: () = assert!(fits(START_MARGIN, AWS_CALL_TIMEOUT, START_LEASE));
// A start in doubt is carried out, if ever, before it is repeated or searched for.
const _: () = assert!(fits(AWS_CALL_TIMEOUT, NONE, START_SETTLES));
// AWS recognizes the oldest token that can be sent, by the clocks that are the furthest off.
const _: () = assert!(fits(TOKEN_LIFE, OLDEST_TOKEN_SLACK, AWS_TOKEN_LIFE));
// A search renews its lease before each call: the call and the pause after it fit into the lease.
const _: () = assert!(fits(AWS_CALL_TIMEOUT, LONGEST_SEARCH_PAUSE, START_LEASE));
// A search does not pass over an export that AWS began, by another clock, before the token was
// made.
const _: () = assert!(fits(MAXIMUM_CLOCK_SKEW, MAXIMUM_CLOCK_SKEW, SEARCH_SKEW));
// A poll that another worker may repeat was given up before.
const _: () = assert!(fits(AWS_CALL_TIMEOUT, NONE, POLL_LEASE));
// Two workers do not send one delivery at the same time.
const _: () = assert!(fits(DELIVERY_ATTEMPT_TIMEOUT, NONE, DELIVERY_LEASE));
// Two renewals in a row may fail before a verification is lost.
const _: () = assert!(fits(
    VERIFICATION_RENEWAL,
    VERIFICATION_RENEWAL,
    VERIFICATION_LEASE
));

/// By how much a token may be older than [`TOKEN_LIFE`] when AWS sees it.
const OLDEST_TOKEN_SLACK: Duration = START_MARGIN
    .saturating_add(AWS_CALL_TIMEOUT)
    .saturating_add(MAXIMUM_CLOCK_SKEW)
    .saturating_add(MAXIMUM_CLOCK_SKEW);

/// The longest pause of a search: [`SEARCH_PAUSE`] spread upwards.
const LONGEST_SEARCH_PAUSE: Duration = SEARCH_PAUSE.saturating_add(SEARCH_PAUSE);
