//! Makes attempts of webhook deliveries: take each receiver its share, sign, send, write what came
//! of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::crew::Work;
use crate::clock::Chance;
use crate::domain::timestamp::Timestamp;
use crate::domain::trace::TraceParent;
use crate::domain::webhook::delivery::{Attempt, DeliveryStatus};
use crate::domain::webhook::endpoint::{DisabledReason, EndpointId};
use crate::domain::webhook::error_class::ErrorClass;
use crate::domain::webhook::secret::{Sealed, WebhookSecret};
use crate::domain::webhook::share::{InHand, MOST_AT_ONE, shares};
use crate::domain::webhook::verdict::{Answered, Verdict, failed_too_long};
use crate::keyring::Keyring;
use crate::store::deliveries::{AttemptEffect, DueDelivery};
use crate::store::{Store, StoreError};
use crate::telemetry::error_chain::in_words;
use crate::telemetry::metrics_catalog::{
    ENDPOINTS_DISABLED, FENCED_WRITES, WEBHOOK_ATTEMPTS, WEBHOOK_LAG,
};
use crate::telemetry::traces;
use crate::webhooks::vault::{Vault, VaultError};
use crate::webhooks::{Answer, Outgoing, SendError, SigningKey, WebhookClient, sign};

/// Makes attempts of webhook deliveries.
#[derive(Debug)]
pub struct DeliveryWorker {
    /// The database.
    pub store: Store,
    /// Sends requests.
    pub client: WebhookClient,
    /// Opens secrets.
    pub vault: Vault,
    /// The keys of this service.
    pub keyring: Arc<Keyring>,
    /// Signs callbacks that brought no secret.
    pub default_secret: Option<WebhookSecret>,
    /// Time and randomness.
    pub chance: Chance,
    /// Told when a receiver that was at its cap can get more.
    pub due: Arc<Notify>,
    /// What is under way, by receiver.
    pub in_hand: Arc<Mutex<HashMap<String, InHand>>>,
}

/// A claimed delivery with what signs it beside its own secrets.
#[derive(Debug)]
pub struct Parcel {
    delivery: DueDelivery,
    keys: Arc<[SigningKey]>,
    _hand: Hand,
}

/// A hand that holds a delivery; free again when this is dropped, however the work ends.
#[derive(Debug)]
struct Hand {
    in_hand: Arc<Mutex<HashMap<String, InHand>>>,
    due: Arc<Notify>,
    receiver: String,
}

impl Drop for Hand {
    fn drop(&mut self) {
        let mut in_hand = locked(&self.in_hand);
        if let Some(held) = in_hand.get_mut(&self.receiver) {
            if held.count >= MOST_AT_ONE || held.failing {
                // It may have more waiting, which was passed over for its cap.
                self.due.notify_one();
            }
            held.count -= 1;
            if held.count == 0 {
                in_hand.remove(&self.receiver);
            }
        }
    }
}

