//! Transitions: one change of an export's state, with its event and what follows.

use std::time::Duration;

use crate::aws::description::{DescribedStatus, ExportDescription};
use crate::aws::failure::AwsFailure;
use crate::export::event::EventKind;
use crate::export::{Export, ExportState, Failed, Origin, TimedOut};
use crate::ids::ClientToken;
use crate::lifecycle::next_poll::{poll_again, poll_slowly};
use crate::lifecycle::outcome::{Change, NextPoll, Outcome, StepContext};
use crate::timestamp::Timestamp;

/// The caller cancels an export that AWS has not accepted.
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

/// AWS accepted the export. It may have ended already.
pub(super) fn accept(
    export: &Export,
    description: &ExportDescription,
    context: &StepContext,
) -> Outcome {
    let mut after = export.changed(
        ExportState::from_description(description),
        None,
        context.now,
    );
    after.settle(description);
    if !matches!(after.state, ExportState::InProgress(_)) {
        return finish(export, description, context.now);
    }
    let detail = format!("accepted by AWS as {}", description.arn.as_str());
    let next = poll_again(&after, context);
    Outcome {
        change: Some(Change {
            export: after,
            event: EventKind::Started,
            detail,
        }),
        next,
    }
}

/// AWS has completed or failed the export.
pub(super) fn finish(export: &Export, description: &ExportDescription, now: Timestamp) -> Outcome {
    let mut after = export.changed(ExportState::from_description(description), None, now);
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
        next: NextPoll::Never,
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
        next: NextPoll::Never,
    }
}

/// Times out an export without a start in doubt.
pub(super) fn time_out(export: &Export, context: &StepContext) -> Outcome {
    let timeout = export.request.create_timeout.as_str();
    let (timed_out, reason, next) = if let Some(accepted) = export.state.accepted().cloned() {
        let reason = format!(
            "AWS had not finished it within {timeout}; it is still polled, at longer intervals"
        );
        (
            TimedOut::Accepted(accepted),
            reason,
            poll_slowly(export, context),
        )
    } else {
        let reason = format!("AWS had not accepted it within {timeout}; it will not be started");
        (TimedOut::NotStarted, reason, NextPoll::Never)
    };
    let after = export.changed(
        ExportState::TimedOut(timed_out),
        Some(reason.clone()),
        context.now,
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

pub(super) fn forget(export: &Export, now: Timestamp) -> Outcome {
    let reason = "AWS remembers exports for 90 days; it is no longer followed".to_owned();
    let change = Change {
        export: export.changed(export.state.clone(), Some(reason.clone()), now),
        event: EventKind::Forgotten,
        detail: reason,
    };
    Outcome {
        change: Some(change),
        next: NextPoll::Never,
    }
}

pub(super) fn replace_token(export: &Export, fresh_token: &ClientToken, now: Timestamp) -> Outcome {
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
        next: NextPoll::After {
            delay: Duration::ZERO,
            failures: 0,
            in_doubt: false,
        },
    }
}
