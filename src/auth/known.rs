//! Credentials that were found good a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::caller::Caller;
use crate::domain::timestamp::Timestamp;

/// For how long credentials stay good without being looked up again: within this a key that was revoked elsewhere is refused here.
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// How many are remembered.
const MOST: usize = 10_000;

/// Good credentials by the SHA-256 of them.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<[u8; 32], Good>>);

#[derive(Debug)]
struct Good {
    caller: Arc<Caller>,
    fresh_until: Timestamp,
    /// When they stop to be good by themselves.
    until: Option<Timestamp>,
}

impl Known {
    /// Whom these credentials stand for, if that was found out a moment ago. When they must be looked up again, one request does, and the
    /// others go by what was known for another moment.
    pub(super) fn fresh(&self, digest: &[u8; 32], now: Timestamp) -> Option<Arc<Caller>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let good = all.get_mut(digest)?;
        if good.until.is_some_and(|until| until <= now) {
            return None;
        }
        if good.fresh_until > now {
            return Some(Arc::clone(&good.caller));
        }
        good.fresh_until = now.plus(FRESH);
        None
    }

    /// Whether these were good when they were last looked up.
    pub(super) fn has(&self, digest: &[u8; 32]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(digest)
    }

    pub(super) fn insert(&self, digest: [u8; 32], caller: Caller, until: Option<Timestamp>, now: Timestamp) -> Arc<Caller> {
        let caller = Arc::new(caller);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, good| good.fresh_until > now);
            if all.len() >= MOST {
                all.clear();
            }
        }
        all.insert(digest, Good { caller: Arc::clone(&caller), fresh_until: now.plus(FRESH), until });
        caller
    }

    pub(super) fn forget(&self, digest: &[u8; 32]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
