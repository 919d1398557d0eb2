//! Webhooks: who hears of what, where it goes, what signs it, and what an attempt means.

pub mod announcement;
pub mod delivery;
pub mod endpoint;
pub mod error_class;
pub mod event_type;
pub mod job;
pub mod policy;
pub mod secret;
pub mod share;
pub mod url;
pub mod verdict;

use self::secret::Sealed;
use self::url::{UrlPolicy, WebhookUrl};

/// What the operator allows of callbacks.
#[derive(Debug, Clone)]
pub struct CallbackPolicy {
    /// Which receivers.
    pub urls: UrlPolicy,
    /// The service has a signing secret for callbacks that bring none.
    pub has_default_secret: bool,
}

/// Where to announce the end of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The receiver.
    pub url: WebhookUrl,
    /// The secret that came with the request; `None` signs with the service's own.
    pub secret: Option<Sealed>,
    /// Headers of its own that came with the request: a sealed JSON object of names and values.
    pub headers: Option<Sealed>,
}
