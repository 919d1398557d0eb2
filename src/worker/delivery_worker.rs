//! Makes attempts of webhook deliveries: sign, send, write what came of it.

use std::time::{Duration, Instant};

use super::crew::Work;
use crate::causes::in_words;
use crate::chance::Chance;
use crate::domain::backoff::delivery_delay;
use crate::domain::webhook::secret::WebhookSecret;
use crate::store::deliveries::{Attempt, DueDelivery};
use crate::store::{Store, StoreError};
use crate::webhook::{Answer, WebhookClient, sign};

/// The longest that a receiver's `Retry-After` is honoured: the longest delay of the schedule.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Makes attempts of webhook deliveries.
#[derive(Debug)]
pub struct DeliveryWorker {
    /// The database.
    pub store: Store,
    /// Sends requests.
    pub client: WebhookClient,
    /// Signs callbacks that brought no secret.
    pub default_secret: Option<WebhookSecret>,
    /// Time and randomness.
    pub chance: Chance,
}

impl Work for DeliveryWorker {
    type Item = DueDelivery;
    const NAME: &'static str = "deliveries";
    const HANDS: usize = 256;

    async fn claim(&self, limit: usize, ahead: Duration) -> Result<Vec<DueDelivery>, StoreError> {
        self.store.claim_deliveries(i64::try_from(limit).unwrap_or(i64::MAX), ahead).await
    }

    async fn work(&self, delivery: DueDelivery) {
        let at = self.chance.now();
        let began = Instant::now();
        let answer = self.send(&delivery, at.unix_seconds()).await;
        let (attempt, retry_after) = judge(answer, at, began.elapsed());
        let outcome = if attempt.error.is_none() { "delivered" } else { "failed" };
        metrics::counter!("webhook_attempts_total", "outcome" => outcome).increment(1);
        let retry_in = delivery_delay(delivery.attempts + 1, self.chance.jitter())
            .map(|delay| delay.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER)));
        if let Some(error) = &attempt.error {
            tracing::warn!(delivery.id = %delivery.id, attempt = delivery.attempts + 1, error, retry_in_s = retry_in.map(|d| d.as_secs()), "a webhook was not delivered");
        }
        match self.store.record_attempt(&delivery, &attempt, retry_in).await {
            Ok(()) => {}
            Err(StoreError::Stale) => metrics::counter!("fenced_writes_total").increment(1),
            Err(error) => {
                tracing::error!(delivery.id = %delivery.id, error = in_words(&error), "an attempt could not be written; it will be made again");
            }
        }
    }
}

impl DeliveryWorker {
    async fn send(&self, delivery: &DueDelivery, timestamp_s: i64) -> Result<Answer, String> {
        let own =
            delivery.signing_secret.as_deref().map(WebhookSecret::parse).transpose().map_err(|e| format!("the callback's secret {e}"))?;
        let secret = own.or_else(|| self.default_secret.clone());
        let secret = secret.ok_or("there is no secret to sign with: TABLEFERRY_WEBHOOK_SECRET is not set any more")?;
        let id = delivery.id.to_string();
        let signature = sign(&secret, &id, timestamp_s, delivery.body.as_bytes());
        self.client.send(&delivery.url, &id, timestamp_s, &signature, delivery.body.clone()).await.map_err(|e| in_words(&e))
    }
}

/// Any 2xx is success; everything else, redirects included, is a failure that is tried again.
fn judge(answer: Result<Answer, String>, at: crate::domain::timestamp::Timestamp, duration: Duration) -> (Attempt, Option<Duration>) {
    match answer {
        Ok(Answer { status_code, retry_after }) => {
            let error = (!(200..300).contains(&status_code)).then(|| format!("the receiver answered {status_code}"));
            (Attempt { at, duration, status_code: Some(status_code), error }, retry_after)
        }
        Err(error) => (Attempt { at, duration, status_code: None, error: Some(error) }, None),
    }
}
