//! Retries: an export that came to nothing is asked for again, as a new export with a new token.
//! Never the same one twice: a token is started once, and an export is retried once (the next retry
//! is one of the retry).
//!
//! A caller may retry whatever came to nothing. By itself an export is retried only if its failure
//! can pass ([`Failure::retryable`]) and its request allows another attempt; that is decided
//! together with the failure.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::backoff::{Jitter, next_attempt_delay};
use super::event::EventKind;
use super::export::{Export, ExportState, ExportStatus, Failed, Origin, TimedOut};
use super::failure::Failure;
use super::ids::{ClientToken, ExportId};
use super::invalid::Invalid;
use super::request::ExportKind;
use super::step::Change;
use super::timestamp::Timestamp;

/// How often an export may be attempted, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExportRetry)]
pub struct RetryPolicy {
    /// How many exports are made for one request, the first included: 1 to 10.
    #[schema(minimum = 1, maximum = 10, example = 1)]
    max_attempts: u32,
}

impl RetryPolicy {
    /// So many attempts.
    ///
    /// # Errors
    /// It is not a whole number from 1 to 10.
    pub fn parse(max_attempts: i64) -> Result<Self, Invalid> {
        match u32::try_from(max_attempts) {
            Ok(max_attempts @ 1..=10) => Ok(Self { max_attempts }),
            _ => Err(Invalid::new(
                "must be a whole number from 1 (no retries) to 10",
            )),
        }
    }

    /// A number that the database holds: not judged again.
    #[must_use]
    pub fn known(max_attempts: u32) -> Self {
        Self { max_attempts }
    }

    /// How many exports are made for one request, the first included.
    #[must_use]
    pub fn max_attempts(self) -> u32 {
        self.max_attempts
    }
}

impl Default for RetryPolicy {
    /// No retries.
    fn default() -> Self {
        Self { max_attempts: 1 }
    }
}

/// The place of an export in a row of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// The export that this one repeats.
    pub retry_of: Option<ExportId>,
    /// The export that repeats this one.
    pub retried_by: Option<ExportId>,
}

impl Default for Attempt {
    /// The first.
    fn default() -> Self {
        Self {
            number: 1,
            retry_of: None,
            retried_by: None,
        }
    }
}

/// Id and token for an export that may be made; drawn before it is known whether it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// The id.
    pub id: ExportId,
    /// The token.
    pub token: ClientToken,
}

/// An attempt that follows by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct NextAttempt {
    /// The new export, PENDING.
    pub export: Export,
    /// How long it waits before its start.
    pub delay: Duration,
    /// Its first event in words.
    pub detail: String,
}

/// How far a snapshot that was asked for "now" may lie from the start of its export: AWS's times
/// "may vary within a one-minute window".
const NOW_WITHIN: Duration = Duration::from_secs(60);

/// Whether an export can be retried.
///
/// # Errors
/// It has not ended, has ended well, or AWS may still end it well; the sentence says which.
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
            "the export is TIMED_OUT, but AWS has accepted it and may still end it; create a new one to export again",
        )),
    }
}

/// The same request once more: a new export with a new token.
#[must_use]
pub fn again(export: &Export, fresh: Fresh, now: Timestamp) -> Export {
    let mut request = export.request.clone();
    // A snapshot that was asked for "now" is one of now again: AWS could not recover the settled
    // time before it is some minutes old.
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

/// Decides whether an export that has just FAILED is retried by itself; if so, says it in the
/// change.
#[must_use]
pub fn by_itself(change: &mut Change, fresh: Fresh, jitter: Jitter) -> Option<NextAttempt> {
    let failed = &mut change.export;
    let most = failed.request.retry.max_attempts();
    let has_failed = matches!(
        failed.state,
        ExportState::Failed(Failed::ByAws { .. } | Failed::Refused { .. })
    );
    if change.event != EventKind::Failed
        || !has_failed
        || failed.attempt.number >= most
        || !Failure::of(failed)?.retryable
    {
        return None;
    }
    let now = failed.updated_at;
    let mut export = again(failed, fresh, now);
    let number = export.attempt.number;
    let delay = next_attempt_delay(
        failed.attempt.number,
        export.request.create_timeout.duration(),
        jitter,
    );
    let starts = now.plus(delay).whole_seconds();
    export.status_reason = Some(format!("attempt {number} of {most}; it starts at {starts}"));
    failed.attempt.retried_by = Some(export.id);
    let reason = failed
        .status_reason
        .take()
        .unwrap_or_else(|| ExportStatus::Failed.as_str().to_owned());
    failed.status_reason = Some(format!(
        "{reason}; attempt {number} of {most} follows as {}",
        export.id
    ));
    change.detail = format!(
        "{}; attempt {number} of {most} follows as {}",
        change.detail, export.id
    );
    let detail = format!(
        "attempt {number} of {most}, after {} failed; it starts at {starts}",
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
    use crate::arn::ExportArn;
    use crate::export::Accepted;
    use crate::preflight::examples::request;

    fn t(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn fresh(n: u128) -> Fresh {
        Fresh {
            id: ExportId(Uuid::from_u128(n)),
            token: ClientToken::known(format!("token {n}")),
        }
    }

    fn failed(code: &str, max_attempts: i64) -> Export {
        let now = t("2026-03-10T12:00:00Z");
        let mut request = request();
        request.retry = RetryPolicy::parse(max_attempts).unwrap();
        let accepted = Accepted {
            arn: ExportArn::known("arn".to_owned()),
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
        let next = by_itself(&mut change, fresh(2), Jitter(0.5));
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
            again(&export, fresh(2), export.updated_at).request.kind
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
