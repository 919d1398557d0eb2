//! Starts in doubt: AWS was asked to start an export and the answer was lost, so AWS may be running
//! it.
//!
//! While the token is valid, the start is repeated; AWS answers a repeated token with the same
//! export. After that, and after `timeouts.create`, AWS's lists are searched for the token. An
//! export that is found there is adopted as this export's result.
//!
//! A search that finds nothing proves nothing: ListExports guarantees neither order nor
//! completeness, and its page tokens can be refused. A search therefore never leads to another
//! start, and never to the statement that nothing was started. The export stays in doubt until
//! `timeouts.create` ends it; its reason says so, and the search continues for another day.
//!
//! Migration 0011 calls this file by its old path, src/domain/doubt.rs.

use crate::aws::description::ExportDescription;
use crate::aws::failure::AwsFailure;
use crate::export::event::EventKind;
use crate::export::request::ExportKind;
use crate::export::{Export, ExportState, TimedOut};
use crate::lifecycle::backoff::{retry_delay, slow_poll_delay};
use crate::lifecycle::next_poll::{poll_slowly, within_timeout};
use crate::lifecycle::outcome::{Change, Claimed, NextPoll, Outcome, StepContext};
use crate::lifecycle::timing::{DOUBT_SEARCHED_FOR, START_SETTLES, TOKEN_LIFE};
use crate::lifecycle::transition::{accept, finish, refuse};
use crate::timestamp::Timestamp;

/// Interprets a search by token. `refused` is AWS's refusal of a repeated start, if that led to the
/// search.
#[must_use]
pub fn after_search(
    claimed: &Claimed,
    answer: Result<Option<ExportDescription>, AwsFailure>,
    refused: Option<AwsFailure>,
    context: &StepContext,
) -> Outcome {
    let export = &claimed.export;
    let timed_out = matches!(export.state, ExportState::TimedOut(_));
    match (answer, refused) {
        (Ok(Some(description)), _) if timed_out => found_late(export, &description, context),
        (Ok(Some(description)), _) => accept(export, &description, context),
        (Ok(None), Some(refusal)) if is_about_the_request(&refusal, export) => {
            refuse(export, refusal, context.now)
        }
        _ if timed_out => Outcome {
            change: None,
            next: poll_slowly(export, context),
        },
        (answer, refused) => {
            let why = in_words(answer.err().as_ref(), refused.as_ref());
            if export.is_overdue(context.now) {
                time_out_in_doubt(export, &why, context)
            } else {
                search_again(claimed, &why, context)
            }
        }
    }
}

/// Whether AWS refuses the request itself. AWS would then have refused the first start too, so it
/// cannot be running. A request that names a time may have been valid when it was first sent.
fn is_about_the_request(refusal: &AwsFailure, export: &Export) -> bool {
    refusal.code == "ValidationException"
        && matches!(export.request.kind, ExportKind::Full { export_time: None })
}

/// Whether the token is too old to send.
pub(super) fn token_is_old(export: &Export, now: Timestamp) -> bool {
    export
        .origin
        .token_made_at()
        .is_some_and(|made_at| now.since(made_at) >= TOKEN_LIFE)
}

/// Whether a start in doubt is searched for rather than repeated.
pub(super) fn would_search(export: &Export, now: Timestamp) -> bool {
    export.is_overdue(now) || token_is_old(export, now)
}

/// Whether an export that timed out in doubt is still searched for.
pub(super) fn is_searched_for(export: &Export, now: Timestamp) -> bool {
    now.since(export.deadline()) < DOUBT_SEARCHED_FOR
}

/// Ends the search for an export that timed out in doubt.
pub(super) fn give_up(export: &Export, now: Timestamp) -> Outcome {
    let hours = DOUBT_SEARCHED_FOR.as_secs() / 3600;
    let reason = format!(
        "the answer to a start request was lost, and AWS's lists did not show the export within {hours} h after its time-out; the search has ended"
    );
    let after = export.changed(export.state.clone(), Some(reason.clone()), now);
    Outcome {
        change: Some(Change {
            export: after,
            event: EventKind::Forgotten,
            detail: reason,
        }),
        next: NextPoll::Never,
    }
}

fn in_words(failed: Option<&AwsFailure>, refused: Option<&AwsFailure>) -> String {
    let repeated = refused
        .map(|refusal| format!(" (AWS refuses to repeat it: {})", refusal.code))
        .unwrap_or_default();
    let searched = match failed {
        Some(failure) => format!("the search for it failed ({})", failure.code),
        None => "AWS's lists do not show the export".to_owned(),
    };
    format!("the answer to a start request was lost{repeated}, and {searched}")
}

/// Still in doubt: repeat the start if the token is young enough, otherwise search again.
fn search_again(claimed: &Claimed, why: &str, context: &StepContext) -> Outcome {
    let export = &claimed.export;
    let failures = claimed.failures.saturating_add(1);
    // A repeated start is one call; a search reads all lists of an account, so it waits longer.
    let delay = if would_search(export, context.now) {
        slow_poll_delay(context.now.since(export.created_at), context.jitter)
    } else {
        retry_delay(failures, context.jitter)
    };
    let delay = within_timeout(export, delay, context.now).max(START_SETTLES);
    let reason = format!("{why}; AWS may be running it, so the search continues");
    let change = (export.status_reason.as_ref() != Some(&reason)).then(|| Change {
        export: export.changed(export.state.clone(), Some(reason.clone()), context.now),
        event: EventKind::Delayed,
        detail: reason,
    });
    Outcome {
        change,
        next: NextPoll::After {
            delay,
            failures,
            in_doubt: true,
        },
    }
}

fn time_out_in_doubt(export: &Export, why: &str, context: &StepContext) -> Outcome {
    let timeout = export.request.create_timeout.as_str();
    let reason = format!(
        "AWS did not confirm it within {timeout}: {why}. AWS may be running it; it is not started again, and the search continues at longer intervals"
    );
    let after = export.changed(
        ExportState::TimedOut(TimedOut::InDoubt),
        Some(reason.clone()),
        context.now,
    );
    Outcome {
        change: Some(Change {
            export: after,
            event: EventKind::TimedOut,
            detail: reason,
        }),
        next: poll_slowly(export, context),
    }
}

/// The search found an export that had timed out in doubt; AWS is running it or has ended it.
fn found_late(export: &Export, description: &ExportDescription, context: &StepContext) -> Outcome {
    let ExportState::InProgress(accepted) = ExportState::from_description(description) else {
        return finish(export, description, context.now);
    };
    let detail = format!(
        "found at AWS as {}; it is polled at long intervals",
        description.arn.as_str()
    );
    let state = ExportState::TimedOut(TimedOut::Accepted(accepted));
    let mut after = export.changed(state, Some(detail.clone()), context.now);
    after.settle(description);
    Outcome {
        change: Some(Change {
            export: after,
            event: EventKind::Resumed,
            detail,
        }),
        next: poll_slowly(export, context),
    }
}
