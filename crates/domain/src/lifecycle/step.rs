//! The decisions of a step: what to do next with an export, and what an answer of AWS means.
//!
//! A worker claims an export, calls [`decide`], makes the call that the decision names (if any),
//! passes the answer to [`after_start`], [`after_describe`] or [`doubt::after_search`], and writes
//! the [`Outcome`]. Every step may run twice.
//!
//! Invariants: AWS is asked to start an export only with a token that has been stored. A token
//! older than [`TOKEN_LIFE`](crate::lifecycle::timing::TOKEN_LIFE) is not sent. While a start is in
//! doubt, only that start is repeated or searched for, and no other token is sent. An export ends
//! only by AWS's word, by a refusal before it started, by the caller's cancellation or by its
//! time-out.

use crate::aws::description::{DescribedStatus, ExportDescription};
use crate::aws::failure::{AwsFailure, FailureClass};
use crate::export::event::EventKind;
use crate::export::{ExportState, Origin, TimedOut};
use crate::ids::ClientToken;
use crate::lifecycle::backoff::{retry_delay, slow_poll_delay};
use crate::lifecycle::doubt::{self, token_is_old, would_search};
use crate::lifecycle::next_poll::{poll_again, within_timeout};
use crate::lifecycle::outcome::{Change, Claimed, Decision, NextPoll, Outcome, StepContext};
use crate::lifecycle::timing::{AWS_MEMORY, LANE_PAUSES, START_SETTLES};
use crate::lifecycle::transition::{accept, finish, forget, refuse, replace_token, time_out};

/// Decides what to do with a claimed export. `fresh_token` replaces a token that is too old.
#[must_use]
pub fn decide(claimed: &Claimed, fresh_token: &ClientToken, context: &StepContext) -> Decision {
    let export = &claimed.export;
    let (now, overdue) = (context.now, export.is_overdue(context.now));
    match (&export.state, &export.origin) {
        (ExportState::Pending, Origin::Created { client_token, .. }) => {
            match (claimed.in_doubt, overdue) {
                (true, _) if would_search(export, now) => {
                    Decision::FindByToken(client_token.clone())
                }
                (false, true) => Decision::Write(Box::new(time_out(export, context))),
                (false, false) if token_is_old(export, now) => {
                    Decision::Write(Box::new(replace_token(export, fresh_token, now)))
                }
                _ => Decision::Start(client_token.clone()),
            }
        }
        (ExportState::InProgress(accepted), _) => Decision::Describe(accepted.arn.clone()),
        (ExportState::TimedOut(TimedOut::InDoubt), Origin::Created { client_token, .. }) => {
            if doubt::is_searched_for(export, now) {
                Decision::FindByToken(client_token.clone())
            } else {
                Decision::Write(Box::new(doubt::give_up(export, now)))
            }
        }
        (ExportState::TimedOut(TimedOut::Accepted(accepted)), _) => {
            let since = accepted.start_time.unwrap_or(export.created_at);
            if now.since(since) < AWS_MEMORY {
                Decision::Describe(accepted.arn.clone())
            } else {
                Decision::Write(Box::new(forget(export, now)))
            }
        }
        // The export has ended; its row in the schedule is removed.
        _ => Decision::Write(Box::new(Outcome {
            change: None,
            next: NextPoll::Never,
        })),
    }
}

/// Interprets AWS's answer to a start.
#[must_use]
pub fn after_start(
    claimed: &Claimed,
    answer: Result<ExportDescription, AwsFailure>,
    context: &StepContext,
) -> Outcome {
    match answer {
        Ok(description) => accept(&claimed.export, &description, context),
        Err(failure) if failure.class == FailureClass::Refused => {
            refuse(&claimed.export, failure, context.now)
        }
        Err(failure) => {
            let in_doubt = claimed.in_doubt || failure.class.leaves_doubt();
            delay(claimed, &failure, in_doubt, context)
        }
    }
}

