//! Sends webhooks: claims deliveries by each receiver's share of the slots, signs and sends them,
//! and records the attempts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::in_flight::{InFlight, InFlightGuard};
use super::runner::Worker;
use crate::clock::Clock;
use crate::domain::error_chain::in_words;
use crate::domain::timestamp::Timestamp;
use crate::domain::trace::TraceParent;
use crate::domain::webhook::delivery::{Attempt, DeliveryStatus};
use crate::domain::webhook::endpoint::{DisabledReason, EndpointId};
use crate::domain::webhook::error_class::ErrorClass;
use crate::domain::webhook::outcome::{AttemptResult, DeliveryOutcome, failed_too_long};
use crate::domain::webhook::secret::{Sealed, WebhookSecret};
use crate::domain::webhook::share::shares;
use crate::keyring::Keyring;
use crate::signals::{Signals, Wake};
use crate::store::deliveries::{AttemptEffect, DueDelivery};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics_catalog::{
    ENDPOINTS_DISABLED, FENCED_WRITES, WEBHOOK_ATTEMPTS, WEBHOOK_LAG,
};
use crate::telemetry::traces;
use crate::webhooks::vault::{Vault, VaultError};
use crate::webhooks::{Answer, Outgoing, SendError, SigningKey, WebhookClient, sign};

#[derive(Debug)]
pub struct DeliveryWorker {
    pub store: Store,
    pub client: WebhookClient,
    pub vault: Vault,
    pub keyring: Arc<Keyring>,
    /// Signs callbacks that have no secret of their own.
    pub default_secret: Option<WebhookSecret>,
    pub clock: Clock,
    pub signals: Signals,
    pub in_flight: InFlight,
}

/// A claimed delivery with the service's own keys, which sign it beside its secrets.
#[derive(Debug)]
pub struct SignedDelivery {
    delivery: DueDelivery,
    keys: Arc<[SigningKey]>,
    _guard: InFlightGuard,
}

/// Why an attempt got no answer.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error("what signs it cannot be used")]
    Vault(#[from] VaultError),
    #[error("there is no secret to sign with: TABLEFERRY_WEBHOOK_SECRET is not set any more")]
    NoSecret,
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Worker for DeliveryWorker {
    type Item = SignedDelivery;
    const NAME: &'static str = "deliveries";
    const MAX_CONCURRENT: usize = 512;
    // An export that another process ended is announced within a quarter of a second too.
    const IDLE: Duration = Duration::from_millis(100);

    fn store(&self) -> &Store {
        &self.store
    }

    fn due<'a>(&self, signals: &'a Signals) -> &'a Wake {
        &signals.delivery_due
    }

    async fn claim(
        &self,
        limit: usize,
        ahead: Duration,
    ) -> Result<Vec<SignedDelivery>, StoreError> {
        let due = self.store.due_receivers(ahead).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let shares = shares(&due, &self.in_flight.lock(), Self::MAX_CONCURRENT, limit);
        let now = self.clock.now();
        let claimed = self.store.claim_deliveries(&shares, ahead, now).await?;
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Arc<[SigningKey]> = self.keyring.usable(now).await?.into();
        let signed = claimed.into_iter().map(|delivery| SignedDelivery {
            keys: Arc::clone(&keys),
            _guard: self.in_flight.begin(
                &delivery.receiver,
                delivery.receiver_failures > 0,
                &self.signals.delivery_due,
            ),
            delivery,
        });
        Ok(signed.collect())
    }

    async fn work(&self, signed: SignedDelivery) {
        let delivery = &signed.delivery;
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
        self.attempt(&signed, trace_parent).instrument(span).await;
    }
}

