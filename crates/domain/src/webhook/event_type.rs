//! The types of events that webhooks tell of.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::event::EventKind;
use crate::invalid::Invalid;

/// The type of a webhook's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WebhookEventType)]
pub enum WebhookEventType {
    /// AWS has accepted the export.
    #[serde(rename = "export.started")]
    ExportStarted,
    /// The export was written.
    #[serde(rename = "export.completed")]
    ExportCompleted,
    /// AWS refused or failed the export.
    #[serde(rename = "export.failed")]
    ExportFailed,
    /// The export took longer than `timeouts.create`.
    #[serde(rename = "export.timed_out")]
    ExportTimedOut,
    /// A caller gave the export up.
    #[serde(rename = "export.cancelled")]
    ExportCancelled,
    /// An endpoint was disabled by this service. The other endpoints hear of it.
    #[serde(rename = "webhook_endpoint.disabled")]
    EndpointDisabled,
    /// A test that somebody asked for. It goes to one endpoint, whatever its filters.
    #[serde(rename = "ping")]
    Ping,
}

/// A type that an endpoint can choose: what the OpenAPI document says of it.
/// [`WebhookEventType::parse_choice`] reads it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointEventType(String);

impl PartialSchema for EndpointEventType {
    fn schema() -> RefOr<Schema> {
        let choices = WebhookEventType::CHOICES.map(WebhookEventType::as_str);
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(choices));
        schema
            .description(Some(
                "A type of events that an endpoint can choose to hear of.",
            ))
            .into()
    }
}

impl ToSchema for EndpointEventType {
    fn name() -> Cow<'static, str> {
        "EndpointEventType".into()
    }
}

impl WebhookEventType {
    /// Those that an endpoint can choose among.
    pub const CHOICES: [Self; 6] = [
        Self::ExportStarted,
        Self::ExportCompleted,
        Self::ExportFailed,
        Self::ExportTimedOut,
        Self::ExportCancelled,
        Self::EndpointDisabled,
    ];

    /// The type as receivers see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExportStarted => "export.started",
            Self::ExportCompleted => "export.completed",
            Self::ExportFailed => "export.failed",
            Self::ExportTimedOut => "export.timed_out",
            Self::ExportCancelled => "export.cancelled",
            Self::EndpointDisabled => "webhook_endpoint.disabled",
            Self::Ping => "ping",
        }
    }

    /// Reads a type that an endpoint can choose.
    ///
    /// # Errors
    /// There is no such type.
    pub fn parse_choice(text: &str) -> Result<Self, Invalid> {
        let known = || {
            Invalid::new(format!(
                "must be one of {}",
                Self::CHOICES.map(Self::as_str).join(", ")
            ))
        };
        Self::CHOICES
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(known)
    }

    /// The type that tells of what happened to an export; `None` when no webhook does.
    #[must_use]
    pub fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Started => Some(Self::ExportStarted),
            EventKind::Completed => Some(Self::ExportCompleted),
            EventKind::Failed => Some(Self::ExportFailed),
            EventKind::TimedOut => Some(Self::ExportTimedOut),
            EventKind::Cancelled => Some(Self::ExportCancelled),
            _ => None,
        }
    }

    /// Whether it tells of an end state: those are what a `callback_url` hears of.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(
            self,
            Self::ExportCompleted
                | Self::ExportFailed
                | Self::ExportTimedOut
                | Self::ExportCancelled
        )
    }
}
