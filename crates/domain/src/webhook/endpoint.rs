//! Webhook endpoints: receivers of the events of all exports, of some event types, or of exports
//! with some labels.

use serde::Serialize;
use uuid::Uuid;

use super::event_type::WebhookEventType;
use super::secret::Sealed;
use super::url::WebhookUrl;
use crate::caller::CallerName;
use crate::export::labels::Labels;
use crate::invalid::Invalid;
use crate::timestamp::Timestamp;

/// A UUIDv7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EndpointId(pub Uuid);

impl std::fmt::Display for EndpointId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, Clone)]
pub struct Endpoint {
    pub id: EndpointId,
    pub created_at: Timestamp,
    /// The caller who created it; `None` without authentication.
    pub created_by: Option<CallerName>,
    /// Last change by a caller, or when it was disabled.
    pub updated_at: Timestamp,
    /// The part that callers can change.
    pub spec: EndpointSpec,
    /// When and why it was disabled.
    pub disabled: Option<(Timestamp, DisabledReason)>,
    /// The first failure since the last success.
    pub failing_since: Option<Timestamp>,
}

/// The properties of an endpoint that callers set.
#[derive(Debug, Clone)]
pub struct EndpointSpec {
    pub url: WebhookUrl,
    /// The caller's description.
    pub description: Option<String>,
    /// Event types; empty means all.
    pub event_types: Vec<WebhookEventType>,
    /// It receives only events of exports with all of these labels.
    pub labels: Labels,
    pub headers: Option<SealedHeaders>,
}

/// Headers with secret values, such as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedHeaders {
    /// At least one name.
    pub names: Vec<String>,
    /// A sealed JSON object of names and values.
    pub sealed: Sealed,
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// The value in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ByCaller => "by_caller",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ByCaller, Self::Gone, Self::Failing]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// Maximum number of extra headers of an endpoint.
pub const MAX_HEADERS: usize = 16;

/// Headers that callers may not set: they frame or route the message, or the service sets them.
const RESERVED_HEADERS: [&str; 15] = [
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

/// Checks an extra header: a name of at most 64 characters that callers may set, and a value of 1
/// to 1024 visible ASCII characters and blanks.
pub fn check_header(name: &str, value: &str) -> Result<(), Invalid> {
    let token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
        return Err(Invalid::new(
            "a header's name must have 1 to 64 letters, digits or any of !#$%&'*+-.^_`|~",
        ));
    }
    let lower = name.to_ascii_lowercase();
    if RESERVED_HEADERS.contains(&lower.as_str()) || lower.starts_with("webhook-") {
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