impl DeliveryWorker {
    async fn attempt(&self, signed: &SignedDelivery, trace_parent: Option<TraceParent>) {
        let delivery = &signed.delivery;
        let at = self.clock.now();
        if let (0, Some(written_at)) = (delivery.attempts, delivery.id.made_at()) {
            metrics::histogram!(WEBHOOK_LAG).record(at.since(written_at).as_secs_f64());
        }
        let began = Instant::now();
        let answer = self.send(signed, at.unix_seconds(), trace_parent).await;
        let took = began.elapsed();
        let (result, attempt) = describe(
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
        let outcome = DeliveryOutcome::from_attempt(
            result,
            delivery.schedule_attempts,
            delivery.receiver_failures,
            self.clock.jitter(),
        );
        // A delivery that cannot be signed is not a failure of the receiver.
        let (label, effect) =
            effect_of(outcome, attempt.error_class != Some(ErrorClass::NotSigned));
        metrics::histogram!(WEBHOOK_ATTEMPTS, "outcome" => label).record(took.as_secs_f64());
        self.record(delivery, &attempt, outcome, effect).await;
    }

    async fn send(
        &self,
        signed: &SignedDelivery,
        timestamp_s: i64,
        trace_parent: Option<TraceParent>,
    ) -> Result<Answer, AttemptError> {
        let delivery = &signed.delivery;
        let secrets = delivery
            .secrets
            .iter()
            .map(|sealed| self.vault.open_secret(sealed))
            .collect::<Result<Vec<_>, _>>()?;
        let secrets = if secrets.is_empty() {
            vec![self.default_secret.clone().ok_or(AttemptError::NoSecret)?]
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
        let signature = sign(&secrets, &signed.keys, &id, timestamp_s, &delivery.body);
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

    async fn record(
        &self,
        delivery: &DueDelivery,
        attempt: &Attempt,
        outcome: DeliveryOutcome,
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
            Err(StoreError::Conflict) => {
                return metrics::counter!(FENCED_WRITES, "worker" => Self::NAME).increment(1);
            }
            Err(error) => {
                tracing::error!(delivery.id = %delivery.id, error.message = in_words(&error), "an attempt could not be stored; it will be repeated");
                return;
            }
        };
        if let Some(endpoint) = delivery.endpoint_id {
            let reason = match outcome {
                DeliveryOutcome::Gone => Some(DisabledReason::Gone),
                DeliveryOutcome::Failed { .. }
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
            .disable_endpoint(id, url, reason, self.clock.now(), &|| {
                self.clock.delivery_id()
            })
            .await
        {
            Ok(Some(_)) => {
                metrics::counter!(ENDPOINTS_DISABLED, "reason" => reason.as_str()).increment(1);
                tracing::warn!(endpoint.id = %id, endpoint.disabled_reason = reason.as_str(), "a webhook endpoint was disabled");
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(endpoint.id = %id, error.message = in_words(&error), "an endpoint could not be disabled; the next failure tries again");
            }
        }
    }
}

/// The outcome's label in metrics, and what it changes.
fn effect_of(outcome: DeliveryOutcome, was_sent: bool) -> (&'static str, AttemptEffect) {
    let (label, status, retry_in, slow_for) = match outcome {
        DeliveryOutcome::Delivered => ("delivered", DeliveryStatus::Delivered, None, None),
        DeliveryOutcome::Gone => ("gone", DeliveryStatus::Abandoned, None, None),
        DeliveryOutcome::Failed {
            retry_in: Some(delay),
            slow_for,
        } => ("failed", DeliveryStatus::Pending, Some(delay), slow_for),
        DeliveryOutcome::Failed {
            retry_in: None,
            slow_for,
        } => ("exhausted", DeliveryStatus::Exhausted, None, slow_for),
    };
    (
        label,
        AttemptEffect {
            status,
            retry_in: retry_in.unwrap_or_default(),
            slow_for,
            was_sent,
        },
    )
}

/// The result of an attempt, and its entry in the log of attempts.
fn describe(
    answer: Result<Answer, AttemptError>,
    number: u32,
    at: Timestamp,
    duration_ms: u64,
) -> (AttemptResult, Attempt) {
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
            let class = ErrorClass::from_status(code);
            let attempt = Attempt {
                status_code: Some(code),
                error_class: class,
                error: class.map(|_| format!("the receiver answered {code}")),
                response_excerpt: Some(excerpt).filter(|text| !text.is_empty()),
                ..none
            };
            (AttemptResult::Status { code, retry_after }, attempt)
        }
        Err(error) => {
            let class = match &error {
                AttemptError::Vault(_) | AttemptError::NoSecret => ErrorClass::NotSigned,
                AttemptError::Send(error) => error.class(),
            };
            (
                AttemptResult::NoAnswer,
                Attempt {
                    error_class: Some(class),
                    error: Some(in_words(&error)),
                    ..none
                },
            )
        }
    }
}
