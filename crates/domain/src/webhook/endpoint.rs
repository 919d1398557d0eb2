//! Webhook endpoints: who hears of every export, of some types of events, or of exports with some
//! labels.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::event_type::{EndpointEventType, WebhookEventType};
use super::secret::Sealed;
use super::url::WebhookUrl;
use crate::caller::CallerName;
use crate::invalid::Invalid;
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// Names an endpoint: a UUIDv7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EndpointId(pub Uuid);

impl std::fmt::Display for EndpointId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its name here.
    pub id: EndpointId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it; nothing if nobody had to say who they are.
    pub created_by: Option<CallerName>,
    /// When a caller last changed it, or it was disabled.
    pub updated_at: Timestamp,
    /// What a caller can change.
    pub wish: EndpointWish,
    /// Since when and why nothing is sent to it.
    pub disabled: Option<(Timestamp, DisabledReason)>,
    /// The first failure since the last success.
    pub failing_since: Option<Timestamp>,
}

/// What a caller says of an endpoint.
#[derive(Debug, Clone)]
pub struct EndpointWish {
    /// Where it is.
    pub url: WebhookUrl,
    /// What it is for, in the caller's words.
    pub description: Option<String>,
    /// The types of events it hears of; empty is every type.
    pub event_types: Vec<WebhookEventType>,
    /// It hears only of exports that bear all of these.
    pub labels: Labels,
    /// Headers of its own.
    pub headers: Option<SealedHeaders>,
}

/// Headers whose values must not be seen: they may be tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedHeaders {
    /// Their names, in order. At least one.
    pub names: Vec<String>,
    /// A sealed JSON object of names and values.
    pub sealed: Sealed,
}

/// Why nothing is sent to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// A caller asked for it.
    ByCaller,
    /// It answered 410 Gone.
    Gone,
    /// Nothing but failures for five days.
    Failing,
}

impl DisabledReason {
    /// The reason as callers and the database see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ByCaller => "by_caller",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// From that word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ByCaller, Self::Gone, Self::Failing]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// How many headers of its own an endpoint may have.
pub const MOST_HEADERS: usize = 16;

/// Headers that are not the caller's to set: they frame or route the message, or are ours.
const OURS: [&str; 15] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Checks a header of an endpoint's own.
///
/// # Errors
/// The name is no header name of at most 64 characters or is not the caller's to set, or the value
/// is not 1 to 1024 visible ASCII characters and blanks.
pub fn check_header(name: &str, value: &str) -> Result<(), Invalid> {
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
        return Err(Invalid::new(
            "a header's name must have 1 to 64 letters, digits or any of !#$%&'*+-.^_`|~",
        ));
    }
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&lower.as_str()) || lower.starts_with("webhook-") {
        return Err(Invalid::new("is a header that this service sets itself"));
    }
    let visible = |c: u8| c == b' ' || c.is_ascii_graphic();
    if value.is_empty()
        || value.len() > 1024
        || !value.bytes().all(visible)
        || value.trim() != value
    {
        return Err(Invalid::new(
            "a header's value must have 1 to 1024 visible ASCII characters, with blanks only between them",
        ));
    }
    Ok(())
}

/// An endpoint as callers see it. Its secret is shown once, when it is made or rotated.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct EndpointView {
    /// Its name here (UUIDv7).
    pub id: Uuid,
    /// Where it is.
    #[schema(format = "uri", example = "https://hooks.example.com/tableferry")]
    pub url: String,
    /// What it is for, in the caller's words.
    #[schema(required)]
    pub description: Option<String>,
    /// The types of events it hears of; empty is every type.
    #[schema(value_type = Vec<EndpointEventType>)]
    pub event_types: Vec<WebhookEventType>,
    /// It hears only of exports that bear all of these; empty is every export.
    pub labels: std::collections::BTreeMap<String, String>,
    /// The names of its own headers. Their values are never returned.
    #[schema(example = json!(["X-Api-Key"]))]
    pub header_names: Vec<String>,
    /// Whether nothing is sent to it.
    pub disabled: bool,
    /// Why nothing is sent to it.
    #[schema(required)]
    pub disabled_reason: Option<DisabledReason>,
    /// Since when nothing is sent to it.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<Timestamp>,
    /// The first failure since the last success; after five days of nothing but failures it is
    /// disabled.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Who made it; null if nobody had to say who they are.
    #[schema(required, example = "api_key:platform")]
    pub created_by: Option<String>,
    /// When a caller last changed it, or it was disabled.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<&Endpoint> for EndpointView {
    fn from(endpoint: &Endpoint) -> Self {
        let wish = &endpoint.wish;
        Self {
            id: endpoint.id.0,
            url: wish.url.as_str().to_owned(),
            description: wish.description.clone(),
            event_types: wish.event_types.clone(),
            labels: wish.labels.as_map().clone(),
            header_names: wish
                .headers
                .as_ref()
                .map(|h| h.names.clone())
                .unwrap_or_default(),
            disabled: endpoint.disabled.is_some(),
            disabled_reason: endpoint.disabled.map(|(_, reason)| reason),
            disabled_at: endpoint.disabled.map(|(at, _)| at),
            failing_since: endpoint.failing_since,
            created_at: endpoint.created_at,
            created_by: endpoint
                .created_by
                .as_ref()
                .map(|name| name.as_str().to_owned()),
            updated_at: endpoint.updated_at,
        }
    }
}

/// A disabled endpoint as the others hear of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DisabledWebhookEndpoint)]
pub struct DisabledEndpoint {
    /// Its name here (UUIDv7).
    pub id: Uuid,
    /// What it is for, in the caller's words.
    #[schema(required)]
    pub description: Option<String>,
    /// Why nothing is sent to it.
    #[schema(required)]
    pub disabled_reason: Option<DisabledReason>,
    /// Since when nothing is sent to it.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<Timestamp>,
    /// The first failure since the last success.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
}

impl From<&Endpoint> for DisabledEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            id: endpoint.id.0,
            description: endpoint.wish.description.clone(),
            disabled_reason: endpoint.disabled.map(|(_, reason)| reason),
            disabled_at: endpoint.disabled.map(|(at, _)| at),
            failing_since: endpoint.failing_since,
        }
    }
}
