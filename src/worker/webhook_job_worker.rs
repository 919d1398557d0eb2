//! Runs webhook jobs, which send past deliveries again, in batches; and abandons deliveries whose
//! endpoint is disabled.

use std::time::Duration;

use uuid::Uuid;

use super::runner::Worker;
use crate::clock::Clock;
use crate::domain::error_chain::in_words;
use crate::signals::{Signals, Wake};
use crate::store::webhook_jobs::Batch;
use crate::store::{Store, StoreError};

/// How many deliveries one statement abandons.
const BATCH: i64 = 500;

#[derive(Debug)]
pub struct WebhookJobWorker {
    pub store: Store,
    pub clock: Clock,
    pub signals: Signals,
}

impl Worker for WebhookJobWorker {
    type Item = Uuid;
    const NAME: &'static str = "webhook_jobs";
    const MAX_CONCURRENT: usize = 2;
    const IDLE: Duration = Duration::from_secs(1);

    fn store(&self) -> &Store {
        &self.store
    }

    fn due<'a>(&self, signals: &'a Signals) -> &'a Wake {
        &signals.job_due
    }

    async fn claim(&self, limit: usize, ahead: Duration) -> Result<Vec<Uuid>, StoreError> {
        // One batch per claim; the next claims abandon the rest.
        self.store.abandon_deliveries(BATCH).await?;
        self.store
            .claim_webhook_jobs(i64::try_from(limit).unwrap_or(i64::MAX), ahead)
            .await
    }

    async fn work(&self, id: Uuid) {
        while !self.signals.stopping.is_cancelled() {
            match self
                .store
                .advance_webhook_job(id, self.clock.now(), &|| self.clock.delivery_id())
                .await
            {
                Ok(batch) => {
                    self.signals.delivery_due.send();
                    if batch != Batch::More {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        job.id = %id,
                        error.message = in_words(&error),
                        "a batch of a webhook job failed; the job continues where it was"
                    );
                    return;
                }
            }
        }
    }
}
