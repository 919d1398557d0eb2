//! What to do next with an export, and what an answer of AWS means: the whole decision, pure.
//!
//! A worker claims an export, asks [`decide`], makes the call that it names (if any), gives the
//! answer to [`after_start`], [`after_describe`] or [`doubt::after_search`], and writes the
//! [`Outcome`]. Every step may run twice.
//!
//! What holds: AWS is asked to start an export only with a token that was stored before; a token is
//! not sent when it is older than [`TOKEN_LIFE`]; while a start may have been accepted unheard,
//! nothing but that start is pursued, and no other token is sent; an export ends only by AWS's
//! word, by a refusal before it started, or by its time-out.

use std::time::Duration;

use super::arn::ExportArn;
use super::aws_failure::{AwsFailure, FailureClass};
use super::backoff::{Jitter, PollBounds, poll_delay, retry_delay, slow_poll_delay};
use super::description::{DescribedStatus, ExportDescription};
use super::doubt;
use super::event::EventKind;
use super::export::{Accepted, Export, ExportState, Failed, Origin, TimedOut};
use super::ids::ClientToken;
use super::timestamp::Timestamp;
use super::timing::{AWS_MEMORY, LANE_PAUSES, START_SETTLES, TOKEN_LIFE};

/// An export in a worker's hand, and what the schedule knows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The export as it was when claimed.
    pub export: Export,
    /// The number of this claim: what is written repeats it.
    pub claim: i32,
    /// Failed AWS calls in a row before this one.
    pub failures: u32,
    /// An earlier start may have been accepted without our hearing of it.
    pub in_doubt: bool,
    /// The delay after which it will be looked at again if nothing is written.
    pub planned_delay: Duration,
}

/// What a worker is to do with a claimed export.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Call ExportTableToPointInTime with this token.
    Start(ClientToken),
    /// Search AWS's lists for the export that carries this token.
    FindByToken(ClientToken),
    /// Call DescribeExport.
    Describe(ExportArn),
    /// Write this without a call.
    Write(Box<Outcome>),
}

/// What is to be written after a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The export after the step and the event that led there; `None` if it did not change.
    pub change: Option<Change>,
    /// When to look again.
    pub next: NextLook,
}

/// A change of an export.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The export after it.
    pub export: Export,
    /// What happened.
    pub event: EventKind,
    /// In words.
    pub detail: String,
}

/// When to look at an export again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLook {
    /// After this delay.
    After {
        /// The delay.
        delay: Duration,
        /// Failed AWS calls in a row, this one included.
        failures: u32,
        /// A start may have been accepted without our hearing of it.
        in_doubt: bool,
    },
    /// Never.
    Never,
}

/// Time, randomness and settings of a step.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The time of the step.
    pub now: Timestamp,
    /// Spreads delays.
    pub jitter: Jitter,
    /// Bounds of the poll delay.
    pub bounds: PollBounds,
}

