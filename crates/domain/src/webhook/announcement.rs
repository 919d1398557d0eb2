//! What a change of an export tells receivers: the exact bytes that are sent and signed.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Callback;
use super::endpoint::{DisabledEndpoint, Endpoint};
use super::event_type::WebhookEventType;
use crate::export::Export;
use crate::ids::ExportId;
use crate::public_url::PublicUrl;
use crate::step::Change;
use crate::timestamp::Timestamp;
use crate::view::ExportView;

/// An event of an export that webhooks tell of.
#[derive(Debug, Clone)]
pub struct Announcement<'a> {
    /// Its type.
    pub event_type: WebhookEventType,
    /// The event's place in the history of the export.
    pub sequence: i32,
    /// When it happened.
    pub at: Timestamp,
    export: &'a Export,
}

impl<'a> Announcement<'a> {
    /// The announcement of a change, if webhooks tell of it.
    #[must_use]
    pub fn of(change: &'a Change) -> Option<Self> {
        let event_type = WebhookEventType::of(change.event)?;
        Some(Self {
            event_type,
            sequence: change.export.version,
            at: change.export.updated_at,
            export: &change.export,
        })
    }

    /// The announcement of something that happened earlier, with the export as it is now.
    #[must_use]
    pub fn late(
        export: &'a Export,
        event_type: WebhookEventType,
        sequence: i32,
        at: Timestamp,
    ) -> Self {
        Self {
            event_type,
            sequence,
            at,
            export,
        }
    }

    /// The export.
    #[must_use]
    pub fn export_id(&self) -> ExportId {
        self.export.id
    }

    /// The export's labels, by which endpoints choose.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        self.export.request.labels.as_map()
    }

    /// The callback that hears of it, if the export has one and this is an end.
    #[must_use]
    pub fn callback(&self) -> Option<&Callback> {
        self.export
            .request
            .callback
            .as_ref()
            .filter(|_| self.event_type.is_end())
    }

    /// The body, with links if callers' URL of the service is known.
    #[must_use]
    pub fn body(&self, public_url: &PublicUrl) -> String {
        let mut body = json!({
            "type": self.event_type.as_str(),
            "timestamp": self.at,
            "data": { "export": ExportView::from(self.export) },
        });
        if let Some(links) = Links::of(self.export.id, public_url) {
            body["data"]["links"] = json!(links);
        }
        body.to_string()
    }
}

/// Where a person or a program finds what a webhook is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExportLinks)]
pub struct Links {
    /// The export, as `GET /v1/exports/{id}` answers it.
    #[schema(
        example = "https://exports.example.com/v1/exports/019a3b5c-7d2e-7f10-8a9b-0c1d2e3f4a5b"
    )]
    pub export: String,
    /// Its page in the console; null where there is no console.
    #[schema(required)]
    pub console: Option<String>,
}

impl Links {
    /// The links of an export; nothing if callers' URL of the service is not known.
    #[must_use]
    pub fn of(export: ExportId, public_url: &PublicUrl) -> Option<Self> {
        public_url.is_set().then(|| Self {
            export: public_url.to(&format!("/v1/exports/{export}")),
            console: None,
        })
    }
}

/// The body that tells other endpoints that one was disabled. Not where it is: a URL may hold a
/// token that is not theirs to know.
#[must_use]
pub fn disabled_body(endpoint: &Endpoint, at: Timestamp) -> String {
    json!({
        "type": WebhookEventType::EndpointDisabled.as_str(),
        "timestamp": at,
        "data": { "webhook_endpoint": DisabledEndpoint::from(endpoint) },
    })
    .to_string()
}

/// The body of a ping.
#[must_use]
pub fn ping_body(endpoint: &Endpoint, at: Timestamp) -> String {
    json!({
        "type": WebhookEventType::Ping.as_str(),
        "timestamp": at,
        "data": { "webhook_endpoint": { "id": endpoint.id.0 } },
    })
    .to_string()
}
