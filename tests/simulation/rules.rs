//! The rules of the worker and of the SQL that the models follow. Each can be broken, to see that
//! the checks notice.

use std::time::Duration;

use tableferry::domain::lifecycle::timing::{MAXIMUM_CLOCK_SKEW, START_MARGIN, TOKEN_LIFE};

/// The maximum age of any token that AWS may see: the rule, the margin, and the errors of two
/// clocks.
pub const OLDEST_SENT_TOKEN: Duration = TOKEN_LIFE
    .saturating_add(START_MARGIN)
    .saturating_add(MAXIMUM_CLOCK_SKEW)
    .saturating_add(MAXIMUM_CLOCK_SKEW);

/// Which late writes of a claim that another worker has taken over are fenced off, besides those of
/// an export that has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimFence {
    Off,
    /// Those of starts. A poll that was overtaken by another one is still correct, and if AWS's
    /// responses take longer than the interval between two polls, every poll is overtaken.
    Starts,
    All,
}

#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// A write names the version of the export that its writer read (`locked` in
    /// `crates/store/src/outcome/statement.rs`).
    pub version_fence: bool,
    /// A write names the claim that its writer holds (`locked` in
    /// `crates/store/src/outcome/statement.rs`).
    pub claim_fence: ClaimFence,
    /// How long after its claim was sent a start may still be sent ([`START_MARGIN`]), by the
    /// worker's monotonic clock, from before the claim to just before the call. A worker that was
    /// paused in between drops the step.
    pub start_margin: Option<Duration>,
    /// A claimed start cannot be cancelled (`start_sent_at` in `crates/store/src/schedule.rs`).
    pub claim_marks_start: bool,
    /// A search for a token covers the whole account if the table's exports do not have it
    /// (`src/worker/export_search.rs`).
    pub search_account: bool,
    /// A search that finds nothing proves that AWS has nothing
    /// (`crates/domain/src/lifecycle/doubt.rs` draws no conclusion from it).
    pub search_proves_absence: bool,
    /// The lease of a claim is renewed before each call of a search, which may take many calls.
    pub search_renews_lease: bool,
    /// A start whose response was lost is left alone until AWS has carried it out or never will
    /// (`START_SETTLES` in `crates/domain/src/lifecycle/timing.rs`).
    pub waits_after_doubt: bool,
    /// Each start uses the stored token.
    pub keeps_token: bool,
    /// The delivery is written with the change it announces.
    pub delivers: bool,
}

/// The rules as they are in the service. The simulation breaks them one by one.
pub const AS_BUILT: Rules = Rules {
    version_fence: true,
    claim_fence: ClaimFence::Starts,
    start_margin: Some(START_MARGIN),
    claim_marks_start: true,
    search_account: true,
    search_proves_absence: false,
    search_renews_lease: true,
    waits_after_doubt: true,
    keeps_token: true,
    delivers: true,
};
