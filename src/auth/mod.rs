//! Authentication: API keys, and bearer tokens of an OIDC issuer. Also counts how many requests
//! each caller sends.
//!
//! [`Authenticator::authenticate`] is the only entry. Verified credentials are cached for five
//! seconds ([`credential_cache`]), so most requests need neither Postgres nor the issuer. Refusals
//! are counted per address ([`failure_throttle`]): credentials from an address with many refusals
//! are verified one at a time, and slowly, unless they are in the cache. They are not refused
//! outright, because many callers may share an address.

mod credential_cache;
mod error;
mod failure_throttle;
mod keys;
pub mod oidc;
pub mod rate_limiter;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Clock;
use crate::domain::caller::secret::{ApiKeySecret, PREFIX};
use crate::domain::caller::{Caller, CallerName};
use crate::domain::rate::pace::PaceLimits;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;

use credential_cache::{CredentialCache, Digest};
pub use error::AuthError;
use failure_throttle::FailureThrottle;
use oidc::{Oidc, OidcError, OidcSettings};
use rate_limiter::RateLimiter;

/// How many credentials from throttled addresses may wait to be verified.
const MAX_WAITING: usize = 64;

/// How long each refusal delays the next credentials from throttled addresses.
const DELAY_PER_REFUSAL: Duration = Duration::from_millis(20);

/// Whether callers must authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// By an API key, or a token of the OIDC issuer.
    Required,
    /// Everyone who can reach the API may use it.
    None,
}

#[derive(Debug)]
pub struct Authenticator {
    auth: Auth,
    store: Store,
    clock: Clock,
    anonymous: Arc<Caller>,
    oidc: Option<Oidc>,
    cache: CredentialCache,
    throttle: FailureThrottle,
    /// Permits for credentials from throttled addresses: to wait, and to be verified.
    waiting: Semaphore,
    verifying: Semaphore,
    pub rate_limiter: RateLimiter,
}

impl Authenticator {
    pub fn new(
        auth: Auth,
        limits: PaceLimits,
        oidc: Option<OidcSettings>,
        store: Store,
        clock: Clock,
    ) -> Result<Self, OidcError> {
        Ok(Self {
            auth,
            store,
            clock,
            anonymous: Arc::new(Caller::anonymous()),
            oidc: oidc.map(Oidc::new).transpose()?,
            cache: CredentialCache::new(),
            throttle: FailureThrottle::new(),
            waiting: Semaphore::new(MAX_WAITING),
            verifying: Semaphore::new(1),
            rate_limiter: RateLimiter::new(limits),
        })
    }

    #[must_use]
    pub fn is_required(&self) -> bool {
        self.auth == Auth::Required
    }

    /// The caller of every request where authentication is not required.
    #[must_use]
    pub fn anonymous(&self) -> Arc<Caller> {
        Arc::clone(&self.anonymous)
    }

    /// The caller with these credentials (the text after `Bearer`) from this address.
    pub async fn authenticate(
        &self,
        credentials: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<Arc<Caller>, AuthError> {
        let Some(credentials) = credentials else {
            return Err(counted(AuthError::Missing));
        };
        let now = self.clock.now();
        let digest: Digest = Sha256::digest(credentials.as_bytes()).into();
        if let Some(caller) = self.cache.fresh(&digest, now) {
            return Ok(caller);
        }
        let throttled = self.throttle.wait(from, now);
        // Cached credentials need not wait, whatever others at the same address do.
        let _permit = match throttled {
            Some(retry_after) if !self.cache.contains(&digest) => Some(
                self.wait_to_verify()
                    .await
                    .ok_or_else(|| counted(AuthError::TooMany { retry_after }))?,
            ),
            _ => None,
        };
        match self.verify(credentials, now).await {
            Ok((caller, expires_at)) => Ok(self.cache.insert(digest, caller, expires_at, now)),
            Err(error) if error.is_refusal() => {
                self.cache.remove(&digest);
                self.throttle.count(from, now);
                match throttled {
                    // The permit is held meanwhile.
                    Some(_) => tokio::time::sleep(DELAY_PER_REFUSAL).await,
                    None => log_refusal(&error, credentials, from),
                }
                Err(counted(error))
            }
            Err(error) => Err(counted(error)),
        }
    }

    /// Waits for the one permit to verify credentials from throttled addresses. `None` if too many
    /// wait already.
    async fn wait_to_verify(&self) -> Option<SemaphorePermit<'_>> {
        let _waiting = self.waiting.try_acquire().ok()?;
        self.verifying.acquire().await.ok()
    }

    /// Removes a caller from the cache, so that a change takes effect in this process at once;
    /// other processes see it within [`credential_cache::FRESH`].
    pub fn forget(&self, name: &CallerName) {
        self.cache.remove_caller(name);
    }

    async fn verify(
        &self,
        credentials: &str,
        now: Timestamp,
    ) -> Result<(Caller, Option<Timestamp>), AuthError> {
        if credentials.starts_with(PREFIX) {
            return keys::verify(&self.store, credentials, now).await;
        }
        match &self.oidc {
            Some(oidc) => oidc.verify(credentials, now).await,
            None => Err(AuthError::Malformed),
        }
    }
}

/// Not called for throttled addresses, so that they do not fill the log.
fn log_refusal(error: &AuthError, credentials: &str, from: Option<IpAddr>) {
    let prefix = ApiKeySecret::parse(credentials).map(|key| format!("{PREFIX}{}", key.lookup()));
    let from = from.map(tracing::field::display);
    tracing::warn!(
        client.address = from,
        auth.refusal = error.reason().as_str(),
        api_key.prefix = prefix,
        "credentials were refused"
    );
}

fn counted(error: AuthError) -> AuthError {
    error.reason().count();
    error
}
