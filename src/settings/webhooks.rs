//! Settings of webhooks: which receivers are allowed, and how secrets are kept.

use super::setting::{Boolean, Parsed, Setting, WithDefault, rows};
use super::source::{SettingsError, Source};
use crate::domain::invalid::Invalid;
use crate::domain::webhook::CallbackPolicy;
use crate::domain::webhook::policy::{HostList, PortList, UrlPolicy};
use crate::domain::webhook::secret::WebhookSecret;
use crate::webhooks::vault::VaultKey;

#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Signs callbacks that bring no secret.
    pub default_secret: Option<WebhookSecret>,
    pub urls: UrlPolicy,
    /// Seal secrets in the database: the first key seals, every key opens.
    pub encryption_keys: Vec<VaultKey>,
}

rows! {
    SECRET: Setting<Parsed<WebhookSecret, Invalid>> =
        Setting::new("TABLEFERRY_WEBHOOK_SECRET", Parsed(WebhookSecret::parse));
    ALLOW_HOSTS: Setting<Parsed<HostList, Invalid>> =
        Setting::new("TABLEFERRY_WEBHOOK_ALLOW_HOSTS", Parsed(HostList::parse)).list();
    PORTS: Setting<Parsed<PortList, Invalid>> =
        Setting::new("TABLEFERRY_WEBHOOK_PORTS", Parsed(PortList::parse)).list();
    ALLOW_PRIVATE: WithDefault<Boolean> =
        Setting::new("TABLEFERRY_WEBHOOK_ALLOW_PRIVATE", Boolean).default("false");
    ENCRYPTION_KEY: Setting<Parsed<Vec<VaultKey>, Invalid>> =
        Setting::new("TABLEFERRY_ENCRYPTION_KEY", Parsed(parse_keys)).list();
}

impl WebhookSettings {
    pub(super) fn read(source: &Source) -> Result<Self, SettingsError> {
        Ok(Self {
            default_secret: SECRET.read(source)?,
            urls: UrlPolicy::new(
                ALLOW_PRIVATE.read(source)?,
                ALLOW_HOSTS.read(source)?.unwrap_or_default(),
                PORTS.read(source)?,
            ),
            encryption_keys: ENCRYPTION_KEY.read(source)?.unwrap_or_default(),
        })
    }

    #[must_use]
    pub fn callback_policy(&self) -> CallbackPolicy {
        CallbackPolicy {
            urls: self.urls.clone(),
            has_default_secret: self.default_secret.is_some(),
        }
    }
}

fn parse_keys(list: &str) -> Result<Vec<VaultKey>, Invalid> {
    list.split(',').map(VaultKey::parse).collect()
}
