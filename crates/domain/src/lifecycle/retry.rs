//! Retries: a new export, with a new token, for the request of an export that failed, was cancelled
//! or timed out.
//!
//! A token is started once, and an export is retried once; the next retry is a retry of the retry.
//!
//! A caller may retry every such export. The service retries one automatically only if its failure
//! is [`Failure::retryable`] and its request allows another attempt. That is decided together with
//! the failure.

use std::time::Duration;

use crate::export::attempt::Attempt;
use crate::export::event::EventKind;
use crate::export::failure::Failure;
use crate::export::request::ExportKind;
use crate::export::{Export, ExportState, ExportStatus, Failed, Origin, TimedOut};
use crate::ids::{ClientToken, ExportId};
use crate::invalid::Invalid;
use crate::lifecycle::backoff::{Jitter, next_attempt_delay};
use crate::lifecycle::outcome::Change;
use crate::timestamp::Timestamp;

/// Id and token of an export that may be created; drawn before it is known whether they are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    pub id: ExportId,
    pub token: ClientToken,
}

/// An automatic retry.
#[derive(Debug, Clone, PartialEq)]
pub struct NextAttempt {
    /// PENDING.
    pub export: Export,
    /// Delay before its start.
    pub delay: Duration,
    /// Text of its first event.
    pub detail: String,
}

/// How far the snapshot time of a request without a time may be from the start of its export: AWS's
/// times "may vary within a one-minute window".
const NOW_WITHIN: Duration = Duration::from_secs(60);

/// Whether a caller can retry an export. Otherwise says why not: it has not ended, has completed,
/// or AWS may still complete it.
pub fn check_retryable(export: &Export) -> Result<(), Invalid> {
    match &export.state {
        ExportState::Failed(_)
        | ExportState::Cancelled
        | ExportState::TimedOut(TimedOut::NotStarted) => Ok(()),
        ExportState::Pending | ExportState::InProgress(_) => Err(Invalid::new(format!(
            "the export is {}; it has not ended",
            export.status().as_str()
        ))),
        ExportState::Completed(..) => Err(Invalid::new(
            "the export is COMPLETED; create a new one to export again",
        )),
        ExportState::TimedOut(TimedOut::InDoubt) => Err(Invalid::new(
            "the export is TIMED_OUT, but AWS may have accepted a start whose answer was lost; failure.hint says how to check. \
             Create a new one to export again",
        )),
        ExportState::TimedOut(TimedOut::Accepted(_)) => Err(Invalid::new(
            "the export is TIMED_OUT, but AWS has accepted it and may still complete it; create a new one to export again",
        )),
    }
}

/// A new export with a new token for the same request.
#[must_use]
pub fn new_attempt(export: &Export, fresh: Fresh, now: Timestamp) -> Export {
    let mut request = export.request.clone();
    // A request for a snapshot of now asks for now again. AWS cannot recover the settled time until
    // it is some minutes old.
    if let (ExportKind::Full { export_time }, Some(began)) = (&mut request.kind, began(export))
        && export_time.is_some_and(|time| time.plus(NOW_WITHIN) >= began)
    {
        *export_time = None;
    }
    Export {
        id: fresh.id,
        version: 1,
        created_at: now,
        created_by: export.created_by.clone(),
        updated_at: now,
        origin: Origin::Created {
            client_token: fresh.token,
            token_made_at: now,
        },
        request,
        state: ExportState::Pending,
        status_reason: Some("accepted; AWS has not been asked yet".to_owned()),
        attempt: Attempt {
            number: export.attempt.number.saturating_add(1),
            retry_of: Some(export.id),
            retried_by: None,
        },
        verification: None,
        estimate: export.estimate,
        trace_parent: export.trace_parent,
    }
}

fn began(export: &Export) -> Option<Timestamp> {
    export
        .state
        .accepted()
        .and_then(|accepted| accepted.start_time)
}

