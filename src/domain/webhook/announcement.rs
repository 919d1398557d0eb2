//! What a change of an export tells receivers: the exact bytes that are sent and signed.

use std::collections::BTreeMap;

use serde_json::json;

use super::Callback;
use super::endpoint::{DisabledEndpoint, Endpoint};
use super::event_type::WebhookEventType;
use crate::domain::export::Export;
use crate::domain::ids::ExportId;
use crate::domain::step::Change;
use crate::domain::timestamp::Timestamp;
use crate::domain::view::ExportView;

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
        Some(Self { event_type, sequence: change.export.version, at: change.export.updated_at, export: &change.export })
    }

    /// The announcement of something that happened earlier, with the export as it is now.
    #[must_use]
    pub fn late(export: &'a Export, event_type: WebhookEventType, sequence: i32, at: Timestamp) -> Self {
        Self { event_type, sequence, at, export }
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
        self.export.request.callback.as_ref().filter(|_| self.event_type.is_end())
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> String {
        json!({
            "type": self.event_type.as_str(),
            "timestamp": self.at,
            "data": { "export": ExportView::from(self.export) },
        })
        .to_string()
    }
}

/// The body that tells other endpoints that one was disabled. Not where it is: a URL may hold a token that is not theirs to know.
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