fn locked(in_hand: &Mutex<HashMap<String, InHand>>) -> MutexGuard<'_, HashMap<String, InHand>> {
    // A poisoned lock still holds a usable map: nothing is left half done in it.
    in_hand.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why nothing could be sent.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("what signs it cannot be used")]
    Vault(#[from] VaultError),
    #[error("there is no secret to sign with: TABLEFERRY_WEBHOOK_SECRET is not set any more")]
    NoSecret,
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Work for DeliveryWorker {
    type Item = Parcel;
    const NAME: &'static str = "deliveries";
    const HANDS: usize = 512;
    // Ends that another process wrote are announced within a quarter of a second too.
    const IDLE: Duration = Duration::from_millis(100);

    fn store(&self) -> &Store {
        &self.store
    }

    async fn claim(&self, limit: usize, ahead: Duration) -> Result<Vec<Parcel>, StoreError> {
        let due = self.store.due_receivers(ahead).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let shares = shares(&due, &locked(&self.in_hand), Self::HANDS, limit);
        let now = self.chance.now();
        let claimed = self.store.claim_deliveries(&shares, ahead, now).await?;
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Arc<[SigningKey]> = self.keyring.usable(now).await?.into();
        let parcels = claimed.into_iter().map(|delivery| {
            let hand = self.take_hand(&delivery);
            Parcel {
                delivery,
                keys: Arc::clone(&keys),
                _hand: hand,
            }
        });
        Ok(parcels.collect())
    }

    async fn work(&self, parcel: Parcel) {
        let delivery = &parcel.delivery;
        let (span, trace_parent) = traces::begin(delivery.trace_parent, |trace_id| {
            tracing::error_span!(
                "webhook attempt",
                otel.kind = "client",
                otel.status_code = Empty,
                delivery.id = %delivery.id,
                delivery.attempt = delivery.attempts + 1,
                http.request.method = "POST",
                http.response.status_code = Empty,
                error.type = Empty,
                trace_id,
            )
        });
        self.attempt(&parcel, trace_parent).instrument(span).await;
    }
}

impl DeliveryWorker {
    fn take_hand(&self, delivery: &DueDelivery) -> Hand {
        let mut in_hand = locked(&self.in_hand);
        let held = in_hand.entry(delivery.receiver.clone()).or_default();
        held.count += 1;
        held.failing = delivery.receiver_failures > 0;
        Hand {
            in_hand: Arc::clone(&self.in_hand),
            due: Arc::clone(&self.due),
            receiver: delivery.receiver.clone(),
        }
    }

    async fn attempt(&self, parcel: &Parcel, trace_parent: Option<TraceParent>) {
        let delivery = &parcel.delivery;
        let at = self.chance.now();
        if let (0, Some(written_at)) = (delivery.attempts, delivery.id.made_at()) {
            metrics::histogram!(WEBHOOK_LAG).record(at.since(written_at).as_secs_f64());
        }
        let began = Instant::now();
        let answer = self.send(parcel, at.unix_seconds(), trace_parent).await;
        let took = began.elapsed();
        let (answered, attempt) = describe(
            answer,
            delivery.attempts + 1,
            at,
            u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        );
        let span = Span::current();
        span.record("http.response.status_code", attempt.status_code);
        span.record("error.type", attempt.error_class.map(ErrorClass::as_str));
        if attempt.error_class.is_some() {
            span.record("otel.status_code", "ERROR");
        }
        let verdict = Verdict::of(
            answered,
            delivery.schedule_attempts,
            delivery.receiver_failures,
            self.chance.jitter(),
        );
        // What could not be signed is no failure of the receiver's.
        let (outcome, effect) =
            effect_of(verdict, attempt.error_class != Some(ErrorClass::NotSigned));
        metrics::histogram!(WEBHOOK_ATTEMPTS, "outcome" => outcome).record(took.as_secs_f64());
        self.write(delivery, &attempt, verdict, effect).await;
    }

    async fn send(
        &self,
        parcel: &Parcel,
        timestamp_s: i64,
        trace_parent: Option<TraceParent>,
    ) -> Result<Answer, Trouble> {
        let delivery = &parcel.delivery;
        let secrets = delivery
            .secrets
            .iter()
            .map(|sealed| self.vault.open_secret(sealed))
            .collect::<Result<Vec<_>, _>>()?;
        let secrets = if secrets.is_empty() {
            vec![self.default_secret.clone().ok_or(Trouble::NoSecret)?]
        } else {
            secrets
        };
        let headers = delivery
            .headers
            .as_ref()
            .map(|sealed| self.own_headers(sealed))
            .transpose()?
            .unwrap_or_default();
        let id = delivery.id.to_string();
        let signature = sign(&secrets, &parcel.keys, &id, timestamp_s, &delivery.body);
        let request = Outgoing {
            url: &delivery.url,
            webhook_id: &id,
            timestamp_s,
            signature: &signature,
            trace_parent,
            extra: &headers,
            body: delivery.body.clone(),
        };
        Ok(self.client.send(request).await?)
    }

    fn own_headers(&self, sealed: &Sealed) -> Result<Vec<(String, String)>, VaultError> {
        let json = self.vault.open(sealed)?;
        let headers: std::collections::BTreeMap<String, String> =
            serde_json::from_str(&json).map_err(|_| VaultError::Damaged)?;
        Ok(headers.into_iter().collect())
    }

    async fn write(
        &self,
        delivery: &DueDelivery,
        attempt: &Attempt,
        verdict: Verdict,
        effect: AttemptEffect,
    ) {
        if let Some(error) = &attempt.error {
            tracing::warn!(
                delivery.id = %delivery.id,
                delivery.attempt = attempt.attempt,
                error.type = attempt.error_class.map(ErrorClass::as_str),
                error.message = error,
                retry_in_s = (effect.status == DeliveryStatus::Pending).then_some(effect.retry_in.as_secs()),
                "a webhook was not delivered"
            );
        }
        let failing_since = match self.store.record_attempt(delivery, attempt, effect).await {
            Ok(failing_since) => failing_since,
            Err(StoreError::Stale) => {
                return metrics::counter!(FENCED_WRITES, "worker" => Self::NAME).increment(1);
            }
            Err(error) => {
                tracing::error!(delivery.id = %delivery.id, error.message = in_words(&error), "an attempt could not be written; it will be made again");
                return;
            }
        };
        if let Some(endpoint) = delivery.endpoint_id {
            let reason = match verdict {
                Verdict::Gone => Some(DisabledReason::Gone),
                Verdict::Failed { .. }
                    if failing_since.is_some_and(|since| failed_too_long(since, attempt.at)) =>
                {
                    Some(DisabledReason::Failing)
                }
                _ => None,
            };
            if let Some(reason) = reason {
                self.disable(endpoint, &delivery.url, reason).await;
            }
        }
    }

    async fn disable(&self, id: EndpointId, url: &str, reason: DisabledReason) {
        match self
            .store
            .disable_endpoint(id, url, reason, self.chance.now(), &|| {
                self.chance.delivery_id()
            })
            .await
        {
            Ok(Some(_)) => {
                metrics::counter!(ENDPOINTS_DISABLED, "reason" => reason.as_str()).increment(1);
                tracing::warn!(endpoint.id = %id, endpoint.disabled_reason = reason.as_str(), "a webhook endpoint was disabled");
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(endpoint.id = %id, error.message = in_words(&error), "an endpoint could not be disabled; its next failure tries again");
            }
        }
    }
}

fn effect_of(verdict: Verdict, was_sent: bool) -> (&'static str, AttemptEffect) {
    let (outcome, status, retry_in, slow_for) = match verdict {
        Verdict::Delivered => ("delivered", DeliveryStatus::Delivered, None, None),
        Verdict::Gone => ("gone", DeliveryStatus::Abandoned, None, None),
        Verdict::Failed {
            retry_in: Some(delay),
            slow_for,
        } => ("failed", DeliveryStatus::Pending, Some(delay), slow_for),
        Verdict::Failed {
            retry_in: None,
            slow_for,
        } => ("exhausted", DeliveryStatus::Exhausted, None, slow_for),
    };
    (
        outcome,
        AttemptEffect {
            status,
            retry_in: retry_in.unwrap_or_default(),
            slow_for,
            was_sent,
        },
    )
}

/// What was answered, and the line for the log of attempts.
fn describe(
    answer: Result<Answer, Trouble>,
    number: u32,
    at: Timestamp,
    duration_ms: u64,
) -> (Answered, Attempt) {
    let none = Attempt {
        attempt: number,
        at,
        duration_ms,
        status_code: None,
        error_class: None,
        error: None,
        response_excerpt: None,
    };
    match answer {
        Ok(Answer {
            status_code: code,
            retry_after,
            excerpt,
        }) => {
            let class = ErrorClass::of_status(code);
            let attempt = Attempt {
                status_code: Some(code),
                error_class: class,
                error: class.map(|_| format!("the receiver answered {code}")),
                response_excerpt: Some(excerpt).filter(|text| !text.is_empty()),
                ..none
            };
            (Answered::Status { code, retry_after }, attempt)
        }
        Err(trouble) => {
            let class = match &trouble {
                Trouble::Vault(_) | Trouble::NoSecret => ErrorClass::NotSigned,
                Trouble::Send(error) => error.class(),
            };
            (
                Answered::Not,
                Attempt {
                    error_class: Some(class),
                    error: Some(in_words(&trouble)),
                    ..none
                },
            )
        }
    }
}