/// Interprets AWS's answer to a poll.
#[must_use]
pub fn after_describe(
    claimed: &Claimed,
    answer: Result<ExportDescription, AwsFailure>,
    context: &StepContext,
) -> Outcome {
    let export = &claimed.export;
    let timed_out = matches!(export.state, ExportState::TimedOut(_));
    match answer {
        Ok(description) if description.status != DescribedStatus::InProgress => {
            finish(export, &description, context.now)
        }
        Ok(_) if export.is_overdue(context.now) && !timed_out => time_out(export, context),
        Ok(_) if export.status_reason.is_some() && !timed_out => {
            let change = Change {
                export: export.changed(export.state.clone(), None, context.now),
                event: EventKind::Resumed,
                detail: "AWS answers again; the export is in progress".to_owned(),
            };
            Outcome {
                change: Some(change),
                next: poll_again(export, context),
            }
        }
        Ok(_) => Outcome {
            change: None,
            next: poll_again(export, context),
        },
        Err(failure) if export.is_overdue(context.now) && !timed_out => {
            let mut outcome = time_out(export, context);
            if let Some(change) = &mut outcome.change {
                change.detail = format!("{}; the last poll failed: {failure}", change.detail);
                change.export.status_reason = change
                    .export
                    .status_reason
                    .take()
                    .map(|reason| format!("{reason}; the last poll failed ({})", failure.code));
            }
            outcome
        }
        Err(failure) => delay(claimed, &failure, false, context),
    }
}

/// A call failed and will be repeated.
fn delay(
    claimed: &Claimed,
    failure: &AwsFailure,
    in_doubt: bool,
    context: &StepContext,
) -> Outcome {
    let export = &claimed.export;
    let failures = claimed.failures.saturating_add(1);
    let delay = retry_delay(failures, context.jitter);
    if matches!(export.state, ExportState::TimedOut(_)) {
        // The reason stays "timed out", whatever a later poll finds.
        let slow = slow_poll_delay(context.now.since(export.created_at), context.jitter);
        return Outcome {
            change: None,
            next: NextPoll::After {
                delay: delay.max(slow),
                failures,
                in_doubt: false,
            },
        };
    }
    let pending = matches!(export.state, ExportState::Pending);
    let waits_for_lane = pending
        && matches!(
            failure.class,
            FailureClass::Throttled | FailureClass::LimitExceeded
        );
    let (delay, when) = if waits_for_lane {
        // Its whole lane pauses. A longer delay for this export would only let later ones overtake
        // it.
        (LANE_PAUSES, "in a moment".to_owned())
    } else {
        let mut delay = within_timeout(export, delay, context.now);
        if pending && failure.class.leaves_doubt() {
            // The next step may be a search, or a repeated start that AWS refuses. Neither may
            // reach AWS before the start that is in doubt.
            delay = delay.max(START_SETTLES);
        }
        let at = context.now.plus(delay).whole_seconds();
        (delay, format!("at {at}"))
    };
    let what = describe_failure(failure);
    let reason = format!("{what}; next try {when}");
    let change = Change {
        export: export.changed(export.state.clone(), Some(reason), context.now),
        event: EventKind::Delayed,
        detail: format!("{what}: {}", failure.message),
    };
    Outcome {
        change: Some(change),
        next: NextPoll::After {
            delay,
            failures,
            in_doubt,
        },
    }
}

/// Why an export waits if its account has reached AWS's quota.
pub const WAITS_FOR_QUOTA: &str =
    "waiting: the account has reached AWS's limit of concurrent exports in this region";

/// Why an export waits, for its `status_reason`.
fn describe_failure(failure: &AwsFailure) -> String {
    let code = &failure.code;
    match failure.class {
        FailureClass::Throttled => "throttled by AWS".to_owned(),
        FailureClass::LimitExceeded => WAITS_FOR_QUOTA.to_owned(),
        FailureClass::Denied => format!("AWS denies the call ({code})"),
        FailureClass::ExportNotFound => "AWS does not find the export at the moment".to_owned(),
        FailureClass::Refused => format!("AWS refuses the call ({code})"),
        FailureClass::Unknown => format!("AWS gave no usable answer ({code})"),
    }
}
