//! Credentials that were verified a few seconds ago.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::unsync::Cache;

use crate::domain::caller::{Caller, CallerName};
use crate::domain::timestamp::Timestamp;

/// How long verified credentials are accepted without another look-up. A key that was revoked by
/// another process is refused here after this time.
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// After this time one request verifies the credentials again, while the others use the cached
/// result until [`FRESH`] is over.
const VERIFY_AGAIN: Duration = Duration::from_secs(3);

const MAX_CREDENTIALS: usize = 10_000;

/// The SHA-256 of credentials, which themselves are not kept.
pub(super) type Digest = [u8; 32];

#[derive(Debug)]
pub(super) struct CredentialCache(Mutex<Cache<Digest, Verified>>);

#[derive(Debug)]
struct Verified {
    caller: Arc<Caller>,
    verified_at: Timestamp,
    /// When one request is to verify them again.
    verify_again_at: Timestamp,
    /// When the key or token expires.
    expires_at: Option<Timestamp>,
}

impl CredentialCache {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Cache::new(MAX_CREDENTIALS)))
    }

    /// The caller with these credentials, if they were verified within [`FRESH`]. After
    /// [`VERIFY_AGAIN`] one request gets `None`, so that it verifies them, and the others keep
    /// using the cached result; if verifying fails, they do so until [`FRESH`] is over.
    pub(super) fn fresh(&self, digest: &Digest, now: Timestamp) -> Option<Arc<Caller>> {
        let mut all = self.all();
        let mut verified = all.get_mut(digest)?;
        if verified.expires_at.is_some_and(|at| at <= now)
            || verified.verified_at.plus(FRESH) <= now
        {
            return None;
        }
        if verified.verify_again_at <= now {
            verified.verify_again_at = now.plus(VERIFY_AGAIN);
            return None;
        }
        Some(Arc::clone(&verified.caller))
    }

    /// Whether these credentials were good when they were last verified.
    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.all().contains_key(digest)
    }

    pub(super) fn insert(
        &self,
        digest: Digest,
        caller: Caller,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Arc<Caller> {
        let caller = Arc::new(caller);
        let verified = Verified {
            caller: Arc::clone(&caller),
            verified_at: now,
            verify_again_at: now.plus(VERIFY_AGAIN),
            expires_at,
        };
        self.all().insert(digest, verified);
        caller
    }

    pub(super) fn remove(&self, digest: &Digest) {
        self.all().remove(digest);
    }

    /// Removes every credential of a caller.
    pub(super) fn remove_caller(&self, name: &CallerName) {
        self.all()
            .retain(|_, verified| verified.caller.name.as_ref() != Some(name));
    }

    fn all(&self) -> MutexGuard<'_, Cache<Digest, Verified>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
