//! Export events that webhooks announce. The JSON is in the crate `api-types`.

use std::collections::BTreeMap;

use super::Callback;
use super::event_type::WebhookEventType;
use crate::export::Export;
use crate::ids::ExportId;
use crate::lifecycle::outcome::Change;
use crate::timestamp::Timestamp;

#[derive(Debug, Clone)]
pub struct Announcement<'a> {
    pub event_type: WebhookEventType,
    /// The event's position in the export's history.
    pub sequence: i32,
    pub at: Timestamp,
    /// After the event.
    pub export: &'a Export,
}

impl<'a> Announcement<'a> {
    /// The announcement of a change, if webhooks announce it.
    #[must_use]
    pub fn for_change(change: &'a Change) -> Option<Self> {
        let event_type = WebhookEventType::from_event(change.event)?;
        Some(Self {
            event_type,
            sequence: change.export.version,
            at: change.export.updated_at,
            export: &change.export,
        })
    }

    /// The announcement of an earlier event, with the export as it is now.
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

    #[must_use]
    pub fn export_id(&self) -> ExportId {
        self.export.id
    }

    /// The export's labels, by which endpoints filter.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        self.export.request.labels.as_map()
    }

    /// The export's callback, if it has one and this is an end state.
    #[must_use]
    pub fn callback(&self) -> Option<&Callback> {
        self.export
            .request
            .callback
            .as_ref()
            .filter(|_| self.event_type.is_end())
    }
}
