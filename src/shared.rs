//! What the API and the workers of a process share.

use std::sync::Arc;

use crate::aws::Aws;
use crate::clock::Clock;
use crate::keyring::Keyring;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::store::Store;
use crate::webhooks::Names;
use crate::webhooks::vault::Vault;

#[derive(Debug)]
pub struct Shared {
    pub store: Store,
    pub aws: Arc<Aws>,
    pub clock: Clock,
    pub vault: Vault,
    pub keyring: Arc<Keyring>,
    /// Resolves the host names of webhook receivers.
    pub names: Arc<dyn Names>,
    pub signals: Signals,
}

impl Shared {
    #[must_use]
    pub fn new(settings: &Settings, store: Store, aws: Aws, names: Arc<dyn Names>) -> Self {
        let store = store.with_public_url(settings.http.public_url.clone());
        let clock = Clock::default();
        let vault = Vault::new(&settings.webhooks.encryption_keys);
        Self {
            keyring: Arc::new(Keyring::new(store.clone(), vault.clone(), clock.clone())),
            store,
            aws: Arc::new(aws),
            clock,
            vault,
            names,
            signals: Signals::default(),
        }
    }
}
