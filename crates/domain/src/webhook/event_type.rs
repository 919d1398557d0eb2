//! Types of webhook events.

use serde::Serialize;

use crate::export::event::EventKind;
use crate::invalid::Invalid;

/// The type of a webhook's event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = WebhookEventType))]
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
    /// A caller cancelled the export.
    #[serde(rename = "export.cancelled")]
    ExportCancelled,
    /// This service disabled an endpoint; the other endpoints are notified.
    #[serde(rename = "webhook_endpoint.disabled")]
    EndpointDisabled,
    /// A test that a caller requested. It goes to one endpoint, whatever its filters.
    #[serde(rename = "ping")]
    Ping,
}

impl WebhookEventType {
    /// The types that an endpoint can subscribe to.
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

    /// Reads a type that an endpoint can subscribe to.
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

    /// The webhook type of an export event; `None` if webhooks do not announce it.
    #[must_use]
    pub fn from_event(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::Started => Some(Self::ExportStarted),
            EventKind::Completed => Some(Self::ExportCompleted),
            EventKind::Failed => Some(Self::ExportFailed),
            EventKind::TimedOut => Some(Self::ExportTimedOut),
            EventKind::Cancelled => Some(Self::ExportCancelled),
            EventKind::Created
            | EventKind::Imported
            | EventKind::Delayed
            | EventKind::Resumed
            | EventKind::TokenReplaced
            | EventKind::Forgotten
            | EventKind::Verified => None,
        }
    }

    /// Whether it is an end state, which a `callback_url` receives.
    #[must_use]
    pub fn is_end(self) -> bool {
        match self {
            Self::ExportCompleted
            | Self::ExportFailed
            | Self::ExportTimedOut
            | Self::ExportCancelled => true,
            Self::ExportStarted | Self::EndpointDisabled | Self::Ping => false,
        }
    }
}
