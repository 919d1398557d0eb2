//! Verifies completed exports in the background, in turns.
//!
//! A turn lasts some seconds, or one file if that takes longer. Then the progress is stored, and
//! the verification is due again behind the others that wait. So a small verification never waits
//! for one of a terabyte, and a worker that dies loses one turn. The lease is renewed during a
//! turn. A worker that learns that another one has claimed the verification stops at once and
//! stores nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::Instrument as _;

use super::runner::Worker;
use super::verification_step::{Step, StepEnd};
use crate::aws::Aws;
use crate::clock::Clock;
use crate::domain::aws::failure::AwsFailure;
use crate::domain::error_chain::in_words;
use crate::domain::export::event::EventKind;
use crate::domain::export::verification::{Findings, Progress, Verification};
use crate::domain::lifecycle::backoff::retry_delay;
use crate::domain::lifecycle::timing::VERIFICATION_RENEWAL;
use crate::signals::{Signals, Wake};
use crate::store::verifications::ClaimedVerification;
use crate::store::{Store, StoreError};
use crate::telemetry::metrics_catalog::{EXPORT_EVENTS, FENCED_WRITES, VERIFICATIONS};
use crate::telemetry::traces;

/// How long a turn lasts. Files that are being read when it ends are finished.
pub const TURN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct VerificationWorker {
    pub store: Store,
    pub aws: Arc<Aws>,
    pub clock: Clock,
    /// Limits how many data files this process decompresses at a time.
    pub readers: Arc<Semaphore>,
    /// [`TURN`]; shorter in tests.
    pub turn: Duration,
    pub signals: Signals,
}

impl VerificationWorker {
    /// Reads one data file per processor at a time.
    #[must_use]
    pub fn new(store: Store, aws: Arc<Aws>, clock: Clock, signals: Signals) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            store,
            aws,
            clock,
            readers: Arc::new(Semaphore::new(processors)),
            turn: TURN,
            signals,
        }
    }
}

enum TurnEnd {
    Step(StepEnd),
    /// Another worker has claimed the verification.
    Lost,
    Stopping,
}

impl Worker for VerificationWorker {
    type Item = ClaimedVerification;
    const NAME: &'static str = "verifications";
    const MAX_CONCURRENT: usize = 8;

    fn store(&self) -> &Store {
        &self.store
    }

    fn due<'a>(&self, signals: &'a Signals) -> &'a Wake {
        &signals.verification_due
    }

    async fn claim(
        &self,
        limit: usize,
        ahead: Duration,
    ) -> Result<Vec<ClaimedVerification>, StoreError> {
        self.store
            .claim_verifications(i64::try_from(limit).unwrap_or(i64::MAX), ahead)
            .await
    }

    async fn work(&self, claimed: ClaimedVerification) {
        let export = &claimed.export;
        let (span, _) = traces::begin(
            export.trace_parent,
            |trace_id| tracing::error_span!("verification turn", export.id = %export.id, trace_id),
        );
        self.take_turn(claimed).instrument(span).await;
    }
}

impl VerificationWorker {
    async fn take_turn(&self, claimed: ClaimedVerification) {
        let Some(mut step) = Step::new(&claimed, Arc::clone(&self.aws), Arc::clone(&self.readers))
        else {
            tracing::error!(export.id = %claimed.export.id, "a verification was claimed whose export is not COMPLETED");
            return;
        };
        let end = tokio::select! {
            end = step.take(self.turn) => TurnEnd::Step(end),
            () = self.keep_lease(&claimed) => TurnEnd::Lost,
            () = self.signals.stopping.cancelled() => TurnEnd::Stopping,
        };
        let (progress, findings) = step.into_parts();
        let written = match end {
            TurnEnd::Step(StepEnd::Done) => self.finish(&claimed, &progress, &findings).await,
            TurnEnd::Step(StepEnd::TurnOver) | TurnEnd::Stopping => {
                self.store
                    .keep_verification(&claimed, &progress, &findings, 0, Duration::ZERO)
                    .await
            }
            TurnEnd::Step(StepEnd::Failed(failure)) => {
                self.retry(&claimed, &progress, &findings, &failure).await
            }
            TurnEnd::Lost => Err(StoreError::Conflict),
        };
        match written {
            Ok(()) => {}
            Err(StoreError::Conflict) => {
                metrics::counter!(FENCED_WRITES, "worker" => Self::NAME).increment(1);
                tracing::warn!(export.id = %claimed.export.id, "another worker has claimed the verification, or it was deleted; this turn changed nothing");
            }
            // The lease ends, and the turn is repeated.
            Err(error) => {
                tracing::error!(export.id = %claimed.export.id, error.message = in_words(&error), "the outcome of a verification turn could not be stored; the turn will be repeated");
            }
        }
    }

    /// Stores the progress and schedules the next turn after S3 failed.
    async fn retry(
        &self,
        claimed: &ClaimedVerification,
        progress: &Progress,
        findings: &Findings,
        failure: &AwsFailure,
    ) -> Result<(), StoreError> {
        let before = claimed.export.verification.as_ref();
        let made_progress = before.is_some_and(|before| before.progress != *progress);
        let failures = if made_progress {
            1
        } else {
            claimed.failures.saturating_add(1)
        };
        let delay = retry_delay(failures, self.clock.jitter());
        tracing::warn!(
            export.id = %claimed.export.id,
            aws.error.code = failure.code,
            aws.error.message = failure.message,
            retry_in_s = delay.as_secs(),
            "a verification waits for S3"
        );
        self.store
            .keep_verification(claimed, progress, findings, failures, delay)
            .await
    }

    /// Renews the lease until it is lost. While the database is unavailable, the lease stays ours
    /// until it ends; the next claim then raises the claim number, which fences this worker off.
    async fn keep_lease(&self, claimed: &ClaimedVerification) {
        loop {
            tokio::time::sleep(VERIFICATION_RENEWAL).await;
            match self.store.renew_verification(claimed).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(export.id = %claimed.export.id, error.message = in_words(&error), "a lease could not be renewed")
                }
            }
        }
    }

    async fn finish(
        &self,
        claimed: &ClaimedVerification,
        progress: &Progress,
        findings: &Findings,
    ) -> Result<(), StoreError> {
        self.store
            .finish_verification(claimed, progress, findings, self.clock.now())
            .await?;
        let outcome = if findings.total() == 0 {
            "passed"
        } else {
            "failed"
        };
        let deep = claimed
            .export
            .verification
            .as_ref()
            .is_some_and(|verification| verification.deep);
        metrics::counter!(VERIFICATIONS, "outcome" => outcome).increment(1);
        metrics::counter!(EXPORT_EVENTS, "type" => EventKind::Verified.as_str()).increment(1);
        tracing::info!(
            export.id = %claimed.export.id,
            event.name = EventKind::Verified.as_str(),
            event.detail = Verification::sentence(deep, progress, findings),
            "export changed"
        );
        self.signals.export_changed.send();
        Ok(())
    }
}