/// Decides whether an export that has just FAILED is retried automatically; if so, adds that to the
/// change.
#[must_use]
pub fn automatic_retry(change: &mut Change, fresh: Fresh, jitter: Jitter) -> Option<NextAttempt> {
    let failed = &mut change.export;
    let max = failed.request.retry.max_attempts();
    let has_failed = matches!(
        failed.state,
        ExportState::Failed(Failed::ByAws { .. } | Failed::Refused { .. })
    );
    if change.event != EventKind::Failed
        || !has_failed
        || failed.attempt.number >= max
        || !Failure::from_export(failed)?.retryable
    {
        return None;
    }
    let now = failed.updated_at;
    let mut export = new_attempt(failed, fresh, now);
    let number = export.attempt.number;
    let delay = next_attempt_delay(
        failed.attempt.number,
        export.request.create_timeout.duration(),
        jitter,
    );
    let starts = now.plus(delay).whole_seconds();
    export.status_reason = Some(format!("attempt {number} of {max}; it starts at {starts}"));
    failed.attempt.retried_by = Some(export.id);
    let reason = failed
        .status_reason
        .take()
        .unwrap_or_else(|| ExportStatus::Failed.as_str().to_owned());
    failed.status_reason = Some(format!(
        "{reason}; attempt {number} of {max} follows as {}",
        export.id
    ));
    change.detail = format!(
        "{}; attempt {number} of {max} follows as {}",
        change.detail, export.id
    );
    let detail = format!(
        "attempt {number} of {max}, after {} failed; it starts at {starts}",
        failed.id
    );
    Some(NextAttempt {
        export,
        delay,
        detail,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::aws::arn::ExportArn;
    use crate::export::Accepted;
    use crate::export::attempt::RetryPolicy;
    use crate::preflight::examples::request;

    fn t(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn fresh(n: u128) -> Fresh {
        Fresh {
            id: ExportId(Uuid::from_u128(n)),
            token: ClientToken::from_trusted(format!("token {n}")),
        }
    }

    fn failed(code: &str, max_attempts: i64) -> Export {
        let now = t("2026-03-10T12:00:00Z");
        let mut request = request();
        request.retry = RetryPolicy::parse(max_attempts).unwrap();
        let accepted = Accepted {
            arn: ExportArn::from_trusted("arn".to_owned()),
            table_id: None,
            start_time: Some(t("2026-03-10T11:50:00Z")),
        };
        let failed = Failed::ByAws {
            accepted,
            end_time: None,
            code: code.to_owned(),
            message: "words".to_owned(),
        };
        Export {
            id: fresh(1).id,
            version: 3,
            created_by: None,
            created_at: now,
            updated_at: now,
            origin: Origin::Created {
                client_token: fresh(1).token,
                token_made_at: now,
            },
            request,
            state: ExportState::Failed(failed),
            status_reason: Some("AWS failed it".to_owned()),
            attempt: Attempt::default(),
            verification: None,
            estimate: None,
            trace_parent: None,
        }
    }

    fn retry(export: Export) -> (Change, Option<NextAttempt>) {
        let mut change = Change {
            export,
            event: EventKind::Failed,
            detail: "failed".to_owned(),
        };
        let next = automatic_retry(&mut change, fresh(2), Jitter(0.5));
        (change, next)
    }

    #[test]
    fn what_can_pass_is_retried_until_the_attempts_are_used_up() {
        let (change, next) = retry(failed("InternalServerError", 2));
        let next = next.unwrap();
        assert_eq!(change.export.attempt.retried_by, Some(next.export.id));
        assert_eq!(
            (next.export.attempt.number, next.export.attempt.retry_of),
            (2, Some(change.export.id))
        );
        assert_ne!(
            next.export.origin.client_token(),
            change.export.origin.client_token()
        );
        assert_eq!(next.export.status(), ExportStatus::Pending);
        let last = Export {
            attempt: Attempt {
                number: 2,
                ..Attempt::default()
            },
            ..failed("InternalServerError", 2)
        };
        assert!(retry(last).1.is_none());
        assert!(retry(failed("InternalServerError", 1)).1.is_none());
        assert!(retry(failed("S3NoSuchBucket", 10)).1.is_none());
    }

    #[test]
    fn a_snapshot_of_now_is_one_of_now_again() {
        let at = |time: &str| {
            let mut export = failed("InternalServerError", 2);
            export.request.kind = ExportKind::Full {
                export_time: Some(t(time)),
            };
            new_attempt(&export, fresh(2), export.updated_at)
                .request
                .kind
        };
        assert_eq!(
            at("2026-03-10T11:50:00Z"),
            ExportKind::Full { export_time: None }
        );
        let asked_for = t("2026-03-10T11:40:00Z");
        assert_eq!(
            at("2026-03-10T11:40:00Z"),
            ExportKind::Full {
                export_time: Some(asked_for)
            }
        );
    }
}
