//! Drives exports with AWS: one step of one export at a time, with no transaction open while AWS is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::crew::Work;
use crate::aws::{SearchScope, TableExports};
use crate::chance::Chance;
use crate::domain::aws_failure::{AwsFailure, FailureClass};
use crate::domain::backoff::PollBounds;
use crate::domain::export::Origin;
use crate::domain::ids::ClientToken;
use crate::domain::step::{Change, Claimed, Decision, Outcome, Surroundings, after_describe, after_search, after_start, decide};
use crate::store::deliveries::NewDelivery;
use crate::store::{Store, StoreError};

/// Drives exports with AWS.
#[derive(Debug)]
pub struct ExportWorker {
    /// The database.
    pub store: Store,
    /// AWS.
    pub aws: Arc<TableExports>,
    /// Time, randomness, identifiers.
    pub chance: Chance,
    /// Bounds of the poll delay.
    pub bounds: PollBounds,
    /// Told when an export changed: those who wait for one look at once.
    pub changed: Arc<Notify>,
    /// Told when a delivery was written.
    pub deliveries: Arc<Notify>,
}

impl Work for ExportWorker {
    type Item = Claimed;
    const NAME: &'static str = "exports";

    async fn claim(&self, limit: usize, ahead: Duration) -> Result<Vec<Claimed>, StoreError> {
        self.store.claim_exports(i64::try_from(limit).unwrap_or(i64::MAX), ahead).await
    }

    async fn work(&self, claimed: Claimed) {
        let outcome = self.take_step(&claimed).await;
        let delivery = outcome.change.as_ref().and_then(|change| NewDelivery::announcing(change, self.chance.delivery_id()));
        let delivers = delivery.is_some();
        match self.store.record(&claimed, &outcome, delivery).await {
            Ok(()) => {
                if let Some(change) = &outcome.change {
                    log_change(change);
                    self.changed.notify_waiters();
                }
                if delivers {
                    self.deliveries.notify_one();
                }
            }
            Err(StoreError::Stale) => {
                metrics::counter!("fenced_writes_total").increment(1);
                tracing::warn!(export.id = %claimed.export.id, "another worker was faster; this step changed nothing");
            }
            // The claim has rescheduled the export, so the step is taken again later.
            Err(error) => {
                tracing::error!(export.id = %claimed.export.id, error = &error as &dyn std::error::Error, "a step could not be written; it will be taken again");
            }
        }
    }
}

impl ExportWorker {
    async fn take_step(&self, claimed: &Claimed) -> Outcome {
        let request = &claimed.export.request;
        let fresh_token = self.chance.client_token();
        match decide(claimed, &fresh_token, &self.around()) {
            Decision::Write(outcome) => *outcome,
            Decision::Describe(arn) => {
                let answer = self.aws.describe(request.table_arn.region(), &arn).await;
                after_describe(claimed, answer, &self.around())
            }
            Decision::FindByToken(token) => self.search(claimed, &token, SearchScope::Table, None, &fresh_token).await,
            Decision::Start(token) => match self.aws.start(request, &token).await {
                // An earlier start may have been accepted although AWS refuses this repetition: a table can be deleted meanwhile.
                Err(refusal) if claimed.in_doubt && refusal.class == FailureClass::Refused => {
                    self.search(claimed, &token, SearchScope::Account, Some(refusal), &fresh_token).await
                }
                answer => after_start(claimed, answer, &self.around()),
            },
        }
    }

    async fn search(
        &self,
        claimed: &Claimed,
        token: &ClientToken,
        scope: SearchScope,
        refusal: Option<AwsFailure>,
        fresh_token: &ClientToken,
    ) -> Outcome {
        let made_at = match &claimed.export.origin {
            Origin::Created { token_made_at, .. } => *token_made_at,
            Origin::Imported { .. } => claimed.export.created_at,
        };
        let found = self.aws.find_by_token(&claimed.export.request.table_arn, token, made_at, scope).await;
        after_search(claimed, found, refusal, fresh_token, &self.around())
    }

    /// The time is read after a call, not before it: what AWS said is true then.
    fn around(&self) -> Surroundings {
        Surroundings { now: self.chance.now(), jitter: self.chance.jitter(), bounds: self.bounds }
    }
}

fn log_change(change: &Change) {
    metrics::counter!("export_events_total", "type" => change.event.as_str()).increment(1);
    tracing::info!(
        export.id = %change.export.id,
        export.status = change.export.status().as_str(),
        event = change.event.as_str(),
        detail = change.detail,
        "export changed"
    );
}
