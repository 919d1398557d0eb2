//! The rules of the worker and of the SQL that the models follow, each of which can be broken to see that the checks notice.

use std::time::Duration;

use tableferry::domain::step::TOKEN_LIFE;

/// How long a claimed start stays in its worker's hand (`HOLD` in `src/store/schedule.rs`).
pub const HOLD: Duration = Duration::from_secs(15);

/// How long one call to AWS may take (`CALL_TIMEOUT` in `src/aws/mod.rs`). AWS carries a call out within this time or never:
/// the simulation assumes no more of AWS and the network.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How far a worker's clock may be off.
pub const MOST_SKEW_S: i64 = 60;

/// How long after the claim was sent to the database the start may still be sent to AWS. By the worker's monotonic clock, from
/// before the claim to just before the call: a worker that was paused in between drops the step. It must hold that
/// START_MARGIN + CALL_TIMEOUT <= HOLD: when the next worker may claim, AWS has done the call or never will.
pub const START_MARGIN: Duration = Duration::from_secs(4);

/// The age beyond which no token may ever be seen by AWS: the rule, the margin, and two clocks that are off.
pub const OLDEST_SENT_TOKEN: Duration = Duration::from_secs(TOKEN_LIFE.as_secs() + START_MARGIN.as_secs() + 2 * MOST_SKEW_S.unsigned_abs());

/// Which late writes of a claim that another has taken over are turned away, besides those of an export that changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimFence {
    /// None.
    Off,
    /// Those of starts. A look that was overtaken by another still tells the truth, and if the answers of AWS take longer than the
    /// delay between two looks, every look is overtaken.
    Starts,
    /// All.
    All,
}

/// The rules.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// A write names the version of the export that its writer saw (`write_change` in `src/store/record.rs`).
    pub version_fence: bool,
    /// A write names the claim that its writer holds (`reschedule` in `src/store/record.rs`).
    pub claim_fence: ClaimFence,
    /// See [`START_MARGIN`].
    pub start_margin: Option<Duration>,
    /// A claimed start cannot be cancelled (`start_sent_at` in `src/store/schedule.rs`).
    pub claim_marks_start: bool,
    /// A search for a token looks through the whole account if the table's exports do not have it (`src/worker/export_search.rs`).
    pub search_account: bool,
    /// In a search, a listed export that DescribeExport does not find is passed over.
    pub search_trusts_not_found: bool,
    /// The hold of a claim is renewed before each call of a search, which may be many.
    pub search_renews_hold: bool,
    /// A start whose answer was lost is left alone until AWS has done it or never will (`START_SETTLES` in `src/domain/step.rs`).
    pub waits_after_doubt: bool,
    /// The token of each start is the stored one.
    pub keeps_token: bool,
    /// The delivery is written with the change it announces.
    pub delivers: bool,
}
