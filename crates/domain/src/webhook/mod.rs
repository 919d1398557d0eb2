//! Webhooks: receivers, URLs, secrets, and the outcome of attempts.

mod address;
pub mod announcement;
pub mod delivery;
pub mod endpoint;
pub mod error_class;
pub mod event_type;
pub mod job;
pub mod outcome;
pub mod policy;
pub mod secret;
pub mod share;
pub mod url;

use self::secret::Sealed;
use self::url::{UrlPolicy, WebhookUrl};

/// The operator's rules for callbacks.
#[derive(Debug, Clone)]
pub struct CallbackPolicy {
    pub urls: UrlPolicy,
    /// Whether the service has a signing secret for callbacks without their own.
    pub has_default_secret: bool,
}

/// The receiver of an export's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    pub url: WebhookUrl,
    /// The secret from the request; `None` uses the service's own.
    pub secret: Option<Sealed>,
    /// Extra headers from the request: a sealed JSON object of names and values.
    pub headers: Option<Sealed>,
}
