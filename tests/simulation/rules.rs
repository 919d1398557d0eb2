//! The rules of the worker and of the SQL that the models follow, each of which can be broken to
//! see that the checks notice.

use std::time::Duration;

use tableferry::domain::timing::{MAXIMUM_CLOCK_SKEW, START_MARGIN, TOKEN_LIFE};

/// The age beyond which no token may ever be seen by AWS: the rule, the margin, and two clocks that
/// are off.
pub const OLDEST_SENT_TOKEN: Duration = TOKEN_LIFE
    .saturating_add(START_MARGIN)
    .saturating_add(MAXIMUM_CLOCK_SKEW)
    .saturating_add(MAXIMUM_CLOCK_SKEW);

/// Which late writes of a claim that another has taken over are turned away, besides those of an
/// export that changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimFence {
    /// None.
    Off,
    /// Those of starts. A look that was overtaken by another still tells the truth, and if the
    /// answers of AWS take longer than the delay between two looks, every look is overtaken.
    Starts,
    /// All.
    All,
}

/// The rules.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// A write names the version of the export that its writer saw (`held` in
    /// `crates/store/src/steps.rs`).
    pub version_fence: bool,
    /// A write names the claim that its writer holds (`held` in `crates/store/src/steps.rs`).
    pub claim_fence: ClaimFence,
    /// How long after its claim was sent a start may still be sent ([`START_MARGIN`]). By the
    /// worker's monotonic clock, from before the claim to just before the call: a worker that was
    /// paused in between drops the step.
    pub start_margin: Option<Duration>,
    /// A claimed start cannot be cancelled (`start_sent_at` in `crates/store/src/schedule.rs`).
    pub claim_marks_start: bool,
    /// A search for a token looks through the whole account if the table's exports do not have it
    /// (`src/worker/export_search.rs`).
    pub search_account: bool,
    /// A search that finds nothing is taken for proof that AWS has nothing (`crates/domain/src/doubt.rs`
    /// takes it for nothing).
    pub search_proves_absence: bool,
    /// The lease of a claim is renewed before each call of a search, which may be many.
    pub search_renews_hold: bool,
    /// A start whose answer was lost is left alone until AWS has done it or never will
    /// (`START_SETTLES` in `crates/domain/src/timing.rs`).
    pub waits_after_doubt: bool,
    /// The token of each start is the stored one.
    pub keeps_token: bool,
    /// The delivery is written with the change it announces.
    pub delivers: bool,
}

/// The rules as they are in `src`. The simulation breaks them one by one.
pub const AS_BUILT: Rules = Rules {
    version_fence: true,
    claim_fence: ClaimFence::Starts,
    start_margin: Some(START_MARGIN),
    claim_marks_start: true,
    search_account: true,
    search_proves_absence: false,
    search_renews_hold: true,
    waits_after_doubt: true,
    keeps_token: true,
    delivers: true,
};
