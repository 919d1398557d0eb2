//! Deliveries: one event for one receiver, with every attempt.

use serde::Serialize;

use super::endpoint::EndpointId;
use super::error_class::ErrorClass;
use crate::ids::{DeliveryId, ExportId};
use crate::timestamp::Timestamp;

#[derive(Debug, Clone)]
pub struct Delivery {
    /// Receivers see it as `webhook-id`.
    pub id: DeliveryId,
    /// `None` for the callback of an export.
    pub endpoint_id: Option<EndpointId>,
    /// `None` for a ping and for an endpoint that was disabled.
    pub export_id: Option<ExportId>,
    pub event_type: String,
    pub url: String,
    pub status: DeliveryStatus,
    /// Time of the next attempt.
    pub next_attempt_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Oldest first.
    pub attempts: Vec<Attempt>,
}

/// The status of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    pub const ALL: [Self; 4] = [
        Self::Pending,
        Self::Delivered,
        Self::Exhausted,
        Self::Abandoned,
    ];

    /// The value in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Exhausted => "EXHAUSTED",
            Self::Abandoned => "ABANDONED",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// One attempt to deliver a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = DeliveryAttempt))]
pub struct Attempt {
    /// The number of the attempt, starting at 1.
    #[cfg_attr(feature = "openapi", schema(example = 1, minimum = 1))]
    pub attempt: u32,
    /// When the attempt started.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// The duration of the attempt in milliseconds.
    #[cfg_attr(feature = "openapi", schema(example = 41))]
    pub duration_ms: u64,
    /// The status of the receiver's response; null if there was none.
    #[cfg_attr(feature = "openapi", schema(required, example = 503))]
    pub status_code: Option<u16>,
    /// The kind of error; null if the attempt succeeded.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub error_class: Option<ErrorClass>,
    /// The error in words; null if the attempt succeeded, or if the caller may not see it.
    #[cfg_attr(
        feature = "openapi",
        schema(required, example = "the receiver answered 503")
    )]
    pub error: Option<String>,
    /// The first 4 KiB of the response body; null if there was none, or if the caller may not see
    /// it.
    #[cfg_attr(feature = "openapi", schema(required, example = "try again later"))]
    pub response_excerpt: Option<String>,
}
