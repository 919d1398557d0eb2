//! A webhook endpoint as callers and other endpoints see it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::endpoint::{DisabledReason, Endpoint};
use tableferry_domain::webhook::event_type::WebhookEventType;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

/// A webhook endpoint. Its secret is returned only when it is created or rotated.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct EndpointView {
    /// The id of the endpoint (UUIDv7).
    pub id: Uuid,
    /// The URL that webhooks are sent to.
    #[schema(format = "uri", example = "https://hooks.example.com/tableferry")]
    pub url: String,
    /// A description of the caller's choice.
    #[schema(required)]
    pub description: Option<String>,
    /// The types of events that the endpoint receives. If empty: every type.
    #[schema(value_type = Vec<EndpointEventType>)]
    pub event_types: Vec<WebhookEventType>,
    /// The endpoint receives only events of exports that have all of these labels. If empty: events
    /// of every export.
    pub labels: BTreeMap<String, String>,
    /// The names of its extra headers. Their values are never returned.
    #[schema(example = json!(["X-Api-Key"]))]
    pub header_names: Vec<String>,
    /// Whether the endpoint is disabled: nothing is sent to it.
    pub disabled: bool,
    /// Why the endpoint is disabled; null if it is not.
    #[schema(required)]
    pub disabled_reason: Option<DisabledReason>,
    /// When the endpoint was disabled; null if it is not.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<Timestamp>,
    /// The time of the first failure since the last success. After five days with failures only,
    /// the endpoint is disabled.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
    /// When the endpoint was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The caller that created it; null if callers need not authenticate.
    #[schema(required, example = "api_key:platform")]
    pub created_by: Option<String>,
    /// When a caller last changed the endpoint, or when it was disabled.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<&Endpoint> for EndpointView {
    fn from(endpoint: &Endpoint) -> Self {
        let spec = &endpoint.spec;
        Self {
            id: endpoint.id.0,
            url: spec.url.as_str().to_owned(),
            description: spec.description.clone(),
            event_types: spec.event_types.clone(),
            labels: spec.labels.as_map().clone(),
            header_names: spec
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

/// A disabled endpoint, as described to other endpoints.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = DisabledWebhookEndpoint)]
pub struct DisabledEndpoint {
    /// The id of the endpoint (UUIDv7).
    pub id: Uuid,
    /// A description of the caller's choice.
    #[schema(required)]
    pub description: Option<String>,
    /// Why the endpoint is disabled; null if it is not.
    #[schema(required)]
    pub disabled_reason: Option<DisabledReason>,
    /// When the endpoint was disabled; null if it is not.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<Timestamp>,
    /// The time of the first failure since the last success.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
}

impl From<&Endpoint> for DisabledEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            id: endpoint.id.0,
            description: endpoint.spec.description.clone(),
            disabled_reason: endpoint.disabled.map(|(_, reason)| reason),
            disabled_at: endpoint.disabled.map(|(at, _)| at),
            failing_since: endpoint.failing_since,
        }
    }
}

/// A type of events that an endpoint can select: its schema. [`WebhookEventType::parse_choice`]
/// reads it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointEventType(String);

impl PartialSchema for EndpointEventType {
    fn schema() -> RefOr<Schema> {
        let choices = WebhookEventType::CHOICES.map(WebhookEventType::as_str);
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(choices));
        schema
            .description(Some("A type of events that an endpoint can select."))
            .into()
    }
}

impl ToSchema for EndpointEventType {
    fn name() -> Cow<'static, str> {
        "EndpointEventType".into()
    }
}
