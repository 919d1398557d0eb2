//! When to poll an export next.

use std::time::Duration;

use crate::export::{Export, ExportState};
use crate::lifecycle::backoff::{poll_delay, slow_poll_delay};
use crate::lifecycle::outcome::{NextPoll, StepContext};
use crate::timestamp::Timestamp;

/// The next poll of an export in progress, or TIMED_OUT.
pub(super) fn poll_again(export: &Export, context: &StepContext) -> NextPoll {
    if matches!(export.state, ExportState::TimedOut(_)) {
        return poll_slowly(export, context);
    }
    // Likely ends count from AWS's start time; without one nothing is known.
    let started = export
        .state
        .accepted()
        .and_then(|accepted| accepted.start_time);
    let likely_end = started
        .and(export.estimate)
        .and_then(|estimate| estimate.likely_end);
    let age = context
        .now
        .since(likely_end.and(started).unwrap_or(export.created_at));
    let delay = within_timeout(
        export,
        poll_delay(age, likely_end, context.bounds, context.jitter),
        context.now,
    );
    NextPoll::After {
        delay,
        failures: 0,
        in_doubt: false,
    }
}

/// A delay that ends just after the time-out at the latest. Never zero, so that a poll that comes
/// slightly early is not repeated at once.
pub(super) fn within_timeout(export: &Export, delay: Duration, now: Timestamp) -> Duration {
    let left = export.deadline().since(now);
    if left.is_zero() {
        delay
    } else {
        delay.min(left + Duration::from_millis(10))
    }
}

/// The next poll of a TIMED_OUT export.
pub(super) fn poll_slowly(export: &Export, context: &StepContext) -> NextPoll {
    let delay = slow_poll_delay(context.now.since(export.created_at), context.jitter);
    NextPoll::After {
        delay,
        failures: 0,
        in_doubt: false,
    }
}
