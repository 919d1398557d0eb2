//! A webhook delivery as callers see it.

use serde::Serialize;
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::delivery::{Attempt, Delivery, DeliveryStatus};
use tableferry_domain::webhook::event_type::WebhookEventType;
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

/// A delivery: one event for one receiver, with every attempt.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct DeliveryView {
    /// The id of the delivery. Receivers see it as `webhook-id`, the same on every attempt.
    #[schema(example = "msg_019a3b5c7d2e7f108a9b0c1d2e3f4a5b")]
    pub id: String,
    /// The id of the endpoint; null if the receiver is the `callback_url` of an export.
    #[schema(required)]
    pub endpoint_id: Option<Uuid>,
    /// The id of the export that the event is about; null for a ping and for
    /// `webhook_endpoint.disabled`.
    #[schema(required)]
    pub export_id: Option<Uuid>,
    /// The type of the event.
    #[schema(value_type = WebhookEventType)]
    pub event_type: String,
    /// The URL of the receiver. If it is an endpoint and the caller may not manage endpoints: only
    /// the URL's origin.
    #[schema(format = "uri", example = "https://hooks.example.com/tableferry")]
    pub url: String,
    /// The status of the delivery.
    pub status: DeliveryStatus,
    /// When the next attempt is due; null if none is.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
    /// When the delivery was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

impl DeliveryView {
    /// For callers that may not see endpoints: an endpoint's URL and responses may be secrets.
    #[must_use]
    pub fn without_endpoint(self) -> Self {
        if self.endpoint_id.is_none() {
            return self;
        }
        let host = Url::parse(&self.url)
            .ok()
            .map(|url| url.origin().ascii_serialization());
        let attempts = self
            .attempts
            .into_iter()
            .map(|attempt| Attempt {
                error: None,
                response_excerpt: None,
                ..attempt
            })
            .collect();
        Self {
            url: host.unwrap_or_default(),
            attempts,
            ..self
        }
    }
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            endpoint_id: delivery.endpoint_id.map(|id| id.0),
            export_id: delivery.export_id.map(|id| id.0),
            event_type: delivery.event_type,
            url: delivery.url,
            status: delivery.status,
            next_attempt_at: delivery.next_attempt_at,
            created_at: delivery.created_at,
            attempts: delivery.attempts,
        }
    }
}
