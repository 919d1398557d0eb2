//! One step of one export: decide, call AWS without an open transaction, record the outcome.

use std::sync::Arc;

use tracing::Instrument as _;

use crate::aws::Aws;
use crate::clock::Clock;
use crate::domain::aws::description::ExportDescription;
use crate::domain::aws::failure::{AwsFailure, FailureClass};
use crate::domain::error_chain::in_words;
use crate::domain::export::event::EventKind;
use crate::domain::lifecycle::backoff::PollBounds;
use crate::domain::lifecycle::doubt::after_search;
use crate::domain::lifecycle::outcome::{Change, Claimed, Decision, Outcome, StepContext};
use crate::domain::lifecycle::retry::{Fresh, NextAttempt, automatic_retry};
use crate::domain::lifecycle::step::{after_describe, after_start, decide};
use crate::signals::Signals;
use crate::store::outcome::OutcomeQueue;
use crate::store::{Store, StoreError};
use crate::telemetry::metrics_catalog::{EXPORT_EVENTS, FENCED_WRITES};
use crate::telemetry::traces;

#[derive(Debug)]
pub struct Stepper {
    pub store: Store,
    /// Where outcomes are recorded.
    pub outcomes: OutcomeQueue,
    pub aws: Arc<Aws>,
    pub clock: Clock,
    /// Bounds of the delay between two polls.
    pub bounds: PollBounds,
    pub signals: Signals,
}

/// How AWS answered the call of a step. It sets the pace of the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    NoCall,
    /// A refusal is an answer too.
    Answered,
    /// AWS did not answer, or the step was a search, which paces itself.
    Unclear,
    Throttled,
    /// Too many exports run at AWS.
    LimitExceeded,
}

impl Stepper {
    /// Takes one step of a claimed export. `described` is AWS's description if it is known already;
    /// then AWS is not asked.
    pub async fn step(
        &self,
        claimed: &Claimed,
        described: Option<ExportDescription>,
    ) -> CallOutcome {
        let export = &claimed.export;
        let name = if export.state.accepted().is_none() {
            "export start"
        } else {
            "export look"
        };
        let (span, _) = traces::begin(
            export.trace_parent,
            |trace_id| tracing::error_span!("export step", otel.name = name, export.id = %export.id, trace_id),
        );
        let step = Box::pin(async {
            let (outcome, call) = self.take(claimed, described).await;
            self.record(claimed, outcome).await;
            call
        });
        step.instrument(span).await
    }

    /// Records that an export waited too long for its start. It makes no call: the claim of such an
    /// export does not mark a start as possibly sent.
    pub async fn time_out(&self, claimed: &Claimed) {
        let fresh_token = self.clock.client_token();
        if let Decision::Write(outcome) = decide(claimed, &fresh_token, &self.context()) {
            self.record(claimed, *outcome).await;
        }
    }

    async fn take(
        &self,
        claimed: &Claimed,
        described: Option<ExportDescription>,
    ) -> (Outcome, CallOutcome) {
        let request = &claimed.export.request;
        let fresh_token = self.clock.client_token();
        match decide(claimed, &fresh_token, &self.context()) {
            Decision::Write(outcome) => (*outcome, CallOutcome::NoCall),
            Decision::Describe(arn) => {
                let answer = match described.filter(|known| known.arn == arn) {
                    Some(known) => Ok(known),
                    None => self.aws.describe(&request.table_arn, &arn).await,
                };
                let call = call_outcome(&answer);
                (after_describe(claimed, answer, &self.context()), call)
            }
            Decision::FindByToken(token) => {
                let found = self.search(claimed, &token).await;
                (
                    after_search(claimed, found, None, &self.context()),
                    CallOutcome::Unclear,
                )
            }
            Decision::Start(token) => match self.aws.start(request, &token).await {
                // An earlier start may have been accepted although AWS refuses this repetition: a
                // table can be deleted meanwhile.
                Err(refusal) if claimed.in_doubt && refusal.class == FailureClass::Refused => {
                    let found = self.search(claimed, &token).await;
                    (
                        after_search(claimed, found, Some(refusal), &self.context()),
                        CallOutcome::Unclear,
                    )
                }
                answer => {
                    let call = call_outcome(&answer);
                    (after_start(claimed, answer, &self.context()), call)
                }
            },
        }
    }

    async fn record(&self, claimed: &Claimed, mut outcome: Outcome) {
        let fresh = Fresh {
            id: self.clock.export_id(),
            token: self.clock.client_token(),
        };
        let next = outcome
            .change
            .as_mut()
            .and_then(|change| automatic_retry(change, fresh, self.clock.jitter()));
        match self
            .outcomes
            .record(claimed, &outcome, next.as_ref(), self.clock.delivery_id())
            .await
        {
            Ok(deliveries) => {
                if let Some(change) = &outcome.change {
                    log_change(change);
                    if let Some(next) = &next {
                        log_next(next);
                    }
                    self.signals.export_changed.send();
                }
                if deliveries > 0 {
                    self.signals.delivery_due.send();
                }
            }
            Err(StoreError::Conflict) => {
                metrics::counter!(FENCED_WRITES, "worker" => "exports").increment(1);
                tracing::warn!(export.id = %claimed.export.id, "another worker has claimed the export; this step changed nothing");
            }
            // The claim has rescheduled the export, so the step is repeated later.
            Err(error) => {
                tracing::error!(export.id = %claimed.export.id, error.message = in_words(&error), "the outcome of a step could not be stored; the step will be repeated");
            }
        }
    }

    /// Read after a call to AWS, not before: the answer is true at that time.
    pub fn context(&self) -> StepContext {
        StepContext {
            now: self.clock.now(),
            jitter: self.clock.jitter(),
            bounds: self.bounds,
        }
    }
}

fn call_outcome<T>(answer: &Result<T, AwsFailure>) -> CallOutcome {
    match answer.as_ref().err().map(|failure| failure.class) {
        Some(FailureClass::Throttled) => CallOutcome::Throttled,
        Some(FailureClass::LimitExceeded) => CallOutcome::LimitExceeded,
        Some(FailureClass::Unknown) => CallOutcome::Unclear,
        _ => CallOutcome::Answered,
    }
}

fn log_next(next: &NextAttempt) {
    metrics::counter!(EXPORT_EVENTS, "type" => EventKind::Created.as_str()).increment(1);
    tracing::info!(export.id = %next.export.id, event.detail = next.detail, "export accepted");
}

fn log_change(change: &Change) {
    metrics::counter!(EXPORT_EVENTS, "type" => change.event.as_str()).increment(1);
    tracing::info!(
        export.id = %change.export.id,
        export.status = change.export.status().as_str(),
        event.name = change.event.as_str(),
        event.detail = change.detail,
        "export changed"
    );
}
