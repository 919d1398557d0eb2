//! Works on jobs that send again, batch after batch, and gives up deliveries whose endpoint is
//! disabled.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::crew::Work;
use crate::clock::Chance;
use crate::store::webhook_jobs::Batch;
use crate::store::{Store, StoreError};
use crate::telemetry::error_chain::in_words;

/// How many deliveries are given up by one statement.
const BATCH: i64 = 500;

/// Works on jobs that send again.
#[derive(Debug)]
pub struct WebhookJobWorker {
    /// The database.
    pub store: Store,
    /// Time and identifiers.
    pub chance: Chance,
    /// Told when deliveries are due.
    pub deliveries: Arc<Notify>,
    /// No further batch is begun when this is cancelled.
    pub stopping: CancellationToken,
}

impl Work for WebhookJobWorker {
    type Item = Uuid;
    const NAME: &'static str = "webhook_jobs";
    const HANDS: usize = 2;
    const IDLE: Duration = Duration::from_secs(1);

    fn store(&self) -> &Store {
        &self.store
    }

    async fn claim(&self, limit: usize, ahead: Duration) -> Result<Vec<Uuid>, StoreError> {
        // One batch per claim; the next claims abandon the rest.
        self.store.abandon_deliveries(BATCH).await?;
        self.store
            .claim_webhook_jobs(i64::try_from(limit).unwrap_or(i64::MAX), ahead)
            .await
    }

    async fn work(&self, id: Uuid) {
        while !self.stopping.is_cancelled() {
            match self
                .store
                .advance_webhook_job(id, self.chance.now(), &|| self.chance.delivery_id())
                .await
            {
                Ok(batch) => {
                    self.deliveries.notify_one();
                    if batch != Batch::More {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(job.id = %id, error.message = in_words(&error), "a batch of a webhook job failed; it goes on from where it stood");
                    return;
                }
            }
        }
    }
}
