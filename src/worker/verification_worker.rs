//! Verifies completed exports in the background, a turn at a time.
//!
//! A turn lasts some seconds, or one file if that takes longer; then how far it came is written,
//! and the verification is due again behind those that wait. So a small one never waits for a
//! terabyte, and a worker that dies has lost a turn. While a turn lasts the hold is renewed; a
//! worker that finds that another has taken over stops at once and writes nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::crew::Work;
use super::verification_step::{Step, StepEnd};
use crate::aws::Aws;
use crate::clock::Chance;
use crate::domain::backoff::retry_delay;
use crate::domain::event::EventKind;
use crate::domain::timing::VERIFICATION_RENEWAL;
use crate::domain::verification::{Findings, Progress, Verification};
use crate::store::verifications::ClaimedVerification;
use crate::store::{Store, StoreError};
use crate::telemetry::error_chain::in_words;
use crate::telemetry::metrics_catalog::{EXPORT_EVENTS, FENCED_WRITES, VERIFICATIONS};
use crate::telemetry::traces;

/// How long a turn lasts, less the files in hand.
pub const TURN: Duration = Duration::from_secs(10);

/// Verifies completed exports.
#[derive(Debug)]
pub struct VerificationWorker {
    /// The database.
    pub store: Store,
    /// AWS.
    pub aws: Arc<Aws>,
    /// Time and randomness.
    pub chance: Chance,
    /// How many data files are decompressed at a time in this process.
    pub readers: Arc<Semaphore>,
    /// How long a turn lasts: [`TURN`], less in tests.
    pub turn: Duration,
    /// Told when an export changed.
    pub changed: Arc<Notify>,
    /// Cancelled when the process begins to stop: then what was checked is written, and the file in
    /// hand is given up.
    pub stopping: CancellationToken,
}

impl VerificationWorker {
    /// A worker that reads as many data files at a time as this machine has processors.
    #[must_use]
    pub fn new(
        store: Store,
        aws: Arc<Aws>,
        chance: Chance,
        changed: Arc<Notify>,
        stopping: CancellationToken,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            store,
            aws,
            chance,
            readers: Arc::new(Semaphore::new(processors)),
            turn: TURN,
            changed,
            stopping,
        }
    }
}

/// What a turn came to.
enum TurnEnd {
    /// The step ended by itself.
    Step(StepEnd),
    /// Another worker has the verification.
    Lost,
    /// The process stops.
    Stopping,
}

impl Work for VerificationWorker {
    type Item = ClaimedVerification;
    const NAME: &'static str = "verifications";
    const HANDS: usize = 8;

    fn store(&self) -> &Store {
        &self.store
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
        let Some(mut step) = Step::of(self, &claimed) else {
            tracing::error!(export.id = %claimed.export.id, "an export is verified that is not COMPLETED");
            return;
        };
        let end = tokio::select! {
            end = step.take() => TurnEnd::Step(end),
            () = self.keep_hold(&claimed) => TurnEnd::Lost,
            () = self.stopping.cancelled() => TurnEnd::Stopping,
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
                let came_on = claimed
                    .export
                    .verification
                    .as_ref()
                    .is_some_and(|before| before.progress != progress);
                let failures = if came_on {
                    1
                } else {
                    claimed.failures.saturating_add(1)
                };
                let delay = retry_delay(failures, self.chance.jitter());
                tracing::warn!(export.id = %claimed.export.id, aws.error.code = failure.code, aws.error.message = failure.message, retry_in_s = delay.as_secs(), "a verification waits for S3");
                self.store
                    .keep_verification(&claimed, &progress, &findings, failures, delay)
                    .await
            }
            TurnEnd::Lost => Err(StoreError::Stale),
        };
        match written {
            Ok(()) => {}
            Err(StoreError::Stale) => {
                metrics::counter!(FENCED_WRITES, "worker" => Self::NAME).increment(1);
                tracing::warn!(export.id = %claimed.export.id, "another worker has the verification, or it is gone; this turn changed nothing");
            }
            // The hold ends, and the turn is taken again.
            Err(error) => {
                tracing::error!(export.id = %claimed.export.id, error.message = in_words(&error), "a verification could not be written; its turn will be taken again");
            }
        }
    }

    /// Renews the hold until it is lost. While the database is away it stays ours until the hold
    /// ends, and then whoever claims it raises the number of the claim.
    async fn keep_hold(&self, claimed: &ClaimedVerification) {
        loop {
            tokio::time::sleep(VERIFICATION_RENEWAL).await;
            match self.store.renew_verification(claimed).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(export.id = %claimed.export.id, error.message = in_words(&error), "a hold could not be renewed")
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
            .finish_verification(claimed, progress, findings, self.chance.now())
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
        self.changed.notify_waiters();
        Ok(())
    }
}
