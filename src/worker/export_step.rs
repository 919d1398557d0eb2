//! One step of one export: decide, call AWS with no transaction open, write what it means.

use std::sync::Arc;

use tokio::sync::Notify;
use tracing::Instrument as _;

use crate::aws::Aws;
use crate::clock::Chance;
use crate::domain::aws_failure::{AwsFailure, FailureClass};
use crate::domain::backoff::PollBounds;
use crate::domain::description::ExportDescription;
use crate::domain::doubt::after_search;
use crate::domain::event::EventKind;
use crate::domain::retry::{Fresh, NextAttempt, by_itself};
use crate::domain::step::{
    Change, Claimed, Decision, Outcome, Surroundings, after_describe, after_start, decide,
};
use crate::store::record::StepQueue;
use crate::store::{Store, StoreError};
use crate::telemetry::error_chain::in_words;
use crate::telemetry::metrics_catalog::{EXPORT_EVENTS, FENCED_WRITES};
use crate::telemetry::traces;

/// Takes steps.
#[derive(Debug)]
pub struct Stepper {
    /// The database.
    pub store: Store,
    /// Writes what came of steps.
    pub steps: StepQueue,
    /// AWS.
    pub aws: Arc<Aws>,
    /// Time, randomness, identifiers.
    pub chance: Chance,
    /// Bounds of the poll delay.
    pub bounds: PollBounds,
    /// Told when an export changed: those who wait for one look at once.
    pub changed: Arc<Notify>,
    /// Told when a delivery was written.
    pub deliveries: Arc<Notify>,
}

/// How AWS took the call of a step, for the pace of its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// No call was made.
    NoCall,
    /// AWS answered, if only with a refusal.
    Answered,
    /// No answer, or a search, which paces itself.
    Unclear,
    /// Too many calls.
    Throttled,
    /// Too many exports.
    LimitExceeded,
}

impl Stepper {
    /// Takes one step of a claimed export. `described` is what is known of it already, instead of
    /// asking AWS.
    pub async fn step(&self, claimed: &Claimed, described: Option<ExportDescription>) -> Taken {
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
            let (outcome, taken) = self.take(claimed, described).await;
            self.write(claimed, outcome).await;
            taken
        });
        step.instrument(span).await
    }

    /// Writes that an export waited too long for its start. No call is made: its claim does not say
    /// that a start may be on its way.
    pub async fn time_out(&self, claimed: &Claimed) {
        let fresh_token = self.chance.client_token();
        if let Decision::Write(outcome) = decide(claimed, &fresh_token, &self.around()) {
            self.write(claimed, *outcome).await;
        }
    }

    async fn take(
        &self,
        claimed: &Claimed,
        described: Option<ExportDescription>,
    ) -> (Outcome, Taken) {
        let request = &claimed.export.request;
        let fresh_token = self.chance.client_token();
        match decide(claimed, &fresh_token, &self.around()) {
            Decision::Write(outcome) => (*outcome, Taken::NoCall),
            Decision::Describe(arn) => {
                let answer = match described.filter(|known| known.arn == arn) {
                    Some(known) => Ok(known),
                    None => self.aws.describe(&request.table_arn, &arn).await,
                };
                let taken = taken(&answer);
                (after_describe(claimed, answer, &self.around()), taken)
            }
            Decision::FindByToken(token) => {
                let found = self.search(claimed, &token).await;
                (
                    after_search(claimed, found, None, &self.around()),
                    Taken::Unclear,
                )
            }
            Decision::Start(token) => match self.aws.start(request, &token).await {
                // An earlier start may have been accepted although AWS refuses this repetition: a
                // table can be deleted meanwhile.
                Err(refusal) if claimed.in_doubt && refusal.class == FailureClass::Refused => {
                    let found = self.search(claimed, &token).await;
                    (
                        after_search(claimed, found, Some(refusal), &self.around()),
                        Taken::Unclear,
                    )
                }
                answer => {
                    let taken = taken(&answer);
                    (after_start(claimed, answer, &self.around()), taken)
                }
            },
        }
    }

    async fn write(&self, claimed: &Claimed, mut outcome: Outcome) {
        let fresh = Fresh {
            id: self.chance.export_id(),
            token: self.chance.client_token(),
        };
        let next = outcome
            .change
            .as_mut()
            .and_then(|change| by_itself(change, fresh, self.chance.jitter()));
        match self
            .steps
            .record(claimed, &outcome, next.as_ref(), self.chance.delivery_id())
            .await
        {
            Ok(deliveries) => {
                if let Some(change) = &outcome.change {
                    log_change(change);
                    if let Some(next) = &next {
                        log_next(next);
                    }
                    self.changed.notify_waiters();
                }
                if deliveries > 0 {
                    self.deliveries.notify_one();
                }
            }
            Err(StoreError::Stale) => {
                metrics::counter!(FENCED_WRITES, "worker" => "exports").increment(1);
                tracing::warn!(export.id = %claimed.export.id, "another worker has the export; this step changed nothing");
            }
            // The claim has rescheduled the export, so the step is taken again later.
            Err(error) => {
                tracing::error!(export.id = %claimed.export.id, error.message = in_words(&error), "a step could not be written; it will be taken again");
            }
        }
    }

    /// The time is read after a call, not before it: what AWS said is true then.
    pub fn around(&self) -> Surroundings {
        Surroundings {
            now: self.chance.now(),
            jitter: self.chance.jitter(),
            bounds: self.bounds,
        }
    }
}

fn taken<T>(answer: &Result<T, AwsFailure>) -> Taken {
    match answer.as_ref().err().map(|failure| failure.class) {
        Some(FailureClass::Throttled) => Taken::Throttled,
        Some(FailureClass::LimitExceeded) => Taken::LimitExceeded,
        Some(FailureClass::Unknown) => Taken::Unclear,
        _ => Taken::Answered,
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
