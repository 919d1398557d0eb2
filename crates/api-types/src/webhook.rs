//! The bodies of webhooks: the exact text that is signed, stored and sent.

use serde::Serialize;
use serde_json::json;
use tableferry_domain::export::Export;
use tableferry_domain::ids::ExportId;
use tableferry_domain::public_url::PublicUrl;
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::announcement::Announcement;
use tableferry_domain::webhook::endpoint::Endpoint;
use tableferry_domain::webhook::event_type::WebhookEventType;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::endpoint::DisabledEndpoint;
use crate::export::ExportView;

/// A webhook about an export.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExportWebhook)]
pub struct ExportMessage<'a> {
    /// What happened.
    pub r#type: WebhookEventType,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The export that the event is about.
    pub data: ExportData<'a>,
}

/// The data of a webhook about an export.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportData<'a> {
    /// The export right after the event. In a replayed event: the export when it was replayed.
    pub export: ExportView<'a>,
    /// Links to the export. Absent unless the operator has set `TABLEFERRY_PUBLIC_URL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub links: Option<Links>,
}

/// Links to an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExportLinks)]
pub struct Links {
    /// The URL of the export in this API (`GET /v1/exports/{id}`).
    #[schema(
        example = "https://exports.example.com/v1/exports/019a3b5c-7d2e-7f10-8a9b-0c1d2e3f4a5b"
    )]
    pub export: String,
    /// The page of the export in the console; null if there is no console.
    #[schema(required)]
    pub console: Option<String>,
}

/// A webhook that says that this service disabled another endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndpointDisabledWebhook)]
pub struct EndpointDisabledMessage {
    /// `webhook_endpoint.disabled`.
    pub r#type: WebhookEventType,
    /// When the endpoint was disabled.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The endpoint that the event is about.
    pub data: EndpointData,
}

/// The data of a webhook about a disabled endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointData {
    /// The endpoint that was disabled. Its URL is left out, because a URL may contain a token.
    pub webhook_endpoint: DisabledEndpoint,
}

/// A test webhook that a caller requested.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PingWebhook)]
pub struct PingMessage {
    /// `ping`.
    pub r#type: WebhookEventType,
    /// When the ping was requested.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The endpoint that is tested.
    pub data: PingData,
}

/// The data of a ping.
#[derive(Debug, Serialize, ToSchema)]
pub struct PingData {
    /// The endpoint that is tested.
    pub webhook_endpoint: PingedEndpoint,
}

/// An endpoint, identified by its id.
#[derive(Debug, Serialize, ToSchema)]
pub struct PingedEndpoint {
    /// The endpoint's id.
    pub id: Uuid,
}

/// The body that announces an event of an export. It has links if the service's public URL is set.
#[must_use]
pub fn export_body(announcement: &Announcement<'_>, public_url: &PublicUrl) -> String {
    let export: &Export = announcement.export;
    let message = ExportMessage {
        r#type: announcement.event_type,
        timestamp: announcement.at,
        data: ExportData {
            export: ExportView::from(export),
            links: links(export.id, public_url),
        },
    };
    text_of(&message)
}

fn links(export: ExportId, public_url: &PublicUrl) -> Option<Links> {
    public_url.is_set().then(|| Links {
        export: public_url.to(&format!("/v1/exports/{export}")),
        console: None,
    })
}

/// The body that tells the other endpoints that this one was disabled.
#[must_use]
pub fn disabled_body(endpoint: &Endpoint, at: Timestamp) -> String {
    let message = EndpointDisabledMessage {
        r#type: WebhookEventType::EndpointDisabled,
        timestamp: at,
        data: EndpointData {
            webhook_endpoint: DisabledEndpoint::from(endpoint),
        },
    };
    text_of(&message)
}

/// The body of a ping to this endpoint.
#[must_use]
pub fn ping_body(endpoint: &Endpoint, at: Timestamp) -> String {
    let message = PingMessage {
        r#type: WebhookEventType::Ping,
        timestamp: at,
        data: PingData {
            webhook_endpoint: PingedEndpoint { id: endpoint.id.0 },
        },
    };
    text_of(&message)
}

/// The text of a message, with its keys sorted. It is made by way of a [`Value`](serde_json::Value)
/// because the bodies that are stored and signed have always had sorted keys.
fn text_of(message: &impl Serialize) -> String {
    json!(message).to_string()
}