/// Decides what to do with a claimed export. `fresh_token` is used if its own is too old.
#[must_use]
pub fn decide(claimed: &Claimed, fresh_token: &ClientToken, around: &Surroundings) -> Decision {
    let export = &claimed.export;
    let (now, overdue) = (around.now, export.is_overdue(around.now));
    match (&export.state, &export.origin) {
        (ExportState::Pending, Origin::Created { client_token, .. }) => {
            match (claimed.in_doubt, overdue) {
                (true, _) if would_search(export, now) => {
                    Decision::FindByToken(client_token.clone())
                }
                (false, true) => Decision::Write(Box::new(time_out(export, around))),
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
        // Nothing is left to do; a row of the schedule that says otherwise goes away.
        _ => Decision::Write(Box::new(Outcome {
            change: None,
            next: NextLook::Never,
        })),
    }
}

/// Whether the token is too old to be sent.
fn token_is_old(export: &Export, now: Timestamp) -> bool {
    export
        .origin
        .token_made_at()
        .is_some_and(|made_at| now.since(made_at) >= TOKEN_LIFE)
}

/// Whether a start that is in doubt is searched for at this time, rather than repeated.
pub(super) fn would_search(export: &Export, now: Timestamp) -> bool {
    export.is_overdue(now) || token_is_old(export, now)
}

/// What the answer to a start means.
#[must_use]
pub fn after_start(
    claimed: &Claimed,
    answer: Result<ExportDescription, AwsFailure>,
    around: &Surroundings,
) -> Outcome {
    match answer {
        Ok(description) => accept(&claimed.export, &description, around),
        Err(failure) if failure.class == FailureClass::Refused => {
            refuse(&claimed.export, failure, around.now)
        }
        Err(failure) => {
            let in_doubt = claimed.in_doubt || failure.class.leaves_doubt();
            delay(claimed, &failure, in_doubt, around)
        }
    }
}

/// What the answer to a look means.
#[must_use]
pub fn after_describe(
    claimed: &Claimed,
    answer: Result<ExportDescription, AwsFailure>,
    around: &Surroundings,
) -> Outcome {
    let export = &claimed.export;
    let timed_out = matches!(export.state, ExportState::TimedOut(_));
    match answer {
        Ok(description) if description.status != DescribedStatus::InProgress => {
            finish(export, &description, around.now)
        }
        Ok(_) if export.is_overdue(around.now) && !timed_out => time_out(export, around),
        Ok(_) if export.status_reason.is_some() && !timed_out => {
            let change = Change {
                export: export.changed(export.state.clone(), None, around.now),
                event: EventKind::Resumed,
                detail: "AWS answers again; the export is in progress".to_owned(),
            };
            Outcome {
                change: Some(change),
                next: look_again(export, around),
            }
        }
        Ok(_) => Outcome {
            change: None,
            next: look_again(export, around),
        },
        Err(failure) if export.is_overdue(around.now) && !timed_out => {
            let mut outcome = time_out(export, around);
            if let Some(change) = &mut outcome.change {
                change.detail = format!("{}; the last look failed: {failure}", change.detail);
                change.export.status_reason = change
                    .export
                    .status_reason
                    .take()
                    .map(|reason| format!("{reason}; the last look failed ({})", failure.code));
            }
            outcome
        }
        Err(failure) => delay(claimed, &failure, false, around),
    }
}

/// The state that a description means.
#[must_use]
pub fn described_state(description: &ExportDescription) -> ExportState {
    let accepted = Accepted {
        arn: description.arn.clone(),
        table_id: description.table_id.clone(),
        start_time: description.start_time,
    };
    match &description.status {
        DescribedStatus::InProgress => ExportState::InProgress(accepted),
        DescribedStatus::Completed(written) => ExportState::Completed(accepted, written.clone()),
        DescribedStatus::Failed {
            end_time,
            code,
            message,
        } => ExportState::Failed(Failed::ByAws {
            accepted,
            end_time: *end_time,
            code: code.clone(),
            message: message.clone(),
        }),
    }
}

/// The caller gives up an export that AWS has not accepted.
#[must_use]
pub fn cancel(export: &Export, now: Timestamp) -> Change {
    Change {
        export: export.changed(
            ExportState::Cancelled,
            Some("cancelled before AWS accepted it".to_owned()),
            now,
        ),
        event: EventKind::Cancelled,
        detail: "cancelled before AWS accepted it; nothing was started".to_owned(),
    }
}

/// AWS accepted the export; it may even have ended already.
pub(super) fn accept(
    export: &Export,
    description: &ExportDescription,
    around: &Surroundings,
) -> Outcome {
    let mut after = export.changed(described_state(description), None, around.now);
    after.settle(description);
    if !matches!(after.state, ExportState::InProgress(_)) {
        return finish(export, description, around.now);
    }
    let detail = format!("accepted by AWS as {}", description.arn.as_str());
    let next = look_again(&after, around);
    Outcome {
        change: Some(Change {
            export: after,
            event: EventKind::Started,
            detail,
        }),
        next,
    }
}

/// AWS's last word on the export.
pub(super) fn finish(export: &Export, description: &ExportDescription, now: Timestamp) -> Outcome {
    let mut after = export.changed(described_state(description), None, now);
    after.settle(description);
    let (event, detail) = match &description.status {
        DescribedStatus::Failed { code, message, .. } => (
            EventKind::Failed,
            format!("failed at AWS: {code}: {message}"),
        ),
        _ => (EventKind::Completed, "completed by AWS".to_owned()),
    };
    if let DescribedStatus::Failed { code, .. } = &description.status {
        after.status_reason = Some(format!("AWS failed it: {code}"));
    }
    Outcome {
        change: Some(Change {
            export: after,
            event,
            detail,
        }),
        next: NextLook::Never,
    }
}

pub(super) fn refuse(export: &Export, failure: AwsFailure, now: Timestamp) -> Outcome {
    let detail = format!("AWS refused to start it: {failure}");
    let reason = format!("AWS refused to start it: {}", failure.code);
    let state = ExportState::Failed(Failed::Refused {
        code: failure.code,
        message: failure.message,
    });
    let change = Change {
        export: export.changed(state, Some(reason), now),
        event: EventKind::Failed,
        detail,
    };
    Outcome {
        change: Some(change),
        next: NextLook::Never,
    }
}

/// Ends an export of which no start is in doubt.
fn time_out(export: &Export, around: &Surroundings) -> Outcome {
    let timeout = export.request.create_timeout.as_str();
    let (timed_out, reason, next) = if let Some(accepted) = export.state.accepted().cloned() {
        let reason =
            format!("AWS had not finished it within {timeout}; it is still followed, slowly");
        (
            TimedOut::Accepted(accepted),
            reason,
            look_slowly(export, around),
        )
    } else {
        let reason = format!("AWS had not accepted it within {timeout}; it will not be started");
        (TimedOut::NotStarted, reason, NextLook::Never)
    };
    let after = export.changed(
        ExportState::TimedOut(timed_out),
        Some(reason.clone()),
        around.now,
    );
    Outcome {
        change: Some(Change {
            export: after,
            event: EventKind::TimedOut,
            detail: reason,
        }),
        next,
    }
}

/// The next look at an export that is TIMED_OUT.
pub(super) fn look_slowly(export: &Export, around: &Surroundings) -> NextLook {
    let delay = slow_poll_delay(around.now.since(export.created_at), around.jitter);
    NextLook::After {
        delay,
        failures: 0,
        in_doubt: false,
    }
}

fn forget(export: &Export, now: Timestamp) -> Outcome {
    let reason = "AWS remembers exports for 90 days; it is no longer followed".to_owned();
    let change = Change {
        export: export.changed(export.state.clone(), Some(reason.clone()), now),
        event: EventKind::Forgotten,
        detail: reason,
    };
    Outcome {
        change: Some(change),
        next: NextLook::Never,
    }
}

fn replace_token(export: &Export, fresh_token: &ClientToken, now: Timestamp) -> Outcome {
    let mut after = export.changed(ExportState::Pending, export.status_reason.clone(), now);
    after.origin = Origin::Created {
        client_token: fresh_token.clone(),
        token_made_at: now,
    };
    let detail =
        "the client token grew older than 7.5 h without a start; a new one was stored".to_owned();
    Outcome {
        change: Some(Change {
            export: after,
            event: EventKind::TokenReplaced,
            detail,
        }),
        next: NextLook::After {
            delay: Duration::ZERO,
            failures: 0,
            in_doubt: false,
        },
    }
}

/// A call failed and will be made again.
fn delay(
    claimed: &Claimed,
    failure: &AwsFailure,
    in_doubt: bool,
    around: &Surroundings,
) -> Outcome {
    let export = &claimed.export;
    let failures = claimed.failures.saturating_add(1);
    let delay = retry_delay(failures, around.jitter);
    if matches!(export.state, ExportState::TimedOut(_)) {
        // Its reason is that it timed out, whatever a late look meets.
        let delay = delay.max(slow_poll_delay(
            around.now.since(export.created_at),
            around.jitter,
        ));
        return Outcome {
            change: None,
            next: NextLook::After {
                delay,
                failures,
                in_doubt: false,
            },
        };
    }
    let mut delay = within_timeout(export, delay, around.now);
    if matches!(export.state, ExportState::Pending) && failure.class.leaves_doubt() {
        // The next step may be a search, or a repetition that AWS refuses: neither may overtake the
        // start that is in doubt.
        delay = delay.max(START_SETTLES);
    }
    let what = match failure.class {
        FailureClass::Throttled => "throttled by AWS".to_owned(),
        FailureClass::LimitExceeded => {
            "waiting: AWS runs as many exports of this account as it allows".to_owned()
        }
        FailureClass::Denied => format!("AWS denies the call ({})", failure.code),
        FailureClass::ExportNotFound => "AWS does not find the export at the moment".to_owned(),
        FailureClass::Refused => format!("AWS refuses the call ({})", failure.code),
        FailureClass::Unknown => format!("AWS gave no answer of use ({})", failure.code),
    };
    let waits_for_lane = matches!(export.state, ExportState::Pending)
        && matches!(
            failure.class,
            FailureClass::Throttled | FailureClass::LimitExceeded
        );
    if waits_for_lane {
        // Its lane pauses, and with it all that come after this one: a pause of its own would only
        // let them overtake it.
        delay = LANE_PAUSES;
    }
    let when = if waits_for_lane {
        "in a moment".to_owned()
    } else {
        format!("at {}", around.now.plus(delay).whole_seconds())
    };
    let reason = format!("{what}; next try {when}");
    let change = Change {
        export: export.changed(export.state.clone(), Some(reason), around.now),
        event: EventKind::Delayed,
        detail: format!("{what}: {}", failure.message),
    };
    Outcome {
        change: Some(change),
        next: NextLook::After {
            delay,
            failures,
            in_doubt,
        },
    }
}

pub(super) fn look_again(export: &Export, around: &Surroundings) -> NextLook {
    if matches!(export.state, ExportState::TimedOut(_)) {
        return look_slowly(export, around);
    }
    // Whether its end is likely counts from AWS's start; without one nothing is known of it.
    let started = export
        .state
        .accepted()
        .and_then(|accepted| accepted.start_time);
    let likely_end = started
        .and(export.estimate)
        .and_then(|estimate| estimate.likely_end);
    let age = around
        .now
        .since(likely_end.and(started).unwrap_or(export.created_at));
    let delay = within_timeout(
        export,
        poll_delay(age, likely_end, around.bounds, around.jitter),
        around.now,
    );
    NextLook::After {
        delay,
        failures: 0,
        in_doubt: false,
    }
}

/// A delay that does not sleep through the time-out. Never zero, so that a look that comes a little
/// early is not repeated at once.
pub(super) fn within_timeout(export: &Export, delay: Duration, now: Timestamp) -> Duration {
    let left = export.deadline().since(now);
    if left.is_zero() {
        delay
    } else {
        delay.min(left + Duration::from_millis(10))
    }
}
