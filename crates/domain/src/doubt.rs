//! Starts in doubt: AWS was asked to start an export and its answer was lost, so AWS may run it.
//!
//! While its token is good the start is repeated, which AWS answers with the same export. After
//! that, and after `timeouts.create`, AWS's lists are searched for the token. An export that is
//! found there is taken over. That none is found proves nothing: ListExports promises neither an
//! order nor completeness, and its page tokens can be refused. So a search never leads to another
//! start, and never to the statement that nothing was started: the export stays in doubt until
//! `timeouts.create` ends it, says so in its reason, and is searched for a day longer.

use super::aws_failure::AwsFailure;
use super::backoff::{retry_delay, slow_poll_delay};
use super::description::ExportDescription;
use super::event::EventKind;
use super::export::{Export, ExportState, TimedOut};
use super::request::ExportKind;
use super::step::{
    Change, Claimed, NextLook, Outcome, Surroundings, accept, described_state, finish, look_slowly,
    refuse, within_timeout, would_search,
};
use super::timestamp::Timestamp;
use super::timing::{DOUBT_SEARCHED_FOR, START_SETTLES};

/// What the search for an export by its token means. `refused` is AWS's refusal of a repeated
/// start, if that led to the search.
#[must_use]
pub fn after_search(
    claimed: &Claimed,
    answer: Result<Option<ExportDescription>, AwsFailure>,
    refused: Option<AwsFailure>,
    around: &Surroundings,
) -> Outcome {
    let export = &claimed.export;
    let timed_out = matches!(export.state, ExportState::TimedOut(_));
    match (answer, refused) {
        (Ok(Some(description)), _) if timed_out => found_late(export, &description, around),
        (Ok(Some(description)), _) => accept(export, &description, around),
        (Ok(None), Some(refusal)) if is_about_the_request(&refusal, export) => {
            refuse(export, refusal, around.now)
        }
        _ if timed_out => Outcome {
            change: None,
            next: look_slowly(export, around),
        },
        (answer, refused) => {
            let why = in_words(answer.err().as_ref(), refused.as_ref());
            if export.is_overdue(around.now) {
                time_out(export, &why, around)
            } else {
                search_again(claimed, &why, around)
            }
        }
    }
}

/// Whether AWS refuses the request itself, which is the same as in the first start: then it cannot
/// have accepted that one. A request that names a time can have been good when it was first sent.
fn is_about_the_request(refusal: &AwsFailure, export: &Export) -> bool {
    refusal.code == "ValidationException"
        && matches!(export.request.kind, ExportKind::Full { export_time: None })
}

/// Whether an export that timed out in doubt is still searched for.
pub(super) fn is_searched_for(export: &Export, now: Timestamp) -> bool {
    now.since(export.deadline()) < DOUBT_SEARCHED_FOR
}

/// The search for an export that timed out in doubt ends.
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
        next: NextLook::Never,
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

/// Still in doubt: another step follows, a repeated start if the token is good for it, or a search.
fn search_again(claimed: &Claimed, why: &str, around: &Surroundings) -> Outcome {
    let export = &claimed.export;
    let failures = claimed.failures.saturating_add(1);
    // A repeated start is one call; a search reads all lists of an account.
    let delay = if would_search(export, around.now) {
        slow_poll_delay(around.now.since(export.created_at), around.jitter)
    } else {
        retry_delay(failures, around.jitter)
    };
    let delay = within_timeout(export, delay, around.now).max(START_SETTLES);
    let reason = format!("{why}; AWS may be running it, so the search continues");
    let change = (export.status_reason.as_ref() != Some(&reason)).then(|| Change {
        export: export.changed(export.state.clone(), Some(reason.clone()), around.now),
        event: EventKind::Delayed,
        detail: reason,
    });
    Outcome {
        change,
        next: NextLook::After {
            delay,
            failures,
            in_doubt: true,
        },
    }
}

fn time_out(export: &Export, why: &str, around: &Surroundings) -> Outcome {
    let timeout = export.request.create_timeout.as_str();
    let reason = format!(
        "AWS did not confirm it within {timeout}: {why}. AWS may be running it; it is not started again, and the search continues at longer intervals"
    );
    let after = export.changed(
        ExportState::TimedOut(TimedOut::InDoubt),
        Some(reason.clone()),
        around.now,
    );
    Outcome {
        change: Some(Change {
            export: after,
            event: EventKind::TimedOut,
            detail: reason,
        }),
        next: look_slowly(export, around),
    }
}

/// AWS runs an export after all that had timed out in doubt, or has ended it.
fn found_late(export: &Export, description: &ExportDescription, around: &Surroundings) -> Outcome {
    let ExportState::InProgress(accepted) = described_state(description) else {
        return finish(export, description, around.now);
    };
    let detail = format!(
        "found at AWS as {}; it is followed, slowly",
        description.arn.as_str()
    );
    let state = ExportState::TimedOut(TimedOut::Accepted(accepted));
    let mut after = export.changed(state, Some(detail.clone()), around.now);
    after.settle(description);
    Outcome {
        change: Some(Change {
            export: after,
            event: EventKind::Resumed,
            detail,
        }),
        next: look_slowly(export, around),
    }
}
