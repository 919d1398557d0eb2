//! A delivery: one event on its way to one receiver, with every attempt that was made.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::endpoint::EndpointId;
use super::error_class::ErrorClass;
use super::event_type::WebhookEventType;
use crate::ids::{DeliveryId, ExportId};
use crate::timestamp::Timestamp;

/// A delivery as it is stored.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its name: receivers see it as `webhook-id`.
    pub id: DeliveryId,
    /// The endpoint; `None` is the callback of an export.
    pub endpoint_id: Option<EndpointId>,
    /// The export it tells of; `None` for a ping and for an endpoint that was disabled.
    pub export_id: Option<ExportId>,
    /// The event's type.
    pub event_type: String,
    /// Where it goes.
    pub url: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// What was tried, oldest first.
    pub attempts: Vec<Attempt>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryStatus {
    /// Another attempt is due.
    Pending,
    /// The receiver answered with 2xx.
    Delivered,
    /// The last attempt of the schedule failed.
    Exhausted,
    /// Nothing more is tried: the receiver answered 410, or its endpoint was disabled or deleted.
    Abandoned,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [
        Self::Pending,
        Self::Delivered,
        Self::Exhausted,
        Self::Abandoned,
    ];

    /// The status as callers and the database see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Exhausted => "EXHAUSTED",
            Self::Abandoned => "ABANDONED",
        }
    }

    /// From that word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub struct Attempt {
    /// 1 for the first.
    #[schema(example = 1, minimum = 1)]
    pub attempt: u32,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    #[schema(example = 41)]
    pub duration_ms: u64,
    /// The status of the receiver's answer; null when there was none.
    #[schema(required, example = 503)]
    pub status_code: Option<u16>,
    /// What kind of error it was; null when it was delivered.
    #[schema(required)]
    pub error_class: Option<ErrorClass>,
    /// What went wrong, in words; null when it was delivered, or the caller may not see it.
    #[schema(required, example = "the receiver answered 503")]
    pub error: Option<String>,
    /// The first 4 KiB of the answer's body; null when there was none, or the caller may not see
    /// it.
    #[schema(required, example = "try again later")]
    pub response_excerpt: Option<String>,
}

/// A delivery as callers see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct DeliveryView {
    /// Its name: receivers see it as `webhook-id`, the same on every attempt.
    #[schema(example = "msg_019a3b5c7d2e7f108a9b0c1d2e3f4a5b")]
    pub id: String,
    /// The endpoint it goes to; null for the `callback_url` of an export.
    #[schema(required)]
    pub endpoint_id: Option<Uuid>,
    /// The export it tells of; null for a ping and for an endpoint that was disabled.
    #[schema(required)]
    pub export_id: Option<Uuid>,
    /// The event's type.
    #[schema(value_type = WebhookEventType)]
    pub event_type: String,
    /// Where it goes. Of an endpoint's URL only the host, where the caller may not manage
    /// endpoints.
    #[schema(format = "uri", example = "https://hooks.example.com/tableferry")]
    pub url: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// When the next attempt is due; null when none is.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// What was tried, oldest first.
    pub attempts: Vec<Attempt>,
}

impl DeliveryView {
    /// The same for a caller who may not see endpoints: where they are may be a secret, and so may
    /// what they answer.
    #[must_use]
    pub fn without_endpoint(self) -> Self {
        if self.endpoint_id.is_none() {
            return self;
        }
        let host = url::Url::parse(&self.url)
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
