//! `tableferry secrets`: replaces the key that seals secrets and the key that signs webhooks.

use std::time::Duration;

use clap::Subcommand;

use super::database::database;
use super::error::CliError;
use crate::app::AppError;
use crate::clock::Clock;
use crate::domain::duration::parse_duration;
use crate::domain::webhook::secret::Sealed;
use crate::keyring::Keyring;
use crate::settings::Settings;
use crate::store::{Resealed, Store};
use crate::webhooks::vault::Vault;

#[derive(Debug, Subcommand)]
pub(super) enum Secrets {
    /// Encrypt every stored secret with the first key of TABLEFERRY_ENCRYPTION_KEY, so that the
    /// other keys can be removed
    Reseal,
    /// Create a new ed25519 key that signs webhooks (v1a); the old keys keep signing for a while
    RotateSigningKey {
        /// How long the old keys keep signing
        #[arg(long, default_value = "24h", value_parser = overlap)]
        overlap: Duration,
    },
}

fn overlap(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "must be a duration such as 24h or 30m".to_owned())
}

impl Secrets {
    pub(super) async fn run(self, settings: &Settings) -> Result<(), CliError> {
        let store = database(settings)?;
        let vault = Vault::new(&settings.webhooks.encryption_keys);
        match self {
            Self::Reseal => reseal(&store, &vault).await,
            Self::RotateSigningKey { overlap } => rotate(store, vault, overlap).await,
        }
    }
}

async fn reseal(store: &Store, vault: &Vault) -> Result<(), CliError> {
    let current = vault.current_prefix().ok_or(CliError::Missing(
        "TABLEFERRY_ENCRYPTION_KEY is not set: there is no key to seal with (make one with: openssl rand -base64 32)",
    ))?;
    let reseal = |old: &Sealed| vault.open(old).ok().map(|text| vault.seal(&text));
    let Resealed { done, unreadable } = store
        .reseal(&current, reseal)
        .await
        .map_err(AppError::from)?;
    if unreadable > 0 {
        return Err(CliError::Unreadable {
            resealed: done,
            unreadable,
        });
    }
    eprintln!("{done} secrets were resealed; all secrets are now sealed with the first key");
    Ok(())
}

async fn rotate(store: Store, vault: Vault, overlap: Duration) -> Result<(), CliError> {
    let clock = Clock::default();
    let now = clock.now();
    let public_key = Keyring::new(store, vault, clock)
        .rotate(now, now.plus(overlap))
        .await
        .map_err(AppError::from)?;
    eprintln!("the new public key is {public_key}; running processes sign with it from now on");
    Ok(())
}
